"""What the small pictures on the map of the lecture are drawn from: short trainings, and what came of them as plain numbers."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from engine.arrays import Array
from engine.datasets.base import ImageDataset
from engine.datasets.mnist import load_mnist
from engine.datasets.points import PointDataset, points_dataset
from engine.inspection import Inspection, boundary
from engine.lessons.convolution import digit, response, sliding
from engine.specs import CurveSpec, MnistSpec, PlaneSpec, RunSpec, TableSpec
from engine.trainer import Trainer

PORTION = 10
"""Updates from one breath to the next: of a convolutional network on digits some 20 milliseconds."""


def trained(spec: RunSpec, updates: int) -> Generator[None, None, Trainer]:
    """A trainer that has made so many updates, or as many as its run may."""
    trainer = Trainer(spec, _dataset(spec))
    wanted = min(updates, spec.stop.steps or updates)
    while trainer.steps < wanted:
        trainer.advance(min(PORTION, wanted - trainer.steps))
        yield
    return trainer


def plane(spec: RunSpec, updates: int, side: int) -> Generator[None, None, dict[str, Any]]:
    """What a network answers over the plane after so many updates, and some of its points.

    answers: (side, side), row 0 = largest y, from 1 (surely the first class, or the number 1) to −1; points: across and up
    from 0 to 1, and 1 or −1 in the same sense.
    """
    trainer = yield from trained(spec, updates)
    dataset = _dataset(spec)
    assert isinstance(dataset, PointDataset)
    answers = boundary(Inspection(trainer.network, trainer.loss, dataset), side)
    (left, right), (low, high) = dataset.domain
    across = (dataset.positions[:, 0] - left) / (right - left)
    up = (dataset.positions[:, 1] - low) / (high - low)
    sides = np.where(dataset.labels == 0, 1, -1) if dataset.classes else np.where(dataset.labels > 0.5, 1, -1)
    return {
        "answers": _rounded(2 * answers[0] - 1),
        "points": [list(point) for point in zip(_rounded(across), _rounded(up), sides.tolist(), strict=True)],
    }


def seen_through(patterns: Sequence[Sequence[Sequence[float]]], index: int) -> list[list[list[float]]]:
    """What filters (k, k) answer to a test digit, ReLU applied, each as rows of numbers."""
    picture, _ = digit(index)
    maps = [response(sliding(np.array(pattern), picture.shape, 1, len(pattern) // 2), picture) for pattern in patterns]
    return [_rounded(np.maximum(one, 0)) for one in maps]


def digits(indices: Sequence[int]) -> list[list[list[float]]]:
    """Test digits (28, 28), ink from 0 to 1."""
    return [digit(index)[0].tolist() for index in indices]


def _dataset(spec: RunSpec) -> ImageDataset | PointDataset:
    if isinstance(spec.dataset, MnistSpec):
        return load_mnist()
    assert isinstance(spec.dataset, PlaneSpec | CurveSpec | TableSpec), "no picture needs ten million transactions"
    return points_dataset(spec.dataset)


def _rounded(values: Array) -> list[Any]:
    found: list[Any] = np.round(values.astype(np.float64), 3).tolist()
    return found
