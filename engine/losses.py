"""Losses: one number for how wrong a batch of outputs is, and how each output should change to make it smaller.

All read outputs (K, N), called logits where they become probabilities, and the truth (N,): class labels as integers, or
the numbers to be met as floats, for one output. A loss is the mean over the batch of what each example costs. With
`weights` (N,) an example of weight 3 counts as three, and the sum is still divided by N. (PyTorch's cross_entropy
divides by Σ weights instead, which in a batch of one undoes them.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from engine.arrays import Array, Labels, Truth, check_shape
from engine.specs import LossName, RunSpec


class Loss(ABC):
    """A loss on logits. It keeps buffers for the shape it saw last: a gradient is overwritten by the next call."""

    def __init__(self) -> None:
        self._gradient: Array = np.empty((0, 0))

    # A diverged run makes infinities; its loss says so, and the trainer stops on it. Warnings would say it twice.
    @np.errstate(over="ignore", invalid="ignore")
    def loss_and_gradient(self, logits: Array, labels: Truth, weights: Array | None = None) -> tuple[float, Array]:
        """The mean loss and its gradient (K, N) with respect to `logits` (K, N), given the truth `labels` (N,).

        `weights` (N,) are those of the examples. ShapeError when there is not one label, or weight, for each column.
        """
        count = logits.shape[1]
        check_shape("Labels", labels, (count,))
        if self._gradient.shape != logits.shape or self._gradient.dtype != logits.dtype:
            self._gradient = np.empty_like(logits)
            self._columns = np.arange(count)
        costs, gradient = self._costs_and_gradient(logits, labels)
        if weights is None:
            loss = float(costs.sum()) / count
        else:
            check_shape("Weights of the examples", weights, (count,))
            loss = float(weights @ costs) / count
            gradient *= weights
        gradient /= count
        return loss, gradient

    @np.errstate(over="ignore", invalid="ignore")
    def costs(self, logits: Array, labels: Truth, weights: Array | None = None) -> Array:
        """What each example costs, (N,), of which the loss is the mean."""
        self.loss_and_gradient(logits, labels, weights)  # for its checks and its buffers
        costs = self._costs_and_gradient(logits, labels)[0]
        return costs.copy() if weights is None else weights * costs

    @abstractmethod
    def _costs_and_gradient(self, logits: Array, labels: Truth) -> tuple[Array, Array]:
        """What each example costs, (N,), and how it changes with the example's logits, (K, N) in `_gradient`."""

    @abstractmethod
    def probabilities(self, logits: Array) -> Array:
        """What the network believes, (K, N), each column summing to 1, as a new array."""

    def predicted(self, logits: Array) -> Labels:
        """The class that each column of the outputs (K, N) speaks for, int64 (N,)."""
        best: Labels = logits.argmax(axis=0)
        return best

    def correct(self, logits: Array, labels: Truth) -> int:
        """How many columns speak for their class; of numbers to be met none is right or wrong."""
        return 0 if labels.dtype.kind == "f" else int(np.count_nonzero(self.predicted(logits) == labels))

    def _errors(self, logits: Array, labels: Truth) -> Array:
        """How far each output is from the number to be met; or `z − onehot`, from 1 for the true class and 0 elsewhere."""
        if labels.dtype.kind == "f":
            return np.subtract(logits, labels, out=self._gradient)
        np.copyto(self._gradient, logits)
        self._gradient[labels, self._columns] -= 1
        return self._gradient


class SoftmaxCrossEntropy(Loss):
    """`−log p[label]` in nats, p the softmax of the logits; the gradient is `p − onehot`.

    Softmax and logarithm are one step: `−log p[label] = log Σ e^z − z[label]`, with the largest logit taken off first,
    which changes nothing but keeps every power within 1.
    """

    def _costs_and_gradient(self, logits: Array, labels: Truth) -> tuple[Array, Array]:
        gradient, columns = self._gradient, self._columns
        np.subtract(logits, logits.max(axis=0), out=gradient)
        true_logits = gradient[labels, columns]
        np.exp(gradient, out=gradient)
        sums = gradient.sum(axis=0)
        gradient /= sums
        gradient[labels, columns] -= 1
        return np.log(sums) - true_logits, gradient

    def probabilities(self, logits: Array) -> Array:
        return softmax(logits)


class MeanSquaredError(Loss):
    """`mean over outputs of (z − onehot)²`: the outputs are read as guesses of 1 for the true class and 0 elsewhere.

    With numbers to be met it is `(z − y)²`.
    """

    def _costs_and_gradient(self, logits: Array, labels: Truth) -> tuple[Array, Array]:
        errors, outputs = self._errors(logits, labels), len(logits)
        costs: Array = np.einsum("kn,kn->n", errors, errors) / outputs
        errors *= 2 / outputs
        return costs, errors

    def probabilities(self, logits: Array) -> Array:
        return shares_above_zero(logits)


class HalfSquaredError(Loss):
    """`mean over outputs of ½ (o − t)²` with t = 1 for the true class and −1 elsewhere, as TensorFlow Playground has it.

    Of two classes one output is enough: 1 is the first, −1 the second. The output is meant to come from a tanh; as a
    probability it is read as (o + 1) / 2.
    """

    def _costs_and_gradient(self, logits: Array, labels: Truth) -> tuple[Array, Array]:
        if labels.dtype.kind == "f":
            errors = self._errors(logits, labels)
        elif len(logits) == 1:
            errors = np.subtract(logits, 1 - 2 * labels, out=self._gradient)
        else:
            errors = np.add(logits, 1, out=self._gradient)
            errors[labels, self._columns] -= 2
        outputs = len(logits)
        costs: Array = np.einsum("kn,kn->n", errors, errors) / (2 * outputs)
        errors /= outputs
        return costs, errors

    def predicted(self, logits: Array) -> Labels:
        return (logits[0] < 0).astype(np.int64) if len(logits) == 1 else super().predicted(logits)

    def probabilities(self, logits: Array) -> Array:
        if len(logits) > 1:
            return shares_above_zero((logits + 1) / 2)
        first = np.clip((logits + 1) / 2, 0, 1)
        return np.concatenate([first, 1 - first])


class Huber(Loss):
    """`mean over outputs of ½ e²` where the error `e = z − onehot` is at most δ, and `δ (|e| − ½ δ)` beyond it.

    Squared near zero and straight far off, with one slope where they meet: a wild output pulls no harder than δ.
    Huber (1964), https://doi.org/10.1214/aoms/1177703732. The gradient is e, held between −δ and δ.
    """

    def __init__(self, delta: float = 1.0) -> None:
        super().__init__()
        self.delta = delta

    def _costs_and_gradient(self, logits: Array, labels: Truth) -> tuple[Array, Array]:
        errors, outputs = self._errors(logits, labels), len(logits)
        held = np.clip(errors, -self.delta, self.delta)
        # With h = e held, both pieces are h (e − ½ h): ½ e² where h = e, and δ (|e| − ½ δ) where h = ±δ.
        costs: Array = np.einsum("kn,kn->n", held, errors - 0.5 * held) / outputs
        return costs, np.divide(held, outputs, out=self._gradient)

    def probabilities(self, logits: Array) -> Array:
        return shares_above_zero(logits)


class AbsoluteError(Loss):
    """`mean over outputs of |z − onehot|`: an error counts in proportion to its size, however large it is.

    Its gradient is the error's sign, the same for one that is far off as for one that is near, and 0 where there is none
    (a subgradient: |e| has a corner there). With one number to be met, what is best for all examples is their median.
    """

    def _costs_and_gradient(self, logits: Array, labels: Truth) -> tuple[Array, Array]:
        errors, outputs = self._errors(logits, labels), len(logits)
        costs: Array = np.abs(errors).sum(axis=0) / outputs
        np.sign(errors, out=errors)
        errors /= outputs
        return costs, errors

    def probabilities(self, logits: Array) -> Array:
        return shares_above_zero(logits)


class Hinge(Loss):
    """`Σ over wrong classes of max(0, z − z[label] + 1)`: the true class must lead every other by 1 (Weston, Watkins 1999).

    The multi-class support vector machine, as convnetjs's `svm` layer has it: the sum, not the mean, over classes. Each
    class that comes too near has the slope 1, and the true class minus their number; where one is exactly 1 behind, 0.
    """

    def _costs_and_gradient(self, logits: Array, labels: Truth) -> tuple[Array, Array]:
        gradient, columns = self._gradient, self._columns
        margins = logits - logits[labels, columns] + 1
        np.maximum(margins, 0, out=margins)
        margins[labels, columns] *= 0  # and not = 0, so that a diverged network's NaN is seen
        np.greater(margins, 0, out=gradient)
        gradient[labels, columns] = -gradient.sum(axis=0)
        return margins.sum(axis=0), gradient

    def probabilities(self, logits: Array) -> Array:
        """Scores are no probabilities; their softmax keeps the order and turns a lead of 1 into odds of e to 1."""
        return softmax(logits)


class BinaryCrossEntropy(Loss):
    """`mean over outputs of −t log σ(z) − (1 − t) log (1 − σ(z))`, t = onehot: each output asks "is it my class?" alone.

    One question for each class (one against all), so that several or none may be believed. With the logits at hand it
    is `max(z, 0) − t z + log(1 + e^−|z|)`, in which no power exceeds 1; the gradient is `σ(z) − t` over the outputs.
    """

    def _costs_and_gradient(self, logits: Array, labels: Truth) -> tuple[Array, Array]:
        gradient, outputs = self._gradient, len(logits)
        small = np.exp(-np.abs(logits))
        costs = np.maximum(logits, 0).sum(axis=0) - logits[labels, self._columns] + np.log1p(small).sum(axis=0)
        np.copyto(gradient, np.where(logits >= 0, 1, small) / (1 + small))  # σ(z), from e^−|z|
        gradient[labels, self._columns] -= 1
        gradient /= outputs
        return costs / outputs, gradient

    def probabilities(self, logits: Array) -> Array:
        """σ of each output, scaled to sum to 1: the softmax of log σ(z) = min(z, 0) − log(1 + e^−|z|)."""
        return softmax(np.minimum(logits, 0) - np.log1p(np.exp(-np.abs(logits))))


@np.errstate(over="ignore", invalid="ignore")
def softmax(logits: Array) -> Array:
    """`e^z / Σ e^z` in each column (K, N), as a new array."""
    powers: Array = np.exp(logits - logits.max(axis=0))
    powers /= powers.sum(axis=0)
    return powers


def shares_above_zero(outputs: Array) -> Array:
    """Outputs are no probabilities; the nearest thing is what is above zero, scaled to sum to 1 (even if none is)."""
    positive = np.maximum(outputs, 0)
    sums = positive.sum(axis=0)
    positive[:, sums == 0] = 1
    positive /= positive.sum(axis=0)
    return positive


LOSSES: Mapping[LossName, type[Loss]] = MappingProxyType(
    {
        "softmax_cross_entropy": SoftmaxCrossEntropy,
        "mean_squared_error": MeanSquaredError,
        "half_squared_error": HalfSquaredError,
        "hinge": Hinge,
        "huber": Huber,
        "absolute_error": AbsoluteError,
        "binary_cross_entropy": BinaryCrossEntropy,
    }
)


def make_loss(spec: RunSpec) -> Loss:
    """The loss of a run."""
    return Huber(spec.huber_delta) if spec.loss == "huber" else LOSSES[spec.loss]()
