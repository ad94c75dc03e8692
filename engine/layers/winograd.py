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

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, -0.75)
"""Where polynomials are evaluated, besides infinity. Small numbers of both signs keep rounding errors small.

In float32 results with seven of them are off by 1e-6 of the largest, with all eight by 4e-6, and more would be too many.
"""


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

    `places` are views of the products, see `Product`; a window's rows are tiles of one row.
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

        # The overlapping pieces of each row, (t, row, channel, piece, N). What of them lies beyond the map stays zero, and
        # so do the values of the rows above and below.
        self._pieces = aligned_zeros((length, height, channels, pieces, batch_size), dtype)
        self._values = aligned_zeros((length, height + 2 * pad, *self._pieces.shape[2:]), dtype)
        self._inside_values = self._values[:, pad : pad + height]
        self._seen: list[tuple[Array, slice]] = []  # by every pixel of the pieces: where it goes, and which columns it is
        for s in range(length):
            first = max(0, -(-(pad - s) // pool))
            last = min(pieces - 1, (width - 1 + pad - s) // pool)
            if first <= last:
                columns = slice(first * pool + s - pad, last * pool + s - pad + 1, pool)
                self._seen.append((self._pieces[s, :, :, first : last + 1], columns))
        self._value_rows = _row_windows(self._values, outputs, size)

        self._weights = empty(size, filters, size, channels)  # kernel column, filter, kernel row, channel
        self._weight_values = empty(length, filters, size, channels)

        self._products = empty(length, outputs, filters, pieces * batch_size)
        self._outputs = empty(pool, outputs, filters, pieces * batch_size)
        self.places = list(self._outputs.reshape(pool, rows, pool, 1, filters, pieces, batch_size))

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
        self._first_phases, self._unreached = self._by_phase[:, :, :, :pieces], self._by_phase[:, :, :, pieces:]
        later = range(pool, length)
        self._later_phases = [self._by_phase[s % pool, :, :, s // pool : s // pool + pieces] for s in later]
        padded_gradients = aligned_zeros((height, channels, max(reached * pool, pad + width), batch_size), dtype)
        in_order = padded_gradients[: last - first, :, : reached * pool]
        self._in_order = in_order.reshape(*in_order.shape[:2], reached, pool, batch_size)
        self._inputs_gradients = padded_gradients[:, :, pad : pad + width].swapaxes(0, 1)

    def forward(self, inputs: Array) -> None:
        """Fill `places` from `inputs` (C, H, W, N)."""
        for pieces, columns in self._seen:
            np.copyto(pieces, inputs[:, :, columns].swapaxes(0, 1))
        _transform(self._b, self._pieces, self._inside_values)
        np.copyto(self._weights, self._convolution.weights.transpose(3, 0, 2, 1))
        _transform(self._g, self._weights, self._weight_values)
        length, filters = self._weight_values.shape[:2]
        np.matmul(self._weight_values.reshape(length, 1, filters, -1), self._value_rows, out=self._products)
        _transform(self._a, self._products, self._outputs)

    def weight_gradients(self) -> None:
        """Fill the convolution's weight gradients: `forward` transposed, from the last step to the first."""
        _transform(self._a.T, self._outputs, self._product_gradients)
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
        first = len(self._by_phase)
        np.copyto(self._first_phases, self._piece_gradients[:first])
        self._unreached.fill(0)
        for phase, gradients in zip(self._later_phases, self._piece_gradients[first:], strict=True):
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
