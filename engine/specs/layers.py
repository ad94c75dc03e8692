"""What a network is made of, one dataclass a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from engine.specs.ranges import (
    DecayMultiplier,
    DropRate,
    Filters,
    GroupSize,
    KernelLength,
    KernelSize,
    Memory,
    Neighbours,
    NormOffset,
    NormPower,
    NormScale,
    Padding,
    PoolLength,
    PoolSize,
    Slope,
    SmallVariance,
    Stride,
    Units,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """Every unit sees every input: `z = W a + b`."""

    units: Units = 10
    l1_multiplier: DecayMultiplier = 1.0
    l2_multiplier: DecayMultiplier = 1.0
    type: Literal["dense"] = "dense"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2D:
    """A bank of filters slides over the image; output size `floor((in + 2·padding − kernel) / stride) + 1`."""

    filters: Filters = 8
    kernel_size: KernelSize = 5
    stride: Stride = 1
    padding: Padding = 0
    l1_multiplier: DecayMultiplier = 1.0
    l2_multiplier: DecayMultiplier = 1.0
    type: Literal["conv2d"] = "conv2d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv1D:
    """Filters as high as the map slide along it: a sequence of columns; output width as for Convolution, height 1."""

    filters: Filters = 8
    kernel_size: KernelLength = 5
    stride: Stride = 1
    padding: Padding = 0
    l1_multiplier: DecayMultiplier = 1.0
    l2_multiplier: DecayMultiplier = 1.0
    type: Literal["conv1d"] = "conv1d"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool2D:
    """Keeps the largest value of each window; output size `floor((in − pool_size) / stride) + 1`."""

    pool_size: PoolSize = 2
    stride: Stride = 2
    type: Literal["max_pool2d"] = "max_pool2d"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool1D:
    """Keeps the largest of neighbouring values in each row; output width `floor((in − pool_size) / stride) + 1`."""

    pool_size: PoolLength = 2
    stride: Stride = 2
    type: Literal["max_pool1d"] = "max_pool1d"


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePool2D:
    """Keeps the mean of each window; output size `floor((in − pool_size) / stride) + 1`."""

    pool_size: PoolSize = 2
    stride: Stride = 2
    type: Literal["avg_pool2d"] = "avg_pool2d"


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalAveragePool2D:
    """Keeps one number of each map: its mean."""

    type: Literal["global_avg_pool2d"] = "global_avg_pool2d"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReLU:
    """`max(z, 0)`."""

    type: Literal["relu"] = "relu"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakyReLU:
    """`z` above zero, `slope·z` below."""

    slope: Slope = 0.01
    type: Literal["leaky_relu"] = "leaky_relu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tanh:
    """The hyperbolic tangent, between −1 and 1."""

    type: Literal["tanh"] = "tanh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid:
    """`1 / (1 + e^−z)`, between 0 and 1."""

    type: Literal["sigmoid"] = "sigmoid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Softplus:
    """`log(1 + e^z)`, a smooth ReLU."""

    type: Literal["softplus"] = "softplus"


@dataclass(frozen=True, slots=True, kw_only=True)
class GELU:
    """`z · Φ(z)`, Φ the bell curve's distribution in its usual approximation by tanh: a ReLU with a soft corner."""

    type: Literal["gelu"] = "gelu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maxout:
    """Of each `group_size` neighbouring channels or units the largest; their number must be a multiple of it."""

    group_size: GroupSize = 2
    type: Literal["maxout"] = "maxout"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalResponseNormalization:
    """`z / (k + α/n · Σ z²)^β`, the sum over the `n` nearest channels in the same place."""

    k: NormOffset = 2.0
    n: Neighbours = 5
    alpha: NormScale = 0.0001
    beta: NormPower = 0.75
    type: Literal["local_response_normalization"] = "local_response_normalization"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNormalization:
    """Each map is brought to mean 0 and variance 1, by the batch while training and by running values after, then scaled and shifted as learned."""

    memory: Memory = 0.9
    epsilon: SmallVariance = 1e-5
    type: Literal["batch_normalization"] = "batch_normalization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropout:
    """Switches units off at random while training and scales the others up (inverted dropout); idle when predicting."""

    rate: DropRate = 0.5
    type: Literal["dropout"] = "dropout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten:
    """Turns maps into one long column. Dense layers do this by themselves; written out it only says so."""

    type: Literal["flatten"] = "flatten"


LayerSpec: TypeAlias = (
    Dense
    | Conv2D
    | Conv1D
    | MaxPool2D
    | MaxPool1D
    | AveragePool2D
    | GlobalAveragePool2D
    | ReLU
    | LeakyReLU
    | Tanh
    | Sigmoid
    | Softplus
    | GELU
    | Maxout
    | LocalResponseNormalization
    | BatchNormalization
    | Dropout
    | Flatten
)
LAYER_SPECS: Mapping[str, type[LayerSpec]] = MappingProxyType(
    {
        "dense": Dense,
        "conv2d": Conv2D,
        "conv1d": Conv1D,
        "max_pool2d": MaxPool2D,
        "max_pool1d": MaxPool1D,
        "avg_pool2d": AveragePool2D,
        "global_avg_pool2d": GlobalAveragePool2D,
        "relu": ReLU,
        "leaky_relu": LeakyReLU,
        "tanh": Tanh,
        "sigmoid": Sigmoid,
        "softplus": Softplus,
        "gelu": GELU,
        "maxout": Maxout,
        "local_response_normalization": LocalResponseNormalization,
        "batch_normalization": BatchNormalization,
        "dropout": Dropout,
        "flatten": Flatten,
    }
)
