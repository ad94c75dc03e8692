"""What is learned from: pictures of digits, points in the plane, points on a curve, a table of one's own, card transactions.

Every dataset spec says, without making the data, what a network for it must look like: `input_shape`, the names of its
`classes` (none where a number is to be learned), and how many examples each split has (`sizes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias

from annotated_types import Interval, Len, doc

from engine.specs.pictures import DrawingsSpec, GroupSpec
from engine.specs.ranges import Seed

Split: TypeAlias = Literal["train", "validation", "test"]

DIGITS = tuple("0123456789")
MNIST_TEST_SIZE = 10_000

MAX_POINTS = 5_000
MAX_COLUMNS = 20
MAX_CLASSES = 6
MAX_TABLE_NUMBERS = 50_000
"""Rows times columns of a table, the one to be learned included."""
MAX_TABLE_TEXT = 4 * (4 * MAX_TABLE_NUMBERS) // 3 + 4
"""Letters of base64 that they take."""
MAX_TABLE_VALUE = 1e15
"""The largest number of a table: its square still is a float32."""
MAX_COLUMN_CHARACTERS = 40

LETTERS = "ABCDEF"


@dataclass(frozen=True, slots=True, kw_only=True)
class MnistSpec:
    """MNIST: 60,000 digits for training, of which `validation_size` are kept for validation, and 10,000 for testing.

    While training each 28×28 image is cropped to `crop`×`crop` at a random place (all 29 − crop places in each
    direction are possible); an evaluation averages the probabilities of `test_crops` random crops, the page's quick
    look takes the centre. Pixels are ink in [0, 1].

    A `group` takes the place of the 60,000: `train_size` of its images, as many of each of its digits. Tests are always of
    everyone. `drawings` of one's own are trained on, too.
    """

    train_size: Annotated[
        int, Interval(ge=1, le=60_000), doc("How many of the 60,000 training images are used at all.")
    ] = 60_000
    validation_size: Annotated[
        int, Interval(ge=0, le=30_000), doc("How many of them are kept aside for validation.")
    ] = 6_000
    crop: Annotated[
        int, Interval(ge=8, le=28), doc("Side of the random crop that the network sees. 28 is the whole image.")
    ] = 24
    test_crops: Annotated[
        int, Interval(ge=1, le=16), doc("How many random crops are averaged when the test set is evaluated.")
    ] = 4
    group: GroupSpec | None = None
    drawings: DrawingsSpec | None = None
    name: Literal["mnist"] = "mnist"

    @property
    def classes(self) -> tuple[str, ...]:
        return DIGITS

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, H, W) of what the network sees of an image."""
        return (1, self.crop, self.crop)

    @property
    def sizes(self) -> Mapping[Split, int]:
        training = self.train_size - self.validation_size + (self.drawings.count if self.drawings else 0)
        return {"train": training, "validation": self.validation_size, "test": MNIST_TEST_SIZE}


# ---- Points ------------------------------------------------------------------------------------------------------------

Feature: TypeAlias = Literal["x", "y", "x_squared", "y_squared", "xy", "sin_x", "sin_y", "cos_x", "cos_y"]
"""What the network is told about a point (x, y)."""
FEATURE_LABELS: Mapping[Feature, str] = MappingProxyType(
    {
        "x": "x", "y": "y", "x_squared": "x²", "y_squared": "y²", "xy": "xy",
        "sin_x": "sin x", "sin_y": "sin y", "cos_x": "cos x", "cos_y": "cos y",
    }
)  # fmt: skip

Features: TypeAlias = Annotated[
    tuple[Feature, ...],
    Len(1, 9),
    doc("What the network is told about each point. A circle is easy once x² and y² are known."),
]
Noise: TypeAlias = Annotated[
    float,
    Interval(ge=0, le=1),
    doc(
        "How far chance moves the points, or blurs what they are worth. 0: not at all. 0.5: the classes run into each other."
    ),
]
TrainShare: TypeAlias = Annotated[
    float, Interval(ge=0.1, le=1), doc("Share of the points that is trained on; the others test what was learned.")
]
PointCount: TypeAlias = Annotated[
    int,
    Interval(ge=4, le=MAX_POINTS),
    doc("How many points there are, those for testing included. Few: easily learned by heart."),
]
ClassCount: TypeAlias = Annotated[
    int,
    Interval(ge=2, le=MAX_CLASSES),
    doc("Number of classes: the arms of the spiral, the clouds, the rings. Some sets have two and no more."),
]

PlaneKind: TypeAlias = Literal[
    "circle", "xor", "gaussians", "spiral", "moons",
    "convnetjs_simple", "convnetjs_circle", "convnetjs_spiral", "convnetjs_random",
    "plane", "bumps",
]  # fmt: skip
REGRESSION_KINDS: frozenset[str] = frozenset({"plane", "bumps"})
"""A number is to be learned at each place, and no class."""
MANY_CLASSES: frozenset[str] = frozenset({"circle", "gaussians", "spiral"})
"""These can have more classes than two."""
SIMPLE_POINTS = 13
"""convnetjs's simple set is these many points, however many are asked for."""

CurveKind: TypeAlias = Literal["x_sin_x", "sine", "line", "parabola", "step", "bump"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneSpec:
    """Points in the plane: those of TensorFlow Playground, of convnetjs's classify2d, and moons; formulas in engine.datasets.plane."""

    kind: PlaneKind = "circle"
    points: PointCount = 500
    class_count: ClassCount = 2
    noise: Noise = 0.0
    train_share: TrainShare = 0.5
    features: Features = ("x", "y")
    seed: Seed = 1
    name: Literal["plane"] = "plane"

    @property
    def classes(self) -> tuple[str, ...]:
        if self.kind in REGRESSION_KINDS:
            return ()
        return tuple(LETTERS[: self.class_count if self.kind in MANY_CLASSES else 2])

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (len(self.features),)

    @property
    def point_count(self) -> int:
        """As many points as there will be."""
        return SIMPLE_POINTS if self.kind == "convnetjs_simple" else self.points

    @property
    def sizes(self) -> Mapping[Split, int]:
        return split_sizes(self.point_count, self.train_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveSpec:
    """Points of a curve y = f(x) over x from −5 to 5; formulas in engine.datasets.curves."""

    kind: CurveKind = "x_sin_x"
    points: PointCount = 20
    noise: Noise = 0.0
    train_share: TrainShare = 1.0
    seed: Seed = 1
    name: Literal["curve"] = "curve"

    @property
    def classes(self) -> tuple[str, ...]:
        return ()

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (1,)

    @property
    def sizes(self) -> Mapping[Split, int]:
        return split_sizes(self.points, self.train_share)


ColumnName: TypeAlias = Annotated[str, Len(1, MAX_COLUMN_CHARACTERS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """One's own points, painted or read from a CSV file.

    `values` is base64 of little-endian float32, row after row: the `columns`, then the class as its place in
    `class_names`, or the number to be learned where there are no class names. With two columns the network is told
    their `features`; else it is told the columns themselves. `standardize` brings each column to mean 0 and variance 1
    over the training rows first, and a number to be learned, too.
    """

    columns: Annotated[
        tuple[ColumnName, ...], Len(1, MAX_COLUMNS), doc("Names of the columns that are learned from.")
    ] = ("x", "y")
    class_names: Annotated[
        tuple[ColumnName, ...], Len(0, MAX_CLASSES), doc("Names of the classes; none: a number is learned.")
    ] = ("A", "B")
    values: Annotated[
        str,
        Len(0, MAX_TABLE_TEXT),
        doc("The rows: base64 of little-endian float32, the class or target last."),
    ] = ""
    target: Annotated[ColumnName, doc("Name of what is learned.")] = "class"
    standardize: Annotated[bool, doc("Whether each column is brought to mean 0 and variance 1 first.")] = False
    train_share: TrainShare = 0.5
    features: Features = ("x", "y")
    seed: Seed = 1
    name: Literal["table"] = "table"

    @property
    def classes(self) -> tuple[str, ...]:
        return self.class_names

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (len(self.features) if len(self.columns) == 2 else len(self.columns),)

    @property
    def row_count(self) -> int:
        """As many rows as the length of `values` says."""
        padding = self.values[-2:].count("=")
        return (len(self.values) * 3 // 4 - padding) // (4 * (len(self.columns) + 1))

    @property
    def sizes(self) -> Mapping[Split, int]:
        return split_sizes(self.row_count, self.train_share)


def split_sizes(points: int, train_share: float) -> Mapping[Split, int]:
    """At least one point is trained on; the rest tests."""
    training = min(points, max(1, round(points * train_share)))
    return {"train": training, "validation": 0, "test": points - training}


# ---- Transactions --------------------------------------------------------------------------------------------------------

HONEST_AND_FRAUD = ("honest", "fraud")
TRANSACTION_COLUMNS = ("amount", "unusual hour", "distance", "haste", "merchant risk", "abroad")
ONE_FRAUD_IN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionsSpec:
    """Card transactions of two months, generated: one in 10,000 is a fraud. Formulas in engine.datasets.transactions.

    Last month's are trained on, this month's test; each has `transactions` of them, drawn in the same way. They are made
    when they are looked at and never kept, so that ten millions take no more memory than ten thousand. The columns have
    mean 0 and variance 1 over honest transactions.
    """

    transactions: Annotated[
        int,
        Interval(ge=ONE_FRAUD_IN, le=10_000_000),
        doc("How many transactions a month has; one in 10,000 is a fraud."),
    ] = 10_000_000
    fraud_share: (
        Annotated[
            float,
            Interval(gt=0, lt=1),
            doc(
                "Over-sampling: share of frauds in what is trained on, each of them taken again and again. None: as they come."
            ),
        ]
        | None
    ) = None
    seed: Seed = 1
    name: Literal["transactions"] = "transactions"

    @property
    def classes(self) -> tuple[str, ...]:
        return HONEST_AND_FRAUD

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (len(TRANSACTION_COLUMNS),)

    @property
    def frauds(self) -> int:
        """In each month."""
        return self.transactions // ONE_FRAUD_IN

    @property
    def sizes(self) -> Mapping[Split, int]:
        return {"train": self.transactions, "validation": 0, "test": self.transactions}


DatasetSpec: TypeAlias = MnistSpec | PlaneSpec | CurveSpec | TableSpec | TransactionsSpec
PointsSpec: TypeAlias = PlaneSpec | CurveSpec | TableSpec
DATASET_SPECS: Mapping[str, type[DatasetSpec]] = MappingProxyType(
    {"mnist": MnistSpec, "plane": PlaneSpec, "curve": CurveSpec, "table": TableSpec, "transactions": TransactionsSpec}
)
