"""One weight's update, line by line, with what its optimizer remembers of earlier gradients.

In float64 and for a single weight; `engine.optimizers` does the same to whole vectors. η, the learning rate, is called α
here, as on the slide "Batch": `w ← w − α ∇Loss(w)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from types import MappingProxyType
from typing import Any

from engine.lessons.by_hand import Line, factor, written
from engine.specs import OptimizerSpec

Memory = Mapping[str, float]
"""What the optimizer remembers of this weight, by the names of its `accumulators`; 0 before the first update."""


@dataclass(frozen=True, slots=True)
class Update:
    """The lines that lead to the new `weight`; `memory` is what is remembered then."""

    lines: tuple[Line, ...]
    weight: float
    memory: Memory


def update(
    optimizer: OptimizerSpec,
    weight: float,
    gradient: float,
    memory: Memory,
    *,
    steps: int,
    rate: float,
    decays: float = 1.0,
    about: str = "",
) -> Update:
    """The update of one weight after `steps` others. `rate` is the learning rate as its schedule has it now.

    decays: how strongly AdamW's own weight decay works on it, 0 for a bias; about: what lights up.
    """
    sheet = _Sheet(optimizer, weight, gradient, dict(memory), steps + 1, rate, decays, about)
    _RULES[optimizer.name](sheet)
    return Update(tuple(sheet.lines), sheet.weight, sheet.memory)


class _Sheet:
    """What is being worked out: every line changes a number of the memory, or the weight."""

    def __init__(
        self,
        optimizer: Any,
        weight: float,
        gradient: float,
        memory: dict[str, float],
        t: int,
        rate: float,
        decays: float,
        about: str,
    ) -> None:
        self.spec, self.weight, self.g, self.memory, self.t, self.rate = optimizer, weight, gradient, memory, t, rate
        self.decays, self.about = decays, about
        self.lines: list[Line] = []

    def line(self, name: str, latex: str, numbers: str, value: float) -> float:
        self.lines.append(Line(name=name, about=self.about, latex=latex, numbers=numbers, value=value))
        return value

    def remember(self, name: str, latex: str, numbers: str, value: float) -> float:
        self.memory[name] = self.line(name, latex, numbers, value)
        return value

    def move(self, latex: str, numbers: str, value: float) -> None:
        self.weight = self.line("weight", latex, numbers, value)

    def average(self, name: str, latex: str, rho: float, added: float) -> float:
        """A running average that forgets: `m ← ρ m + (1 − ρ) x`."""
        numbers = f"{written(rho)} · {factor(self.memory[name])} + (1 − {written(rho)}) · {factor(added)}"
        return self.remember(name, latex, numbers, rho * self.memory[name] + (1 - rho) * added)

    def average_squares(self, name: str, latex: str, rho: float, added: float) -> float:
        """The same of squares: `h ← ρ h + (1 − ρ) x²`."""
        numbers = f"{written(rho)} · {factor(self.memory[name])} + (1 − {written(rho)}) · {factor(added)}²"
        return self.remember(name, latex, numbers, rho * self.memory[name] + (1 - rho) * added * added)


def _sgd(s: _Sheet) -> None:
    s.move(
        r"w \leftarrow w - \alpha g", f"{written(s.weight)} − {factor(s.rate)} · {factor(s.g)}", s.weight - s.rate * s.g
    )


def _velocity(s: _Sheet) -> float:
    before, keep = s.memory["velocity"], s.spec.momentum
    return s.remember(
        "velocity",
        r"v \leftarrow \mu v - \alpha g",
        f"{written(keep)} · {factor(before)} − {factor(s.rate)} · {factor(s.g)}",
        keep * before - s.rate * s.g,
    )


def _momentum(s: _Sheet) -> None:
    v = _velocity(s)
    s.move(r"w \leftarrow w + v", f"{written(s.weight)} + {factor(v)}", s.weight + v)


def _nesterov(s: _Sheet) -> None:
    v, keep = _velocity(s), s.spec.momentum
    s.move(
        r"w \leftarrow w + \mu v - \alpha g",
        f"{written(s.weight)} + {written(keep)} · {factor(v)} − {factor(s.rate)} · {factor(s.g)}",
        s.weight + keep * v - s.rate * s.g,
    )


_FADING_SQUARES = r"h \leftarrow \rho h + (1 - \rho) g^2"


def _divided(s: _Sheet, h: float) -> None:
    """`w ← w − α g / (√h + ε)`."""
    epsilon = s.spec.epsilon
    s.move(
        r"w \leftarrow w - \frac{\alpha g}{\sqrt{h} + \varepsilon}",
        f"{written(s.weight)} − {factor(s.rate)} · {factor(s.g)} / (√{factor(h)} + {factor(epsilon)})",
        s.weight - s.rate * s.g / (sqrt(h) + epsilon),
    )


def _adagrad(s: _Sheet) -> None:
    before = s.memory["squared_gradients"]
    h = s.remember(
        "squared_gradients", r"h \leftarrow h + g^2", f"{written(before)} + {factor(s.g)}²", before + s.g * s.g
    )
    _divided(s, h)


def _rmsprop(s: _Sheet) -> None:
    _divided(s, s.average_squares("squared_gradients", _FADING_SQUARES, s.spec.rho, s.g))


def _adadelta(s: _Sheet) -> None:
    rho, epsilon, u = s.spec.rho, s.spec.epsilon, s.memory["squared_updates"]
    h = s.average_squares("squared_gradients", _FADING_SQUARES, rho, s.g)
    d = s.line(
        "step",
        r"d = g \sqrt{\frac{u + \varepsilon}{h + \varepsilon}}",
        f"{factor(s.g)} · √(({written(u)} + {factor(epsilon)}) / ({written(h)} + {factor(epsilon)}))",
        s.g * sqrt((u + epsilon) / (h + epsilon)),
    )
    s.average_squares("squared_updates", r"u \leftarrow \rho u + (1 - \rho) d^2", rho, d)
    s.move(r"w \leftarrow w - \alpha d", f"{written(s.weight)} − {factor(s.rate)} · {factor(d)}", s.weight - s.rate * d)


def _adam(s: _Sheet) -> None:
    beta1, beta2, epsilon = s.spec.beta1, s.spec.beta2, s.spec.epsilon
    m = s.average("first_moment", r"m \leftarrow \beta_1 m + (1 - \beta_1) g", beta1, s.g)
    v = s.average_squares("second_moment", r"v \leftarrow \beta_2 v + (1 - \beta_2) g^2", beta2, s.g)
    m_hat = s.line(
        "first_unbiased",
        r"\hat{m} = \frac{m}{1 - \beta_1^t}",
        f"{factor(m)} / (1 − {written(beta1)}^{s.t})",
        m / (1 - beta1**s.t),
    )
    v_hat = s.line(
        "second_unbiased",
        r"\hat{v} = \frac{v}{1 - \beta_2^t}",
        f"{factor(v)} / (1 − {written(beta2)}^{s.t})",
        v / (1 - beta2**s.t),
    )
    s.move(
        r"w \leftarrow w - \frac{\alpha \hat{m}}{\sqrt{\hat{v}} + \varepsilon}",
        f"{written(s.weight)} − {factor(s.rate)} · {factor(m_hat)} / (√{factor(v_hat)} + {factor(epsilon)})",
        s.weight - s.rate * m_hat / (sqrt(v_hat) + epsilon),
    )


def _adamw(s: _Sheet) -> None:
    decay = s.decays * s.spec.weight_decay
    if decay:
        s.weight = s.line(
            "decayed",
            r"w \leftarrow w - \alpha \lambda w",
            f"{written(s.weight)} − {factor(s.rate)} · {factor(decay)} · {factor(s.weight)}",
            s.weight - s.rate * decay * s.weight,
        )
    _adam(s)


_RULES: Mapping[str, Callable[[_Sheet], None]] = MappingProxyType(
    {
        "sgd": _sgd,
        "momentum": _momentum,
        "nesterov": _nesterov,
        "adagrad": _adagrad,
        "rmsprop": _rmsprop,
        "adadelta": _adadelta,
        "adam": _adam,
        "adamw": _adamw,
    }
)
