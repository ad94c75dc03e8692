"""The worker processes, as many as cores, and the pipe to each.

Spawned, not forked: the server has threads. One thread a worker reads its pipe and hands every notification to the
event loop; another writes, so that the loop never waits for a worker that is not reading. A worker that dies is told by
the end of its pipe, one that hangs by the stillness of its pulse; both are replaced at once, and `on_death` hears which
runs lived there and which of them was being worked on.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any

from app.settings import Settings
from app.workers.exits import WorkerExit, classify
from app.workers.messages import Answer, Command, Compute, Notification, Ready, Refusal, Request, Shutdown
from app.workers.process import ONE_THREAD, Pulse, main

log = logging.getLogger(__name__)

HANG_SECONDS = 10.0
START_SECONDS = 60.0
WATCH_SECONDS = 0.5
FAREWELL_SECONDS = 5.0
"""On an idle machine 300 runs are saved within one; the rest is for slow disks."""
LONGEST_PAUSE = 10.0
MOST_UNANSWERED = 2_000
"""Commands under way to one worker; beyond it the pool is busy."""


class PoolBusyError(Exception):
    """A worker has more commands before it than it can serve soon."""


class PoolClosingError(Exception):
    """The server is stopping; the worker will not answer any more."""


class WorkerDiedError(Exception):
    """The worker ended before it answered; its runs are being restored."""


class RefusedError(Exception):
    """The worker did not carry a command out; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Death:
    """`runs` lived in the worker; `culprit` was being worked on when it died, if any was."""

    exit: WorkerExit
    runs: list[str]
    culprit: str | None


@dataclass(slots=True, eq=False)
class Worker:
    """One process of one slot. `quiet_since` is when its pulse was last seen to move (monotonic seconds)."""

    slot: int
    process: BaseProcess
    connection: Connection
    pulse: Pulse
    outbox: SimpleQueue[Request | Shutdown | None] = field(default_factory=SimpleQueue)
    waiting: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    ready: bool = False
    hung: bool = False
    beat: int = 0
    quiet_since: float = field(default_factory=time.monotonic)


class Pool:
    """`start()` on the event loop, then `ask` and `tell`; `close()` lets every run be saved."""

    def __init__(self, settings: Settings, *, hang_seconds: float = HANG_SECONDS) -> None:
        self.size = settings.workers or os.cpu_count() or 1
        self.workers: list[Worker] = []
        self._folder = settings.data / "checkpoints"
        self._hang_seconds = hang_seconds
        self._answer_seconds = settings.limits.command_timeout
        self._context = multiprocessing.get_context("spawn")
        self._numbers = itertools.count(1)
        self._homes: dict[str, int] = {}
        self._false_starts = [0] * self.size
        self._closing = False
        self._ending = False
        self._all_gone = asyncio.Event()

    async def start(self, on_notification: Callable[[Notification], None], on_death: Callable[[Death], None]) -> None:
        """Both are called on the event loop, in the order in which things happened."""
        self._loop = asyncio.get_running_loop()
        self._on_notification, self._on_death = on_notification, on_death
        os.environ.update(ONE_THREAD)  # the workers inherit it; the server itself has no use for more
        self.workers = [self._spawn(slot) for slot in range(self.size)]
        self._watch = asyncio.create_task(self._watch_pulses())

    def end_questions(self) -> None:
        """Whoever waits for an answer is told at once that there will be none; so is whoever asks from now on."""
        self._ending = True
        for worker in self.workers:
            for answer in worker.waiting.values():
                if not answer.done():
                    answer.set_exception(PoolClosingError())

    async def close(self) -> None:
        """Every worker saves its runs and ends; one that takes too long is ended."""
        if self._closing or not self.workers:
            return
        self._closing = True
        self._watch.cancel()
        for worker in self.workers:
            if worker.ready:
                worker.outbox.put(Shutdown())
            else:
                worker.process.kill()  # it is still starting, so it has nothing to save
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._all_gone.wait()
        except TimeoutError:
            for worker in self.workers:
                worker.process.kill()
            await self._all_gone.wait()

    # ---- Runs and commands -------------------------------------------------------------------------------------------------

    def settle(self, run: str) -> None:
        """Give a run a home: the worker with the fewest."""
        if run not in self._homes:
            inhabitants = Counter(self._homes.values())
            self._homes[run] = min(range(self.size), key=lambda slot: inhabitants[slot])

    def forget(self, run: str) -> None:
        self._homes.pop(run, None)

    def is_settled(self, run: str) -> bool:
        return run in self._homes

    @property
    def settled(self) -> list[str]:
        """The runs that live in workers."""
        return list(self._homes)

    async def ask(self, command: Command) -> Any:
        """The worker's answer. Raises RefusedError, WorkerDiedError, PoolBusyError, PoolClosingError, or TimeoutError."""
        if self._ending:
            raise PoolClosingError
        worker = self._home(command)
        number = next(self._numbers)
        answer: asyncio.Future[Any] = self._loop.create_future()
        worker.waiting[number] = answer
        worker.outbox.put(Request(number, command))
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await answer
        finally:
            worker.waiting.pop(number, None)

    def tell(self, command: Command) -> None:
        """Nobody waits for the answer."""
        self._home(command).outbox.put(Request(0, command))

    def _home(self, command: Command) -> Worker:
        if isinstance(command, Compute):
            worker = min(self.workers, key=lambda worker: (not worker.ready, len(worker.waiting)))
        elif command.run in self._homes:
            worker = self.workers[self._homes[command.run]]
        else:
            raise WorkerDiedError
        if len(worker.waiting) > MOST_UNANSWERED or worker.outbox.qsize() > MOST_UNANSWERED:
            raise PoolBusyError
        return worker

    # ---- Life and death ------------------------------------------------------------------------------------------------------

    def _spawn(self, slot: int) -> Worker:
        ours, theirs = self._context.Pipe()
        pulse: Pulse = self._context.RawValue(Pulse)
        process = self._context.Process(
            target=main, args=(theirs, pulse, os.getpid(), self._folder), name=f"worker-{slot}", daemon=True
        )
        process.start()
        theirs.close()
        worker = Worker(slot, process, ours, pulse)
        threading.Thread(target=self._read, args=(worker,), name=f"from-worker-{slot}", daemon=True).start()
        threading.Thread(target=write, args=(worker,), name=f"to-worker-{slot}", daemon=True).start()
        return worker

    def _read(self, worker: Worker) -> None:
        """In a thread of its own: every notification to the loop, then, once, that there will be no more."""
        try:
            while True:
                notification = worker.connection.recv()
                if not self._hand_over(self._received, worker, notification):
                    return
        except (EOFError, OSError):
            worker.process.join()
            self._hand_over(self._ended, worker)

    def _hand_over(self, function: Callable[..., None], *values: Any) -> bool:
        """False when there is nobody left to tell: the loop was closed without `close`."""
        try:
            self._loop.call_soon_threadsafe(function, *values)
        except RuntimeError:
            return False
        return True

    def _received(self, worker: Worker, notification: Notification) -> None:
        match notification:
            case Ready():
                worker.ready = True
                self._false_starts[worker.slot] = 0
            case Answer(number=number, value=value):
                if (answer := worker.waiting.get(number)) is not None and not answer.done():
                    answer.set_result(value)
            case Refusal(number=number):
                if (answer := worker.waiting.get(number)) is not None and not answer.done():
                    answer.set_exception(RefusedError(notification))
            case _:
                self._on_notification(notification)

    def _ended(self, worker: Worker) -> None:
        worker.outbox.put(None)
        worker.connection.close()
        for answer in worker.waiting.values():
            if not answer.done():
                answer.set_exception(WorkerDiedError())
        if self._closing:
            if not any(other.process.is_alive() for other in self.workers):
                self._all_gone.set()
            return
        exit = classify(worker.process.exitcode, hung=worker.hung)
        log.warning("worker %d: %s", worker.slot, exit.message)
        pause = 0.0
        if not worker.ready:
            self._false_starts[worker.slot] += 1
            pause = min(LONGEST_PAUSE, 0.25 * 2 ** self._false_starts[worker.slot])
        culprit = worker.pulse.run.decode() or None
        runs = [run for run, slot in self._homes.items() if slot == worker.slot]
        for run in runs:
            del self._homes[run]
        if pause:
            self._loop.call_later(pause, self._replace, worker, Death(exit, runs, culprit))
        else:
            self._replace(worker, Death(exit, runs, culprit))

    def _replace(self, worker: Worker, death: Death) -> None:
        if self._closing:
            return
        self.workers[worker.slot] = self._spawn(worker.slot)
        self._on_death(death)

    async def _watch_pulses(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = time.monotonic()
            for worker in self.workers:
                if worker.pulse.beat != worker.beat:
                    worker.beat, worker.quiet_since = worker.pulse.beat, now
                patience = max(self._hang_seconds, worker.pulse.allowance) if worker.ready else START_SECONDS
                if now - worker.quiet_since > patience and worker.process.is_alive():
                    worker.hung = True
                    worker.process.kill()


def write(worker: Worker) -> None:
    """In a thread of its own, because a pipe that is full makes its writer wait."""
    while (message := worker.outbox.get()) is not None:
        try:
            worker.connection.send(message)
        except OSError:  # it is dead; its reader knows
            return
