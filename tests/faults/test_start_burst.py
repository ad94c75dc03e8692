"""Everybody presses Start in the same moment: all are taken in, those without a place know theirs in the line, and all get on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.settings import Limits
from tests.faults.routes import POINTS
from tests.faults.served import Served, served

CROWD, PLACES, UPDATES = 24, 6, 300

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_all_who_start_at_once_are_taken_in_and_all_get_on(tmp_path: Path) -> None:
    async with served(tmp_path, limits=Limits(runs_live=PLACES)) as nabla:
        body = POINTS | {"state": "running", "stop": {"steps": UPDATES}}
        answers = await asyncio.gather(*(nabla.client.post("/api/runs", json=body) for _ in range(CROWD)))
        assert {answer.status_code for answer in answers} == {201}
        runs = [answer.json() for answer in answers]
        waiting = [run["waiting"]["position"] for run in runs if run["waiting"] is not None]
        assert waiting, "there are four times as many as places"
        assert all(1 <= position <= CROWD - PLACES for position in waiting)
        assert all(run["state"] == "queued" for run in runs if run["waiting"] is not None)
        async with asyncio.timeout(100):
            await asyncio.gather(*(finished(nabla, run["id"]) for run in runs))


async def finished(nabla: Served, run: str) -> None:
    while (found := (await nabla.client.get(f"/api/runs/{run}")).json())["state"] != "finished":
        assert found["state"] in ("queued", "running")
        await asyncio.sleep(0.05)
    assert found["step"] == UPDATES
