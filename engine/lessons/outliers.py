"""One unit fitted to points with and without outliers, and the closed forms that it can be held against.

A point is (x, y), both from −5 to 5. A linear unit answers `ŷ = w0 + w1 x`; a logistic one `ŷ = 1 / (1 + e^−(w0 + w1 x))`
and learns whether y is above zero. Slide: "Noise: linear models fitted with and without a few noisy outliers (Single
neurons behave similarly to linear models)".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.datasets.table import encode_rows
from engine.lessons.fits import Numbers
from engine.specs import SGD, Adam, Cosine, Dense, LossName, RunSpec, Sigmoid, StopSpec, TableSpec

UnitName: TypeAlias = Literal["linear", "logistic"]

UPDATES = 400
DELTA = 0.5
"""Huber's δ for a linear unit: an error beyond it counts in proportion."""
LOGISTIC_DELTA = 0.1
"""The same for a logistic unit, whose errors are at most 1."""


@dataclass(frozen=True, slots=True)
class Line:
    """`w0 + w1 x`."""

    w0: float
    w1: float

    @property
    def crossing(self) -> float | None:
        """Where it is zero, which is where a logistic unit is undecided; None for a level line."""
        return -self.w0 / self.w1 if abs(self.w1) > 1e-6 else None


def targets(unit: UnitName, y: Sequence[float]) -> list[float]:
    """What is to be learned: y itself, or 1 where it is above zero and 0 elsewhere."""
    return list(y) if unit == "linear" else [float(value > 0) for value in y]


def run(unit: UnitName, loss: LossName, x: Sequence[float], y: Sequence[float]) -> RunSpec:
    """A run that fits the unit to the points from zero weights, all points in each update.

    A linear unit sees x and y brought to mean 0 and variance 1. The Hessian of its squared loss is then 2 times the
    identity for whatever points (1 where x never changes), so that a learning rate of 0.1 shrinks each error by a fifth
    in every update, and 400 of them reach the closed form.
    """
    linear, learned = unit == "linear", targets(unit, y)
    rows = np.column_stack([x, learned])
    return RunSpec(
        name="One unit",
        dataset=TableSpec(
            columns=("x",), class_names=(), target="y", values=encode_rows(rows), standardize=linear, train_share=1.0
        ),
        network=(Dense(units=1),) if linear else (Dense(units=1), Sigmoid()),
        initializer="zeros",
        loss=loss,
        huber_delta=DELTA / _spread(learned) if linear else LOGISTIC_DELTA,
        optimizer=SGD(learning_rate=0.1) if linear else Adam(learning_rate=0.1),
        schedule=Cosine(steps=UPDATES, final=0.01),
        batch_size=len(learned),
        l2=0.0,
        stop=StopSpec(steps=UPDATES),
    )


def learned_line(unit: UnitName, parameters: Sequence[float], x: Sequence[float], y: Sequence[float]) -> Line:
    """The unit's `w0` and `w1` in the units of the points, from its flat parameters (weight, bias).

    With x and y standardized to x' = (x − x̄)/sx and y' = (y − ȳ)/sy, ŷ' = b + w x' is ŷ = ȳ + sy b − w1 x̄ + w1 x with
    w1 = w sy / sx.
    """
    weight, bias = parameters
    if unit == "logistic":
        return Line(bias, weight)
    slope = weight * _spread(y) / _spread(x)
    return Line(float(np.mean(y)) + bias * _spread(y) - slope * float(np.mean(x)), slope)


def _spread(values: Sequence[float]) -> float:
    """The standard deviation; of what never changes 1."""
    return 1.0 if min(values) == max(values) else float(np.std(values))


def least_squares(x: Sequence[float], y: Sequence[float]) -> Line:
    """The line with the smallest mean of (y − ŷ)², in closed form: `w1 = Σ (x − x̄)(y − ȳ) / Σ (x − x̄)²`, `w0 = ȳ − w1 x̄`.

    Where x never changes every slope is as good, and this one is level.
    """
    centred = np.asarray(x, np.float64) - np.mean(x)
    square = float(centred @ centred)
    slope = float(centred @ (np.asarray(y, np.float64) - np.mean(y))) / square if max(x) > min(x) else 0.0
    return Line(float(np.mean(y)) - slope * float(np.mean(x)), slope)


def heights(unit: UnitName, line: Line, places: npt.ArrayLike) -> Numbers:
    """ŷ (n,) at `places` (n,)."""
    weighted = line.w0 + line.w1 * np.asarray(places, np.float64)
    return weighted if unit == "linear" else 0.5 * (1 + np.tanh(0.5 * weighted))  # 1 / (1 + e^−in) without overflow


def share(loss: LossName, line: Line, x: Sequence[float], y: Sequence[float], last: int) -> float:
    """Of what all points cost on a line, the share of the last ones; 0 where nothing costs anything."""
    found = costs(loss, np.asarray(y, np.float64) - heights("linear", line, x), DELTA)
    total = float(found.sum())
    return float(found[len(found) - last :].sum()) / total if total else 0.0


def costs(loss: LossName, errors: Numbers, delta: float) -> Numbers:
    """What errors `e = y − ŷ` (n,) cost one by one: e², |e|, or Huber's."""
    size = np.abs(errors)
    match loss:
        case "mean_squared_error":
            return size**2
        case "absolute_error":
            return size
        case "huber":
            held = np.minimum(size, delta)
            return held * (size - 0.5 * held)
    raise ValueError(f"{loss} is none of this lesson's losses.")
