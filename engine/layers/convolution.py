"""The convolution in its general form: any kernel, stride and padding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape
from engine.layers.base import WeightedLayer
from engine.layers.im2col import Patches


class Convolution(WeightedLayer):
    """`z[o, y, x] = b[o] + Σ w[o, c, i, j] · a[c, y·stride + i − padding, x·stride + j − padding]`, zeros outside.

    With the patches as columns this is one matrix product, (filters, C·k·k) × (C·k·k, positions·N).
    """

    def __init__(
        self,
        input_shape: Shape,
        filters: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        channels, height, width = input_shape
        rows = (height + 2 * padding - kernel_size) // stride + 1
        columns = (width + 2 * padding - kernel_size) // stride + 1
        weight_shape = (filters, channels, kernel_size, kernel_size)
        super().__init__(input_shape, (filters, rows, columns), weight_shape, dtype)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding

    def bind(self, batch_size: int) -> None:
        filters, rows, columns = self.output_shape
        size = (self.kernel_size, self.kernel_size)
        step = (self.stride, self.stride)
        self._patches = Patches(self.input_shape, size, step, (rows, columns), self.padding, batch_size, self.dtype)
        self._outputs = self._empty(filters, rows * columns * batch_size)

    def _forward(self, inputs: Array) -> Array:
        np.matmul(self._as_matrix(self.weights), self._patches.gather(inputs), out=self._outputs)
        self._outputs += self.biases[:, np.newaxis]
        return self._outputs.reshape(*self.output_shape, -1)

    def _parameter_gradients(self, gradients: Array) -> None:
        matrix = self._as_matrix(gradients)
        np.matmul(matrix, self._patches.columns.T, out=self._as_matrix(self.weight_gradients))
        np.sum(matrix, axis=1, out=self.bias_gradients)

    def _input_gradients(self, gradients: Array) -> Array:
        weights, matrix = self._as_matrix(self.weights), self._as_matrix(gradients)
        np.matmul(weights.T, matrix, out=self._patches.column_gradients)
        return self._patches.scatter()

    def _as_matrix(self, array: Array) -> Array:
        """One row for each filter."""
        return array.reshape(self.output_shape[0], -1)
