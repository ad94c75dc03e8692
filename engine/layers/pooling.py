"""Max-pooling: each window keeps its largest value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape
from engine.layers.base import Layer


class MaxPool(Layer):
    """`z[c, y, x] = max over i, j < pool_size of a[c, y·stride + i, x·stride + j]`; windows may overlap.

    Of equal values in a window the first one, row by row, counts as the maximum and takes the whole gradient.
    """

    def __init__(
        self, input_shape: Shape, pool_size: int = 2, stride: int = 2, dtype: npt.DTypeLike = np.float32
    ) -> None:
        channels, height, width = input_shape
        output_shape = (channels, (height - pool_size) // stride + 1, (width - pool_size) // stride + 1)
        super().__init__(input_shape, output_shape, dtype)
        self.pool_size = pool_size
        self.stride = stride

    def bind(self, batch_size: int) -> None:
        self._outputs = self._empty(*self.output_shape, batch_size)
        self._left = self._empty(*self.output_shape, batch_size)
        self._share = self._empty(*self.output_shape, batch_size)
        self._won = np.empty(self._outputs.shape, np.bool_)
        self._inputs_gradients = self._empty(*self.input_shape, batch_size)
        self._gradient_cells = self._cells(self._inputs_gradients)

    def _cells(self, maps: Array) -> list[Array]:
        """For every place in the window, the view of what all windows see there."""
        _, rows, columns = self.output_shape
        size, step = self.pool_size, self.stride
        return [
            maps[:, i : i + step * (rows - 1) + 1 : step, j : j + step * (columns - 1) + 1 : step]
            for i in range(size)
            for j in range(size)
        ]

    def _forward(self, inputs: Array) -> Array:
        self._input_cells = self._cells(inputs)
        np.copyto(self._outputs, self._input_cells[0])
        for cell in self._input_cells[1:]:
            np.maximum(self._outputs, cell, out=self._outputs)
        return self._outputs

    def _input_gradients(self, gradients: Array) -> Array:
        """Whoever equals the maximum takes what is left of the window's gradient, and leaves nothing to later ones."""
        np.copyto(self._left, gradients)
        self._inputs_gradients.fill(0)
        for cell, cell_gradients in zip(self._input_cells, self._gradient_cells, strict=True):
            np.equal(cell, self._outputs, out=self._won)
            np.multiply(self._left, self._won, out=self._share)
            self._left -= self._share
            cell_gradients += self._share
        return self._inputs_gradients
