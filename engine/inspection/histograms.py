"""How weights and activations are spread, and which units no longer take part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.arrays import Array
from engine.inspection.inspection import Inspection
from engine.specs import GELU, LayerSpec, ReLU, Sigmoid, Softplus, Tanh

BINS = 20
NEAR = 0.01
"""Nearer to the end of its range than this a unit's slope is all but zero."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie in each of equal parts of [low, high], int64 (20,)."""

    low: float
    high: float
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LayerHistograms:
    """Of one dense layer: its weights, without the biases, and what its `units` answer to the training points.

    `dead` of the units cannot learn any more; see `dead_units`. None in place of a histogram: not all are numbers.
    """

    layer: int
    units: int
    dead: int
    weights: Histogram | None
    activations: Histogram | None


def histograms(inspection: Inspection) -> list[LayerHistograms]:
    """Of every dense layer, in order."""
    observer, layers = inspection.observer, inspection.layers
    found = observer.activations(inspection.training_inputs(), layers)
    return [
        LayerHistograms(
            layer,
            len(found[layer]),
            # Outputs are meant to be sure of themselves.
            0 if layer == layers[-1] else dead_units(found[layer], observer.following(layer)),
            histogram(observer.parameters(layer)[0]),
            histogram(found[layer]),
        )
        for layer in layers
    ]


def dead_units(values: Array, following: Sequence[LayerSpec]) -> int:
    """How many units, given their activations (units, N), have all but no slope at any point, and so get no gradient.

    With ReLU and GELU that is a unit which is never above 0, with softplus one never above 0.01. With tanh and sigmoid
    it is one that is everywhere within 0.01 of an end of its range (|a| > 0.99 with tanh), be it the same end or not: it
    may still divide the plane, but no longer moves. Other units never die.
    """
    for spec in following:
        match spec:
            case ReLU() | GELU():
                return _count_all(values <= 0)
            case Softplus():
                return _count_all(values <= NEAR)
            case Tanh():
                return _count_all(np.abs(values) > 1 - NEAR)
            case Sigmoid():
                return _count_all((values < NEAR) | (values > 1 - NEAR))
    return 0


def histogram(values: Array) -> Histogram | None:
    """Twenty equal parts from the smallest to the largest value; where all are the same, they stand in the middle.

    (NumPy's own refuses values that hardly differ.)
    """
    if not values.size or not np.isfinite(values).all():
        return None
    low, high = float(values.min()), float(values.max())
    if low == high:
        margin = max(0.5, abs(low) / 1000)
        low, high = low - margin, high + margin
    places = (values.ravel().astype(np.float64) - low) * (BINS / (high - low))
    counts = np.bincount(np.minimum(places.astype(np.int64), BINS - 1), minlength=BINS)
    return Histogram(low, high, counts)


def _count_all(stuck: npt.NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(stuck.all(axis=1)))
