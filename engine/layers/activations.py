"""The element-wise functions between layers, in order of complexity. All are non-decreasing.

Each derivative is written in terms of the outputs where that is cheaper.
"""

from __future__ import annotations

from copy import copy

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape, aligned_empty
from engine.layers.base import Layer


class Activation(Layer):
    """`z = f(a)` for each element alone: outputs have the shape of the inputs."""

    def __init__(self, input_shape: Shape, dtype: npt.DTypeLike = np.float32) -> None:
        super().__init__(input_shape, input_shape, dtype)

    def reshaped(self, shape: Shape) -> Activation:
        """The same function for examples of another shape."""
        other = copy(self)
        other.input_shape = other.output_shape = shape
        other.batch_size = 0
        return other

    def bind(self, batch_size: int) -> None:
        self._outputs = self._empty(*self.output_shape, batch_size)
        self._slopes = self._empty(*self.output_shape, batch_size)


class ReLU(Activation):
    """`max(a, 0)`; slope 0 at 0."""

    in_place = False
    """Whether outputs take the place of the inputs, and the inputs' gradients that of the outputs'; see `fuse`."""

    def bind(self, batch_size: int) -> None:
        super().bind(batch_size)
        # NumPy's maximum of two arrays is vectorised, that of an array and a number is not and takes three times as
        # long. One map of zeros serves all channels, and stays in the cache.
        self._zero = self._zeros(*self.output_shape[-2:], batch_size)
        self._positive: npt.NDArray[np.bool_] = aligned_empty((*self.output_shape, batch_size), np.bool_)

    def _forward(self, inputs: Array) -> Array:
        if self.in_place:
            self._outputs = inputs
        return np.maximum(inputs, self._zero, out=self._outputs)

    def _input_gradients(self, gradients: Array) -> Array:
        np.greater(self._outputs, self._zero, out=self._positive)
        return np.multiply(gradients, self._positive, out=gradients if self.in_place else self._slopes)


class LeakyReLU(Activation):
    """`a` above zero, `slope · a` elsewhere."""

    def __init__(self, input_shape: Shape, slope: float = 0.01, dtype: npt.DTypeLike = np.float32) -> None:
        super().__init__(input_shape, dtype)
        self.slope = slope

    def _forward(self, inputs: Array) -> Array:
        self._inputs = inputs
        np.multiply(inputs, self.slope, out=self._outputs)
        return np.maximum(inputs, self._outputs, out=self._outputs)  # slope ≤ 1, so the larger one is the right one

    def _input_gradients(self, gradients: Array) -> Array:
        np.greater(self._inputs, 0, out=self._slopes)
        self._slopes *= 1 - self.slope
        self._slopes += self.slope
        return np.multiply(gradients, self._slopes, out=self._slopes)


class Tanh(Activation):
    """The hyperbolic tangent; `z' = 1 − z²`."""

    def _forward(self, inputs: Array) -> Array:
        return np.tanh(inputs, out=self._outputs)

    def _input_gradients(self, gradients: Array) -> Array:
        np.multiply(self._outputs, self._outputs, out=self._slopes)
        np.subtract(1, self._slopes, out=self._slopes)
        return np.multiply(gradients, self._slopes, out=self._slopes)


class Sigmoid(Activation):
    """`1 / (1 + e^−a)`; `z' = z (1 − z)`."""

    def _forward(self, inputs: Array) -> Array:
        return sigmoid(inputs, out=self._outputs)

    def _input_gradients(self, gradients: Array) -> Array:
        np.subtract(1, self._outputs, out=self._slopes)
        self._slopes *= self._outputs
        return np.multiply(gradients, self._slopes, out=self._slopes)


class Softplus(Activation):
    """`log(1 + e^a)`, whose slope is the sigmoid."""

    def _forward(self, inputs: Array) -> Array:
        self._inputs = inputs
        return np.logaddexp(0, inputs, out=self._outputs)  # does not overflow, unlike log(1 + exp(a))

    def _input_gradients(self, gradients: Array) -> Array:
        sigmoid(self._inputs, out=self._slopes)
        return np.multiply(gradients, self._slopes, out=self._slopes)


def sigmoid(inputs: Array, out: Array) -> Array:
    """`1 / (1 + e^−a)` as `(1 + tanh(a / 2)) / 2`, which cannot overflow."""
    np.multiply(inputs, 0.5, out=out)
    np.tanh(out, out=out)
    out += 1
    out *= 0.5
    return out
