"""Losses: one number for how wrong a batch of outputs is, and how each output should change to make it smaller.

Both read logits (K, N) and class labels (N,); all values are means over the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from engine.arrays import Array, Labels, check_shape
from engine.specs import LossName


class Loss(ABC):
    """A loss on logits. It keeps buffers for the shape it saw last: a gradient is overwritten by the next call."""

    def __init__(self) -> None:
        self._gradient: Array = np.empty((0, 0))

    # A diverged run makes infinities; its loss says so, and the trainer stops on it. Warnings would say it twice.
    @np.errstate(over="ignore", invalid="ignore")
    def loss_and_gradient(self, logits: Array, labels: Labels) -> tuple[float, Array]:
        """The mean loss and its gradient (K, N) with respect to `logits` (K, N), given the true classes `labels` (N,).

        ShapeError when there is not one label for each column.
        """
        check_shape("Labels", labels, (logits.shape[1],))
        if self._gradient.shape != logits.shape or self._gradient.dtype != logits.dtype:
            self._gradient = np.empty_like(logits)
            self._columns = np.arange(logits.shape[1])
        return self._loss_and_gradient(logits, labels)

    @abstractmethod
    def _loss_and_gradient(self, logits: Array, labels: Labels) -> tuple[float, Array]: ...

    @abstractmethod
    def probabilities(self, logits: Array) -> Array:
        """What the network believes, (K, N), each column summing to 1, as a new array."""


class SoftmaxCrossEntropy(Loss):
    """`−log p[label]` in nats, p the softmax of the logits; the gradient is `(p − onehot) / N`.

    Softmax and logarithm are one step: `−log p[label] = log Σ e^z − z[label]`, with the largest logit taken off first,
    which changes nothing but keeps every power within 1.
    """

    def _loss_and_gradient(self, logits: Array, labels: Labels) -> tuple[float, Array]:
        gradient, columns = self._gradient, self._columns
        count = logits.shape[1]
        np.subtract(logits, logits.max(axis=0), out=gradient)
        true_logits = gradient[labels, columns]
        np.exp(gradient, out=gradient)
        sums = gradient.sum(axis=0)
        loss = float(np.sum(np.log(sums) - true_logits)) / count
        gradient /= sums
        gradient[labels, columns] -= 1
        gradient /= count
        return loss, gradient

    @np.errstate(over="ignore", invalid="ignore")
    def probabilities(self, logits: Array) -> Array:
        powers: Array = np.exp(logits - logits.max(axis=0))
        powers /= powers.sum(axis=0)
        return powers


class MeanSquaredError(Loss):
    """`mean over outputs of (z − onehot)²`: the outputs are read as guesses of 1 for the true class and 0 elsewhere."""

    def _loss_and_gradient(self, logits: Array, labels: Labels) -> tuple[float, Array]:
        gradient = self._gradient
        np.copyto(gradient, logits)
        gradient[labels, self._columns] -= 1
        loss = float(np.vdot(gradient, gradient)) / gradient.size
        gradient *= 2 / gradient.size
        return loss, gradient

    def probabilities(self, logits: Array) -> Array:
        """Outputs are no probabilities; the nearest thing is what is above zero, scaled to sum to 1 (even if none is)."""
        positive = np.maximum(logits, 0)
        sums = positive.sum(axis=0)
        positive[:, sums == 0] = 1
        positive /= positive.sum(axis=0)
        return positive


LOSSES: Mapping[LossName, type[Loss]] = MappingProxyType(
    {"softmax_cross_entropy": SoftmaxCrossEntropy, "mean_squared_error": MeanSquaredError}
)
