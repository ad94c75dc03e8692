"""A batch's loss and its gradients: forward and backward, part by part and share by share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.arrays import Array, Truth
from engine.losses import Loss
from engine.network import Network


@dataclass(frozen=True, slots=True)
class Learned:
    """What some examples of a batch contribute: `loss` is their part of the batch's mean, `correct` were right."""

    loss: float
    correct: int
    forward_seconds: float
    backward_seconds: float

    def __add__(self, other: Learned) -> Learned:
        return Learned(
            self.loss + other.loss,
            self.correct + other.correct,
            self.forward_seconds + other.forward_seconds,
            self.backward_seconds + other.backward_seconds,
        )


def differentiate(
    network: Network,
    loss: Loss,
    inputs: Array,
    labels: Truth,
    weights: Array | None,
    *,
    batch_size: int,
    rng: np.random.Generator | None,
    clock: Callable[[], float] = lambda: 0.0,
) -> Learned:
    """Fill the network's gradients with what these examples (C, H, W, n) or (D, n) contribute to those of a batch's mean loss.

    With n = `batch_size` that is all of it. `rng` is what dropout draws from, `clock` gives seconds.
    """
    parts = network.parts(len(labels))
    share = len(labels) / len(parts) / batch_size  # all parts have one size
    learned = Learned(0.0, 0, 0.0, 0.0)
    for part in parts:
        started = clock()
        logits = network.forward(inputs[..., part], training=True, rng=rng)
        part_weights = None if weights is None else weights[part]
        part_loss, logit_gradients = loss.loss_and_gradient(logits, labels[part], part_weights)
        forwarded = clock()
        logit_gradients *= share
        network.backward(logit_gradients, add=part.start > 0)
        correct = loss.correct(logits, labels[part])
        learned += Learned(share * part_loss, correct, forwarded - started, clock() - forwarded)
    return learned
