"""The error of a small network as a function of its weights, one weight at a time.

The network is the lecture's: inputs 1 and 2, hidden units 3 and 4, output 5, all of them logistic. Its loss is the mean of
(y − ŷ)² over the points. Slides "Training Networks" ("error on output is a function of weights; change weights to reduce
error") and "Neural Network is a Function". In float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from engine.datasets.points import points_dataset
from engine.datasets.table import encode_rows
from engine.losses import MeanSquaredError
from engine.network import Network
from engine.specs import Dense, LayerSpec, Sigmoid, TableSpec

Numbers = npt.NDArray[np.float64]

NETWORK: tuple[LayerSpec, ...] = (Dense(units=2), Sigmoid(), Dense(units=1), Sigmoid())
PLACES = 49
"""At which the loss is computed for the curve of one weight."""

_POINTS, _SEED = 64, 5
_EDGE, _GAP = 2.0, 0.45
"""How far a band reaches from the diagonal x1 = −x2, and how near to its edge no point lies."""


@cache
def points() -> TableSpec:
    """Points of a plane, all of them to learn from: y is 1 within a band along the diagonal x1 = −x2, and 0 outside.

    One line cannot part them, two can: one for each hidden unit.
    """
    places = np.random.default_rng(_SEED).uniform(-5, 5, (_POINTS, 2))
    across = np.abs(places.sum(axis=1)) / np.sqrt(2)
    places, across = places[np.abs(across - _EDGE) > _GAP], across[np.abs(across - _EDGE) > _GAP]
    rows = np.column_stack([places, across < _EDGE])
    return TableSpec(columns=("x1", "x2"), class_names=(), values=encode_rows(rows), target="y", train_share=1.0)


@dataclass(frozen=True, slots=True)
class Error:
    """The loss of nine weights in the order of `Network.parameters`, and how it changes with each, `gradient` (9,).

    squares: the sum of all (y − ŷ)², of `count` points. curves (9, `PLACES`): the loss if this weight alone were another, at
    `places` from one end of its range to the other.
    """

    loss: float
    squares: float
    count: int
    gradient: list[float]
    places: list[float]
    curves: list[list[float]]


def error(weights: Sequence[float], reach: float) -> Error:
    """What the weights cost; the curves go from −reach to reach."""
    network = Network(NETWORK, (2,), np.float64)
    dataset = points_dataset(points())
    train = dataset.splits(points())["train"]
    inputs, targets, loss = train.inputs.astype(np.float64), train.labels, MeanSquaredError()
    network.parameters[:] = weights
    value, gradient = loss.loss_and_gradient(network.forward(inputs, training=True), targets)
    network.backward(gradient)
    slopes = network.gradients.tolist()
    places = np.linspace(-reach, reach, PLACES)
    curves = np.empty((len(weights), PLACES))
    for which, own in enumerate(weights):
        for place, other in enumerate(places):
            network.parameters[which] = other
            curves[which, place] = ((network.logits(inputs)[0] - targets) ** 2).mean()
        network.parameters[which] = own
    return Error(value, value * len(train), len(train), slopes, places.tolist(), curves.tolist())
