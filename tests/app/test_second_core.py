"""A run that trains alone gets a second core if its spec says so, and gives it back; its numbers do not know of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.services import live
from app.services.changes import RunChanges
from app.services.runs import Runs
from engine.specs import StopSpec, demo_network
from tests.app.small_runs import service, small, until, weights

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see a worker's own processes")

TWO = small(name="two cores", network=demo_network(), cores=2, batch_size=256)


def helpers(runs: Runs) -> list[int]:
    """Processes that the workers have started."""
    folders = [folder for worker in runs._pool.workers for folder in Path(f"/proc/{worker.process.pid}/task").glob("*/children")]
    return [int(child) for folder in folders for child in folder.read_text().split()]


async def once(runs: Runs, count: int) -> list[int]:
    async with asyncio.timeout(30):
        while len(found := helpers(runs)) != count:
            await asyncio.sleep(0.02)
    return found


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HAS_TWO_CORES", True)


def test_it_is_lent_to_a_run_alone_and_given_back_when_another_begins(tmp_path: Path) -> None:
    async def story() -> None:
        async with service(tmp_path) as runs:
            first = await runs.create(TWO)
            await once(runs, 1)
            second = await runs.create(small())
            await once(runs, 0)
            await runs.change(second["id"], RunChanges(state="paused"))
            await once(runs, 1)
            await runs.change(first["id"], RunChanges(state="paused"))
            await once(runs, 0)
            await runs.change(first["id"], RunChanges(state="running"))
            await once(runs, 1)
            await runs.change(first["id"], RunChanges(batch_size=20))  # too small for two
            await once(runs, 0)
            await runs.change(first["id"], RunChanges(batch_size=256))
            await once(runs, 1)
            await runs.delete(first["id"])
            await once(runs, 0)

    asyncio.run(story())


def test_a_run_of_one_core_never_gets_another(tmp_path: Path) -> None:
    async def story() -> None:
        async with service(tmp_path) as runs:
            run = await runs.create(small())
            await until(runs, run["id"], lambda now: now["step"] > 50)
            assert helpers(runs) == []

    asyncio.run(story())


def test_with_or_without_it_the_run_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(TWO, stop=StopSpec(steps=200))

    async def story(folder: Path, *, kill: bool) -> str:
        async with service(folder) as runs:
            run = await runs.create(spec)
            if kill:
                os.kill((await once(runs, 1))[0], signal.SIGKILL)
            await until(runs, run["id"], lambda now: now["state"] == "finished")
            return await weights(runs, run["id"])

    helped = asyncio.run(story(tmp_path / "helped", kill=True))
    monkeypatch.setattr(live, "HAS_TWO_CORES", False)
    assert asyncio.run(story(tmp_path / "alone", kill=False)) == helped
