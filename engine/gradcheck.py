"""Gradient checking: does backpropagation give the slopes that one finds by trying?

Every checked parameter is moved a little up and a little down; the change of the loss over the length of the move is
its slope to the right and to the left. Backpropagation must answer with a slope between the two. Where the loss is
smooth they agree to six digits; where a ReLU or a maximum switches within the move they differ, and either is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import Array, Labels
from engine.losses import Loss
from engine.network import Network

STEP = 1e-6
"""How far a parameter is moved: in float64 the slopes then keep about ten digits of the loss's sixteen."""


@dataclass(frozen=True, slots=True)
class GroupCheck:
    """How well one layer's weights or biases agree: `error` is relative, 0 perfect, about 1 unrelated."""

    index: int
    layer: str
    group: str
    checked: int
    error: float


def check_gradients(
    network: Network, loss: Loss, inputs: Array, labels: Labels, *, limit: int = 64, seed: int = 0
) -> list[GroupCheck]:
    """Compare numeric and backpropagated gradients of the mean loss over a batch (C, H, W, N), group by group.

    Works in float64 on a copy of `network`, which stays as it is. At most `limit` parameters of a group are tried,
    evenly spread. Dropout is active and switches off the same units every time, drawn from `seed`.
    """
    copy = Network([layer.spec for layer in network.plan], network.input_shape, np.float64)
    copy.parameters[:] = network.parameters

    def run() -> tuple[float, Array]:
        return loss.loss_and_gradient(copy.forward(inputs, training=True, rng=np.random.default_rng(seed)), labels)

    here, logit_gradients = run()
    copy.backward(logit_gradients)
    checks = []
    for index, layer in enumerate(copy.layers):
        groups = (("weights", layer.weights, layer.weight_gradients), ("biases", layer.biases, layer.bias_gradients))
        for group, values, gradients in groups:
            if values is None or gradients is None:
                continue
            places = np.unique(np.linspace(0, values.size - 1, min(limit, values.size)).round().astype(int))
            flat = values.reshape(-1)
            slopes = np.empty((2, places.size))
            for place, parameter in enumerate(places):
                value = flat[parameter]
                flat[parameter] = value + STEP
                slopes[0, place] = (run()[0] - here) / STEP
                flat[parameter] = value - STEP
                slopes[1, place] = (here - run()[0]) / STEP
                flat[parameter] = value
            error = relative_error(slopes, gradients.reshape(-1)[places])
            checks.append(GroupCheck(index, copy.plan[index].name, group, places.size, error))
    return checks


def relative_error(slopes: Array, gradients: Array) -> float:
    """How far `gradients` (P,) lie outside of the one-sided `slopes` (2, P), in parts of their own length.

    Gradients shorter than 1e-4 are measured against that: below it rounding is all one would see.
    """
    outside = gradients - np.clip(gradients, slopes.min(axis=0), slopes.max(axis=0))
    scale = np.linalg.norm(gradients) + np.linalg.norm(slopes.mean(axis=0))
    return float(np.linalg.norm(outside) / max(float(scale), 1e-4))
