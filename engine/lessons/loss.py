"""Three losses in numbers: the squared error of one example, the likelihood of many, and softmax step by step.

Everything is worked out in float32, as a network in training has it, by the losses that networks are trained with.
Slides: "Revisiting Loss", "Neural Network is a Function", "Log Loss".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.losses import MeanSquaredError, SoftmaxCrossEntropy, softmax

Numbers = npt.NDArray[np.float32]

SMALLEST = float(np.finfo(np.float32).smallest_subnormal)
"""1.4×10⁻⁴⁵, the smallest number above zero that float32 has.

Half of it and less becomes 0, more becomes the same again: a product of numbers above ½ ends here, and not at 0.
"""


def squared_loss(target: float, output: float) -> tuple[float, float]:
    """`(y − ŷ)²` of one example, and its slope `∂Loss/∂ŷ = −2 (y − ŷ)`."""
    outputs = np.array([[output]], np.float64)
    loss, gradient = MeanSquaredError().loss_and_gradient(outputs, np.array([target], np.float64))
    return loss, float(gradient[0, 0])


# ---- Many examples -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Of the first 1, 2, … N examples, each (N,): the product of their probabilities, and `−Σ log P`.

    vanished: the number of examples at which the product is exactly 0; None where it never is.
    """

    products: Numbers
    sums: Numbers
    vanished: int | None


def probabilities_of_truth(count: int, least: float, greatest: float, seed: int) -> Numbers:
    """What a network might say of the true classes of `count` examples: drawn evenly between two probabilities.

    More of them begin with the same ones.
    """
    drawn = np.random.default_rng(seed).uniform(min(least, greatest), max(least, greatest), count)
    return drawn.astype(np.float32)


def likelihood(probabilities: Numbers) -> Likelihood:
    """`P(y⁽¹⁾|x⁽¹⁾) × P(y⁽²⁾|x⁽²⁾) × …` and `−Σ log P(y⁽ʲ⁾|x⁽ʲ⁾)`, one example after the other."""
    products = np.cumprod(probabilities, dtype=np.float32)
    sums = -np.cumsum(np.log(probabilities), dtype=np.float32)
    zeros = np.flatnonzero(products == 0)
    return Likelihood(products, sums, int(zeros[0]) + 1 if len(zeros) else None)


# ---- Softmax -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SoftmaxStep:
    """One class on its way from `in_k` to its probability.

    at_once: `e^in_k` with nothing taken off, which may be infinite; shifted: `in_k − max in`; power: `e^shifted`;
    probability: `power / Σ power`; loss: `−log probability`, what an example of this class would cost.
    """

    at_once: float
    shifted: float
    power: float
    probability: float
    loss: float


def softmax_steps(inputs: Sequence[float]) -> list[SoftmaxStep]:
    """`softmax(in_k) = e^in_k / Σ e^in_k'` of a whole layer's inputs (d,), class by class.

    Taking the same number off all inputs changes no probability; taking off the largest keeps every power within 1.
    """
    logits = np.array(inputs, np.float32)[:, None]
    loss = SoftmaxCrossEntropy()
    losses = [loss.loss_and_gradient(logits, np.array([label]))[0] for label in range(len(inputs))]
    with np.errstate(over="ignore"):
        at_once = np.exp(logits)
    shifted = logits - logits.max()
    columns = (array[:, 0].tolist() for array in (at_once, shifted, np.exp(shifted), softmax(logits)))
    return [SoftmaxStep(*row) for row in zip(*columns, losses, strict=True)]
