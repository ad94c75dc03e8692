"""Small dense networks: everything there is to compute, written down once.

For a network of a few dozen weights the arithmetic takes less time than asking for it: attributes, checks, new views.
So all of that is done when the batch size is known, and what is left is a list of NumPy functions with their
arguments, views of arrays that stay where they are. A step is then

    for function, arguments in calls:
        function(*arguments)

To ask as little as possible, biases are one more column of the weights, whose input is always 1, and the activations of
all layers lie one below the other in one array, so that the slopes of neighbouring layers with the same activation are
computed together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby, pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.arrays import Array
from engine.layers.activations import ReLU, Sigmoid, Tanh
from engine.layers.base import Layer
from engine.layers.dense import Dense

Call: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]

MAX_PARAMETERS = 2_000
"""With more of them the arithmetic is what takes the time."""


class Tape:
    """Dense layers, each followed by at most one activation, that run as a list of calls.

    It does what a `Chain` of the same layers does, with the same formulas: `z = W a + b`, `z' = f(z)` and back.
    """

    def __init__(self, layers: Sequence[Layer], parameters: Array, gradients: Array) -> None:
        """`layers` as `can_be_taped` accepts them; `parameters` and `gradients` are the flat vectors of them all."""
        self._parameters, self._gradients = parameters, gradients
        self._activations = [type(following) if isinstance(following, TAPED) else None for following in _after(layers)]
        self._shapes = [layer.weight_shape for layer in layers if isinstance(layer, Dense)]
        self._places = _bias_as_column(self._shapes)
        self._back = np.argsort(self._places)
        self.weights, self.weight_gradients = np.zeros_like(parameters), np.zeros_like(parameters)
        self._batch_size = 0

    def forward(self, inputs: Array) -> Array:
        """The last layer's outputs (K, N); they are overwritten by the next `forward`."""
        if inputs.shape[-1] != self._batch_size:
            self.bind(inputs.shape[-1])
        self.load()
        np.copyto(self.inputs, inputs.reshape(self.inputs.shape))
        for function, arguments in self.forward_calls:
            function(*arguments)
        return self.outputs

    def backward(self, gradients: Array) -> None:
        """Fill the gradients of all parameters from those of the outputs (K, N)."""
        np.copyto(self.output_gradients, gradients)
        for function, arguments in self.backward_calls:
            function(*arguments)
        np.take(self.weight_gradients, self._back, out=self._gradients, mode="clip")

    def load(self) -> None:
        """Take the parameters over: `weights` are the same numbers, with the biases as columns."""
        np.take(self._parameters, self._places, out=self.weights, mode="clip")

    def store(self) -> None:
        """Put `weights` back to the parameters."""
        np.take(self.weights, self._back, out=self._parameters, mode="clip")

    def bind(self, batch_size: int) -> None:
        """Write the calls down for this batch size. The arrays that they begin and end with are attributes."""
        self._batch_size = batch_size
        dtype = self._parameters.dtype
        sizes = [self._shapes[0][1], *(units for units, _ in self._shapes)]
        ends = np.cumsum([size + 1 for size in sizes])
        rows = [slice(end - size - 1, end - 1) for size, end in zip(sizes, ends, strict=True)]
        # Under the rows of each layer one row of ones, the biases' input.
        activations = np.ones((ends[-1], batch_size), dtype)
        slopes, deltas = np.zeros_like(activations), np.zeros_like(activations)
        self.inputs, self.outputs, self.output_gradients = activations[rows[0]], activations[rows[-1]], deltas[rows[-1]]
        matrices, matrix_gradients = self._matrices(self.weights), self._matrices(self.weight_gradients)
        with_ones = [activations[row.start : row.stop + 1] for row in rows]

        self.forward_calls: list[Call] = []
        for w, activation, inputs, row in zip(matrices, self._activations, with_ones, rows[1:], strict=False):
            self.forward_calls += [(np.dot, (w, inputs, activations[row])), *_activate(activation, activations[row])]

        self.backward_calls: list[Call] = []
        for activation, group in groupby(zip(self._activations, rows[1:], strict=True), key=lambda pair: pair[0]):
            members = [row for _, row in group]
            together = slice(members[0].start, members[-1].stop)
            self.backward_calls += _slope(activation, activations[together], slopes[together])
        for index in reversed(range(len(matrices))):
            row, below = rows[index + 1], rows[index]
            if self._activations[index] is not None:
                self.backward_calls.append((np.multiply, (deltas[row], slopes[row], deltas[row])))
            self.backward_calls.append((np.dot, (deltas[row], with_ones[index].T, matrix_gradients[index])))
            if index > 0:
                self.backward_calls.append((np.dot, (matrices[index][:, :-1].T, deltas[row], deltas[below])))

    def _matrices(self, flat: Array) -> list[Array]:
        """Each layer's part of `flat` as (units, inputs + 1)."""
        ends = np.cumsum([units * (inputs + 1) for units, inputs in self._shapes])
        parts = np.split(flat, ends[:-1])
        return [part.reshape(units, inputs + 1) for part, (units, inputs) in zip(parts, self._shapes, strict=True)]


class Descent:
    """Gradient descent on the mean squared error of a taped network, one list of calls for a whole step.

    `w ← w − η ∂L/∂w` with `L = mean over outputs and examples of (z − y)²`.
    """

    def __init__(
        self, layers: Sequence[Layer], parameters: Array, gradients: Array, batch_size: int, learning_rate: float
    ) -> None:
        """`parameters` and `gradients` are the flat vectors of all `layers`."""
        self._tape = tape = Tape(layers, parameters, gradients)
        tape.bind(batch_size)
        self._targets = np.zeros_like(tape.outputs)
        rate = np.asarray(learning_rate * 2 / tape.outputs.size, parameters.dtype)  # 2 / size belongs to the gradient
        self._calls: list[Call] = [
            *tape.forward_calls,
            (np.subtract, (tape.outputs, self._targets, tape.output_gradients)),
            *tape.backward_calls,
            (np.multiply, (tape.weight_gradients, rate, tape.weight_gradients)),
            (np.subtract, (tape.weights, tape.weight_gradients, tape.weights)),
        ]

    def train(self, batches: Iterable[tuple[Array, Array]]) -> None:
        """One step for each of `batches`, inputs (D, N) and targets (K, N)."""
        copy, inputs, targets, calls = np.copyto, self._tape.inputs, self._targets, self._calls
        self._tape.load()
        for batch_inputs, batch_targets in batches:
            copy(inputs, batch_inputs)
            copy(targets, batch_targets)
            for function, arguments in calls:
                function(*arguments)
        self._tape.store()


TAPED = (Tanh, ReLU, Sigmoid)


def can_be_taped(layers: Sequence[Layer]) -> bool:
    """Whether `layers` are few weights, dense layers only, each with at most one activation that a tape knows."""
    return (
        len(layers) > 0
        and isinstance(layers[0], Dense)
        and all(isinstance(layer, (Dense, *TAPED)) for layer in layers)
        and not any(isinstance(a, TAPED) and isinstance(b, TAPED) for a, b in pairwise(layers))
        and sum(layer.parameter_count for layer in layers) <= MAX_PARAMETERS
    )


def _after(layers: Sequence[Layer]) -> list[Layer | None]:
    """What follows each dense layer."""
    return [b for a, b in zip(layers, [*layers[1:], None], strict=True) if isinstance(a, Dense)]


def _bias_as_column(shapes: Sequence[tuple[int, ...]]) -> npt.NDArray[np.int64]:
    """Where in the flat parameters (weights, then biases) the numbers of each (units, inputs + 1) stand."""
    places, start = [], 0
    for units, inputs in shapes:
        weights = np.arange(start, start + units * inputs).reshape(units, inputs)
        biases = np.arange(start + units * inputs, start + units * (inputs + 1))
        places.append(np.column_stack([weights, biases]).ravel())
        start += units * (inputs + 1)
    return np.concatenate(places)


def _activate(activation: type[Layer] | None, z: Array) -> list[Call]:
    """`z ← f(z)`."""
    one, half = np.asarray(1, z.dtype), np.asarray(0.5, z.dtype)
    if activation is Tanh:
        return [(np.tanh, (z, z))]
    if activation is ReLU:
        return [(partial(np.maximum, out=z), (z, np.zeros_like(z)))]
    if activation is Sigmoid:  # (1 + tanh(z / 2)) / 2
        return [(np.multiply, (z, half, z)), (np.tanh, (z, z)), (np.add, (z, one, z)), (np.multiply, (z, half, z))]
    return []


def _slope(activation: type[Layer] | None, a: Array, slope: Array) -> list[Call]:
    """`f'(z)` from `a = f(z)`."""
    one = np.asarray(1, a.dtype)
    if activation is Tanh:  # 1 − a²
        return [(np.multiply, (a, a, slope)), (np.subtract, (one, slope, slope))]
    if activation is ReLU:
        return [(np.greater, (a, np.zeros_like(a), slope))]
    if activation is Sigmoid:  # a (1 − a)
        return [(np.subtract, (one, a, slope)), (np.multiply, (slope, a, slope))]
    return []
