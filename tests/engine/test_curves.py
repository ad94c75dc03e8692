"""Points of curves follow their formulas, and noise is measured by the height of the curve."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from engine.datasets.points import points_dataset
from engine.specs import CurveKind, CurveSpec

FORMULAS = {
    "x_sin_x": lambda x: x * math.sin(x),
    "sine": math.sin,
    "line": lambda x: 0.5 * x,
    "parabola": lambda x: 0.2 * x * x - 2,
    "step": lambda x: -1 if x < 0 else 1,
    "bump": lambda x: 2 / math.exp(x * x),
}
HEIGHTS = {"x_sin_x": 6.634, "sine": 2, "line": 5, "parabola": 5, "step": 2, "bump": 2}
KINDS = get_args(CurveKind)


@pytest.mark.parametrize("kind", KINDS)
def test_points_lie_on_the_curve(kind: CurveKind) -> None:
    dataset = points_dataset(CurveSpec(kind=kind, points=200))
    x = dataset.positions[:, 0]
    assert dataset.positions.shape == (200, 1)
    assert dataset.labels.dtype == np.float32
    assert -5 <= x.min() < -4.9
    assert 4.9 < x.max() <= 5
    assert np.allclose(dataset.labels, [FORMULAS[kind](value) for value in x.tolist()], atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_a_share_of_the_height(kind: CurveKind) -> None:
    quiet = points_dataset(CurveSpec(kind=kind, points=5000))
    noisy = points_dataset(CurveSpec(kind=kind, points=5000, noise=0.1))
    assert np.array_equal(quiet.positions, noisy.positions)
    assert (noisy.labels - quiet.labels).std() == pytest.approx(0.1 * HEIGHTS[kind], rel=0.05)


def test_the_same_spec_gives_the_same_points_and_another_seed_gives_others() -> None:
    first, again, other = (points_dataset(CurveSpec(noise=0.2, seed=seed)) for seed in (1, 1, 2))
    assert first.labels.tobytes() == again.labels.tobytes()
    assert first.labels.tobytes() != other.labels.tobytes()


def test_the_network_is_told_x() -> None:
    spec = CurveSpec(train_share=0.8)
    dataset = points_dataset(spec)
    train = dataset.splits(spec)["train"]
    assert train.inputs.shape == (1, 16)
    assert np.array_equal(train.inputs, train.positions.T)
    assert np.array_equal(train.labels, dataset.labels[train.indices])
    assert (dataset.name, dataset.columns, dataset.target, dataset.classes) == ("curve", ("x",), "y", ())
    assert dataset.target_scale == (0, 1)


def test_the_curve_is_drawn_with_a_margin_above_and_below() -> None:
    dataset = points_dataset(CurveSpec(kind="step", points=100))
    assert dataset.domain == ((-5, 5), pytest.approx((-1.2, 1.2)))
    assert dataset.ranges == ((-5, 5),)
