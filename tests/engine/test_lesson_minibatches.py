"""The lesson on minibatches: the races are real runs over as many examples, and the table is where they end."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest

from engine.errors import DivergedError
from engine.lessons import minibatches
from engine.lessons.minibatches import (
    EXAMPLES,
    LONGEST,
    PASSES,
    final_loss,
    loss_over_all,
    measured,
    racer,
    ring_points,
    seconds_an_update,
    updates,
)
from engine.specs import SGD, RunSpec
from engine.trainer import Trainer
from tests.engine.portions import finished

T = TypeVar("T")
WILD = replace(racer(EXAMPLES, 0.3, 1), loss="mean_squared_error", optimizer=SGD(learning_rate=100))


def known_already(*_: Any) -> None:
    pytest.fail("it is known already")


def raced(spec: RunSpec, count: int | None = None) -> Trainer:
    trainer = Trainer(spec, ring_points())
    trainer.advance(updates(spec.batch_size) if count is None else count)
    return trainer


@pytest.mark.parametrize("batch_size", [1, 7, 16, EXAMPLES])
def test_every_race_is_over_as_many_examples(batch_size: int) -> None:
    spec = racer(batch_size, 0.1, 1)
    assert len(ring_points().splits(ring_points().spec)["train"]) == EXAMPLES
    assert spec.stop.steps == updates(batch_size)
    assert PASSES * EXAMPLES - batch_size < updates(batch_size) * batch_size <= PASSES * EXAMPLES


def test_all_begin_with_the_same_weights() -> None:
    first, second = (Trainer(racer(size, 0.1, 5), ring_points()) for size in (1, EXAMPLES))
    assert np.array_equal(first.network.parameters, second.network.parameters)


def test_the_loss_is_that_of_every_point_by_hand() -> None:
    trainer = raced(racer(16, 0.1, 1), 50)
    dataset = ring_points()
    probabilities = trainer.predict(dataset.positions[dataset.train])
    labels = dataset.labels[dataset.train]
    by_hand = -math.fsum(
        math.log(row[label]) for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True)
    )
    assert loss_over_all(trainer) == pytest.approx(by_hand / EXAMPLES, rel=1e-5)


def test_a_curve_is_the_loss_of_the_run_at_each_place(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = racer(16, 0.3, 31)
    there = raced(spec, 100)
    curve = finished(measured(spec, 100, there.network.parameters.tolist()))
    assert curve.steps == [0, *range(3, 100, 3), 100]
    for place in (1, 10, len(curve.steps) - 1):
        assert curve.losses[place] == loss_over_all(raced(spec, curve.steps[place]))
    monkeypatch.setattr(minibatches, "Trainer", known_already)
    assert finished(measured(spec, 100)).steps == [0, *range(3, 100, 3)]
    assert finished(measured(spec, 99, there.network.parameters.tolist())).steps == [0, *range(3, 100, 3)]


def test_a_curve_goes_on_for_some_races_and_is_trained_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = racer(16, 0.3, 33)
    twice = finished(measured(spec, 2 * updates(16)))
    assert twice.losses[-1] == loss_over_all(raced(spec, 2 * updates(16)))
    whole = finished(measured(spec, 10**9, raced(spec).network.parameters.tolist()))
    assert whole.steps[-1] == LONGEST * updates(16)
    monkeypatch.setattr(Trainer, "advance", known_already)
    assert finished(measured(spec, 2 * updates(16))) == twice
    assert finished(measured(spec, 10**9)) == whole


def test_a_curve_ends_where_the_run_diverges() -> None:
    with pytest.raises(DivergedError):
        raced(WILD)
    curve = finished(measured(WILD, PASSES))
    assert curve.steps == list(range(len(curve.steps)))
    assert len(curve.steps) <= PASSES


def test_batch_descent_is_measured_at_each_of_its_few_updates() -> None:
    assert finished(measured(racer(EXAMPLES, 0.3, 1), PASSES)).steps == list(range(PASSES + 1))


def test_an_update_takes_its_share_of_the_time() -> None:
    assert seconds_an_update(racer(16, 0.3, 1), itertools.count().__next__) == 1 / updates(16)
    assert seconds_an_update(racer(1, 0.3, 1), itertools.count().__next__) == 1 / minibatches.PORTION


def test_a_cell_of_the_table_is_where_that_race_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = racer(16, 0.3, 32)
    found = finished(final_loss(spec))
    assert found == loss_over_all(raced(spec))
    monkeypatch.setattr(minibatches, "Trainer", known_already)
    assert finished(final_loss(spec)) == found


def test_what_diverges_has_no_final_loss() -> None:
    assert finished(final_loss(WILD)) is None


def test_what_the_slide_says_shows_in_the_table() -> None:
    """Batch descent is slow and works at few rates; minibatches come as far as single examples do, in fewer updates."""
    rates = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
    ends = {
        size: [finished(final_loss(racer(size, rate, 1))) or math.inf for rate in rates] for size in (EXAMPLES, 16, 1)
    }
    good = {size: sum(end < 0.15 for end in row) for size, row in ends.items()}
    assert min(ends[EXAMPLES]) > 3 * min(ends[16]), "slow"
    assert sum(end < 0.5 for end in ends[EXAMPLES]) == 1, "sensitive to the rate"
    assert good[16] == good[1] == 3
    assert min(ends[16]) < min(ends[1])
    assert updates(16) * 16 == updates(1)
