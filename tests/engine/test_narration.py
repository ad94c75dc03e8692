"""A narrated update is the update itself, and what is told of it follows from the numbers told before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.arrays import Array
from engine.differentiation import differentiate
from engine.errors import DivergedError
from engine.losses import SoftmaxCrossEntropy
from engine.narration import narrate
from engine.network import Network
from engine.specs import SGD, Dense, Dropout, PlaneSpec, RunSpec, Sigmoid, Tanh
from engine.trainer import Trainer
from tests.engine import continuation, small


@pytest.mark.parametrize("name", continuation.RUNS)
def test_it_is_the_update_that_would_have_been_made(name: str) -> None:
    spec, _ = continuation.RUNS[name]
    told, plain = (Trainer(spec, continuation.dataset(spec)) for _ in range(2))
    for _ in range(3):
        assert narrate(told).result == plain.step()
    told.advance(11)
    plain.advance(11)
    narrate(told)
    plain.step()
    assert continuation.outcome(told) == continuation.outcome(plain)


@pytest.mark.parametrize(
    "name", ["layer batch_normalization", "layer dropout", "two cores", "a large batch", "weights of classes"]
)
def test_the_gradients_are_those_of_the_update(name: str) -> None:
    spec, _ = continuation.RUNS[name]
    trainer = Trainer(replace(spec, clip_norm=0.01, l2=0.1), continuation.dataset(spec))
    trainer.advance(3)
    told = narrate(trainer)
    scale = np.abs(trainer.network.gradients).max()
    np.testing.assert_allclose(told.gradients, trainer.network.gradients, atol=1e-5 * scale)
    assert told.losses.mean() == pytest.approx(told.result.loss, rel=1e-5)
    assert told.inputs.shape[-1] == len(told.labels) == len(told.places) == spec.batch_size


def test_every_number_recomputes_from_those_before_it() -> None:
    """2-3-2 by hand: `in = W a + b`, `a = σ(in)`, `p = softmax`, `Δ = p − onehot`, and back through the same weights."""
    spec = RunSpec(
        dataset=PlaneSpec(points=40), network=(Dense(units=3), Sigmoid(), Dense(units=2)),
        optimizer=SGD(learning_rate=0.3), batch_size=5, l2=0.01,
    )  # fmt: skip
    trainer = Trainer(spec, continuation.dataset(spec))
    trainer.advance(20)
    told = narrate(trainer)
    train = trainer.splits["train"]
    np.testing.assert_array_equal(told.inputs, train.look(told.places))
    np.testing.assert_array_equal(told.labels, train.labels[told.places])

    w1, b1, w2, b2 = unpacked(told.before)
    hidden, activation, logits = told.layers
    np.testing.assert_allclose(hidden.outputs, w1 @ told.inputs + b1, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(activation.outputs, 1 / (1 + np.exp(-hidden.outputs)), rtol=1e-5)
    np.testing.assert_allclose(logits.outputs, w2 @ activation.outputs + b2, rtol=1e-5, atol=1e-6)
    powers = np.exp(logits.outputs)
    p = powers / powers.sum(axis=0)
    np.testing.assert_allclose(told.losses, -np.log(p[told.labels, np.arange(5)]), rtol=1e-4)

    delta = (p - np.eye(2)[:, told.labels]) / 5
    np.testing.assert_allclose(logits.gradients, delta, atol=1e-6)
    np.testing.assert_allclose(activation.gradients, w2.T @ logits.gradients, atol=1e-6)
    slope = activation.outputs * (1 - activation.outputs)
    np.testing.assert_allclose(hidden.gradients, activation.gradients * slope, atol=1e-6)
    g1, c1, g2, c2 = unpacked(told.gradients)
    np.testing.assert_allclose(g1, hidden.gradients @ told.inputs.T + 0.01 * w1, atol=1e-6)
    np.testing.assert_allclose(c1[:, 0], hidden.gradients.sum(axis=1), atol=1e-6)
    np.testing.assert_allclose(g2, logits.gradients @ activation.outputs.T + 0.01 * w2, atol=1e-6)
    np.testing.assert_allclose(c2[:, 0], logits.gradients.sum(axis=1), atol=1e-6)
    np.testing.assert_allclose(told.after, told.before - told.learning_rate * told.gradients, atol=1e-6)


def unpacked(flat: Array) -> tuple[Array, Array, Array, Array]:
    return flat[:6].reshape(3, 2), flat[6:9, None], flat[9:15].reshape(2, 3), flat[15:, None]


def test_dropout_is_told_as_it_was_drawn() -> None:
    spec = small.spec(network=(Dense(units=30), Dropout(rate=0.5), Dense(units=10)), batch_size=8)
    told = narrate(Trainer(spec, small.dataset()))
    before, dropped, _ = (layer.outputs for layer in told.layers)
    assert 0.2 < (dropped == 0).mean() < 0.8
    np.testing.assert_allclose(dropped[dropped != 0], 2 * before[dropped != 0])


def test_an_update_that_diverges_is_not_made() -> None:
    spec = RunSpec(
        dataset=PlaneSpec(points=40), network=(Dense(units=3), Tanh(), Dense(units=2)),
        optimizer=SGD(learning_rate=0.1), loss="mean_squared_error",
    )  # fmt: skip
    trainer = Trainer(spec, continuation.dataset(spec))
    trainer.network.parameters[:] = 3e38
    with pytest.raises(DivergedError):
        narrate(trainer)
    assert trainer.steps == 0


def test_what_each_example_costs_is_what_the_loss_is_the_mean_of() -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(3, 6)), rng.integers(0, 3, 6)
    loss, weights = SoftmaxCrossEntropy(), rng.random(6)
    for own in (None, weights):
        assert loss.costs(logits, labels, own).mean() == pytest.approx(loss.loss_and_gradient(logits, labels, own)[0])


def test_layer_by_layer_is_what_the_network_does_at_once() -> None:
    spec = small.spec(batch_size=8)
    trainer = Trainer(spec, small.dataset())
    told = narrate(trainer)
    twin = Network(spec.network, spec.dataset.input_shape)
    twin.parameters[:] = told.before
    rng = np.random.default_rng(spec.seed).spawn(4)[3]
    differentiate(twin, SoftmaxCrossEntropy(), told.inputs, told.labels, None, batch_size=8, rng=rng)
    twin.gradients += spec.l2 * told.before * twin.l2_mask
    np.testing.assert_allclose(told.gradients, twin.gradients, atol=1e-6)
