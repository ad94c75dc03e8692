"""GELU: each value times the probability that a bell curve's draw lies below it."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape
from engine.layers.base import Layer

_SCALE = sqrt(2 / pi)
_CUBE = 0.044715
_FLAT = 100.0
"""From here on the curve is a straight line, to the last bit: larger inputs need not be squared, and cannot overflow."""


class GELU(Layer):
    """`½ a (1 + t)` with `t = tanh(√(2/π) (a + 0.044715 a³))`, the usual form without the error function.

    It dips to −0.17 before it rises. So it is no `Activation`: those never fall, and may change places with a maximum.
    Hendrycks and Gimpel (2016), https://arxiv.org/abs/1606.08415.
    """

    def __init__(self, input_shape: Shape, dtype: npt.DTypeLike = np.float32) -> None:
        super().__init__(input_shape, input_shape, dtype)

    def bind(self, batch_size: int) -> None:
        shape = (*self.output_shape, batch_size)
        self._tanh, self._outputs = self._empty(*shape), self._empty(*shape)
        self._squares, self._slopes = self._empty(*shape), self._empty(*shape)

    def _forward(self, inputs: Array) -> Array:
        self._inputs = inputs
        np.clip(inputs, -_FLAT, _FLAT, out=self._squares)
        self._squares *= self._squares
        np.multiply(self._squares, _SCALE * _CUBE, out=self._tanh)
        self._tanh += _SCALE
        self._tanh *= inputs
        np.tanh(self._tanh, out=self._tanh)
        np.add(self._tanh, 1, out=self._outputs)
        self._outputs *= inputs
        self._outputs *= 0.5
        return self._outputs

    def _input_gradients(self, gradients: Array) -> Array:
        """`z' = ½ (1 + t) + ½ a (1 − t²) √(2/π) (1 + 3 · 0.044715 a²)`."""
        slopes = self._slopes
        np.multiply(self._tanh, self._tanh, out=slopes)
        np.subtract(1, slopes, out=slopes)
        slopes *= self._inputs
        self._squares *= 3 * _CUBE * _SCALE
        self._squares += _SCALE
        slopes *= self._squares
        slopes += self._tanh
        slopes += 1
        slopes *= 0.5
        return np.multiply(gradients, slopes, out=slopes)
