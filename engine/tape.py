"""Small dense networks: all that there is to compute for a batch, written down once (see engine.calls).

To ask as little as possible,

* biases are one more column of the weights, whose input is always 1, and a layer is one matrix product;
* what a batch goes through is a block of rows, the outputs of each layer below its inputs, so that the slopes of
  neighbouring layers with the same activation are computed together;
* there are several blocks, each with its own list of calls. Batches are filled into them all at once, and nothing is
  copied from one to the next.

Every factor of a matrix product lies in one piece, for NumPy copies what does not; and what is computed in place is one
and the same view, for NumPy looks long whether two may overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby, pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from engine import compiled, specs
from engine import layers as plain
from engine.arrays import Array
from engine.calls import Call
from engine.layers.base import Layer
from engine.specs import LayerSpec
from engine.tape_losses import TapedLoss

MAX_PARAMETERS = 4_000
"""With more of them the arithmetic is what takes the time."""

Places: TypeAlias = npt.NDArray[np.int64]

ACTIVATIONS = (specs.Tanh, specs.ReLU, specs.Sigmoid, specs.Softplus, specs.LeakyReLU)


def is_plain(network: Sequence[LayerSpec]) -> bool:
    """Whether a network consists of dense layers, each with at most one activation that a tape knows."""
    return (
        len(network) > 0
        and isinstance(network[0], specs.Dense)
        and all(isinstance(layer, (specs.Dense, *ACTIVATIONS)) for layer in network)
        and not any(isinstance(a, ACTIVATIONS) and isinstance(b, ACTIVATIONS) for a, b in pairwise(network))
    )


class Tape:
    """The gradients of a loss for batches of one size, by a network that `is_plain`.

    It computes what the same layers and the same loss do one by one, with the same formulas. `weights` and
    `weight_gradients` (P,) hold each layer's rows, every row with its bias at the end; `places` (P,) says where in the
    network's parameters each of them stands.
    """

    def __init__(self, layers: Sequence[Layer], loss: TapedLoss, dtype: npt.DTypeLike, batch: int, blocks: int) -> None:
        dense = [layer for layer in layers if isinstance(layer, plain.Dense)]
        self._activations = [
            None if isinstance(after, plain.Dense) else after
            for layer, after in zip(layers, [*layers[1:], None], strict=True)
            if isinstance(layer, plain.Dense)
        ]
        self._shapes = [layer.weight_shape for layer in dense]
        self.places = _bias_as_column(self._shapes)
        self.weights, self.weight_gradients = (np.zeros(len(self.places), dtype) for _ in range(2))
        self._weights, self._weight_gradients = self._matrices(self.weights), self._matrices(self.weight_gradients)

        sizes = [self._shapes[0][1], *(units for units, _ in self._shapes)]
        ends = np.cumsum([size + 1 for size in sizes])
        self._rows = [slice(int(end) - size - 1, int(end) - 1) for size, end in zip(sizes, ends, strict=True)]
        self._loss = loss
        # Under the rows of each layer one row of ones, the biases' input; under the last layer's what the loss needs.
        last = self._rows[-1]
        self._blocks: Array = np.ones((blocks, last.stop + loss.rows, batch), dtype)
        self.inputs, self.outputs = self._blocks[:, self._rows[0]], self._blocks[:, last]
        self.targets = self._blocks[:, last.stop :][:, loss.targets]
        self._slopes: Array = np.zeros((last.stop, batch), dtype)
        self._deltas: Array = np.zeros((last.stop, batch), dtype)

    @property
    def blocks(self) -> int:
        return len(self._blocks)

    def calls(self, index: int) -> list[Call]:
        """Of one block: from its `inputs` and `targets` to its `outputs` and the gradients of the weights."""
        block = self._blocks[index]
        return self._forward(block) + self._backward(block)

    def _forward(self, block: Array) -> list[Call]:
        """`z = W a + b`, then `a = f(z)` in the same place."""
        calls: list[Call] = []
        for weights, activation, (below, row) in zip(
            self._weights, self._activations, pairwise(self._rows), strict=True
        ):
            calls += [(weights.dot, (_with_ones(block, below), block[row])), *_activate(activation, block[row])]
        return calls

    def _backward(self, block: Array) -> list[Call]:
        """`∂L/∂z = f'(z) ∂L/∂a`, `∂L/∂W = ∂L/∂z aᵀ`, and for the layer below `∂L/∂a = Wᵀ ∂L/∂z`."""
        deltas, slopes, rows = self._deltas, self._slopes, self._rows
        calls = self._loss.calls(block[rows[-1].start :], deltas[rows[-1]])
        for _, group in groupby(zip(self._activations, rows[1:], strict=True), key=lambda pair: _formula(pair[0])):
            members = list(group)
            together = slice(members[0][1].start, members[-1][1].stop)
            calls += _slope(members[0][0], block[together], slopes[together])
        for index in reversed(range(len(self._weights))):
            row, below = rows[index + 1], rows[index]
            delta = deltas[row]
            if self._activations[index] is not None:
                calls.append((np.multiply, (delta, slopes[row], delta)))
            calls.append((delta.dot, (_with_ones(block, below).T, self._weight_gradients[index])))
            if index > 0:  # the row of ones gets gradients, too, which nobody reads
                calls.append((self._weights[index].T.dot, (delta, _with_ones(deltas, below))))
        return calls

    def _matrices(self, flat: Array) -> list[Array]:
        """Each layer's part of `flat` as (units, inputs + 1)."""
        ends = np.cumsum([units * (inputs + 1) for units, inputs in self._shapes])
        parts = np.split(flat, ends[:-1])
        return [part.reshape(units, inputs + 1) for part, (units, inputs) in zip(parts, self._shapes, strict=True)]


class CompiledTape(Tape):
    """The same by compiled code: each block is one call."""

    def __init__(self, layers: Sequence[Layer], loss: TapedLoss, dtype: npt.DTypeLike, batch: int, blocks: int) -> None:
        compiled.require()
        super().__init__(layers, loss, dtype, batch, blocks)
        for function, arguments in self.calls(0):  # on zeros: whoever waits for the first update waits for no compiler
            function(*arguments)

    def calls(self, index: int) -> list[Call]:
        from engine import compiled_updates

        block = self._blocks[index]
        return [(compiled_updates.gradient, (block, self._deltas, self.weights, self.weight_gradients, *self._known()))]

    def descents(self, l1: Array, l2: Array) -> Callable[[int], None]:
        """So many updates by plain descent with that decay (P,) as one call, on as many blocks from the first one on."""
        from engine import compiled_updates

        known = self._known()

        def descend(count: int) -> None:
            blocks = self._blocks[:count]
            compiled_updates.descend(blocks, self._deltas, self.weights, self.weight_gradients, l1, l2, *known)

        descend(0)
        return descend

    def _known(self) -> tuple[Any, ...]:
        """The network and the loss, as compiled code wants them."""
        dtype = self.weights.dtype.type
        sizes = np.array([row.stop - row.start for row in self._rows])
        kinds, slopes = zip(*map(compiled.activation_number, self._activations), strict=True)
        loss, share, limit = compiled.loss_number(self._loss)
        targets = self._rows[-1].stop + self._loss.targets.start
        return (sizes, np.array(kinds), np.array(slopes, dtype)), (loss, targets, dtype(share), dtype(limit))


def _with_ones(rows: Array, layer: slice) -> Array:
    """A layer's rows and the one below them."""
    return rows[layer.start : layer.stop + 1]


def _bias_as_column(shapes: Sequence[tuple[int, ...]]) -> Places:
    """Where in the flat parameters (weights, then biases) the numbers of each (units, inputs + 1) stand."""
    places, start = [], 0
    for units, inputs in shapes:
        weights = np.arange(start, start + units * inputs).reshape(units, inputs)
        biases = np.arange(start + units * inputs, start + units * (inputs + 1))
        places.append(np.column_stack([weights, biases]).ravel())
        start += units * (inputs + 1)
    return np.concatenate(places)


def _formula(activation: Layer | None) -> tuple[object, ...]:
    """What two layers with the same activation have in common."""
    return type(activation), activation.slope if isinstance(activation, plain.LeakyReLU) else None


def _activate(activation: Layer | None, z: Array) -> list[Call]:
    """`z ← f(z)`."""
    number = partial(np.asarray, dtype=z.dtype)
    match activation:
        case plain.Tanh():
            return [(np.tanh, (z, z))]
        case plain.ReLU():
            return [(_maximum(z), (z, np.zeros_like(z)))]
        case plain.Sigmoid():  # (1 + tanh(z / 2)) / 2
            halve = (np.multiply, (z, number(0.5), z))
            return [halve, (np.tanh, (z, z)), (np.add, (z, number(1), z)), halve]
        case plain.Softplus():
            return [(np.logaddexp, (z, number(0), z))]
        case plain.LeakyReLU(slope=slope):
            leaked = np.zeros_like(z)
            return [(np.multiply, (z, number(slope), leaked)), (_maximum(z), (z, leaked))]
    return []


def _slope(activation: Layer | None, a: Array, slope: Array) -> list[Call]:
    """`f'(z)` from `a = f(z)`."""
    number = partial(np.asarray, dtype=a.dtype)
    match activation:
        case plain.Tanh():  # 1 − a²
            return [(np.square, (a, slope)), (np.subtract, (number(1), slope, slope))]
        case plain.ReLU():
            return [(np.heaviside, (a, number(0), slope))]
        case plain.Sigmoid():  # a (1 − a)
            return [(np.subtract, (number(1), a, slope)), (np.multiply, (slope, a, slope))]
        case plain.Softplus():  # 1 − e^−a
            return [(np.negative, (a, slope)), (np.expm1, (slope, slope)), (np.negative, (slope, slope))]
        case plain.LeakyReLU(slope=leak):
            step = (np.heaviside, (a, number(0), slope))
            return [step, (np.multiply, (slope, number(1 - leak), slope)), (np.add, (slope, number(leak), slope))]
    return []


def _maximum(out: Array) -> Callable[..., Array]:
    """NumPy wants `out` of a maximum by its name."""
    return partial(np.maximum, out=out)
