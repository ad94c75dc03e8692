"""Small dense networks give on a tape what they give layer by layer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import specs
from engine.gradcheck import check_gradients
from engine.losses import SoftmaxCrossEntropy
from engine.network import Chain, Network
from engine.specs import Dense, Dropout, LayerSpec, ReLU, Sigmoid, Softplus, Tanh
from engine.tape import Descent, Tape, can_be_taped


@st.composite
def dense_networks(draw: st.DrawFn) -> tuple[LayerSpec, ...]:
    layers: list[LayerSpec] = []
    for units in draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)):
        layers.append(Dense(units=units))
        activation = draw(st.sampled_from([None, Tanh(), ReLU(), Sigmoid()]))
        layers += [] if activation is None else [activation]
    return tuple(layers)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(dense_networks(), st.integers(1, 12), st.integers(0, 99))
def test_a_tape_equals_the_plain_layers(layers: tuple[LayerSpec, ...], size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = Network.build(layers, (3,), rng=rng, dtype=np.float64)
    network.parameters += rng.normal(scale=0.1, size=network.parameters.size)
    inputs, gradients = rng.normal(size=(3, size)), rng.normal(size=(network.output_shape[0], size))
    chain = Chain(network.layers)
    expected = chain.forward(inputs).copy()
    chain.backward(gradients)
    expected_gradients = network.gradients.copy()
    network.gradients.fill(np.nan)
    tape = Tape(network.layers, network.parameters, network.gradients)
    for _ in range(2):
        np.testing.assert_allclose(tape.forward(inputs), expected, rtol=0, atol=1e-12)
        tape.backward(gradients)
        np.testing.assert_allclose(
            network.gradients, expected_gradients, rtol=0, atol=1e-12 * (1 + np.abs(expected_gradients).max())
        )


def test_which_networks_are_taped() -> None:
    def taped(*layers: LayerSpec) -> bool:
        return isinstance(Network(layers, (2,))._training, Tape)

    assert taped(Dense(units=4), Tanh(), Dense(units=1), Tanh())
    assert taped(Dense(units=4))
    assert not taped(Dense(units=4), Softplus(), Dense(units=1))
    assert not taped(Dense(units=4), Dropout(), Dense(units=1))
    assert not taped(Dense(units=4), Tanh(), Sigmoid())
    assert not taped(Tanh(), Dense(units=1))
    assert not taped(Dense(units=2000))
    assert not can_be_taped([])


def test_gradients_of_a_taped_network() -> None:
    rng = np.random.default_rng(1)
    network = Network.build((Dense(units=4), Tanh(), Dense(units=5), Sigmoid(), Dense(units=3)), (2,), rng=rng)
    assert isinstance(network._training, Tape)
    checks = check_gradients(network, SoftmaxCrossEntropy(), rng.normal(size=(2, 7)), rng.integers(0, 3, 7))
    assert max(check.error for check in checks) < 1e-5


@pytest.mark.parametrize("sizes", [(2, 4, 2, 1), (2, 8, 8, 8, 1)])
def test_descent_equals_the_textbook(sizes: tuple[int, ...]) -> None:
    """Fifty steps with freshly made arrays, formula by formula."""
    rng = np.random.default_rng(0)
    layers = tuple(layer for units in sizes[1:] for layer in (Dense(units=units), Tanh()))
    network = Network.build(layers, sizes[:1], rng=rng, dtype=np.float64)
    weights = [layer.weights.copy() for layer in network.layers if layer.weights is not None]
    biases = [layer.biases.copy() for layer in network.layers if layer.biases is not None]
    batches = [(rng.uniform(-1, 1, (2, 10)), rng.choice([-1.0, 1.0], (1, 10))) for _ in range(50)]
    Descent(network.layers, network.parameters, network.gradients, 10, 0.3).train(batches)
    for inputs, targets in batches:
        activations = [inputs]
        for w, b in zip(weights, biases, strict=True):
            activations.append(np.tanh(w @ activations[-1] + b[:, None]))
        delta = 2 / targets.size * (activations[-1] - targets) * (1 - activations[-1] ** 2)
        for i in reversed(range(len(weights))):
            weight_gradients, bias_gradients = delta @ activations[i].T, delta.sum(axis=1)
            delta = weights[i].T @ delta * (1 - activations[i] ** 2)
            weights[i] -= 0.3 * weight_gradients
            biases[i] -= 0.3 * bias_gradients
    expected = np.concatenate([part.ravel() for pair in zip(weights, biases, strict=True) for part in pair])
    np.testing.assert_allclose(network.parameters, expected, rtol=0, atol=1e-12)


def test_a_taped_network_learns_exclusive_or() -> None:
    rng = np.random.default_rng(2)
    network = Network.build((Dense(units=4), Tanh(), Dense(units=2), Tanh(), Dense(units=1), Tanh()), (2,), rng=rng)
    points = rng.uniform(-1, 1, (300, 2, 10)).astype(np.float32)
    targets = np.sign(points[:, :1] * points[:, 1:])
    descent = Descent(network.layers, network.parameters, network.gradients, 10, 0.3)
    errors = []
    for _ in range(10):
        descent.train(zip(points, targets, strict=True))
        errors.append(float(np.mean((network.logits(points[0]) - targets[0]) ** 2)))
    assert errors[-1] < 0.5 * errors[0]


def test_a_large_dense_network_is_not_taped() -> None:
    assert not isinstance(Network((specs.Dense(units=128), specs.Dense()), (1, 28, 28))._training, Tape)
