"""Numbers that grow beyond all bounds, and networks that learn nothing: each ends labelled, and every byte told of it is JSON."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from app.services.changes import RunChanges
from app.services.runs import Runs
from app.wire.points import COLUMNS
from app.workers.messages import (
    Answer,
    Boundary,
    Evaluate,
    Look,
    Open,
    Refusal,
    Shutdown,
    Status,
)
from engine.specs import (
    SGD,
    CurveSpec,
    Dense,
    GroupSpec,
    LeakyReLU,
    MnistSpec,
    PlaneSpec,
    ReLU,
    RunSpec,
    StopSpec,
    TableSpec,
    TransactionsSpec,
)
from engine.specs.datasets import CurveKind, PlaneKind
from tests.app.small_runs import parse, refuse, service
from tests.app.test_experiment import values_of
from tests.app.test_scheduler import Bench

MAX_LEARNING_RATE = 100.0
"""A million is refused in words (test_numbers)."""

ROWS = [[x / 7, (x % 5) / 3, float(x % 2)] for x in range(40)]
DATASETS: dict[str, Any] = {
    "mnist": MnistSpec(train_size=600, validation_size=100, crop=12, test_crops=1),
    "transactions": TransactionsSpec(transactions=20_000, fraud_share=0.3),
    "table of classes": TableSpec(values=values_of(ROWS)),
    "table of numbers": TableSpec(values=values_of(ROWS), class_names=(), target="z"),
    **{f"plane {kind}": PlaneSpec(kind=kind, points=60, noise=0.5) for kind in get_args(PlaneKind)},
    **{f"curve {kind}": CurveSpec(kind=kind, points=40, train_share=0.5) for kind in get_args(CurveKind)},
}


def hopeless(dataset: Any) -> RunSpec:
    """The largest learning rate that is accepted, and nothing between the layers that would hold it."""
    outputs = len(dataset.classes) or 1
    return RunSpec(
        name="hopeless",
        dataset=dataset,
        network=(Dense(units=8), LeakyReLU(), Dense(units=8), LeakyReLU(), Dense(units=outputs)),
        loss="softmax_cross_entropy" if dataset.classes else "half_squared_error",
        optimizer=SGD(learning_rate=MAX_LEARNING_RATE),
        batch_size=10,
        l2=0.0,
    )


def wish(dataset: Any) -> dict[str, Any]:
    """What a page looks at."""
    if isinstance(dataset, MnistSpec):
        return {"example": {"source": "test", "index": 0}, "gradients": True, "tiles": [1, 2]}
    if isinstance(dataset, PlaneSpec) or (isinstance(dataset, TableSpec) and dataset.classes):
        return {"plane": {"resolution": 20, "columns": (0, 1)}}
    return {}


async def followed(runs: Runs, id: str, until: Callable[[str | None, Any], bool]) -> list[tuple[str | None, Any]]:
    """What a page is told of a run, read strictly."""
    stream = await runs.subscribe(id, frozenset({"metrics", "plane", "layers", "tiles"}), "page", None)
    told = []
    async with asyncio.timeout(60):
        async for chunk in stream:
            name, _, data = parse(chunk)
            told.append((name, data))
            if until(name, data):
                break
    await stream.aclose()  # type: ignore[attr-defined]
    return told


def stands_still(name: str | None, data: Any) -> bool:
    return name in ("state", "status") and data["state"] not in ("queued", "running")


def test_on_every_dataset_a_run_that_diverges_says_so_in_finite_numbers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            ids = {name: (await runs.create(hopeless(dataset)))["id"] for name, dataset in DATASETS.items()}
            for name, id in ids.items():
                told = await followed(runs, id, stands_still)
                state = told[-1][1]
                assert state["state"] == "diverged", (name, state["sentence"])
                assert "learning rate" in state["sentence"], name
                points = [data["points"] for kind, data in told if kind == "metrics"]
                values = [value for columns in points for column in COLUMNS for value in columns.get(column, [])]
                assert all(value is None or math.isfinite(value) for value in values)
                if looks := wish(DATASETS[name]):
                    await runs.watch(id, "page", looks)
                    await followed(runs, id, lambda kind, _: kind == "frame")
                text = json.dumps([await runs.get(id), await runs.metrics(id)], allow_nan=False)
                json.loads(text, parse_constant=refuse)

    asyncio.run(scenario())


def test_a_run_that_diverges_at_once_trains_on_from_its_beginning_at_a_lower_rate(tmp_path: Path) -> None:
    """Before it was ever saved: weights that are nearly infinite are nothing to go on with."""

    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(hopeless(PlaneSpec(points=60))))["id"]
            await followed(runs, id, stands_still)
            layer = await runs.layer(id, 0, {"weights"}, None)
            assert layer["step"] == 0
            stop = StopSpec(steps=500)
            await runs.change(id, RunChanges(state="running", learning_rate=0.01, stop=stop))
            told = await followed(runs, id, lambda _, data: stands_still(_, data) and data["state"] != "diverged")
            assert (told[-1][1]["state"], told[-1][1]["step"]) == ("finished", 500)
            await runs.reset(id)
            assert await runs.layer(id, 0, {"weights"}, None) == layer

    asyncio.run(scenario())


DEAD = (0.5,) * 8 + (-100.0,) * 4 + (0.1,) * 8 + (0.0,) * 2
"""Of 2-4-2: no hidden unit is ever above 0, so nothing is learned but the last biases."""
SINGLE = TableSpec(values=values_of([[*row[:2], 0.0] for row in ROWS]))
CONSTANT = TableSpec(values=values_of([[*row[:2], 3.0] for row in ROWS]), class_names=(), target="z", standardize=True)
POINTS = (Dense(units=4), ReLU(), Dense(units=2))
USELESS: dict[str, RunSpec] = {
    "dead units": RunSpec(dataset=PlaneSpec(points=60), network=POINTS, parameters=DEAD, l2=0.0),
    "constant loss": RunSpec(
        dataset=PlaneSpec(points=60), network=POINTS, parameters=(0.0,) * 22, optimizer=SGD(learning_rate=1e-6), l2=0.0
    ),
    "one class": RunSpec(dataset=SINGLE, network=POINTS, l2=0.0),
    "one number": RunSpec(dataset=CONSTANT, network=(*POINTS[:2], Dense(units=1)), loss="half_squared_error", l2=0.0),
    "one digit": RunSpec(
        dataset=MnistSpec(train_size=100, validation_size=50, crop=12, test_crops=1, group=GroupSpec(digits=(3,))),
        network=(Dense(units=10),),
    ),
    "no fraud": RunSpec(dataset=TransactionsSpec(transactions=10_000), network=POINTS, l2=0.0),
}


@pytest.mark.parametrize("name", USELESS)
def test_what_learns_nothing_finishes_and_divides_nothing_by_zero(name: str, tmp_path: Path) -> None:
    """Warnings are errors here: of NumPy's, too."""
    bench = Bench(tmp_path)
    spec = replace(USELESS[name], stop=StopSpec(steps=120))
    send = bench.scheduler._send

    def hear(notification: Any) -> None:
        send(notification)
        if isinstance(notification, Status) and notification.snapshot["state"] != "running":
            asked.extend(
                bench.ask(command)
                for command in (
                    Evaluate(run="a", split="test", crops=None),
                    Evaluate(run="a", split="train", crops=None),
                    Look(run="a"),
                    Boundary(run="a", resolution=9, layer=None, unit=None, columns=(0, 1)),
                )
            )

    asked: list[int] = []
    for part in (bench.scheduler, bench.scheduler.desk):
        part._send = hear
    bench.ask(Open(run="a", spec=spec, state="running", sentence=""))
    answered = bench.scheduler._beat

    def beat(*values: Any) -> None:
        answered(*values)
        if asked and sum(isinstance(heard, Answer | Refusal) for heard in bench.sent) == len(asked) + 1:
            bench.inbox.put(Shutdown())

    bench.scheduler._beat = beat  # type: ignore[method-assign]
    bench.scheduler.run()
    ended = next(heard for heard in bench.sent if isinstance(heard, Status))
    assert ended.snapshot["state"] == "finished", ended.snapshot["sentence"]
    assert "all updates are done" in ended.snapshot["sentence"]
    refusals = [heard for heard in bench.sent if isinstance(heard, Refusal)]
    assert all(heard.kind == "input" for heard in refusals), "pictures and transactions have no plane"
    values = [heard.value for heard in bench.sent if isinstance(heard, Answer) and heard.value is not None]
    assert len(values) == 4 - len(refusals)
    json.loads(json.dumps([ended.snapshot, *values], allow_nan=False), parse_constant=refuse)
