"""A convolution that no pooling follows, in a form made for speed."""

from __future__ import annotations

import numpy as np

from engine.arrays import Array
from engine.layers.base import Layer
from engine.layers.convolution import Convolution
from engine.layers.winograd import POINTS, WinogradProduct


class BlockConvolution(Layer):
    """`convolution` (stride 1) by Winograd's transforms, in blocks of `block` × `block` outputs.

    Its results come sorted by their place in the block, as for pooling, and are put into order here.
    """

    def __init__(self, convolution: Convolution, block: int) -> None:
        """`block` must divide the height and width of the outputs."""
        super().__init__(convolution.input_shape, convolution.output_shape, convolution.dtype)
        self._convolution = convolution
        self._block = block
        self._product = WinogradProduct(convolution, block)
        self.weights, self.biases = convolution.weights, convolution.biases
        self.weight_gradients, self.bias_gradients = convolution.weight_gradients, convolution.bias_gradients

    def bind(self, batch_size: int) -> None:
        self._product.bind(batch_size)
        self._outputs = self._empty(*self.output_shape, batch_size)
        self._cells = [place[:, i, 0] for i in range(self._block) for place in self._product.places]
        self._output_places = self._places(self._outputs)

    def _places(self, maps: Array) -> list[Array]:
        """Views of `maps` for every place in a block, laid out as the product's: (row, filter, column, N)."""
        block = self._block
        return [maps[:, i::block, j::block].swapaxes(0, 1) for i in range(block) for j in range(block)]

    def _forward(self, inputs: Array) -> Array:
        self._product.forward(inputs)
        biases = self._convolution.biases[:, np.newaxis, np.newaxis]
        for place, cell in zip(self._output_places, self._cells, strict=True):
            np.add(cell, biases, out=place)
        return self._outputs

    def _parameter_gradients(self, gradients: Array) -> None:
        np.sum(gradients, axis=(1, 2, 3), out=self._convolution.bias_gradients)
        for place, cell in zip(self._places(gradients), self._cells, strict=True):
            np.copyto(cell, place)
        self._product.weight_gradients()

    def _input_gradients(self, gradients: Array) -> Array:  # noqa: ARG002  (they are in the cells)
        return self._product.input_gradients()


def fast_block(convolution: Convolution) -> int | None:
    """The block that makes `convolution` faster, or None when the general form is best.

    Measured: with few channels or small maps the transforms cost more than they save.
    """
    channels, size = convolution.input_shape[0], convolution.kernel_size
    _, rows, columns = convolution.output_shape
    if convolution.stride != 1 or channels < 8 or size < 3 or convolution.padding >= size or rows < 6:
        return None
    possible = (block for block in (3, 2) if block + size - 2 <= len(POINTS))
    return next((block for block in possible if rows % block == 0 and columns % block == 0), None)
