"""What every layer is: shapes, `forward`, `backward`, and for some weights and biases.

A layer owns the buffers that it writes into, one set for the batch size it saw last, so that a training step allocates
nothing; the array that `forward` returns is overwritten by the next `forward`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape, aligned_empty, aligned_zeros, check_shape


class Layer(ABC):
    """A function of a batch that can tell how its result answers to its inputs and parameters.

    Subclasses allocate in `bind`, compute in `_forward`, and answer the two questions of backpropagation:
    `_parameter_gradients` and then `_input_gradients`, both about the last `_forward`.
    """

    weights: Array | None = None
    biases: Array | None = None
    weight_gradients: Array | None = None
    bias_gradients: Array | None = None
    parameter_count = 0
    statistics: Array | None = None
    """What a layer remembers of the batches that it was trained with, beside its parameters and without gradients."""
    decays = True
    """Whether weight decay works on its weights."""

    def __init__(self, input_shape: Shape, output_shape: Shape, dtype: npt.DTypeLike = np.float32) -> None:
        """`input_shape` and `output_shape` are those of one example, without the batch."""
        self.input_shape = input_shape
        self.output_shape = output_shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.batch_size = 0

    def forward(self, inputs: Array) -> Array:
        """The layer's outputs (*output_shape, N) for `inputs` (*input_shape, N). ShapeError for any other shape.

        `inputs` must stay unchanged until `backward`.
        """
        if inputs.shape != (*self.input_shape, self.batch_size):
            check_shape(f"Inputs of {type(self).__name__}", inputs, (*self.input_shape, None))
            self.batch_size = inputs.shape[-1]
            self.bind(self.batch_size)
        return self._forward(inputs)

    def backward(self, gradients: Array) -> Array:
        """Fill the parameters' gradients and return the inputs', from the outputs' `gradients` (*output_shape, N).

        Once for each `forward`: gradients may take the place of what it computed.
        """
        self.backward_to_parameters(gradients)
        return self._input_gradients(gradients)

    def backward_to_parameters(self, gradients: Array) -> None:
        """`backward` without the inputs' gradients, which the first layer of a network does not need."""
        check_shape(f"Gradients of {type(self).__name__}", gradients, (*self.output_shape, self.batch_size))
        self._parameter_gradients(gradients)

    def attach(self, parameters: Array, gradients: Array) -> None:
        """Take flat slices of `parameter_count` values as the places of this layer's parameters and their gradients.

        A layer's `statistics` lie among its parameters, so that they are saved and copied with them; their gradients
        are never written, and stay zero.
        """
        check_shape("Parameters", parameters, (self.parameter_count,))
        check_shape("Gradients", gradients, (self.parameter_count,))

    @abstractmethod
    def bind(self, batch_size: int) -> None:
        """Allocate everything a step with this batch size writes into."""

    @abstractmethod
    def _forward(self, inputs: Array) -> Array: ...

    def _parameter_gradients(self, gradients: Array) -> None:  # noqa: B027  (most layers have no parameters)
        """Fill `weight_gradients` and `bias_gradients`, if there are any."""

    @abstractmethod
    def _input_gradients(self, gradients: Array) -> Array: ...

    def _empty(self, *shape: int) -> Array:
        return aligned_empty(shape, self.dtype)

    def _zeros(self, *shape: int) -> Array:
        return aligned_zeros(shape, self.dtype)


class WeightedLayer(Layer):
    """A layer with weights of `weight_shape` (outputs, inputs, ...window) and one bias for each output.

    All four attributes are views into the network's flat vectors: first the weights, row by row, then the biases.
    """

    weights: Array
    biases: Array
    weight_gradients: Array
    bias_gradients: Array

    def __init__(self, input_shape: Shape, output_shape: Shape, weight_shape: Shape, dtype: npt.DTypeLike) -> None:
        super().__init__(input_shape, output_shape, dtype)
        self.weight_shape = weight_shape
        self.parameter_count = prod(weight_shape) + weight_shape[0]

    def attach(self, parameters: Array, gradients: Array) -> None:
        super().attach(parameters, gradients)
        end = prod(self.weight_shape)
        self.weights, self.biases = parameters[:end].reshape(self.weight_shape), parameters[end:]
        self.weight_gradients, self.bias_gradients = gradients[:end].reshape(self.weight_shape), gradients[end:]
