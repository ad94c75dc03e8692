"""A worker as the pool knows it: something that takes messages, says what it does, and may end at any moment.

What a worker is made of is the link's own affair: a process and a pipe here, something on another machine elsewhere
(app.workers.cluster). What is done with it, who lives there and what follows from its end, is the pool's.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from app.workers.exits import WorkerExit, classify
from app.workers.messages import Request, Shutdown
from app.workers.process import ONE_THREAD, Bounds, Pulse, main


class Ended:
    """The last that is heard of a worker."""


class Link(ABC):
    """One worker of one slot. `quiet_since` is when its pulse was last seen to move (monotonic seconds).

    What is sent waits in the outbox, until whoever `begin` has set to it takes it there; None is the end.
    """

    pulse: Pulse

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.ready = self.hung = self.ended = False
        self.beat = 0
        self.quiet_since = time.monotonic()
        self._outbox: SimpleQueue[Request | Shutdown | None] = SimpleQueue()

    def send(self, message: Request | Shutdown) -> None:
        """In order, and without waiting."""
        self._outbox.put(message)

    @property
    def backlog(self) -> int:
        """Messages that wait to be sent."""
        return self._outbox.qsize()

    @abstractmethod
    def begin(self, deliver: Callable[[object], bool]) -> None:
        """From now on every notification is delivered from a thread, until that says False; as the last one `Ended`."""

    @property
    @abstractmethod
    def is_placed(self) -> bool:
        """Whether it has, or will at once have, a processor to work on; a run is better off there."""

    @abstractmethod
    def kill(self) -> None:
        """End it now, whatever it is doing."""

    def close(self) -> None:
        """It has ended: let go of what belonged to it."""
        self._outbox.put(None)

    @property
    @abstractmethod
    def exit(self) -> WorkerExit:
        """How it ended."""

    @property
    def culprit(self) -> str | None:
        """The run that was being worked on when it ended, if there was one."""
        return self.pulse.run.decode() or None


class ProcessLink(Link):
    """A process of this machine. Spawned, not forked: the server has threads.

    One thread reads its pipe; another writes, so that the loop never waits for a worker that is not reading.
    """

    def __init__(self, slot: int, folder: Path, bounds: Bounds) -> None:
        super().__init__(slot)
        os.environ.update(ONE_THREAD)  # the worker inherits it; the server itself has no use for more
        context = multiprocessing.get_context("spawn")
        self.pulse = context.RawValue(Pulse)
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=main, args=(theirs, self.pulse, os.getpid(), folder, bounds), name=f"worker-{slot}", daemon=True
        )
        self.process.start()
        theirs.close()

    def begin(self, deliver: Callable[[object], bool]) -> None:
        for name, work in (
            (f"from-worker-{self.slot}", lambda: self._read(deliver)),
            (f"to-worker-{self.slot}", self._write),
        ):
            threading.Thread(target=work, name=name, daemon=True).start()

    @property
    def is_placed(self) -> bool:
        return True

    def kill(self) -> None:
        self.process.kill()

    def close(self) -> None:
        super().close()
        self.connection.close()

    @property
    def exit(self) -> WorkerExit:
        return classify(self.process.exitcode, hung=self.hung)

    def _read(self, deliver: Callable[[object], bool]) -> None:
        try:
            while deliver(self.connection.recv()):
                pass
        except (EOFError, OSError):
            self.process.join()
            deliver(Ended())

    def _write(self) -> None:
        """In a thread of its own, because a pipe that is full makes its writer wait."""
        while (message := self._outbox.get()) is not None:
            try:
                self.connection.send(message)
            except OSError:  # it is dead; its reader knows
                return


class Machine:
    """Where workers come from: the server's own machine."""

    cores = 0
    """How many workers to wait for at the start: here each has its place at once."""

    def __init__(self, workers: int | None) -> None:
        self._workers = workers

    async def open(self) -> int:
        """How many workers there are to be: as many as cores."""
        return self._workers or os.cpu_count() or 1

    def link(self, slot: int, folder: Path, bounds: Bounds) -> Link:
        return ProcessLink(slot, folder, bounds)

    async def close(self) -> None:
        """Nothing is left when the workers have ended."""
