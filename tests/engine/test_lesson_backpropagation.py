"""The lecture's network by hand: every printed number recomputes, and it is what the engine does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.lessons.backpropagation import WEIGHTS, Activation, Example, layers, updates, worked
from engine.lessons.by_hand import Line, factor, shortest, written
from engine.losses import MeanSquaredError
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.specs import OPTIMIZER_SPECS
from tests.engine.by_hand import check_line, reckoned

NINE = dict(zip(WEIGHTS, (0.5, -0.4, 0.3, 0.8, 0.1, -0.2, 1.2, -0.7, 0.3), strict=True))
ONE = Example(x1=1.0, x2=-2.0, y=1.0)

numbers = st.floats(-4, 4).map(lambda value: shortest(float(np.float32(value))))
remembered = st.one_of(st.just(0.0), st.floats(1e-12, 2))
kinds = st.sampled_from(("sigmoid", "tanh", "relu", "linear"))


def built(weights: dict[str, float], hidden: Activation, output: Activation) -> Network:
    network = Network(layers(hidden, output), (2,), np.float64)
    network.parameters[:] = [weights[name] for name in WEIGHTS]
    return network


def backpropagated(network: Network, example: Example) -> float:
    outputs = network.forward(np.array([[example.x1], [example.x2]]), training=True)
    loss, gradient = MeanSquaredError().loss_and_gradient(outputs, np.array([example.y]))
    network.backward(gradient)
    return loss


def by_name(lines: tuple[Line, ...]) -> dict[str, Line]:
    return {line.name: line for line in lines}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(numbers, min_size=12, max_size=12), kinds, kinds, st.sampled_from(list(OPTIMIZER_SPECS)), st.data())
def test_every_printed_number_recomputes_from_the_printed_ones(
    drawn: list[float], hidden: Activation, output: Activation, optimizer: str, data: st.DataObject
) -> None:
    weights, (x1, x2, y) = dict(zip(WEIGHTS, drawn[:9], strict=True)), drawn[9:]
    found = worked(weights, Example(x1=x1, x2=x2, y=y), hidden, output)
    assert len(found.forward) == 7
    assert len(found.backward) == 15
    memory = {
        name: data.draw(st.lists(remembered, min_size=9, max_size=9)) for name in OPTIMIZERS[optimizer].accumulators
    }
    changed = updates(weights, found.gradients, OPTIMIZER_SPECS[optimizer](), memory, steps=3)
    for line in (*found.forward, *found.backward, *(line for update in changed.values() for line in update.lines)):
        check_line(line)


def test_a_wrong_digit_would_be_noticed() -> None:
    line = worked(NINE, ONE, "sigmoid", "sigmoid").backward[1]
    check_line(line)
    for wrong in (line.numbers.replace("0.75675", "0.75685"), line.numbers.replace("−2", "2")):
        assert wrong != line.numbers
        with pytest.raises(AssertionError):
            check_line(Line(name="", about="", latex="", numbers=wrong, value=line.value))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(numbers, min_size=12, max_size=12), kinds, kinds)
def test_it_is_what_the_engine_backpropagates(drawn: list[float], hidden: Activation, output: Activation) -> None:
    weights, (x1, x2, y) = dict(zip(WEIGHTS, drawn[:9], strict=True)), drawn[9:]
    example = Example(x1=x1, x2=x2, y=y)
    found = worked(weights, example, hidden, output)
    network = built(weights, hidden, output)
    assert found.loss == pytest.approx(backpropagated(network, example), rel=1e-12)
    np.testing.assert_allclose([found.gradients[name] for name in WEIGHTS], network.gradients, rtol=1e-10, atol=1e-13)


def test_each_gradient_is_the_slope_that_one_finds_by_trying() -> None:
    """The sign, too: with Loss = (y − ŷ)² the error term of unit 5 is −2 (y − ŷ) g5′."""
    found = worked(NINE, ONE, "sigmoid", "tanh")
    for name in WEIGHTS:
        higher, lower = (
            worked(NINE | {name: NINE[name] + move}, ONE, "sigmoid", "tanh").loss for move in (1e-6, -1e-6)
        )
        assert found.gradients[name] == pytest.approx((higher - lower) / 2e-6, abs=1e-8)
    delta = by_name(found.backward)["delta5"]
    assert delta.value == pytest.approx(-2 * (1 - found.output) * (1 - found.output**2))
    assert delta.value < 0  # ŷ is below y, so more of in5 makes the loss smaller


@pytest.mark.parametrize("name", OPTIMIZER_SPECS)
def test_updates_are_the_engines_with_its_memory(name: str) -> None:
    """Three updates in a row, so that the memory counts; biases do not decay."""
    network, spec = built(NINE, "sigmoid", "sigmoid"), OPTIMIZER_SPECS[name](learning_rate=0.3)
    optimizer = OPTIMIZERS[name](spec, 9, np.float64, decay_mask=network.l2_mask)
    weights, memory = dict(NINE), {key: [0.0] * 9 for key in optimizer.accumulators}
    for steps in range(3):
        backpropagated(network, ONE)
        optimizer.step(network.parameters, network.gradients)
        changed = updates(weights, worked(weights, ONE, "sigmoid", "sigmoid").gradients, spec, memory, steps=steps)
        weights = {weight: update.weight for weight, update in changed.items()}
        memory = {key: [update.memory[key] for update in changed.values()] for key in memory}
        np.testing.assert_allclose([weights[weight] for weight in WEIGHTS], network.parameters, rtol=1e-12, atol=1e-15)
        for key, values in memory.items():
            np.testing.assert_allclose(values, optimizer.state[key], rtol=1e-12)


def test_every_line_says_what_lights_up() -> None:
    found = worked(NINE, ONE, "relu", "linear")
    about = {line.name: line.about for line in (*found.forward, *found.backward)}
    assert about["in3"] == "3 w03 w13 w23"
    assert about["dw45"] == "w45 5"
    assert about["delta4"] == "4 w45"
    assert set(" ".join(about.values()).split()) == {"3", "4", "5", "loss", *WEIGHTS}


def test_numbers_are_written_whole_or_with_five_digits() -> None:
    assert [written(value) for value in (0.5, 0.1 + 0.2, -2.0, 0.0, 1 / 3, 100000.0)] == [
        "0.5", "0.3", "−2", "0", "0.33333", "1·10⁵",
    ]  # fmt: skip
    assert written(0.00934997304) == "0.0093500"
    assert written(-1.23456789e-7) == "−1.2346·10⁻⁷"
    assert [factor(value) for value in (0.5, -0.5, 1e-8)] == ["0.5", "(−0.5)", "(1·10⁻⁸)"]
    assert shortest(float(np.float32(0.3))) == 0.3
    assert reckoned("1 / (1 + e^(−0)) − √(4 · 1) + 3²")[0] == 7.5
