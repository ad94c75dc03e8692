"""Gradient checking: does backpropagation give the slopes that one finds by trying?

Every checked parameter is moved a little up and a little down; the change of the loss over the length of the move is
its slope to the right and to the left. Backpropagation must answer with a slope between the two. Where the loss is
smooth they agree to six digits; where a ReLU or a maximum switches within the move they differ, and either is right.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.arrays import Array, Truth
from engine.errors import ShapeError
from engine.losses import Loss
from engine.network import Network

if TYPE_CHECKING:
    from engine.trainer import Trainer

STEP = 1e-6
"""How far a parameter is moved: in float64 the slopes then keep about ten digits of the loss's sixteen."""

EXAMPLES = 4
FEWEST, MOST = 4, 64
BUDGET = 1e9
"""Multiply-adds that a check of a run's network may take: a second or two in float64."""


@dataclass(frozen=True, slots=True)
class GroupCheck:
    """How well one layer's weights or biases agree, `checked` of `size` of them.

    difference: how far from the mean of both slopes, error: how far outside of them, and so 0 at a kink; both relative, about
    1 where the two are unrelated.
    """

    index: int
    layer: str
    group: str
    size: int
    checked: int
    difference: float
    error: float


def check_gradients(
    network: Network, loss: Loss, inputs: Array, labels: Truth, *, limit: int = 64, seed: int = 0
) -> list[GroupCheck]:
    """Compare numeric and backpropagated gradients of the mean loss over a batch (C, H, W, N), group by group.

    Works in float64 on a copy of `network`, which stays as it is. At most `limit` parameters of a group are tried,
    evenly spread. Dropout is active and switches off the same units every time, drawn from `seed`.
    """
    portions = checking(network, loss, inputs, labels, limit=limit, seed=seed)
    while True:
        try:
            next(portions)
        except StopIteration as end:
            checks: list[GroupCheck] = end.value
            return checks


def checking(
    network: Network, loss: Loss, inputs: Array, labels: Truth, *, limit: int, seed: int = 0
) -> Generator[None, None, list[GroupCheck]]:
    """The same in portions, one parameter each, for one who has other things to do in between."""
    copy = in_float64(network)

    def run() -> tuple[float, Array]:
        return loss.loss_and_gradient(copy.forward(inputs, training=True, rng=np.random.default_rng(seed)), labels)

    def cost() -> float:
        return run()[0]

    _, logit_gradients = run()
    copy.backward(logit_gradients)
    checks = []
    for index, layer in enumerate(copy.layers):
        groups = (("weights", layer.weights, layer.weight_gradients), ("biases", layer.biases, layer.bias_gradients))
        for group, values, gradients in groups:
            if values is None or gradients is None:
                continue
            places = np.unique(np.linspace(0, values.size - 1, min(limit, values.size)).round().astype(int))
            sides = []
            for place in places:
                sides.append(slopes(values.reshape(-1), place, cost))
                yield
            both, backpropagated = np.array(sides).T, gradients.reshape(-1)[places]
            difference = relative_error(both.mean(axis=0, keepdims=True), backpropagated)
            error = relative_error(both, backpropagated)
            checks.append(GroupCheck(index, copy.plan[index].name, group, values.size, places.size, difference, error))
    return checks


def in_float64(network: Network) -> Network:
    """The same network with the same parameters, in numbers of sixteen digits."""
    copy = Network([layer.spec for layer in network.plan], network.input_shape, np.float64)
    copy.parameters[:] = network.parameters
    return copy


def slopes(parameters: Array, place: int, cost: Callable[[], float]) -> tuple[float, float]:
    """How `cost` changes with one of the parameters, to its right and to its left; afterwards it is as it was."""
    value, here = parameters[place], cost()
    parameters[place] = value + STEP
    right = (cost() - here) / STEP
    parameters[place] = value - STEP
    left = (here - cost()) / STEP
    parameters[place] = value
    return right, left


def relative_error(slopes: Array, gradients: Array) -> float:
    """How far `gradients` (P,) lie outside of the one-sided `slopes` (2, P), in parts of their own length.

    Gradients shorter than 1e-4 are measured against that: below it rounding is all one would see.
    """
    outside = gradients - np.clip(gradients, slopes.min(axis=0), slopes.max(axis=0))
    scale = np.linalg.norm(gradients) + np.linalg.norm(slopes.mean(axis=0))
    return float(np.linalg.norm(outside) / max(float(scale), 1e-4))


def of_run(trainer: Trainer) -> Generator[None, None, dict[str, Any]]:
    """The network of a run on its first training examples, as plain values; few parameters of a large network are tried.

    Without the run's weight decay, which is no part of what is backpropagated. ShapeError for a network that has diverged.
    """
    network, train = trainer.network, trainer.splits["train"]
    if not np.isfinite(network.parameters).all():
        raise ShapeError("This network has values that are no numbers any more: there are no gradients to check.")
    examples = min(EXAMPLES, len(train))
    cost = 3 * examples * 2 * len(network.plan) * sum(layer.multiply_adds for layer in network.plan)
    limit = int(min(MOST, max(FEWEST, BUDGET // max(1, cost))))
    step = trainer.steps
    inputs, labels = train.look(slice(examples)), train.labels[:examples]
    checks = yield from checking(network, trainer.loss, inputs, labels, limit=limit)
    return {
        "step": step,
        "examples": examples,
        "groups": [asdict(check) for check in checks],
        "worst": max((check.error for check in checks), default=0.0),
    }
