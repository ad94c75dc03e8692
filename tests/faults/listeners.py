"""Readers of a stream by the hundred: each keeps what a page would keep, and goes on where it was cut."""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Kept:
    """What a page knows of a run. A client that is cut in the middle of an event has not had it."""

    generation: int | None = None
    steps: list[int] = field(default_factory=list)
    losses: list[float | None] = field(default_factory=list)
    last_id: str = ""
    state: str = ""
    names: list[str] = field(default_factory=list)
    retries: list[int] = field(default_factory=list)

    def take(self, event: bytes) -> None:
        fields = dict(line.split(": ", 1) for line in event.decode().split("\n") if not line.startswith(":"))
        if "retry" in fields:
            self.retries.append(int(fields["retry"]))
        if "data" not in fields:
            return
        name, data = fields["event"], json.loads(fields["data"])
        self.names.append(name)
        if name == "state" and data["generation"] != self.generation:
            self.generation, self.steps, self.losses = data["generation"], [], []
        if name in ("state", "status"):
            self.state = data["state"]
        if name == "metrics":
            self.steps += data["points"]["step"]
            self.losses += data["points"]["train_loss"]
        self.last_id = fields.get("id", self.last_id)


class Listener:
    """One client of one stream. `arrived` has the moment (monotonic) of each event that has the text `mark` in it."""

    def __init__(self, port: int, path: str, *, source: str = "127.0.0.1", mark: bytes = b"") -> None:
        self.port, self.path, self.source, self.mark = port, path, source, mark
        self.kept = Kept()
        self.arrived: list[float] = []
        self.writer: asyncio.StreamWriter | None = None
        self.connections = 0
        self.refused = 0

    async def connect(self, last_id: str | None = None) -> int:
        """The status of the answer. `last_id` stands for the one it would send by itself."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.source, 0))
        sent = self.kept.last_id if last_id is None else last_id
        resume = f"Last-Event-ID: {sent}\r\n" if sent else ""
        self.writer.write(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\n{resume}\r\n".encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.rest = b""
        self.connections += 1
        return int(head[9:12])

    async def read(self, until: Any = None, most: int | None = None) -> None:
        """Until `until()` is true, `most` bytes of the body have come (then cut there, within an event), or the end."""
        while not (until and until()):
            size = int(await self.reader.readline() or b"0", 16)
            body = (await self.reader.readexactly(size + 2))[:-2]
            if size == 0:
                return
            if most is not None:
                body = body[:most]
                most -= len(body)
            self.rest += body
            *events, self.rest = self.rest.split(b"\n\n")
            now = time.monotonic()
            for event in events:
                if self.mark and self.mark in event:
                    self.arrived.append(now)
                self.kept.take(event)
            if most == 0:
                return

    async def cut(self) -> None:
        if self.writer is not None:
            self.writer.close()
            with suppress(OSError):
                await self.writer.wait_closed()
            self.writer = None

    async def stay(self, first_pause: float | None = None) -> None:
        """Come back whenever the stream ends: as `retry:` says, or as the pages do, 0.5 s doubling to 8 s."""
        pause = 0.0
        while True:
            try:
                status = await self.connect()
                if status == 200:
                    pause = 0.0
                    await self.read()
                else:
                    self.refused += 1
            except (OSError, asyncio.IncompleteReadError, ValueError):
                pass  # nobody listens there, or not any more
            await self.cut()
            if first_pause is None:
                await asyncio.sleep(self.kept.retries[-1] / 1000 if self.kept.retries else random.uniform(2, 5))
            else:
                pause = min(8.0, pause * 2 or first_pause)
                await asyncio.sleep(pause)
