"""Metric points as columns: one list a quantity, all of the same length, None where it was not measured."""

from __future__ import annotations

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
