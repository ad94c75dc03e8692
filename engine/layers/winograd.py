"""A convolution with fewer multiplications: Winograd's, along each row.

Cutting a row into overlapping pieces of t = m + k − 1 pixels, each gives m outputs of a kernel of k weights. Done
directly that takes m·k multiplications. But the m outputs are coefficients of a product of polynomials, and a
polynomial with t coefficients is known from its values at t points: evaluate pixels and weights there, multiply the
values, t of them, and interpolate. With m = 3 and k = 5 that is 7 in place of 15. Evaluating (B, G) and interpolating
(A) are products with small constant matrices, shared by all channels and filters.

Down the columns the sum over the kernel's rows and all channels stays a matrix product: the values lie in memory as
(row, channel, piece, example), so k rows one below the other are already the matrix that it needs, without a copy.

Winograd (1980), "Arithmetic complexity of computations"; Lavin and Gray (2016), https://arxiv.org/abs/1509.09308.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.arrays import Array, aligned_empty, aligned_zeros
from engine.layers.convolution import Convolution

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
"""Where polynomials are evaluated, besides infinity. Small numbers of both signs keep rounding errors small."""


MOST_MULTIPLICATIONS = 900_000
"""Of one matrix product. OpenBLAS computes those of up to a million as they are; it copies larger ones into another order first,
which takes longer than to multiply by a matrix as small as these."""


def transforms(outputs: int, kernel: int) -> tuple[Array, Array, Array]:
    """Matrices A (m, t), G (t, k), B (t, t) with `A [(G w) · (B d)]` = the m outputs of kernel w on the piece d.

    With V(n) the values of n coefficients at the points, the product of polynomials a (m) and b (k) has the
    coefficients `V(t)⁻¹ [(V(m) a) · (V(k) b)]`. A correlation is the transpose of that map, with respect to a.
    """
    length = outputs + kernel - 1
    points = np.array(POINTS[: length - 1])

    def values(count: int) -> Array:
        at_infinity = np.eye(count)[-1:]  # there a polynomial is its highest coefficient
        return np.vstack([np.vander(points, count, increasing=True), at_infinity])

    piece = np.linalg.inv(values(length)).T
    scale = np.abs(piece).max(axis=1, keepdims=True)  # only moves a factor from B to G, so that neither is large
    return values(outputs).T, values(kernel) * scale, piece / scale


class WinogradProduct:
    """The products of `convolution` (stride 1, without bias), for pooling windows of `pool_size`.

    `cells` are views of the products, (rows, filters, columns, N): for every place in a pooling window, what all
    windows see there. The gradients are to be put into `cell_gradients`.
    """

    def __init__(self, convolution: Convolution, pool_size: int) -> None:
        self._convolution = convolution
        self._pool_size = pool_size

    def bind(self, batch_size: int) -> None:
        """Allocate everything for this batch size."""
        convolution, pool, dtype = self._convolution, self._pool_size, self._convolution.dtype
        filters, channels, size, _ = convolution.weight_shape
        _, height, width = convolution.input_shape
        pad = convolution.padding
        rows, pieces = (length // pool for length in convolution.output_shape[1:])
        outputs, length = rows * pool, pool + size - 1
        self._a, self._g, self._b = (np.ascontiguousarray(m, dtype) for m in transforms(pool, size))

        def empty(*shape: int) -> Array:
            return aligned_empty(shape, dtype)

        # The padded input by row, and the view of its overlapping pieces (t, row, channel, piece, N).
        padded = aligned_zeros((height + 2 * pad, channels, width + 2 * pad, batch_size), dtype)
        self._inside = padded[pad : pad + height, :, pad : pad + width].swapaxes(0, 1)
        y, c, x, n = padded.strides
        shape = (length, padded.shape[0], channels, pieces, batch_size)
        self._windows = as_strided(padded, shape, (x, y, c, x * pool, n), writeable=False)
        self._pieces, self._values = empty(*shape), empty(*shape)
        self._value_rows = _row_windows(self._values, outputs, size)

        self._weights = empty(size, filters, size, channels)  # kernel column, filter, kernel row, channel
        self._weight_values = empty(length, filters, size, channels)

        self._products = empty(length, outputs, filters, pieces * batch_size)
        self._outputs = empty(pool, outputs, filters, pieces * batch_size)
        self._output_gradients = aligned_empty(self._outputs.shape, dtype)
        split = (pool, rows, pool, filters, pieces, batch_size)
        self.cells = _cells(self._outputs.reshape(split))
        self.cell_gradients = _cells(self._output_gradients.reshape(split))

        # Gradients of the products, with rows of zeros above and below, for the same windows on the way back.
        spread = aligned_zeros((length, outputs + 2 * (size - 1), filters, pieces * batch_size), dtype)
        self._product_gradients = spread[:, size - 1 : size - 1 + outputs]
        self._weight_value_gradients = empty(length, filters, size * channels)
        self._row_gradients = empty(length, outputs, filters, size * channels)

        first, last = pad, min(pad + height, outputs + size - 1)  # input rows that any output looks at
        self._gradient_rows = _row_windows(spread, outputs + size - 1, size)[:, first:last]
        self._flipped = empty(length, channels, size, filters)
        self._value_gradients = empty(length, last - first, channels, pieces * batch_size)
        self._piece_gradients = empty(length, last - first, channels, pieces, batch_size)
        # Pixel s of piece x is column m·x + s of the padded row. Gathered as (s mod m, row, channel, x + s // m, N) all
        # pieces add up in long runs; one copy then brings the columns into order, (row, channel, x, s mod m, N).
        reached = pieces + (length - 1) // pool
        self._by_phase = empty(pool, last - first, channels, reached, batch_size)
        self._phases = [self._by_phase[s % pool, :, :, s // pool : s // pool + pieces] for s in range(length)]
        padded_gradients = aligned_zeros((height, channels, max(reached * pool, pad + width), batch_size), dtype)
        in_order = padded_gradients[: last - first, :, : reached * pool]
        self._in_order = in_order.reshape(*in_order.shape[:2], reached, pool, batch_size)
        self._inputs_gradients = padded_gradients[:, :, pad : pad + width].swapaxes(0, 1)

    def forward(self, inputs: Array) -> None:
        """Fill `cells` from `inputs` (C, H, W, N)."""
        np.copyto(self._inside, inputs)
        np.copyto(self._pieces, self._windows)
        _transform(self._b, self._pieces, self._values)
        np.copyto(self._weights, self._convolution.weights.transpose(3, 0, 2, 1))
        _transform(self._g, self._weights, self._weight_values)
        length, filters = self._weight_values.shape[:2]
        np.matmul(self._weight_values.reshape(length, 1, filters, -1), self._value_rows, out=self._products)
        _transform(self._a, self._products, self._outputs)

    def weight_gradients(self) -> None:
        """Fill the convolution's weight gradients: `forward` transposed, from the last step to the first."""
        _transform(self._a.T, self._output_gradients, self._product_gradients)
        np.matmul(self._product_gradients, self._value_rows.swapaxes(2, 3), out=self._row_gradients)
        np.sum(self._row_gradients, axis=1, out=self._weight_value_gradients)
        _transform(self._g.T, self._weight_value_gradients, self._weights)
        np.copyto(self._convolution.weight_gradients.transpose(3, 0, 2, 1), self._weights)

    def input_gradients(self) -> Array:
        """The gradients of the inputs (C, H, W, N), after `weight_gradients`.

        Down the columns this is a convolution of the products' gradients with the kernel turned around.
        """
        np.copyto(self._flipped, self._weight_values[:, :, ::-1].transpose(0, 3, 2, 1))
        length, channels = self._flipped.shape[:2]
        np.matmul(self._flipped.reshape(length, 1, channels, -1), self._gradient_rows, out=self._value_gradients)
        _transform(self._b.T, self._value_gradients, self._piece_gradients)
        self._by_phase.fill(0)
        for phase, gradients in zip(self._phases, self._piece_gradients, strict=True):
            phase += gradients
        np.copyto(self._in_order, np.moveaxis(self._by_phase, 0, 3))
        return self._inputs_gradients


def _transform(matrix: Array, arrays: Array, out: Array) -> None:
    """Multiply along the first axis; the others are the matrix product's columns, in portions of one size."""
    columns = arrays[0].size
    count = -(-columns * matrix.size // MOST_MULTIPLICATIONS)
    while columns % count:
        count += 1
    np.matmul(matrix, _portions(arrays, count), out=_portions(out, count))


def _portions(arrays: Array, count: int) -> Array:
    """(t, ...) as (portion, t, columns), a view."""
    return arrays.reshape(len(arrays), count, -1).swapaxes(0, 1)


def _row_windows(values: Array, count: int, size: int) -> Array:
    """Each `size` neighbouring rows of (t, row, channel, ..., N) as one matrix: (t, count, size·channels, rest)."""
    t, row, channel = values.strides[:3]
    shape = (len(values), count, size * values.shape[2], np.prod(values.shape[3:], dtype=int))
    return as_strided(values, shape, (t, row, channel, values.itemsize), writeable=False)


def _cells(outputs: Array) -> list[Array]:
    """Views of (output in window, row, row in window, filter, piece, N), window row by row."""
    across, _, down = outputs.shape[:3]
    return [outputs[j, :, i] for i in range(down) for j in range(across)]
