"""What is compared with PyTorch: every layer, loss and optimizer of the engine, and whole networks in their fast forms.

A case knows its own random numbers and what the engine makes of them, as named float32 arrays; `make_pytorch.py` asks
PyTorch for the same arrays. Batches come last here and first there.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np

from engine import specs
from engine.arrays import Array, Labels, Shape
from engine.layers import BatchNormalization, make_layer
from engine.losses import LOSSES
from engine.network import Network
from engine.optimizers import OPTIMIZERS

FILE = Path(__file__).parent / "pytorch.npz"

Arrays: TypeAlias = dict[str, Array]


@dataclass(frozen=True)
class LayerCase:
    """One layer forwards, backwards from any gradients of its outputs, and what it then remembers."""

    spec: specs.LayerSpec
    input_shape: Shape = (4, 9, 8)
    batch_size: int = 3
    training: bool = True

    @property
    def name(self) -> str:
        return f"layer {described(self.spec)} on {self.input_shape}{'' if self.training else ' predicting'}"

    def numbers(self) -> tuple[Array, Array, Array]:
        """Inputs, flat parameters and gradients of the outputs."""
        rng = seeded(self.name)
        layer = make_layer(self.spec, self.input_shape)
        parameters = normal(rng, layer.parameter_count)
        layer.attach(parameters, np.zeros_like(parameters))
        if layer.statistics is not None:
            layer.statistics[1] **= 2  # variances
        inputs, gradients = (normal(rng, *shape, self.batch_size) for shape in (self.input_shape, layer.output_shape))
        return inputs, parameters, gradients

    def ours(self) -> Arrays:
        inputs, parameters, output_gradients = self.numbers()
        layer, gradients = make_layer(self.spec, self.input_shape), np.zeros_like(parameters)
        layer.attach(parameters, gradients)
        if isinstance(layer, BatchNormalization):
            layer.training = self.training
        outputs = layer.forward(inputs).copy()
        found = {"outputs": outputs, "inputs": layer.backward(output_gradients).copy(), "gradients": gradients}
        if layer.statistics is not None:
            found["statistics"] = layer.statistics
        return found


@dataclass(frozen=True)
class NetworkCase:
    """A network in training: logits, mean loss, and the gradients of all parameters."""

    title: str
    specs: Sequence[specs.LayerSpec]
    input_shape: Shape
    batch_size: int = 6

    @property
    def name(self) -> str:
        return f"network {self.title}"

    def numbers(self) -> tuple[Array, Array, Labels]:
        """Inputs, flat parameters and labels."""
        rng = seeded(self.name)
        network = Network.build(self.specs, self.input_shape, rng=rng)
        network.parameters += 0.1 * np.abs(normal(rng, network.parameters.size))
        labels = rng.integers(0, np.prod(network.output_shape), self.batch_size)
        return normal(rng, *self.input_shape, self.batch_size), network.parameters, labels

    def ours(self) -> Arrays:
        inputs, parameters, labels = self.numbers()
        network, loss = Network(self.specs, self.input_shape), LOSSES["softmax_cross_entropy"]()
        network.parameters[:] = parameters
        logits = network.forward(inputs, training=True).copy()
        value, gradient = loss.loss_and_gradient(logits, labels)
        network.backward(gradient)
        return {"logits": logits, "loss": np.float32([value]), "gradients": network.gradients}


@dataclass(frozen=True)
class LossCase:
    """A loss, and its gradient with respect to logits that are sometimes large."""

    loss: specs.LossName
    weighted: bool = False

    @property
    def name(self) -> str:
        return f"loss {self.loss}{' weighted' * self.weighted}"

    def numbers(self) -> tuple[Array, Labels, Array]:
        """Logits (K, N), labels and weights of the examples."""
        rng = seeded(self.name)
        weights = rng.uniform(0, 3, 12).astype(np.float32) if self.weighted else np.ones(12, np.float32)
        return 3 * normal(rng, 7, 12), rng.integers(0, 7, 12), weights

    def ours(self) -> Arrays:
        logits, labels, weights = self.numbers()
        value, gradient = LOSSES[self.loss]().loss_and_gradient(logits, labels, weights if self.weighted else None)
        return {"loss": np.float32([value]), "gradients": gradient}


@dataclass(frozen=True)
class OptimizerCase:
    """The parameters after each of ten updates."""

    spec: specs.OptimizerSpec

    updates: ClassVar[int] = 10

    @property
    def name(self) -> str:
        return f"optimizer {described(self.spec)}"

    def numbers(self) -> tuple[Array, Array]:
        """Parameters and the gradients of each update, from small to large."""
        rng = seeded(self.name)
        return normal(rng, 20), normal(rng, self.updates, 20) * np.float32(10) ** np.linspace(-3, 2, 20, dtype=np.float32)

    def ours(self) -> Arrays:
        parameters, gradients = self.numbers()
        optimizer, path = OPTIMIZERS[self.spec.name](self.spec, parameters.size), []
        for gradient in gradients:
            optimizer.step(parameters, gradient)
            path.append(parameters.copy())
        return {"parameters": np.array(path)}


Case: TypeAlias = LayerCase | NetworkCase | LossCase | OptimizerCase


def described(spec: specs.LayerSpec | specs.OptimizerSpec) -> str:
    """Its tag, and what is not as usual."""
    tag, *values = specs.tagged(spec).items()
    usual = specs.tagged(type(spec)())
    return " ".join([tag[1], *(f"{name} {value}" for name, value in values if value != usual[name])])


def seeded(name: str) -> np.random.Generator:
    """Each case has numbers of its own, whatever other cases there are."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.normal(size=shape).astype(np.float32)


def convolutional(kernel_size: int, stride: int, padding: int, pool_size: int) -> tuple[specs.LayerSpec, ...]:
    """Two convolutions, the first of them pooled."""
    first = specs.Conv2D(filters=6, kernel_size=kernel_size, stride=stride, padding=padding)
    pool = specs.MaxPool2D(pool_size=pool_size, stride=pool_size)
    second = specs.Conv2D(filters=5, kernel_size=3, padding=1)
    return (first, specs.ReLU(), pool, second, specs.Tanh(), specs.Dense(units=4))


LAYER_CASES = [
    *(LayerCase(make()) for make in specs.LAYER_SPECS.values()),
    LayerCase(specs.Conv2D(filters=3, kernel_size=3, stride=2, padding=1)),
    LayerCase(specs.Conv2D(filters=7, kernel_size=1), (5, 4, 6)),
    LayerCase(specs.Conv2D(filters=2, kernel_size=7, stride=3, padding=3), (1, 14, 13)),
    LayerCase(specs.Conv1D(filters=3, kernel_size=4, stride=2, padding=3)),
    LayerCase(specs.Conv1D(filters=4, kernel_size=5, padding=2), (3, 1, 20)),
    LayerCase(specs.MaxPool2D(pool_size=3, stride=1)),
    LayerCase(specs.MaxPool2D(pool_size=2, stride=3)),
    LayerCase(specs.BatchNormalization(), training=False),
    LayerCase(specs.BatchNormalization(memory=0.3, epsilon=0.1), (7,), batch_size=4),
    LayerCase(specs.LeakyReLU(slope=0.3), (12,)),
    LayerCase(specs.Dense(units=6), (15,)),
]
NETWORK_CASES = [
    NetworkCase("digits", specs.demo_network(), (1, 24, 24)),
    NetworkCase("kernel 3", convolutional(3, 1, 1, 2), (1, 12, 12)),
    NetworkCase("kernel 5 pool 3", convolutional(5, 1, 2, 3), (2, 15, 15)),
    NetworkCase("kernel 7", convolutional(7, 1, 3, 2), (1, 14, 14)),
    NetworkCase("stride 2", convolutional(3, 2, 1, 2), (3, 13, 11)),
    NetworkCase(
        "normalized",
        (
            specs.Conv2D(filters=4, kernel_size=3),
            specs.BatchNormalization(),
            specs.ReLU(),
            specs.MaxPool2D(),
            specs.Dense(units=8),
            specs.BatchNormalization(),
            specs.Tanh(),
            specs.Dense(units=3),
        ),
        (1, 10, 10),
    ),
    NetworkCase("tiny", (specs.Dense(units=4), specs.Tanh(), specs.Dense(units=2), specs.Tanh(), specs.Dense(units=3)), (2, 1, 1)),
    NetworkCase(
        "sequences",
        (
            specs.Conv1D(filters=6, kernel_size=5, padding=2),
            specs.ReLU(),
            specs.MaxPool1D(),
            specs.Conv1D(filters=5, kernel_size=3),
            specs.Dense(units=4),
        ),
        (2, 3, 20),
    ),
    NetworkCase("dense", (specs.Dense(units=30), specs.Sigmoid(), specs.Dense(units=20), specs.Softplus(), specs.Dense(units=10)), (1, 7, 7)),
]
LOSS_CASES = [LossCase(loss, weighted) for loss in LOSSES for weighted in (False, True)]
OPTIMIZER_CASES = [
    *(OptimizerCase(make()) for make in specs.OPTIMIZER_SPECS.values()),
    *(OptimizerCase(replace(make(), learning_rate=0.3)) for make in specs.OPTIMIZER_SPECS.values()),
]
CASES: Mapping[str, Case] = {
    case.name: case for case in (*LAYER_CASES, *NETWORK_CASES, *LOSS_CASES, *OPTIMIZER_CASES)
}
