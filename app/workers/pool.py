"""The workers, as many as cores: which run lives where, what is asked of whom, and what follows when one ends.

A worker that dies is told by the end of its link, one that hangs by the stillness of its pulse; both are replaced at
once, and `on_death` hears which runs lived there and which of them was being worked on.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from app.settings import Settings
from app.workers.exits import WorkerExit
from app.workers.handover import Handover
from app.workers.links import Ended, Link, Machine
from app.workers.messages import Answer, Command, Compute, Notification, Ready, Refusal, Request, Shutdown
from app.workers.process import Bounds

if TYPE_CHECKING:
    from app.workers.cluster import Cluster

log = logging.getLogger(__name__)

HANG_SECONDS = 10.0
START_SECONDS = 60.0
WATCH_SECONDS = 0.5
PLACE_SECONDS = 0.05
LATE_SECONDS = 1.0
"""How much later than that the server looks when it was held up itself."""
FAREWELL_SECONDS = 5.0
"""On an idle machine 300 runs are saved within one; the rest is for slow disks."""
LONGEST_PAUSE = 10.0
MOST_UNANSWERED = 2_000
"""Commands under way to one worker; beyond it the pool is busy."""
LOCAL = "local"
"""The owner of everything, where there is no class."""


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


class Pool:
    """`start()` on the event loop, then `ask` and `tell`; `close()` lets every run be saved."""

    def __init__(self, settings: Settings, *, hang_seconds: float = HANG_SECONDS) -> None:
        self.workers: list[Link] = []
        self._site = site_of(settings)
        self.folder = settings.data / "checkpoints"
        """Where checkpoints go; the store may choose another before `start`."""
        self._hang_seconds = hang_seconds
        self._answer_seconds = settings.limits.command_timeout
        self._bounds = Bounds(settings.limits.run_seconds, settings.limits.memory_bytes)
        self._numbers = itertools.count(1)
        self._homes: dict[str, int] = {}
        self._owners: dict[str, str] = {}
        self._false_starts: Counter[int] = Counter()
        self._closing = False
        self._ending = False
        self._all_gone = asyncio.Event()

    async def start(self, on_notification: Callable[[Notification], None], on_death: Callable[[Death], None]) -> None:
        """Both are called on the event loop, in the order in which things happened."""
        self._loop = asyncio.get_running_loop()
        self._on_notification, self._on_death = on_notification, on_death
        self.workers = [self._spawn(slot) for slot in range(await self._site.open())]
        self._watch = asyncio.create_task(self._watch_pulses())
        await self._wait_for_places()

    async def _wait_for_places(self) -> None:
        """So that the first runs are not all settled where the first worker found its place."""
        until = time.monotonic() + START_SECONDS
        places = min(self._site.cores, len(self.workers))
        while sum(worker.is_placed for worker in self.workers) < places and time.monotonic() < until:
            await asyncio.sleep(PLACE_SECONDS)

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
        self._see_whether_all_are_gone()
        for worker in self.workers:
            if worker.ready:
                worker.send(Shutdown())
            else:
                worker.kill()  # it is still starting, so it has nothing to save
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._all_gone.wait()
        except TimeoutError:
            for worker in self.workers:
                worker.kill()
            await self._all_gone.wait()
        await self._site.close()

    # ---- Runs and commands -------------------------------------------------------------------------------------------------

    def settle(self, run: str, owner: str = LOCAL) -> None:
        """Give a run a home, if it has none.

        All runs of one owner live together, with as few other owners as can be: so whoever has many slows down
        nobody elsewhere. The one who has the whole server is spread over all workers.
        """
        if run not in self._homes:
            together = None if owner == LOCAL else self._home_of(owner)
            self._homes[run] = self._emptiest() if together is None else together
            self._owners[run] = owner

    def _home_of(self, owner: str) -> int | None:
        """Where the owner's runs live; None without any."""
        return next((slot for run, slot in self._homes.items() if self._owners[run] == owner), None)

    def _emptiest(self) -> int:
        """The slot with the fewest owners, among those the one with the fewest runs."""
        runs = Counter(self._homes.values())
        owners = Counter(
            slot for owner, slot in {(self._owners[run], slot) for run, slot in self._homes.items()} if owner != LOCAL
        )
        return min(
            range(len(self.workers)),
            key=lambda slot: (not self.workers[slot].is_placed or self.workers[slot].ended, owners[slot], runs[slot]),
        )

    def forget(self, run: str) -> None:
        self._homes.pop(run, None)
        self._owners.pop(run, None)

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
        worker.send(Request(number, command))
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await answer
        finally:
            worker.waiting.pop(number, None)

    def tell(self, command: Command) -> None:
        """Nobody waits for the answer."""
        self._home(command).send(Request(0, command))

    def _home(self, command: Command) -> Link:
        if isinstance(command, Compute):
            worker = self._computer(command.owner)
        elif command.run in self._homes:
            worker = self.workers[self._homes[command.run]]
        else:
            raise WorkerDiedError
        if worker.ended:
            raise WorkerDiedError
        if len(worker.waiting) > MOST_UNANSWERED or worker.backlog > MOST_UNANSWERED:
            raise PoolBusyError
        return worker

    def _computer(self, owner: str) -> Link:
        """Who works something out for an owner: the worker of the owner's runs, else the least busy one."""
        if owner != LOCAL and (slot := self._home_of(owner)) is not None:
            return self.workers[slot]
        return min(self.workers, key=lambda worker: (worker.ended, not worker.ready, len(worker.waiting)))

    # ---- Life and death ------------------------------------------------------------------------------------------------------

    def _spawn(self, slot: int) -> Link:
        worker = self._site.link(slot, self.folder, self._bounds)
        worker.begin(Handover(self._loop, partial(self._received, worker)).put)
        return worker

    def _received(self, worker: Link, notification: Notification | Ended) -> None:
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
            case Ended():
                self._ended(worker)
            case _:
                self._on_notification(notification)

    def _ended(self, worker: Link) -> None:
        worker.ended = True
        worker.close()
        for answer in worker.waiting.values():
            if not answer.done():
                answer.set_exception(WorkerDiedError())
        if self._closing:
            self._see_whether_all_are_gone()
            return
        log.warning("worker %d: %s", worker.slot, worker.exit.message)
        pause = 0.0
        if not worker.ready:
            self._false_starts[worker.slot] += 1
            pause = min(LONGEST_PAUSE, 0.25 * 2 ** self._false_starts[worker.slot])
        if pause:
            self._loop.call_later(pause, self._replace, worker)
        else:
            self._replace(worker)

    def _replace(self, worker: Link) -> None:
        """Those that were settled there while it paused are as homeless as those that lived there."""
        if self._closing:
            return
        runs = [run for run, slot in self._homes.items() if slot == worker.slot]
        for run in runs:
            self.forget(run)
        self.workers[worker.slot] = self._spawn(worker.slot)
        self._on_death(Death(worker.exit, runs, worker.culprit))

    def _see_whether_all_are_gone(self) -> None:
        if all(worker.ended for worker in self.workers):
            self._all_gone.set()

    async def _watch_pulses(self) -> None:
        """Whoever gives no sign of life is ended; where the server itself was held up, nothing can be said of others."""
        looked = time.monotonic()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = time.monotonic()
            late, looked = now - looked > WATCH_SECONDS + LATE_SECONDS, now
            for worker in self.workers:
                if worker.pulse.beat != worker.beat or late:
                    worker.beat, worker.quiet_since = worker.pulse.beat, now
                patience = max(self._hang_seconds, worker.pulse.allowance) if worker.ready else START_SECONDS
                waits = worker.ended or not worker.is_placed
                if now - worker.quiet_since > patience and not waits:
                    worker.hung = True
                    worker.kill()


def site_of(settings: Settings) -> Machine | Cluster:
    """Where workers come from. Raises SettingsError when that needs what is not installed."""
    if settings.cluster is None:
        return Machine(settings.workers)
    from app.workers.cluster import Cluster

    return Cluster(settings)
