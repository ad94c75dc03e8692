"""Lab 12: two networks, one race; what the table says is what is built, and each task can be solved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.labs.dense_and_convolutional import (
    LAB,
    UPDATES,
    Settings,
    convolutional_in_numbers,
    dense_in_numbers,
    figures,
    networks,
    runs,
)
from app.labs.lesson import RunState, Verdict
from engine.network import Network
from engine.trainer import Trainer
from tests.engine.small import dataset

OPENED = Settings()
AS_FEW, FEW, GOAL = replace(OPENED, units=7), replace(OPENED, images=1_000), replace(OPENED, until="goal")


def state(step: int, accuracy: float, **more: Any) -> RunState:
    metrics = {"test_accuracy": accuracy, "validation_accuracy": accuracy}
    return RunState(step=step, examples=20 * step, metrics=metrics, **more)


def both(convolutional: RunState, dense: RunState) -> dict[str, RunState]:
    return {"convolutional": convolutional, "dense": dense}


def verdict(task: str, settings: Settings, stand: dict[str, RunState]) -> Verdict:
    (found,) = (one for one in LAB.tasks if one.name == task)
    return found.check(settings, figures(settings, stand), stand)


def test_parameters_are_those_of_the_networks() -> None:
    found = figures(OPENED, {})
    assert list(found) == ["convolutional", "dense"]
    for name, layers in networks(OPENED).items():
        assert found[name]["parameters"] == Network(layers, (1, 28, 28)).parameters.size
    assert dense_in_numbers(found).splitlines() == ["100·784 + 100 = 78,500", "10·100 + 10 = 1,010", "together 79,510"]
    assert convolutional_in_numbers(found).splitlines() == [
        "8·5·5·1 + 8 = 208",
        "16·5·5·8 + 16 = 3,216",
        "10·256 + 10 = 2,570",
        "together 5,994",
    ]


def test_the_networks_are_all_that_differs() -> None:
    """The same digits in the same order: from the same seed comes the same shuffling."""
    specs = runs(OPENED)
    dense = specs["dense"]
    assert specs["convolutional"] == replace(dense, network=networks(OPENED)["convolutional"], name="Convolutional")
    orders = []
    for spec in specs.values():
        trainer = Trainer(replace(spec, dataset=replace(spec.dataset, train_size=70, validation_size=10)), dataset())  # type: ignore[arg-type]
        trainer.advance(5)  # into the second pass
        orders.append((trainer.state().generators["order"], trainer.state().position))
    assert orders[0] == orders[1]


@pytest.mark.parametrize(
    ("task", "settings", "stand", "note"),
    [
        ("as-few", AS_FEW, both(state(UPDATES, 0.96), state(UPDATES, 0.85)), "Dense, 5,575 parameters: 85.0\u2009%."),
        (
            "goal",
            GOAL,
            both(state(300, 0.93), state(1_100, 0.935)),
            "Convolutional after 6,000 examples, dense after 22,000: 3.7",
        ),
        (
            "few-images",
            FEW,
            both(state(UPDATES, 0.949), state(UPDATES, 0.86)),
            "From 1,000 images: convolutional 94.9\u2009%",
        ),
    ],
)
def test_each_task_can_be_solved(task: str, settings: Settings, stand: dict[str, RunState], note: str) -> None:
    found = verdict(task, settings, stand)
    assert (found.solved, found.nearness) == (True, 1)
    assert note in found.note


@pytest.mark.parametrize(
    ("task", "settings", "stand"),
    [
        ("as-few", OPENED, both(state(UPDATES, 0.96), state(UPDATES, 0.93))),
        ("as-few", AS_FEW, both(state(UPDATES - 1, 0.96), state(UPDATES, 0.93))),
        ("as-few", replace(AS_FEW, until="goal"), both(state(UPDATES, 0.96), state(UPDATES, 0.93))),
        ("goal", OPENED, both(state(UPDATES, 0.96), state(UPDATES, 0.94))),
        ("goal", GOAL, both(state(300, 0.94), state(UPDATES, 0.929))),
        ("goal", GOAL, both(state(0, 0.0), state(0, 0.0))),
        ("few-images", OPENED, both(state(UPDATES, 0.97), state(UPDATES, 0.93))),
        ("few-images", FEW, both(state(UPDATES, 0.92), state(UPDATES, 0.93))),
        ("few-images", FEW, both(state(10, 0.95), state(UPDATES, 0.93))),
    ],
)
def test_half_of_a_task_does_not_solve_it(task: str, settings: Settings, stand: dict[str, RunState]) -> None:
    found = verdict(task, settings, stand)
    assert not found.solved
    assert 0 <= found.nearness < 1
