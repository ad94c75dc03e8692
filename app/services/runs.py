"""The use cases of runs, for pages and programs alike. Every method raises `app.errors.Problem` where it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Literal, TypeAlias

from app import __version__
from app.channel import ROWS_PER_EVENT
from app.errors import BadRequest, Busy, Conflict, NotFound, Problem, Unprocessable
from app.services.description import describe, describe_layers, nothing_yet, values_of
from app.services.held import Held
from app.services.live import LiveRuns, utc_now
from app.services.points import points_csv, points_json
from app.services.watching import Watching
from app.settings import Settings
from app.store import runs as rows
from app.store.database import Database, StoreUnavailableError
from app.store.runs import StoredRun
from app.wire.points import Points, no_points
from app.workers.messages import (
    Boundary,
    Change,
    Discard,
    Evaluate,
    Export,
    Import,
    ListExamples,
    Predict,
    ReadLayer,
    Reset,
    Respec,
    SetWeights,
    Step,
    WeightChange,
)
from app.workers.pool import Pool
from app.workers.states import SENTENCES
from engine.errors import SpecError
from engine.formats import FormatName
from engine.shapes import check_run
from engine.specs import MnistSpec, OptimizerSpec, PointsSpec, RunSpec, ScheduleSpec, Split, StopSpec
from engine.validation import read_run_spec

log = logging.getLogger(__name__)

Json: TypeAlias = dict[str, Any]
Jsons: TypeAlias = list[Json]

CREATE_SECONDS = 1.0
"""A run that is not open by then is answered as queued; its stream tells when it begins."""


class Unchanged(Enum):
    """What is left as it is, where None says something else."""

    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChanges:
    """What a person may change in a run; a default leaves it as it is.

    `clip_norm` None: any gradient is followed; `updates_per_second` None: as fast as it goes.
    """

    state: Literal["running", "paused", "stopped"] | None = None
    learning_rate: float | None = None
    momentum: float | None = None
    batch_size: int | None = None
    l1: float | None = None
    l2: float | None = None
    name: str | None = None
    stop: StopSpec | None = None
    optimizer: OptimizerSpec | None = None
    schedule: ScheduleSpec | None = None
    clip_norm: float | Unchanged | None = Unchanged.UNCHANGED
    updates_per_second: float | Unchanged | None = Unchanged.UNCHANGED

    def values(self) -> Json:
        """All but the state, by name, where given."""
        return {
            f.name: value
            for f in fields(self)
            if f.name != "state" and (value := getattr(self, f.name)) is not f.default
        }


class Runs:
    """Wired in the lifespan: `start()` there, `close()` at its end.

    On SIGTERM the server calls `end_streams()` at once, so that open streams end with a `close` event before uvicorn
    waits for them. `close()` then has every run saved.
    """

    def __init__(self, pool: Pool, store: Database, settings: Settings) -> None:
        self._pool, self._store, self._limits = pool, store, settings.limits
        self._live = LiveRuns(pool, store, settings.limits)
        self._watching = Watching(self._live, pool, settings.limits)
        self._stored = 0
        self._keys: dict[str, asyncio.Lock] = {}
        self._first_visit = asyncio.Lock()

    async def start(self) -> None:
        """Raises StartupError when the data folder cannot be used."""
        await asyncio.to_thread(self._store.open)
        self._stored = await self._store.call(rows.count)
        await self._live.start()

    async def close(self) -> None:
        await self._live.close()
        await asyncio.to_thread(self._store.close)

    def end_streams(self, reason: str = "The server is stopping.") -> None:
        self._live.end_streams(reason)

    async def health(self) -> Json:
        """Never waits for a worker."""
        return {
            "status": "ok",
            "version": __version__,
            "workers": sum(worker.ready for worker in self._pool.workers),
            "runs": self._live.running,
            "notice": self._store.notice,
        }

    # ---- Creating and finding --------------------------------------------------------------------------------------------

    async def create(
        self, spec: RunSpec, *, state: Literal["running", "paused"] = "running", idempotency_key: str | None = None
    ) -> Json:
        """A new run. The same key with the same request again answers with the run that it made the first time."""
        if idempotency_key is None:
            return await self._create(spec, state, None, "")
        digest = hashlib.sha256(json.dumps([values_of(spec), state], sort_keys=True).encode()).hexdigest()
        lock = self._keys.setdefault(idempotency_key, asyncio.Lock())
        try:
            async with lock:
                if (earlier := await self._store.call(rows.find_key, idempotency_key)) is None:
                    return await self._create(spec, state, idempotency_key, digest)
        finally:
            if not lock.locked():
                self._keys.pop(idempotency_key, None)
        if earlier[0] != digest:
            raise Unprocessable("This Idempotency-Key came with another request before.", code="idempotency_key_reused")
        return await self.get(earlier[1])

    async def _create(self, spec: RunSpec, state: str, key: str | None, digest: str) -> Json:
        held = await self._make(spec, state, key, digest)
        opening = asyncio.create_task(self._live.open(held))
        done, _ = await asyncio.wait({opening}, timeout=CREATE_SECONDS)
        if done and (error := opening.exception()) is not None and not isinstance(error, Busy):
            await self.delete(held.id)
            raise error
        return dict(held.channel.run)

    async def _make(self, spec: RunSpec, state: str, key: str | None, digest: str) -> Held:
        """Checked, stored and in memory, not yet in a worker."""
        check(spec)
        self._check_room()
        await self._live.make_room()
        stored = StoredRun(
            id=new_id(),
            created=utc_now(),
            owner="local",
            spec=values_of(spec),
            state=state,
            sentence=SENTENCES[state],
            generation=0,
            snapshot=nothing_yet(),
        )
        await self._insert(stored, key, digest)
        held = self._live.hold(stored, spec)
        held.wish = state
        held.channel.run |= {"state": "queued", "sentence": SENTENCES["queued"]}
        return held

    async def _insert(self, stored: StoredRun, key: str | None, digest: str) -> None:
        """On the disk before anybody is told; a disk that takes nothing gets it later, and the notice says so."""
        self._stored += 1
        try:
            await self._store.call(rows.insert_with_key, stored, key, digest)
        except StoreUnavailableError:
            self._store.post(rows.insert_with_key, stored, key, digest)

    def _check_room(self) -> None:
        if self._stored >= self._limits.runs_stored:
            raise Conflict(
                f"{self._limits.runs_stored:,} runs are kept already. Delete one to make room.", code="too_many_runs"
            )

    async def list(self, limit: int = 20, cursor: str | None = None) -> Json:
        """Newest first. `next` is the cursor of the following page, or None."""
        before: int | None = None
        if cursor is not None:
            if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 15:
                raise BadRequest("This cursor is not one that a list has given.", code="bad_cursor")
            before = int(cursor)
        limit = max(1, min(limit, self._limits.page))
        page = await self._store.call(rows.newest, limit + 1, before)
        items = [self._present(stored) for stored in page[:limit]]
        return {"items": items, "next": str(page[limit - 1].number) if len(page) > limit else None}

    def _present(self, stored: StoredRun) -> Json:
        held = self._live.peek(stored.id)
        return describe(stored, read_run_spec(stored.spec)) if held is None else dict(held.channel.run)

    async def get(self, id: str) -> Json:
        return dict((await self._live.find(id)).channel.run)

    async def current(self, dataset: str) -> Json | None:
        """The newest run on such a dataset, if there is any."""
        newest = await self._store.call(rows.newest_of, dataset)
        return self._present(newest) if newest else None

    async def first(self, spec: RunSpec) -> Json:
        """The newest run on the dataset of `spec`, made of it if there is none yet; of several who ask at once one makes it."""
        async with self._first_visit:
            return await self.current(spec.dataset.name) or await self.create(spec)

    async def delete(self, id: str) -> None:
        """With its history and checkpoints; open streams of it end."""
        held = await self._live.find(id)
        self._pool.settle(id)
        try:
            await self._live.command(Discard(run=id))
        except Problem as problem:
            log.warning("the checkpoints of run %s may be left on the disk: %s", id, problem.detail)
        self._live.drop(held)
        self._stored -= 1
        self._store.post(rows.delete, id)

    # ---- Commands ----------------------------------------------------------------------------------------------------------

    async def change(self, id: str, changes: RunChanges) -> Json:
        """New hyperparameters, then a new state. Conflict names the state that does not allow it."""
        held = await self._live.find(id)
        values = changes.values()
        if values or changes.state is not None:
            await self._live.ask(held, Change(run=id, values=values, state=changes.state))
        return dict(held.channel.run)

    async def spec(self, id: str) -> Json:
        """All that the run is made of; a table's values are part of it."""
        return values_of((await self._live.find(id)).spec)

    async def respec(self, id: str, spec: RunSpec, *, keep: Literal["weights", "nothing"] = "nothing") -> Json:
        """Another spec for the run. What it learned is kept on request, where it fits; else the run begins again."""
        check(spec)
        held = await self._live.find(id)
        await self._live.ask(held, Respec(run=id, spec=spec, keep=keep))
        return dict(held.channel.run)

    async def set_weights(self, id: str, index: int, changes: tuple[WeightChange, ...]) -> Json:
        """Weights and biases of a dense layer by hand, all or none of them."""
        held = await self._live.find(id)
        await self._live.ask(held, SetWeights(run=id, index=index, changes=changes))
        return dict(held.channel.run)

    async def step(self, id: str, count: int) -> Json:
        """Exactly `count` updates of a paused run; answers when they are done."""
        if not 1 <= count <= self._limits.steps:
            raise Unprocessable(f"1 to {self._limits.steps:,} updates at a time.", field="/count")
        held = await self._live.find(id)
        await self._live.ask(held, Step(run=id, count=count))
        return dict(held.channel.run)

    async def reset(self, id: str, *, seed: int | None = None) -> Json:
        """Where it began: step 0 with the same initial weights, or what was imported; or step 0 with another seed's."""
        held = await self._live.find(id)
        try:
            await self._live.ask(held, Reset(run=id, seed=seed))
        except Problem:
            if held.state != "interrupted" or self._pool.is_settled(id):
                raise
            await self._live.begin_anew(held)  # what was saved cannot be read, and is not needed
            await self._live.ask(held, Reset(run=id, seed=seed))
        return dict(held.channel.run)

    # ---- Looking -------------------------------------------------------------------------------------------------------------

    async def metrics(self, id: str) -> Json:
        """All points as columns, assembled piece by piece so that nobody has to wait for a long history."""
        history = (await self._live.find(id)).channel.history
        points: Points = no_points()
        while len(points["step"]) < len(history):
            start = len(points["step"])
            for column, values in history.points(start, start + ROWS_PER_EVENT).items():
                points[column] += values
            await asyncio.sleep(0)
        return points

    async def layers(self, id: str) -> Jsons:
        return describe_layers((await self._live.find(id)).spec)

    async def layer(self, id: str, index: int, what: set[str], example: Json | None) -> Json:
        held = await self._live.find(id)
        if not 0 <= index < len(held.spec.network):
            raise NotFound(f"The layers of this network are numbered from 0 to {len(held.spec.network) - 1}.")
        answer: Json = await self._live.ask(held, ReadLayer(run=id, index=index, what=frozenset(what), example=example))
        return answer

    async def predict(self, id: str, *, inputs: Jsons | None = None, ink: Json | None = None) -> Json:
        """`inputs` are images or points; `ink` is one drawing, as rows, `{"ink": rows}` or `{"ink_base64": …, "size": n}`."""
        held = await self._live.find(id)
        if inputs is not None and not 1 <= len(inputs) <= self._limits.batch:
            raise Unprocessable(f"1 to {self._limits.batch} examples at a time.", field="/inputs")
        answer: Json = await self._live.ask(held, Predict(run=id, inputs=inputs, ink=ink))
        return answer

    async def points(self, id: str) -> Json:
        """All points of a run, in their order, and which of them are trained on."""
        return await asyncio.to_thread(points_json, await self._points_spec(id))

    async def points_csv(self, id: str) -> bytes:
        return await asyncio.to_thread(points_csv, await self._points_spec(id))

    async def _points_spec(self, id: str) -> PointsSpec:
        dataset = (await self._live.find(id)).spec.dataset
        if isinstance(dataset, MnistSpec):
            raise Unprocessable(
                "This run learns from pictures, not from points; they are at /examples.", code="no_points"
            )
        return dataset

    async def boundary(
        self, id: str, *, resolution: int, layer: int | None, unit: int | None, columns: tuple[int, int]
    ) -> Json:
        """The network's output, or the response of one unit, at every place of the plane."""
        held = await self._live.find(id)
        command = Boundary(run=id, resolution=resolution, layer=layer, unit=unit, columns=columns)
        answer: Json = await self._live.ask(held, command)
        return answer

    async def evaluate(self, id: str, split: Split, *, crops: int | None = None) -> Json:
        """Accuracy, loss and confusion matrix with the weights of this moment."""
        held = await self._live.find(id)
        answer: Json = await self._live.ask(held, Evaluate(run=id, split=split, crops=crops))
        return answer

    async def examples(
        self,
        id: str,
        split: Split,
        *,
        which: Literal["all", "mistakes"] = "all",
        truth: int | None = None,
        predicted: int | None = None,
        offset: int = 0,
        limit: int = 18,
        seed: int | None = None,
    ) -> Json:
        """One page of a split's examples with the classes they are taken for."""
        held = await self._live.find(id)
        command = ListExamples(
            run=id,
            split=split,
            which=which,
            truth=truth,
            predicted=predicted,
            offset=max(0, offset),
            limit=max(1, min(limit, self._limits.examples)),
            seed=seed,
        )
        answer: Json = await self._live.ask(held, command)
        return answer

    # ---- Files ---------------------------------------------------------------------------------------------------------------

    async def export(self, id: str, format: FormatName) -> tuple[str, str, bytes]:
        """File name, media type and content."""
        held = await self._live.find(id)
        answer: tuple[str, str, bytes] = await self._live.ask(held, Export(run=id, format=format))
        return answer

    async def import_model(self, body: bytes, filename: str) -> Json:
        """A new, paused run from a file."""
        self._check_room()
        await self._live.make_room()
        id = new_id()
        self._pool.settle(id)
        try:
            spec, snapshot = await self._live.command(Import(run=id, body=body, filename=filename))
        except Problem:
            self._pool.forget(id)
            raise
        stored = StoredRun(
            id=id,
            created=utc_now(),
            owner="local",
            spec=values_of(spec),
            state=snapshot.pop("state"),
            sentence=snapshot.pop("sentence"),
            generation=0,
            snapshot=snapshot,
        )
        await self._insert(stored, None, "")
        return dict(self._live.hold(stored, spec).channel.run)

    # ---- Watching ------------------------------------------------------------------------------------------------------------

    async def watch(self, id: str, watch_id: str, watch: Json) -> None:
        """What one page looks at: an example, whether with gradients, and up to `limits.tiles` test examples."""
        if len(watch.get("tiles") or ()) > self._limits.tiles:
            raise Unprocessable(f"At most {self._limits.tiles} tiles.", field="/tiles")
        await self._watching.watch(await self._live.find(id), watch_id, watch)

    async def subscribe(
        self, id: str, views: frozenset[str], watch_id: str | None, last_event_id: str | None
    ) -> AsyncIterator[bytes]:
        """The run's stream, as bytes. Refuses before the response begins; iterate, and `aclose()` in the end."""
        return self._watching.stream(await self._live.find(id), views, watch_id, last_event_id)


def check(spec: RunSpec) -> None:
    """Raises Unprocessable with what is impossible in a spec."""
    try:
        check_run(spec)
    except SpecError as error:
        raise Unprocessable(str(error), field=error.field, code=error.code) from error


def new_id() -> str:
    return secrets.token_hex(8)
