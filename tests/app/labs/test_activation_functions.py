"""Lab 10: its figures are the engine's, and each of its tasks can be solved by training for real."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from app.labs.activation_functions import (
    LAB,
    Settings,
    curve_numbers,
    dead_numbers,
    figures,
    look,
    product_numbers,
    racers,
    runs,
)
from app.labs.lesson import Json, RunState, Verdict
from engine.datasets.points import points_dataset
from engine.evaluation import evaluate
from engine.trainer import Trainer

OPENED = Settings()


@cache
def trained(settings: Settings, updates: int) -> dict[str, RunState]:
    """The lab's runs after so many updates, as their workers would tell."""
    return {name: _state(settings, name, updates) for name in runs(settings)}


def _state(settings: Settings, name: str, updates: int) -> RunState:
    spec = runs(settings)[name]
    trainer = Trainer(spec, points_dataset(spec.dataset))  # type: ignore[arg-type]
    if updates:
        trainer.advance(updates)
    loss = evaluate(trainer, "train").loss
    return RunState(step=updates, metrics={"train_loss": loss}, seen=returned(look(trainer, settings, name)))


def returned(portions: Generator[None, None, Json]) -> Json:
    while True:
        try:
            next(portions)
        except StopIteration as end:
            found: Json = end.value
            return found


def verdict(task: str, settings: Settings, updates: int) -> Verdict:
    (found,) = (one for one in LAB.tasks if one.name == task)
    states = trained(settings, updates)
    return found.check(settings, figures(settings, states), states)


def test_the_function_that_is_looked_at_races_too() -> None:
    assert racers(OPENED)["third"] == "tanh"
    assert racers(replace(OPENED, function="relu"))["third"] == "tanh"
    assert racers(replace(OPENED, function="softplus")) == {"logistic": "logistic", "relu": "relu", "third": "softplus"}
    specs = runs(OPENED)
    assert len({replace(spec, name="same", network=specs["relu"].network) for spec in specs.values()}) == 1


def test_what_is_drawn_is_the_chosen_functions_network() -> None:
    for function, run in (("logistic", "logistic"), ("relu", "relu"), ("tanh", "third"), ("linear", "third")):
        settings = replace(OPENED, function=function)  # type: ignore[arg-type]
        states = trained(settings, 0)
        found = figures(settings, states)
        assert found["layers"] == states[run].seen["layers"]
        assert len(found["layers"]) == 4
        assert sum(found["layers"][0]["counts"]) == 200 * 8


def test_as_it_opens_the_logistic_network_stalls_and_the_others_learn() -> None:
    losses = {name: state.metrics["train_loss"] or 0 for name, state in trained(OPENED, 1_500).items()}
    assert losses["logistic"] > 0.68
    assert losses["relu"] < 0.02
    assert losses["third"] < 0.05


def test_nothing_is_solved_by_waiting() -> None:
    assert not [task.name for task in LAB.tasks if verdict(task.name, OPENED, 1_500).solved]


def test_numbers_are_put_in() -> None:
    found = figures(OPENED, trained(OPENED, 0))
    assert curve_numbers(found) == "in = 0: g = 0.500, g′ = 0.250\nin = 4: g = 0.982, g′ = 0.0177"
    assert [line.split(":")[0] for line in product_numbers(found).splitlines()] == ["logistic", "ReLU", "tanh"]
    assert product_numbers(found).splitlines()[0].count("·") == 3
    assert dead_numbers(found) == f"{len(found['dead'])} of 32 ReLU units are dead"
    before = figures(OPENED, {})
    assert product_numbers(before) == ""
    assert before["layers"] == []


@pytest.mark.parametrize(
    ("task", "settings", "updates"),
    [
        ("twin", replace(OPENED, function="softplus"), 0),
        ("saturate", replace(OPENED, bias=-5.0), 0),
        ("revive", replace(OPENED, layers=2, learning_rate=1.0), 1_500),
        ("kill", replace(OPENED, bias=-3.0), 300),
        ("kill", replace(OPENED, learning_rate=1.0), 300),
    ],
)
def test_each_task_can_be_solved(task: str, settings: Settings, updates: int) -> None:
    assert verdict(task, settings, updates).solved


@pytest.mark.parametrize(
    ("task", "settings", "updates"),
    [
        ("twin", replace(OPENED, function="tanh"), 0),
        ("saturate", replace(OPENED, bias=-2.0), 0),
        ("revive", replace(OPENED, layers=1, learning_rate=1.0), 1_500),
        ("kill", replace(OPENED, bias=-0.5), 300),
    ],
)
def test_ways_round_a_task_do_not_solve_it(task: str, settings: Settings, updates: int) -> None:
    found = verdict(task, settings, updates)
    assert not found.solved
    assert 0 <= found.nearness < 1


def test_dead_units_are_named_and_the_flattest_that_is_not_dead_as_well() -> None:
    states: dict[str, Any] = trained(replace(OPENED, bias=-3.0), 300)
    found = figures(OPENED, states)
    flat = states["relu"].seen["layers"]
    assert found["dead_names"] == [
        f"layer {layer}, unit {unit}"
        for layer, row in enumerate(flat, 1)
        for unit, share in enumerate(row["flat"], 1)
        if share == 1
    ]
    assert len(found["dead_names"]) >= 8
    assert found["flattest"]["share"] == max(share for row in flat for share in row["flat"] if share < 1)
