"""A kernel that slides, and the fully connected layer that does the same.

Slides "Convolutional Neural Networks" (the kernel [+1, −1, +1] over a row with a lower value in its middle), "Filters or
Kernels" and "Efficiency in CNNs" ("a fully connected network can learn the same task, e.g. 0 weights for connections not
present in convolutional layers"). All of it in float64, so that a sum of short decimals is printed as one writes it.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from functools import cache
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape
from engine.datasets.mnist import load_mnist
from engine.layers import Convolution, Convolution1D, Dense, WeightedLayer

Kernel = npt.NDArray[np.float64]
"""(k,) over a row of numbers, (k, k) over a picture."""


def sliding(kernel: Kernel, size: Shape, stride: int, padding: int) -> WeightedLayer:
    """The engine's layer of one filter and no bias: a kernel (k,) over `size` (n,), or (k, k) over (height, width)."""
    layer: WeightedLayer
    if kernel.ndim == 1:
        layer = Convolution1D((1, 1, *size), 1, len(kernel), stride, padding, np.float64)
    else:
        layer = Convolution((1, *size), 1, len(kernel), stride, padding, np.float64)
    return _with_weights(layer, kernel)


def response(layer: WeightedLayer, inputs: Array) -> Array:
    """What the layer answers to one example, both without channels: (n,) → (m,), (height, width) → (rows, columns)."""
    answers = layer.forward(inputs.reshape(*layer.input_shape, 1).astype(layer.dtype))
    return answers.reshape(layer.output_shape[-inputs.ndim :]).copy()


def dense_matrix(layer: WeightedLayer) -> Array:
    """W (outputs, inputs), for which a layer without biases answers `W a`: its columns are the answers to unit vectors.

    Inputs and outputs are counted in the order channel, row, column, as a dense layer reads maps.
    """
    inputs = prod(layer.input_shape)
    units = np.eye(inputs, dtype=layer.dtype).reshape(*layer.input_shape, inputs)
    return layer.forward(units).reshape(prod(layer.output_shape), inputs).copy()


def fully_connected(matrix: Array) -> Dense:
    """The engine's dense layer with the weights `matrix` (outputs, inputs) and no biases."""
    outputs, inputs = matrix.shape
    layer = Dense((inputs,), outputs, matrix.dtype)
    _with_weights(layer, matrix)
    return layer


def _with_weights(layer: WeightedLayer, weights: Array) -> WeightedLayer:
    parameters = np.zeros(layer.parameter_count, layer.dtype)
    parameters[: weights.size] = weights.ravel()
    layer.attach(parameters, np.zeros_like(parameters))
    return layer


# ---- What the lesson shows ---------------------------------------------------------------------------------------------


def over_row(row: Sequence[float], kernel: Sequence[float], stride: int, padding: int) -> dict[str, Any]:
    """A kernel over a row of numbers, and the matrix that a fully connected layer needs for the same, as plain JSON.

    response: by the convolution; dense: by the fully connected layer; difference: the largest between them; matrix: its
    weights, one list a response; flat: whether a response's kernel lies on equal numbers, none of them padding.
    """
    inputs = np.array(row, np.float64)
    layer = sliding(np.array(kernel, np.float64), inputs.shape, stride, padding)
    answers = response(layer, inputs)
    matrix = dense_matrix(layer)
    dense = fully_connected(matrix).forward(inputs[:, None])[:, 0]
    padded = np.pad(inputs, padding, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel))[::stride]
    return {
        "inputs": inputs.tolist(),
        "kernel": list(kernel),
        "response": answers.tolist(),
        "dense": dense.tolist(),
        "difference": float(np.abs(answers - dense).max()),
        "matrix": matrix.tolist(),
        "flat": (windows == windows[:, :1]).all(axis=1).tolist(),
        "strongest": int(np.abs(answers).argmax()),
    }


def over_digit(picture: Kernel, weights: Sequence[float], size: int, stride: int, padding: int) -> dict[str, Any]:
    """A kernel over a picture (28, 28), as plain JSON; `weights` are those of `framed`.

    difference: the largest between the response and the dense matrix times the picture; kept: how many weights of that
    matrix are not zero; lying, standing: the strongest answers to a stroke one pixel wide.
    """
    kernel = unframed(weights, size)
    layer = sliding(kernel, picture.shape, stride, padding)
    answers = response(layer, picture)
    matrix = dense_matrix(layer)
    lying, standing = (float(np.abs(response(sliding(kernel, line.shape, 1, 0), line)).max()) for line in strokes())
    return {
        "ink": picture.tolist(),
        "kernel": kernel.tolist(),
        "kernels": {name: framed(name, size) for name in KERNELS[size]},
        "name": next((name for name, known in KERNELS[size].items() if np.array_equal(known, kernel)), ""),
        "response": answers.tolist(),
        "difference": float(np.abs(answers.ravel() - matrix @ picture.ravel()).max()),
        "matrix": list(matrix.shape),
        "kept": int(np.count_nonzero(matrix)),
        "lying": lying,
        "standing": standing,
    }


# ---- Kernels and pictures to begin with --------------------------------------------------------------------------------


def _bell(side: tuple[float, ...]) -> Kernel:
    """A smooth hill that sums to 1."""
    hill: Kernel = np.outer(side, side)
    return hill / sum(side) ** 2


def _family(blur: Kernel) -> Mapping[str, Kernel]:
    """Kernels of one size, made of the picture itself and its blur.

    identity: the picture; edges: what a picture has more than the mean around it, so that flat places give 0; sharpen: the
    picture, and four times what a blur would take away.
    """
    identity = np.zeros_like(blur)
    identity[len(blur) // 2, len(blur) // 2] = 1
    edges = blur.size * identity - 1
    return MappingProxyType(
        {"identity": identity, "edges": edges, "blur": blur, "sharpen": identity + 4 * (identity - blur)}
    )


KERNELS: Mapping[int, Mapping[str, Kernel]] = MappingProxyType(
    {3: _family(_bell((1, 2, 1))), 5: _family(_bell((1, 2, 4, 2, 1)))}
)

FRAME = 5
"""The largest of them."""


def framed(name: str, size: int) -> tuple[float, ...]:
    """A kernel, row by row, in the middle of 5×5 weights."""
    return tuple(np.pad(KERNELS[size][name], (FRAME - size) // 2).ravel().tolist())


def unframed(weights: Sequence[float], size: int) -> Kernel:
    """The middle (size, size) of 5×5 weights."""
    margin = (FRAME - size) // 2
    middle = slice(margin, margin + size)
    return np.array(weights, np.float64).reshape(FRAME, FRAME)[middle, middle]


@cache
def digit(index: int) -> tuple[Kernel, int]:
    """A test digit (28, 28), ink from 0 to 1 in whole hundredths, so that the figures printed are all there is; its label."""
    test = load_mnist().test
    return np.round(test.images[index] / 255, 2), int(test.labels[index])


SIDE, SHADES = 28, 15
"""Of a drawing: pixels each way, and steps from paper to full ink."""
DRAWING_LETTERS = 4 * -(-SIDE * SIDE // 2 // 3)
"""Letters of base64 that it takes, two pixels a byte."""


def drawing(text: str) -> Kernel | None:
    """A drawing (28, 28), as `digit` gives them, out of base64, row by row, the left one of two pixels first; None if it is none."""
    try:
        packed = np.frombuffer(b64decode(text, validate=True), np.uint8)
    except ValueError:
        return None
    if packed.size != SIDE * SIDE // 2:
        return None
    return np.round(np.stack([packed >> 4, packed & 15], axis=1).reshape(SIDE, SIDE) / SHADES, 2)


def strokes(across: int = 9) -> tuple[Kernel, Kernel]:
    """A horizontal and a vertical line of ink, one pixel wide, through pictures of `across` × `across`."""
    horizontal = np.zeros((across, across))
    horizontal[across // 2] = 1
    return horizontal, horizontal.T.copy()
