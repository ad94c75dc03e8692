"""What a connection may cost before it has asked for anything, after it was answered and while it does not read.

uvicorn waits for a request for ever (slowloris), and asyncio keeps what nobody reads. So a connection owes something at
every moment, or has nothing to fear:

    HEAD      the whole head of a request, within `head_seconds` of its first byte (of the connection, for the first one)
    REST      the rest of a body whose request has been answered: little of it and soon, the answer is out already
    nothing   while the app reads the body (which app.security times), works, or streams

Whoever does not take what is sent is cut off after `send_timeout`. A kept connection that asks for nothing more is closed
after uvicorn's 5 s.

Farewell.  A socket that is closed with bytes unread is reset, and a reset overtakes the answer: who sends too much would see
a broken connection (behind a proxy: 502) and never the 413. So where an answer went out before its request was there, only
our side is closed, and what still comes is thrown away unread, for a while and up to a size.

Places.  Every connection is an open file. When all places are taken, the connection that has waited the longest for a
request gives its own up: it is a browser's spare one, or somebody's who keeps places occupied. Thus a flood of silent
connections costs others nothing, for whoever asks is answered within milliseconds and does not wait. Only where every
connection is at work is the newcomer told to come back (503).
One address may hold half of the places. That is many, as a whole class may come through one proxy or access point: 300
browsers with at most six connections each are 1,800.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import Enum
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from app.settings import Limits

LARGEST_REST = 256 * 2**10
"""Bytes of a body that may follow the answer to its request, for the connection to be kept for the next one."""
LARGEST_FAREWELL = 128 * 2**20
FAREWELL_SECONDS = 30.0
SHORT_FAREWELL_SECONDS = 2.0
"""For what never became a request."""
LAST_WORDS_SECONDS = 1.0
"""In which the farewell of a server that stops has to be taken, so that nobody who reads nothing holds up its end."""


class Debt(Enum):
    HEAD = "head"
    REST = "rest"


class Places(ServerState):
    """Who is connected, from where, and who of them waits for a request (`waiting`, the longest first)."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.taken: Counter[str] = Counter()
        self.count = 0
        self.waiting: dict[Connection, None] = {}

    def enter(self, connection: Connection) -> bool:
        """Whether there is a place for it, after somebody who only waits has left if need be."""
        leaving: Connection | None = None
        if self.taken[connection.address] >= self.limits.connections_per_address:
            leaving = next((each for each in self.waiting if each.address == connection.address), None)
        elif self.count >= self.limits.connections:
            leaving = next(iter(self.waiting), None)
        else:
            self._take(connection)
            return True
        if leaving is None:
            return False
        self.leave(leaving)
        leaving.transport.close()
        self._take(connection)
        return True

    def _take(self, connection: Connection) -> None:
        connection.has_place = True
        self.taken[connection.address] += 1
        self.count += 1

    def leave(self, connection: Connection) -> None:
        """Its place is free again; it may be told so more than once."""
        self.waiting.pop(connection, None)
        if connection.has_place:
            connection.has_place = False
            self.count -= 1
            self.taken[connection.address] -= 1
            if not self.taken[connection.address]:
                del self.taken[connection.address]


class Polite:
    """The part of a transport that uvicorn uses; `close` goes by way of the connection's farewell.

    `connection` is None once it is lost: the two would else hold each other in memory, with all that the last request was
    made of, until the next search for garbage among everything.
    """

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        self.connection: Connection | None = connection
        self.write = transport.write
        self.abort = transport.abort
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_extra_info = transport.get_extra_info

    def is_closing(self) -> bool:
        return self.connection is None or self.connection.leaving or self.connection.socket.is_closing()

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


class Connection(H11Protocol):
    """One connection, held to what it owes."""

    def __init__(
        self,
        config: Config,
        server_state: Places,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.places = server_state
        self.limits = server_state.limits
        self.address = ""
        self.has_place = False
        self.debt: Debt | None = None
        self.deadline: asyncio.TimerHandle | None = None
        self.stalled: asyncio.TimerHandle | None = None
        self.rest = 0
        self.leaving = False

    # ---- What happens to it --------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        self.socket = transport
        self.polite = Polite(transport, self)
        super().connection_made(self.polite)  # type: ignore[arg-type]
        self.address = self.client[0] if self.client else ""
        if self.places.enter(self):
            self.look()
        else:
            self.refuse(
                503, "All connections of this server are taken. Try again in a few seconds.", (b"retry-after", b"5")
            )

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.places.leave(self)
        for timer in (self.deadline, self.stalled):
            if timer is not None:
                timer.cancel()
        self.polite.connection = None
        if hasattr(self.socket, "_read_ready_cb"):
            self.socket._read_ready_cb = None  # asyncio's own reference to itself, which Python 3.12 undoes

    def data_received(self, data: bytes) -> None:
        if self.leaving:
            self.rest += len(data)
            if self.rest > LARGEST_FAREWELL:
                self.socket.abort()
            return
        super().data_received(data)
        self.look(len(data))

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stalled = self.loop.call_later(self.limits.send_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.stalled is not None:
            self.stalled.cancel()
            self.stalled = None

    # ---- What it owes --------------------------------------------------------------------------------------------------------

    def look(self, received: int = 0) -> None:
        """See anew what it owes, and whether its place may be given away; `received` bytes have just come."""
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE:
            self.places.waiting.setdefault(self)
        else:
            self.places.waiting.pop(self, None)
        debt = self.owed()
        if debt is not self.debt:
            self.debt = debt
            self.rest = 0
            if self.deadline is not None:
                self.deadline.cancel()
                self.deadline = None
            if debt is not None:
                seconds = self.limits.head_seconds if debt is Debt.HEAD else self.limits.body_seconds
                self.deadline = self.loop.call_later(seconds, self.overdue)
        if debt is Debt.REST:
            self.rest += received
            if self.rest > LARGEST_REST:
                self.close()

    def owed(self) -> Debt | None:
        state = self.conn.their_state
        if state is h11.IDLE:
            return Debt.HEAD if self.timeout_keep_alive_task is None else None
        if state is h11.SEND_BODY and self.cycle.response_complete:
            return Debt.REST
        return None

    def overdue(self) -> None:
        """A connection on which nothing came is closed without a word: the word would answer the next request."""
        if self.transport.is_closing():
            return
        if self.debt is Debt.HEAD and self.conn.trailing_data[0]:
            self.refuse(408, f"The request was not there after {self.limits.head_seconds:g} seconds. Send it again.")
        else:
            self.socket.close()

    # ---- How it ends ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """At once, or, where the client is still sending what has been answered, after a farewell."""
        answered = self.cycle is not None and self.cycle.response_complete
        if answered and self.conn.their_state is h11.SEND_BODY and not self.leaving:
            self.take_leave(FAREWELL_SECONDS)
        else:
            self.socket.close()

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(LAST_WORDS_SECONDS, self.give_up)

    def give_up(self) -> None:
        """Requests that are under way have longer; this is for what was sent and is not taken."""
        if self.socket.get_write_buffer_size():
            self.socket.abort()

    def take_leave(self, seconds: float) -> None:
        """Our side is closed: the client reads the answer to its end, and what it sends is thrown away."""
        if self.socket.is_closing():
            return
        self.leaving = True
        self.rest = 0
        if self.deadline is not None:
            self.deadline.cancel()
        self.deadline = self.loop.call_later(seconds, self.socket.abort)
        self.flow.resume_reading()
        self.socket.write_eof()

    # ---- What is said below HTTP ---------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        self.refuse(400, "This is no request that HTTP/1.1 knows, or its head is longer than 16 KiB.")

    def refuse(self, status: int, words: str, *headers: tuple[bytes, bytes]) -> None:
        """The last answer on this connection, to a request that never became one; only a close where one is under way."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return self.socket.close()
        body = words.encode()
        plain = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        response = h11.Response(status_code=status, headers=[*plain, *headers], reason=STATUS_PHRASES[status])
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        if self.has_place:
            self.take_leave(SHORT_FAREWELL_SECONDS)
        else:
            self.socket.close()
