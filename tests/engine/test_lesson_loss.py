"""The lesson on loss: against Python's own arithmetic, and the figures on the slides."""

from __future__ import annotations

from itertools import accumulate
from math import exp, fsum, inf, log
from struct import pack, unpack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.lessons.loss import SMALLEST, likelihood, probabilities_of_truth, softmax_steps, squared_loss

any_input = st.floats(-1e4, 1e4, width=32)


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_the_squared_loss_and_its_slope(target: float, output: float) -> None:
    loss, slope = squared_loss(target, output)
    assert loss == pytest.approx((target - output) ** 2, abs=1e-12)
    step = 1e-3  # of a parabola the central difference is the slope itself
    numeric = (squared_loss(target, output + step)[0] - squared_loss(target, output - step)[0]) / (2 * step)
    assert slope == pytest.approx(numeric, abs=1e-8)


def to_float32(value: float) -> float:
    """The float32 nearest to a double; the product of two float32 is a double without any rounding."""
    (rounded,) = unpack("f", pack("f", value))
    return float(rounded)


def test_the_product_of_probabilities_becomes_exactly_zero_while_the_sum_stays_fine() -> None:
    probabilities = probabilities_of_truth(10_000, 0.2, 0.95, seed=1)
    found = likelihood(probabilities)
    products = list(accumulate(probabilities.tolist(), lambda product, p: to_float32(product * p)))
    assert found.products.tolist() == products
    assert found.vanished == products.index(0) + 1
    assert 100 < found.vanished < 250
    assert float(found.sums[-1]) == pytest.approx(-fsum(log(p) for p in probabilities.tolist()), rel=1e-4)
    assert np.isfinite(found.sums).all()


def test_without_any_probability_below_one_half_the_smallest_number_rounds_to_itself() -> None:
    found = likelihood(probabilities_of_truth(1_000, 0.6, 0.9, seed=1))
    assert found.products[-1] == np.float32(SMALLEST)
    assert found.vanished is None


def test_certain_examples_never_vanish() -> None:
    found = likelihood(probabilities_of_truth(10_000, 1.0, 1.0, seed=1))
    assert found.vanished is None
    assert found.products[-1] == 1
    assert found.sums[-1] == 0


def test_more_examples_begin_with_the_same_probabilities_between_the_two_given() -> None:
    many, few = (probabilities_of_truth(count, 0.9, 0.3, seed=4) for count in (500, 20))
    assert np.array_equal(many[:20], few)
    assert many.min() >= np.float32(0.3)
    assert many.max() <= np.float32(0.9)
    assert np.ptp(many) > 0.5
    assert not np.array_equal(many, probabilities_of_truth(500, 0.9, 0.3, seed=5))


def test_softmax_of_the_slide() -> None:
    cat, dog = softmax_steps((-0.12, 2.0))
    assert [round(step.probability, 3) for step in (cat, dog)] == [0.107, 0.893]
    assert cat.shifted == pytest.approx(-2.12)
    assert dog.shifted == 0
    assert cat.power == pytest.approx(exp(-2.12), rel=1e-6)
    assert dog.power == 1
    assert cat.at_once == pytest.approx(exp(-0.12), rel=1e-6)
    assert cat.loss == pytest.approx(log(1 + exp(2.12)), rel=1e-6)


@given(st.lists(any_input, min_size=2, max_size=6))
def test_probabilities_sum_to_one_for_inputs_up_to_ten_thousand(inputs: list[float]) -> None:
    steps = softmax_steps(inputs)
    assert fsum(step.probability for step in steps) == pytest.approx(1, abs=1e-6)
    total = fsum(step.power for step in steps)
    for step, value in zip(steps, inputs, strict=True):
        assert step.probability == pytest.approx(step.power / total, rel=1e-5)
        assert step.shifted == pytest.approx(value - max(inputs), abs=1e-2)
        assert step.loss == pytest.approx(log(total) - step.shifted, rel=1e-5, abs=1e-6)


def test_without_the_first_step_large_inputs_are_too_much() -> None:
    steps = softmax_steps((1000.0, 999.0))
    assert [step.at_once for step in steps] == [inf, inf]
    assert steps[0].probability == pytest.approx(1 / (1 + exp(-1)), rel=1e-6)
