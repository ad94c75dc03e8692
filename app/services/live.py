"""The runs that the server holds in memory: each with its channel, most of them with a home in a worker.

Notifications are folded into the channel and written to the store in the order in which they happened. A run whose
worker died is opened again from its last checkpoint; the one that was being worked on at three deaths in a row, without
a checkpoint between, is not. A run that nobody has touched for long gives its place in a worker to another.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app.channel import Channel
from app.errors import Busy, Conflict, Internal, NotFound, Problem, Unprocessable
from app.services.description import describe, describe_spec, to_store
from app.services.held import RUNNING, Held
from app.settings import Limits
from app.store import checkpoints, metrics, runs
from app.store.database import Database, DatabaseClosedError
from app.store.runs import StoredRun
from app.wire.points import Points
from app.workers.messages import (
    Changed,
    Command,
    Drawn,
    Lend,
    Notification,
    NotSaved,
    Open,
    Progress,
    Release,
    Restored,
    Saved,
    SetWatch,
    Status,
)
from app.workers.pool import Death, Pool, PoolBusyError, PoolClosingError, RefusedError, WorkerDiedError
from app.workers.states import SENTENCES
from engine.specs import RunSpec
from engine.validation import read_run_spec

log = logging.getLogger(__name__)

DEATHS_IN_A_ROW = 3
HAS_TWO_CORES = (os.cpu_count() or 1) > 1
SPARE_CHANNELS = 50
"""Runs without a home whose points stay in memory, for those who look at them again."""


class LiveRuns:
    """Between the pool, the store and the channels, which do not know each other."""

    def __init__(self, pool: Pool, store: Database, limits: Limits) -> None:
        self._pool, self._store, self._limits = pool, store, limits
        self._held: dict[str, Held] = {}
        self._touches = 0
        self._lone: Held | None = None
        self.closing: str | None = None
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Runs that were training when the server ended go on from their last checkpoint."""
        await self._pool.start(self._fold, self._bury)
        for stored in await self._store.call(runs.unfinished):
            # Whoever watched may have seen points that never reached the disk, so the points count anew.
            held = await self._hold(replace(stored, generation=stored.generation + 1))
            self.in_background(self._reopen(held))

    async def close(self) -> None:
        self.end_streams("The server is stopping.")
        for task in self._background:
            task.cancel()
        await self._pool.close()
        for held in self._held.values():
            for watch in held.watches.values():
                if watch.expiry is not None:
                    watch.expiry.cancel()
            self._persist(held)

    def end_streams(self, reason: str) -> None:
        """Every stream ends with `reason`; new ones do so at once, and nobody waits for a worker any more."""
        self.closing = reason
        self._pool.end_questions()
        for held in self._held.values():
            held.channel.close(reason)

    # ---- Holding -------------------------------------------------------------------------------------------------------------

    async def find(self, id: str) -> Held:
        """The run, from memory or from the disk. Raises NotFound."""
        held = self._held.get(id)
        if held is None:
            stored = await self._store.call(runs.find, id)
            if stored is None:
                raise NotFound("There is no such run. It may have been deleted.", code="no_such_run")
            held = await self._hold(stored)
        self._touches += 1
        held.touched = self._touches
        return held

    async def _hold(self, stored: StoredRun) -> Held:
        points = await self._store.call(metrics.read, stored.id)
        return self.hold(stored, read_run_spec(stored.spec), points)

    def hold(self, stored: StoredRun, spec: RunSpec, points: Points | None = None) -> Held:
        """Keep a run in memory; if somebody else was quicker, theirs stays."""
        held = Held(spec, Channel(describe(stored, spec), points), restored_at=stored.snapshot["step"])
        held = self._held.setdefault(stored.id, held)
        if self.closing is not None:
            held.channel.close(self.closing)
        self._let_go_of_some()
        return held

    def peek(self, id: str) -> Held | None:
        return self._held.get(id)

    def drop(self, held: Held) -> None:
        """The run is deleted: its streams end."""
        self._held.pop(held.id, None)
        self._pool.forget(held.id)
        held.channel.close("The run was deleted.")
        self._share_cores()

    @property
    def running(self) -> int:
        return sum(held.state in RUNNING for held in self._held.values())

    def _share_cores(self) -> None:
        """The only run that trains may have the second core, if its spec says so; it gives it back when another begins."""
        training = [held for held in self._held.values() if held.state in RUNNING]
        lone = training[0] if len(training) == 1 and training[0].state == "running" else None
        if lone is not None and (lone.spec.cores < 2 or not HAS_TWO_CORES):
            lone = None
        if lone is self._lone:
            return
        for held, yes in ((self._lone, False), (lone, True)):
            if held is not None and self._pool.is_settled(held.id):
                try:
                    self._pool.tell(Lend(run=held.id, yes=yes))
                except PoolBusyError:
                    log.warning("run %s could not be told about the second core", held.id)
        self._lone = lone

    def _let_go_of_some(self) -> None:
        idle = [held for id, held in self._held.items() if not self._pool.is_settled(id) and self._is_unwanted(held)]
        for held in sorted(idle, key=lambda held: held.touched)[: max(0, len(idle) - SPARE_CHANNELS)]:
            del self._held[held.id]

    def is_unwanted(self, id: str) -> bool:
        """Nobody looks at the run, asks it anything or trains it."""
        held = self._held.get(id)
        return held is None or self._is_unwanted(held)

    def _is_unwanted(self, held: Held) -> bool:
        quiet = held.opening is None and not held.commands and not held.channel.readers and not held.watches
        return quiet and held.state not in RUNNING

    # ---- Commands ------------------------------------------------------------------------------------------------------------

    async def ask(self, held: Held, command: Command) -> Any:
        """The worker's answer, with the run opened first if it has no home. Raises Problems."""
        held.commands += 1
        try:
            await self.open(held)
            return await self.command(command)
        finally:
            held.commands -= 1

    async def open(self, held: Held, *, fresh: bool = False) -> None:
        """Make sure that the run lives in a worker; several who want this at once wait for the same opening."""
        if self._pool.is_settled(held.id) and held.opening is None:
            return
        if held.opening is None:
            held.opening = asyncio.create_task(self._open(held, fresh=fresh))
            held.opening.add_done_callback(heard)
        await asyncio.shield(held.opening)

    async def _open(self, held: Held, *, fresh: bool) -> None:
        state = held.wish if held.state == "queued" else held.state
        sentence = SENTENCES.get(state, held.channel.run["sentence"])
        try:
            await self.make_room()
            self._pool.settle(held.id)
            pace = held.channel.run["updates_per_second"]
            await self.command(
                Open(
                    run=held.id, spec=held.spec, state=state, sentence=sentence, updates_per_second=pace, fresh=fresh
                )
            )
        except Problem as problem:
            if not isinstance(problem, Busy):
                self._pool.forget(held.id)
                self._interrupt(held, problem.detail)
            raise
        finally:
            held.opening = None
        for name, watch in held.watches.items():
            if watch.streams and watch.value is not None:
                self._pool.tell(SetWatch(run=held.id, watch=name, value=watch.value))

    async def begin_anew(self, held: Held) -> None:
        """Open a run at its beginning, whatever was saved of it since."""
        held.channel.run |= {"state": "paused", "sentence": SENTENCES["paused"]}
        await self.open(held, fresh=True)

    async def make_room(self) -> None:
        """Put away the run that was wanted least lately, if all places are taken. Raises Busy when all are in use."""
        if len(self._pool.settled) < self._limits.runs_live:
            return
        homes = [held for id in self._pool.settled if (held := self._held.get(id)) is not None]
        idle = [held for held in homes if self._is_unwanted(held)]
        if not idle:
            raise Busy(
                f"All {self._limits.runs_live} places for runs are in use. Stop or delete one, or try again later.",
                retry_after=30,
                code="too_many_live_runs",
            )
        oldest = min(idle, key=lambda held: held.touched)
        try:
            await self.command(Release(run=oldest.id))
        finally:
            self._pool.forget(oldest.id)

    async def command(self, command: Command) -> Any:
        """The answer of the worker where the run lives, its refusals as Problems."""
        try:
            return await self._pool.ask(command)
        except RefusedError as error:
            raise problem_of(error) from error
        except WorkerDiedError as error:
            raise Busy(
                "The worker of this run ended before it answered. The run is being restored; try again.", retry_after=2
            ) from error
        except PoolClosingError as error:
            raise Busy("The server is stopping. Try again when it is back.", code="stopping") from error
        except PoolBusyError as error:
            raise Busy("There are more commands under way than can be served soon. Try again in a moment.") from error
        except TimeoutError as error:
            raise Busy(
                "The worker of this run is busy with something long. Try again in a moment.", retry_after=10
            ) from error

    # ---- Notifications -------------------------------------------------------------------------------------------------------

    def _fold(self, notification: Notification) -> None:
        held = self._held.get(getattr(notification, "run", ""))
        if held is None:
            return
        channel = held.channel
        match notification:
            case Progress(snapshot=snapshot, points=points):
                channel.progress(snapshot, points)
                if points["step"]:
                    self._post(metrics.append, held.id, points)
            case Status(snapshot=snapshot):
                channel.status(snapshot)
                self._persist(held)
                self._share_cores()
            case Changed(spec=spec):
                held.spec = spec
                channel.change(describe_spec(spec))
                self._persist(held)
                self._share_cores()
            case Restored(snapshot=snapshot, anew=anew):
                held.restored_at = snapshot["step"]
                channel.restore(snapshot, force=anew)
                self._post(metrics.truncate, held.id, snapshot["step"])
                self._persist(held)
                self._share_cores()
            case Saved(step=step, size=size):
                if step > held.restored_at:
                    held.deaths = 0
                self._post(checkpoints.record, held.id, step, size, utc_now())
                self._persist(held)
                if held.unsaved:
                    held.unsaved = False
                    channel.status({})
            case NotSaved(message=message):
                held.unsaved = True
                log.warning("run %s: %s", held.id, message)
                channel.status({"sentence": f"{message} Training goes on in memory and saves again as soon as it can."})
            case Drawn(watch=watch, view=view, event=event):
                channel.draw(watch, view, event)

    def _bury(self, death: Death) -> None:
        """A worker died: its runs go on elsewhere, except the one that keeps ending its workers."""
        if self._lone is not None and self._lone.id in death.runs:
            self._lone = None  # what it was lent died with its worker
        for id in death.runs:
            held = self._held.get(id)
            if held is None:
                continue
            if id == death.culprit:
                held.deaths += 1
                if held.deaths >= DEATHS_IN_A_ROW:
                    sentence = (
                        f"{death.exit.message} That happened {held.deaths} times in a row with this run, so it is not "
                        "started again. Run it on to try once more, or reset it."
                    )
                    held.deaths = 0
                    held.channel.status({"state": "worker-crashed", "sentence": sentence})
                    self._persist(held)
                    continue
            if held.state in RUNNING or any(watch.streams for watch in held.watches.values()):
                self.in_background(self._reopen(held))

    async def _reopen(self, held: Held) -> None:
        try:
            await self.open(held)
        except Problem as problem:
            log.warning("run %s could not be opened again: %s", held.id, problem.detail)

    def _interrupt(self, held: Held, why: str) -> None:
        sentence = f"{why} Run it on to try once more, or reset it to train from the beginning."
        held.channel.status({"state": "interrupted", "sentence": sentence})
        self._persist(held)

    def _persist(self, held: Held) -> None:
        stored = to_store(held.channel.run, held.spec)
        if held.state == "queued":  # waiting for a worker is nothing to come back to
            stored = replace(stored, state=held.wish, sentence=SENTENCES[held.wish])
        self._post(runs.update, stored)

    def _post(self, work: Any, *values: Any) -> None:
        try:
            self._store.post(work, *values)
        except DatabaseClosedError:
            log.debug("a notification came after the end")

    def in_background(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def heard(task: asyncio.Task[None]) -> None:
    """Whoever waited for it may have gone; what went wrong stands in the run's state."""
    if not task.cancelled():
        task.exception()


def problem_of(error: RefusedError) -> Problem:
    """A worker's refusal in the words of the web."""
    refusal = error.refusal
    match refusal.kind:
        case "conflict":
            return Conflict(refusal.message, state=refusal.state)
        case "spec":
            return Unprocessable(refusal.message, field=refusal.field, code=refusal.code or "impossible_spec")
        case "format":
            return Unprocessable(refusal.message, field=refusal.field, code="unreadable_file")
        case "input":
            return Unprocessable(refusal.message, code="impossible_input")
        case "dataset":
            return Problem(503, "dataset_unavailable", "The dataset is not there", refusal.message)
        case "disk":
            return Problem(503, "disk_unavailable", "The disk took nothing", refusal.message)
        case _:
            return Internal()


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
