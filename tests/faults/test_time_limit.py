"""A run that nobody speaks to trains for so long and no longer; then it rests with its weights, and says so."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from app.answers import RunState
from app.errors import Conflict
from app.routes.views import WORDS
from app.services.changes import RunChanges
from app.workers.ends import in_words
from app.workers.live_run import LiveRun
from app.workers.messages import Open, Restored, WeightChange
from app.workers.saves import Saves
from app.workers.states import ACCIDENTS, MAY_BECOME, refusal
from engine.trainer import Trainer
from tests.app.small_runs import Stage, dataset_of, of_points, service, until, weights
from tests.app.test_scheduler import Bench


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A run of which every update takes a second, and which rests after ten of them."""
    stage = Stage(tmp_path, of_points())
    trainer = Trainer(of_points(), dataset_of(of_points()))
    stage.run = LiveRun("a", trainer, Saves(tmp_path), stage.sent.append, run_seconds=10.0)
    step = trainer.advance

    def slow(count: int) -> object:
        stage.run.recorder.seconds += 1.0
        return step(min(count, 1))

    trainer.advance = slow  # type: ignore[method-assign, assignment]
    return stage


def test_it_rests_and_goes_on_for_as_long_again(stage: Stage) -> None:
    stage.run.change({}, "running")
    stage.work(1_000)
    assert (stage.run.state, stage.run.trainer.steps) == ("time-limit", 10)
    assert "10 seconds" in stage.run.sentence
    assert "run it on" in stage.run.sentence
    assert stage.run.saves.read()[0].steps == 10  # type: ignore[index]
    stage.run.change({}, "running")
    stage.work(1_000)
    assert (stage.run.state, stage.run.trainer.steps) == ("time-limit", 20)


def test_any_word_of_a_person_begins_the_time_anew(stage: Stage) -> None:
    stage.run.change({}, "running")
    stage.work(8)
    stage.run.change({"learning_rate": 0.01}, None)
    stage.work(15)
    stage.run.set_weights(0, (WeightChange(0, None, 0.5),))
    stage.work(22)
    stage.run.respec(replace(stage.run.trainer.spec, batch_size=5), stage.run.trainer.dataset, "weights")
    assert stage.run.state == "running"
    assert stage.run.recorder.seconds - stage.run.recorder.heard < 1


def test_a_worker_that_dies_gives_no_run_more_time(tmp_path: Path) -> None:
    """What was heard when is part of the checkpoint."""
    first = Stage(tmp_path / "a", of_points())
    first.run.recorder.seconds = 3_000.0
    first.run.change({"learning_rate": 0.01}, None)
    first.run.recorder.seconds = 4_000.0
    first.run.save()
    again = Bench(tmp_path)
    again.ask(Open(run="a", spec=first.run.trainer.spec, state="paused", sentence=""))
    again.finish()
    assert any(isinstance(heard, Restored) for heard in again.sent)
    recorder = again.scheduler.desk.runs["a"].recorder
    assert (recorder.seconds, recorder.heard) == (4_000.0, 3_000.0)


def test_the_limit_of_the_server_reaches_its_workers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, run_seconds=0.3) as runs:
            id = (await runs.create(of_points()))["id"]
            run = await until(runs, id, lambda run: run["state"] == "time-limit")
            assert "0.3 seconds" in run["sentence"]
            with pytest.raises(Conflict, match="at its time limit"):
                await runs.step(id, 1)
            kept = await weights(runs, id)
            await runs.change(id, RunChanges(state="running"))
            again = await until(runs, id, lambda now: now["state"] == "time-limit" and now["step"] > run["step"])
            assert await weights(runs, id) != kept
            assert (await runs.change(id, RunChanges(state="stopped")))["state"] == "stopped"
            assert (await runs.reset(id))["step"] == 0
        assert again["seconds"] >= 0.6

    asyncio.run(scenario())


def test_the_time_is_told_in_minutes_where_it_is_long() -> None:
    assert in_words(3_600) == "60 minutes"
    assert in_words(90) == "90 seconds"


def test_every_state_is_known_wherever_states_are_named() -> None:
    states = set(get_args(RunState))
    assert set(WORDS) == states
    assert set().union(*MAY_BECOME.values()) == states - {"queued"}
    assert states >= ACCIDENTS
    board = (Path(__file__).parents[2] / "static/js/lib/board.js").read_text()
    assert all(re.search(rf'\b{state}"?: \[', board) for state in states)
    assert all(
        "_" not in refusal("Running", state) and "-" not in refusal("Running", state)
        for state in states - {"worker-crashed"}
    )
