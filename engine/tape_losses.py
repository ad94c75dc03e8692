"""Losses as lists of calls (see engine.calls): from a batch's outputs and targets to the gradients of the outputs.

All of them are a difference, `∂L/∂z = c (guess − target)`, and that is one matrix product: guesses and targets lie one
below the other in one block of rows, and the matrix holds c in some places and −c in others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Truth
from engine.calls import Call
from engine.specs import RunSpec


class TapedLoss(ABC):
    """A loss of `outputs` outputs; `share` is that of one example in the batch's gradient, 1 / N for the mean.

    It wants `rows` more rows below the outputs, of which `targets` are filled with what is to be learned.
    """

    rows: int
    targets: slice

    def __init__(self, outputs: int, share: float, dtype: npt.DTypeLike) -> None:
        self.outputs, self.share = outputs, share
        self.dtype = np.dtype(dtype)

    @abstractmethod
    def encode(self, labels: Truth) -> Array:
        """The target rows (T, N) for the truth `labels` (N,)."""

    @abstractmethod
    def calls(self, block: Array, gradients: Array) -> list[Call]:
        """Fill `gradients` (K, n) from `block` (K + rows, n)."""

    def _difference(self, share: float) -> Array:
        """What takes K guesses and K targets below them to `share · (guess − target)`."""
        eye = share * np.eye(self.outputs)
        return np.concatenate([eye, -eye], axis=1).astype(self.dtype)

    def _onehot(self, labels: Truth) -> Array:
        """1 for the true class and 0 elsewhere; a number to be met as it is."""
        if labels.dtype.kind == "f":
            return labels[np.newaxis].astype(self.dtype)
        return np.equal(np.arange(self.outputs)[:, np.newaxis], labels).astype(self.dtype)

    def _signs(self, labels: Truth) -> Array:
        """1 for the first class and −1 for the second, in one row."""
        return (1 - 2 * labels[np.newaxis]).astype(self.dtype)


class SoftmaxOfTwo(TapedLoss):
    """Cross-entropy of two classes: `p₀ = σ(z₀ − z₁) = (1 + tanh(½ (z₀ − z₁))) / 2`, and `p₁` is the rest."""

    rows, targets = 2, slice(0, 1)

    def encode(self, labels: Truth) -> Array:
        return self._signs(labels)

    def calls(self, block: Array, gradients: Array) -> list[Call]:
        logits, known, guess = block[:2], block[2:], block[3:]
        half = np.array([[0.5, -0.5]], self.dtype)
        spread: Array = np.zeros_like(guess)
        # With t = tanh(…) and y = ±1: p₀ − onehot₀ = ½ (t − y), and the other gradient is the same, negative.
        share = 0.5 * self.share
        difference = np.array([[-share, share], [share, -share]], self.dtype)
        return [(half.dot, (logits, spread)), (np.tanh, (spread, guess)), (difference.dot, (known, gradients))]


class Softmax(TapedLoss):
    """Cross-entropy of any number of classes: `p = e^z / Σ e^z`, with the largest z taken off first."""

    def __init__(self, outputs: int, share: float, dtype: npt.DTypeLike) -> None:
        super().__init__(outputs, share, dtype)
        self.rows, self.targets = 1 + 2 * outputs, slice(1 + outputs, 1 + 2 * outputs)

    def encode(self, labels: Truth) -> Array:
        return self._onehot(labels)

    def calls(self, block: Array, gradients: Array) -> list[Call]:
        outputs = self.outputs
        logits, largest, known = block[:outputs], block[outputs], block[outputs + 1 :]
        powers, sums = np.zeros_like(logits), np.zeros_like(logits)
        # What takes the logits, and the largest below them, to their difference.
        shift = np.concatenate([np.eye(outputs), -np.ones((outputs, 1))], axis=1).astype(self.dtype)
        return [
            (logits.max, (0, largest)),
            (shift.dot, (block[: outputs + 1], powers)),
            (np.exp, (powers, powers)),
            (np.ones((outputs, outputs), self.dtype).dot, (powers, sums)),
            (np.divide, (powers, sums, known[:outputs])),
            (self._difference(self.share).dot, (known, gradients)),
        ]


class MeanSquared(TapedLoss):
    """`mean over outputs of (z − t)²`, t = 1 for the true class and 0 elsewhere."""

    slope: ClassVar[float] = 2.0
    """Of the function of one error where the error is 1."""

    def __init__(self, outputs: int, share: float, dtype: npt.DTypeLike) -> None:
        super().__init__(outputs, share, dtype)
        self.rows, self.targets = outputs, slice(0, outputs)

    def encode(self, labels: Truth) -> Array:
        return self._onehot(labels)

    def calls(self, block: Array, gradients: Array) -> list[Call]:
        return [(self._difference(self.slope * self.share / self.outputs).dot, (block, gradients))]


class HalfSquared(MeanSquared):
    """`mean over outputs of ½ (z − t)²`, t = 1 for the true class and −1 elsewhere; of two classes, one output is enough."""

    slope = 1.0

    def encode(self, labels: Truth) -> Array:
        if labels.dtype.kind == "f":
            return self._onehot(labels)
        return self._signs(labels) if self.outputs == 1 else 2 * self._onehot(labels) - 1


class Huber(MeanSquared):
    """The gradient of `½ (z − t)²`, held between −δ and δ."""

    def __init__(self, outputs: int, share: float, dtype: npt.DTypeLike, delta: float) -> None:
        super().__init__(outputs, share, dtype)
        self.delta = delta

    def calls(self, block: Array, gradients: Array) -> list[Call]:
        limit = np.full_like(gradients, self.delta)
        share = np.asarray(self.share / self.outputs, self.dtype)
        return [
            (self._difference(1).dot, (block, gradients)),
            (partial(np.minimum, out=gradients), (gradients, limit)),
            (partial(np.maximum, out=gradients), (gradients, -limit)),
            (np.multiply, (gradients, share, gradients)),
        ]


class Absolute(MeanSquared):
    """The gradient of `mean over outputs of |z − t|`: the sign of each difference."""

    def calls(self, block: Array, gradients: Array) -> list[Call]:
        share = np.asarray(self.share / self.outputs, self.dtype)
        return [
            (self._difference(1).dot, (block, gradients)),
            (np.sign, (gradients, gradients)),
            (np.multiply, (gradients, share, gradients)),
        ]


TAPED_LOSSES = ("softmax_cross_entropy", "mean_squared_error", "half_squared_error", "huber", "absolute_error")


def taped_loss(spec: RunSpec, outputs: int, dtype: npt.DTypeLike, *, factor: float = 1.0) -> TapedLoss:
    """The loss of a run whose loss is one of TAPED_LOSSES, for a network with so many outputs, its gradient `factor` times."""
    share = factor / spec.batch_size
    match spec.loss:
        case "softmax_cross_entropy":  # that of two saves calls, which compiled code has not
            two = outputs == 2 and not spec.compiled
            return SoftmaxOfTwo(outputs, share, dtype) if two else Softmax(outputs, share, dtype)
        case "mean_squared_error":
            return MeanSquared(outputs, share, dtype)
        case "half_squared_error":
            return HalfSquared(outputs, share, dtype)
        case "huber":
            return Huber(outputs, share, dtype, spec.huber_delta)
        case "absolute_error":
            return Absolute(outputs, share, dtype)
    raise ValueError(f"There is no tape for {spec.loss}.")
