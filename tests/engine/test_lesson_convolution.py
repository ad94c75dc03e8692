"""The lesson on convolution: the dense matrix that does the same, and the kernels it begins with."""

from __future__ import annotations

from base64 import b64encode
from itertools import product

import numpy as np
import pytest

from engine.arrays import Array
from engine.layers import Convolution, Convolution1D, WeightedLayer
from engine.lessons.convolution import (
    DRAWING_LETTERS,
    KERNELS,
    dense_matrix,
    digit,
    drawing,
    fully_connected,
    response,
    sliding,
    strokes,
)

Pair = tuple[int, int]


def by_index(weights: Array, size: Pair, step: Pair, padding: Pair) -> Array:
    """W[(o, y, x), (c, r, s)] = w[o, c, r − y·down + above, s − x·across + left]: the layer's definition, read backwards."""
    filters, channels, *window = weights.shape
    rows, columns = ((n + 2 * p - k) // s + 1 for n, p, k, s in zip(size, padding, window, step, strict=True))
    matrix = np.zeros((filters, rows, columns, channels, *size))
    for o, y, x, c, i, j in product(*map(range, (filters, rows, columns, channels, *window))):
        r, s = y * step[0] + i - padding[0], x * step[1] + j - padding[1]
        if 0 <= r < size[0] and 0 <= s < size[1]:
            matrix[o, y, x, c, r, s] = weights[o, c, i, j]
    return matrix.reshape(filters * rows * columns, -1)


def test_the_lectures_kernel_finds_the_lower_value() -> None:
    layer = sliding(np.array([1.0, -1, 1]), (7,), 1, 0)
    row = np.array([5.0, 5, 5, 2, 5, 5, 5])
    assert response(layer, row).tolist() == [5, 2, 8, 2, 5]
    assert dense_matrix(layer).tolist() == [
        [1, -1, 1, 0, 0, 0, 0],
        [0, 1, -1, 1, 0, 0, 0],
        [0, 0, 1, -1, 1, 0, 0],
        [0, 0, 0, 1, -1, 1, 0],
        [0, 0, 0, 0, 1, -1, 1],
    ]


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("kernel", [(3,), (5,), (3, 3), (5, 5)])
def test_a_dense_layer_with_zeros_and_repeats_answers_the_same(
    kernel: tuple[int, ...], stride: int, padding: int
) -> None:
    rng = np.random.default_rng(3)
    weights = rng.integers(-9, 10, kernel) / 4  # short binary fractions: every sum is exact, whatever its order
    size = (11,) if len(kernel) == 1 else (8, 11)
    layer = sliding(weights, size, stride, padding)
    inputs = rng.integers(-8, 9, size) / 8
    matrix = dense_matrix(layer)
    if len(kernel) == 1:
        expected = by_index(weights.reshape(1, 1, 1, -1), (1, 11), (1, stride), (0, padding))
    else:
        expected = by_index(weights.reshape(1, 1, *kernel), (8, 11), (stride, stride), (padding, padding))
    assert np.array_equal(matrix, expected)
    answered = response(layer, inputs)
    assert answered.size == np.prod([(n + 2 * padding - k) // stride + 1 for n, k in zip(size, kernel, strict=True)])
    assert np.array_equal(answered.ravel(), matrix @ inputs.ravel())
    assert np.array_equal(answered.ravel(), fully_connected(matrix).forward(inputs.reshape(-1, 1))[:, 0])


@pytest.mark.parametrize(
    ("layer", "step", "padding"),
    [
        (Convolution((2, 5, 6), 3, 3, 2, 1, np.float64), (2, 2), (1, 1)),
        (Convolution1D((2, 1, 7), 3, 3, 2, 1, np.float64), (1, 2), (0, 1)),
    ],
    ids=["pictures", "rows"],
)
def test_several_filters_and_channels_have_a_matrix_too(layer: WeightedLayer, step: Pair, padding: Pair) -> None:
    rng = np.random.default_rng(4)
    parameters = np.append(rng.normal(size=layer.parameter_count - 3), [0, 0, 0])
    layer.attach(parameters, np.zeros_like(parameters))
    inputs = rng.normal(size=(*layer.input_shape, 1))
    matrix = dense_matrix(layer)
    assert np.array_equal(matrix, by_index(layer.weights, (layer.input_shape[1], layer.input_shape[2]), step, padding))
    assert layer.forward(inputs).ravel() == pytest.approx(matrix @ inputs.ravel(), rel=1e-12, abs=1e-12)


def test_the_kernels_do_what_they_are_called() -> None:
    picture, label = digit(0)
    assert (picture.shape, label) == ((28, 28), 7)
    for size, kernels in KERNELS.items():
        assert np.array_equal(response(sliding(kernels["identity"], (28, 28), 1, size // 2), picture), picture)
        assert kernels["edges"].sum() == 0, "flat places give nothing"
        assert kernels["blur"].sum() == pytest.approx(1)
        assert kernels["sharpen"].sum() == pytest.approx(1)
        blurred = response(sliding(kernels["blur"], (28, 28), 1, size // 2), picture)
        steps = [np.abs(np.diff(shown, axis=0)).max() for shown in (blurred, picture)]
        assert steps[0] < 0.6 * steps[1], "softer"


def test_strokes_lie_and_stand() -> None:
    lying, standing = strokes()
    assert lying.sum(axis=1).tolist() == [0, 0, 0, 0, 9, 0, 0, 0, 0]
    assert np.array_equal(standing, lying.T)


def test_a_drawing_is_two_pixels_a_byte() -> None:
    text = b64encode(bytes([0x0F, 0x30]) + bytes(390)).decode()
    assert len(text) == DRAWING_LETTERS
    picture = drawing(text)
    assert picture is not None
    assert picture.shape == (28, 28)
    assert picture[0, :4].tolist() == [0, 1, 0.2, 0]
    assert picture[1:].sum() == 0
    for other in ("", text[:-4], text + "AAAA", "no letters of base64"):
        assert drawing(other) is None
