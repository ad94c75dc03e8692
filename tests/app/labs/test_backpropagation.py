"""Lab 8: its table is of the run as it stands, its numbers recompute, and each of its tasks can be solved."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.labs.backpropagation import (
    LAB,
    MEMORY,
    Settings,
    back_in_numbers,
    delta_in_numbers,
    figures,
    forward_in_numbers,
    look,
    runs,
    update_in_numbers,
)
from app.labs.lesson import RunState, Verdict
from engine.datasets.points import points_dataset
from engine.errors import DivergedError
from engine.lessons.by_hand import Line
from engine.optimizers import OPTIMIZERS
from engine.specs import OPTIMIZER_SPECS
from engine.trainer import Trainer
from tests.engine.by_hand import check_line, reckoned, value_and_half_digit
from tests.engine.portions import finished_in_portions

OPENED = Settings()


def trainer_of(settings: Settings, steps: int = 0) -> Trainer:
    spec = runs(settings)["network"]
    trainer = Trainer(spec, points_dataset(spec.dataset))  # type: ignore[arg-type]
    if steps:
        trainer.advance(steps)
    return trainer


def state_of(trainer: Trainer, settings: Settings) -> RunState:
    """As a worker tells it."""
    return RunState(
        step=trainer.steps,
        parameters=tuple(trainer.network.parameters.tolist()),
        seen=finished_in_portions(look(trainer, settings, "network")),
    )


def after(settings: Settings, steps: int) -> dict[str, Any]:
    return figures(settings, {"network": state_of(trainer_of(settings, steps), settings)})


def verdict(task: str, settings: Settings, steps: int = 0) -> Verdict:
    (found,) = (one for one in LAB.tasks if one.name == task)
    return found.check(settings, after(settings, steps) if steps else figures(settings, {}), {})


@pytest.mark.parametrize("optimizer", OPTIMIZER_SPECS)
def test_the_table_says_what_the_next_update_does(optimizer: Any) -> None:
    """With the memory of three updates, and in float32 as the run has it; every line recomputes from what is printed."""
    settings = replace(OPENED, optimizer=optimizer, learning_rate=0.3)
    trainer = trainer_of(settings, 3)
    found = figures(settings, {"network": state_of(trainer, settings)})
    trainer.step()
    for name, now in zip(found["weights"], trainer.network.parameters.tolist(), strict=True):
        assert found["moved"][name] == pytest.approx(now, abs=2e-6), name
    assert found["loss_after"] == pytest.approx(after(settings, 4)["loss"], rel=1e-4)
    for line in (*found["forward"], *found["backward"], *found["spelled_out"], *found["after"]):
        check_line(Line(name=line["name"], latex=line["latex"], numbers=line["numbers"], value=line["value"]))
        assert line["result"]


def test_every_memory_has_its_letter() -> None:
    assert {name: tuple(letters) for name, letters in MEMORY.items()} == {
        name: optimizer.accumulators for name, optimizer in OPTIMIZERS.items()
    }


def test_numbers_are_put_in() -> None:
    found = figures(OPENED, {})
    for numbers in (forward_in_numbers, delta_in_numbers, back_in_numbers, update_in_numbers):
        for row in numbers(found).splitlines():
            if "→" in row:
                continue
            left, _, right = row.rpartition(" = ")
            come_to, slack = reckoned(left.partition(" ← ")[2] or left.partition(" = ")[2])
            printed, half = value_and_half_digit(right.removeprefix("−"))
            assert abs(come_to) == pytest.approx(printed, abs=slack + half + 1e-12), row
    assert delta_in_numbers(found).startswith("Δ₅ = −2 · (1 − 0.46145) · 0.24851 = −0.26767")


def test_the_chosen_line_and_weight_light_up() -> None:
    assert figures(OPENED, {})["lit"] == ""
    assert figures(replace(OPENED, line=1), {})["lit"] == "3 w03 w13 w23"
    assert figures(replace(OPENED, line=22), {})["lit"] == "w04 4"
    assert figures(replace(OPENED, weight="w24"), {})["spelled_out"][0]["about"] == "w24 4"


@pytest.mark.parametrize(
    ("task", "settings", "steps"),
    [
        ("sign", replace(OPENED, y=0.0), 0),
        ("nothing-back", replace(OPENED, x1=0.0), 0),
        ("nothing-back", replace(OPENED, hidden="relu", w03=-5.0), 0),
        ("nothing-back", replace(OPENED, w35=0.0), 0),
        ("too-far", replace(OPENED, output="linear", learning_rate=2.0), 0),
        ("too-far", replace(OPENED, y=0.5, learning_rate=100.0), 0),
        ("memory", replace(OPENED, optimizer="momentum", learning_rate=10.0), 1),
        ("memory", replace(OPENED, optimizer="adam", learning_rate=1.0), 1),
    ],
)
def test_each_task_can_be_solved(task: str, settings: Settings, steps: int) -> None:
    found = verdict(task, settings, steps)
    assert found.solved, found.note


@pytest.mark.parametrize(
    ("task", "settings", "steps"),
    [
        ("sign", OPENED, 0),
        ("nothing-back", replace(OPENED, hidden="relu", output="relu", w03=-5.0, w05=-5.0), 0),
        ("too-far", replace(OPENED, learning_rate=100.0), 0),
        ("memory", replace(OPENED, learning_rate=50.0), 1),
        ("memory", replace(OPENED, optimizer="momentum", learning_rate=50.0), 0),
    ],
)
def test_ways_round_a_task_do_not_solve_it(task: str, settings: Settings, steps: int) -> None:
    assert not verdict(task, settings, steps).solved


def test_a_weight_elsewhere_changes_nothing_of_the_lab_s_own_run() -> None:
    other = replace(OPENED, run="0123456789abcdef", layer=2, unit=3, input=-1, example=7, line=5, weight="w05")
    assert runs(other) == runs(OPENED)


def test_weights_that_have_grown_beyond_all_bounds_are_not_worked_out() -> None:
    settings = replace(OPENED, hidden="linear", output="linear", x1=5.0, x2=5.0, y=-5.0, learning_rate=5.0)
    trainer, found = trainer_of(settings), figures(settings, {})
    for _ in range(10):
        try:
            trainer.step()
        except DivergedError:
            break
        found = figures(settings, {"network": state_of(trainer, settings)})
        json.dumps(found, allow_nan=False)
    assert found["lost"]
    assert (found["step"], found["loss"]) == (0, figures(settings, {})["loss"])
