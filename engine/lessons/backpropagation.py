"""The lecture's network of five units, worked out by hand: forwards, backwards, and one update.

Units are numbered as on the slides: 1 and 2 are the inputs, 3 and 4 are hidden, 5 is the output.

    ŷ = g5(w0,5 + w3,5 · g3(w0,3 + w1,3 x1 + w2,3 x2) + w4,5 · g4(w0,4 + w1,4 x1 + w2,4 x2)),   Loss = (y − ŷ)²

Slides "Neural Network is a Function", "Gradient", "Batch"; the derivations are in AIMA, 3rd edition, 18.7.4. One slide
writes Δ5 = 2 (y − ŷ) g5′(in5) and another puts −2 in front. Here Δ5 = ∂Loss/∂in5 = −2 (y − ŷ) g5′(in5), so that every
gradient is Δ times what came in, and every update takes it off. All of it in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, tanh
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from engine.datasets.table import encode_rows
from engine.lessons.by_hand import Line, factor, shortest, written
from engine.lessons.updates import Memory, Update, update
from engine.specs import Dense, LayerSpec, OptimizerSpec, ReLU, Sigmoid, TableSpec, Tanh
from engine.trainer import Trainer

Activation: TypeAlias = Literal["sigmoid", "tanh", "relu", "linear"]

WEIGHTS: tuple[str, ...] = ("w13", "w23", "w14", "w24", "w03", "w04", "w35", "w45", "w05")
"""In the order of `Network.parameters` of a network 2-2-1: `w13` goes from unit 1 to unit 3, `w03` is unit 3's bias."""

_SOURCES: Mapping[str, tuple[str, str]] = MappingProxyType({"3": ("1", "2"), "4": ("1", "2"), "5": ("3", "4")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What the network is shown, and what it should answer."""

    x1: float
    x2: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One example through the network: the lines there and back, `gradients` by weight, and the loss."""

    forward: tuple[Line, ...]
    backward: tuple[Line, ...]
    gradients: Mapping[str, float]
    output: float
    loss: float


def worked(weights: Mapping[str, float], example: Example, hidden: Activation, output: Activation) -> Pass:
    """The example forwards to its loss and backwards to the gradient of every weight."""
    sheet = _Sheet(weights, example, {"3": hidden, "4": hidden, "5": output})
    forward = tuple(sheet.forward())
    backward = tuple(sheet.backward())
    gradients = {weight: sheet.values[f"d{weight}"] for weight in WEIGHTS}
    values = sheet.values
    return Pass(forward=forward, backward=backward, gradients=gradients, output=values["a5"], loss=values["loss"])


def updates(
    weights: Mapping[str, float],
    gradients: Mapping[str, float],
    optimizer: OptimizerSpec,
    memory: Mapping[str, Sequence[float]],
    *,
    steps: int,
) -> dict[str, Update]:
    """What becomes of every weight. `memory` is the optimizer's, each vector in the order of `WEIGHTS`; none before the first."""

    def of(place: int) -> Memory:
        return {name: values[place] for name, values in memory.items()}

    return {
        weight: update(
            optimizer,
            weights[weight],
            gradients[weight],
            of(place),
            steps=steps,
            rate=optimizer.learning_rate,
            decays=0.0 if is_bias(weight) else 1.0,
            about=f"{weight} {weight[2]}",
        )
        for place, weight in enumerate(WEIGHTS)
    }


def is_bias(weight: str) -> bool:
    return weight[1] == "0"


def symbol(weight: str) -> str:
    """`w13` as LaTeX."""
    return f"w_{{{weight[1]},{weight[2]}}}"


# ---- Activations -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Function:
    """g and g′ of a unit's input z and its output a: LaTeX of unit j, numbers put in, value."""

    latex: Callable[[str], str]
    numbers: Callable[[float], str]
    value: Callable[[float], float]
    slope_latex: Callable[[str], str]
    slope_numbers: Callable[[float, float], str]
    slope: Callable[[float, float], float]


_FUNCTIONS: Mapping[Activation, _Function] = MappingProxyType(
    {
        "sigmoid": _Function(
            lambda j: rf"\frac{{1}}{{1 + e^{{-{_taken(j)}}}}}",
            lambda z: f"1 / (1 + e^({written(-z)}))",
            lambda z: 1 / (1 + exp(-z)) if z > 0 else exp(z) / (1 + exp(z)),  # the same, and no power overflows
            lambda a: f"{a} (1 - {a})",
            lambda _, a: f"{written(a)} · (1 − {written(a)})",
            lambda _, a: a * (1 - a),
        ),
        "tanh": _Function(
            lambda j: rf"\tanh({_taken(j)})",
            lambda z: f"tanh({written(z)})",
            tanh,
            lambda a: f"1 - {a}^2",
            lambda _, a: f"1 − {factor(a)}²",
            lambda _, a: 1 - a * a,
        ),
        "relu": _Function(
            lambda j: rf"\max(0, {_taken(j)})",
            lambda z: f"max(0, {written(z)})",
            lambda z: max(0.0, z),
            lambda _: r"1 \text{ above 0, else } 0",
            lambda z, _: f"({written(z)} > 0)",
            lambda z, _: float(z > 0),
        ),
        "linear": _Function(
            lambda j: _taken(j), written, lambda z: z, lambda _: "1", lambda _, __: "1", lambda _, __: 1.0
        ),
    }
)


# ---- The calculation ---------------------------------------------------------------------------------------------------


class _Sheet:
    """All numbers by name: `w13`, `in3`, `a3`, `slope3`, `delta3`, `dw13`, `loss`."""

    def __init__(self, weights: Mapping[str, float], example: Example, units: Mapping[str, Activation]) -> None:
        self.values: dict[str, float] = {**weights, "a0": 1.0, "a1": example.x1, "a2": example.x2, "y": example.y}
        self.units = units

    def line(self, name: str, about: str, latex: str, numbers: str, value: float) -> Line:
        self.values[name] = value
        return Line(name=name, about=about, latex=latex, numbers=numbers, value=value)

    def forward(self) -> Iterator[Line]:
        for unit in ("3", "4", "5"):
            yield self.weighted_input(unit)
            yield self.activation(unit)
        v = self.values
        yield self.line(
            "loss",
            "loss",
            r"\mathit{Loss} = (y - \hat{y})^2",
            f"({written(v['y'])} − {factor(v['a5'])})²",
            (v["y"] - v["a5"]) ** 2,
        )

    def backward(self) -> Iterator[Line]:
        yield self.slope("5")
        v = self.values
        yield self.line(
            "delta5",
            "5 loss",
            r"\Delta_5 = -2 (y - \hat{y})\, g_5'(\mathit{in}_5)",
            f"−2 · ({written(v['y'])} − {factor(v['a5'])}) · {factor(v['slope5'])}",
            -2 * (v["y"] - v["a5"]) * v["slope5"],
        )
        yield from self.gradients("5")
        for unit in ("3", "4"):
            yield self.slope(unit)
            weight = f"w{unit}5"
            yield self.line(
                f"delta{unit}",
                f"{unit} {weight}",
                rf"\Delta_{unit} = \Delta_5\, {symbol(weight)}\, g_{unit}'({_taken(unit)})",
                f"{written(v['delta5'])} · {factor(v[weight])} · {factor(v[f'slope{unit}'])}",
                v["delta5"] * v[weight] * v[f"slope{unit}"],
            )
            yield from self.gradients(unit)

    def weighted_input(self, unit: str) -> Line:
        v, sources = self.values, _SOURCES[unit]
        weights = [f"w{source}{unit}" for source in sources]
        terms = [(weight, f"a{source}") for weight, source in zip(weights, sources, strict=True)]
        bias = f"w0{unit}"
        return self.line(
            f"in{unit}",
            " ".join((unit, bias, *weights)),
            rf"{_taken(unit)} = {symbol(bias)}"
            + "".join(
                rf" + {symbol(weight)}\, {answer(source)}" for weight, source in zip(weights, sources, strict=True)
            ),
            written(v[bias]) + "".join(f" + {factor(v[weight])} · {factor(v[a])}" for weight, a in terms),
            v[bias] + sum(v[weight] * v[a] for weight, a in terms),
        )

    def activation(self, unit: str) -> Line:
        g, z = _FUNCTIONS[self.units[unit]], self.values[f"in{unit}"]
        return self.line(
            f"a{unit}", unit, rf"{answer(unit)} = g_{unit}({_taken(unit)}) = {g.latex(unit)}", g.numbers(z), g.value(z)
        )

    def slope(self, unit: str) -> Line:
        g, z, a = _FUNCTIONS[self.units[unit]], self.values[f"in{unit}"], self.values[f"a{unit}"]
        return self.line(
            f"slope{unit}",
            unit,
            rf"g_{unit}'({_taken(unit)}) = {g.slope_latex(answer(unit))}",
            g.slope_numbers(z, a),
            g.slope(z, a),
        )

    def gradients(self, unit: str) -> Iterator[Line]:
        """Δ times what came in; a bias has 1 coming in."""
        v, delta = self.values, self.values[f"delta{unit}"]
        for source in (*_SOURCES[unit], "0"):
            weight, came = f"w{source}{unit}", "" if source == "0" else rf"\, {answer(source)}"
            yield self.line(
                f"d{weight}",
                f"{weight} {unit}",
                rf"\frac{{\partial \mathit{{Loss}}}}{{\partial {symbol(weight)}}} = \Delta_{unit}{came}",
                written(delta) + ("" if source == "0" else f" · {factor(v[f'a{source}'])}"),
                delta * v[f"a{source}"],
            )


def _taken(unit: str) -> str:
    """What a unit takes in, as LaTeX."""
    return rf"\mathit{{in}}_{unit}"


def answer(unit: str) -> str:
    """What a unit gives out, as LaTeX: `x_1` of an input, `a_3`, and ŷ of the last."""
    return {"1": "x_1", "2": "x_2", "5": r"\hat{y}"}.get(unit, f"a_{unit}")


# ---- As a run ----------------------------------------------------------------------------------------------------------


def one_example(example: Example) -> TableSpec:
    """A table of this example alone, to train on."""
    row = (example.x1, example.x2, example.y)
    return TableSpec(columns=("x1", "x2"), class_names=(), values=encode_rows([row]), target="y", train_share=1.0)


def layers(hidden: Activation, output: Activation) -> tuple[LayerSpec, ...]:
    """The network 2-2-1 as a run's spec has it."""
    return (Dense(units=2), *_LAYERS[hidden], Dense(units=1), *_LAYERS[output])


_LAYERS: Mapping[Activation, tuple[LayerSpec, ...]] = MappingProxyType(
    {"sigmoid": (Sigmoid(),), "tanh": (Tanh(),), "relu": (ReLU(),), "linear": ()}
)


def remembered(trainer: Trainer) -> Generator[None, None, dict[str, Any]]:
    """What the optimizer of a run remembers of its few weights at this moment, by the names of its accumulators."""
    state = trainer.optimizer.state
    found = {name: [shortest(value) for value in values.tolist()] for name, values in state.items()}
    yield
    return found
