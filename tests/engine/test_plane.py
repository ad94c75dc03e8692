"""Points in the plane follow the formulas they are known by, written here once more; and they become examples."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest

from engine.datasets.base import Dataset
from engine.datasets.points import PointDataset, points_dataset
from engine.datasets.table import encode_rows
from engine.errors import ShapeError, SpecError
from engine.evaluation import evaluate
from engine.specs import REGRESSION_KINDS, Adam, Dense, Feature, PlaneKind, PlaneSpec, RunSpec, TableSpec, Tanh
from engine.specs.datasets import FEATURE_LABELS
from engine.trainer import Trainer

KINDS = get_args(PlaneKind)
POINTS = 300


def made(kind: PlaneKind, **changes: Any) -> PointDataset:
    return points_dataset(PlaneSpec(kind=kind, **{"points": POINTS, **changes}))


def table(rows: npt.ArrayLike, **changes: Any) -> PointDataset:
    return points_dataset(TableSpec(values=encode_rows(rows), **changes))


def radii(dataset: PointDataset) -> npt.NDArray[np.float64]:
    return np.hypot(*dataset.positions.astype(np.float64).T)


def as_set(points: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Points in an order of their own."""
    return np.array(sorted(map(tuple, np.asarray(points, np.float32).tolist())), np.float32)


# ---- Formulas -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_spec_gives_the_same_points_and_another_seed_gives_others(kind: PlaneKind) -> None:
    first, again, other = made(kind, noise=0.2), made(kind, noise=0.2), made(kind, noise=0.2, seed=2)
    assert first.positions.tobytes() == again.positions.tobytes()
    assert first.labels.tobytes() == again.labels.tobytes()
    assert first.positions.tobytes() != other.positions.tobytes()
    assert first.positions.dtype == np.float32
    assert first.positions.flags.c_contiguous
    assert len(first.positions) == len(first.labels) == (13 if kind == "convnetjs_simple" else POINTS)
    assert first.labels.dtype == (np.float32 if kind in REGRESSION_KINDS else np.int64)


@pytest.mark.parametrize("kind", KINDS)
def test_classes_come_in_random_order(kind: PlaneKind) -> None:
    labels = made(kind).labels
    assert np.abs(np.diff(labels[:40])).sum() > 2


@pytest.mark.parametrize("kind", ["circle", "xor", "plane", "bumps"])
def test_noise_leaves_these_points_where_they_are(kind: PlaneKind) -> None:
    quiet, noisy = made(kind), made(kind, noise=0.5)
    assert np.array_equal(quiet.positions, noisy.positions)
    assert (quiet.labels != noisy.labels).sum() > 10


@pytest.mark.parametrize(
    "kind", ["spiral", "convnetjs_simple", "convnetjs_circle", "convnetjs_spiral", "convnetjs_random"]
)
def test_noise_moves_these_points_by_at_most_itself(kind: PlaneKind) -> None:
    quiet, noisy = made(kind), made(kind, noise=0.5)
    moved = np.abs(quiet.positions - noisy.positions)
    assert np.array_equal(quiet.labels, noisy.labels)
    assert 0.3 < moved.max() <= 0.5 + 1e-6
    assert abs(moved.mean() - 0.25) < 0.07


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 6])
def test_circle_is_a_disc_and_rings_around_it(classes: int) -> None:
    dataset = made("circle", class_count=classes)
    width = 5 / classes
    for radius, label in zip(radii(dataset), dataset.labels, strict=True):
        inner = 0 if label == 0 else (label + 0.4) * width
        assert inner - 1e-6 <= radius <= (label + 1) * width + 1e-6
    assert np.bincount(dataset.labels).tolist() == [POINTS // classes] * classes


def test_circle_of_two_is_playgrounds() -> None:
    dataset = made("circle", points=1000)
    inner, outer = radii(dataset)[dataset.labels == 0], radii(dataset)[dataset.labels == 1]
    assert 2.4 < inner.max() < 2.5
    assert 3.5 < outer.min() < 3.6
    assert 4.9 < outer.max() < 5
    assert abs(np.median(inner) - 1.25) < 0.1, "the radius is drawn evenly, not the area"


def test_noise_turns_the_class_of_points_near_the_edge_of_the_circle() -> None:
    dataset = made("circle", points=1000, noise=0.1)
    wrong = (radii(dataset) < 2.5) != (dataset.labels == 0)
    assert wrong.sum() > 5
    assert np.abs(radii(dataset)[wrong] - 2.5).max() <= 0.5 * math.sqrt(2)


def test_xor_is_the_sign_of_the_product() -> None:
    dataset = made("xor")
    for x, y in dataset.positions:
        assert min(abs(x), abs(y)) >= 0.3
        assert max(abs(x), abs(y)) <= 5.3
    assert [0 if x * y >= 0 else 1 for x, y in dataset.positions] == dataset.labels.tolist()


def test_noise_turns_the_class_of_points_near_an_axis_in_xor() -> None:
    dataset = made("xor", points=1000, noise=0.2)
    wrong = np.prod(dataset.positions, axis=1) * (0.5 - dataset.labels) < 0
    assert wrong.sum() > 5
    assert np.abs(dataset.positions[wrong]).min(axis=1).max() <= 1


@pytest.mark.parametrize(("noise", "variance"), [(0, 0.5), (0.25, 2.25), (0.5, 4)])
def test_gaussians_are_two_clouds_that_grow_with_noise(noise: float, variance: float) -> None:
    dataset = made("gaussians", points=5000, noise=noise)
    for label, centre in enumerate([(2, 2), (-2, -2)]):
        cloud = dataset.positions[dataset.labels == label].astype(np.float64)
        assert np.allclose(cloud.mean(axis=0), centre, atol=0.12)
        assert np.allclose(np.cov(cloud.T), [[variance, 0], [0, variance]], atol=0.1 * variance)


@pytest.mark.parametrize("classes", [3, 4, 5, 6])
def test_more_clouds_stand_evenly_on_a_circle(classes: int) -> None:
    dataset = made("gaussians", points=3000, class_count=classes)
    centres = np.array([dataset.positions[dataset.labels == label].mean(axis=0) for label in range(classes)])
    apart = np.hypot(*(centres - np.roll(centres, 1, axis=0)).T)
    assert np.ptp(apart) < 0.35
    assert apart.min() > 3.8
    assert np.abs(centres).max() < 4.2


def test_spiral_of_two_is_playgrounds() -> None:
    dataset = made("spiral", points=500)
    for label, delta in enumerate([0, math.pi]):
        expected = []
        for i in range(250):
            r = i / 250 * 5
            t = 1.75 * i / 250 * 2 * math.pi + delta
            expected.append((r * math.sin(t), r * math.cos(t)))
        assert np.allclose(as_set(dataset.positions[dataset.labels == label]), as_set(expected), atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 6])
def test_arms_are_turned_evenly_and_stay_as_far_apart_as_two(classes: int) -> None:
    """Going outwards 1.43 at one angle leads from each arm to the next, however many there are."""
    dataset = made("spiral", class_count=classes)
    for x, y, label in zip(*dataset.positions.astype(np.float64).T, dataset.labels, strict=True):
        radius, angle = math.hypot(x, y), math.atan2(x, y)
        if radius > 0.1:
            turns = angle / (2 * math.pi) - label / classes - radius / 5 * 3.5 / classes
            assert abs(turns - round(turns)) < 1e-5


def test_uneven_numbers_are_shared_out() -> None:
    dataset = made("spiral", points=11, class_count=4)
    assert np.bincount(dataset.labels).tolist() == [3, 3, 3, 2]
    assert np.bincount(made("circle", points=4, class_count=6).labels).tolist() == [1, 1, 1, 1]


def test_moons_are_scikit_learns_in_the_middle_of_the_plane() -> None:
    dataset = made("moons", points=101)
    for label, size in enumerate([51, 50]):
        expected = []
        for i in range(size):
            t = math.pi * i / (size - 1)
            x, y = (math.cos(t), math.sin(t)) if label == 0 else (1 - math.cos(t), 1 - math.sin(t) - 0.5)
            expected.append(((x - 0.5) / 0.3, (y - 0.25) / 0.3))
        assert np.allclose(as_set(dataset.positions[dataset.labels == label]), as_set(expected), atol=1e-5)
    noisy = made("moons", points=5000, noise=0.3).positions - made("moons", points=5000).positions
    assert np.allclose(noisy.std(axis=0), 0.3 / 0.3, atol=0.05)


def test_convnetjs_simple_is_thirteen_points() -> None:
    dataset = made("convnetjs_simple", points=4)
    points = {
        (round(x, 4), round(y, 4)): label
        for (x, y), label in zip(dataset.positions.tolist(), dataset.labels.tolist(), strict=True)
    }
    assert len(points) == 13
    assert points[(-0.4326, 1.1909)] == points[(3, 4)] == points[(1, -2.2)] == 1
    assert points[(4.1832, 0.3044)] == points[(1.8636, 0.1677)] == 0
    assert sum(points.values()) == 8
    assert dataset.spec.sizes == {"train": 6, "validation": 0, "test": 7}


def test_convnetjs_circle_is_a_ring_of_even_angles_around_a_disc() -> None:
    dataset = made("convnetjs_circle", points=100)
    disc, ring = radii(dataset)[dataset.labels == 1], radii(dataset)[dataset.labels == 0]
    assert len(disc) == len(ring) == 50
    assert disc.max() <= 2
    assert ring.min() >= 3
    assert ring.max() <= 5
    angles = np.sort(np.arctan2(*dataset.positions[dataset.labels == 0].T) % (2 * math.pi - 1e-5))
    assert np.allclose(angles, 2 * math.pi * np.arange(50) / 50, atol=1e-4)


def test_convnetjs_spiral_has_two_uneven_arms() -> None:
    dataset = made("convnetjs_spiral", points=200)
    off = []
    for x, y, label in zip(*dataset.positions.astype(np.float64).T, dataset.labels, strict=True):
        radius, angle = math.hypot(x, y), math.atan2(x, y)
        if radius > 0.3:
            away = angle - 1.25 * radius / 5 * 2 * math.pi - (0 if label == 1 else math.pi)
            off.append(abs(math.remainder(away, 2 * math.pi)))
    assert 0.1 < max(off) <= 0.1 + 1.25 * 2 * math.pi * 0.1 / 5
    assert np.bincount(dataset.labels).tolist() == [100, 100]


def test_convnetjs_random_lies_anywhere_and_is_of_any_class() -> None:
    dataset = made("convnetjs_random", points=1000)
    assert 2.9 < np.abs(dataset.positions).max() <= 3
    assert abs(dataset.labels.mean() - 0.5) < 0.05


def test_plane_is_a_tenth_of_the_sum() -> None:
    dataset = made("plane")
    assert 5.8 < np.abs(dataset.positions).max() <= 6
    assert np.allclose(dataset.labels, dataset.positions.sum(axis=1) / 10, atol=1e-6)
    error = made("plane", noise=0.5).labels - dataset.labels
    assert 0.3 < np.abs(error).max() <= 0.6


def test_bumps_are_playgrounds() -> None:
    def height(x: float, y: float) -> float:
        label = 0.0
        for cx, cy, sign in [(-4, 2.5, 1), (0, 2.5, -1), (4, 2.5, 1), (-4, -2.5, -1), (0, -2.5, 1), (4, -2.5, -1)]:
            new = sign * min(1, max(0, 1 - math.dist((x, y), (cx, cy)) / 2))
            if abs(new) > abs(label):
                label = new
        return label

    dataset = made("bumps", points=2000)
    assert np.allclose(dataset.labels, [height(x, y) for x, y in dataset.positions.tolist()], atol=1e-6)
    assert dataset.labels.max() > 0.9
    assert dataset.labels.min() < -0.9


# ---- Examples -----------------------------------------------------------------------------------------------------------


def test_features_are_what_they_are_called_in_the_order_of_the_spec() -> None:
    names: tuple[Feature, ...] = ("cos_y", "x", "xy", "sin_x", "y_squared", "x_squared", "y", "cos_x", "sin_y")
    dataset = made("xor", features=names)
    (inputs,) = dataset.to_inputs([[2.0, -3.0]]).T
    assert np.allclose(inputs, [math.cos(-3), 2, -6, math.sin(2), 9, 4, -3, math.cos(2), math.sin(-3)], atol=1e-6)
    assert set(FEATURE_LABELS) == set(get_args(Feature)) == set(names)


def test_splits_are_examples_as_a_trainer_wants_them() -> None:
    spec = PlaneSpec(kind="xor", points=100, train_share=0.7, features=("x", "y", "xy"))
    dataset: Dataset = points_dataset(spec)
    points = points_dataset(spec)
    splits = points.splits(spec)
    assert (
        {name: len(split) for name, split in splits.items()} == {"train": 70, "validation": 0, "test": 30} == spec.sizes
    )
    train = splits["train"]
    assert train.inputs.shape == (3, 70)
    assert train.inputs.dtype == np.float32
    assert train.inputs.flags.c_contiguous
    assert np.array_equal(train.inputs, points.to_inputs(train.positions))
    assert np.array_equal(train.positions, points.positions[train.indices])
    assert np.array_equal(train.labels, points.labels[train.indices])
    everywhere = np.sort(np.concatenate([split.indices for split in splits.values()]))
    assert np.array_equal(everywhere, np.arange(100))
    chosen, out, rng = np.array([5, 0, 69]), np.empty((3, 3), np.float32), np.random.default_rng(1)
    assert train.batch(chosen, rng, out) is out
    assert np.array_equal(out, train.inputs[:, chosen])
    assert np.array_equal(train.batch(chosen, rng), train.look(chosen))
    assert np.array_equal(train.look(slice(10, 20)), train.inputs[:, 10:20])
    assert train.look(slice(10, 20)).flags.c_contiguous
    assert train.weights is None
    assert dataset.target_scale == (0, 1)


def test_all_points_may_be_trained_on() -> None:
    dataset = made("circle", train_share=1.0)
    splits = dataset.splits(dataset.spec)
    assert len(splits["train"]) == POINTS
    assert splits["test"].look(slice(None)).shape == (2, 0)


def test_another_specs_points_are_refused() -> None:
    dataset = made("circle")
    with pytest.raises(SpecError, match="another spec"):
        dataset.splits(PlaneSpec(kind="circle", points=POINTS, seed=2))


def test_one_point_more_leaves_the_others_in_their_split() -> None:
    rows = np.random.default_rng(3).uniform(-5, 5, (60, 3))
    rows[:, 2] = rows[:, 0] > 0
    for count in range(10, 60):
        fewer, more = table(rows[:count]), table(rows[: count + 1])
        assert (fewer.train != more.train[:count]).sum() <= 1
        assert more.train.sum() == round((count + 1) * 0.5)


def test_the_seed_chooses_what_is_trained_on() -> None:
    rows = np.random.default_rng(3).uniform(-5, 5, (60, 3)) * [1, 1, 0]
    assert not np.array_equal(table(rows).train, table(rows, seed=2).train)


def test_columns_are_standardized_by_the_rows_trained_on() -> None:
    rows = np.random.default_rng(5).normal([100, -3, 7], [20, 0.001, 50], (200, 3))
    dataset = table(rows, standardize=True, class_names=(), target="price", features=("x", "y", "xy"))
    train = dataset.splits(dataset.spec)["train"]
    assert np.allclose(train.inputs[:2].mean(axis=1), 0, atol=1e-4)
    assert np.allclose(train.inputs[:2].std(axis=1), 1, atol=1e-4)
    assert np.allclose(train.inputs[2], train.inputs[0] * train.inputs[1], atol=1e-5), "features come after"
    assert np.allclose([train.labels.mean(), train.labels.std()], [0, 1], atol=1e-4)
    mean, spread = dataset.target_scale
    assert np.allclose(mean + spread * train.labels, dataset.labels[dataset.train], rtol=1e-4)
    assert np.allclose(dataset.labels, rows[:, 2].astype(np.float32)), "labels stay in their own units"


def test_a_column_that_never_changes_is_only_moved() -> None:
    rows = np.column_stack([np.full(50, 0.1), np.arange(50), np.arange(50) % 2])
    dataset = table(rows, standardize=True)
    assert np.abs(dataset.splits(dataset.spec)["train"].inputs[0]).max() < 1e-6
    assert dataset.spread[0] == 1


def test_a_point_far_beside_the_others_stays_a_finite_number() -> None:
    rows = np.zeros((40, 3))
    rows[:, :2] = 1e-40 * np.arange(80).reshape(40, 2)
    far = table(rows, standardize=True)
    rows[np.flatnonzero(~far.train)[0], :2] = 1e15
    dataset = table(rows, standardize=True, features=("x", "x_squared", "xy", "sin_x"))
    inputs = dataset.to_inputs(dataset.positions)
    assert np.isfinite(inputs).all()
    assert np.abs(inputs).max() == pytest.approx(1e30)


def test_more_than_two_columns_go_in_as_they_are() -> None:
    dataset = table([[1, 2, 3, 0], [4, 5, 6, 1]], columns=("a", "b", "c"), train_share=1.0)
    assert dataset.to_inputs(dataset.positions).tolist() == [[1, 4], [2, 5], [3, 6]]
    assert dataset.features == ()
    assert dataset.spec.input_shape == (3,)


def test_points_from_outside_are_checked() -> None:
    dataset = made("circle", features=("x_squared",))
    assert dataset.read_inputs(dataset.spec, [[2, 0], [3, 1]]).tolist() == [[4, 9]]
    for wrong in (
        [1, 2],
        [[1, 2, 3]],
        [[1], [2, 3]],
        [["a", 1]],
        [[[1, 2]]],
        [[10**400, 1]],
        {"x": 1},
        [["x" * 5, None]],
    ):
        with pytest.raises(ShapeError):
            dataset.read_inputs(dataset.spec, wrong)
    for wrong in ([[math.nan, 1]], [[1, math.inf]], [[1e16, 0]]):
        with pytest.raises(ShapeError, match="go from"):
            dataset.read_inputs(dataset.spec, wrong)


def test_the_plane_is_drawn_whole() -> None:
    assert made("gaussians", noise=0.5).domain == ((-6, 6), (-6, 6))
    small = [[0, 0, 0], [1, 1, 1]]
    assert table(small).domain == ((-6, 6), (-6, 6))
    assert table(small, standardize=True).domain == ((-0.1, 1.1), (-0.1, 1.1))


def test_what_leaves_the_plane_is_drawn_with_a_margin() -> None:
    dataset = table([[0, 5, 1, 0], [20, 5, 3, 1]], columns=("a", "b", "c"))
    assert dataset.ranges == ((-2, 22), (4, 6), pytest.approx((0.8, 3.2)))
    assert dataset.domain == ((-2, 22), (4, 6))


def test_the_largest_set_is_small() -> None:
    dataset = made("circle", points=5000, features=tuple(FEATURE_LABELS))
    splits = dataset.splits(dataset.spec)
    assert sum(split.inputs.nbytes + split.positions.nbytes for split in splits.values()) < 300_000


def test_a_network_learns_them() -> None:
    spec = RunSpec(
        dataset=PlaneSpec(kind="gaussians", points=200, class_count=4),
        network=(Dense(units=8), Tanh(), Dense(units=4)),
        optimizer=Adam(learning_rate=0.05),
        batch_size=10,
        l2=0.0,
    )
    trainer = Trainer(spec, points_dataset(replace(spec.dataset)))  # type: ignore[arg-type]
    for _ in range(200):
        trainer.step()
    assert evaluate(trainer, "test").accuracy > 0.97
