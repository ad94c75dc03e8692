"""A convolution and the max-pooling after it as one layer, in a form made for speed."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from engine.arrays import Array, aligned_empty
from engine.layers.base import Layer
from engine.layers.block_convolution import fast_block
from engine.layers.convolution import Convolution
from engine.layers.pooling import MaxPool
from engine.layers.tiled import TiledProduct
from engine.layers.winograd import POINTS, WinogradProduct


class Product(Protocol):
    """A way to compute a convolution without its bias: `TiledProduct` or `WinogradProduct`. Cells: (row, filter, ...)."""

    cells: list[Array]
    cell_gradients: list[Array]

    def bind(self, batch_size: int) -> None: ...
    def forward(self, inputs: Array) -> None: ...
    def weight_gradients(self) -> None: ...
    def input_gradients(self) -> Array: ...


class PooledConvolution(Layer):
    """`convolution` (stride 1), then `pool` (windows that touch but do not overlap).

    The convolution leaves its results sorted by their place in the pooling window, so that pooling is the maximum of
    whole arrays. Outputs that no window sees are not computed. The bias, the same for a whole window, is added after
    pooling, where there is less to add to.
    """

    def __init__(self, convolution: Convolution, pool: MaxPool, product: Product) -> None:
        super().__init__(convolution.input_shape, pool.output_shape, convolution.dtype)
        self._convolution = convolution
        self._product = product
        self.weights, self.biases = convolution.weights, convolution.biases
        self.weight_gradients, self.bias_gradients = convolution.weight_gradients, convolution.bias_gradients

    def bind(self, batch_size: int) -> None:
        self._product.bind(batch_size)
        shape = self._product.cells[0].shape
        self._maxima, self._left = self._empty(*shape), self._empty(*shape)
        self._won = aligned_empty(shape, np.bool_)
        self._outputs = self._empty(*self.output_shape, batch_size)

    def _forward(self, inputs: Array) -> Array:
        self._product.forward(inputs)
        cells = self._product.cells
        np.copyto(self._maxima, cells[0])
        for cell in cells[1:]:
            np.maximum(self._maxima, cell, out=self._maxima)
        biases = self._convolution.biases[:, np.newaxis, np.newaxis, np.newaxis]
        return np.add(self._maxima.swapaxes(0, 1), biases, out=self._outputs)

    def _parameter_gradients(self, gradients: Array) -> None:
        np.sum(gradients, axis=(1, 2, 3), out=self._convolution.bias_gradients)
        # As in MaxPool: the first to equal the maximum takes the window's gradient, what remains is zero.
        np.copyto(self._left, gradients.swapaxes(0, 1))
        *cells, _ = self._product.cells
        *cell_gradients, last = self._product.cell_gradients
        for cell, share in zip(cells, cell_gradients, strict=True):
            np.equal(cell, self._maxima, out=self._won)
            np.multiply(self._left, self._won, out=share)
            np.subtract(self._left, share, out=self._left)
        np.copyto(last, self._left)
        self._product.weight_gradients()

    def _input_gradients(self, gradients: Array) -> Array:  # noqa: ARG002  (they are in the cells)
        return self._product.input_gradients()


def fast_product(convolution: Convolution, pool: MaxPool) -> Product | None:
    """The fast way to compute `convolution` for `pool`, or None when only the general one fits."""
    size, window = convolution.kernel_size, pool.pool_size
    if convolution.stride != 1 or pool.stride != window or convolution.padding >= size:
        return None
    if convolution.input_shape[0] >= 3 and size >= 3 and window in (2, 3) and window + size - 2 <= len(POINTS):
        return WinogradProduct(convolution, window)
    if size > 5 and fast_block(convolution):
        return None  # Transforms in smaller blocks and then plain pooling are faster than tiles.
    for tile in ((2, 2), (3, 1)):
        if window % tile[0] == 0 and window % tile[1] == 0:
            return TiledProduct(convolution, window, tile)
    return None
