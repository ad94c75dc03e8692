"""Lab 9: its figures are those of real runs, and each of its tasks can be solved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from app.labs.lesson import Json, RunState, Verdict
from app.labs.minibatches import GUESSING, LAB, RATES, Settings, balance_in_numbers, figures, look, runs
from engine.lessons.minibatches import EXAMPLES, PASSES, loss_over_all, ring_points
from engine.trainer import Trainer
from tests.engine.portions import finished

OPENED = Settings()


@cache
def states(settings: Settings, share: float = 1.0) -> Mapping[str, RunState]:
    """The runs after a share of their updates."""
    found = {}
    for name, spec in runs(settings).items():
        trainer = Trainer(spec, ring_points())
        trainer.advance(max(1, int(share * (spec.stop.steps or 0))))
        seen = finished(look(trainer, settings, name))
        found[name] = RunState(step=trainer.steps, seen=seen, metrics={"train_loss": loss_over_all(trainer)})
    return found


def shown(settings: Settings, share: float = 1.0) -> Json:
    return finished(figures(settings, states(settings, share)))


def verdict(task: str, settings: Settings, share: float = 1.0) -> Verdict:
    (found,) = (one for one in LAB.tasks if one.name == task)
    return found.check(settings, shown(settings, share), states(settings, share))


def test_the_table_says_where_the_race_beside_it_ends() -> None:
    found = shown(OPENED)
    column = RATES.index(OPENED.learning_rate)
    for row in found["table"]:
        name = row["name"]
        assert row["losses"][column] == found["ends"][name]["loss"] == states(OPENED)[name].metrics["train_loss"]
        assert row["losses"][column] == found["curves"][name]["train_loss"][-1]
        assert found["curves"][name]["examples"][-1] == PASSES * EXAMPLES
        assert row["good"] == sum(loss < 0.15 for loss in row["losses"])
        assert row["levels"] == [
            sum(loss >= end for end in (0.08, 0.12, 0.25, 0.5, GUESSING)) for loss in row["losses"]
        ]


def test_as_it_opens_the_minibatch_has_won() -> None:
    """What the first ten seconds show, with nothing touched."""
    ends = {name: end["loss"] for name, end in shown(OPENED)["ends"].items()}
    assert ends["minibatch"] < 0.1
    assert ends["batch"] > 0.6, "slow"
    assert ends["stochastic"] > GUESSING, "sensitive to α"
    assert balance_in_numbers(shown(OPENED)).startswith("batch: 0.631 after ")


def test_as_long_as_a_race_goes_on_it_has_no_end() -> None:
    for found in (shown(OPENED, 0.5), finished(figures(OPENED, {}))):
        assert [end["loss"] for end in found["ends"].values()] == [None] * 3
        assert balance_in_numbers(found).splitlines()[1] == "stochastic: on its way"
        json.dumps(found, allow_nan=False)


def test_what_is_learned_after_the_race_does_not_count() -> None:
    assert shown(OPENED, 2.0)["curves"]["batch"]["step"][-1] == 2 * PASSES
    assert shown(OPENED, 2.0)["ends"]["batch"]["loss"] == shown(OPENED)["ends"]["batch"]["loss"]


def test_a_race_that_diverged_has_no_loss_and_solves_nothing() -> None:
    """Its weights are then those of before: where it was is only in its state."""
    state = RunState(step=5, state="diverged", seen={"seconds_an_update": 0.001})
    found = finished(figures(OPENED, {**states(OPENED), "batch": state}))
    assert found["ends"]["batch"] == {"loss": None, "seconds": pytest.approx(0.005)}
    assert balance_in_numbers(found).startswith("batch: diverged after 5.00 ms")
    assert not LAB.tasks[0].check(OPENED, found, states(OPENED)).solved


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("batch", {"learning_rate": 1.0}),
        ("both", {"learning_rate": 0.1, "minibatch": 8}),
        ("few", {"learning_rate": 1.0, "minibatch": 48}),
    ],
)
def test_each_task_can_be_solved(task: str, changes: dict[str, Any]) -> None:
    assert verdict(task, replace(OPENED, **changes)).solved
    assert not verdict(task, replace(OPENED, **changes), 0.9).solved, "not before the end"


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("batch", {"learning_rate": 3.0}),
        ("both", {"learning_rate": 0.1}),  # the minibatch is too slow
        ("both", {"minibatch": 8}),  # the single examples pull too hard
        ("few", {"learning_rate": 1.0}),  # three hundred updates
        ("few", {"minibatch": 200, "learning_rate": 1.0}),
    ],
)
def test_ways_round_a_task_do_not_solve_it(task: str, changes: dict[str, Any]) -> None:
    found = verdict(task, replace(OPENED, **changes))
    assert not found.solved
    assert 0 <= found.nearness < 1
