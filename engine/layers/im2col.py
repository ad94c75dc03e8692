"""im2col: every patch that a filter looks at becomes a column, so that a convolution is a matrix product."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.arrays import Array, Shape, aligned_empty, aligned_zeros


class Patches:
    """The patches of a batch of maps as columns, one matrix for each row of patches, and the way back.

    `size` is a patch's height and width, `step` how far apart patches lie, `count` how many there are in each
    direction; `padding` zeros stand above and below, left and right of the map.

    Copying every pixel once for each patch that it is part of would cost more than the product. So pixels are copied
    along the rows only: for every row of the map, what each column of the patches sees there, lying in memory as (row,
    patch column, channel, patch, example). As many such rows one below the other as a patch is high are already the
    matrix, and the next one begins `step` rows later: the matrices overlap, and no copy is made.
    """

    def __init__(
        self,
        input_shape: Shape,
        size: tuple[int, int],
        step: tuple[int, int],
        count: tuple[int, int],
        padding: tuple[int, int],
        batch_size: int,
        dtype: np.dtype[np.floating],
    ) -> None:
        channels, height, width = input_shape
        self._step, self._count = step, count
        above, left = padding
        padded: Array = aligned_zeros((height + 2 * above, channels, width + 2 * left, batch_size), dtype)
        inside = (slice(above, above + height), slice(None), slice(left, left + width))
        self._inside = padded[inside].swapaxes(0, 1)
        y, c, x, n = padded.strides
        self._windows = as_strided(
            padded,
            (len(padded), size[1], channels, count[1], batch_size),
            (y, x, c, x * step[1], n),
            writeable=False,
        )
        self._rows: Array = aligned_empty(self._windows.shape, dtype)
        matrix = (size[0] * size[1] * channels, count[1] * batch_size)
        row, line = self._rows.strides[0], count[1] * self._rows.strides[3]
        self.columns: Array = as_strided(
            self._rows, (count[0], *matrix), (step[0] * row, line, self._rows.itemsize), writeable=False
        )
        self.column_gradients: Array = aligned_empty((count[0], *matrix), dtype)
        self._patch_gradients = self.column_gradients.reshape(count[0], size[0], *self._rows.shape[1:])
        self._row_gradients: Array = aligned_empty(self._rows.shape, dtype)
        self._padded_gradients: Array = aligned_empty(padded.shape, dtype)
        self._inside_gradients = self._padded_gradients[inside].swapaxes(0, 1)

    def gather(self, inputs: Array) -> Array:
        """Fill `columns` (rows, patch height · patch width · C, columns · N) from `inputs` (C, H, W, N)."""
        np.copyto(self._inside, inputs)
        np.copyto(self._rows, self._windows)
        return self.columns

    def scatter(self) -> Array:
        """Add `column_gradients` back to where the columns came from: the gradients (C, H, W, N) of the inputs."""
        (down, across), (rows, columns) = self._step, self._count
        self._row_gradients.fill(0)
        for i in range(self._patch_gradients.shape[1]):
            self._row_gradients[i : i + down * (rows - 1) + 1 : down] += self._patch_gradients[:, i]
        self._padded_gradients.fill(0)
        for j in range(self._rows.shape[1]):
            self._padded_gradients[:, :, j : j + across * (columns - 1) + 1 : across] += self._row_gradients[:, j]
        return self._inside_gradients
