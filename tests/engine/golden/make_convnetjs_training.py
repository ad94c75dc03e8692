"""Writes convnetjs_training.json: what convnetjs computes and how it trains, from weights and inputs that are ours.

    npm install --prefix <a folder outside> convnetjs@0.3.0
    NODE_PATH=<that folder>/node_modules python -m tests.engine.golden.make_convnetjs_training

Weights and inputs are not in the file; both sides get them from here.

convnetjs keeps maps as (row, column, channel) and one example at a time; a convolution's filters, a dense layer's units
and every input are rearranged for it. Its parameters come as a list of arrays: one for each filter or unit of a layer,
then the layer's biases.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import specs
from engine.arrays import Array, Labels, Shape
from engine.layers import Layer
from engine.network import Network

FOLDER = Path(__file__).parent
FILE = FOLDER / "convnetjs_training.json"

EXAMPLES, BATCH_SIZE, UPDATES = 24, 4, 50
COMPUTED = 6
"""So many of the examples go through each network once."""


@dataclass(frozen=True)
class Case:
    """A network of ours on inputs (C, H, W), and convnetjs's last layer."""

    network: Sequence[specs.LayerSpec]
    input_shape: Shape
    ends: str = "softmax"
    right: bool = True
    """Whether convnetjs has the right gradients."""

    def weighted(self) -> Network:
        """In float64, its parameters multiples of 1/1000 so that they are the same in any language."""
        network = Network(self.network, self.input_shape, np.float64)
        rng = np.random.default_rng(3)
        network.parameters[:] = rng.integers(-600, 601, network.parameters.size) / 1000
        return network

    def examples(self) -> tuple[Array, Labels]:
        """Inputs (C, H, W, N) and classes (N,)."""
        rng = np.random.default_rng(4)
        inputs = rng.integers(-1000, 1001, (*self.input_shape, EXAMPLES)) / 1000
        return inputs, rng.integers(0, self.classes, EXAMPLES)

    @property
    def classes(self) -> int:
        last = self.network[-1]
        assert isinstance(last, specs.Dense)
        return last.units


CASES = {
    "convolutions": Case(
        (
            specs.Conv2D(filters=4, kernel_size=3, padding=1),
            specs.ReLU(),
            specs.MaxPool2D(pool_size=2, stride=2),
            specs.Conv2D(filters=5, kernel_size=2, stride=1),
            specs.Tanh(),
            specs.MaxPool2D(pool_size=2, stride=1),
            specs.Dense(units=6),
            specs.Sigmoid(),
            specs.Dense(units=3),
        ),
        (2, 8, 8),
    ),
    "strides": Case(
        (
            specs.Conv2D(filters=3, kernel_size=5, stride=2, padding=2),
            specs.Sigmoid(),
            specs.Conv2D(filters=4, kernel_size=3, stride=3, padding=1),
            specs.ReLU(),
            specs.Dense(units=4),
        ),
        (1, 11, 9),
    ),
    "maxout": Case(
        (
            specs.Conv2D(filters=6, kernel_size=3, padding=1),
            specs.Maxout(group_size=2),
            specs.MaxPool2D(),
            specs.Dense(units=8),
            specs.Maxout(group_size=4),
            specs.Dense(units=4),
        ),
        (1, 6, 6),
        ends="svm",
    ),
    # Between neighbours, convnetjs takes the square of one where the product of both belongs (numeric slopes agree with
    # ours and not with its). Alone, a channel has no neighbours.
    "neighbours": Case(
        (
            specs.Conv2D(filters=5, kernel_size=3),
            specs.LocalResponseNormalization(k=1.0, n=3, alpha=0.5, beta=0.75),
            specs.Dense(units=3),
        ),
        (1, 6, 6),
        right=False,
    ),
    "no neighbours": Case(
        (
            specs.Conv2D(filters=5, kernel_size=3),
            specs.LocalResponseNormalization(k=1.0, n=1, alpha=0.5, beta=0.75),
            specs.Dense(units=3),
        ),
        (1, 6, 6),
    ),
    "regression": Case((specs.Dense(units=7), specs.Tanh(), specs.Dense(units=4)), (5, 1, 1), ends="regression"),
}

TRAINERS: dict[str, dict[str, Any]] = {
    "sgd": {"method": "sgd", "learning_rate": 0.1, "momentum": 0},
    "momentum": {"method": "sgd", "learning_rate": 0.05, "momentum": 0.9},
    "nesterov": {"method": "nesterov", "learning_rate": 0.05, "momentum": 0.9},
    "adagrad": {"method": "adagrad", "learning_rate": 0.05, "eps": 1e-4},
    "windowgrad": {"method": "windowgrad", "learning_rate": 0.01, "ro": 0.9, "eps": 1e-4},
    "adadelta": {"method": "adadelta", "ro": 0.95, "eps": 1e-6},
}
DECAY = {"batch_size": BATCH_SIZE, "l2_decay": 0.02}
"""What convnetjs is told; it divides the decay by the batch size."""


def definitions(case: Case) -> list[dict[str, Any]]:
    """The network as convnetjs's layer definitions. Its last layer brings the dense layer before it along."""
    channels, height, width = case.input_shape
    found: list[dict[str, Any]] = [{"type": "input", "out_sx": width, "out_sy": height, "out_depth": channels}]
    for spec in case.network[:-1]:
        match spec:
            case specs.Conv2D():
                sizes = {"sx": spec.kernel_size, "stride": spec.stride, "pad": spec.padding}
                found.append({"type": "conv", "filters": spec.filters, **sizes})
            case specs.MaxPool2D():
                found.append({"type": "pool", "sx": spec.pool_size, "stride": spec.stride})
            case specs.Dense():
                found.append({"type": "fc", "num_neurons": spec.units})
            case specs.Maxout():
                found.append({"type": "maxout", "group_size": spec.group_size})
            case specs.LocalResponseNormalization():
                found.append({"type": "lrn", "k": spec.k, "n": spec.n, "alpha": spec.alpha, "beta": spec.beta})
            case _:
                found.append({"type": spec.type})
    return [*found, {"type": case.ends, "num_classes": case.classes, "num_neurons": case.classes}]


def as_theirs(layers: Sequence[Layer], *, gradients: bool = False) -> list[Array]:
    """Our parameters (or gradients) in convnetjs's order."""
    found: list[Array] = []
    for layer in layers:
        weights, biases = (
            (layer.weight_gradients, layer.bias_gradients) if gradients else (layer.weights, layer.biases)
        )
        if weights is None or biases is None:
            continue
        if weights.ndim == 2 and len(layer.input_shape) == 3:
            weights = weights.reshape(-1, *layer.input_shape)
        if weights.ndim == 4:
            weights = weights.transpose(0, 2, 3, 1)
        found += [*weights.reshape(len(weights), -1), biases]
    return found


def examples_as_theirs(inputs: Array) -> Array:
    """(C, H, W, N) as (N, H·W·C)."""
    return inputs.transpose(3, 1, 2, 0).reshape(inputs.shape[-1], -1)


def question(case: Case, count: int) -> dict[str, Any]:
    """The network with its weights, and the first `count` examples."""
    inputs, labels = case.examples()
    targets = np.eye(case.classes)[labels] if case.ends == "regression" else labels
    return {
        "layers": definitions(case),
        "parameters": [array.tolist() for array in as_theirs(case.weighted().layers)],
        "inputs": examples_as_theirs(inputs)[:count].tolist(),
        "targets": targets[:count].tolist(),
    }


def questions() -> dict[str, Any]:
    """Every network forwards and backwards, and every trainer on the first."""
    asked = {name: question(case, COMPUTED) for name, case in CASES.items()}
    for name, options in TRAINERS.items():
        asked[name] = {**question(CASES["convolutions"], EXAMPLES), "updates": UPDATES, "options": {**options, **DECAY}}
    return asked


def ask() -> dict[str, Any]:
    """convnetjs's answers."""
    command = ["node", str(FOLDER / "convnetjs_training.js")]
    answers = subprocess.run(
        command, input=json.dumps(questions()), capture_output=True, text=True, check=True, timeout=100
    )
    found: dict[str, Any] = json.loads(answers.stdout)
    return found


def main() -> None:
    FILE.write_text(json.dumps(ask(), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
