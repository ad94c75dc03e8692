"""The fully connected layer."""

from __future__ import annotations

from math import prod

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape
from engine.layers.base import WeightedLayer


class Dense(WeightedLayer):
    """`z = W a + b`, W (units, inputs).

    Maps are read as one long column in the order channel, row, column.
    """

    def __init__(self, input_shape: Shape, units: int, dtype: npt.DTypeLike = np.float32) -> None:
        super().__init__(input_shape, (units,), (units, prod(input_shape)), dtype)

    def bind(self, batch_size: int) -> None:
        units, inputs = self.weight_shape
        self._outputs = self._empty(units, batch_size)
        self._columns_gradients = self._empty(inputs, batch_size)

    def _forward(self, inputs: Array) -> Array:
        self._columns = inputs.reshape(self.weight_shape[1], -1)
        np.matmul(self.weights, self._columns, out=self._outputs)
        self._outputs += self.biases[:, np.newaxis]
        return self._outputs

    def _parameter_gradients(self, gradients: Array) -> None:
        """∂L/∂W = Σₙ ∂L/∂zₙ aₙᵀ and ∂L/∂b = Σₙ ∂L/∂zₙ."""
        np.matmul(gradients, self._columns.T, out=self.weight_gradients)
        np.sum(gradients, axis=1, out=self.bias_gradients)

    def _input_gradients(self, gradients: Array) -> Array:
        """∂L/∂a = Wᵀ ∂L/∂z."""
        np.matmul(self.weights.T, gradients, out=self._columns_gradients)
        return self._columns_gradients.reshape(*self.input_shape, -1)
