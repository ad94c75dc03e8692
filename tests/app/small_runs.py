"""Runs small enough for tests, and a service with real workers to train them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.services.runs import Runs
from app.settings import Limits, Settings
from app.store.database import Database
from app.wire.points import COLUMNS, Points, no_points
from app.workers.live_run import LiveRun
from app.workers.messages import Answer, Notification, Progress, Refusal
from app.workers.pool import Pool
from app.workers.saves import Saves
from engine.datasets.base import Dataset
from engine.datasets.mnist import load_mnist
from engine.datasets.points import points_dataset
from engine.specs import SGD, Adam, Dense, MnistSpec, PlaneSpec, RunSpec, Tanh
from engine.trainer import Trainer

DIGITS = load_mnist()

SMALL = RunSpec(
    name="small",
    dataset=MnistSpec(train_size=600, validation_size=100, crop=12, test_crops=1),
    network=(Dense(units=10),),
    optimizer=SGD(learning_rate=0.1),
    batch_size=10,
)


def small(**changes: Any) -> RunSpec:
    return replace(SMALL, **changes)


POINTS = RunSpec(
    name="points",
    dataset=PlaneSpec(points=60),
    network=(Dense(units=4), Tanh(), Dense(units=2)),
    optimizer=Adam(learning_rate=0.02),
    batch_size=10,
    l2=0.0,
)


def of_points(**changes: Any) -> RunSpec:
    """2-4-2 tanh on 60 points of the circle, half of them for testing."""
    return replace(POINTS, **changes)


def dataset_of(spec: RunSpec) -> Dataset:
    return DIGITS if isinstance(spec.dataset, MnistSpec) else points_dataset(spec.dataset)


class Stage:
    """One run with its notifications in a list."""

    def __init__(self, folder: Path, spec: RunSpec | None = None) -> None:
        self.sent: list[Notification] = []
        self.run = LiveRun("a", Trainer(spec or small(), dataset_of(spec or small())), Saves(folder), self.sent.append)

    def work(self, steps: int) -> None:
        """Until so many updates are done, or the run stands still."""
        while self.run.busy and self.run.trainer.steps < steps:
            self.run.work()

    def steps(self, count: int) -> Notification:
        """Single updates, and what was answered."""
        self.run.add_task(7, self.run.single_steps(count))
        while self.run.busy and not self.of(Answer, Refusal):
            self.run.work()
        return self.sent.pop()

    def of(self, *kinds: type) -> list[Any]:
        return [notification for notification in self.sent if isinstance(notification, kinds)]

    @property
    def points(self) -> Points:
        self.run.flush()
        together = no_points()
        for progress in self.of(Progress):
            for column in COLUMNS:
                together[column] += progress.points[column]
        return together


@asynccontextmanager
async def service(
    folder: Path, *, workers: int = 1, hang_seconds: float = 10.0, in_class: bool = False, **limits: Any
) -> AsyncIterator[Runs]:
    settings = Settings(data=folder, workers=workers, class_mode=in_class, limits=Limits(**limits))
    runs = Runs(Pool(settings, hang_seconds=hang_seconds), Database(folder), settings)
    await runs.start()
    async with asyncio.timeout(30):
        while (await runs.health())["workers"] < workers:  # starting is slow on a busy machine, and not the point
            await asyncio.sleep(0.01)
    try:
        yield runs
    finally:
        await runs.close()


async def until(runs: Runs, id: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 20) -> dict[str, Any]:
    """Follow the run's stream until what it says `holds`; the Run JSON of that moment."""
    stream = await runs.subscribe(id, frozenset({"metrics"}), None, None)
    try:
        async with asyncio.timeout(seconds):
            async for _ in stream:
                run = await runs.get(id)
                if holds(run):
                    return run
    finally:
        await stream.aclose()  # type: ignore[attr-defined]
    raise AssertionError("the stream ended before that")


async def weights(runs: Runs, id: str) -> str:
    """The parameters, as they stand in the native format: equal text is equal to the last bit."""
    _, _, body = await runs.export(id, "native")
    text: str = json.loads(body)["parameters"]["base64"]
    return text


def parse(chunk: bytes) -> tuple[str | None, str | None, Any]:
    """Name, id and data of one event, read strictly; comments and `retry` have no name."""
    name = id = None
    data: list[str] = []
    assert chunk.endswith(b"\n\n")
    assert b"\r" not in chunk
    for line in chunk.decode()[:-2].split("\n"):
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "id":
            id = value
        elif field == "data":
            data.append(value)
        else:
            assert field in ("retry", "")
    return name, id, json.loads("\n".join(data), parse_constant=refuse) if data else None


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
