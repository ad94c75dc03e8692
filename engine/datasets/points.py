"""Points in the plane, on a curve or of a table, as examples: what a network is told of each, and which are trained on.

    points_dataset(spec) → PointDataset → splits(spec) → PointExamples → the trainer's batches

A point is its `positions`, in the units in which it is drawn. The network's inputs are made of them in two stages:
each column is standardized where a table's spec wants it, then two columns are turned into the chosen features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Truth
from engine.datasets.base import Chosen
from engine.datasets.curves import ENDS, curve_points
from engine.datasets.plane import Numbers, Positions, plane_points
from engine.datasets.table import table_points
from engine.errors import ShapeError, SpecError
from engine.specs import MAX_TABLE_VALUE, CurveSpec, Feature, PlaneSpec, PointsSpec, Split, TableSpec

Range = tuple[float, float]

FEATURES: Mapping[Feature, Callable[[Numbers, Numbers], Numbers]] = MappingProxyType(
    {
        "x": lambda x, _: x,
        "y": lambda _, y: y,
        "x_squared": lambda x, _: x * x,
        "y_squared": lambda _, y: y * y,
        "xy": lambda x, y: x * y,
        "sin_x": lambda x, _: np.sin(x),
        "sin_y": lambda _, y: np.sin(y),
        "cos_x": lambda x, _: np.cos(x),
        "cos_y": lambda _, y: np.cos(y),
    }
)
"""What the network may be told about a point; `engine.specs.FEATURE_LABELS` are their names."""

PLANE_COLUMNS: tuple[str, ...] = ("x", "y")
CURVE_COLUMNS: tuple[str, ...] = ("x",)

_PLANE = 6.0
"""How far the plane is drawn to each side of its centre."""
PLANE_RANGES: tuple[Range, Range] = ((-_PLANE, _PLANE), (-_PLANE, _PLANE))


@dataclass(frozen=True, slots=True)
class PointExamples:
    """The points of one split. `inputs` float32 (D, N) and `labels` int64 or float32 (N,) are what a network learns.

    `positions` float32 (N, C) is where they are, `indices` int64 (N,) which of the dataset's points they are.
    """

    inputs: npt.NDArray[np.float32]
    labels: Truth
    positions: Positions
    indices: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def weights(self) -> None:
        """All points count the same."""

    def batch(self, chosen: Chosen, _: np.random.Generator, out: Array | None = None) -> Array:
        """(D, n). Nothing varies from one pass to the next."""
        return self.inputs.take(chosen, axis=1, out=out, mode="clip")  # the only mode that needs no second buffer

    def look(self, chosen: Chosen | slice) -> Array:
        """(D, n)"""
        return np.ascontiguousarray(self.inputs[:, chosen])


@dataclass(frozen=True, slots=True)
class PointDataset:
    """The points of a spec: `positions` float32 (N, C), `labels` int64 (N,), or float32 where a number is learned.

    `train` bool (N,) says which are trained on; the others test. `columns` and `target` are names. `centre` and `spread`
    (C,) are taken off each column before the network sees it, `target_scale` (mean, spread) off the numbers to be
    learned; `labels` are in their own units.
    """

    spec: PointsSpec
    columns: tuple[str, ...]
    target: str
    positions: Positions
    labels: Truth
    train: npt.NDArray[np.bool_]
    centre: Numbers
    spread: Numbers
    target_scale: tuple[float, float]

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def classes(self) -> tuple[str, ...]:
        return self.spec.classes

    @property
    def features(self) -> tuple[Feature, ...]:
        """Of two columns; any other number of them goes to the network as it is."""
        return () if isinstance(self.spec, CurveSpec) or len(self.columns) != 2 else self.spec.features

    @property
    def ranges(self) -> tuple[Range, ...]:
        """From where to where each column is drawn, with a margin of 10 % of what the points take up.

        The plane is drawn whole, and so is a table that lies in it and need not be standardized; curves are from −5 to 5.
        """
        if isinstance(self.spec, PlaneSpec):
            return PLANE_RANGES
        reach = max(ENDS) if len(self.columns) == 1 else _PLANE
        standardized = isinstance(self.spec, TableSpec) and self.spec.standardize
        if not standardized and np.abs(self.positions).max() <= reach:
            return ((-reach, reach),) * len(self.columns)
        return tuple(_with_margin(column) for column in self.positions.T)

    @property
    def domain(self) -> tuple[Range, Range]:
        """From where to where the first two columns are drawn; of a curve, the column and the numbers to be learned."""
        first, *others = self.ranges
        return first, others[0] if others else _with_margin(self.labels)

    def to_inputs(self, positions: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Network inputs (D, n) for `positions` (n, C)."""
        columns = _standardized(np.asarray(positions, np.float64).T, self.centre[:, None], self.spread[:, None])
        if self.features:
            x, y = columns
            columns = np.stack([FEATURES[feature](x, y) for feature in self.features])
        return np.ascontiguousarray(columns, np.float32)

    def splits(self, spec: PointsSpec) -> Mapping[Split, PointExamples]:
        """The points to train on and those to test with; there are none for validation."""
        if spec != self.spec:
            raise SpecError("These points were made for another spec.", field="/dataset")
        inputs, labels = self.to_inputs(self.positions), self.labels
        if not self.classes:
            labels = _standardized(labels, *self.target_scale).astype(np.float32)
        parts: Mapping[Split, npt.NDArray[np.int64]] = {
            "train": np.flatnonzero(self.train),
            "validation": np.zeros(0, np.int64),
            "test": np.flatnonzero(~self.train),
        }
        return MappingProxyType(
            {
                split: PointExamples(np.ascontiguousarray(inputs[:, part]), labels[part], self.positions[part], part)
                for split, part in parts.items()
            }
        )

    def read_inputs(self, _: PointsSpec, values: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Network inputs (D, N) for points from outside, (N, C). ShapeError."""
        try:
            positions = np.asarray(values, np.float64)
        except (TypeError, ValueError, OverflowError):
            raise ShapeError("Points are a list of lists of numbers.") from None
        if positions.ndim != 2 or positions.shape[1] != len(self.columns):
            raise ShapeError(f"Points must have the shape (N, {len(self.columns)}), not {positions.shape}.")
        if not np.all(np.abs(positions) <= MAX_TABLE_VALUE):  # written so that NaN fails, too
            raise ShapeError(f"The numbers of a point go from {-MAX_TABLE_VALUE:,.0f} to {MAX_TABLE_VALUE:,.0f}.")
        return self.to_inputs(positions)


def points_dataset(spec: PointsSpec) -> PointDataset:
    """The points that `spec` speaks of; the same spec gives the same ones. Raises SpecError for a table that is none."""
    match spec:
        case PlaneSpec():
            columns, target = PLANE_COLUMNS, "class" if spec.classes else "target"
            positions, labels = plane_points(spec)
        case CurveSpec():
            columns, target = CURVE_COLUMNS, "y"
            positions, labels = curve_points(spec)
        case TableSpec():
            columns, target = spec.columns, spec.target
            positions, labels = table_points(spec)
    train = _chosen_to_train(spec, len(positions))
    centre, spread, target_scale = np.zeros(len(columns)), np.ones(len(columns)), (0.0, 1.0)
    if isinstance(spec, TableSpec) and spec.standardize:
        centre, spread = _scale(positions[train])
        if not spec.classes:
            mean, deviation = _scale(labels[train, None])
            target_scale = float(mean[0]), float(deviation[0])
    return PointDataset(spec, columns, target, positions, labels, train, centre, spread, target_scale)


def drawn_in(spec: PointsSpec) -> tuple[tuple[str, ...], tuple[Range, Range]]:
    """The columns and the domain of its points, which are not made for it in the plane. Raises SpecError as `points_dataset`."""
    if isinstance(spec, PlaneSpec):
        return PLANE_COLUMNS, PLANE_RANGES
    dataset = points_dataset(spec)
    return dataset.columns, dataset.domain


def _chosen_to_train(spec: PointsSpec, count: int) -> npt.NDArray[np.bool_]:
    """Those whose draw is lowest, so that one point more at the end changes the part of hardly any other."""
    draws = np.random.default_rng((spec.seed, 1)).random(count)
    train = np.zeros(count, np.bool_)
    train[np.argsort(draws, kind="stable")[: spec.sizes["train"]]] = True
    return train


def _scale(columns: Truth) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation (C,) of columns (N, C); a column that never changes has a spread of 1."""
    values = columns.astype(np.float64)
    constant = values.min(axis=0) == values.max(axis=0)  # the deviation of what is constant need not be exactly 0
    return values.mean(axis=0), np.where(constant, 1, values.std(axis=0))


def _standardized(values: Truth, centre: Numbers | float, spread: Numbers | float) -> Numbers:
    """A point far beside all that are trained on is kept where its square still is a float32."""
    scaled: Numbers = (values.astype(np.float64) - centre) / spread
    return np.clip(scaled, -MAX_TABLE_VALUE, MAX_TABLE_VALUE)


def _with_margin(column: Truth) -> Range:
    low, high = float(column.min()), float(column.max())
    margin = 0.1 * (high - low) or 1.0
    return low - margin, high + margin
