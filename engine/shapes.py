"""What a network will look like, computed before anything is allocated: shapes, parameters, multiply-adds, memory.

All arithmetic is on Python integers, so that a network of any absurd size is refused rather than built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from math import prod
from typing import TypeAlias

from engine.arrays import Shape
from engine.errors import SpecError
from engine.memory import run_bytes
from engine.specs import (
    GELU,
    MAX_LAYERS,
    MAX_PARAMETERS,
    MAX_RUN_BYTES,
    ONE_FRAUD_IN,
    REGRESSION_LOSSES,
    AveragePool2D,
    BatchNormalization,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    LayerSpec,
    LeakyReLU,
    LocalResponseNormalization,
    Maxout,
    MaxPool1D,
    MaxPool2D,
    MnistSpec,
    PlaneSpec,
    ReLU,
    RunSpec,
    Sigmoid,
    Softplus,
    TableSpec,
    Tanh,
    TransactionsSpec,
    tagged,
)
from engine.specs.pictures import SIDE, check_group, read_drawings
from engine.specs.tables import check_table
from engine.validation import checked, read_value

PLANS_KEPT = 256
"""Of networks: whoever opens a run asks for its plan half a dozen times, and a class has few networks."""


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer as it will be built. Shapes are (channels, height, width) or (units,), without the batch."""

    index: int
    spec: LayerSpec
    name: str
    input_shape: Shape
    output_shape: Shape
    parameters: int
    parameter_formula: str
    multiply_adds: int
    """Multiplications, each with its addition, for one example forwards."""


@dataclass(frozen=True, slots=True)
class LayerProblem:
    """A layer that cannot be built; `message` is empty for the layers after it, whose inputs are unknown."""

    index: int
    spec: LayerSpec
    message: str
    field: str | None


PlanOrProblem: TypeAlias = LayerPlan | LayerProblem


def plan(specs: Sequence[LayerSpec], input_shape: Shape) -> list[LayerPlan]:
    """Every layer of the network for examples of `input_shape` (C, H, W); SpecError names the first that cannot be."""
    if not 1 <= len(specs) <= MAX_LAYERS:
        raise SpecError(
            f"A network has 1 to {MAX_LAYERS} layers; this one has {len(specs)}.", field="/network", code="layer_count"
        )
    # 1, 1.0 and True are the same to a cache, and not the same to a spec.
    kinds = tuple(type(value) for spec in specs for value in astuple(spec))
    try:
        return list(_planned(tuple(specs), kinds, input_shape))
    except TypeError:  # a list where a number belongs is no key for a cache; the layer itself says so better
        return list(_planned.__wrapped__(tuple(specs), kinds, input_shape))


@lru_cache(maxsize=PLANS_KEPT)
def _planned(specs: tuple[LayerSpec, ...], _: tuple[type, ...], input_shape: Shape) -> tuple[LayerPlan, ...]:
    layers = []
    shape = input_shape
    for index in range(len(specs)):
        layer = _plan_layer(specs, index, shape)
        layers.append(layer)
        shape = layer.output_shape
    return tuple(layers)


def preview(specs: Sequence[LayerSpec], input_shape: Shape) -> list[PlanOrProblem]:
    """As `plan`, for a network still being built: a problem takes its layer's place in the list."""
    layers: list[PlanOrProblem] = []
    shape: Shape | None = input_shape
    for index, spec in enumerate(specs):
        if shape is None:
            layers.append(LayerProblem(index, spec, "", None))
            continue
        try:
            layer = _plan_layer(specs, index, shape)
        except SpecError as problem:
            layers.append(LayerProblem(index, spec, str(problem), problem.field))
            shape = None
        else:
            layers.append(layer)
            shape = layer.output_shape
    return layers


def check_run(spec: RunSpec) -> None:
    """Raise SpecError unless the run can be built: ranges, shapes, outputs that fit the loss, size within the limits."""
    checked(spec)
    check_whole(spec)


def check_whole(spec: RunSpec) -> None:
    """The same for a spec each of whose fields is known to be in its range, as one is that `read_run_spec` has read."""
    _check_dataset(spec)
    classes, input_shape = len(spec.dataset.classes), spec.dataset.input_shape
    layers = plan(spec.network, input_shape)
    outputs = prod(layers[-1].output_shape)
    if outputs != spec.output_count:
        aim = f"there are {classes} classes" if classes else "one number is to be learned"
        units = "1 unit" if spec.output_count == 1 else f"{spec.output_count} units"
        raise SpecError(
            f"The last layer has {_outputs(outputs)}, but {aim}: let the network end with a dense layer of {units}.",
            field=f"/network/{len(layers) - 1}",
            code="output_count",
        )
    if classes == 0 and spec.loss not in REGRESSION_LOSSES:
        raise SpecError(
            "This loss compares classes, and here a number is learned: choose the squared error, Huber's loss or the absolute error.",
            field="/loss",
            code="loss_needs_classes",
        )
    if spec.class_weights is not None and len(spec.class_weights) != classes:
        raise SpecError(
            f"There are {classes} classes and {len(spec.class_weights)} class weights: give each class one.",
            field="/class_weights",
            code="class_weight_count",
        )
    if spec.cores > 1 and not isinstance(spec.dataset, MnistSpec):
        raise SpecError(
            "Networks of points and transactions are small: one core is enough for them.",
            field="/cores",
            code="too_few_for_cores",
        )
    if spec.cores > 1 and any(isinstance(layer.spec, BatchNormalization) for layer in layers):
        raise SpecError(
            "Batch normalization needs each batch whole: choose one core.", field="/cores", code="batch_in_shares"
        )
    parameters = sum(layer.parameters for layer in layers)
    if parameters > MAX_PARAMETERS:
        largest = max(layers, key=lambda layer: layer.parameters)
        raise SpecError(
            f"This network has {parameters:,} parameters; the limit is {MAX_PARAMETERS:,}. "
            f"Most of them, {largest.parameters:,}, are in layer {largest.index + 1}, {largest.name}.",
            field=f"/network/{largest.index}",
            code="too_many_parameters",
        )
    if spec.parameters is not None and len(spec.parameters) != parameters:
        raise SpecError(
            f"This network has {parameters:,} weights and biases, but {len(spec.parameters):,} are written out: "
            "give all of them, or none.",
            field="/parameters",
            code="parameter_count",
        )
    needed = run_bytes(layers, spec.batch_size) + _copied_bytes(spec)
    if needed > MAX_RUN_BYTES:
        raise SpecError(
            f"This run needs about {needed / 2**20:,.0f} MB; the limit is {MAX_RUN_BYTES / 2**20:,.0f} MB. "
            "Choose a smaller batch, fewer filters or smaller kernels.",
            field="/batch_size",
            code="too_much_memory",
        )


def _check_dataset(spec: RunSpec) -> None:
    """Raise SpecError for sizes that leave nothing to learn from, and for a table that is none."""
    match spec.dataset:
        case MnistSpec(train_size=available, validation_size=validation) if validation >= available:
            raise SpecError(
                f"{validation:,} of {available:,} training images are kept for validation, so none is left to "
                "learn from. Keep fewer for validation or use more training images.",
                field="/dataset/validation_size",
            )
        case MnistSpec(train_size=wanted, group=group, drawings=drawings):
            if group is not None:
                check_group(group, wanted)
            if drawings is not None:
                read_drawings(drawings.values)
        case TableSpec() as table:
            check_table(table)
        case TransactionsSpec(transactions=count) if count % ONE_FRAUD_IN:
            raise SpecError(
                f"One transaction in {ONE_FRAUD_IN:,} is a fraud: their number is a multiple of that; {count:,} is not.",
                field="/dataset/transactions",
            )
    if isinstance(spec.dataset, PlaneSpec | TableSpec) and len(set(spec.dataset.features)) < len(spec.dataset.features):
        raise SpecError("Each feature can be told once.", field="/dataset/features")


def _copied_bytes(spec: RunSpec) -> int:
    """What the images of a group, or of drawings with others before them, take; all others stay on the disk."""
    match spec.dataset:
        case MnistSpec(group=None, drawings=None):
            return 0
        case MnistSpec(train_size=images, drawings=drawings):
            return SIDE * SIDE * (images + (drawings.count if drawings else 0))
    return 0


def _outputs(count: int) -> str:
    return "1 output" if count == 1 else f"{count:,} outputs"


def estimate_bytes(specs: Sequence[LayerSpec], input_shape: Shape, batch_size: int) -> int:
    """An upper bound of the memory that training and evaluating this network takes, in bytes (float32)."""
    return run_bytes(plan(specs, input_shape), batch_size)


def _plan_layer(specs: Sequence[LayerSpec], index: int, shape: Shape) -> LayerPlan:
    spec = specs[index]
    read_value(type(spec), tagged(spec), f"/network/{index}")
    name = _name(specs, index)
    output_shape = _output_shape(spec, shape, f"Layer {index + 1}, {name}", f"/network/{index}")
    parameters, formula, multiply_adds = 0, "", 0
    match spec:
        case Dense(units=units):
            inputs = prod(shape)
            parameters, multiply_adds = units * inputs + units, units * inputs
            formula = f"{units}·{inputs} + {units} = {parameters:,}"
        case Conv2D(filters=filters, kernel_size=size):
            parameters = filters * shape[0] * size**2 + filters
            multiply_adds = prod(output_shape) * shape[0] * size**2
            formula = f"{filters}·{size}·{size}·{shape[0]} + {filters} = {parameters:,}"
        case BatchNormalization():
            parameters, multiply_adds = 4 * shape[0], prod(shape)
            formula = f"4·{shape[0]} = {parameters:,}"  # scale, shift, running mean and running variance
        case Conv1D(filters=filters, kernel_size=size):
            channels, height, _ = shape
            parameters = filters * channels * height * size + filters
            multiply_adds = prod(output_shape) * channels * height * size
            formula = f"{filters}·{size}·{height}·{channels} + {filters} = {parameters:,}"
    return LayerPlan(index, spec, name, shape, output_shape, parameters, formula, multiply_adds)


def _output_shape(spec: LayerSpec, shape: Shape, layer: str, field: str) -> Shape:
    """The shape of one example's outputs; `layer` and `field` say in an error where it happened."""
    match spec:
        case Dense(units=units):
            return (units,)
        case Flatten():
            return (prod(shape),)
        case Conv2D(filters=filters, kernel_size=size, stride=stride, padding=padding):
            height, width = _map_size(shape, layer, field)
            if size > min(height, width) + 2 * padding:
                raise SpecError(
                    f"{layer}: a {size}×{size} kernel does not fit into a {height}×{width} map with padding {padding}. "
                    f"Choose a kernel of at most {min(height, width) + 2 * padding}, or more padding.",
                    field=f"{field}/kernel_size",
                    code="kernel_too_large",
                )
            return (filters, (height + 2 * padding - size) // stride + 1, (width + 2 * padding - size) // stride + 1)
        case Conv1D(filters=filters, kernel_size=size, stride=stride, padding=padding):
            _, width = _map_size(shape, layer, field)
            if size > width + 2 * padding:
                raise SpecError(
                    f"{layer}: a kernel of {size} does not fit into a sequence of {width} with padding {padding}. "
                    f"Choose a kernel of at most {width + 2 * padding}, or more padding.",
                    field=f"{field}/kernel_size",
                    code="kernel_too_large",
                )
            return (filters, 1, (width + 2 * padding - size) // stride + 1)
        case MaxPool1D(pool_size=size, stride=stride):
            height, width = _map_size(shape, layer, field)
            if size > width:
                raise SpecError(
                    f"{layer}: a window of {size} does not fit into rows of {width}. "
                    f"Choose a window of at most {width}, or take this layer out.",
                    field=f"{field}/pool_size",
                    code="window_too_large",
                )
            return (shape[0], height, (width - size) // stride + 1)
        case MaxPool2D(pool_size=size, stride=stride) | AveragePool2D(pool_size=size, stride=stride):
            height, width = _map_size(shape, layer, field)
            if size > min(height, width):
                raise SpecError(
                    f"{layer}: a {size}×{size} window does not fit into a {height}×{width} map. "
                    f"Choose a window of at most {min(height, width)}, or take this layer out.",
                    field=f"{field}/pool_size",
                    code="window_too_large",
                )
            return (shape[0], (height - size) // stride + 1, (width - size) // stride + 1)
        case GlobalAveragePool2D():
            _map_size(shape, layer, field)
            return shape[:1]
        case Maxout(group_size=size):
            if shape[0] % size != 0:
                kind = "channels" if len(shape) == 3 else "units"
                raise SpecError(
                    f"{layer}: {shape[0]:,} {kind} cannot be split into groups of {size}. "
                    f"Choose a group size that divides {shape[0]:,}, or give the layer before it a multiple of {size}.",
                    field=f"{field}/group_size",
                    code="indivisible_groups",
                )
            return (shape[0] // size, *shape[1:])
        case LocalResponseNormalization(n=n) if n % 2 == 0:
            raise SpecError(
                f"{layer}: of {n} neighbours none is in the middle. Choose an odd number, {n - 1} or {n + 1}.",
                field=f"{field}/n",
                code="even_neighbours",
            )
        case _:
            return shape


def _map_size(shape: Shape, layer: str, field: str) -> tuple[int, int]:
    if len(shape) != 3:
        raise SpecError(
            f"{layer}: it needs maps with height and width, but gets {shape[0]:,} single values. "
            "Put it before the first dense or flatten layer.",
            field=field,
            code="needs_maps",
        )
    return shape[1], shape[2]


_NUMBERED: dict[type[LayerSpec], str] = {
    Conv2D: "Convolution",
    Conv1D: "1-D convolution",
    Dense: "Dense",
    BatchNormalization: "Batch normalization",
}


def _name(specs: Sequence[LayerSpec], index: int) -> str:
    """What a person calls the layer; those with parameters are numbered where there are several."""
    spec = specs[index]
    match spec:
        case Conv2D() | Conv1D() | Dense() | BatchNormalization():
            name = _NUMBERED[type(spec)]
            alike = [i for i, other in enumerate(specs) if type(other) is type(spec)]
            return f"{name} {alike.index(index) + 1}" if len(alike) > 1 else name
        case MaxPool2D(pool_size=size):
            return f"Max pooling {size}×{size}"
        case MaxPool1D(pool_size=size):
            return f"Max pooling 1×{size}"
        case AveragePool2D(pool_size=size):
            return f"Average pooling {size}×{size}"
        case GlobalAveragePool2D():
            return "Global average pooling"
        case ReLU():
            return "ReLU"
        case LeakyReLU():
            return "Leaky ReLU"
        case Tanh():
            return "Tanh"
        case Sigmoid():
            return "Sigmoid"
        case Softplus():
            return "Softplus"
        case GELU():
            return "GELU"
        case Maxout(group_size=size):
            return f"Maxout of {size}"
        case LocalResponseNormalization():
            return "Local response normalization"
        case Dropout(rate=rate):
            return f"Dropout {rate:.0%}"
        case Flatten():
            return "Flatten"
