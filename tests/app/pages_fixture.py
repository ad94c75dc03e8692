"""A run as the service would tell of it, and a service that keeps one: the pages are tested without a worker."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict
from typing import Any

from app.errors import NotFound
from app.services.changes import RunChanges
from engine.shapes import plan
from engine.specs import RunSpec, tagged

RUN_ID = "0123456789abcdef"


def run_document(spec: RunSpec | None = None, **changes: Any) -> dict[str, Any]:
    """A Run document of the middle of a training."""
    spec = spec or RunSpec()
    crop = spec.dataset.crop
    layers = plan(spec.network, (1, crop, crop))
    document = {
        **spec.to_dict(),
        "id": RUN_ID,
        "state": "running",
        "sentence": "Training.",
        "waiting": None,
        "step": 3720,
        "examples": 74_400,
        "epoch": 1.38,
        "seconds": 21.5,
        "created": "2026-11-22T14:05:09Z",
        "owner": "local",
        "generation": 1,
        "version": "0123456789ab",
        "metrics": {
            "train_loss": 0.0683,
            "l1_loss": 0.0,
            "l2_loss": 0.0571,
            "train_accuracy": 0.981,
            "validation_loss": 0.07,
            "validation_accuracy": 0.978,
            "test_accuracy": 0.9827,
            "examples_per_second": 3460.0,
            "forward_ms": 0.088,
            "backward_ms": 0.179,
        },
        "parameters": sum(layer.parameters for layer in layers),
        "multiply_adds": sum(layer.multiply_adds for layer in layers),
        "links": {},
    }
    document["dataset"] |= {
        "classes": [str(digit) for digit in range(10)],
        "input_shape": [crop, crop, 1],
        "train_examples": 54_000,
        "validation_examples": 6_000,
        "test_examples": 10_000,
    }
    return document | changes


class FakeRuns:
    """One run, kept as a document; remembers what it was asked to do."""

    lasting = True

    def __init__(self, run: dict[str, Any] | None = None) -> None:
        self.run = run
        self.created: list[RunSpec] = []
        self.asked: list[tuple[Any, ...]] = []

    async def current(self, dataset: str) -> dict[str, Any] | None:
        return self.run if self.run and self.run["dataset"]["name"] == dataset else None

    async def get(self, id: str) -> dict[str, Any]:
        if self.run is None or id != self.run["id"]:
            raise NotFound("There is no such run.")
        return self.run

    async def list(self, limit: int = 20, cursor: str | None = None) -> dict[str, Any]:
        self.asked.append(("list", limit, cursor))
        return {"items": [self.run] if self.run else [], "next": None}

    async def create(self, spec: RunSpec, *, state: str = "running", idempotency_key: str | None = None) -> Any:
        assert idempotency_key is None
        self.created.append(spec)
        self.run = run_document(spec, state=state, step=0)
        return self.run

    async def first(self, spec: RunSpec) -> Any:
        return await self.current(spec.dataset.name) or await self.create(spec)

    async def delete(self, id: str) -> None:
        await self.get(id)
        self.run = None

    async def change(self, id: str, changes: RunChanges, *, expected: str | None = None) -> dict[str, Any]:  # noqa: ARG002
        self.run = run = deepcopy(await self.get(id))
        self.asked.append(("change", changes))
        for name in ("state", "batch_size", "l1", "l2", "name"):
            if getattr(changes, name) is not None:
                run[name] = getattr(changes, name)
        if changes.optimizer is not None:
            run["optimizer"] = tagged(changes.optimizer)
        for name in ("learning_rate", "momentum"):
            if getattr(changes, name) is not None:
                run["optimizer"][name] = getattr(changes, name)
        if changes.stop is not None:
            run["stop"] = asdict(changes.stop)
        return run

    async def step(self, id: str, count: int) -> dict[str, Any]:
        run = await self.get(id)
        run["step"] += count
        return run

    async def reset(self, id: str, *, seed: int | None = None) -> dict[str, Any]:
        run = await self.get(id)
        run["step"], run["seed"] = 0, run["seed"] if seed is None else seed
        return run

    async def evaluate(self, id: str, split: str, *, crops: int | None = None) -> dict[str, Any]:
        run = await self.get(id)
        self.asked.append(("evaluate", split, crops))
        confusion = [[990 if i == j else int(j == (i + 1) % 10) * 10 for j in range(10)] for i in range(10)]
        return {
            "split": split,
            "step": run["step"],
            "examples": 10_000,
            "accuracy": 0.99,
            "loss": 0.0312,
            "crops": crops or 4,
            "confusion": confusion,
            "per_class": [],
        }

    async def import_model(self, body: bytes, filename: str) -> dict[str, Any]:
        self.asked.append(("import", filename, len(body)))
        self.run = run_document(state="paused")
        return self.run
