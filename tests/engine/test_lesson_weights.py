"""The loss as a function of nine weights: against the formula of the slide, and along each weight."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from engine.datasets.points import points_dataset
from engine.lessons.backpropagation import WEIGHTS
from engine.lessons.weights import NETWORK, PLACES, error, points
from engine.specs import SGD, RunSpec
from engine.trainer import Trainer

NINE = (0.5, -0.4, 0.3, 0.8, 0.1, -0.2, 1.2, -0.7, 0.3)


def by_the_slide(weights: dict[str, float]) -> float:
    """mean (y − ŷ)², ŷ = g5(w05 + w35 g3(w03 + w13 x1 + w23 x2) + w45 g4(w04 + w14 x1 + w24 x2))."""
    dataset, w = points_dataset(points()), weights

    def g(z: float) -> float:
        return 1 / (1 + exp(-z))

    squares = [
        (
            float(y)
            - g(
                w["w05"]
                + w["w35"] * g(w["w03"] + w["w13"] * x1 + w["w23"] * x2)
                + w["w45"] * g(w["w04"] + w["w14"] * x1 + w["w24"] * x2)
            )
        )
        ** 2
        for (x1, x2), y in zip(dataset.positions.tolist(), dataset.labels, strict=True)
    ]
    return sum(squares) / len(squares)


def test_the_loss_is_the_mean_squared_error_of_the_slides_formula() -> None:
    found = error(NINE, 12)
    assert found.loss == pytest.approx(by_the_slide(dict(zip(WEIGHTS, NINE, strict=True))), rel=1e-12)
    assert found.squares / found.count == pytest.approx(found.loss)


def test_it_is_the_loss_that_training_makes_smaller() -> None:
    spec = RunSpec(
        dataset=points(),
        network=NETWORK,
        parameters=NINE,
        loss="mean_squared_error",
        optimizer=SGD(learning_rate=2.0),
        batch_size=error(NINE, 12).count,
        l2=0.0,
    )
    trainer = Trainer(spec, points_dataset(points()))
    assert trainer.step().loss == pytest.approx(error(NINE, 12).loss, rel=1e-6)
    moved = np.array(NINE) - 2.0 * np.array(error(NINE, 12).gradient)
    np.testing.assert_allclose(trainer.network.parameters, moved, atol=1e-6)


def test_each_curve_passes_through_what_the_weights_cost_now_with_their_slope() -> None:
    found = error(NINE, 12)
    nine = dict(zip(WEIGHTS, NINE, strict=True))
    assert len(found.curves) == 9
    for name, slope, curve in zip(WEIGHTS, found.gradient, found.curves, strict=True):
        assert len(curve) == PLACES
        for place in (0, 20, PLACES - 1):
            assert curve[place] == pytest.approx(by_the_slide(nine | {name: found.places[place]}), rel=1e-12)
        around = [by_the_slide(nine | {name: nine[name] + move}) for move in (1e-6, -1e-6)]
        assert slope == pytest.approx((around[0] - around[1]) / 2e-6, abs=1e-8)


def test_one_line_cannot_part_the_points_and_two_can() -> None:
    """All points of the other kind lie on both sides of the band."""
    dataset = points_dataset(points())
    across = dataset.positions.sum(axis=1)
    inside = dataset.labels == 1
    assert 0.3 < inside.mean() < 0.7
    assert across[~inside].min() < across[inside].min() < across[inside].max() < across[~inside].max()
    two_lines = (2, 2, 2, 2, 5.6, -5.6, 10, -10, -5)
    assert error(two_lines, 12).loss < 0.01
