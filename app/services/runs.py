"""The use cases of runs, for pages and programs alike. Every method raises `app.errors.Problem` where it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Literal, TypeAlias

from app import __version__
from app.asking import LOCAL, asking
from app.channel import Channel, subscribe_together
from app.clock import utc_now
from app.crowd import Crowd
from app.errors import BadRequest, Busy, Conflict, Problem, Unprocessable
from app.services.changes import RunChanges, Unchanged
from app.services.checks import changed_spec, check, check_version
from app.services.description import describe, nothing_yet, values_of
from app.services.held import Held
from app.services.keeping import Keeping, check_disk
from app.services.live import SOON_SECONDS, LiveRuns
from app.services.looking import Json, LookingAtRuns
from app.services.places import InLine
from app.services.watching import Watching
from app.settings import Settings
from app.store import runs as rows
from app.store.database import Database
from app.store.runs import StoredRun
from app.workers.messages import (
    Change,
    Discard,
    Import,
    Narrate,
    Reset,
    Respec,
    SetWeights,
    Step,
    WeightChange,
)
from app.workers.pool import Pool
from app.workers.states import SENTENCES
from engine.specs import RunSpec
from engine.validation import read_run_spec

log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["run", "lab"]
"""A lab's run stands in no list, and goes when there are many."""
NOT_LASTING = "They are kept in memory only, and are gone when this server stops. Save what you want to keep as a file."
CREATE_SECONDS = 1.0
"""A run that is not open by then is answered as queued; its stream tells when it begins."""


class Runs(LookingAtRuns):
    """Wired in the lifespan: `start()` there, `close()` at its end.

    On SIGTERM the server calls `end_streams()` at once, so that open streams end with a `close` event before uvicorn
    waits for them. `close()` then has every run saved.
    """

    def __init__(self, pool: Pool, store: Database, settings: Settings) -> None:
        super().__init__(LiveRuns(pool, store, settings.limits, in_class=settings.class_mode), settings.limits)
        self._pool, self.store = pool, store
        self._watching = Watching(self._live, pool, settings.limits)
        self.keeping = Keeping(store, settings.limits, is_unwanted=self._live.is_unwanted, remove=self._thin_out)
        self.ending = asyncio.Event()
        """Set when every stream is to end."""
        self._stored, self._answered = Crowd(), Crowd()
        self._keys: dict[str, asyncio.Lock] = {}
        self._first_visits: dict[str, asyncio.Lock] = {}

    async def start(self) -> None:
        """Raises StartupError when another server has the data folder."""
        await asyncio.to_thread(self.store.open)
        self._pool.folder = self.store.checkpoints
        await self.keeping.begin()
        await self._live.start()
        self._live.in_background(self.keeping.keep_thin())

    async def close(self) -> None:
        await self._live.close()
        await asyncio.to_thread(self.store.close)

    @property
    def stored(self) -> int:
        """How many runs are kept."""
        return self.keeping.stored

    def end_streams(self, reason: str = "The server is stopping.") -> None:
        self._live.end_streams(reason)
        self.ending.set()

    def in_memory(self) -> list[Held]:
        """Everybody's, whoever asks."""
        return self._live.everybodys()

    @property
    def lasting(self) -> bool:
        """Whether the runs of now are there after the server, too."""
        return not self.store.in_memory

    async def health(self) -> Json:
        """Never waits for a worker. Where files are on this machine is told to nobody who only visits it."""
        notice = self.store.notice if self.lasting or asking.get().everything else NOT_LASTING
        return {
            "status": "ok",
            "version": __version__,
            "workers": sum(worker.ready for worker in self._pool.workers),
            "runs": self._live.running,
            "notice": notice,
        }

    # ---- Creating and finding --------------------------------------------------------------------------------------------

    async def create(
        self,
        spec: RunSpec,
        *,
        state: Literal["running", "paused"] = "running",
        idempotency_key: str | None = None,
        kind: Kind = "run",
        named: bool = False,
    ) -> Json:
        """A new run of whoever asks. The same key with the same request again answers with the run that it made the first time.

        `named`: somebody chose its name.
        """
        if idempotency_key is None:
            return await self._create(spec, state, None, "", kind, named)
        if (person := asking.get().person) != LOCAL:
            idempotency_key = f"{person}/{idempotency_key}"
        digest = hashlib.sha256(json.dumps([values_of(spec), state], sort_keys=True).encode()).hexdigest()
        lock = self._keys.setdefault(idempotency_key, asyncio.Lock())
        try:
            async with lock:
                if (earlier := await self.store.call(rows.find_key, idempotency_key)) is None:
                    return await self._create(spec, state, idempotency_key, digest, kind, named)
        finally:
            if not lock.locked():
                self._keys.pop(idempotency_key, None)
        if earlier[0] != digest:
            raise Unprocessable("This Idempotency-Key came with another request before.", code="idempotency_key_reused")
        return await self.get(earlier[1])

    async def _create(self, spec: RunSpec, state: str, key: str | None, digest: str, kind: Kind, named: bool) -> Json:
        held = await self._make(spec, state, key, digest, kind, named)
        opening = self._live.begin(held)
        done, _ = await asyncio.wait({opening}, timeout=CREATE_SECONDS)
        await self._answered.turn()
        if done and (error := opening.exception()) is not None and not isinstance(error, Busy):
            await self._remove(held)
            raise error
        return dict(held.channel.run)

    async def _make(self, spec: RunSpec, state: str, key: str | None, digest: str, kind: Kind, named: bool) -> Held:
        """Checked, stored and in memory, not yet in a worker."""
        check(spec)
        self._check_share()
        id, owner = new_id(), asking.get().person
        await self.keeping.reserve(lab=kind == "lab")
        try:
            self._check_share()  # again: others of the same visitor may have come meanwhile
            self._live.places.reserve(id, owner, spec)
        except BaseException:
            self.keeping.give_back()
            raise
        stored = StoredRun(
            id=id,
            created=utc_now(),
            owner=owner,
            spec=values_of(spec),
            state=state,
            sentence=SENTENCES[state],
            generation=0,
            snapshot=nothing_yet(),
            kind=kind,
            named=named,
        )
        held = Held(spec, Channel(describe(stored, spec)), wish=state)
        held.channel.run |= {"state": "queued", "sentence": SENTENCES["queued"]}
        try:
            if not await self.store.call(rows.insert_with_key, stored, key, digest, self._most_named()):
                raise self._too_many_named()
        except BaseException:
            self._live.places.leave(id)
            self.keeping.give_back()
            raise
        held = self._live.keep(held)
        await self._stored.turn()
        return held

    async def _thin_out(self, id: str) -> None:
        """There are too many, and nobody named this one."""
        await self._remove(await self._live.find_any(id))

    def _check_share(self) -> None:
        """One visitor of a class has not more than a share of the places. Raises Busy."""
        asker, most = asking.get(), self._limits.runs_per_visitor
        if not asker.everything and self._live.running_of(asker.person) >= most:
            raise Busy(
                f"{most} of your runs train or wait already. Pause or delete one, or try again when one has finished.",
                status=429,
                retry_after=10,
                code="too_many_of_yours",
            )

    def _most_named(self) -> int | None:
        return None if asking.get().everything else self._limits.named_per_visitor

    def _too_many_named(self) -> Conflict:
        return Conflict(
            f"You keep {self._limits.named_per_visitor} runs with names of their own, which is as many as one visitor may. "
            "Delete one, or leave the name out.",
            code="too_many_named",
        )

    async def _check_named(self, held: Held | None = None) -> None:
        """Raises Conflict when one visitor of a class may name no more runs: none of them would ever make room for others."""
        most = self._most_named()
        if held is not None and held.channel.run["named"]:
            return
        if most is not None and await self.store.call(rows.named_of, asking.get().person) >= most:
            raise self._too_many_named()

    async def list(self, limit: int = 20, cursor: str | None = None, *, shared: bool = False) -> Json:
        """One's own runs (without a class everybody's), or those that the class may look at, newest first; `next` leads on."""
        before: int | None = None
        if cursor is not None:
            if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 15:
                raise BadRequest("This cursor is not one that a list has given.", code="bad_cursor")
            before = int(cursor)
        limit = max(1, min(limit, self._limits.page))
        whose = None if shared or not asking.get().in_class else asking.get().person
        page = await self.store.call(rows.newest, limit + 1, before, whose, shared)
        items = [self._present(stored) for stored in page[:limit]]
        return {"items": items, "next": str(page[limit - 1].number) if len(page) > limit else None}

    def _present(self, stored: StoredRun) -> Json:
        held = self._live.peek(stored.id)
        return describe(stored, read_run_spec(stored.spec)) if held is None else dict(held.channel.run)

    async def get(self, id: str) -> Json:
        return dict((await self._live.find(id)).channel.run)

    async def current(self, dataset: str) -> Json | None:
        """The newest run on such a dataset, if there is any."""
        newest = await self.store.call(rows.newest_of, dataset, asking.get().person)
        return self._present(newest) if newest else None

    async def first(self, spec: RunSpec) -> Json:
        """The newest run on the dataset of `spec`, made of it if there is none yet; of several who ask at once one makes it."""
        person = asking.get().person
        lock = self._first_visits.setdefault(person, asyncio.Lock())
        try:
            async with lock:
                return await self.current(spec.dataset.name) or await self.create(spec)
        finally:
            if not lock.locked():
                self._first_visits.pop(person, None)

    async def delete(self, id: str) -> None:
        """With its history and checkpoints; open streams of it end."""
        await self._remove(await self._live.find_own(id))

    async def _remove(self, held: Held) -> None:
        id = held.id
        self._pool.settle(id, held.owner)
        try:
            await self._live.command(Discard(run=id))
        except Problem as problem:
            log.warning("the checkpoints of run %s may be left on the disk: %s", id, problem.detail)
        self._live.drop(held)
        self.keeping.give_back()
        await self.store.call(rows.delete, id)

    async def seat(self, ids: Iterable[str]) -> InLine | None:
        """Opens some of one's own runs; where the last of them stands in the line, if not all have a place soon."""
        mine = [await self._live.find_own(id) for id in ids]
        found = await asyncio.gather(*(self._live.open_within(held, SOON_SECONDS) for held in mine))
        return max(filter(None, found), key=lambda where: where.position, default=None)

    # ---- Commands ----------------------------------------------------------------------------------------------------------

    async def change(self, id: str, changes: RunChanges, *, expected: str | None = None) -> Json:
        """New hyperparameters, then a new state. Conflict names the state that does not allow it.

        With `expected` only if that is the run's version still; else Overtaken.
        """
        held = await self._live.find_own(id)
        if changes.name is not None:
            await self._check_named(held)
        if changes.shared is not None:
            held.channel.change({"shared": changes.shared})
            self._live.persist(held)
        values = changes.values()
        if values:
            async with held.changing:
                check_version(held, expected)
                await self._change(held, values, changes.state)
            if changes.name is not None:
                self._keep_name(held)
            if (pace := values.get("updates_per_second", Unchanged.UNCHANGED)) is not Unchanged.UNCHANGED:
                held.channel.change({"updates_per_second": pace})  # no part of the spec, and a control of every tab
        elif changes.state is not None:  # to pause waits for nothing
            check_version(held, expected)
            goes = changes.state == "running"
            if not (await self._live.line_up(held) if goes else self._live.leave_line(held, changes.state)):
                await self._live.ask(held, Change(run=id, values=values, state=changes.state))
        return dict(held.channel.run)

    async def _change(self, held: Held, values: dict[str, Any], state: str | None) -> None:
        """In its worker; a run that waits for a place begins with the new values when it has one."""
        if (state is not None and held.state != "queued") or not await self._live.is_in_line(held):
            await self._live.ask(held, Change(run=held.id, values=values, state=state))
            return
        hyperparameters = {name: value for name, value in values.items() if name != "updates_per_second"}
        self._live.respecify(held, changed_spec(held.spec, hyperparameters))
        if state is not None and state != "running":
            self._live.leave_line(held, state)

    async def respec(
        self,
        id: str,
        spec: RunSpec,
        *,
        keep: Literal["weights", "nothing"] = "nothing",
        expected: str | None = None,
        named: bool = False,
    ) -> Json:
        """Another spec for the run. What it learned is kept on request, where it fits; else the run begins again.

        With `expected` only if that is the run's version still; else Overtaken. `named`: if its name is another, somebody chose it.
        """
        check(spec)
        held = await self._live.find_own(id)
        if named := named and spec.name != held.spec.name:
            await self._check_named(held)
        async with held.changing:
            check_version(held, expected)
            await self._live.ask(held, Respec(run=id, spec=spec, keep=keep))
        if named:
            self._keep_name(held)
        return dict(held.channel.run)

    def _keep_name(self, held: Held) -> None:
        """Somebody chose it: the run is not deleted unasked."""
        held.channel.change({"named": True})
        self._live.persist(held)

    async def set_weights(self, id: str, index: int, changes: tuple[WeightChange, ...]) -> Json:
        """Weights and biases of a dense layer by hand, all or none of them."""
        held = await self._live.find_own(id)
        await self._live.ask(held, SetWeights(run=id, index=index, changes=changes))
        return dict(held.channel.run)

    async def step(self, id: str, count: int) -> Json:
        """Exactly `count` updates of a paused run; answers when they are done."""
        if not 1 <= count <= self._limits.steps:
            raise Unprocessable(f"1 to {self._limits.steps:,} updates at a time.", field="/count")
        held = await self._live.find_own(id)
        await self._live.ask(held, Step(run=id, count=count))
        return dict(held.channel.run)

    async def narrate(self, id: str) -> Json:
        """One update of a paused run, and what was done in it, stage by stage."""
        held = await self._live.find_own(id)
        told: Json = await self._live.ask(held, Narrate(run=id))
        return told

    async def reset(self, id: str, *, seed: int | None = None) -> Json:
        """Where it began: step 0 with the same initial weights, or what was imported; or step 0 with another seed's."""
        held = await self._live.find_own(id)
        try:
            await self._live.ask(held, Reset(run=id, seed=seed))
        except Problem:
            if held.state != "interrupted" or self._pool.is_settled(id):
                raise
            await self._live.begin_anew(held)  # what was saved cannot be read, and is not needed
            await self._live.ask(held, Reset(run=id, seed=seed))
        return dict(held.channel.run)

    # ---- Files ---------------------------------------------------------------------------------------------------------------

    async def import_model(self, body: bytes, filename: str) -> Json:
        """A new, paused run from a file."""
        self._check_share()
        await self._check_named()
        check_disk(self.store, self._limits)
        id, owner = new_id(), asking.get().person
        await self.keeping.reserve()
        try:
            await self._live.places.soon(id, owner, RunSpec())
            spec, snapshot = await self._live.command(Import(run=id, body=body, filename=filename, owner=owner))
        except BaseException:
            self._live.places.leave(id)
            self.keeping.give_back()
            raise
        stored = StoredRun(
            id=id,
            created=utc_now(),
            owner=owner,
            spec=values_of(spec),
            state=snapshot.pop("state"),
            sentence=snapshot.pop("sentence"),
            generation=0,
            snapshot=snapshot,
            named=True,  # it was called so in its file, and is not made again from a seed
        )
        await self.store.call(rows.insert, stored)
        return dict(self._live.hold(stored, spec).channel.run)

    # ---- Watching ------------------------------------------------------------------------------------------------------------

    async def watch(self, id: str, watch_id: str, watch: Json) -> None:
        """What one page looks at: an example, whether with gradients, and up to `limits.tiles` test examples."""
        if len(watch.get("tiles") or ()) > self._limits.tiles:
            raise Unprocessable(f"At most {self._limits.tiles} tiles.", field="/tiles")
        await self._watching.watch(await self._live.find(id), watch_id, watch)

    def is_followed(self, id: str) -> bool:
        """Whether a stream of this run is open."""
        held = self._live.peek(id)
        return held is not None and bool(held.channel.readers)

    async def subscribe(
        self, id: str, views: frozenset[str], watch_id: str | None, last_event_id: str | None
    ) -> AsyncIterator[bytes]:
        """The run's stream, as bytes. Refuses before the response begins; iterate, and `aclose()` in the end."""
        held = await self._live.find(id)
        pings = self._limits.ping_seconds
        return self._watching.stream(
            [held], watch_id, held.channel.subscribe(views, watch_id, last_event_id, ping_seconds=pings)
        )

    async def subscribe_together(
        self, ids: Sequence[str], views: frozenset[str], watch_id: str | None
    ) -> AsyncIterator[bytes]:
        """One stream of several runs, as bytes; like `subscribe`, and without any of the runs there is none."""
        held = [await self._live.find(id) for id in dict.fromkeys(ids)]
        channels, pings = [run.channel for run in held], self._limits.ping_seconds
        return self._watching.stream(held, watch_id, subscribe_together(channels, views, watch_id, ping_seconds=pings))


def new_id() -> str:
    return secrets.token_hex(8)
