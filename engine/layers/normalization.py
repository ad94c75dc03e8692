"""Normalization: values are measured against others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape
from engine.layers.base import Layer


class LocalResponseNormalization(Layer):
    """`z[c] = a[c] / s[c]^β` with `s[c] = k + α/n · Σ a[c']²` over the `n` channels around c, in the same place.

    At the first and last channels the sum has fewer terms, and is divided by `n` all the same, as in convnetjs and
    PyTorch. Krizhevsky et al. (2012) do not divide α by n: their α of 1e-4 is 5e-4 here.
    """

    def __init__(
        self,
        input_shape: Shape,
        k: float = 2.0,
        n: int = 5,
        alpha: float = 0.0001,
        beta: float = 0.75,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        """`n` must be odd."""
        super().__init__(input_shape, input_shape, dtype)
        self.k, self.n, self.alpha, self.beta = k, n, alpha, beta

    def bind(self, batch_size: int) -> None:
        shape = (*self.output_shape, batch_size)
        self._sums, self._divisors, self._outputs = (self._empty(*shape) for _ in range(3))
        self._terms, self._term_sums = self._empty(*shape), self._empty(*shape)

    def _forward(self, inputs: Array) -> Array:
        self._inputs = inputs
        np.multiply(inputs, inputs, out=self._terms)
        self._sum_neighbours(self._terms, out=self._sums)
        self._sums *= self.alpha / self.n
        self._sums += self.k
        np.power(self._sums, self.beta, out=self._divisors)
        return np.divide(inputs, self._divisors, out=self._outputs)

    def _input_gradients(self, gradients: Array) -> Array:
        """`∂L/∂a[c] = g[c] / s[c]^β − 2αβ/n · a[c] · Σ g[c'] z[c'] / s[c']`, over the channels c' that look at c.

        They are those that c looks at. (convnetjs's own gradient takes a[c] for a[c'] there, which numeric gradients
        do not bear out.)
        """
        np.multiply(gradients, self._outputs, out=self._terms)
        self._terms /= self._sums
        self._sum_neighbours(self._terms, out=self._term_sums)
        self._term_sums *= self._inputs
        self._term_sums *= -2 * self.alpha * self.beta / self.n
        np.divide(gradients, self._divisors, out=self._terms)
        self._terms += self._term_sums
        return self._terms

    def _sum_neighbours(self, terms: Array, out: Array) -> None:
        """`out[c] = Σ terms[c']` over the `n` channels c' around c, as far as there are any."""
        np.copyto(out, terms)
        for distance in range(1, min(self.n // 2, len(terms) - 1) + 1):
            out[distance:] += terms[:-distance]
            out[:-distance] += terms[distance:]
