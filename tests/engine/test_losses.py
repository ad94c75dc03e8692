from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ShapeError
from engine.gradcheck import STEP, relative_error
from engine.losses import LOSSES, Loss, MeanSquaredError, SoftmaxCrossEntropy

both = pytest.mark.parametrize("loss", [make() for make in LOSSES.values()], ids=lambda loss: type(loss).__name__)


def test_cross_entropy_hand_worked() -> None:
    # Two examples, two classes: e^0 : e^log 3 is 1 : 3.
    logits = np.array([[0.0, log(3)], [log(3), 0.0]])
    value, gradient = SoftmaxCrossEntropy().loss_and_gradient(logits, np.array([0, 0]))
    assert value == pytest.approx((log(4) + log(4 / 3)) / 2, rel=1e-15)
    np.testing.assert_allclose(gradient, [[(0.25 - 1) / 2, (0.75 - 1) / 2], [0.75 / 2, 0.25 / 2]], rtol=1e-14)


def test_squared_error_hand_worked() -> None:
    logits = np.array([[3.0], [1.0]])
    value, gradient = MeanSquaredError().loss_and_gradient(logits, np.array([0]))
    assert value == ((3 - 1) ** 2 + 1**2) / 2
    assert gradient.tolist() == [[2.0], [1.0]]


def test_equal_logits_cost_the_logarithm_of_the_number_of_classes() -> None:
    value, _ = SoftmaxCrossEntropy().loss_and_gradient(np.zeros((10, 4), np.float32), np.arange(4))
    assert value == pytest.approx(log(10), rel=1e-6)


def test_huge_logits_stay_finite() -> None:
    loss = SoftmaxCrossEntropy()
    logits = np.array([[1e30, 0.0], [0.0, 1e30]], np.float32)
    value, gradient = loss.loss_and_gradient(logits, np.array([0, 0]))
    assert value == pytest.approx(5e29, rel=1e-6)
    assert np.isfinite(gradient).all()
    assert loss.probabilities(logits).tolist() == [[1, 0], [0, 1]]


def test_a_diverged_network_has_a_loss_that_is_not_a_number() -> None:
    value, _ = SoftmaxCrossEntropy().loss_and_gradient(np.array([[np.inf], [0.0]]), np.array([0]))
    assert np.isnan(value)


def test_squared_error_reads_probabilities_from_what_is_above_zero() -> None:
    logits = np.array([[3.0, -1.0], [1.0, -2.0], [-5.0, -1.0], [0.0, 0.0]])
    assert MeanSquaredError().probabilities(logits).tolist() == [[0.75, 0.25], [0.25, 0.25], [0, 0.25], [0, 0.25]]


@both
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(2, 6), st.integers(1, 4), st.integers(0, 999))
def test_gradients(loss: Loss, classes: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(classes, size)) * 3, rng.integers(0, classes, size)
    here, gradient = loss.loss_and_gradient(logits, labels)
    gradient = gradient.copy()
    slopes = np.empty((2, logits.size))
    for place in range(logits.size):
        move = np.zeros(logits.size)
        move[place] = STEP
        slopes[0, place] = (loss.loss_and_gradient(logits + move.reshape(logits.shape), labels)[0] - here) / STEP
        slopes[1, place] = (here - loss.loss_and_gradient(logits - move.reshape(logits.shape), labels)[0]) / STEP
    assert relative_error(slopes, gradient.ravel()) < 1e-6


@both
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 999))
def test_probabilities_sum_to_one(loss: Loss, classes: int, size: int, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(size=(classes, size)) * exp(seed % 5)
    before = logits.copy()
    np.testing.assert_allclose(loss.probabilities(logits).sum(axis=0), 1, rtol=1e-12)
    assert np.array_equal(logits, before)


@both
def test_one_label_for_each_column(loss: Loss) -> None:
    with pytest.raises(ShapeError, match=r"Labels: expected an array of shape \(3\), got \(4,\)"):
        loss.loss_and_gradient(np.zeros((10, 3)), np.zeros(4, np.int64))


@both
def test_a_loss_serves_batches_of_changing_size(loss: Loss) -> None:
    for size in (3, 5, 3):
        _, gradient = loss.loss_and_gradient(np.ones((2, size), np.float32), np.zeros(size, np.int64))
        assert gradient.shape == (2, size)
        assert gradient.dtype == np.float32
