"""Batch normalization: every map is shifted and scaled to the spread that training finds best for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape
from engine.layers.base import Layer


class BatchNormalization(Layer):
    """`z[c] = γ[c] · (a[c] − μ[c]) / √(σ²[c] + ε) + β[c]` for each channel (or unit) c, in all its places alike.

    While training, μ and σ² are mean and variance of the batch at hand, and so an example's outputs depend on the others
    of its batch. Otherwise they are the running ones, of which each training batch replaces the share 1 − memory; the
    running variance takes Σ(a − μ)² / (M − 1) of a batch with M values a channel, which is right on average.
    γ are the `weights`, β the `biases`, the running means and variances the `statistics` (2, C). Those are changed by
    `forward` and have no gradient. PyTorch's momentum is 1 − memory.
    Ioffe and Szegedy (2015), https://arxiv.org/abs/1502.03167.
    """

    decays = False
    weights: Array
    biases: Array
    weight_gradients: Array
    bias_gradients: Array
    statistics: Array

    training = False
    """Whether the batch at hand is normalized by its own mean and variance, and remembered."""

    def __init__(
        self, input_shape: Shape, memory: float = 0.9, epsilon: float = 1e-5, dtype: npt.DTypeLike = np.float32
    ) -> None:
        super().__init__(input_shape, input_shape, dtype)
        self.channels = input_shape[0]
        self.memory = memory
        self.epsilon = epsilon
        self.parameter_count = 4 * self.channels

    def attach(self, parameters: Array, gradients: Array) -> None:
        super().attach(parameters, gradients)
        self.weights, self.biases, *_ = parameters.reshape(4, -1)
        self.statistics = parameters.reshape(4, -1)[2:]
        self.weight_gradients, self.bias_gradients, *_ = gradients.reshape(4, -1)

    def begin(self) -> None:
        """The layer that only normalizes: scales 1, shifts 0, as if it had seen means of 0 and variances of 1."""
        self.weights[:], self.biases[:] = 1, 0
        self.statistics[0], self.statistics[1] = 0, 1

    def bind(self, batch_size: int) -> None:
        shape = (*self.input_shape, batch_size)
        self._normalized, self._outputs = self._empty(*shape), self._empty(*shape)
        self._inputs_gradients = self._empty(*shape)
        self._count = self._outputs[0].size

    def _forward(self, inputs: Array) -> Array:
        values, normalized = self._rows(inputs), self._rows(self._normalized)
        self._by_batch = self.training
        if self.training:
            means = values.mean(axis=1)
            np.subtract(values, means[:, np.newaxis], out=normalized)
            variances = np.einsum("ci,ci->c", normalized, normalized) / self._count
            self._remember(means, variances)
        else:
            means, variances = self.statistics[0], np.maximum(self.statistics[1], 0)  # whatever a file may say
            np.subtract(values, means[:, np.newaxis], out=normalized)
        self._scales = 1 / np.sqrt(variances + self.epsilon)
        normalized *= self._scales[:, np.newaxis]
        outputs = np.multiply(normalized, self.weights[:, np.newaxis], out=self._rows(self._outputs))
        outputs += self.biases[:, np.newaxis]
        return self._outputs

    def _remember(self, means: Array, variances: Array) -> None:
        """Nothing of a batch that diverged, so that the network of before is still good."""
        if np.isfinite(means).all() and np.isfinite(variances).all():
            self.statistics *= self.memory
            self.statistics[0] += (1 - self.memory) * means
            self.statistics[1] += (1 - self.memory) * variances * (self._count / max(self._count - 1, 1))

    def _parameter_gradients(self, gradients: Array) -> None:
        rows = self._rows(gradients)
        np.einsum("ci,ci->c", rows, self._rows(self._normalized), out=self.weight_gradients)
        np.sum(rows, axis=1, out=self.bias_gradients)

    def _input_gradients(self, gradients: Array) -> Array:
        """`γ/√(σ²+ε) · (g − mean of g − ẑ · mean of g ẑ)`, ẑ before scale and shift; by running statistics only `γ/√… · g`."""
        found = self._rows(self._inputs_gradients)
        if self._by_batch:
            np.multiply(self._rows(self._normalized), (self.weight_gradients / -self._count)[:, np.newaxis], out=found)
            found += self._rows(gradients)
            found -= (self.bias_gradients / self._count)[:, np.newaxis]
        else:
            np.copyto(found, self._rows(gradients))
        found *= (self.weights * self._scales)[:, np.newaxis]
        return self._inputs_gradients

    def _rows(self, array: Array) -> Array:
        """One row for each channel."""
        return array.reshape(self.channels, -1)
