"""Pooling: of each window one value is kept, the largest or the mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape, aligned_empty
from engine.layers.base import Layer


class Pool(Layer):
    """A window slides over each map by itself. Windows may overlap; what is left over right and below is not seen."""

    def __init__(
        self, input_shape: Shape, window: tuple[int, int], step: tuple[int, int], dtype: npt.DTypeLike = np.float32
    ) -> None:
        """`window` is its height and width, `step` how far it moves down and to the right."""
        channels, height, width = input_shape
        rows, columns = (height - window[0]) // step[0] + 1, (width - window[1]) // step[1] + 1
        super().__init__(input_shape, (channels, rows, columns), dtype)
        self.window = window
        self.step = step

    def bind(self, batch_size: int) -> None:
        self._outputs = self._empty(*self.output_shape, batch_size)
        self._share = self._empty(*self.output_shape, batch_size)
        self._inputs_gradients = self._empty(*self.input_shape, batch_size)
        self._gradient_cells = self._cells(self._inputs_gradients)

    def _cells(self, maps: Array) -> list[Array]:
        """For every place in the window, the view of what all windows see there."""
        _, rows, columns = self.output_shape
        down, across = self.step
        return [
            maps[:, i : i + down * (rows - 1) + 1 : down, j : j + across * (columns - 1) + 1 : across]
            for i in range(self.window[0])
            for j in range(self.window[1])
        ]


class Largest:
    """Of arrays of one shape the largest value in each place, and who has it."""

    def __init__(self, values: Array) -> None:
        """`values` is where the largest are to be."""
        self.values = values
        self._won = aligned_empty(values.shape, np.bool_)

    def find(self, arrays: Sequence[Array]) -> None:
        """Fill `values`."""
        self._arrays = arrays
        np.maximum(arrays[0], arrays[-1], out=self.values)
        for array in arrays[1:-1]:
            np.maximum(self.values, array, out=self.values)

    def share_out(self, gradients: Array, out: Sequence[Array]) -> None:
        """The first to equal the largest takes its whole gradient, and leaves nothing to later ones.

        `out` may be the arrays themselves, whose values are then gone.
        """
        *earlier, last = out
        left = gradients
        for array, share in zip(self._arrays, earlier, strict=False):
            self.take(array, left, out=share)
            left = np.subtract(left, share, out=last)
        if left is gradients:
            np.copyto(last, gradients)

    def take(self, array: Array, left: Array, out: Array) -> None:
        """What one of the arrays takes of the gradient that the earlier ones left."""
        np.equal(array, self.values, out=self._won)
        np.multiply(left, self._won, out=out)


class MaximumPool(Pool):
    """The largest value of each window.

    Of equal values in a window the first one, row by row, counts as the maximum and takes the whole gradient.
    """

    def bind(self, batch_size: int) -> None:
        super().bind(batch_size)
        self._largest = Largest(self._outputs)
        self._left = self._empty(*self.output_shape, batch_size)
        self._inputs_gradients.fill(0)  # where no window looks that is their value

    def _forward(self, inputs: Array) -> Array:
        self._input_cells = self._cells(inputs)
        self._largest.find(self._input_cells)
        return self._outputs

    def _input_gradients(self, gradients: Array) -> Array:
        if self.window[0] <= self.step[0] and self.window[1] <= self.step[1]:
            self._largest.share_out(gradients, out=self._gradient_cells)
            return self._inputs_gradients
        # A pixel that several windows see adds up what it takes in each.
        np.copyto(self._left, gradients)
        self._inputs_gradients.fill(0)
        for cell, cell_gradients in zip(self._input_cells, self._gradient_cells, strict=True):
            self._largest.take(cell, self._left, out=self._share)
            self._left -= self._share
            cell_gradients += self._share
        return self._inputs_gradients


class MaxPool(MaximumPool):
    """`z[c, y, x] = max over i, j < pool_size of a[c, y·stride + i, x·stride + j]`."""

    def __init__(
        self, input_shape: Shape, pool_size: int = 2, stride: int = 2, dtype: npt.DTypeLike = np.float32
    ) -> None:
        super().__init__(input_shape, (pool_size, pool_size), (stride, stride), dtype)
        self.pool_size = pool_size
        self.stride = stride


class MaxPool1D(MaximumPool):
    """`z[c, y, x] = max over i < pool_size of a[c, y, x·stride + i]`: every row by itself."""

    def __init__(
        self, input_shape: Shape, pool_size: int = 2, stride: int = 2, dtype: npt.DTypeLike = np.float32
    ) -> None:
        super().__init__(input_shape, (1, pool_size), (1, stride), dtype)


class AveragePool(Pool):
    """`z[c, y, x] = 1/pool_size² · Σ over i, j < pool_size of a[c, y·stride + i, x·stride + j]`."""

    def __init__(
        self, input_shape: Shape, pool_size: int = 2, stride: int = 2, dtype: npt.DTypeLike = np.float32
    ) -> None:
        super().__init__(input_shape, (pool_size, pool_size), (stride, stride), dtype)
        self._weight = 1 / pool_size**2

    def _forward(self, inputs: Array) -> Array:
        first, *others = self._cells(inputs)
        np.copyto(self._outputs, first)
        for cell in others:
            self._outputs += cell
        self._outputs *= self._weight
        return self._outputs

    def _input_gradients(self, gradients: Array) -> Array:
        """Every value of a window takes the same share of its gradient."""
        np.multiply(gradients, self._weight, out=self._share)
        self._inputs_gradients.fill(0)
        for cell_gradients in self._gradient_cells:
            cell_gradients += self._share
        return self._inputs_gradients


class GlobalAveragePool(Layer):
    """`z[c] = 1/(H·W) · Σ over y, x of a[c, y, x]`: (C, H, W, N) becomes (C, N).

    Lin, Chen and Yan (2014), https://arxiv.org/abs/1312.4400.
    """

    def __init__(self, input_shape: Shape, dtype: npt.DTypeLike = np.float32) -> None:
        channels, height, width = input_shape
        super().__init__(input_shape, (channels,), dtype)
        self._weight = 1 / (height * width)

    def bind(self, batch_size: int) -> None:
        self._outputs = self._empty(*self.output_shape, batch_size)
        self._inputs_gradients = self._empty(*self.input_shape, batch_size)

    def _forward(self, inputs: Array) -> Array:
        np.sum(inputs, axis=(1, 2), out=self._outputs)
        self._outputs *= self._weight
        return self._outputs

    def _input_gradients(self, gradients: Array) -> Array:
        return np.multiply(gradients[:, np.newaxis, np.newaxis], self._weight, out=self._inputs_gradients)
