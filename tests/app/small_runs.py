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
from app.workers.pool import Pool
from engine.specs import SGD, Dense, MnistSpec, RunSpec

SMALL = RunSpec(
    name="small",
    dataset=MnistSpec(train_size=600, validation_size=100, crop=12, test_crops=1),
    network=(Dense(units=10),),
    optimizer=SGD(learning_rate=0.1),
    batch_size=10,
)


def small(**changes: Any) -> RunSpec:
    return replace(SMALL, **changes)


@asynccontextmanager
async def service(folder: Path, *, workers: int = 1, hang_seconds: float = 10.0, **limits: Any) -> AsyncIterator[Runs]:
    settings = Settings(data=folder, workers=workers, limits=Limits(**limits))
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
