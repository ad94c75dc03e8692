"""Lab 1: what is printed is the error of the printed weights, and each task can be solved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.labs.lesson import RunState, Verdict
from app.labs.weights import (
    LAB,
    Settings,
    figures,
    function_in_numbers,
    in_order,
    loss_in_numbers,
    runs,
    steps_in_numbers,
)
from engine.datasets.points import points_dataset
from engine.lessons.backpropagation import WEIGHTS
from engine.trainer import Trainer
from tests.engine.by_hand import reckoned
from tests.engine.test_lesson_weights import by_the_slide

OPENED = Settings()
BY_HAND = replace(OPENED, w04=-4.5, w05=0.0, w03=-3.5, w23=-0.5)
ZERO = Settings(**dict.fromkeys(WEIGHTS, 0.0))


def trained(settings: Settings, steps: int) -> RunState:
    spec = runs(settings)["network"]
    trainer = Trainer(spec, points_dataset(spec.dataset))  # type: ignore[arg-type]
    trainer.advance(steps)
    return RunState(step=steps, parameters=tuple(trainer.network.parameters.tolist()))


def verdict(task: str, settings: Settings, run: RunState | None = None) -> Verdict:
    (found,) = (one for one in LAB.tasks if one.name == task)
    states = {} if run is None else {"network": run}
    return found.check(settings, figures(settings, states), states)


@pytest.mark.parametrize("steps", [0, 7, 300])
def test_the_loss_is_that_of_the_printed_weights_to_the_printed_digits(steps: int) -> None:
    run = trained(OPENED, steps) if steps else RunState()
    found = figures(OPENED, {"network": run})
    printed = {name: float(text.replace("−", "-")) for name, text in zip(found["names"], found["printed"], strict=True)}
    assert loss_in_numbers(found).endswith(f"= {by_the_slide(printed):.4f}")
    assert found["loss"] == pytest.approx(by_the_slide(printed), rel=1e-12)
    if steps:
        true = dict(zip(WEIGHTS, run.parameters or (), strict=True))
        assert found["loss"] == pytest.approx(by_the_slide(true), abs=1e-3)


def test_numbers_are_put_in() -> None:
    found = figures(OPENED, {})
    assert function_in_numbers(found).splitlines() == [
        "ŷ = g(−1 + 6·a₃ + (−4)·a₄)",
        "a₃ = g(0 + 1·x₁ + (−1)·x₂)",
        "a₄ = g(0 + 2·x₁ + 0.5·x₂)",
    ]
    lines = steps_in_numbers(found).splitlines()
    assert len(lines) == 2
    for line in lines:
        left, _, right = line.partition(" ← ")[2].rpartition(" = ")
        assert reckoned(left)[0] == pytest.approx(float(right.replace("−", "-")), abs=5e-5), line


def test_the_run_begins_with_the_sliders_and_goes_on_from_where_they_are() -> None:
    assert runs(OPENED)["network"].parameters == in_order(OPENED)
    moved = figures(OPENED, {"network": trained(OPENED, 20)})
    again = Settings(**dict(zip(moved["names"], moved["weights"], strict=True)))
    assert in_order(again) == tuple(moved["weights"])
    assert figures(again, {})["loss"] == moved["loss"]


def test_each_task_can_be_solved() -> None:
    found = verdict("by-hand", BY_HAND)
    assert (found.solved, found.note) == (True, "Loss 0.160 after no update.")
    assert verdict("train", BY_HAND, trained(BY_HAND, 200)).solved
    assert verdict("twins", ZERO, trained(ZERO, 100)).solved
    pair = replace(OPENED, w14=1.0, w24=-1.0, w45=6.0)
    assert verdict("twins", pair, trained(pair, 150)).solved


def test_ways_round_a_task_do_not_solve_it() -> None:
    assert not verdict("by-hand", OPENED, trained(OPENED, 200)).solved
    assert not verdict("by-hand", OPENED).solved
    assert not verdict("train", OPENED).solved
    assert not verdict("twins", ZERO, trained(ZERO, 99)).solved
    assert not verdict("twins", OPENED, trained(OPENED, 150)).solved
    one_differs = replace(ZERO, w35=0.5)
    assert not verdict("twins", one_differs, trained(one_differs, 150)).solved
