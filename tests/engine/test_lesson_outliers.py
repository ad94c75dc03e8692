"""One unit through points with outliers: what it learns is held against closed forms and an exhaustive search."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.datasets.points import points_dataset
from engine.lessons import fits, outliers
from engine.lessons.outliers import Line, UnitName
from engine.losses import make_loss
from engine.specs import LossName
from engine.trainer import Trainer

X = [-4.4, -4.0, -3.3, -3.0, -2.3, -1.8, -1.0, -0.7, 0.1, 0.6, 1.3, 1.7, 2.3, 3.0, 3.6, 4.0, 4.8]
Y = [-1.6, -2.2, -2.1, -1.8, -1.5, -0.7, -0.6, 0.4, -0.9, 0.3, 0.2, 1.2, 0.1, 1.3, 1.9, 1.3, 2.9]
WITH_X, WITH_Y = [*X, 3.8, 4.4, 3.2], [*Y, -4.2, -3.6, -3.4]

places = st.integers(-50, 50).map(lambda tenths: tenths / 10)
arrangements = st.lists(st.tuples(places, places), min_size=2, max_size=40)


def trained(unit: UnitName, loss: LossName, x: list[float], y: list[float]) -> tuple[Trainer, Line]:
    spec = outliers.run(unit, loss, x, y)
    trainer = Trainer(spec, points_dataset(spec.dataset))  # type: ignore[arg-type]
    trainer.advance(outliers.UPDATES)
    return trainer, outliers.learned_line(unit, trainer.network.parameters.tolist(), x, y)


@settings(max_examples=40, deadline=None)
@given(arrangements)
@example([(1.0, 2.0), (1.0, -3.0)])  # no slope is better than another
@example([(-5.0, -5.0), (-4.9, 5.0)])  # as steep as can be
@example([(5.0, 0.3)] * 39 + [(4.9, 5.0)])
def test_the_trained_unit_reaches_the_closed_form(points: list[tuple[float, float]]) -> None:
    x, y = [point[0] for point in points], [point[1] for point in points]
    _, line = trained("linear", "mean_squared_error", x, y)
    best = outliers.least_squares(x, y)
    assert abs(line.w0 - best.w0) < 1e-3
    assert abs(line.w1 - best.w1) < 1e-3


def test_the_closed_form_is_that_of_numpy() -> None:
    line = outliers.least_squares(WITH_X, WITH_Y)
    np.testing.assert_allclose([line.w1, line.w0], np.polyfit(WITH_X, WITH_Y, 1), rtol=1e-12)


def test_absolute_errors_reach_the_best_of_all_lines_through_two_points() -> None:
    """One of them has the smallest sum of absolute errors (Boscovich 1757, Koenker 2005 section 2.2)."""
    x, y = np.array(WITH_X), np.array(WITH_Y)
    sums = [
        np.abs(y - y[i] - (y[j] - y[i]) / (x[j] - x[i]) * (x - x[i])).mean() for i, j in combinations(range(len(x)), 2)
    ]
    _, line = trained("linear", "absolute_error", WITH_X, WITH_Y)
    assert np.abs(y - line.w0 - line.w1 * x).mean() == pytest.approx(min(sums), rel=5e-3)


@pytest.mark.parametrize("unit", ["linear", "logistic"])
def test_outliers_bend_squared_loss_more_than_the_others(unit: UnitName) -> None:
    bends = {}
    losses: tuple[LossName, ...] = ("mean_squared_error", "absolute_error", "huber")
    for loss in losses:
        _, clean = trained(unit, loss, X, Y)
        _, bent = trained(unit, loss, WITH_X, WITH_Y)
        assert clean.crossing is not None
        assert bent.crossing is not None
        bends[loss] = abs(bent.crossing - clean.crossing) if unit == "logistic" else abs(bent.w1 - clean.w1)
    assert bends["mean_squared_error"] > 2 * max(bends["absolute_error"], bends["huber"])


@pytest.mark.parametrize("unit", ["linear", "logistic"])
def test_the_line_is_what_the_network_answers(unit: UnitName) -> None:
    trainer, line = trained(unit, "huber", WITH_X, WITH_Y)
    places = np.linspace(-5, 5, 11)
    expected = fits.answers(trainer.spec, trainer.network.parameters.tolist(), places)
    np.testing.assert_allclose(outliers.heights(unit, line, places), expected, atol=1e-5)


def test_a_level_line_is_zero_nowhere() -> None:
    assert Line(1.0, 0.0).crossing is None
    assert Line(1.0, 2.0).crossing == -0.5


def test_a_logistic_unit_learns_which_points_are_above_zero() -> None:
    assert outliers.targets("logistic", [-3.0, 0.0, 0.1]) == [0, 0, 1]
    assert outliers.targets("linear", [-3.0, 0.0, 0.1]) == [-3.0, 0.0, 0.1]


def test_the_share_of_the_last_points() -> None:
    level, x = Line(0.0, 0.0), [0.0, 1.0, 2.0]
    assert outliers.share("mean_squared_error", level, x, [1.0, -1.0, 2.0], 1) == pytest.approx(4 / 6)
    assert outliers.share("absolute_error", level, x, [1.0, -1.0, 2.0], 2) == pytest.approx(3 / 4)
    assert outliers.share("absolute_error", level, x, [1.0, -1.0, 2.0], 0) == 0
    assert outliers.share("absolute_error", level, x, [0.0, 0.0, 0.0], 1) == 0


def test_costs_are_those_of_the_loss() -> None:
    errors = np.array([-3.0, -0.2, 0.0, 0.4, 2.0])
    losses: tuple[LossName, ...] = ("mean_squared_error", "absolute_error", "huber")
    for loss in losses:
        spec = outliers.run("logistic", loss, X, Y)
        mean, _ = make_loss(spec).loss_and_gradient(np.zeros((1, 5)), errors)
        assert outliers.costs(loss, errors, outliers.LOGISTIC_DELTA).mean() == pytest.approx(mean, rel=1e-12)
