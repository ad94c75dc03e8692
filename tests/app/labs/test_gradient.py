"""Lab 7: its figures are those of real runs, and each of its tasks can be solved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from app.labs.gradient import LAB, UPDATES, Settings, figures, limit_in_numbers, runs, update_in_numbers
from app.labs.lesson import Json, RunState, Verdict
from engine.errors import DivergedError
from engine.lessons.gradient import line, line_dataset
from engine.trainer import Trainer

OPENED = Settings()


@cache
def states(settings: Settings, updates: int = UPDATES) -> Mapping[str, RunState]:
    """Where the runs stand after so many updates, or where they diverged."""
    found = {}
    for name, spec in runs(settings).items():
        trainer = Trainer(spec, line_dataset())
        with suppress(DivergedError):
            if updates:
                trainer.advance(updates)
        parameters = tuple(trainer.network.parameters.tolist())
        found[name] = RunState(step=trainer.steps, seconds=2.0, parameters=parameters)
    return found


def shown(settings: Settings, updates: int = UPDATES) -> Json:
    working = figures(settings, states(settings, updates))
    while True:
        try:
            next(working)
        except StopIteration as end:
            found: Json = end.value
            return found


def verdict(task: str, settings: Settings, updates: int = UPDATES) -> Verdict:
    (found,) = (one for one in LAB.tasks if one.name == task)
    return found.check(settings, shown(settings, updates), states(settings, updates))


def test_the_three_runs_differ_in_nothing_but_their_batches() -> None:
    specs = runs(OPENED)
    assert [spec.batch_size for spec in specs.values()] == [40, 1, 8]
    alike = {replace(spec, batch_size=1, name="any") for spec in specs.values()}
    assert len(alike) == 1
    assert alike.pop().parameters == (OPENED.w1, OPENED.w0), "a unit keeps the weight of x before the bias"


def test_what_is_drawn_is_where_the_runs_are() -> None:
    known = states(OPENED)
    found = shown(OPENED)
    for name, run in known.items():
        assert run.parameters
        path, curve = found["paths"][name], found["curves"][name]
        assert (path["w1"][-1], path["w0"][-1]) == pytest.approx(run.parameters, rel=1e-5)
        assert len(path["w0"]) == UPDATES + 1
        losses = line().loss(np.stack([path["w0"], path["w1"]], axis=1))
        assert curve["train_loss"] == pytest.approx(losses, rel=1e-4)
        assert curve["examples"][-1] == UPDATES * found["sizes"][name]
        assert curve["seconds"][-1] == pytest.approx(2.0)
    surface = found["surface"]
    assert surface["loss"][0][-1] == pytest.approx(line().loss(np.array([3.5, 4.0])), rel=1e-3), "largest w1 first"


def test_the_next_place_is_one_batch_update_away() -> None:
    """The update that the formula shows is the one that the run then makes."""
    now = shown(OPENED, 20)["now"]["batch"]
    after = shown(OPENED, 21)["now"]["batch"]
    assert now["next"] == pytest.approx(after["w"], abs=1e-5)
    first, _ = update_in_numbers(shown(OPENED, 20)).splitlines()
    before, slope, result = (now["w"][0], now["slopes"][0], after["w"][0])
    written = [
        float(text.strip("()").replace("−", "-"))
        for text in first.removeprefix("w₀ ← ").replace(" − ", " = ").replace("·", " = ").split(" = ")
    ]
    assert written == pytest.approx([before, 0.09, slope, result], abs=5.1e-4)


def test_before_anything_has_run_there_is_the_start() -> None:
    found = shown(OPENED, 0)
    assert found["paths"]["batch"] == {"w0": [OPENED.w0], "w1": [OPENED.w1]}
    assert found["now"]["batch"]["loss"] == pytest.approx(float(line().loss(np.array([OPENED.w0, OPENED.w1]))))
    json.dumps(found, allow_nan=False)


def test_past_every_bound_the_figures_still_are_numbers() -> None:
    lost = replace(OPENED, learning_rate=0.6)
    assert states(lost)["batch"].step < UPDATES, "the run has diverged"
    found = shown(lost)
    json.dumps(found, allow_nan=False)
    assert found["now"]["batch"]["inside"] is False
    assert limit_in_numbers(found).endswith("α = 0.600 > 0.281: it diverges")


@pytest.mark.parametrize(
    ("task", "changes", "updates"),
    [
        ("diverge", {"learning_rate": 0.282}, UPDATES),
        ("diverge", {"learning_rate": 0.29}, UPDATES),
        ("soon", {"learning_rate": 0.15}, 40),
        ("calm", {"learning_rate": 0.2, "minibatch": 30}, UPDATES),
    ],
)
def test_each_task_can_be_solved(task: str, changes: dict[str, Any], updates: int) -> None:
    assert verdict(task, replace(OPENED, **changes), updates).solved


@pytest.mark.parametrize(
    ("task", "changes", "updates"),
    [
        ("diverge", {}, UPDATES),
        ("diverge", {"learning_rate": 0.28}, UPDATES),  # it converges
        ("diverge", {"learning_rate": 0.31}, UPDATES),  # more than 5 % beyond
        ("diverge", {"learning_rate": 0.29}, 15),  # too soon to know
        ("soon", {}, UPDATES),
        ("soon", {"w0": 0.5, "w1": 0.9}, UPDATES),  # begun at the minimum
        ("soon", {"learning_rate": 0.15}, 10),
        ("calm", {"learning_rate": 0.2}, UPDATES),
        ("calm", {"minibatch": 30}, UPDATES),  # calm because of its small steps
        ("calm", {"learning_rate": 0.2, "minibatch": 30}, 20),
    ],
)
def test_ways_round_a_task_do_not_solve_it(task: str, changes: dict[str, Any], updates: int) -> None:
    found = verdict(task, replace(OPENED, **changes), updates)
    assert not found.solved
    assert 0 <= found.nearness < 1
