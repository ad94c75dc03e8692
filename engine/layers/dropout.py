"""Dropout: while training, units are switched off at random, so that none can rely on its neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape
from engine.layers.base import Layer


class Dropout(Layer):
    """Inverted dropout: each value is kept with probability 1 − rate and then divided by it, else zero.

    So the expected output equals the input, and outside of training there is nothing to do.
    Srivastava et al. (2014), https://jmlr.org/papers/v15/srivastava14a.html.
    """

    rng: np.random.Generator | None = None
    """Where the draws come from; None: the layer is idle."""

    def __init__(self, input_shape: Shape, rate: float = 0.5, dtype: npt.DTypeLike = np.float32) -> None:
        super().__init__(input_shape, input_shape, dtype)
        self.rate = rate

    def bind(self, batch_size: int) -> None:
        shape = (*self.output_shape, batch_size)
        self._mask = self._empty(*shape)
        self._outputs = self._empty(*shape)
        self._inputs_gradients = self._empty(*shape)

    def _forward(self, inputs: Array) -> Array:
        self._idle = self.rng is None
        if self.rng is None:
            return inputs
        self.rng.random(dtype=self.dtype, out=self._mask)
        np.greater_equal(self._mask, self.rate, out=self._mask)
        self._mask *= 1 / (1 - self.rate)
        return np.multiply(inputs, self._mask, out=self._outputs)

    def _input_gradients(self, gradients: Array) -> Array:
        if self._idle:
            return gradients
        return np.multiply(gradients, self._mask, out=self._inputs_gradients)
