"""A whole run, and when it stops."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Interval, Len, doc

from engine.specs.datasets import DatasetSpec, MnistSpec, Split
from engine.specs.layers import Conv2D, Dense, LayerSpec, MaxPool2D, ReLU
from engine.specs.optimizers import Adadelta, OptimizerSpec
from engine.specs.ranges import (
    L1,
    L2,
    MAX_LAYERS,
    MAX_WRITTEN_PARAMETERS,
    BatchSize,
    ClassWeight,
    ClipNorm,
    Compiled,
    Cores,
    HuberDelta,
    InitialParameter,
    RunName,
    Seed,
)
from engine.specs.schedules import Constant, ScheduleSpec

LossName: TypeAlias = Literal[
    "softmax_cross_entropy",
    "mean_squared_error",
    "half_squared_error",
    "hinge",
    "huber",
    "absolute_error",
    "binary_cross_entropy",
]
LIVE_FIELDS = ("name", "optimizer", "schedule", "clip_norm", "batch_size", "l1", "l2", "stop")
"""Of a run's fields those that may change while it goes on."""

PARTS = ("group", "drawings")
"""Of a dataset's fields those that are specs themselves, if there at all."""

REGRESSION_LOSSES: frozenset[LossName] = frozenset(
    {"mean_squared_error", "half_squared_error", "huber", "absolute_error"}
)
"""Losses that can compare an output with a number; the others need classes."""

InitializerName: TypeAlias = Annotated[
    Literal["automatic", "he_normal", "glorot_uniform", "playground", "zeros"],
    doc(
        "How the weights begin. Automatic: He's before a ReLU, Glorot's elsewhere. All zero: every unit of a layer stays the same as its neighbours."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSpec:
    """When a run stops by itself; whichever comes first. `None`: not for this reason.

    Accuracy and patience are judged on the validation examples; points have none, and are judged on those for testing.
    """

    epochs: (
        Annotated[float, Interval(gt=0, le=100_000), doc("Stop after this many passes over the training examples.")]
        | None
    ) = None
    steps: Annotated[int, Interval(ge=1, le=10**9), doc("Stop after this many updates.")] | None = None
    seconds: Annotated[float, Interval(gt=0, le=10**7), doc("Stop after this much training time.")] | None = None
    accuracy: (
        Annotated[float, Interval(gt=0, le=1), doc("Stop when the validation accuracy reaches this share.")] | None
    ) = None
    loss: (
        Annotated[float, Interval(gt=0, le=10**6), doc("Stop when the validation loss has fallen to this.")] | None
    ) = None
    patience: (
        Annotated[
            int,
            Interval(ge=1, le=10**6),
            doc("Stop when the validation loss has not improved for this many measurements."),
        ]
        | None
    ) = None


def demo_network() -> tuple[LayerSpec, ...]:
    """The network of convnetjs's MNIST page: 5,994 parameters."""
    return (
        Conv2D(filters=8, kernel_size=5, stride=1, padding=2),
        ReLU(),
        MaxPool2D(pool_size=2, stride=2),
        Conv2D(filters=16, kernel_size=5, stride=1, padding=2),
        ReLU(),
        MaxPool2D(pool_size=3, stride=3),
        Dense(units=10),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Everything that determines a run: the same spec and seed give the same run, bit for bit, on one machine."""

    name: RunName = "digits"
    dataset: DatasetSpec = field(default_factory=MnistSpec)
    network: Annotated[tuple[LayerSpec, ...], Len(1, MAX_LAYERS)] = field(default_factory=demo_network)
    initializer: InitializerName = "automatic"
    parameters: (
        Annotated[
            tuple[InitialParameter, ...],
            Len(1, MAX_WRITTEN_PARAMETERS),
            doc(
                "The weights and biases at update 0, written out; none: drawn as the initializer says. Layer by layer in the order of the network, for each its weights and then its biases; a dense layer's weights unit by unit."
            ),
        ]
        | None
    ) = None
    """In the order of `Network.parameters`. A reset, with another seed too, comes back to them."""
    loss: LossName = "softmax_cross_entropy"
    huber_delta: HuberDelta = 1.0
    class_weights: (
        Annotated[
            tuple[ClassWeight, ...],
            Len(1, 1000),
            doc("How much each class counts in the loss, in order; none: all the same."),
        ]
        | None
    ) = None
    optimizer: OptimizerSpec = field(default_factory=Adadelta)
    schedule: ScheduleSpec = field(default_factory=Constant)
    clip_norm: ClipNorm | None = None
    batch_size: BatchSize = 20
    cores: Cores = 1
    compiled: Compiled = False
    l1: L1 = 0.0
    l2: L2 = 0.00005
    """convnetjs's page says 0.001 and divides it by its batch size of 20; here it is not divided by anything."""
    seed: Seed = 1
    stop: StopSpec = field(default_factory=StopSpec)

    @property
    def output_count(self) -> int:
        """Outputs that the network must have: one for each class, one for a number to be met."""
        classes = len(self.dataset.classes)
        return 1 if classes == 0 or (self.loss == "half_squared_error" and classes == 2) else classes

    @property
    def judged(self) -> Split:
        """The split by which accuracy, loss and patience decide when to stop."""
        return "validation" if isinstance(self.dataset, MnistSpec) else "test"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, as the API and the file formats write them."""
        values = _plain(self)
        values["network"] = [tagged(layer) for layer in self.network]
        values["optimizer"] = tagged(self.optimizer)
        values["schedule"] = tagged(self.schedule)
        values["dataset"] = tagged(self.dataset)
        return values


def tagged(spec: Any) -> dict[str, Any]:
    """A spec as a dict with its tag (`type` or `name`) first, as a person would write it, and lists where it has tuples.

    A part that it may have and has not (a spec of its own, as MNIST's group) is left out.
    """
    values = {name: value for name, value in _plain(spec).items() if value is not None or name not in PARTS}
    tag = "type" if "type" in values else "name"
    return {tag: values.pop(tag), **values}


def _plain(spec: Any) -> dict[str, Any]:
    """Its fields as JSON has them. `dataclasses.asdict` would copy every number of a table and every weight written out."""
    kind: Any = type(spec)
    return {name: _listed(getattr(spec, name)) for name in _names(kind)}


@cache
def _names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


def _listed(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return _plain(value) if is_dataclass(value) else value
