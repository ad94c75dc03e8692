"""Lab 5: the slide's figures, and each task solved by real training and not as opened."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from app.labs.lesson import Json, RunState, Verdict
from app.labs.overfitting import GOOD, LAB, Settings, figures, look, runs
from app.workers.point_recorder import point_interval
from engine.datasets.points import points_dataset
from engine.evaluation import evaluate
from engine.lessons.overfitting import UPDATES, Beside, measurements
from engine.trainer import Trainer

OPENED = Settings()


def returned(portions: Generator[None, None, Json]) -> Json:
    while True:
        try:
            next(portions)
        except StopIteration as end:
            found: Json = end.value
            return found


@cache
def trained(settings: Settings, updates: int) -> dict[str, RunState]:
    """The lab's runs after so many updates, as their workers would tell; the timber's learns by heart in 1,000."""
    network, sales = (_trainer(settings, name) for name in ("network", "timber"))
    if updates:
        network.advance(updates)
        sales.advance(min(updates, 1_000))
    losses = {f"{split}_loss": evaluate(network, split).loss for split in ("train", "test")}
    return {
        "network": RunState(
            step=updates,
            metrics=losses,
            parameters=_parameters(network),
            seen=returned(look(network, settings, "network")),
        ),
        "timber": RunState(step=updates, parameters=_parameters(sales)),
    }


def _trainer(settings: Settings, name: str) -> Trainer:
    spec = runs(settings)[name]
    return Trainer(spec, points_dataset(spec.dataset))  # type: ignore[arg-type]


def _parameters(trainer: Trainer) -> tuple[float, ...]:
    return tuple(map(float, trainer.network.parameters))


def verdict(task: str, settings: Settings, updates: int = UPDATES) -> Verdict:
    (found,) = (one for one in LAB.tasks if one.name == task)
    states = trained(settings, updates)
    return found.check(settings, figures(settings, states), states)


@pytest.mark.parametrize("updates", [0, 100, UPDATES])
def test_no_task_is_solved_by_waiting(updates: int) -> None:
    assert not [task.name for task in LAB.tasks if verdict(task.name, OPENED, updates).solved]


def test_as_it_opens_it_says_what_the_slide_says() -> None:
    found = figures(OPENED, trained(OPENED, UPDATES))
    a, b, c = found["timber"]["rows"]
    assert (round(a["sales"]), round(b["sales"])) == (1007, 0)
    assert c["error"] < 15 < b["error"] + 10 < a["error"]
    assert [mark["words"] for mark in found["timber_plot"]["marks"]][:2] == ["A 1,007", "B 0"]
    assert [point["y"] for point in found["timber_plot"]["points"] if point["kind"] == "filled"] == [
        1093,
        1122,
        966,
        930,
    ]
    assert found["network"]["worse"] > 2
    assert found["network"]["train"] < 0.02


@pytest.mark.parametrize(
    ("task", "settings", "updates"),
    [
        ("lowest-degree", replace(OPENED, degree=6), 0),
        ("early-stopping", replace(OPENED, patience=10), 730),
        ("brake", replace(OPENED, l2=0.02), UPDATES),
        ("brake", replace(OPENED, points=100), UPDATES),
    ],
)
def test_each_task_can_be_solved(task: str, settings: Settings, updates: int) -> None:
    assert verdict(task, settings, updates).solved


@pytest.mark.parametrize(
    ("task", "settings", "updates"),
    [
        ("lowest-degree", replace(OPENED, degree=5), 0),
        ("early-stopping", replace(OPENED, patience=10, points=100), 100),
        ("early-stopping", replace(OPENED, patience=10, l2=0.02), 100),
        ("early-stopping", replace(OPENED, patience=10, units=3), 100),
        ("early-stopping", replace(OPENED, patience=100), UPDATES),
        ("early-stopping", replace(OPENED, patience=1), 10),
        ("brake", replace(OPENED, patience=10), 730),
        ("brake", replace(OPENED, l2=0.02, units=5), 100),
        ("brake", replace(OPENED, l2=0.02), 100),
        ("brake", replace(OPENED, l2=0.001), UPDATES),
    ],
)
def test_ways_round_a_task_do_not_solve_it(task: str, settings: Settings, updates: int) -> None:
    found = verdict(task, settings, updates)
    assert not found.solved
    assert 0 <= found.nearness < 1


@pytest.mark.parametrize("updates", [720, 740])
def test_a_run_that_goes_on_is_not_judged_yet(updates: int) -> None:
    settings = replace(OPENED, patience=10)
    assert (trained(settings, updates)["network"].metrics["test_loss"] or 1) < GOOD
    assert not verdict("early-stopping", settings, updates).solved


def test_it_is_measured_when_runs_of_points_are() -> None:
    """So that patience ends a run where the lab says."""
    points = [step for step in range(1, UPDATES + 1) if step % point_interval(step) == 0]
    assert [measurements(step) for step in points] == list(range(1, len(points) + 1))
    beside = Beside(runs(replace(OPENED, units=1))["network"])
    walked = []
    while beside.next <= UPDATES:
        walked.append(beside.next)
        beside.advance()
    assert walked == points


def test_what_is_seen_is_the_lowest_so_far_however_it_is_looked_at() -> None:
    trainer = _trainer(OPENED, "network")
    before = trainer.network.parameters.copy()
    assert returned(look(trainer, OPENED, "network"))["step"] == 0
    assert (trainer.network.parameters == before).all()
    trainer.advance(UPDATES)
    late = returned(look(trainer, OPENED, "network"))
    assert 0 < late["step"] < 1_000
    trainer.reset()
    trainer.advance(100)
    assert returned(look(trainer, OPENED, "network"))["step"] <= 100
    assert returned(look(trainer, OPENED, "timber")) == {}


def test_numbers_are_put_into_each_formula() -> None:
    every: list[Any] = [part.formula.numbers for part in LAB.parts if part.formula]
    curve, network, training, brakes = (numbers(figures(OPENED, trained(OPENED, UPDATES))) for numbers in every)
    assert curve == "A: error 105, forecast 1,007\nB: error 7.65, forecast −3,849 → 0"
    assert network.startswith("C: error ")
    assert training.splitlines()[1].startswith("lowest 0.1")
    assert brakes.startswith("points 15, λ = 0, patience 0\nheld out 0.3")
    before = figures(OPENED, {})
    assert every[1](before) == ""
    assert every[2](before) == "training –, held out –"
