"""HTTP by hand: what a well-behaved client would never send, and readers that do not read."""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.browser.server import Server

SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came until the server closed the connection; `status` is 0 where it closed it without a word."""

    raw: bytes

    @property
    def status(self) -> int:
        return int(self.raw[9:12]) if self.raw else 0

    @property
    def headers(self) -> dict[str, str]:
        head = self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    def json(self) -> Any:
        return json.loads(self.body)


def connect(server: Server, *, source: str = "127.0.0.1", receive_buffer: int | None = None) -> socket.socket:
    """From an address of one's own: all of 127.0.0.0/8 is this machine."""
    made = socket.socket()
    made.settimeout(SECONDS)
    if receive_buffer is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    made.bind((source, 0))
    made.connect(("127.0.0.1", server.port))
    return made


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", "")).encode()


def until_closed(connection: socket.socket) -> Answer:
    """All that comes. A reset is an end, too: the server has closed with bytes of ours unread."""
    received = bytearray()
    with suppress(ConnectionResetError):
        while chunk := connection.recv(65_536):
            received += chunk
    return Answer(bytes(received))


def exchange(server: Server, *parts: bytes) -> Answer:
    """Send, tolerate that nobody reads to the end, and read what came back until the connection is closed."""
    with connect(server) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                connection.sendall(part)
        return until_closed(connection)


def ask(server: Server, path: str, *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
    length = (f"Content-Length: {len(body)}",) if body else ()
    return exchange(server, head(method, path, "Connection: close", *length, *headers), body)


def trickle(connection: socket.socket, piece: bytes, every: float) -> Answer:
    """A piece now and then until the server has had enough of it."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if select.select([connection], [], [], every)[0]:
            return until_closed(connection)
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(piece)
    raise AssertionError(f"the server still listens after {SECONDS:g} s")


def eventually(condition: Callable[[], bool], seconds: float = SECONDS) -> float:
    """Seconds until it is so."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + seconds, f"not within {seconds:g} s"
        time.sleep(0.02)
    return time.monotonic() - start


def is_open(connection: socket.socket) -> bool:
    """Nothing has come, not even an end."""
    return not select.select([connection], [], [], 0)[0]


def memory(server: Server) -> int:
    """Bytes of the server's own process that are in memory."""
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def files(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))
