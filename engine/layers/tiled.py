"""A convolution that computes a tile of outputs from each column.

Neighbouring outputs look at almost the same pixels, and copying those pixels once for each output is what im2col
spends its time on. Take a larger patch that serves a whole tile of outputs: for a 2×2 tile and a 5×5 kernel, 36 pixels
in place of 4 · 25. The matrix product then needs each filter four times, once at every place in the 6×6 patch, with
zeros around it. A tiled convolution is thus a plain one with larger filters and larger steps, and each
column's zeros cost less than the copies saved.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.arrays import Array, aligned_empty, aligned_zeros
from engine.layers.convolution import Convolution
from engine.layers.im2col import Patches


class TiledProduct:
    """The products of `convolution` (stride 1, without bias), for pooling windows of `pool_size`.

    `places` are views of the products, see `Product`.
    """

    def __init__(self, convolution: Convolution, pool_size: int, tile: tuple[int, int]) -> None:
        """`tile` must divide `pool_size` in both directions."""
        self._convolution = convolution
        self._pool_size = pool_size
        self._tile = tile

    def bind(self, batch_size: int) -> None:
        """Allocate everything for this batch size."""
        convolution, pool_size, dtype = self._convolution, self._pool_size, self._convolution.dtype
        filters, channels, size, _ = convolution.weight_shape
        height, width = self._tile
        rows, columns = (length // pool_size for length in convolution.output_shape[1:])
        tiles = (rows * pool_size // height, columns * pool_size // width)
        patch, padding = (height + size - 1, width + size - 1), (convolution.padding, convolution.padding)
        self._patches = Patches(convolution.input_shape, patch, self._tile, tiles, padding, batch_size, dtype)
        # The large filters, zero but for the weights, and the view (tile rows, tile columns, *weight_shape) of those.
        self._filters: Array = aligned_zeros((height, width, filters, *patch, channels), dtype)
        matrix = (height * width * filters, patch[0] * patch[1] * channels)
        self._filter_matrix = self._filters.reshape(matrix)
        # By pixel, then filter: that product is up to half as fast again as its transpose, depending on the kernel's size.
        self._row_gradients: Array = aligned_empty((tiles[0], *matrix[::-1]), dtype)
        self._pixel_gradients: Array = aligned_empty(matrix[::-1], dtype)
        by_pixel = self._pixel_gradients.reshape(*patch, channels, height, width, filters)
        self._placed = self._weights_in(self._filters)
        self._placed_gradients = self._weights_in(by_pixel.transpose(3, 4, 5, 0, 1, 2))
        self._products: Array = aligned_empty((tiles[0], matrix[0], tiles[1] * batch_size), dtype)
        split = (rows, pool_size // height, height, width, filters, columns, pool_size // width, batch_size)
        products = self._products.reshape(split)
        self.places = [products[:, :, :, j % width, :, :, j // width] for j in range(pool_size)]

    def _weights_in(self, large: Array) -> Array:
        r, s, o, i, j, c = large.strides
        return as_strided(large, (*self._tile, *self._convolution.weight_shape), (r + i, s + j, o, c, i, j))

    def forward(self, inputs: Array) -> None:
        """Fill `places` from `inputs` (C, H, W, N)."""
        np.copyto(self._placed, self._convolution.weights)
        np.matmul(self._filter_matrix, self._patches.gather(inputs), out=self._products)

    def weight_gradients(self) -> None:
        """Fill the convolution's weight gradients: a weight used in several places gathers the sum of all."""
        np.matmul(self._patches.columns, self._products.swapaxes(1, 2), out=self._row_gradients)
        np.sum(self._row_gradients, axis=0, out=self._pixel_gradients)
        np.sum(self._placed_gradients, axis=(0, 1), out=self._convolution.weight_gradients)

    def input_gradients(self) -> Array:
        """The gradients of the inputs (C, H, W, N)."""
        np.matmul(self._filter_matrix.T, self._products, out=self._patches.column_gradients)
        return self._patches.scatter()
