"""The runs in memory and their homes in the workers.

Notifications are folded into the channel and written to the store in the order in which they happened. A run whose
worker died is opened again from its last checkpoint; the one that was being worked on at three deaths in a row, without
a checkpoint between, is not. A run that nobody has touched for long gives its place in a worker to another.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice
from time import monotonic
from typing import Any

from app.clock import utc_now
from app.errors import Busy, Problem
from app.services.description import SNAPSHOT, describe_spec
from app.services.held import RUNNING, Held
from app.services.holding import HeldRuns
from app.services.places import PLACE_SECONDS, InLine, Places
from app.services.refused import problem_of
from app.settings import Limits
from app.store import checkpoints, metrics, runs
from app.store.database import Database
from app.workers.messages import (
    Change,
    Changed,
    Command,
    Drawn,
    Gone,
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
from engine.errors import EngineError
from engine.specs import RunSpec

log = logging.getLogger(__name__)

DEATHS_IN_A_ROW = 3
HAS_TWO_CORES = (os.cpu_count() or 1) > 1
SOON_SECONDS = 0.5
"""Whoever may be told to wait hears so after this."""


class LiveRuns(HeldRuns):
    """Between the pool, the store and the channels, which do not know each other."""

    def __init__(self, pool: Pool, store: Database, limits: Limits, *, in_class: bool = False) -> None:
        super().__init__(pool, store)
        self._limits, self._in_class = limits, in_class
        self.places = Places(pool, limits, put_away=self._put_away, tell=self._tell_position)
        self._lone: Held | None = None
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Runs that were training when the server ended go on from their last checkpoint."""
        await self._pool.start(self._fold, self._bury)
        self.in_background(self._go_on(await self._store.call(runs.unfinished)))
        self.in_background(self._tidy())

    async def _go_on(self, ids: list[str]) -> None:
        """One after the other, while pages are served already: there may be hundreds, with thousands of points each."""
        for id in ids:
            try:
                if (stored := await self._store.call(runs.find, id)) is not None:
                    held = self._held.get(id) or await self._hold(stored)
                    self.in_background(self._reopen(held))
            except EngineError as error:
                log.warning("run %s cannot be gone on with: %s", id, error)

    async def close(self) -> None:
        self.end_streams("The server is stopping.")
        self.places.close()
        for task in self._background:
            task.cancel()
        await self._pool.close()
        for held in self._held.values():
            for watch in held.watches.values():
                if watch.expiry is not None:
                    watch.expiry.cancel()
            self.persist(held)

    def end_streams(self, reason: str) -> None:
        """Every stream ends with `reason`; new ones do so at once, and nobody waits for a worker any more."""
        self.closing = reason
        self._pool.end_questions()
        for held in self._held.values():
            held.channel.close(reason)

    def drop(self, held: Held) -> None:
        """The run is deleted: its streams end."""
        self._held.pop(held.id, None)
        self.places.leave(held.id)
        held.channel.close("The run was deleted.")
        self._share_cores()

    def _share_cores(self) -> None:
        """The only run that trains may have the second core, if its spec says so; it gives it back when another begins."""
        training = list(islice((held for held in self._held.values() if held.state in RUNNING), 2))
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

    # ---- Commands ------------------------------------------------------------------------------------------------------------

    async def ask(self, held: Held, command: Command) -> Any:
        """The worker's answer, with the run opened first if it has no home. Raises Problems."""
        held.commands += 1
        try:
            await self._open_soon(held)
            return await self.command(command)
        finally:
            held.commands -= 1

    async def _open_soon(self, held: Held) -> None:
        """Like `open`, for one who waits for the answer; a run that has to wait for a place goes on waiting alone."""
        if await self.open_within(held, PLACE_SECONDS) is not None:
            raise Busy(
                "All places for runs are in use, and this one waits for one. Stop or delete a run, or try again later.",
                retry_after=30,
                code="too_many_live_runs",
            )

    async def open_within(self, held: Held, seconds: float) -> InLine | None:
        """Like `open`; after so many seconds where it stands in the line, if it is there still: it goes on waiting alone."""
        if self._pool.is_settled(held.id) and held.opening is None:
            return None
        opening = asyncio.create_task(self.open(held))
        opening.add_done_callback(heard)
        await asyncio.wait({opening}, timeout=seconds)
        if not opening.done() and (where := self.places.in_line(held.id)) is not None:
            opening.cancel()
            return where
        await opening
        return None

    async def open(self, held: Held, *, fresh: bool = False) -> None:
        """Make sure that the run lives in a worker; several who want this at once wait for the same opening."""
        if self._pool.is_settled(held.id) and held.opening is None:
            return
        await asyncio.shield(held.opening or self.begin(held, fresh=fresh))

    def begin(self, held: Held, *, fresh: bool = False) -> asyncio.Task[None]:
        """Open the run, also where it has a place already but does not live there yet."""
        held.opening = asyncio.create_task(self._open(held, fresh=fresh))
        held.opening.add_done_callback(heard)
        return held.opening

    async def _open(self, held: Held, *, fresh: bool) -> None:
        try:
            if not self._pool.is_settled(held.id):
                await self._take_place(held)
            run = held.channel.run
            state = held.wish if held.state == "queued" else held.state
            sentence = SENTENCES.get(state, run["sentence"])
            await self.command(
                Open(
                    run=held.id,
                    spec=held.spec,
                    state=state,
                    sentence=sentence,
                    updates_per_second=run["updates_per_second"],
                    fresh=fresh,
                    owner=held.owner,
                    stood={name: run[name] for name in SNAPSHOT} if state == "diverged" else None,
                )
            )
        except Problem as problem:
            if not isinstance(problem, Busy):
                self.places.leave(held.id)
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

    # ---- Places --------------------------------------------------------------------------------------------------------------

    async def _take_place(self, held: Held) -> None:
        """Wait in line, if need be, and say so where the run was to train."""
        called = self.places.reserve(held.id, held.owner, held.spec)
        if not called.done():
            if held.state == "running":
                held.wish = "running"
                held.channel.run["state"] = "queued"
            if held.state == "queued" and (where := self.places.in_line(held.id)) is not None:
                self._tell_position(held.id, where)
            try:
                await called
            except asyncio.CancelledError:
                raise Busy("The run was taken out of the line before it had a place. Try again.") from None
        if held.state == "queued":
            held.channel.run |= {"waiting": None, "sentence": SENTENCES["queued"]}
        elif held.channel.run["waiting"] is not None:
            held.channel.status({"waiting": None})

    async def line_up(self, held: Held) -> bool:
        """Whether a paused run has to wait for a place before it can train; it says so, and begins when it has one."""
        if held.state != "paused" or self._pool.is_settled(held.id):
            return False
        where = await self.open_within(held, SOON_SECONDS)
        if where is None or held.state != "paused":
            return False
        held.wish = "running"
        held.channel.status({"state": "queued", "waiting": None})
        self._tell_position(held.id, where)
        self.persist(held)
        return True

    def leave_line(self, held: Held, state: str) -> bool:
        """Whether the run waited for a place: then it wants none any more, and is paused or stopped."""
        if not self.places.is_waiting(held.id) or held.state != "queued":
            return False
        self.places.leave(held.id)
        held.channel.status({"state": state, "sentence": SENTENCES[state], "waiting": None})
        self.persist(held)
        return True

    async def is_in_line(self, held: Held) -> bool:
        """Whether the run has no place and gets none soon: its worker cannot be asked anything."""
        return await self.open_within(held, SOON_SECONDS) is not None

    def respecify(self, held: Held, spec: RunSpec) -> None:
        """The run is made of something else now, in its worker or before it has one."""
        held.spec = spec
        held.channel.change(describe_spec(spec))
        self.persist(held)

    def _tell_position(self, id: str, where: InLine) -> None:
        """To whoever looks at the run; one that would not train either way keeps its own sentence."""
        held = self._held.get(id)
        if held is None or (waiting := asdict(where)) == held.channel.run["waiting"]:
            return
        sentence = {"sentence": f"It waits for a place: {where.words}."} if held.state == "queued" else {}
        held.channel.status({"waiting": waiting, **sentence})

    async def _put_away(self, ids: Iterable[str]) -> str | None:
        idle = [held for id in ids if (held := self._held.get(id)) is not None and self._is_unwanted(held)]
        if not idle:
            return None
        oldest = min(idle, key=lambda held: held.touched)
        oldest.commands += 1  # whoever wants it now waits until it is opened again
        try:
            await self.command(Release(run=oldest.id))
        except Problem as problem:
            log.warning("run %s could not be put away: %s", oldest.id, problem.detail)
        finally:
            oldest.commands -= 1
        return oldest.id

    async def _tidy(self) -> None:
        """What nobody looks at does not go on for ever in a class, and does not stay open anywhere."""
        while True:
            await asyncio.sleep(min(5.0, self._limits.unwatched_seconds, self._limits.idle_seconds))
            now = monotonic()
            for held in list(self._held.values()):
                quiet = now - held.seen_at
                if held.channel.readers or held.watches or held.commands or held.touched != held.touched_before:
                    held.seen_at, held.touched_before = now, held.touched
                elif held.state == "running":
                    if self._in_class and quiet > self._limits.unwatched_seconds and endless(held.spec):
                        held.seen_at = now
                        self.in_background(self.rest(held))
                elif (
                    quiet > self._limits.idle_seconds
                    and self._pool.is_settled(held.id)
                    and await self._put_away([held.id]) is not None
                ):
                    self.places.leave(held.id)

    async def rest(self, held: Held) -> None:
        try:
            await self.ask(held, Change(run=held.id, values={}, state="paused"))
        except Problem as problem:
            log.info("run %s, which nobody follows, could not be paused: %s", held.id, problem.detail)

    # ---- Commands to workers -------------------------------------------------------------------------------------------------

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
                self.persist(held)
                self._share_cores()
            case Changed(spec=spec):
                self.respecify(held, spec)
                self._share_cores()
            case Restored(snapshot=snapshot, anew=anew):
                held.restored_at = snapshot["step"]
                channel.restore(snapshot, force=anew)
                self._post(metrics.truncate, held.id, snapshot["step"])
                self.persist(held)
                self._share_cores()
            case Saved(step=step, size=size):
                if step > held.restored_at:
                    held.deaths = 0
                self._post(checkpoints.record, held.id, step, size, utc_now())
                self.persist(held)
            case NotSaved(message=message):
                log.warning("run %s: %s", held.id, message)
            case Gone():
                self.places.leave(held.id)
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
                    self.persist(held)
                    self.places.leave(id)
                    continue
            if held.state in RUNNING or any(watch.streams for watch in held.watches.values()):
                self.places.keep(id, held.owner)
                self.begin(held)
            else:
                self.places.leave(id)

    async def _reopen(self, held: Held) -> None:
        try:
            await self.open(held)
        except Problem as problem:
            log.warning("run %s could not be opened again: %s", held.id, problem.detail)

    def _interrupt(self, held: Held, why: str) -> None:
        sentence = f"{why} Run it on to try once more, or reset it to train from the beginning."
        held.channel.status({"state": "interrupted", "sentence": sentence})
        self.persist(held)

    def in_background(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def heard(task: asyncio.Task[None]) -> None:
    """Whoever waited for it may have gone; what went wrong stands in the run's state."""
    if not task.cancelled():
        task.exception()


def endless(spec: RunSpec) -> bool:
    """Whether a run trains until somebody stops it."""
    stop = spec.stop
    return stop.steps is None and stop.epochs is None and stop.seconds is None
