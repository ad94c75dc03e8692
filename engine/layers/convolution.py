"""The convolution in its general form: any kernel, stride and padding, by im2col."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from engine.arrays import Array, Shape
from engine.layers.base import WeightedLayer


class Convolution(WeightedLayer):
    """`z[o, y, x] = b[o] + Σ w[o, c, i, j] · a[c, y·stride + i − padding, x·stride + j − padding]`, zeros outside.

    im2col: every patch that a filter looks at is copied into a column, so that the whole convolution is one matrix
    product, (filters, C·k·k) × (C·k·k, positions·N). Its transpose, col2im, adds the columns back where they came from.
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
        output_shape = (
            filters,
            (height + 2 * padding - kernel_size) // stride + 1,
            (width + 2 * padding - kernel_size) // stride + 1,
        )
        super().__init__(input_shape, output_shape, (filters, channels, kernel_size, kernel_size), dtype)
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding

    def bind(self, batch_size: int) -> None:
        channels, height, width = self.input_shape
        _, rows, columns = self.output_shape
        size, pad = self.kernel_size, self.padding
        self._padded = self._zeros(channels, height + 2 * pad, width + 2 * pad, batch_size)
        self._padded_gradients = self._empty(*self._padded.shape)
        inside = (slice(None), slice(pad, pad + height), slice(pad, pad + width))
        self._inside, self._inside_gradients = self._padded[inside], self._padded_gradients[inside]
        c, y, x, n = self._padded.strides
        step = self.stride
        self._windows = as_strided(
            self._padded,
            (channels, size, size, rows, columns, batch_size),
            (c, y, x, y * step, x * step, n),
            writeable=False,
        )
        self._columns = self._empty(*self._windows.shape)
        self._columns_gradients = self._empty(*self._windows.shape)
        self._outputs = self._empty(*self.output_shape, batch_size)

    def _forward(self, inputs: Array) -> Array:
        np.copyto(self._inside, inputs)
        np.copyto(self._columns, self._windows)
        filters = self.output_shape[0]
        outputs = self._outputs.reshape(filters, -1)
        np.matmul(self.weights.reshape(filters, -1), self._flat(self._columns), out=outputs)
        outputs += self.biases[:, np.newaxis]
        return self._outputs

    def _parameter_gradients(self, gradients: Array) -> None:
        filters = self.output_shape[0]
        flat = gradients.reshape(filters, -1)
        np.matmul(flat, self._flat(self._columns).T, out=self.weight_gradients.reshape(filters, -1))
        np.sum(flat, axis=1, out=self.bias_gradients)

    def _input_gradients(self, gradients: Array) -> Array:
        filters, rows, columns = self.output_shape
        step = self.stride
        np.matmul(
            self.weights.reshape(filters, -1).T,
            gradients.reshape(filters, -1),
            out=self._flat(self._columns_gradients),
        )
        self._padded_gradients.fill(0)
        for i in range(self.kernel_size):
            for j in range(self.kernel_size):
                here = self._padded_gradients[
                    :, i : i + step * (rows - 1) + 1 : step, j : j + step * (columns - 1) + 1 : step
                ]
                here += self._columns_gradients[:, i, j]
        return self._inside_gradients

    def _flat(self, columns: Array) -> Array:
        """(C, k, k, rows, columns, N) as the matrix (C·k·k, rows·columns·N)."""
        return columns.reshape(columns.shape[0] * self.kernel_size**2, -1)
