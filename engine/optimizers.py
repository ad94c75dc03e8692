"""Optimizers in order of complexity: SGD, momentum, Nesterov, Adagrad, RMSProp, Adadelta, Adam, AdamW.

Each works on one flat vector of parameters w and their gradients g, η being the learning rate, and allocates nothing
in a step. Weight decay is not theirs, for it is part of the gradient when it arrives; AdamW alone has its own.
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
from engine.arrays import Array, check_shape

Spec = TypeVar("Spec", bound=specs.OptimizerSpec)
AdamSpec = TypeVar("AdamSpec", bound=specs.Adam | specs.AdamW)


class Optimizer(ABC, Generic[Spec]):
    """Updates parameters from gradients. What it remembers stands in `state`, one vector for each of `accumulators`.

    `spec` may be replaced between two steps by one of the same kind: the next step uses its numbers, memory stays.
    `decay_mask` (size,) says how strongly an optimizer's own weight decay works on each parameter; without it, fully.
    """

    accumulators: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, spec: Spec, size: int, dtype: npt.DTypeLike = np.float32, *, decay_mask: Array | None = None
    ) -> None:
        self.spec = spec
        self.steps = 0
        self.decay_mask = decay_mask
        self._rate = spec.learning_rate
        self.state: dict[str, Array] = {name: np.zeros(size, dtype) for name in self.accumulators}
        self._change: Array = np.empty(size, dtype)
        self._scratch: Array = np.empty(size, dtype)

    # As in the losses: a diverged run is reported by its loss.
    @np.errstate(over="ignore", invalid="ignore")
    def step(self, parameters: Array, gradients: Array, share: float = 1.0) -> None:
        """Update `parameters` in place, with `share` of the learning rate; `gradients` stay as they are.

        ShapeError if either has another length.
        """
        check_shape("Parameters", parameters, self._change.shape)
        check_shape("Gradients", gradients, self._change.shape)
        self.steps += 1
        self._rate = share * self.spec.learning_rate
        self._step(parameters, gradients)

    @abstractmethod
    def _step(self, parameters: Array, gradients: Array) -> None: ...

    def _average_squares(self, average: Array, values: Array, rho: float) -> None:
        """`average ← ρ average + (1 − ρ) values²`; overwrites the scratch vector."""
        np.multiply(values, values, out=self._scratch)
        self._scratch *= 1 - rho
        average *= rho
        average += self._scratch


class SGD(Optimizer[specs.SGD]):
    """`w ← w − η g`."""

    def _step(self, parameters: Array, gradients: Array) -> None:
        np.multiply(gradients, self._rate, out=self._change)
        parameters -= self._change


class MomentumSGD(Optimizer[specs.MomentumSGD]):
    """`v ← μ v − η g`, `w ← w + v`."""

    accumulators = ("velocity",)

    def _step(self, parameters: Array, gradients: Array) -> None:
        velocity = self.state["velocity"]
        velocity *= self.spec.momentum
        np.multiply(gradients, self._rate, out=self._change)
        velocity -= self._change
        parameters += velocity


class Nesterov(Optimizer[specs.Nesterov]):
    """`v ← μ v − η g`, `w ← w + μ v − η g`: momentum, seen from the place where it will have carried w.

    Sutskever et al. (2013), https://proceedings.mlr.press/v28/sutskever13.html, with the look-ahead point as w.
    """

    accumulators = ("velocity",)

    def _step(self, parameters: Array, gradients: Array) -> None:
        velocity = self.state["velocity"]
        np.multiply(gradients, self._rate, out=self._change)
        velocity *= self.spec.momentum
        velocity -= self._change
        parameters -= self._change
        np.multiply(velocity, self.spec.momentum, out=self._change)
        parameters += self._change


class Adagrad(Optimizer[specs.Adagrad]):
    """`h ← h + g²`, `w ← w − η g / (√h + ε)`. Duchi et al. (2011), https://jmlr.org/papers/v12/duchi11a.html."""

    accumulators = ("squared_gradients",)

    def _step(self, parameters: Array, gradients: Array) -> None:
        squares, change = self.state["squared_gradients"], self._change
        np.multiply(gradients, gradients, out=change)
        squares += change
        np.sqrt(squares, out=change)
        change += self.spec.epsilon
        np.divide(gradients, change, out=change)
        change *= self._rate
        parameters -= change


class RMSProp(Optimizer[specs.RMSProp]):
    """`h ← ρ h + (1 − ρ) g²`, `w ← w − η g / (√h + ε)`. Tieleman and Hinton (2012), lecture 6.5."""

    accumulators = ("squared_gradients",)

    def _step(self, parameters: Array, gradients: Array) -> None:
        squares, change = self.state["squared_gradients"], self._change
        self._average_squares(squares, gradients, self.spec.rho)
        np.sqrt(squares, out=change)
        change += self.spec.epsilon
        np.divide(gradients, change, out=change)
        change *= self._rate
        parameters -= change


class Adadelta(Optimizer[specs.Adadelta]):
    """`h ← ρ h + (1 − ρ) g²`, `d = g √((u + ε) / (h + ε))`, `u ← ρ u + (1 − ρ) d²`, `w ← w − η d`.

    Zeiler (2012), https://arxiv.org/abs/1212.5701.
    """

    accumulators = ("squared_gradients", "squared_updates")

    def _step(self, parameters: Array, gradients: Array) -> None:
        squares, updates = self.state["squared_gradients"], self.state["squared_updates"]
        change, scratch, spec = self._change, self._scratch, self.spec
        self._average_squares(squares, gradients, spec.rho)
        np.add(updates, spec.epsilon, out=change)
        np.add(squares, spec.epsilon, out=scratch)
        change /= scratch
        np.sqrt(change, out=change)
        change *= gradients
        self._average_squares(updates, change, spec.rho)
        change *= self._rate
        parameters -= change


class Adam(Optimizer[AdamSpec]):
    """`m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`, `w ← w − η m̂ / (√v̂ + ε)`.

    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) undo the pull of their start at zero. Kingma and Ba (2015),
    https://arxiv.org/abs/1412.6980.
    """

    accumulators = ("first_moment", "second_moment")

    def _step(self, parameters: Array, gradients: Array) -> None:
        first, second = self.state["first_moment"], self.state["second_moment"]
        change, spec = self._change, self.spec
        first *= spec.beta1
        np.multiply(gradients, 1 - spec.beta1, out=change)
        first += change
        self._average_squares(second, gradients, spec.beta2)
        np.sqrt(second, out=change)
        change *= 1 / sqrt(1 - spec.beta2**self.steps)
        change += spec.epsilon
        np.divide(first, change, out=change)
        change *= self._rate / (1 - spec.beta1**self.steps)
        parameters -= change


class AdamW(Adam[specs.AdamW]):
    """`w ← w − η λ w`, then a step of Adam's: weights shrink at one pace, whatever their gradients' history.

    In Adam, decay that arrives with the gradient is divided by √v̂ like the rest of it, so that weights with large
    gradients hardly decay. Loshchilov and Hutter (2019), https://arxiv.org/abs/1711.05101.
    """

    def _step(self, parameters: Array, gradients: Array) -> None:
        np.multiply(parameters, self._rate * self.spec.weight_decay, out=self._change)
        if self.decay_mask is not None:
            self._change *= self.decay_mask
        parameters -= self._change
        super()._step(parameters, gradients)


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
