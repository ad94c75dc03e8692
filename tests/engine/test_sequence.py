"""Convolutions over sequences and their pooling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.gradcheck import check_gradients
from engine.layers import Convolution, Convolution1D, MaxPool, MaxPool1D, Tanh
from engine.layers.fusion import fuse
from engine.losses import LOSSES, Loss
from engine.network import Network
from engine.shapes import plan
from engine.specs import Conv1D, Dense, ReLU
from engine.specs import MaxPool1D as MaxPool1DSpec
from tests.engine.gradients import attach_random, layer_errors
from tests.engine.test_layers import LIMIT, batch

properties = settings(max_examples=25, deadline=None, derandomize=True)


@st.composite
def convolutions(draw: st.DrawFn) -> Convolution1D:
    kernel, padding = draw(st.integers(1, 4)), draw(st.integers(0, 2))
    width = draw(st.integers(max(1, kernel - 2 * padding), 8))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), width)
    return Convolution1D(shape, draw(st.integers(1, 3)), kernel, draw(st.integers(1, 3)), padding, np.float64)


@st.composite
def pools(draw: st.DrawFn) -> MaxPool1D:
    size = draw(st.integers(1, 4))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(size, 9)))
    return MaxPool1D(shape, size, draw(st.integers(1, 4)), np.float64)


def test_a_sequence_of_single_values_worked_by_hand() -> None:
    layer = Convolution1D((1, 1, 4), 1, 2, dtype=np.float64)
    layer.attach(np.array([2.0, -1, 100]), np.empty(3))
    assert layer.forward(batch([[[1, 5, 3, 4]]]))[0, 0, :, 0].tolist() == [100 + 2 - 5, 100 + 10 - 3, 100 + 6 - 4]
    assert layer.backward(batch([[[1, 0, 10]]]))[0, 0, :, 0].tolist() == [2, -1, 20, -10]
    assert layer.weight_gradients.ravel().tolist() == [1 * 1 + 10 * 3, 1 * 5 + 10 * 4]
    assert layer.bias_gradients.tolist() == [11]


def test_an_image_is_a_sequence_of_columns() -> None:
    layer = Convolution1D((1, 2, 3), 1, 1, dtype=np.float64)
    layer.attach(np.array([1.0, 10, 0]), np.empty(3))
    assert layer.forward(batch([[[1, 2, 3], [4, 5, 6]]]))[0, 0, :, 0].tolist() == [41, 52, 63]


@properties
@given(convolutions(), st.integers(1, 3), st.integers(0, 99))
def test_gradients(layer: Convolution1D, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    attach_random(layer, rng)
    assert max(layer_errors(layer, rng.normal(size=(*layer.input_shape, size)), rng).values()) < LIMIT


@properties
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(0, 99))
def test_equals_its_definition(height: int, kernel: int, stride: int, padding: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = Convolution1D((2, height, 7), 3, kernel, stride, padding, np.float64)
    attach_random(layer, rng)
    inputs = rng.normal(size=(2, height, 7, 2))
    padded = np.pad(inputs, ((0, 0), (0, 0), (padding, padding), (0, 0)))
    expected = np.empty((*layer.output_shape, 2))
    for x in range(layer.output_shape[2]):
        window = padded[:, :, x * stride : x * stride + kernel]
        expected[:, 0, x] = np.einsum("ocyi,cyin->on", layer.weights, window) + layer.biases[:, None]
    np.testing.assert_allclose(layer.forward(inputs), expected, rtol=1e-12, atol=1e-12)


def test_pooling_of_rows_worked_by_hand() -> None:
    layer = MaxPool1D((1, 2, 4), 2, 2, np.float64)
    assert layer.forward(batch([[[1, 2, 9, 4], [5, 5, 0, -1]]]))[0, :, :, 0].tolist() == [[2, 9], [5, 0]]
    gradients = layer.backward(batch([[[1, 2], [3, 4]]]))
    assert gradients[0, :, :, 0].tolist() == [[0, 1, 2, 0], [3, 0, 4, 0]]


@properties
@given(pools(), st.integers(1, 3), st.integers(0, 99))
def test_gradients_of_pooling(layer: MaxPool1D, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert layer_errors(layer, rng.normal(size=(*layer.input_shape, size)), rng)["inputs"] < LIMIT


NETWORK = (Conv1D(filters=6, kernel_size=3, padding=1), ReLU(), MaxPool1DSpec(), Conv1D(filters=4), Dense(units=3))


@pytest.mark.parametrize("loss", [make() for make in LOSSES.values()], ids=lambda loss: type(loss).__name__)
def test_gradients_of_a_network(loss: Loss) -> None:
    rng = np.random.default_rng(0)
    network = Network.build(NETWORK, (2, 1, 12), rng=rng)
    checks = check_gradients(network, loss, rng.normal(size=(2, 1, 12, 3)), rng.integers(0, 3, 3), limit=30)
    assert max(check.error for check in checks) < LIMIT


def test_names_and_counts() -> None:
    layers = plan(NETWORK, (1, 24, 24))
    assert [layer.name for layer in layers] == [
        "1-D convolution 1", "ReLU", "Max pooling 1×2", "1-D convolution 2", "Dense",
    ]  # fmt: skip
    assert [layer.output_shape for layer in layers] == [(6, 1, 24), (6, 1, 24), (6, 1, 12), (4, 1, 8), (3,)]
    assert layers[0].parameter_formula == "6·3·24·1 + 6 = 438"
    assert layers[0].multiply_adds == 6 * 24 * 3 * 24
    assert layers[3].parameter_formula == "4·5·1·6 + 4 = 124"


def test_pooling_of_rows_stays_apart_from_a_convolution_of_maps() -> None:
    """It may go before the activation, but the fast forms of convolutions are for square windows."""
    convolution = Convolution((1, 8, 8), 2, 3, dtype=np.float64)
    layers = fuse([convolution, Tanh((2, 6, 6), np.float64), MaxPool1D((2, 6, 6), 2, 2, np.float64)])
    assert [type(layer).__name__ for layer in layers] == ["Convolution", "MaxPool1D", "Tanh"]
    assert layers[2].input_shape == (2, 6, 3)
    assert not isinstance(layers[1], MaxPool)
