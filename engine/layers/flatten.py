"""Flatten: maps become one long column."""

from __future__ import annotations

from math import prod

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape
from engine.layers.base import Layer


class Flatten(Layer):
    """(C, H, W, N) read as (C·H·W, N); the numbers stay where they are."""

    def __init__(self, input_shape: Shape, dtype: npt.DTypeLike = np.float32) -> None:
        super().__init__(input_shape, (prod(input_shape),), dtype)

    def bind(self, batch_size: int) -> None:
        """Nothing is written."""

    def _forward(self, inputs: Array) -> Array:
        return inputs.reshape(*self.output_shape, -1)

    def _input_gradients(self, gradients: Array) -> Array:
        return gradients.reshape(*self.input_shape, -1)
