"""The JSON that programs send and get, as pydantic models; OpenAPI is made of them.

Requests are strict: no text for a number, no true for 1, no NaN, no field that is not named here. What a run is made
of is not written down a second time: `mirror` makes a model of each dataclass in engine.specs, whose annotations hold
the legal ranges and help texts. Lists of numbers stop at the first wrong one, so that a megabyte of nonsense costs no
more than one error.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from annotated_types import DocInfo, Interval, Len
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    Tag,
    create_model,
    model_validator,
)

from app.errors import Unprocessable
from app.labs.lesson import LONGEST_PATH, MOST_RUNS
from app.names import clean_name
from app.services.changes import RunChanges
from app.settings import Limits
from app.workers.messages import WeightChange
from engine.presets import PRESETS
from engine.specs import (
    L1,
    L2,
    MAX_CLASSES,
    MAX_COLUMNS,
    MAX_LAYERS,
    MAX_POINTS,
    BatchSize,
    ClipNorm,
    ColumnName,
    DatasetSpec,
    LayerSpec,
    LearningRate,
    Momentum,
    OptimizerSpec,
    RunName,
    RunSpec,
    ScheduleSpec,
    Seed,
    StopSpec,
)
from engine.specs.datasets import MAX_TABLE_VALUE
from engine.validation import read_run_spec, read_value

LIMITS = Limits()
LARGEST_WEIGHT = 1e6
STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Request(BaseModel):
    model_config = STRICT


class FirstWrong(FailFast):
    """A list with this is not read beyond its first wrong entry. (pydantic's own cannot be hashed, which unions need.)"""

    __hash__ = object.__hash__


# ---- Specs ---------------------------------------------------------------------------------------------------------------


@cache
def mirror(spec: type) -> type[BaseModel]:
    """The strict model of a dataclass of engine.specs, with its ranges, help texts and defaults."""
    hints = get_type_hints(spec, include_extras=True)
    definitions: dict[str, Any] = {}
    for field in fields(spec):
        annotation = _translated(hints[field.name])
        if field.default is not MISSING:
            definitions[field.name] = (annotation, field.default)
        elif field.default_factory is not MISSING:
            definitions[field.name] = (
                annotation,
                Field(default=_plain(field.default_factory()), validate_default=True),
            )
        else:
            definitions[field.name] = (annotation, ...)
    return create_model(spec.__name__, __config__=STRICT, __doc__=spec.__doc__, **definitions)


def _translated(hint: Any) -> Any:
    """The same annotation for pydantic: models for dataclasses, lists for tuples, unions told apart by their tag."""
    if hint == RunName:
        return Annotated[hint, AfterValidator(clean_name), Field(description=_help(hint))]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Annotated[_translated(arguments[0]), *arguments[1:], Field(description=_help(hint))]
    if origin is tuple:
        return list.__class_getitem__(_translated(arguments[0]))
    if origin in (Union, UnionType):
        translated: Any = Union[tuple(_translated(argument) for argument in arguments)]  # noqa: UP007 - made at run time
        if NoneType in arguments:
            return translated
        tag = "type" if "type" in {field.name for field in fields(arguments[0])} else "name"
        return Annotated[translated, Discriminator(tag)]
    return mirror(hint) if is_dataclass(hint) and isinstance(hint, type) else hint


def _help(hint: Any) -> str | None:
    return next((item.documentation for item in hint.__metadata__ if isinstance(item, DocInfo)), None)


def _plain(value: Any) -> Any:
    return [asdict(item) for item in value] if isinstance(value, tuple) else asdict(value)


class SpecBody(mirror(RunSpec)):  # type: ignore[misc]
    """What a run is made of; what is not given is the default."""

    @property
    def is_named(self) -> bool:
        """Whether its name was chosen, and is no preset's or default."""
        return "name" in self.model_fields_set

    def spec(self) -> RunSpec:
        return read_run_spec(self.model_dump(exclude_unset=True))


class RunBody(SpecBody):
    """A run to create: what it is made of, or a preset and what is to be different from it."""

    preset: Annotated[
        str | None,
        Len(1, 40),
        Field(description="Start from this preset; the fields given here take the place of its own."),
    ] = None
    state: Annotated[Literal["running", "paused"], Field(description="Whether it starts at once.")] = "running"

    def spec(self) -> RunSpec:
        """What the run is made of. Raises Unprocessable for an unknown preset, SpecError for values out of range."""
        given = self.model_dump(exclude_unset=True, exclude={"preset", "state"})
        base: dict[str, Any] = {}
        if self.preset is not None:
            if self.preset not in PRESETS:
                raise Unprocessable(
                    f"There is no such preset. There are: {', '.join(PRESETS)}.", field="/preset", code="unknown_preset"
                )
            if not given:
                return PRESETS[self.preset].spec
            base = PRESETS[self.preset].spec.to_dict()
        return read_run_spec({**base, **given})


class OptimizerChange(Request):
    """Hyperparameters of the optimizer that the run has."""

    learning_rate: LearningRate | None = None
    momentum: Momentum | None = None


def _optimizer_kind(value: Any) -> str:
    return "replace" if isinstance(value, dict) and "name" in value else "change"


class ChangesBody(Request):
    """What is to be different from now on. An `optimizer` with a name takes the place of the present one."""

    state: Literal["running", "paused", "stopped"] | None = None
    name: Annotated[RunName, AfterValidator(clean_name)] | None = None
    shared: Annotated[bool | None, Field(description="Whether the others of a class may look at it.")] = None
    batch_size: BatchSize | None = None
    l1: L1 | None = None
    l2: L2 | None = None
    stop: mirror(StopSpec) | None = None  # type: ignore[valid-type]
    schedule: _translated(ScheduleSpec) | None = None  # type: ignore[valid-type]
    clip_norm: Annotated[ClipNorm | None, Field(description="Null: gradients of any length are followed.")] = None
    updates_per_second: Annotated[
        Annotated[float, Interval(gt=0, le=1000)] | None,
        Field(
            description="How quickly it trains, to be watched. Null: as fast as it goes. It changes no number of the run."
        ),
    ] = None
    optimizer: (
        Annotated[
            Annotated[OptimizerChange, Tag("change")] | Annotated[_translated(OptimizerSpec), Tag("replace")],  # type: ignore[valid-type]
            Discriminator(_optimizer_kind),
        ]
        | None
    ) = None

    def changes(self) -> RunChanges:
        given = self.model_dump(exclude_unset=True, exclude={"optimizer", "schedule", "stop"})
        if self.stop is not None:
            given["stop"] = read_value(StopSpec, self.stop.model_dump(exclude_unset=True), "/stop")
        if self.schedule is not None:
            given["schedule"] = read_value(ScheduleSpec, self.schedule.model_dump(exclude_unset=True), "/schedule")
        if isinstance(self.optimizer, OptimizerChange):
            given |= self.optimizer.model_dump(exclude_none=True)
        elif self.optimizer is not None:
            given["optimizer"] = read_value(OptimizerSpec, self.optimizer.model_dump(exclude_unset=True), "/optimizer")
        return RunChanges(**given)


class StepsBody(Request):
    count: Annotated[int, Interval(ge=1, le=LIMITS.steps), Field(description="How many updates to make.")] = 1


class ResetBody(Request):
    seed: Annotated[
        Seed | None, Field(description="A new seed; without one the run starts again from the same weights.")
    ] = None


class NetworkBody(Request):
    network: Annotated[list[_translated(LayerSpec)], Len(1, MAX_LAYERS)]  # type: ignore[valid-type]
    dataset: _translated(DatasetSpec) | None = None  # type: ignore[valid-type]
    batch_size: BatchSize | None = None

    def spec(self) -> RunSpec:
        """A run with this network, as far as it can be said; the rest is the default."""
        return read_run_spec(self.model_dump(exclude_unset=True, exclude_none=True))


class WeightChangeBody(Request):
    unit: Annotated[int, Interval(ge=0, le=2047)]
    input: Annotated[
        Annotated[int, Interval(ge=0, le=2**20)] | None,
        Field(description="Which of the layer's inputs the weight belongs to; null: the unit's bias."),
    ]
    value: Annotated[float, Interval(ge=-LARGEST_WEIGHT, le=LARGEST_WEIGHT)]


class WeightsBody(Request):
    """All of these or, where one is refused, none."""

    changes: Annotated[list[WeightChangeBody], Len(1, LIMITS.weight_changes), FirstWrong()]

    def weights(self) -> tuple[WeightChange, ...]:
        return tuple(WeightChange(change.unit, change.input, change.value) for change in self.changes)


# ---- Points ----------------------------------------------------------------------------------------------------------------

Coordinate = Annotated[float, Interval(ge=-MAX_TABLE_VALUE, le=MAX_TABLE_VALUE)]


class PointsBody(Request):
    """Painted points: x, y and the class as its place among the classes, or the number to be learned."""

    points: Annotated[
        list[Annotated[list[Coordinate], Len(3, 3), FirstWrong()]],
        Len(1, MAX_POINTS),
        FirstWrong(),
        Field(description="[x, y, class or number] each."),
    ]
    classes: Annotated[
        Annotated[list[ColumnName], Len(0, MAX_CLASSES)] | None,
        Field(
            description="Names of the classes; an empty list: a number is learned. Left out, whole numbers from 0 to 5 are "
            "the classes A to F, and any others are learned as numbers."
        ),
    ] = None


# ---- Images and drawings ---------------------------------------------------------------------------------------------------

Pixel = Annotated[float, Interval(ge=0, le=1)]
Drawing = Annotated[
    list[Annotated[list[Pixel], Len(LIMITS.ink_smallest, LIMITS.ink_largest), FirstWrong()]],
    Len(LIMITS.ink_smallest, LIMITS.ink_largest),
    FirstWrong(),
    Field(description="Rows of ink, 0 for paper and 1 for full ink; as many rows as columns."),
]
Image = Annotated[list[Annotated[list[Pixel], Len(1, 28), FirstWrong()]], Len(1, 28), FirstWrong()]


class Ink(Request):
    """A drawing: rows of numbers, or one byte a pixel in base64 with the length of a side."""

    ink: Drawing | None = None
    ink_base64: (
        Annotated[
            str,
            Len(1, 4 * LIMITS.ink_largest**2 // 3 + 4),
            Field(description="One byte a pixel, row by row, 255 for full ink."),
        ]
        | None
    ) = None
    size: (
        Annotated[int, Interval(ge=LIMITS.ink_smallest, le=LIMITS.ink_largest), Field(description="Pixels on a side.")]
        | None
    ) = None

    @model_validator(mode="after")
    def is_square(self) -> Self:
        if self.ink is not None and any(len(row) != len(self.ink) for row in self.ink):
            raise ValueError(f"A drawing is square: {len(self.ink)} rows need {len(self.ink)} numbers each.")
        if (self.ink_base64 is None) != (self.size is None):
            raise ValueError("ink_base64 and size go together.")
        if self.ink is not None and self.size is not None:
            raise ValueError("Send the drawing once: as ink, or as ink_base64 with its size.")
        if self.ink_base64 is not None and self.size is not None and decoded_length(self.ink_base64) != self.size**2:
            raise ValueError(f"A drawing of size {self.size} is {self.size**2:,} bytes in base64.")
        return self

    def drawing(self) -> dict[str, Any] | None:
        """As app.services.runs takes it, or None if there is none."""
        return self.model_dump(include={"ink", "ink_base64", "size"}, exclude_none=True) or None


def decoded_length(text: str) -> int | None:
    try:
        return len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None


Row = Annotated[list[Coordinate], Len(1, MAX_COLUMNS), FirstWrong()]


def _input_kind(value: Any) -> str:
    return "image" if isinstance(value, list) and value and isinstance(value[0], list) else "point"


class PredictionsBody(Ink):
    """Either a drawing or `inputs`, a batch of images or of points."""

    inputs: (
        Annotated[
            list[Annotated[Annotated[Image, Tag("image")] | Annotated[Row, Tag("point")], Discriminator(_input_kind)]],
            Len(1, LIMITS.batch),
            FirstWrong(),
            Field(
                description="Images of the dataset (28×28), or as the network sees them after the crop; or points, a number for each column."
            ),
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def is_one_of_both(self) -> Self:
        if (self.inputs is None) == (self.drawing() is None):
            raise ValueError(
                "Send either inputs (a batch of images or points) or one drawing (ink, or ink_base64 with size)."
            )
        return self


class Drawn(Ink):
    @model_validator(mode="after")
    def is_drawn(self) -> Self:
        if self.drawing() is None:
            raise ValueError("A drawing needs ink, or ink_base64 with size.")
        return self


class DrawingBody(Drawn):
    """A drawing to be kept, and the digit that it shows."""

    label: Annotated[int, Interval(ge=0, le=9), Field(description="Which digit it shows.")]


class DrawnExample(Drawn):
    source: Literal["drawing"]


class StoredExample(Request):
    source: Literal["train", "test"]
    index: Annotated[int, Interval(ge=0, le=59_999), Field(description="Its place in the split.")]


LayerPlace = Annotated[int, Interval(ge=0, le=MAX_LAYERS - 1), Field(description="Place of a dense layer.")]
Unit = Annotated[int, Interval(ge=0, le=2047)]
Column = Annotated[int, Interval(ge=0, le=MAX_COLUMNS - 1)]


class WatchedPlane(Request):
    resolution: Annotated[
        int, Interval(ge=20, le=200), Field(description="Cells along each side of the decision boundary's map.")
    ] = 100
    neuron: (
        Annotated[
            list[Annotated[int, Interval(ge=-1, le=2047)]],
            Len(2, 2),
            Field(description="A unit to be seen as large: [layer, unit]; layer −1 are the inputs."),
        ]
        | None
    ) = None
    columns: Annotated[
        list[Column], Len(2, 2), Field(description="Which of the data's columns are drawn, across and up.")
    ] = Field(default_factory=lambda: [0, 1])


class WatchedSpace(Request):
    layer: LayerPlace
    units: Annotated[list[Unit], Len(2, 2)] | Literal["components"] = Field(
        description="Two units of the layer, or the first two principal components of all."
    )
    grid: Annotated[int, Interval(ge=2, le=41), Field(description="Lines of the mesh in each direction.")] = 21


class WatchedCurve(Request):
    resolution: Annotated[int, Interval(ge=50, le=400), Field(description="Places along the curve.")] = 200
    layer: LayerPlace | None = None


class WatchBody(Request):
    """What one page looks at. Frames of digits come of `example` and `tiles`, a frame of points of all the others."""

    example: Annotated[DrawnExample | StoredExample, Discriminator("source")] | None = None
    gradients: Annotated[bool, Field(description="Whether frames carry gradients, too.")] = False
    tiles: Annotated[
        list[Annotated[int, Interval(ge=0, le=9_999)]],
        Len(0, LIMITS.tiles),
        FirstWrong(),
        Field(description="Test examples whose predictions are watched."),
    ] = Field(default_factory=list)
    plane: Annotated[WatchedPlane, Field(description="The decision boundary and the mistakes.")] | None = None
    neurons: (
        Annotated[int, Interval(ge=8, le=40), Field(description="Cells along each side of a small map of every unit.")]
        | None
    ) = None
    weights: Annotated[bool, Field(description="Whether frames carry all weights and biases.")] = False
    hidden: Annotated[WatchedSpace, Field(description="The plane as a hidden layer sees it.")] | None = None
    curve: Annotated[WatchedCurve, Field(description="The curve through points on a line.")] | None = None
    histograms: Annotated[
        bool, Field(description="Whether frames carry histograms of weights and activations, and dead units.")
    ] = False

    def watch(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


# ---- Labs ------------------------------------------------------------------------------------------------------------------


LabText = Annotated[str, Field(max_length=100_000)]
LabNumbers = Annotated[list[float], Field(max_length=5_000)]


class PictureBody(Request):
    """A picture of the page, as PNG or SVG in base64."""

    label: Annotated[str, Field(max_length=1_000)]
    image: Annotated[str, Field(max_length=2_000_000, pattern=r"^data:image/(png|svg\+xml);base64,[A-Za-z0-9+/]+={0,2}$")]


class ReportBody(Request):
    """A state of a lab to be saved: its settings as texts (those left out are as it opens), and its runs by name.

    Without runs they are trained anew, to the updates in `at`.
    """

    student: Annotated[str, Field(max_length=80)] = ""
    settings: dict[Annotated[str, Field(max_length=40)], LabText] = Field(default={}, max_length=60)
    runs: dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(pattern="^[a-z0-9]{16}$")]] = Field(
        default={}, max_length=MOST_RUNS
    )
    at: list[Annotated[int, Field(ge=0, le=LONGEST_PATH)]] = Field(default=[], max_length=MOST_RUNS)
    pictures: list[PictureBody] = Field(default=[], max_length=12)


class LabStateBody(Request):
    """A state of a lab: settings by name (those left out are as it opens), and updates done by each of its runs."""

    settings: dict[Annotated[str, Field(max_length=40)], bool | int | float | LabText | LabNumbers] = Field(
        default={}, max_length=60
    )
    at: list[Annotated[int, Field(ge=0, le=LONGEST_PATH)]] = Field(default=[], max_length=MOST_RUNS)
