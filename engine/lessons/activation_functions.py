"""Activation functions with their slopes, and where the inputs of a network's units fall on them.

In the lecture's notation `in_j` is the weighted input of unit j, `a_j = g(in_j)` its output; how fast its weights learn
is in proportion to the slope `g′(in_j)`. Values and slopes are those of the layers that networks are made of.
Slides: "Logistic function", "Rectified Linear Unit", "Activations Based on Application".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from engine.arrays import Array
from engine.inspection import Observer
from engine.layers import make_layer
from engine.shapes import plan
from engine.specs import DatasetSpec, Dense, LayerSpec, LeakyReLU, ReLU, RunSpec, Sigmoid, Softplus, Tanh
from engine.trainer import Trainer, fresh_state

FunctionName: TypeAlias = Literal["logistic", "tanh", "relu", "leaky_relu", "softplus", "linear"]
FUNCTIONS: tuple[FunctionName, ...] = get_args(FunctionName)
LAYERS: Mapping[FunctionName, LayerSpec] = MappingProxyType(
    {"logistic": Sigmoid(), "tanh": Tanh(), "relu": ReLU(), "leaky_relu": LeakyReLU(), "softplus": Softplus()}
)
"""The layer that has each function; a linear unit has none after it."""

REACH = 8.0
"""Inputs are looked at from −8 to 8."""
PLACES = 161
"""Places at which a function is worked out, so that each step is 1/10 and one place is 0."""
BINS = 40
SLOW = 0.1
"""Learning is called slow where the slope is less than this share of the function's largest."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A function at `inputs`: its `outputs` and its `slopes`, each float64 (161,)."""

    inputs: Array
    outputs: Array
    slopes: Array


def curve(name: FunctionName) -> Curve:
    inputs = np.linspace(-REACH, REACH, PLACES)
    return Curve(inputs, *_values_and_slopes(name, inputs))


def slow_regions(shape: Curve) -> list[tuple[float, float]]:
    """From where to where the function learns slowly, from left to right."""
    slow = is_slow(shape.slopes, float(np.abs(shape.slopes).max()))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], slow, [False]]).astype(np.int8)))
    return [
        (float(shape.inputs[first]), float(shape.inputs[last - 1]))
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]


def is_slow(slopes: Array, largest: float) -> npt.NDArray[np.bool_]:
    slow: npt.NDArray[np.bool_] = np.abs(slopes) < SLOW * largest
    return slow


@np.errstate(over="ignore", invalid="ignore")
def _values_and_slopes(name: FunctionName, inputs: Array) -> tuple[Array, Array]:
    """`g(in)` and `g′(in)` at inputs of any shape: forward, and the gradient that comes back where 1 goes in."""
    if name not in LAYERS:
        return inputs, np.ones_like(inputs)
    layer = make_layer(LAYERS[name], (inputs.size,), inputs.dtype)
    outputs = layer.forward(inputs.reshape(-1, 1))
    slopes = layer.backward(np.ones_like(outputs))
    return outputs.reshape(inputs.shape), slopes.reshape(inputs.shape)


# ---- A network's units -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HiddenLayer:
    """How the inputs `in_j` of one hidden layer's units are spread over all training examples.

    counts: int64 (40,), how many lie in each of equal parts of [−8, 8], those beyond in the outermost;
    slow: the share of all that lie where learning is slow; slope: the mean of `g′(in_j)`;
    flat: for each unit the share of the training examples at which its slope is exactly 0, (units,).
    """

    counts: npt.NDArray[np.int64]
    slow: float
    slope: float
    flat: npt.NDArray[np.float64]


def hidden_layers(trainer: Trainer, name: FunctionName) -> list[HiddenLayer]:
    """Of each hidden layer in order, in a network whose hidden units all have the function."""
    observer = Observer(trainer.network)
    hidden = observer.dense[:-1]
    largest = float(curve(name).slopes.max())
    inputs = observer.weighted_inputs(trainer.splits["train"].look(slice(None)), hidden)
    return [_hidden_layer(name, inputs[layer], largest) for layer in hidden]


def _hidden_layer(name: FunctionName, inputs: Array, largest: float) -> HiddenLayer:
    """Inputs that are no numbers any more are not counted, and have no slope."""
    slopes = np.nan_to_num(_values_and_slopes(name, inputs)[1])
    return HiddenLayer(
        counts=_counts(inputs),
        slow=float(is_slow(slopes, largest).mean()),
        slope=float(slopes.mean()),
        flat=(slopes == 0).mean(axis=1),
    )


def _counts(inputs: Array) -> npt.NDArray[np.int64]:
    inside = np.clip(inputs[~np.isnan(inputs)], -REACH, REACH)
    places = (inside + REACH) * (BINS / (2 * REACH))
    return np.bincount(np.minimum(places.astype(np.int64), BINS - 1), minlength=BINS)


def dead_units(layers: list[HiddenLayer]) -> list[tuple[int, int]]:
    """(layer, unit), both counted from 1, of every unit whose slope is 0 at all training examples: it gets no gradient.

    A unit that is flat at some of them still learns from the others.
    """
    return [
        (number, int(unit) + 1) for number, layer in enumerate(layers, 1) for unit in np.flatnonzero(layer.flat == 1)
    ]


def with_hidden_biases(spec: RunSpec, bias: float) -> RunSpec:
    """The same run, its hidden units all beginning with `bias`; the weights are those that its seed draws."""
    if bias == 0:
        return spec
    parameters = list(_initial_parameters(spec.network, spec.dataset, spec.seed))
    end = 0
    for layer in plan(spec.network, spec.dataset.input_shape):
        end += layer.parameters
        if isinstance(layer.spec, Dense) and end < len(parameters):
            parameters[end - layer.spec.units : end] = [bias] * layer.spec.units
    return replace(spec, parameters=tuple(parameters))


@lru_cache(maxsize=64)
def _initial_parameters(network: tuple[LayerSpec, ...], dataset: DatasetSpec, seed: int) -> tuple[float, ...]:
    """Those that a run draws. Kept, so that of a slider for the bias only the first move takes milliseconds."""
    return tuple(fresh_state(RunSpec(network=network, dataset=dataset, seed=seed)).parameters.tolist())
