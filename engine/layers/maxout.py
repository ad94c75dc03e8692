"""Maxout: neighbouring channels compete, and the largest speaks for its group."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape, aligned_empty
from engine.layers.base import Layer


class Maxout(Layer):
    """`z[c] = max over j < group_size of a[c·group_size + j]`, in every place of a map by itself; or of units.

    Of equal values the first one counts as the maximum and takes the whole gradient.
    Goodfellow et al. (2013), https://arxiv.org/abs/1302.4389.
    """

    def __init__(self, input_shape: Shape, group_size: int = 2, dtype: npt.DTypeLike = np.float32) -> None:
        """`group_size` must divide the number of channels or units."""
        super().__init__(input_shape, (input_shape[0] // group_size, *input_shape[1:]), dtype)
        self.group_size = group_size

    def bind(self, batch_size: int) -> None:
        shape = (*self.output_shape, batch_size)
        self._outputs, self._left = self._empty(*shape), self._empty(*shape)
        self._won = aligned_empty(shape, np.bool_)
        self._inputs_gradients = self._empty(*self.input_shape, batch_size)
        self._gradient_members = self._members(self._inputs_gradients)

    def _members(self, channels: Array) -> list[Array]:
        """The first of each group, the second of each group, and so on."""
        return [channels[member :: self.group_size] for member in range(self.group_size)]

    def _forward(self, inputs: Array) -> Array:
        self._input_members = self._members(inputs)
        np.copyto(self._outputs, self._input_members[0])
        for member in self._input_members[1:]:
            np.maximum(self._outputs, member, out=self._outputs)
        return self._outputs

    def _input_gradients(self, gradients: Array) -> Array:
        """Whoever equals the maximum takes what is left of the group's gradient, and leaves nothing to later ones."""
        np.copyto(self._left, gradients)
        for member, share in zip(self._input_members, self._gradient_members, strict=True):
            np.equal(member, self._outputs, out=self._won)
            np.multiply(self._left, self._won, out=share)
            self._left -= share
        return self._inputs_gradients
