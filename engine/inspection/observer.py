"""A forward pass that keeps what the layers give out, beside the training and without touching its buffers."""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.arrays import Array
from engine.layers import make_layer
from engine.network import Network
from engine.specs import Dense, Dropout, Flatten, LayerSpec

CHUNK = 2048
"""Examples that go through the layers at a time: a layer of 16 units then takes 128 KB, which stays in the cache."""


class Observer:
    """The layers of a network once more, on the same parameters, with buffers of their own.

    A dense layer's units are seen after all that follows it up to the next dense layer: its activation, dropout (idle).
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.specs: list[LayerSpec] = [planned.spec for planned in network.plan]
        self.dense = tuple(index for index, spec in enumerate(self.specs) if isinstance(spec, Dense))
        """Places of the dense layers in the network."""
        self._ends = dict(zip(self.dense, [*(next - 1 for next in self.dense[1:]), len(self.specs) - 1], strict=False))
        self._layers = [make_layer(planned.spec, planned.input_shape, network.dtype) for planned in network.plan]
        start = 0
        for layer in self._layers:
            here = slice(start, start + layer.parameter_count)
            # Nothing goes backward here, so the gradients are never written.
            layer.attach(network.parameters[here], network.gradients[here])
            start = here.stop

    def units(self, layer: int) -> int:
        """How many values the dense `layer` gives out, after what follows it."""
        return prod(self.network.plan[self._ends[layer]].output_shape)

    def following(self, layer: int) -> list[LayerSpec]:
        """What comes between the dense `layer` and the next one."""
        return self.specs[layer + 1 : self._ends[layer] + 1]

    def parameters(self, layer: int) -> tuple[Array, Array]:
        """Weights (units, inputs) and biases (units,) of the dense `layer`, as views."""
        weights, biases = self._layers[layer].weights, self._layers[layer].biases
        assert weights is not None
        assert biases is not None
        return weights, biases

    @property
    def is_linear(self) -> bool:
        """Whether the whole network is one matrix and one shift, however many layers it has."""
        return all(isinstance(spec, Dense | Dropout | Flatten) for spec in self.specs)

    def outputs(self, inputs: Array) -> Array:
        """The network's outputs (K, N) for inputs (D, N)."""
        end = len(self.specs) - 1
        return self._run(inputs, {end})[end]

    def activations(self, inputs: Array, layers: Collection[int]) -> dict[int, Array]:
        """What the dense `layers` give out for inputs (D, N), each (units, N), in one pass."""
        found = self._run(inputs, {self._ends[layer] for layer in layers})
        return {layer: found[self._ends[layer]] for layer in layers}

    def weighted_inputs(self, inputs: Array, layers: Collection[int]) -> dict[int, Array]:
        """What the units of the dense `layers` take in for inputs (D, N), before their activation: each (units, N)."""
        return self._run(inputs, set(layers))

    @np.errstate(over="ignore", invalid="ignore")
    def _run(self, inputs: Array, ends: Collection[int]) -> dict[int, Array]:
        """The outputs of the layers at `ends`, as new arrays (units, N)."""
        count = inputs.shape[-1]
        width = max(1, min(count, CHUNK))
        kept: dict[int, npt.NDArray[Any]] = {
            end: np.empty((prod(self.network.plan[end].output_shape), count), self.network.dtype) for end in ends
        }
        for start in range(0, count, width):
            # The last chunk reaches back into the one before, so that all have one size and the buffers stay.
            here = slice(min(start, count - width), min(start + width, count))
            values = inputs[..., here]
            for index in range(max(ends, default=-1) + 1):
                values = self._layers[index].forward(values)
                if index in kept:
                    kept[index][:, here] = values.reshape(-1, width)
        return kept
