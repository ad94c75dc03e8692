"""HTTP by hand: requests and streams of hundreds of visitors from one thread, so cheap that the server has the cores.

A load generator that parses every event as JSON, or every answer with a client library, takes more of two cores than
the server that it should measure. These two protocols look for the few bytes that matter and count the rest.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

SECONDS = 120.0
"""For one answer; longer is a fault of the server."""
HEAD_END = b"\r\n\r\n"
T = TypeVar("T")
standing: set[asyncio.Transport] = set()
"""Connections that have not ended yet."""


def play(scenario: Coroutine[Any, Any, T]) -> T:
    """Runs it to its end, and ends every connection that it has left open, however it ended."""

    async def played() -> T:
        try:
            return await scenario
        finally:
            for transport in standing:
                transport.abort()
            while standing:
                await asyncio.sleep(0)

    return asyncio.run(played())


LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
COOKIE = re.compile(rb"set-cookie: ([^;\r]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, and from which of this machine's own addresses it is called."""

    host: str
    port: int
    own: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str:
        found = re.search(rf"^{name}: (.*?)\r?$".encode(), self.head, re.IGNORECASE | re.MULTILINE)
        return found[1].decode() if found else ""


def head_of(method: str, path: str, address: Address, headers: dict[str, str], length: int | None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address.host}:{address.port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join((*lines, "", "")).encode()


class Line(asyncio.Protocol):
    """One keep-alive connection of a visitor: one request after the other, with its cookies."""

    def __init__(self, address: Address, headers: dict[str, str] | None = None) -> None:
        self.address = address
        self.headers = {"Accept": "text/html", **(headers or {})}
        self.cookies: dict[str, str] = {}
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._length: int | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._turn = asyncio.Lock()

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        form: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """`body` is sent as JSON, `form` as a form. Raises TimeoutError, or OSError when the connection is cut."""
        sent = {**self.headers, **(headers or {})}
        data = b""
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        elif form is not None:
            data, sent["Content-Type"] = form.encode(), "application/x-www-form-urlencoded"
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self._turn, asyncio.timeout(SECONDS):
            started = time.perf_counter()
            received = await self._exchange(head_of(method, path, self.address, sent, len(data)) + data)
            seconds = time.perf_counter() - started
        head, _, rest = received.partition(HEAD_END)
        for cookie in COOKIE.findall(head):
            name, _, value = cookie.decode().partition("=")
            self.cookies[name] = value
        return Answer(int(head[9:12]), head, rest if LENGTH.search(head) else unchunked(rest), seconds)

    async def _exchange(self, request: bytes) -> bytes:
        """A connection that the server has let go while it was idle is made anew, once, as browsers do."""
        for attempt in range(2):
            while self._transport is not None and self._transport.is_closing():
                await asyncio.sleep(0)
            fresh = self._transport is None
            if fresh:
                loop = asyncio.get_running_loop()
                await loop.create_connection(
                    lambda: self, self.address.host, self.address.port, local_addr=(self.address.own, 0)
                )
            assert self._transport is not None
            self._received.clear()
            self._length = None
            self._answer = asyncio.get_running_loop().create_future()
            self._transport.write(request)
            try:
                return await self._answer
            except ConnectionError:
                if fresh or attempt:
                    raise
        raise ConnectionError

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # ---- asyncio.Protocol -------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        standing.add(transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._length is None:
            end = self._received.find(HEAD_END)
            if end < 0:
                return
            found = LENGTH.search(self._received, 0, end)
            none = self._received[9:12] in (b"204", b"304")
            self._length = end + 4 + int(found[1]) if found else end + 4 if none else -1
        whole = self._received.endswith(b"0\r\n\r\n") if self._length < 0 else len(self._received) >= self._length
        if whole and self._answer is not None and not self._answer.done():
            self._answer.set_result(bytes(self._received))

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the server closed the connection"))
        assert self._transport is not None
        standing.discard(self._transport)
        self._transport = None


def unchunked(rest: bytes) -> bytes:
    parts, place = [], 0
    while place < len(rest):
        end = rest.index(b"\r\n", place)
        size = int(rest[place:end], 16)
        parts.append(rest[end + 2 : end + 2 + size])
        place = end + 4 + size
    return b"".join(parts)


@dataclass(slots=True)
class Seen:
    """What has come on one stream: how late the frames were (ms), and when each run was last seen to get on."""

    status: int = 0
    retry_after: bool = False
    octets: int = 0
    delays: list[float] = field(default_factory=list)
    steps: dict[bytes, int] = field(default_factory=dict)
    moved: dict[bytes, float] = field(default_factory=dict)
    longest: float = 0.0
    closed: bool = False
    farewell: bool = False


TAKEN = b'"taken":'
STEP = b'"step":'
NAME = b"event: "
LATEST = b'"latest":'


class Stream(asyncio.Protocol):
    """One stream of a page. `seen` is what it has told; `since` is when the figures of interest began (monotonic)."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.since = float("inf")
        self.opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, address: Address, path: str, cookies: dict[str, str]) -> Stream:
        """Once the first bytes are here."""
        loop = asyncio.get_running_loop()
        headers = {"Accept": "text/event-stream"}
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        async with asyncio.timeout(SECONDS):
            transport, stream = await loop.create_connection(
                cls, address.host, address.port, local_addr=(address.own, 0)
            )
            transport.write(head_of("GET", path, address, headers, None))
            stream.seen.status = await stream.opened
        return stream

    def close(self) -> None:
        self.seen.closed = True
        if self._transport is not None:
            self._transport.close()

    @property
    def dropped(self) -> bool:
        """Ended by the other side, without a farewell."""
        return self._transport is None and not self.seen.closed and not self.seen.farewell

    # ---- asyncio.Protocol -------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        standing.add(transport)

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self.seen.retry_after = b"retry-after" in data
            self.opened.set_result(int(data[9:12]))
        self.seen.octets += len(data)
        data = self._rest + data
        end = data.rfind(b"\n\n")
        if end < 0:
            self._rest = data
            return
        self._rest = data[end + 2 :]
        now = time.monotonic()
        wall = time.time() * 1000
        for event in data[:end].split(b"\n\n"):
            self._note(event, now, wall)

    def _note(self, event: bytes, now: float, wall: float) -> None:
        place = event.find(NAME)
        if place < 0:
            return
        name = event[place + 7 : event.index(b"\n", place)]
        kind, _, run = name.partition(b"@")
        if kind == b"close":
            self.seen.farewell = True
        elif kind == b"frame" and (place := event.find(TAKEN)) >= 0 and now >= self.since:
            self.seen.delays.append(wall - number(event, place + len(TAKEN)))
        elif kind == b"metrics":
            self._progress(run, number(event, event.find(STEP, event.rfind(LATEST)) + len(STEP)), now)
        elif kind == b"status":
            self._progress(run, number(event, event.rfind(STEP) + len(STEP)), now)

    def _progress(self, run: bytes, step: int, now: float) -> None:
        """`longest` is the longest time for which a run of this stream was not seen to get on, as far as it counts."""
        seen = self.seen
        if seen.steps.get(run) != step:
            if run in seen.moved and now >= self.since:
                seen.longest = max(seen.longest, now - max(seen.moved[run], self.since))
            seen.moved[run] = now
            seen.steps[run] = step

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        assert self._transport is not None
        standing.discard(self._transport)
        self._transport = None
        if not self.opened.done():
            self.opened.set_exception(ConnectionResetError("the server closed the connection"))


def number(text: bytes, place: int) -> int:
    """The whole number that begins there."""
    end = place
    while text[end : end + 1].isdigit() or text[end : end + 1] in b" -":
        end += 1
    return int(text[place:end])
