"""Metric points as columns: one list a quantity, all of the same length, None where it was not measured."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TypeAlias

COLUMNS = (
    "step",
    "examples",
    "seconds",
    "train_loss",
    "l1_loss",
    "l2_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
)
WHOLE_NUMBERS = frozenset({"step", "examples"})

Points: TypeAlias = dict[str, list[float | int | None]]


def no_points() -> Points:
    return {column: [] for column in COLUMNS}


MEASUREMENTS_A_PLACE = 4


def thinned(values: Sequence[float], most: int) -> list[float]:
    """At most so many numbers that show how values went: each the mean of a few of its stretch, where any are finite."""
    length = len(values)
    places = min(length, most)
    found = []
    for place in range(places):
        start, end = place * length // places, (place + 1) * length // places
        some = values[start : end : max(1, (end - start) // MEASUREMENTS_A_PLACE)]
        if not isfinite(total := sum(some)):
            some = [value for value in some if isfinite(value)]
            total = sum(some)
        if some and isfinite(total):
            found.append(total / len(some))
    return found
