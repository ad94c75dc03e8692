from __future__ import annotations

from collections.abc import Callable
from math import exp, log, tanh

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ShapeError
from engine.gradcheck import STEP, relative_error
from engine.losses import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    Hinge,
    Huber,
    Loss,
    MeanSquaredError,
    SoftmaxCrossEntropy,
    make_loss,
)
from engine.specs import LossName, RunSpec

every_loss = pytest.mark.parametrize("loss", [make() for make in LOSSES.values()], ids=lambda loss: type(loss).__name__)


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


def test_hinge_hand_worked() -> None:
    # Class 1 is 0.5 behind the true class 0 and should be 1 behind; class 2 is 3 behind and no matter; class 3 leads.
    logits = np.array([[2.0, 0.0], [1.5, 0.0], [-1.0, 5.0], [4.0, 0.0]])
    value, gradient = Hinge().loss_and_gradient(logits, np.array([0, 2]))
    assert value == (0.5 + 3 + 0) / 2
    assert gradient.tolist() == [[-2 / 2, 0], [1 / 2, 0], [0, 0], [1 / 2, 0]]


def test_hinge_is_convnetjs_svm_layer() -> None:
    """Its loop, in float64, for one example at a time."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(10, 50)) * 2, rng.integers(0, 10, 50)
    losses, slopes = 0.0, np.zeros_like(logits)
    for n, label in enumerate(labels):
        for i in range(10):
            difference = -logits[label, n] + logits[i, n] + 1.0
            if i != label and difference > 0:
                slopes[i, n] += 1
                slopes[label, n] -= 1
                losses += difference
    value, gradient = Hinge().loss_and_gradient(logits, labels)
    assert value == pytest.approx(losses / 50, rel=1e-14)
    np.testing.assert_allclose(gradient, slopes / 50, rtol=1e-15)


def test_huber_hand_worked() -> None:
    # δ = 2. Errors 1 (squared) and 5 (straight) of the first example, −3 and 0 of the second.
    logits = np.array([[2.0, -3.0], [5.0, 1.0]])
    value, gradient = Huber(2).loss_and_gradient(logits, np.array([0, 1]))
    assert value == ((0.5 + 2 * (5 - 1)) / 2 + 2 * (3 - 1) / 2) / 2
    assert gradient.tolist() == [[1 / 4, -2 / 4], [2 / 4, 0]]


def test_absolute_error_hand_worked() -> None:
    # Errors 1 and 5 of the first example, −3 and 0 of the second.
    logits = np.array([[2.0, -3.0], [5.0, 1.0]])
    value, gradient = AbsoluteError().loss_and_gradient(logits, np.array([0, 1]))
    assert value == ((1 + 5) / 2 + 3 / 2) / 2
    assert gradient.tolist() == [[1 / 4, -1 / 4], [1 / 4, 0]]


def test_of_absolute_errors_the_median_costs_least() -> None:
    numbers = np.array([1.0, 2.0, 4.0, 8.0, 100.0])
    guesses = np.linspace(0, 100, 1001)
    costs = [AbsoluteError().loss_and_gradient(np.full((1, 5), guess), numbers)[0] for guess in guesses]
    assert guesses[int(np.argmin(costs))] == 4


def test_a_wide_huber_is_half_the_squared_error() -> None:
    logits, labels = np.random.default_rng(0).normal(size=(4, 7)), np.arange(7) % 4
    value, gradient = Huber(1000).loss_and_gradient(logits, labels)
    squared, slopes = MeanSquaredError().loss_and_gradient(logits, labels)
    assert value == pytest.approx(squared / 2, rel=1e-14)
    np.testing.assert_allclose(gradient, slopes / 2, rtol=1e-14)


def test_binary_cross_entropy_hand_worked() -> None:
    # σ(log 3) is ¾ and σ(0) is ½. True class first: −log ¾ and −log ½; the other way round −log ¼ and −log ½.
    logits = np.array([[log(3), log(3)], [0.0, 0.0]])
    value, gradient = BinaryCrossEntropy().loss_and_gradient(logits, np.array([0, 1]))
    assert value == pytest.approx((log(4 / 3) + log(2) + log(4) + log(2)) / 4, rel=1e-15)
    np.testing.assert_allclose(gradient, [[-0.25 / 4, 0.75 / 4], [0.5 / 4, -0.5 / 4]], rtol=1e-14)
    np.testing.assert_allclose(BinaryCrossEntropy().probabilities(logits)[:, 0], [0.75 / 1.25, 0.5 / 1.25], rtol=1e-14)


def test_binary_cross_entropy_of_huge_logits() -> None:
    loss, logits = BinaryCrossEntropy(), np.array([[800.0, -800.0], [-800.0, -810.0]])
    value, gradient = loss.loss_and_gradient(logits, np.array([0, 0]))
    assert value == (0 + 800) / 4
    np.testing.assert_allclose(gradient, [[0, -1 / 4], [0, 0]], atol=1e-300)
    np.testing.assert_allclose(
        loss.probabilities(logits)[:, 1], [1 / (1 + exp(-10)), exp(-10) / (1 + exp(-10))], rtol=1e-12
    )


# ---- PyTorch's formulas, as its documentation states them, written for one output or example ----------------------------


def sigmoid(z: float) -> float:
    return (1 + tanh(z / 2)) / 2


def torch_cross_entropy(outputs: np.ndarray, label: int) -> float:
    """CrossEntropyLoss: −log (exp(x_y) / Σ exp(x_c))."""
    return -log(exp(outputs[label]) / sum(exp(x) for x in outputs))


def torch_mse(outputs: np.ndarray, label: int) -> float:
    """MSELoss: (x − y)², the mean over all elements."""
    return sum((x - (k == label)) ** 2 for k, x in enumerate(outputs)) / len(outputs)


def torch_huber(outputs: np.ndarray, label: int) -> float:
    """HuberLoss, delta 1: 0.5 (x − y)² if |x − y| < delta, else delta (|x − y| − 0.5 delta)."""
    errors = [abs(x - (k == label)) for k, x in enumerate(outputs)]
    return sum(0.5 * e**2 if e < 1 else e - 0.5 for e in errors) / len(outputs)


def torch_l1(outputs: np.ndarray, label: int) -> float:
    """L1Loss: |x − y|, the mean over all elements."""
    return sum(abs(x - (k == label)) for k, x in enumerate(outputs)) / len(outputs)


def torch_bce_with_logits(outputs: np.ndarray, label: int) -> float:
    """BCEWithLogitsLoss: −[y log σ(x) + (1 − y) log (1 − σ(x))], the mean over all elements."""
    terms = [log(sigmoid(x)) if k == label else log(1 - sigmoid(x)) for k, x in enumerate(outputs)]
    return -sum(terms) / len(outputs)


def torch_multi_margin(outputs: np.ndarray, label: int) -> float:
    """MultiMarginLoss, p 1, margin 1, but for its division by the number of classes: Σ_{i≠y} max(0, 1 − x_y + x_i)."""
    return sum(max(0.0, 1 - outputs[label] + x) for k, x in enumerate(outputs) if k != label)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("softmax_cross_entropy", torch_cross_entropy),
        ("mean_squared_error", torch_mse),
        ("huber", torch_huber),
        ("absolute_error", torch_l1),
        ("binary_cross_entropy", torch_bce_with_logits),
        ("hinge", torch_multi_margin),
    ],
)
def test_as_pytorch_defines_it(name: LossName, formula: Callable[[np.ndarray, int], float], weighted: bool) -> None:
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(5, 40)) * 2, rng.integers(0, 5, 40)
    weights = rng.uniform(0, 3, 40) if weighted else np.ones(40)
    costs = [formula(logits[:, n], label) for n, label in enumerate(labels)]
    value, _ = LOSSES[name]().loss_and_gradient(logits, labels, weights if weighted else None)
    assert value == pytest.approx(np.mean(weights * costs), rel=1e-12)


# ---- What holds for all ---------------------------------------------------------------------------------------------------


@every_loss
def test_a_weight_of_three_is_three_examples(loss: Loss) -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(4, 3)), np.array([2, 0, 2])
    value, gradient = loss.loss_and_gradient(logits, labels, np.array([3.0, 0.0, 1.0]))
    gradient = gradient.copy()
    several, slopes = loss.loss_and_gradient(logits[:, [0, 0, 0, 2]], labels[[0, 0, 0, 2]])
    assert value * 3 == pytest.approx(several * 4, rel=1e-14)
    np.testing.assert_allclose(gradient[:, 0] * 3, slopes[:, :3].sum(axis=1) * 4, rtol=1e-13)
    assert (gradient[:, 1] == 0).all()


@every_loss
def test_one_weight_for_each_column(loss: Loss) -> None:
    with pytest.raises(ShapeError, match="Weights of the examples"):
        loss.loss_and_gradient(np.zeros((2, 3)), np.zeros(3, np.int64), np.ones(2))


def test_every_loss_of_a_spec_is_made() -> None:
    for name, make in LOSSES.items():
        assert type(make_loss(RunSpec(loss=name))) is make
    huber = make_loss(RunSpec(loss="huber", huber_delta=2.5))
    assert isinstance(huber, Huber)
    assert huber.delta == 2.5


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


@every_loss
def test_a_diverged_network_has_a_loss_that_is_not_finite(loss: Loss) -> None:
    for wrong in (np.inf, np.nan):
        value, _ = loss.loss_and_gradient(np.array([[wrong], [0.0]]), np.array([0]))
        assert not np.isfinite(value)


def test_squared_error_reads_probabilities_from_what_is_above_zero() -> None:
    logits = np.array([[3.0, -1.0], [1.0, -2.0], [-5.0, -1.0], [0.0, 0.0]])
    assert MeanSquaredError().probabilities(logits).tolist() == [[0.75, 0.25], [0.25, 0.25], [0, 0.25], [0, 0.25]]


@every_loss
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(2, 6), st.integers(1, 4), st.integers(0, 999))
def test_gradients(loss: Loss, classes: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(classes, size)) * 3, rng.integers(0, classes, size)
    weights = rng.uniform(0.1, 3, size) if seed % 2 else None
    here, gradient = loss.loss_and_gradient(logits, labels, weights)
    gradient = gradient.copy()

    def at(logits: np.ndarray) -> float:
        return loss.loss_and_gradient(logits, labels, weights)[0]

    slopes = np.empty((2, logits.size))
    for place in range(logits.size):
        move = np.zeros(logits.size)
        move[place] = STEP
        slopes[0, place] = (at(logits + move.reshape(logits.shape)) - here) / STEP
        slopes[1, place] = (here - at(logits - move.reshape(logits.shape))) / STEP
    assert relative_error(slopes, gradient.ravel()) < 1e-6


@every_loss
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 999))
def test_probabilities_sum_to_one(loss: Loss, classes: int, size: int, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(size=(classes, size)) * exp(seed % 5)
    before = logits.copy()
    np.testing.assert_allclose(loss.probabilities(logits).sum(axis=0), 1, rtol=1e-12)
    assert np.array_equal(logits, before)


@every_loss
def test_one_label_for_each_column(loss: Loss) -> None:
    with pytest.raises(ShapeError, match=r"Labels: expected an array of shape \(3\), got \(4,\)"):
        loss.loss_and_gradient(np.zeros((10, 3)), np.zeros(4, np.int64))


@every_loss
def test_a_loss_serves_batches_of_changing_size(loss: Loss) -> None:
    for size in (3, 5, 3):
        _, gradient = loss.loss_and_gradient(np.ones((2, size), np.float32), np.zeros(size, np.int64))
        assert gradient.shape == (2, size)
        assert gradient.dtype == np.float32
