"""A stand-in for the runs of app.services, for tests of the HTTP side alone: no worker, no file, answers at once."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from app import __version__
from app.errors import Conflict, NotFound
from app.main import Nabla, create_app
from app.services.changes import RunChanges
from app.services.drawings import Drawings
from app.services.labs import Labs
from app.services.miniatures import Miniatures
from app.services.points import points_csv, points_json
from app.services.reports import Reports
from app.services.runs import Runs
from app.services.verification import Verification
from app.settings import Limits, Settings
from app.store.database import Database
from app.store.migrations import MIGRATIONS
from app.wire.events import PING, event
from app.workers.messages import WeightChange
from engine.shapes import plan
from engine.specs import PlaneSpec, RunSpec
from tests.faults.headers import Validated

COLUMNS = (
    "step",
    "examples",
    "seconds",
    "train_loss",
    "l1_loss",
    "l2_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
)
MEASURED = (*COLUMNS[3:], "test_r_squared", "examples_per_second", "forward_ms", "backward_ms")
PIXEL = {"shape": [1, 1], "low": 0.0, "high": 1.0, "data": "/w=="}


class DatabaseDouble(Database):
    """In memory, and done before it is answered."""

    def __init__(self) -> None:
        self.checkpoints = Path(tempfile.gettempdir())
        self.connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self.connection.executescript("".join(MIGRATIONS))

    async def call(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        return work(self.connection, *args, **kwargs)


class RunsDouble(Runs):
    """Runs as dictionaries; `commands` remembers every call that changes something."""

    keep = False  # with this a deleted run stays, for tests that go on with it
    lasting = True

    def __init__(self) -> None:
        self.store = DatabaseDouble()  # what labs and drawings ask
        self.runs: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, str] = {}
        self.commands: list[tuple[str, Any]] = []
        self.subscribed = 0
        self.ended = asyncio.Event()
        self.numbers = itertools.count(1)
        self.columns: dict[str, list[Any]] = {name: [1, 2] if name in COLUMNS[:3] else [0.5, None] for name in COLUMNS}

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def end_streams(self, reason: str = "The server is stopping.") -> None:  # noqa: ARG002
        self.ended.set()

    async def health(self) -> dict[str, Any]:
        return {"status": "ok", "version": __version__, "workers": 0, "runs": len(self.runs), "notice": None}

    async def create(
        self, spec: RunSpec, *, state: str = "running", idempotency_key: str | None = None, kind: str = "run", named: bool = False  # noqa: ARG002
    ) -> dict[str, Any]:
        if idempotency_key in self.keys:
            return self.runs[self.keys[idempotency_key or ""]]
        id = f"{next(self.numbers):016d}"
        if idempotency_key:
            self.keys[idempotency_key] = id
        values = spec.to_dict()
        self.runs[id] = values | {
            "id": id,
            "state": state,
            "sentence": "It is training.",
            "step": 0,
            "examples": 0,
            "epoch": 0.0,
            "seconds": 0.0,
            "created": "2026-01-01T00:00:00Z",
            "owner": "local",
            "kind": "run",
            "shared": False,
            "named": False,
            "waiting": None,
            "generation": 1,
            "version": "0123456789ab",
            "metrics": dict.fromkeys(MEASURED),
            "dataset": values["dataset"]
            | {
                "task": "classification",
                "classes": list("0123456789"),
                "input_shape": [*spec.dataset.input_shape[1:], spec.dataset.input_shape[0]],
                "train_examples": 54_000,
                "validation_examples": 6_000,
                "test_examples": 10_000,
            },
            "updates_per_second": None,
            "parameters": 5_994,
            "multiply_adds": 1,
            "links": {},
        }
        self.commands.append(("create", spec))
        return self.runs[id]

    async def list(self, limit: int = 20, cursor: str | None = None) -> dict[str, Any]:  # noqa: ARG002
        return {"items": list(self.runs.values())[:limit], "next": None}

    async def get(self, id: str) -> dict[str, Any]:
        if id not in self.runs:
            raise NotFound()
        return self.runs[id]

    async def current(self, dataset: str) -> dict[str, Any] | None:
        return next((run for run in reversed(self.runs.values()) if run["dataset"]["name"] == dataset), None)

    async def delete(self, id: str) -> None:
        await self.get(id)
        if not self.keep:
            del self.runs[id]
        self.commands.append(("delete", id))

    async def change(self, id: str, changes: RunChanges, *, expected: str | None = None) -> dict[str, Any]:  # noqa: ARG002
        run = await self.get(id)
        self.commands.append(("change", changes))
        return run

    async def spec(self, id: str) -> dict[str, Any]:
        await self.get(id)
        return RunSpec().to_dict()

    async def respec(
        self, id: str, spec: RunSpec, *, keep: str = "nothing", expected: str | None = None, named: bool = False  # noqa: ARG002
    ) -> dict[str, Any]:
        self.commands.append(("respec", (spec, keep)))
        return await self.get(id)

    async def set_weights(self, id: str, index: int, changes: tuple[WeightChange, ...]) -> dict[str, Any]:
        self.commands.append(("set_weights", (index, changes)))
        return await self.get(id)

    async def points(self, id: str) -> dict[str, Any]:
        await self.get(id)
        return points_json(PlaneSpec(points=4))

    async def points_csv(self, id: str) -> bytes:
        await self.get(id)
        return points_csv(PlaneSpec(points=4))

    async def boundary(self, id: str, **options: Any) -> dict[str, Any]:
        await self.get(id)
        self.commands.append(("boundary", options))
        return {"step": 0, "resolution": 1, "domain": [[-6.0, 6.0]] * 2, "classes": ["A"], "probabilities": [[[0.5]]]}

    async def step(self, id: str, count: int) -> dict[str, Any]:
        run = await self.get(id)
        if run["state"] == "running":
            raise Conflict("Pause the run first.", state="running")
        self.commands.append(("step", count))
        run["step"] += count
        return run

    async def look(self, id: str, function: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:  # noqa: ARG002
        """Only a gradient check is asked for: of a network without weights."""
        await self.get(id)
        return {"seen": {"step": 0, "examples": 4, "groups": [], "worst": 0.0}}

    async def narrate(self, id: str) -> dict[str, Any]:
        run = await self.get(id)
        told = {"shape": [1], "low": 1.0, "high": 1.0, "mean": 1.0, "values": [1.0], "pack": None}
        steepest = {"place": [0], "old": 1.0, "gradient": 0.0, "new": 1.0}
        change = {"old": told, "gradient": told, "new": told, "steepest": steepest}
        layer = {"index": 0, "type": "dense", "name": "Dense", "outputs": told, "gradients": told}
        return {
            "step": run["step"] + 1,
            "made": True,
            "optimizer": "sgd",
            "learning_rate": 0.1,
            "batch": {"examples": 1, "of": 1, "places": [0]},
            "example": {
                "input": told, "label": "0", "target": None, "classes": ["0"], "probabilities": [1.0], "loss": 0.0,
            },
            "loss": 0.0,
            "penalty": None,
            "layers": [layer | {"weights": change, "biases": None}],
        }  # fmt: skip

    async def reset(self, id: str, *, seed: int | None = None) -> dict[str, Any]:
        self.commands.append(("reset", seed))
        return await self.get(id)

    async def metrics(self, id: str) -> dict[str, Any]:
        await self.get(id)
        return self.columns

    async def layers(self, id: str) -> list[dict[str, Any]]:  # type: ignore[valid-type]
        await self.get(id)
        return [
            {
                "index": layer.index,
                "type": layer.spec.type,
                "name": layer.name,
                "input_shape": list(layer.input_shape),
                "output_shape": list(layer.output_shape),
                "parameters": layer.parameters,
                "parameter_formula": layer.parameter_formula,
                "multiply_adds": layer.multiply_adds,
            }
            for layer in plan(RunSpec().network, (1, 24, 24))
        ]

    async def layer(self, id: str, index: int, what: set[str], example: dict[str, Any] | None) -> dict[str, Any]:
        await self.get(id)
        if index >= 7:
            raise NotFound("There is no such layer.")
        return {"index": index, "example": example} | {
            name: {"shape": [1], "low": 0.0, "high": 1.0, "values": [1.0]} for name in what
        }

    async def predict(self, id: str, *, inputs: Any = None, ink: dict[str, Any] | None = None) -> dict[str, Any]:
        await self.get(id)
        self.commands.append(("predict", inputs if ink is None else ink))
        return {"step": 0, "predictions": [{"class": None, "label": None, "probabilities": None}]}

    async def evaluate(self, id: str, split: str, *, crops: int | None = None) -> dict[str, Any]:
        await self.get(id)
        return {
            "split": split,
            "step": 0,
            "examples": 0,
            "accuracy": 0.1,
            "loss": 2.3,
            "crops": crops or 4,
            "confusion": [[0] * 10] * 10,
            "per_class": [],
        }

    async def examples(self, id: str, split: str, **options: Any) -> dict[str, Any]:  # type: ignore[override]  # noqa: ARG002
        await self.get(id)
        return {"step": 0, "total": 0, "items": []}

    async def export(self, id: str, format: str) -> tuple[str, str, bytes]:
        await self.get(id)
        return f"{format}.json", "application/json", b"{}"

    async def import_model(self, body: bytes, filename: str) -> dict[str, Any]:
        self.commands.append(("import", (filename, len(body))))
        return await self.create(RunSpec(), state="paused")

    async def watch(self, id: str, watch_id: str, watch: dict[str, Any]) -> None:
        await self.get(id)
        self.commands.append(("watch", (watch_id, watch)))

    async def subscribe(self, id: str, *_: Any) -> AsyncIterator[bytes]:
        return self.events(await self.get(id))

    async def subscribe_together(self, ids: Sequence[str], *_: Any) -> AsyncIterator[bytes]:
        return self.events(*[await self.get(id) for id in ids])

    async def events(self, *runs: dict[str, Any]) -> AsyncIterator[bytes]:
        self.subscribed += 1
        try:
            for run in runs:
                yield event("state", run)
            while not self.ended.is_set():
                yield PING
                await asyncio.sleep(0.01)
            yield event("close", {"reason": "The server is stopping."})
        finally:
            self.subscribed -= 1


def app_with(runs: RunsDouble | None = None, **limits: Any) -> Nabla:
    """The whole app over the double; `limits` replace single ones."""
    app = create_app(Settings(limits=Limits(**limits)), runs or RunsDouble())
    app.state.runs = runs or RunsDouble()
    store = app.state.runs.store
    app.state.labs = Labs(app.state.runs, store)
    app.state.miniatures = Miniatures(app.state.runs)
    app.state.drawings = Drawings(store, app.state.settings.limits)
    app.state.reports = Reports(app.state.labs, app.state.runs)
    app.state.verification = Verification(app.state.labs, app.state.settings.limits)
    return app


@asynccontextmanager
async def client_of(app: Nabla, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Every answer is held to what all answers promise."""
    validated = Validated(app)
    transport = httpx.ASGITransport(validated, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000", **options) as client:
        yield client
    assert not validated.wrong, validated.wrong
