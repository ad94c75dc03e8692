"""A batch that is taken in parts gives the gradients of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import specs
from engine.losses import SoftmaxCrossEntropy
from engine.memory import SMALLEST_PART
from engine.network import Network


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 1024))
def test_parts_are_of_one_size_and_cover_the_batch(batch_size: int) -> None:
    parts = DIGITS.parts(batch_size)
    sizes = {part.stop - part.start for part in parts}
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(batch_size))
    assert len(sizes) == 1
    assert len(parts) == 1 or min(sizes) >= SMALLEST_PART


DIGITS = Network(specs.demo_network(), (1, 24, 24))


@pytest.mark.parametrize(("batch_size", "parts"), [(20, 1), (64, 1), (128, 2), (256, 4), (127, 1), (498, 6), (1000, 10)])
def test_large_batches_of_digits_are_parted(batch_size: int, parts: int) -> None:
    assert len(DIGITS.parts(batch_size)) == parts


def test_small_networks_take_their_batches_whole() -> None:
    assert len(Network((specs.Dense(units=128), specs.ReLU(), specs.Dense()), (1, 28, 28)).parts(1024)) == 1


def test_a_layer_that_mixes_examples_gets_them_all() -> None:
    convolution, *others = specs.demo_network()
    mixing = Network((convolution, specs.BatchNormalization(), *others), (1, 24, 24))
    assert mixing.parts(128) == [slice(0, 128)]


def test_gradients_of_parts_add_up_to_those_of_the_batch() -> None:
    rng = np.random.default_rng(0)
    network = Network.build(specs.demo_network(), (1, 24, 24), rng=rng, dtype=np.float64)
    inputs, labels, loss = rng.random((1, 24, 24, 128)), rng.integers(0, 10, 128), SoftmaxCrossEntropy()
    network.backward(loss.loss_and_gradient(network.forward(inputs, training=True), labels)[1])
    whole = network.gradients.copy()
    parts = network.parts(128)
    for part in parts:
        _, gradient = loss.loss_and_gradient(network.forward(inputs[..., part], training=True), labels[part])
        network.backward(gradient / len(parts), add=part.start > 0)
    assert len(parts) == 2
    np.testing.assert_allclose(network.gradients, whole, rtol=0, atol=1e-12 * np.abs(whole).max())
