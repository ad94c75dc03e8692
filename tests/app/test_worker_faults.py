"""Workers and servers are killed at any moment: no run is lost, and none ends with other weights."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.errors import Busy, Conflict
from app.services.changes import RunChanges
from app.services.runs import Runs
from engine.specs import StopSpec
from tests.app.small_runs import parse, service, small, until, weights

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills with signals")

STEPS = 3_000
"""Twice as many as the last kill waits for: a run that ends before it is killed proves nothing."""


def worker(runs: Runs) -> Any:
    return runs._pool.workers[0]


async def kill_while_working_on(runs: Runs, id: str) -> None:
    """Kill the worker in the middle of this run, and wait until its death is known."""
    victim = worker(runs)
    async with asyncio.timeout(10):
        while victim.pulse.run.decode() != id:
            await asyncio.sleep(0.001)
        victim.process.kill()
        while worker(runs) is victim:
            await asyncio.sleep(0.001)


def test_killed_workers_change_nothing_in_the_end(tmp_path: Path) -> None:
    """Two runs share a worker that is killed again and again; both end with the weights of undisturbed ones."""
    dice = random.Random(1)

    async def scenario() -> None:
        async with service(tmp_path) as runs:
            specs = [small(seed=seed, stop=StopSpec(steps=STEPS)) for seed in (1, 2)]
            undisturbed = [(await runs.create(spec))["id"] for spec in specs]
            for id in undisturbed:
                await until(runs, id, lambda run: run["state"] == "finished")
            expected = [await weights(runs, id) for id in undisturbed]

            disturbed = [(await runs.create(spec))["id"] for spec in specs]
            for number in range(1, 3):
                aim = dice.randrange(number * STEPS // 6, (number + 1) * STEPS // 6)
                await until(runs, disturbed[0], lambda run, aim=aim: run["step"] >= aim and run["state"] == "running")  # type: ignore[misc]
                await asyncio.sleep(dice.random() / 50)
                await kill_while_working_on(runs, disturbed[number % 2])
                runs._live.peek(disturbed[number % 2]).deaths = 0  # type: ignore[union-attr] # quicker than a checkpoint
            for id, text in zip(disturbed, expected, strict=True):
                run = await until(runs, id, lambda run: run["state"] == "finished", 40)
                assert run["step"] == STEPS
                assert await weights(runs, id) == text
                points = await runs.metrics(id)
                assert points["step"] == sorted(set(points["step"]))
                reference = await runs.metrics(undisturbed[disturbed.index(id)])
                assert points["step"] == reference["step"]
                assert points["train_loss"] == reference["train_loss"]
                assert points["test_accuracy"] == reference["test_accuracy"]

    asyncio.run(scenario())


def test_a_page_sees_the_points_of_a_restored_run_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small(stop=StopSpec(steps=3000))))["id"]
            steps: list[int] = []
            generation: int | None = None
            killed = False
            stream = await runs.subscribe(id, frozenset({"metrics"}), None, None)
            async with asyncio.timeout(30):
                async for chunk in stream:
                    name, _, data = parse(chunk)
                    if name == "state" and data["generation"] != generation:
                        generation, steps = data["generation"], []
                    elif name == "metrics":
                        steps += data["points"]["step"]
                    if not killed and len(steps) > 20:
                        killed = True
                        worker(runs).process.kill()
                    if name == "status" and data["state"] == "finished":
                        break
            await stream.aclose()  # type: ignore[attr-defined]
            assert killed
            assert steps == list(range(10, 3001, 10))

    asyncio.run(scenario())


def test_a_run_that_always_ends_its_worker_is_put_aside_and_can_be_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            bystander = (await runs.create(small(), state="paused"))["id"]
            id = (await runs.create(small()))["id"]
            for _ in range(3):
                await kill_while_working_on(runs, id)
            run = await runs.get(id)
            assert run["state"] == "worker-crashed"
            assert "SIGKILL" in run["sentence"]
            assert "3 times in a row" in run["sentence"]
            assert (await runs.step(bystander, 2))["step"] == 2
            with pytest.raises(Conflict):
                await runs.step(id, 1)
            await runs.change(id, RunChanges(state="running"))
            await until(runs, id, lambda run: run["state"] == "running" and run["step"] > 50)

    asyncio.run(scenario())


def test_who_waits_for_a_worker_that_dies_is_told_to_try_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small(), state="paused"))["id"]
            await runs.step(id, 5)
            waiting = asyncio.ensure_future(runs.step(id, 1000))
            await kill_while_working_on(runs, id)
            with pytest.raises(Busy):
                await waiting
            assert (await runs.step(id, 1))["step"] == 6

    asyncio.run(scenario())


SERVER = """
import asyncio, sys
from pathlib import Path
from tests.app.small_runs import service, small, until
from engine.specs import StopSpec

async def main():
    async with service(Path(sys.argv[1])) as runs:
        running = (await runs.create(small(stop=StopSpec(steps=5000))))["id"]
        paused = (await runs.create(small(), state="paused"))["id"]
        await runs.step(paused, 30)
        await until(runs, running, lambda run: run["step"] > 1000)
        print(running, paused, flush=True)
        await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_killed_server_goes_on_with_its_runs_when_it_is_started_again(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, script, tmp_path / "data"], stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        running, paused = server.stdout.readline().split()
        server.send_signal(signal.SIGKILL)

    async def scenario() -> None:
        async with service(tmp_path / "data") as runs:
            assert (await runs.get(paused))["step"] == 30
            assert (await runs.get(paused))["state"] == "paused"
            assert (await runs.step(paused, 1))["step"] == 31
            assert (await runs.get(running))["generation"] >= 1
            await until(runs, running, lambda run: run["state"] == "finished")
            points = await runs.metrics(running)
            assert points["step"][0] == 10
            assert points["step"] == sorted(set(points["step"]))
            fresh = (await runs.create(small(stop=StopSpec(steps=5000))))["id"]
            await until(runs, fresh, lambda run: run["state"] == "finished")
            assert await weights(runs, running) == await weights(runs, fresh)

    asyncio.run(scenario())


def test_an_orderly_stop_loses_not_a_single_update(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small()))["id"]
            await until(runs, id, lambda run: run["step"] > 300)
        async with service(tmp_path) as runs:
            restored = await until(runs, id, lambda run: run["state"] == "running")
            assert restored["step"] > 300
            await until(runs, id, lambda run: run["step"] > restored["step"])
            run = await runs.change(id, RunChanges(state="paused"))
            assert (await runs.metrics(id))["step"] == list(range(10, run["step"] + 1, 10))

    asyncio.run(scenario())


def test_a_run_whose_checkpoints_cannot_be_read_says_so_and_can_be_reset(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small()))["id"]
            await until(runs, id, lambda run: run["step"] > 100)
        for file in (tmp_path / "checkpoints" / id).glob("*.checkpoint*"):
            file.write_bytes(b"torn")
        async with service(tmp_path) as runs:
            run = await until(runs, id, lambda run: run["state"] == "interrupted")
            assert "cannot" in run["sentence"] or "lost" in run["sentence"]
            run = await runs.reset(id)
            assert (run["state"], run["step"]) == ("paused", 0)
            assert (await runs.metrics(id))["step"] == []
            assert (await runs.step(id, 1))["step"] == 1

    asyncio.run(scenario())
