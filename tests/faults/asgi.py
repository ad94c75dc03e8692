"""One request to an app without a server between, so that its head can be what no client would send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers

Header = tuple[bytes, bytes]
OWN_HOST: Header = (b"host", b"localhost:8000")


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: Headers
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """What it says, without the number that each answer has of its own."""
        return {name: value for name, value in json.loads(self.body).items() if name != "request_id"}


async def ask(
    app: Any, method: str, target: str, headers: Sequence[Header] = (OWN_HOST,), body: bytes = b""
) -> Answered:
    """`target` is what stands in the request's first line; it is decoded once, as the server does.

    Of a stream it reads what comes first, and leaves.
    """
    streams = target.partition("?")[0].endswith("/events")
    path, _, query = target.encode().partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8_000),
    }
    sent: list[Any] = []
    told = asyncio.Event()
    given = False

    async def receive() -> Any:
        nonlocal given
        if given:
            await told.wait()  # a stream asks whether its reader is still there
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and (streams or not message.get("more_body")):
            told.set()

    try:
        await app(scope, receive, send)
    except Exception:
        if not sent:  # an unexpected error is answered first and raised then
            raise
    head = next(message for message in sent if message["type"] == "http.response.start")
    content = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
    return Answered(head["status"], Headers(raw=list(head["headers"])), content)


def head_of(headers: dict[str, str], *more: Header) -> list[Header]:
    """Headers by name as they stand in a request, after our own host."""
    return [OWN_HOST, *((name.encode(), value.encode()) for name, value in headers.items()), *more]
