"""The layers, one family a file, and the step from a spec to its layer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine import specs
from engine.arrays import Shape
from engine.layers.activations import LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from engine.layers.base import Layer, WeightedLayer
from engine.layers.batch_normalization import BatchNormalization
from engine.layers.convolution import Convolution
from engine.layers.dense import Dense
from engine.layers.dropout import Dropout
from engine.layers.flatten import Flatten
from engine.layers.gelu import GELU
from engine.layers.maxout import Maxout
from engine.layers.normalization import LocalResponseNormalization
from engine.layers.pooling import AveragePool, GlobalAveragePool, MaxPool, MaxPool1D
from engine.layers.sequence import Convolution1D

__all__ = [
    "GELU",
    "AveragePool",
    "BatchNormalization",
    "Convolution",
    "Convolution1D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePool",
    "Layer",
    "LeakyReLU",
    "LocalResponseNormalization",
    "MaxPool",
    "MaxPool1D",
    "Maxout",
    "ReLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "WeightedLayer",
    "make_layer",
]


def make_layer(spec: specs.LayerSpec, input_shape: Shape, dtype: npt.DTypeLike = np.float32) -> Layer:
    """The layer that `spec` describes, for examples of `input_shape`, not yet attached to parameters."""
    match spec:
        case specs.Dense():
            return Dense(input_shape, spec.units, dtype)
        case specs.Conv2D():
            return Convolution(input_shape, spec.filters, spec.kernel_size, spec.stride, spec.padding, dtype)
        case specs.Conv1D():
            return Convolution1D(input_shape, spec.filters, spec.kernel_size, spec.stride, spec.padding, dtype)
        case specs.MaxPool2D():
            return MaxPool(input_shape, spec.pool_size, spec.stride, dtype)
        case specs.MaxPool1D():
            return MaxPool1D(input_shape, spec.pool_size, spec.stride, dtype)
        case specs.AveragePool2D():
            return AveragePool(input_shape, spec.pool_size, spec.stride, dtype)
        case specs.GlobalAveragePool2D():
            return GlobalAveragePool(input_shape, dtype)
        case specs.ReLU():
            return ReLU(input_shape, dtype)
        case specs.LeakyReLU():
            return LeakyReLU(input_shape, spec.slope, dtype)
        case specs.Tanh():
            return Tanh(input_shape, dtype)
        case specs.Sigmoid():
            return Sigmoid(input_shape, dtype)
        case specs.Softplus():
            return Softplus(input_shape, dtype)
        case specs.GELU():
            return GELU(input_shape, dtype)
        case specs.Maxout():
            return Maxout(input_shape, spec.group_size, dtype)
        case specs.LocalResponseNormalization():
            return LocalResponseNormalization(input_shape, spec.k, spec.n, spec.alpha, spec.beta, dtype)
        case specs.BatchNormalization():
            return BatchNormalization(input_shape, spec.memory, spec.epsilon, dtype)
        case specs.Dropout():
            return Dropout(input_shape, spec.rate, dtype)
        case specs.Flatten():
            return Flatten(input_shape, dtype)
