"""Average pooling. Maximum pooling is tested with the other layers, and in its fast forms."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.layers import AveragePool, GlobalAveragePool
from tests.engine.gradients import layer_errors
from tests.engine.test_layers import LIMIT, batch

properties = settings(max_examples=25, deadline=None, derandomize=True)


@st.composite
def pools(draw: st.DrawFn) -> AveragePool:
    size = draw(st.integers(1, 3))
    shape = (draw(st.integers(1, 3)), draw(st.integers(size, 7)), draw(st.integers(size, 7)))
    return AveragePool(shape, size, draw(st.integers(1, 4)), np.float64)


def test_means_worked_by_hand() -> None:
    layer = AveragePool((1, 4, 4), 2, 2, np.float64)
    outputs = layer.forward(batch([[[1, 2, 5, 6], [3, 4, 7, 8], [9, 1, 0, 0], [1, 1, 0, -1]]]))
    assert outputs[0, :, :, 0].tolist() == [[2.5, 6.5], [3, -0.25]]
    gradients = layer.backward(batch([[[4, 8], [12, 16]]]))
    assert gradients[0, :, :, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


def test_what_no_window_reaches_gets_no_gradient() -> None:
    layer = AveragePool((1, 3, 3), 2, 2, np.float64)
    layer.forward(np.ones((1, 3, 3, 1)))
    assert layer.backward(batch([[[4]]]))[0, :, :, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


@properties
@given(pools(), st.integers(1, 3), st.integers(0, 99))
def test_gradients(layer: AveragePool, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert layer_errors(layer, rng.normal(size=(*layer.input_shape, size)), rng)["inputs"] < LIMIT


@properties
@given(pools(), st.integers(0, 99))
def test_equals_its_definition(layer: AveragePool, seed: int) -> None:
    inputs = np.random.default_rng(seed).normal(size=(*layer.input_shape, 2))
    (size, _), (step, _) = layer.window, layer.step
    for (y, x), _ in np.ndenumerate(np.empty(layer.output_shape[1:])):
        window = inputs[:, y * step : y * step + size, x * step : x * step + size]
        np.testing.assert_allclose(layer.forward(inputs)[:, y, x], window.mean(axis=(1, 2)), rtol=0, atol=1e-14)


def test_the_mean_of_a_map_worked_by_hand() -> None:
    layer = GlobalAveragePool((2, 2, 2), np.float64)
    assert layer.forward(batch([[[1, 2], [3, 6]], [[0, 0], [0, -2]]]))[:, 0].tolist() == [3, -0.5]
    gradients = layer.backward(batch([4, 8]))
    assert gradients[..., 0].tolist() == [[[1, 1], [1, 1]], [[2, 2], [2, 2]]]


@properties
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.integers(0, 99))
def test_gradients_of_whole_maps(channels: int, height: int, width: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = GlobalAveragePool((channels, height, width), np.float64)
    assert layer_errors(layer, rng.normal(size=(channels, height, width, size)), rng)["inputs"] < LIMIT
