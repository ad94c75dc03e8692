"""Each layer: output shape, a number worked by hand, numeric gradients, and an error for a wrong shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import specs
from engine.errors import ShapeError
from engine.layers import (
    GELU,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    Maxout,
    MaxPool,
    ReLU,
    Sigmoid,
    Softplus,
    Tanh,
    make_layer,
)
from tests.engine.gradients import attach_random, layer_errors

LIMIT = 1e-5
properties = settings(max_examples=25, deadline=None, derandomize=True)


def batch(array: list) -> np.ndarray:
    """One example, as a batch of one in float64."""
    return np.array(array, float)[..., np.newaxis]


@st.composite
def convolutions(draw: st.DrawFn) -> Convolution:
    kernel = draw(st.integers(1, 4))
    padding = draw(st.integers(0, 2))
    smallest = max(1, kernel - 2 * padding)
    shape = (draw(st.integers(1, 3)), draw(st.integers(smallest, 6)), draw(st.integers(smallest, 6)))
    return Convolution(shape, draw(st.integers(1, 3)), kernel, draw(st.integers(1, 3)), padding, np.float64)


@st.composite
def pools(draw: st.DrawFn) -> MaxPool:
    size = draw(st.integers(1, 3))
    shape = (draw(st.integers(1, 3)), draw(st.integers(size, 7)), draw(st.integers(size, 7)))
    return MaxPool(shape, size, draw(st.integers(1, 4)), np.float64)


class TestDense:
    def test_hand_worked(self) -> None:
        layer = Dense((2,), 2, np.float64)
        layer.attach(np.array([1.0, 2, 3, 4, 10, 20]), np.empty(6))
        assert layer.forward(batch([5, 6]))[:, 0].tolist() == [1 * 5 + 2 * 6 + 10, 3 * 5 + 4 * 6 + 20]
        assert layer.backward(batch([1, -1]))[:, 0].tolist() == [1 - 3, 2 - 4]
        assert layer.weight_gradients.tolist() == [[5, 6], [-5, -6]]
        assert layer.bias_gradients.tolist() == [1, -1]

    def test_reads_maps_by_channel_row_and_column(self) -> None:
        layer = Dense((2, 2, 2), 1, np.float64)
        layer.attach(np.array([*range(8), 0.0]), np.empty(9))
        assert layer.forward(np.arange(8.0).reshape(2, 2, 2, 1)).item() == sum(i * i for i in range(8))

    @properties
    @given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
    def test_gradients(self, inputs: int, units: int, size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        layer = Dense((inputs,), units, np.float64)
        attach_random(layer, rng)
        assert max(layer_errors(layer, rng.normal(size=(inputs, size)), rng).values()) < LIMIT


class TestConvolution:
    def test_hand_worked(self) -> None:
        layer = Convolution((1, 3, 3), 1, 2, dtype=np.float64)
        layer.attach(np.array([1.0, 2, 3, 4, 100]), np.empty(5))
        outputs = layer.forward(batch([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]))
        # top left: 1·1 + 2·2 + 3·4 + 4·5 = 37; a step right or down moves every factor by 1 or 3
        assert outputs[0, :, :, 0].tolist() == [[137, 147], [167, 177]]
        gradients = layer.backward(batch([[[1, 0], [0, 1]]]))
        assert gradients[0, :, :, 0].tolist() == [[1, 2, 0], [3, 4 + 1, 2], [0, 3, 4]]
        assert layer.weight_gradients[0, 0].tolist() == [[1 + 5, 2 + 6], [4 + 8, 5 + 9]]
        assert layer.bias_gradients.tolist() == [2]

    def test_padding_and_stride(self) -> None:
        layer = Convolution((1, 3, 3), 1, 3, stride=2, padding=1, dtype=np.float64)
        layer.attach(np.array([1.0] * 9 + [0]), np.empty(10))
        outputs = layer.forward(np.ones((1, 3, 3, 1)))
        assert outputs[0, :, :, 0].tolist() == [[4, 4], [4, 4]]

    @properties
    @given(convolutions(), st.integers(1, 3), st.integers(0, 99))
    def test_gradients(self, layer: Convolution, size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        attach_random(layer, rng)
        assert max(layer_errors(layer, rng.normal(size=(*layer.input_shape, size)), rng).values()) < LIMIT

    @properties
    @given(convolutions(), st.integers(0, 99))
    def test_equals_its_definition(self, layer: Convolution, seed: int) -> None:
        rng = np.random.default_rng(seed)
        attach_random(layer, rng)
        inputs = rng.normal(size=(*layer.input_shape, 2))
        pad, step, size = layer.padding, layer.stride, layer.kernel_size
        padded = np.pad(inputs, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        expected = np.empty((*layer.output_shape, 2))
        for y in range(expected.shape[1]):
            for x in range(expected.shape[2]):
                patch = padded[:, y * step : y * step + size, x * step : x * step + size]
                expected[:, y, x] = np.einsum("ocij,cijn->on", layer.weights, patch) + layer.biases[:, None]
        np.testing.assert_allclose(layer.forward(inputs), expected, rtol=1e-12, atol=1e-12)


class TestMaxPool:
    def test_hand_worked(self) -> None:
        layer = MaxPool((1, 4, 4), 2, 2, np.float64)
        outputs = layer.forward(batch([[[1, 2, 5, 6], [3, 4, 7, 8], [9, 1, 0, 0], [1, 1, 0, -1]]]))
        assert outputs[0, :, :, 0].tolist() == [[4, 8], [9, 0]]
        gradients = layer.backward(batch([[[1, 2], [3, 4]]]))
        assert gradients[0, :, :, 0].tolist() == [[0, 0, 0, 0], [0, 1, 0, 2], [3, 0, 4, 0], [0, 0, 0, 0]]

    def test_overlapping_windows_add_their_gradients(self) -> None:
        layer = MaxPool((1, 1, 3), 1, 1, np.float64)
        assert layer.output_shape == (1, 1, 3)
        layer = MaxPool((1, 3, 3), 2, 1, np.float64)
        layer.forward(batch([[[0, 0, 0], [0, 9, 0], [0, 0, 0]]]))
        assert layer.backward(np.ones((1, 2, 2, 1)))[0, 1, 1, 0] == 4

    @properties
    @given(pools(), st.integers(1, 3), st.integers(0, 99))
    def test_gradients(self, layer: MaxPool, size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        assert layer_errors(layer, rng.normal(size=(*layer.input_shape, size)), rng)["inputs"] < LIMIT

    @properties
    @given(pools(), st.integers(0, 99))
    def test_a_window_of_equal_values_passes_its_gradient_on_once(self, layer: MaxPool, seed: int) -> None:
        rng = np.random.default_rng(seed)
        layer.forward(rng.integers(0, 2, (*layer.input_shape, 3)).astype(float))
        gradients = rng.integers(1, 9, (*layer.output_shape, 3)).astype(float)
        total = gradients.sum()
        assert layer.backward(gradients).sum() == total


class TestActivations:
    @pytest.mark.parametrize(
        ("layer", "expected", "slopes"),
        [
            (ReLU((3,), np.float64), [0, 0, 2], [0, 0, 1]),
            (LeakyReLU((3,), 0.1, np.float64), [-0.2, 0, 2], [0.1, 0.1, 1]),
            (Tanh((3,), np.float64), np.tanh([-2, 0, 2]), 1 - np.tanh([-2, 0, 2]) ** 2),
            (Sigmoid((3,), np.float64), [0.11920292202211755, 0.5, 0.8807970779778823], [0.104993585403507, 0.25, 0.104993585403507]),
            (Softplus((3,), np.float64), [0.1269280110429726, 0.6931471805599453, 2.1269280110429727], [0.11920292202211755, 0.5, 0.8807970779778823]),
            (GELU((3,), np.float64), [-0.045402305912, 0, 1.954597694088], [-0.0860992566236, 0.5, 1.0860992566236]),
        ],
        ids=lambda value: type(value).__name__,
    )  # fmt: skip
    def test_hand_worked(self, layer: ReLU, expected: list[float], slopes: list[float]) -> None:
        np.testing.assert_allclose(layer.forward(batch([-2, 0, 2]))[:, 0], expected, rtol=1e-11)
        np.testing.assert_allclose(layer.backward(np.ones((3, 1)))[:, 0], slopes, rtol=1e-11)

    @pytest.mark.parametrize(
        "spec",
        [specs.ReLU(), specs.LeakyReLU(slope=0.2), specs.Tanh(), specs.Sigmoid(), specs.Softplus(), specs.GELU()],
    )
    @properties
    @given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 3), st.integers(0, 99))
    def test_gradients(self, spec: specs.LayerSpec, shape: list[int], size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        layer = make_layer(spec, tuple(shape), np.float64)
        assert layer_errors(layer, rng.normal(size=(*shape, size)), rng)["inputs"] < LIMIT

    @pytest.mark.parametrize(
        "layer", [Tanh((1,)), Sigmoid((1,)), Softplus((1,)), GELU((1,))], ids=lambda x: type(x).__name__
    )
    def test_huge_inputs_do_not_overflow(self, layer: Tanh) -> None:
        inputs = np.array([[-1e30, 1e30]], np.float32)
        assert np.isfinite(layer.forward(inputs)).all()
        assert np.isfinite(layer.backward(np.ones_like(inputs))).all()


class TestMaxout:
    def test_hand_worked(self) -> None:
        layer = Maxout((4,), 2, np.float64)
        assert layer.forward(batch([3, 5, -1, -2]))[:, 0].tolist() == [5, -1]
        assert layer.backward(batch([10, 20]))[:, 0].tolist() == [0, 10, 20, 0]

    def test_channels_compete_in_every_place_by_itself(self) -> None:
        layer = Maxout((3, 1, 2), 3, np.float64)
        assert layer.forward(batch([[[1, 9]], [[5, 0]], [[2, 8]]]))[0, 0, :, 0].tolist() == [5, 9]
        assert layer.backward(batch([[[1, 2]]]))[..., 0].tolist() == [[[0, 2]], [[1, 0]], [[0, 0]]]

    def test_of_equal_values_the_first_takes_the_gradient(self) -> None:
        layer = Maxout((3,), 3, np.float64)
        layer.forward(batch([7, 7, 7]))
        assert layer.backward(batch([4]))[:, 0].tolist() == [4, 0, 0]

    @properties
    @given(
        st.integers(1, 3),
        st.integers(2, 4),
        st.lists(st.integers(1, 3), max_size=2),
        st.integers(1, 3),
        st.integers(0, 99),
    )
    def test_gradients(self, groups: int, group_size: int, places: list[int], size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shape = (groups * group_size, *places)
        layer = Maxout(shape, group_size, np.float64)
        assert layer_errors(layer, rng.normal(size=(*shape, size)), rng)["inputs"] < LIMIT


class TestDropout:
    def test_idle_without_a_generator(self) -> None:
        layer = Dropout((4,), 0.5)
        inputs = np.ones((4, 3), np.float32)
        assert np.array_equal(layer.forward(inputs), inputs)
        assert np.array_equal(layer.backward(inputs), inputs)

    def test_keeps_the_expected_value_and_drops_the_share(self) -> None:
        layer = Dropout((100, 100), 0.25)
        layer.rng = np.random.default_rng(1)
        outputs = layer.forward(np.ones((100, 100, 10), np.float32))
        assert np.unique(outputs).tolist() == [0, np.float32(1 / 0.75)]
        assert abs((outputs == 0).mean() - 0.25) < 0.005
        assert abs(outputs.mean() - 1) < 0.005

    def test_gradients_pass_where_values_passed(self) -> None:
        layer = Dropout((50,), 0.5, np.float64)
        layer.rng = np.random.default_rng(1)
        outputs = layer.forward(np.ones((50, 2))).copy()
        assert np.array_equal(layer.backward(np.ones((50, 2))), outputs)

    def test_the_same_generator_state_draws_the_same_units(self) -> None:
        layer = Dropout((50,), 0.5)
        inputs = np.ones((50, 2), np.float32)
        layer.rng = np.random.default_rng(7)
        first = layer.forward(inputs).copy()
        second = layer.forward(inputs).copy()
        layer.rng = np.random.default_rng(7)
        assert np.array_equal(layer.forward(inputs), first)
        assert not np.array_equal(first, second)


def test_flatten_keeps_the_numbers_in_place() -> None:
    layer = Flatten((2, 2, 2))
    maps = np.arange(16, dtype=np.float32).reshape(2, 2, 2, 2)
    assert layer.forward(maps).tolist() == maps.reshape(8, 2).tolist()
    assert layer.backward(maps.reshape(8, 2)).shape == (2, 2, 2, 2)


@pytest.mark.parametrize("spec", [cls() for cls in specs.LAYER_SPECS.values()], ids=lambda spec: spec.type)
def test_arrays_of_the_wrong_shape_are_refused(spec: specs.LayerSpec) -> None:
    layer = make_layer(spec, (2, 8, 8))
    attach_random(layer, np.random.default_rng(0))
    with pytest.raises(ShapeError, match=r"expected an array of shape \(2, 8, 8, N\), got \(8, 8, 2, 3\)"):
        layer.forward(np.zeros((8, 8, 2, 3), np.float32))
    with pytest.raises(ShapeError, match="expected an array of shape"):
        layer.forward(np.zeros((2, 8, 8), np.float32))
    layer = make_layer(spec, (2, 8, 8), np.float64)
    attach_random(layer, np.random.default_rng(0))
    outputs = layer.forward(np.zeros((2, 8, 8, 3)))
    assert outputs.shape == (*layer.output_shape, 3)
    with pytest.raises(ShapeError, match="Gradients"):
        layer.backward(np.zeros((*layer.output_shape, 4)))
