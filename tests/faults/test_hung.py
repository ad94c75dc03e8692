"""A worker that gives no sign of life is ended; what lived there goes on elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from app.errors import Problem
from app.workers.pool import HANG_SECONDS
from engine.specs import StopSpec
from tests.app.small_runs import service, small, until, weights
from tests.faults import poison
from tests.faults.figures import note
from tests.faults.test_worker_kill import held, link

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="stops a process"),
]


def test_a_worker_that_is_stopped_from_outside_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, workers=2) as runs:
            spec = small(stop=StopSpec(steps=6_000))
            ids = [(await runs.create(spec))["id"] for _ in range(2)]
            await until(runs, ids[0], lambda run: run["step"] > 500, 60)
            slot = runs._pool._homes[ids[0]]
            victim, begun = link(runs, slot), time.monotonic()
            os.kill(victim.process.pid, signal.SIGSTOP)
            async with asyncio.timeout(60):
                while link(runs, slot) is victim:
                    await asyncio.sleep(0.01)
            noticed = time.monotonic() - begun
            assert victim.hung
            for id in ids:
                await until(runs, id, lambda run: run["state"] == "finished", 120)
            assert await weights(runs, ids[0]) == await weights(runs, ids[1])
            assert held(runs, ids[0]).channel.run["generation"] > held(runs, ids[1]).channel.run["generation"]
        note("Worker kills", f"a worker that hangs is ended after {noticed:.1f} s (12 s promised)", met=noticed <= 12)
        assert noticed >= HANG_SECONDS - 1, "not a moment too soon"
        assert noticed <= 30

    asyncio.run(scenario())


def test_a_run_that_hangs_is_ended_with_its_worker_and_set_aside_the_third_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, hang_seconds=2) as runs:
            bystander = (await runs.create(small(), state="paused"))["id"]
            id = (await runs.create(small(), state="paused"))["id"]
            for _ in range(3):
                asking = asyncio.ensure_future(runs.look(id, poison.hang, ()))
                async with asyncio.timeout(60):
                    while link(runs, 0).pulse.run.decode() != id:
                        await asyncio.sleep(0.01)
                    link(
                        runs, 0
                    ).pulse.allowance = 0.0  # what it said when it began; the rest of the wait is not the point
                    with pytest.raises(Problem):
                        await asking
            run = await until(runs, id, lambda run: run["state"] == "worker-crashed", 60)
            assert "no sign of life" in run["sentence"]
            assert (await runs.step(bystander, 1))["step"] == 1

    asyncio.run(scenario())
