"""Where one weight's gradient comes from, in any network: what came in, what came back, their product, and the update.

    ∂Loss/∂w = Σ Δ · a

over the places at which the weight is used: one in a dense layer, every place of the map in a convolution, which shares
its weights. Δ = ∂Loss/∂in is the error term of what the weight leads to there, a what it is multiplied with. In float64,
for one training example (a picture by its middle), with dropout idle. Slides "Gradient" and "Batch".
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from engine.arrays import Array, Shape, Truth
from engine.errors import ShapeError
from engine.gradcheck import in_float64, slopes
from engine.layers import Layer, WeightedLayer
from engine.layers.activations import Activation
from engine.lessons.by_hand import Line, factor, sum_of_products, written
from engine.lessons.updates import Memory, update
from engine.network import Network
from engine.specs import Conv1D, Conv2D, Dense, OptimizerSpec, RunSpec
from engine.trainer import Trainer

BIAS = -1
"""Where an input of a unit is asked for: its bias, into which 1 comes."""

MOST_PLACES = 6
"""Places of a convolution that are listed, those that count most."""


def explain(
    trainer: Trainer, layer: int, unit: int, source: int, example: int
) -> Generator[None, None, dict[str, Any]]:
    """The weight from `source` to `unit` of `layer` and its next update, as plain values, if this one example were the batch.

    layer: its place in the network; unit: of a dense layer, or the filter; source: the input, counted along the unit's
    own weights, or `BIAS`; example: of the training split. ShapeError when there is no such thing. All of it is of the
    moment before the first portion ends, however the training goes on.
    """
    _check(trainer, layer, unit, source, example)
    passed = _Passed(trainer, example)
    weight = _Weight(passed, layer, unit, source)
    optimizer = _Optimizer.of(trainer, weight.place)
    yield
    lines = [*weight.there(), *weight.back(), *weight.gradient()]
    lines += [*_on_the_way(trainer.spec, passed, weight), *_updated(optimizer, passed, weight)]
    yield
    network = passed.network
    right, left = slopes(network.parameters, weight.place, passed.cost)
    return {
        "step": optimizer.step,
        "layer": layer,
        "unit": unit,
        "source": source,
        "name": network.plan[layer].name,
        "from": weight.origin,
        "to": weight.destination,
        "shared": weight.places,
        "example": example,
        "examples": len(trainer.splits["train"]),
        "loss": written(passed.loss),
        "lines": [line.plain() for line in lines],
        "places": weight.largest(),
        "gradient": written(weight.slope),
        "tried": written(right if abs(right - weight.slope) < abs(left - weight.slope) else left),
        "layers": [_described(passed, index) for index in weighted_layers(network)],
    }


def weighted_layers(network: Network) -> list[int]:
    """The places of the layers whose weights can be explained."""
    return [planned.index for planned in network.plan if isinstance(planned.spec, Dense | Conv2D | Conv1D)]


def _described(passed: _Passed, index: int) -> dict[str, Any]:
    layer = passed.layers[index]
    assert isinstance(layer, WeightedLayer)
    return {
        "index": index,
        "name": passed.network.plan[index].name,
        "units": layer.weight_shape[0],
        "sources": prod(layer.weight_shape[1:]),
    }


def _check(trainer: Trainer, layer: int, unit: int, source: int, example: int) -> None:
    network = trainer.network
    if layer not in (found := weighted_layers(network)):
        raise ShapeError(
            f"Layer {layer} has no weights to explain; these have: {', '.join(map(str, found)) or 'none'}."
        )
    weights = network.layers[layer].weights
    assert weights is not None
    units, sources = len(weights), weights[0].size
    if not (0 <= unit < units and BIAS <= source < sources):
        raise ShapeError(
            f"Layer {layer} has {units:,} units with {sources:,} inputs each, both numbered from 0; −1 is the bias."
        )
    if not 0 <= example < (count := len(trainer.splits["train"])):
        raise ShapeError(f"There is no training example {example}: they are numbered from 0 to {count - 1:,}.")
    if not np.isfinite(network.parameters).all():
        raise ShapeError("This network has values that are no numbers any more: there is nothing to work out.")


class _Passed:
    """One example on its way through a float64 copy of the network, forwards and back, layer by layer.

    `values[k]` is what layer k is given, `values[k + 1]` what it gives on; `errors[k]` how the loss changes with
    `values[k]`. All are without the batch.
    """

    def __init__(self, trainer: Trainer, example: int) -> None:
        train, here = trainer.splits["train"], slice(example, example + 1)
        self.network = in_float64(trainer.network)
        self.layers: list[Layer] = self.network.layers
        self.inputs: Array = train.look(here).astype(np.float64)
        self.labels: Truth = train.labels[here]
        self.weights = trainer.weights("train", here)
        self._loss = trainer.loss
        values = [self.inputs]
        for layer in self.layers:
            values.append(layer.forward(values[-1]))
        self.loss, gradient = self._loss_of(values[-1])
        self.output_error = gradient.copy()
        errors = [gradient.reshape(*self.network.output_shape, 1)]
        for layer in reversed(self.layers):
            errors.append(layer.backward(errors[-1]).copy())
        self.values = [value[..., 0].copy() for value in values]
        self.errors = [error[..., 0] for error in reversed(errors)]

    def cost(self) -> float:
        """The loss with the copy's weights as they are now."""
        return self._loss_of(self.network.logits(self.inputs))[0]

    def _loss_of(self, outputs: Array) -> tuple[float, Array]:
        return self._loss.loss_and_gradient(outputs.reshape(-1, 1), self.labels, self.weights)


@dataclass(frozen=True, slots=True)
class _Place:
    """One use of the weight: the error term of what it leads to, and what it is multiplied with."""

    row: int
    column: int
    delta: float
    came: float


class _Weight:
    """One weight in the pass. `place` is its place in the network's parameters, `slope` its gradient."""

    def __init__(self, passed: _Passed, index: int, unit: int, source: int) -> None:
        self._passed, self._index, self._unit, self._source = passed, index, unit, source
        layer = passed.layers[index]
        assert isinstance(layer, WeightedLayer)
        self.is_bias = source == BIAS
        before = sum(earlier.parameter_count for earlier in passed.layers[:index])
        size = prod(layer.weight_shape[1:])
        inside = len(layer.weights) * size + unit if self.is_bias else unit * size + source
        self.place = before + inside
        self.value = float(passed.network.parameters[self.place])
        self.slope = float(passed.network.gradients[self.place])
        self._uses = list(self._found(layer))
        self.places = len(self._uses)

    def _found(self, layer: WeightedLayer) -> Iterator[_Place]:
        errors, spec = self._passed.errors[self._index + 1], self._passed.network.plan[self._index].spec
        errors = errors.reshape(len(errors), *((1, 1) if errors.ndim == 1 else errors.shape[1:]))[self._unit]
        came = np.ones_like(errors)
        if not self.is_bias:
            given = self._passed.values[self._index]
            came = _seen(given, layer.weight_shape, spec, self._source, errors.shape)
        for row, column in np.ndindex(*errors.shape):
            yield _Place(row, column, float(errors[row, column]), float(came[row, column]))

    @property
    def is_dense(self) -> bool:
        return isinstance(self._passed.network.plan[self._index].spec, Dense)

    @property
    def origin(self) -> str:
        """What the weight leads from, in words."""
        if self.is_bias:
            return "the bias"
        layer = self._passed.layers[self._index]
        assert isinstance(layer, WeightedLayer)
        shape: Shape = self._passed.network.plan[self._index].input_shape if self.is_dense else layer.weight_shape[1:]
        place = [int(part) + 1 for part in np.unravel_index(self._source, shape)]
        if len(place) == 1:
            return f"input {place[0]}"
        channel, row, column = place
        return f"channel {channel}, row {row}, column {column}"

    @property
    def destination(self) -> str:
        return f"{'unit' if self.is_dense else 'filter'} {self._unit + 1}"

    def largest(self) -> list[dict[str, Any]]:
        """The places that count most, none of a dense layer."""
        if self.is_dense:
            return []
        uses = sorted(self._uses, key=lambda use: -abs(use.delta * use.came))[:MOST_PLACES]
        return [
            {
                "row": use.row + 1,
                "column": use.column + 1,
                "delta": written(use.delta),
                "came": written(use.came),
                "product": written(use.delta * use.came),
            }
            for use in uses
        ]

    # ---- The lines -----------------------------------------------------------------------------------------------------

    def there(self) -> Iterator[Line]:
        """What the weight adds to the input of its unit; of a convolution that is another number at every place."""
        if not self.is_dense:
            return
        came, total = self._uses[0].came, float(self._passed.values[self._index + 1][self._unit])
        rest = total - self.value * came
        yield Line(
            name="in",
            latex=r"\mathit{in} = b + \text{the inputs}" if self.is_bias else r"\mathit{in} = w\, a + \text{the rest}",
            numbers=f"{written(self.value)} + {factor(rest)}"
            if self.is_bias
            else f"{written(self.value)} · {factor(came)} + {factor(rest)}",
            value=total,
            note="What the unit takes in, with what this weight adds to it.",
        )

    def back(self) -> Iterator[Line]:
        """Δ of a dense unit: from the loss itself, or from the layers behind through the slope of its activation."""
        if not self.is_dense:
            return
        delta = self._uses[0].delta
        behind = self._passed.layers[self._index + 1 :]
        if not behind or not isinstance(behind[0], Activation):
            yield Line(
                name="delta",
                latex=r"\Delta = \frac{\partial \mathit{Loss}}{\partial \mathit{in}}",
                numbers=written(delta),
                value=delta,
                note=f"How the loss changes with what the unit takes in{'' if behind else ', from the loss itself'}.",
            )
            return
        yield from self._through(behind[0], delta)

    def _through(self, activation: Activation, delta: float) -> Iterator[Line]:
        error = float(self._passed.errors[self._index + 2][self._unit])
        slopes = activation.backward(np.ones((*activation.output_shape, 1)))
        g = float(slopes[self._unit, 0])
        yield Line(
            name="error",
            latex=r"\frac{\partial \mathit{Loss}}{\partial a}",
            numbers=self._behind(error),
            value=error,
            note="How the loss changes with what the unit gives out: every Δ behind it times the weight that leads there."
            if self._next_dense() is not None
            else "How the loss changes with what the unit gives out, as it came back.",
        )
        yield Line(
            name="slope",
            latex=r"g'(\mathit{in})",
            numbers=written(g),
            value=g,
            note="The slope of the activation where the unit stands.",
        )
        yield Line(
            name="delta",
            latex=r"\Delta = \frac{\partial \mathit{Loss}}{\partial a}\, g'(\mathit{in})",
            numbers=f"{factor(error)} · {factor(g)}",
            value=delta,
        )

    def _next_dense(self) -> int | None:
        """The layer behind the activation, where it is dense too."""
        index = self._index + 2
        plan = self._passed.network.plan
        return index if index < len(plan) and isinstance(plan[index].spec, Dense) else None

    def _behind(self, error: float) -> str:
        index = self._next_dense()
        if index is None:
            return written(error)
        weights = self._passed.layers[index].weights
        assert weights is not None
        deltas = self._passed.errors[index + 1]
        pairs = zip(deltas.tolist(), weights[:, self._unit].tolist(), strict=True)
        return sum_of_products([(float(delta), float(weight)) for delta, weight in pairs])

    def gradient(self) -> Iterator[Line]:
        over = "" if self.is_dense else r"\sum "
        yield Line(
            name="gradient",
            latex=rf"\frac{{\partial \mathit{{Loss}}}}{{\partial w}} = {over}\Delta"
            + ("" if self.is_bias else r"\, a"),
            numbers=sum_of_products([(use.delta, use.came) for use in self._uses], MOST_PLACES),
            value=self.slope,
            note=""
            if self.is_dense
            else f"One weight for {self.places:,} places: the {min(MOST_PLACES, self.places)} that count most, and the others together.",
        )


def _seen(given: Array, weight_shape: Shape, spec: Any, source: int, places: Shape) -> Array:
    """What one weight is multiplied with at every place (rows, columns), zeros where the filter hangs over the edge."""
    if isinstance(spec, Dense):
        return given.reshape(-1)[source : source + 1, None]
    channel, row, column = np.unravel_index(source, weight_shape[1:])
    down, above = (1, 0) if isinstance(spec, Conv1D) else (spec.stride, spec.padding)
    padded = np.pad(given, ((0, 0), (above, above), (spec.padding, spec.padding)))
    rows, columns = places
    seen: Array = padded[
        channel,
        row : row + (rows - 1) * down + 1 : down,
        column : column + (columns - 1) * spec.stride + 1 : spec.stride,
    ]
    return seen


def _on_the_way(spec: RunSpec, passed: _Passed, weight: _Weight) -> Iterator[Line]:
    """What is done to a gradient before the optimizer has it: weight decay, and shortening."""
    network, here = passed.network, weight.place
    l1, l2 = spec.l1 * float(network.l1_mask[here]), spec.l2 * float(network.l2_mask[here])
    gradients = network.gradients
    gradients += spec.l2 * network.l2_mask * network.parameters
    gradients += spec.l1 * network.l1_mask * np.sign(network.parameters)
    if l1 or l2:
        yield Line(
            name="decayed",
            latex=r"g = \frac{\partial \mathit{Loss}}{\partial w} + \lambda_2 w + \lambda_1 \mathrm{sign}(w)",
            numbers=f"{written(weight.slope)} + {factor(l2)} · {factor(weight.value)} + {factor(l1)} · {factor(float(np.sign(weight.value)))}",
            value=float(gradients[here]),
            note="Weight decay pulls it towards zero.",
        )
    length, limit = float(np.linalg.norm(gradients)), spec.clip_norm
    if limit is not None and length > limit:
        before = float(gradients[here])
        gradients *= limit / length
        yield Line(
            name="clipped",
            latex=r"g \leftarrow g\, \frac{\mathit{limit}}{|g|}",
            numbers=f"{factor(before)} · {factor(limit)} / {factor(length)}",
            value=float(gradients[here]),
            note="The whole gradient was too long, and is shortened.",
        )


@dataclass(frozen=True, slots=True)
class _Optimizer:
    """The optimizer before the update: its learning rate, what it remembers of the weight, and of how many steps."""

    spec: OptimizerSpec
    rate: float
    memory: Memory
    steps: int
    step: int

    @classmethod
    def of(cls, trainer: Trainer, place: int) -> _Optimizer:
        memory = {name: float(values[place]) for name, values in trainer.optimizer.state.items()}
        return cls(trainer.spec.optimizer, trainer.learning_rate, memory, trainer.optimizer.steps, trainer.steps)


def _updated(optimizer: _Optimizer, passed: _Passed, weight: _Weight) -> Iterator[Line]:
    network, here = passed.network, weight.place
    yield from update(
        optimizer.spec,
        weight.value,
        float(network.gradients[here]),
        optimizer.memory,
        steps=optimizer.steps,
        rate=optimizer.rate,
        decays=float(network.l2_mask[here]),
    ).lines
