"""The runs that the server holds in memory, each with its channel, and who may find which of them."""

from __future__ import annotations

import logging
from dataclasses import replace
from time import monotonic
from typing import Any

from app.asking import HOST, asking
from app.channel import Channel
from app.clock import utc_now
from app.errors import Forbidden, NoSuchRun
from app.services.description import describe, to_store
from app.services.held import RUNNING, Held
from app.services.places import Places
from app.store import metrics, runs
from app.store.database import Database, DatabaseClosedError
from app.store.runs import StoredRun
from app.wire.points import Points
from app.workers.pool import Pool
from app.workers.states import SENTENCES
from engine.specs import RunSpec
from engine.validation import read_run_spec

log = logging.getLogger(__name__)

SPARE_CHANNELS = 50
"""Runs without a home whose points stay in memory, for those who look at them again."""
TOUCH_SECONDS = 600.0
"""When somebody last wanted something of a run is written down no more often than this."""


class HeldRuns:
    """Between the store and the channels. A run that nobody looks at is let go of, and read again when somebody does."""

    places: Places

    def __init__(self, pool: Pool, store: Database) -> None:
        self._pool, self._store = pool, store
        self._held: dict[str, Held] = {}
        self._touches = 0
        self.closing: str | None = None

    async def find(self, id: str) -> Held:
        """The run, from memory or from the disk, for one who may see it. Raises NoSuchRun, for another's private one too."""
        held = self._held.get(id)
        if held is None:
            stored = await self._store.call(runs.find, id)
            if stored is None:
                raise NoSuchRun
            held = await self._hold(stored)
        if not asking.get().may_see(held.owner, held.channel.run["shared"]):
            raise NoSuchRun
        self._touch(held)
        return held

    async def find_any(self, id: str) -> Held:
        """For the server's own work, whoever's request it is done in. Raises NoSuchRun."""
        token = asking.set(HOST)
        try:
            return await self.find(id)
        finally:
            asking.reset(token)

    async def find_own(self, id: str) -> Held:
        """The run, for one who wants to steer it. Raises NoSuchRun, or Forbidden for another's that is only shared."""
        held = await self.find(id)
        if not asking.get().may_steer(held.owner):
            raise Forbidden(
                "This run belongs to somebody else: it can be looked at, but not steered. Make one like it of your own.",
                code="not_yours",
            )
        return held

    def _touch(self, held: Held) -> None:
        self._touches += 1
        held.touched = self._touches
        if (now := monotonic()) - held.touch_written > TOUCH_SECONDS:
            held.touch_written = now
            self._post(runs.touch, held.id, utc_now())

    async def _hold(self, stored: StoredRun) -> Held:
        points = await self._store.call(metrics.read, stored.id)
        return self.hold(stored, read_run_spec(stored.spec), points)

    def hold(self, stored: StoredRun, spec: RunSpec, points: Points | None = None) -> Held:
        """Keep a run in memory; if somebody else was quicker, theirs stays."""
        return self.keep(Held(spec, Channel(describe(stored, spec), points), restored_at=stored.snapshot["step"]))

    def keep(self, held: Held) -> Held:
        """What `hold` does, for a run that is described already: many at once come back from the store together."""
        held = self._held.setdefault(held.id, held)
        if self.closing is not None:
            held.channel.close(self.closing)
        self._let_go_of_some()
        return held

    def peek(self, id: str) -> Held | None:
        return self._held.get(id)

    def everybodys(self) -> list[Held]:
        return list(self._held.values())

    def running_of(self, person: str) -> int:
        return sum(held.owner == person and held.state in RUNNING for held in self._held.values())

    @property
    def running(self) -> int:
        return sum(held.state in RUNNING for held in self._held.values())

    def _let_go_of_some(self) -> None:
        """Of those that neither have a place nor wait for one."""
        if len(self._held) <= self.places.taken + self.places.waiting + SPARE_CHANNELS:
            return
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

    def persist(self, held: Held) -> None:
        """What is known of the run now goes to the disk."""
        stored = to_store(held.channel.run, held.spec)
        if held.state == "queued":  # waiting for a worker is nothing to come back to
            stored = replace(stored, state=held.wish, sentence=SENTENCES[held.wish])
        self._post(runs.update, stored)

    def _post(self, work: Any, *values: Any) -> None:
        try:
            self._store.post(work, *values)
        except DatabaseClosedError:
            log.debug("a notification came after the end")
