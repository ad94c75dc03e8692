"""A convolution and the max-pooling after it as one layer, in a form made for speed."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from engine.arrays import Array, aligned_empty
from engine.layers.base import Layer
from engine.layers.block_convolution import fast_block
from engine.layers.convolution import Convolution
from engine.layers.pooling import Largest, MaxPool
from engine.layers.tiled import TiledProduct
from engine.layers.winograd import POINTS, WinogradProduct


class Product(Protocol):
    """A way to compute a convolution without its bias: `TiledProduct` or `WinogradProduct`.

    `forward` fills `places`: for each column of a pooling window, what all windows see there, an array (row, tile in
    window, row in tile, filter, column, N). The gradients are to be put in their place.
    """

    places: list[Array]

    def bind(self, batch_size: int) -> None: ...
    def forward(self, inputs: Array) -> None: ...
    def weight_gradients(self) -> None: ...
    def input_gradients(self) -> Array: ...


class PooledConvolution(Layer):
    """`convolution` (stride 1), then `pool` (windows that touch but do not overlap).

    The convolution leaves its results sorted by their place in the pooling window, so that pooling is the maximum of
    whole arrays: across first, and then down. Outputs that no window sees are not computed. The bias, the same for a
    whole window, is added after pooling, where there is less to add to.
    """

    def __init__(self, convolution: Convolution, pool: MaxPool, product: Product) -> None:
        super().__init__(convolution.input_shape, pool.output_shape, convolution.dtype)
        self._convolution = convolution
        self._product = product
        self.weights, self.biases = convolution.weights, convolution.biases
        self.weight_gradients, self.bias_gradients = convolution.weight_gradients, convolution.bias_gradients

    def bind(self, batch_size: int) -> None:
        self._product.bind(batch_size)
        self._across = Largest(aligned_empty(self._product.places[0].shape, self.dtype))
        self._lines = _by_row(self._across.values)
        self._row_gradients = aligned_empty(self._across.values.shape, self.dtype)
        self._line_gradients = _by_row(self._row_gradients)
        self._down = Largest(aligned_empty(self._lines[0].shape, self.dtype))
        self._outputs = self._empty(*self.output_shape, batch_size)

    def _forward(self, inputs: Array) -> Array:
        self._product.forward(inputs)
        self._across.find(self._product.places)
        self._down.find(self._lines)
        biases = self._convolution.biases[:, np.newaxis, np.newaxis, np.newaxis]
        return np.add(self._down.values.swapaxes(0, 1), biases, out=self._outputs)

    def _parameter_gradients(self, gradients: Array) -> None:
        np.sum(gradients, axis=(1, 2, 3), out=self._convolution.bias_gradients)
        self._down.share_out(gradients.swapaxes(0, 1), out=self._line_gradients)
        # These take the place of what they were found from: that is in the cache already.
        self._across.share_out(self._row_gradients, out=self._product.places)
        self._product.weight_gradients()

    def _input_gradients(self, gradients: Array) -> Array:  # noqa: ARG002  (they are in the cells)
        return self._product.input_gradients()


def _by_row(maxima: Array) -> list[Array]:
    """(row, tile in window, row in tile, ...) as one array for each row of the window."""
    _, tiles, height, *_ = maxima.shape
    return [maxima[:, tile, row] for tile in range(tiles) for row in range(height)]


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
