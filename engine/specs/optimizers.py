"""How the weights move, in order of complexity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from engine.specs.ranges import DecayRate, Epsilon, LearningRate, Momentum, WeightDecay


@dataclass(frozen=True, slots=True, kw_only=True)
class SGD:
    """`w ← w − η g`."""

    learning_rate: LearningRate = 0.01
    name: Literal["sgd"] = "sgd"


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentumSGD:
    """`v ← μ v − η g`, `w ← w + v` (Polyak, 1964)."""

    learning_rate: LearningRate = 0.01
    momentum: Momentum = 0.9
    name: Literal["momentum"] = "momentum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nesterov:
    """Momentum with the gradient taken one step ahead (Sutskever et al., 2013)."""

    learning_rate: LearningRate = 0.01
    momentum: Momentum = 0.9
    name: Literal["nesterov"] = "nesterov"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adagrad:
    """Divides each step by the root of the sum of all squared gradients (Duchi et al., 2011)."""

    learning_rate: LearningRate = 0.01
    epsilon: Epsilon = 1e-8
    name: Literal["adagrad"] = "adagrad"


@dataclass(frozen=True, slots=True, kw_only=True)
class RMSProp:
    """Adagrad with a memory that fades; convnetjs calls it windowgrad (Tieleman and Hinton, 2012)."""

    learning_rate: LearningRate = 0.001
    rho: DecayRate = 0.95
    epsilon: Epsilon = 1e-8
    name: Literal["rmsprop"] = "rmsprop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adadelta:
    """Steps sized by the ratio of past steps to past gradients (Zeiler, 2012); a learning rate of 1 is his."""

    learning_rate: LearningRate = 1.0
    rho: DecayRate = 0.95
    epsilon: Epsilon = 1e-6
    name: Literal["adadelta"] = "adadelta"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam:
    """Momentum and RMSProp together, with the bias of the first steps divided out (Kingma and Ba, 2015)."""

    learning_rate: LearningRate = 0.001
    beta1: DecayRate = 0.9
    beta2: DecayRate = 0.999
    epsilon: Epsilon = 1e-8
    name: Literal["adam"] = "adam"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """Adam whose weight decay stays out of its averages (Loshchilov and Hutter, 2019)."""

    learning_rate: LearningRate = 0.001
    beta1: DecayRate = 0.9
    beta2: DecayRate = 0.999
    epsilon: Epsilon = 1e-8
    weight_decay: WeightDecay = 0.01
    name: Literal["adamw"] = "adamw"


OptimizerSpec: TypeAlias = SGD | MomentumSGD | Nesterov | Adagrad | RMSProp | Adadelta | Adam | AdamW
OPTIMIZER_SPECS: Mapping[str, type[OptimizerSpec]] = MappingProxyType(
    {
        "sgd": SGD,
        "momentum": MomentumSGD,
        "nesterov": Nesterov,
        "adagrad": Adagrad,
        "rmsprop": RMSProp,
        "adadelta": Adadelta,
        "adam": Adam,
        "adamw": AdamW,
    }
)
