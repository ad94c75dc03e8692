"""The network: layers in a row, all parameters in one flat vector and all gradients in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from engine import specs as spec_types
from engine.arrays import Array, Shape, aligned_empty, aligned_zeros, check_shape
from engine.initializers import glorot_uniform, he_normal, playground, zeros
from engine.layers import BatchNormalization, Dropout, Layer, WeightedLayer, make_layer
from engine.layers.fusion import fuse
from engine.losses import Loss
from engine.memory import chunk_size, part_size
from engine.shapes import LayerPlan, plan
from engine.specs import InitializerName, LayerSpec

INITIALIZERS = {"he_normal": he_normal, "glorot_uniform": glorot_uniform, "playground": playground, "zeros": zeros}

SMALLEST_SHARE = 6_900_000
"""Multiply-adds of a core's share of a batch on its way forward, as of 12 digits: to hand over less may take longer than it saves."""


@dataclass(frozen=True, slots=True)
class LayerTrace:
    """One layer's part in one example. Gradients are None when no target was given, weights when there are none."""

    activations: Array
    gradients: Array | None
    weights: Array | None
    weight_gradients: Array | None


@dataclass(frozen=True, slots=True)
class Trace:
    """One example on its way through the network: `input` (C, H, W), what each layer made of it, and the outcome."""

    input: Array
    layers: list[LayerTrace]
    probabilities: Array
    loss: float | None


class Network:
    """Forward and backward through layers, which share out the flat vectors `parameters` and `gradients`.

    `layers` are as the textbook has them. Training and evaluation each have buffers of their own, and so has `trace`.
    """

    def __init__(self, specs: Sequence[LayerSpec], input_shape: Shape, dtype: npt.DTypeLike = np.float32) -> None:
        """A network whose parameters are all zero; `build` is the way to one that can learn. SpecError if impossible."""
        self.plan: list[LayerPlan] = plan(specs, input_shape)
        self.input_shape = input_shape
        self.output_shape = self.plan[-1].output_shape
        self.dtype = np.dtype(dtype)
        size = sum(layer.parameters for layer in self.plan)
        self.parameters: Array = aligned_zeros((size,), dtype)
        self.gradients: Array = aligned_zeros((size,), dtype)
        self.layers = self._make_layers(self.gradients)
        self.l1_mask = self._make_decay_mask("l1_multiplier")
        self.l2_mask = self._make_decay_mask("l2_multiplier")
        self._earlier_gradients = aligned_zeros((size,), dtype)
        self.chunk = chunk_size(self.plan)
        self._training = Chain(fuse(self.layers))
        self._evaluation = Chain(fuse(self._make_layers(self.gradients)))
        self._tracing = self._make_layers(aligned_zeros((size,), dtype))
        self._went_forward = False

    @classmethod
    def build(
        cls,
        specs: Sequence[LayerSpec],
        input_shape: Shape,
        *,
        rng: np.random.Generator,
        initializer: InitializerName = "automatic",
        dtype: npt.DTypeLike = np.float32,
    ) -> Network:
        """A network with fresh weights drawn from `rng`, biases zero (0.1 with "playground").

        With "automatic", weights whose outputs meet a ReLU next (pooling, normalization, dropout and flatten between
        them do not count) are drawn by `he_normal`, all others by `glorot_uniform`.
        """
        network = cls(specs, input_shape, dtype)
        for index, layer in enumerate(network.layers):
            if isinstance(layer, WeightedLayer):
                name = initializer
                if name == "automatic":
                    name = "he_normal" if _meets_relu(specs[index + 1 :]) else "glorot_uniform"
                layer.weights[...] = INITIALIZERS[name](layer.weight_shape, rng)
                if name == "playground":
                    layer.biases[...] = 0.1
            elif isinstance(layer, BatchNormalization):
                layer.begin()
        return network

    @np.errstate(over="ignore", invalid="ignore")
    def forward(self, inputs: Array, *, training: bool = False, rng: np.random.Generator | None = None) -> Array:
        """The logits (K, N) for `inputs` (C, H, W, N), in the training buffers: valid until the next `forward`.

        A network with dropout needs `rng` when `training`. ShapeError when the inputs do not fit.
        """
        self.begin(training=training, rng=rng)
        logits = self._training.forward(self.as_inputs(inputs))
        self._went_forward = True
        return logits

    def begin(self, *, training: bool, rng: np.random.Generator | None) -> None:
        """Tell the layers that act differently while `training` what the next forward pass is for."""
        for layer in self.layers:
            if isinstance(layer, Dropout):
                if training and rng is None:
                    raise TypeError("Training with dropout draws at random: give forward a generator, rng=….")
                layer.rng = rng if training else None
            elif isinstance(layer, BatchNormalization):
                layer.training = training

    @np.errstate(over="ignore", invalid="ignore")
    def backward(self, logit_gradients: Array, *, add: bool = False) -> None:
        """Fill `gradients` from the loss's gradient (K, N) with respect to the logits of the last `forward`.

        With `add` they come on top of those that are there: of a batch's earlier parts. Once for each `forward`, whose
        results the gradients may overwrite; RuntimeError the second time.
        """
        check_shape("Gradients of the logits", logit_gradients, (*self._logit_shape(), None))
        if not self._went_forward:
            raise RuntimeError("Every backward(…) needs a forward(inputs) of its own before it.")
        if add:
            np.copyto(self._earlier_gradients, self.gradients)
        self._training.backward(logit_gradients)
        self._went_forward = False
        if add:
            self.gradients += self._earlier_gradients

    def parts(self, batch_size: int) -> list[slice]:
        """The parts of a batch that go forward and backward one after the other, adding up their gradients.

        A large batch's arrays outgrow the processor's cache, and every call then waits for memory; but every part makes all
        the calls. All parts have one size, so that buffers stay, and it depends on the network and the batch size
        alone, so that the order of sums is always the same.
        """
        size = part_size(self.plan, batch_size)
        return [slice(start, start + size) for start in range(0, batch_size, size)]

    def shares(self, batch_size: int, cores: int) -> list[slice]:
        """Which examples of a batch each of at most `cores` cores takes; the first shares are the larger ones.

        A batch that is too small to be faster in shares stays whole. As with `parts` that depends on the network and the
        batch size alone.
        """
        work = batch_size * sum(layer.multiply_adds for layer in self.plan)
        cores = max(1, min(cores, batch_size, work // SMALLEST_SHARE))
        ends = [-(-batch_size * core // cores) for core in range(cores + 1)]
        return [slice(start, end) for start, end in pairwise(ends)]

    @np.errstate(over="ignore", invalid="ignore")
    def logits(self, inputs: Array, *, chunk: int | None = None) -> Array:
        """The logits (K, N) for any number of examples (C, H, W, N), as a new array; dropout is idle.

        `chunk` examples go at a time, by default `self.chunk`, as many as fit the cache. Nothing of the training step in
        progress is disturbed.
        """
        inputs = self.as_inputs(inputs)
        chunks = self.chunks(inputs.shape[-1], chunk or self.chunk)
        if len(chunks) == 1:
            return self._evaluation.forward(inputs).copy()
        logits = aligned_empty((*self._logit_shape(), inputs.shape[-1]), self.dtype)
        for here in chunks:
            logits[:, here] = self._evaluation.forward(inputs[..., here])
        return logits

    @staticmethod
    def chunks(count: int, chunk: int) -> list[slice]:
        """The chunks of `count` examples, one after the other.

        The last one reaches back into the one before, so that all have one size and the buffers stay.
        """
        starts = range(0, count, chunk)
        return [slice(max(0, min(start, count - chunk)), min(start + chunk, count)) for start in starts]

    def as_inputs(self, inputs: Array) -> Array:
        """`inputs` in the network's own dtype. ShapeError unless they are (C, H, W, N)."""
        check_shape("Inputs", inputs, (*self.input_shape, None))
        return np.asarray(inputs, self.dtype)

    @np.errstate(over="ignore", invalid="ignore")
    def trace(self, inputs: Array, target: int | None, loss: Loss) -> Trace:
        """Every layer's activations for one example (C, H, W, 1) and, given its class, every gradient.

        Dropout is idle. All arrays are copies; `gradients` and the buffers of training stay as they are.
        """
        inputs = self.as_inputs(inputs)
        check_shape("The example to trace", inputs, (*self.input_shape, 1))
        activations = [inputs]
        for layer in self._tracing:
            activations.append(layer.forward(activations[-1]))
        logits = activations[-1].reshape(*self._logit_shape(), 1)
        value: float | None = None
        gradients: list[Array | None] = [None] * len(self._tracing)
        if target is not None:
            value, gradient = loss.loss_and_gradient(logits, np.array([target]))
            gradient = gradient.reshape(*self.output_shape, 1)
            for index in reversed(range(len(self._tracing))):
                gradients[index] = gradient[..., 0].copy()
                gradient = self._tracing[index].backward(gradient)
        layers = [
            LayerTrace(
                output[..., 0].copy(),
                gradient_,
                _copy(layer.weights),
                None if target is None else _copy(layer.weight_gradients),
            )
            for layer, output, gradient_ in zip(self._tracing, activations[1:], gradients, strict=True)
        ]
        return Trace(inputs[..., 0].copy(), layers, loss.probabilities(logits)[:, 0], value)

    def _logit_shape(self) -> Shape:
        return (int(np.prod(self.output_shape)),)

    def _make_layers(self, gradients: Array) -> list[Layer]:
        layers = [make_layer(layer.spec, layer.input_shape, self.dtype) for layer in self.plan]
        start = 0
        for layer in layers:
            here = slice(start, start + layer.parameter_count)
            layer.attach(self.parameters[here], gradients[here])
            start = here.stop
        return layers

    def _make_decay_mask(self, multiplier: str) -> Array:
        """The layer's own `multiplier` (1 if it has none) for every weight, 0 for every bias: biases are not decayed."""
        mask = aligned_zeros(self.parameters.shape, self.parameters.dtype)
        for layer, planned in zip(self._make_layers(mask), self.plan, strict=True):
            if layer.weight_gradients is not None and layer.decays:
                layer.weight_gradients[...] = getattr(planned.spec, multiplier, 1)
        return mask


class Chain:
    """Layers that run one after the other, with their buffers."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers
        weighted = [index for index, layer in enumerate(layers) if layer.weights is not None]
        self._first = weighted[0] if weighted else len(layers)

    def forward(self, inputs: Array) -> Array:
        """The last layer's outputs as columns (K, N)."""
        for layer in self.layers:
            inputs = layer.forward(inputs)
        return inputs.reshape(-1, inputs.shape[-1])

    def backward(self, gradients: Array) -> None:
        """From the last layer to the first that has parameters, which need not know its inputs' gradients."""
        if self._first == len(self.layers):
            return
        gradients = gradients.reshape(*self.layers[-1].output_shape, -1)
        for layer in reversed(self.layers[self._first + 1 :]):
            gradients = layer.backward(gradients)
        self.layers[self._first].backward_to_parameters(gradients)


def _meets_relu(following: Sequence[LayerSpec]) -> bool:
    transparent = (
        spec_types.MaxPool2D,
        spec_types.MaxPool1D,
        spec_types.AveragePool2D,
        spec_types.GlobalAveragePool2D,
        spec_types.LocalResponseNormalization,
        spec_types.BatchNormalization,
        spec_types.Dropout,
        spec_types.Flatten,
    )
    decisive = next((spec for spec in following if not isinstance(spec, transparent)), None)
    return isinstance(decisive, spec_types.ReLU | spec_types.LeakyReLU | spec_types.Softplus | spec_types.GELU)


def _copy(array: Array | None) -> Array | None:
    return None if array is None else array.copy()
