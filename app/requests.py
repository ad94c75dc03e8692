"""What is done with a request before any route sees it.

Of a crowd only some are begun at a time, none is taken once the server stops, and HEAD is answered as GET.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.crowd import Crowd
from app.errors import Busy
from app.problems import answer
from app.routes.stream import Streams


class Turnstile:
    """Lets in some requests at a time."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._crowd = Crowd()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._crowd.turn()
        await self.app(scope, receive, send)


class Stopping:
    """503 from the moment on at which the streams have been told that the server stops: a run begun now would not train."""

    def __init__(self, app: ASGIApp, streams: Streams) -> None:
        self.app = app
        self.streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.streams.stopping and scope["type"] == "http":
            problem = Busy("The server is stopping. Try again when it is back.", retry_after=2, code="stopping")
            return await answer(scope, problem)(scope, receive, send)
        await self.app(scope, receive, send)


class Heads:
    """HEAD is GET whose answer ends with its head, on every route; that of a stream, too, which then holds no place."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self.app(scope, receive, send)

        async def head_only(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        await self.app({**scope, "method": "GET"}, receive, head_only)
