"""Optimizers in order of complexity: SGD, momentum, Nesterov, Adagrad, RMSProp, Adadelta, Adam, AdamW.

Each works on one flat vector of parameters w and their gradients g, η being the learning rate. A step is a list of calls
on arrays that stay where they are (see engine.calls); the numbers in its formula are arrays without axes, set when they
change. Weight decay is not theirs, for it is part of the gradient when it arrives; AdamW alone has its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import sqrt
from types import MappingProxyType
from typing import ClassVar, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt

from engine import specs
from engine.arrays import Array, aligned_empty, aligned_zeros, check_shape
from engine.calls import Call

Spec = TypeVar("Spec", bound=specs.OptimizerSpec)
AdamSpec = TypeVar("AdamSpec", bound=specs.Adam | specs.AdamW)


class Optimizer(ABC, Generic[Spec]):
    """Updates parameters from gradients. What it remembers stands in `state`, one vector for each of `accumulators`.

    `spec` may be replaced between two steps by one of the same kind: the next step uses its numbers, memory stays.
    `decay_mask` (size,) says how strongly an optimizer's own weight decay works on each parameter; without it, fully.
    """

    accumulators: ClassVar[tuple[str, ...]] = ()
    counts_steps: ClassVar[bool] = False
    """Whether the numbers of a step depend on how many there were before."""

    def __init__(
        self, spec: Spec, size: int, dtype: npt.DTypeLike = np.float32, *, decay_mask: Array | None = None
    ) -> None:
        self.steps = 0
        self.decay_mask = decay_mask
        self.state: dict[str, Array] = {name: aligned_zeros((size,), dtype) for name in self.accumulators}
        self._change: Array = aligned_empty((size,), dtype)
        self._scratch: Array = aligned_empty((size,), dtype)
        self._numbers: dict[str, Array] = {}
        self._parameters: Array | None = None
        self._gradients: Array | None = None
        self._calls: list[Call] = []
        self.spec = spec

    @property
    def spec(self) -> Spec:
        return self._spec

    @spec.setter
    def spec(self, spec: Spec) -> None:
        self._spec = spec
        self._set(self._constants())

    # As in the losses: a diverged run is reported by its loss.
    @np.errstate(over="ignore", invalid="ignore")
    def step(self, parameters: Array, gradients: Array, share: float = 1.0) -> None:
        """Update `parameters` in place, with `share` of the learning rate; `gradients` stay as they are.

        ShapeError if either has another length.
        """
        if parameters is not self._parameters or gradients is not self._gradients:
            check_shape("Parameters", parameters, self._change.shape)
            check_shape("Gradients", gradients, self._change.shape)
            self._parameters, self._gradients = parameters, gradients
            self._calls = self.calls(parameters, gradients)
        self.prepare(share)
        for function, arguments in self._calls:
            function(*arguments)

    def prepare(self, share: float = 1.0) -> None:
        """Count a step, and set the numbers for it: it uses `share` of the learning rate."""
        self.steps += 1
        self._set(self._variables(share * self.spec.learning_rate))

    @abstractmethod
    def calls(self, parameters: Array, gradients: Array) -> list[Call]:
        """A step on these arrays, once it is prepared. They are bound to `state` as it is now."""

    def _constants(self) -> dict[str, float]:
        """Numbers of the formula that stay while `spec` does."""
        return {}

    def _variables(self, rate: float) -> dict[str, float]:
        """Numbers that a step may change, `rate` being its learning rate."""
        return {"rate": rate}

    def _set(self, numbers: Mapping[str, float]) -> None:
        for name, number in numbers.items():
            self._number(name).fill(number)

    def _number(self, name: str) -> Array:
        """The place of a number, an array without axes."""
        if name not in self._numbers:
            self._numbers[name] = np.zeros((), self._change.dtype)
        return self._numbers[name]

    def _average_squares(self, average: Array, values: Array) -> list[Call]:
        """`average ← ρ average + (1 − ρ) values²` with the numbers `rho` and `new`; overwrites the scratch vector."""
        scratch, rho, new = self._scratch, self._number("rho"), self._number("new")
        return [
            (np.multiply, (values, values, scratch)),
            (np.multiply, (scratch, new, scratch)),
            (np.multiply, (average, rho, average)),
            (np.add, (average, scratch, average)),
        ]


class SGD(Optimizer[specs.SGD]):
    """`w ← w − η g`."""

    def calls(self, parameters: Array, gradients: Array) -> list[Call]:
        change = self._change
        return [
            (np.multiply, (gradients, self._number("rate"), change)),
            (np.subtract, (parameters, change, parameters)),
        ]


class MomentumSGD(Optimizer[specs.MomentumSGD]):
    """`v ← μ v − η g`, `w ← w + v`."""

    accumulators = ("velocity",)

    def _constants(self) -> dict[str, float]:
        return {"momentum": self.spec.momentum}

    def calls(self, parameters: Array, gradients: Array) -> list[Call]:
        velocity, change = self.state["velocity"], self._change
        return [
            (np.multiply, (velocity, self._number("momentum"), velocity)),
            (np.multiply, (gradients, self._number("rate"), change)),
            (np.subtract, (velocity, change, velocity)),
            (np.add, (parameters, velocity, parameters)),
        ]


class Nesterov(Optimizer[specs.Nesterov]):
    """`v ← μ v − η g`, `w ← w + μ v − η g`: momentum, seen from the place where it will have carried w.

    Sutskever et al. (2013), https://proceedings.mlr.press/v28/sutskever13.html, with the look-ahead point as w.
    """

    accumulators = ("velocity",)

    def _constants(self) -> dict[str, float]:
        return {"momentum": self.spec.momentum}

    def calls(self, parameters: Array, gradients: Array) -> list[Call]:
        velocity, change, momentum = self.state["velocity"], self._change, self._number("momentum")
        return [
            (np.multiply, (gradients, self._number("rate"), change)),
            (np.multiply, (velocity, momentum, velocity)),
            (np.subtract, (velocity, change, velocity)),
            (np.subtract, (parameters, change, parameters)),
            (np.multiply, (velocity, momentum, change)),
            (np.add, (parameters, change, parameters)),
        ]


class Adagrad(Optimizer[specs.Adagrad]):
    """`h ← h + g²`, `w ← w − η g / (√h + ε)`. Duchi et al. (2011), https://jmlr.org/papers/v12/duchi11a.html."""

    accumulators = ("squared_gradients",)

    def _constants(self) -> dict[str, float]:
        return {"epsilon": self.spec.epsilon}

    def calls(self, parameters: Array, gradients: Array) -> list[Call]:
        squares, change = self.state["squared_gradients"], self._change
        return [
            (np.multiply, (gradients, gradients, change)),
            (np.add, (squares, change, squares)),
            (np.sqrt, (squares, change)),
            (np.add, (change, self._number("epsilon"), change)),
            (np.divide, (gradients, change, change)),
            (np.multiply, (change, self._number("rate"), change)),
            (np.subtract, (parameters, change, parameters)),
        ]


class RMSProp(Optimizer[specs.RMSProp]):
    """`h ← ρ h + (1 − ρ) g²`, `w ← w − η g / (√h + ε)`. Tieleman and Hinton (2012), lecture 6.5."""

    accumulators = ("squared_gradients",)

    def _constants(self) -> dict[str, float]:
        return {"rho": self.spec.rho, "new": 1 - self.spec.rho, "epsilon": self.spec.epsilon}

    def calls(self, parameters: Array, gradients: Array) -> list[Call]:
        squares, change = self.state["squared_gradients"], self._change
        return [
            *self._average_squares(squares, gradients),
            (np.sqrt, (squares, change)),
            (np.add, (change, self._number("epsilon"), change)),
            (np.divide, (gradients, change, change)),
            (np.multiply, (change, self._number("rate"), change)),
            (np.subtract, (parameters, change, parameters)),
        ]


class Adadelta(Optimizer[specs.Adadelta]):
    """`h ← ρ h + (1 − ρ) g²`, `d = g √((u + ε) / (h + ε))`, `u ← ρ u + (1 − ρ) d²`, `w ← w − η d`.

    Zeiler (2012), https://arxiv.org/abs/1212.5701.
    """

    accumulators = ("squared_gradients", "squared_updates")

    def _constants(self) -> dict[str, float]:
        return {"rho": self.spec.rho, "new": 1 - self.spec.rho, "epsilon": self.spec.epsilon}

    def calls(self, parameters: Array, gradients: Array) -> list[Call]:
        squares, updates = self.state["squared_gradients"], self.state["squared_updates"]
        change, scratch, epsilon = self._change, self._scratch, self._number("epsilon")
        return [
            *self._average_squares(squares, gradients),
            (np.add, (updates, epsilon, change)),
            (np.add, (squares, epsilon, scratch)),
            (np.divide, (change, scratch, change)),
            (np.sqrt, (change, change)),
            (np.multiply, (change, gradients, change)),
            *self._average_squares(updates, change),
            (np.multiply, (change, self._number("rate"), change)),
            (np.subtract, (parameters, change, parameters)),
        ]


class Adam(Optimizer[AdamSpec]):
    """`m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`, `w ← w − η m̂ / (√v̂ + ε)`.

    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) undo the pull of their start at zero. Kingma and Ba (2015),
    https://arxiv.org/abs/1412.6980.
    """

    accumulators = ("first_moment", "second_moment")
    counts_steps = True

    def _constants(self) -> dict[str, float]:
        spec = self.spec
        return {
            "beta1": spec.beta1,
            "new1": 1 - spec.beta1,
            "rho": spec.beta2,
            "new": 1 - spec.beta2,
            "epsilon": spec.epsilon,
        }

    def _variables(self, rate: float) -> dict[str, float]:
        return {
            "rate": rate / (1 - self.spec.beta1**self.steps),
            "root": 1 / sqrt(1 - self.spec.beta2**self.steps),
        }

    def calls(self, parameters: Array, gradients: Array) -> list[Call]:
        first, second, change = self.state["first_moment"], self.state["second_moment"], self._change
        return [
            (np.multiply, (first, self._number("beta1"), first)),
            (np.multiply, (gradients, self._number("new1"), change)),
            (np.add, (first, change, first)),
            *self._average_squares(second, gradients),
            (np.sqrt, (second, change)),
            (np.multiply, (change, self._number("root"), change)),
            (np.add, (change, self._number("epsilon"), change)),
            (np.divide, (first, change, change)),
            (np.multiply, (change, self._number("rate"), change)),
            (np.subtract, (parameters, change, parameters)),
        ]


class AdamW(Adam[specs.AdamW]):
    """`w ← w − η λ w`, then a step of Adam's: weights shrink at one pace, whatever their gradients' history.

    In Adam, decay that arrives with the gradient is divided by √v̂ like the rest of it, so that weights with large
    gradients hardly decay. Loshchilov and Hutter (2019), https://arxiv.org/abs/1711.05101.
    """

    def _variables(self, rate: float) -> dict[str, float]:
        return {**super()._variables(rate), "decay": rate * self.spec.weight_decay}

    def calls(self, parameters: Array, gradients: Array) -> list[Call]:
        change, mask = self._change, self.decay_mask
        return [
            (np.multiply, (parameters, self._number("decay"), change)),
            *([] if mask is None else [(np.multiply, (change, mask, change))]),
            (np.subtract, (parameters, change, parameters)),
            *super().calls(parameters, gradients),
        ]


AnyOptimizer = Optimizer[specs.OptimizerSpec]

OPTIMIZERS: Mapping[str, type[AnyOptimizer]] = MappingProxyType(
    cast(
        dict[str, type[AnyOptimizer]],
        {
            "sgd": SGD,
            "momentum": MomentumSGD,
            "nesterov": Nesterov,
            "adagrad": Adagrad,
            "rmsprop": RMSProp,
            "adadelta": Adadelta,
            "adam": Adam,
            "adamw": AdamW,
        },
    )
)
