"""Memory that is refused stops the one run that asked for it; nothing is called out of memory that was not."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import Busy, Conflict
from app.services.changes import RunChanges
from app.workers.exits import OUT_OF_MEMORY, classify
from app.workers.live_run import LiveRun
from app.workers.memory import SLACK_BYTES
from app.workers.messages import Gone, Open, Predict, Restored, Shutdown, Status
from engine.specs import StopSpec
from tests.app.small_runs import service, small, until, weights
from tests.app.test_scheduler import BATCH, Bench


def test_one_run_that_is_refused_memory_is_let_go_of_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, work = Bench(tmp_path), LiveRun.work

    def greedy(run: LiveRun, seconds: float) -> None:
        if run.id == "bad" and run.trainer.steps >= 20:
            raise MemoryError
        work(run, seconds)
        if run.id == "good" and run.trainer.steps == 50:
            bench.inbox.put(Shutdown())

    monkeypatch.setattr(LiveRun, "work", greedy)
    bench.open("bad", "good", state="running")
    bench.scheduler.run()
    ended = next(heard for heard in bench.sent if isinstance(heard, Status))
    assert (ended.run, ended.snapshot["state"]) == ("bad", "out-of-memory")
    assert "run it on" in ended.snapshot["sentence"]
    assert [heard.run for heard in bench.sent if isinstance(heard, Gone)] == ["bad"]
    assert list(bench.scheduler.desk.runs) == ["good"]
    assert bench.scheduler.desk.runs["good"].trainer.steps == 50
    monkeypatch.undo()
    bench.sent.clear()
    bench.ask(Open(run="bad", spec=small(), state="paused", sentence=""))
    bench.finish()
    assert any(isinstance(heard, Restored) and heard.snapshot["step"] == 0 for heard in bench.sent)


def test_a_command_that_is_refused_memory_leaves_its_run_as_it_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("app.workers.desk.readings.predict", refused)
    bench.open("a")
    asked = bench.ask(Predict(run="a", inputs=BATCH))
    bench.finish()
    assert bench.outcome(asked).kind == "memory"
    assert "not enough memory" in bench.outcome(asked).message
    assert "a" in bench.scheduler.desk.runs


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def hoard(_: Any) -> Any:
    """In the worker: take memory until there is no more, piece by piece; untouched, it takes nothing from the machine."""
    hoard = []
    while True:
        hoard.append(np.empty(2**22))
        yield


@pytest.mark.skipif(sys.platform != "linux", reason="the system's bound on memory")
def test_a_worker_has_a_bound_and_a_run_that_comes_to_it_is_stopped_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, memory_bytes=256 * 2**20) as runs:
            process = runs._pool.workers[0].process  # type: ignore[attr-defined]
            bystander, greedy = [(await runs.create(small(seed=seed)))["id"] for seed in (1, 2)]
            limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
            bound = int(next(line for line in limits if line.startswith("Max data size")).split()[3])
            assert 256 * 2**20 + SLACK_BYTES < bound < 256 * 2**20 + SLACK_BYTES + 2**30
            with pytest.raises(Conflict, match="not enough memory"):
                await runs.look(greedy, hoard, ())
            run = await until(runs, greedy, lambda run: run["state"] == "out-of-memory")
            assert "not enough memory" in run["sentence"]
            before = (await runs.get(bystander))["step"]
            await until(runs, bystander, lambda run: run["state"] == "running" and run["step"] > before)
            assert runs._pool.workers[0].process is process, "it was no worker that ended"  # type: ignore[attr-defined]
            await runs.change(greedy, RunChanges(state="running"))
            await until(runs, greedy, lambda run: run["state"] == "running" and run["step"] > 20)

    asyncio.run(scenario())


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="the system's bound on memory")
def test_a_run_that_was_out_of_memory_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, memory_bytes=256 * 2**20) as runs:
            spec = small(stop=StopSpec(steps=3_000))
            undisturbed, disturbed = [(await runs.create(spec))["id"] for _ in range(2)]
            await until(runs, disturbed, lambda run: run["step"] > 1_000)
            with pytest.raises((Conflict, Busy)):
                await runs.look(disturbed, hoard, ())
            await until(runs, disturbed, lambda run: run["state"] == "out-of-memory")
            await runs.change(disturbed, RunChanges(state="running"))
            for id in (undisturbed, disturbed):
                await until(runs, id, lambda run: run["state"] == "finished")
            assert await weights(runs, disturbed) == await weights(runs, undisturbed)
            points = await runs.metrics(disturbed)
            assert points["step"] == list(range(10, 3_001, 10))

    asyncio.run(scenario())


def test_nothing_is_called_out_of_memory_without_evidence() -> None:
    assert "no memory left" in classify(OUT_OF_MEMORY, hung=False).message
    for code in (-9, -11, 1, 0, None):
        assert "no memory" not in classify(code, hung=False).message
        assert "out of memory" not in classify(code, hung=False).message
