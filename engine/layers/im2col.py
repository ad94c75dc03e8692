"""im2col: every patch that a filter looks at becomes a column, so that a convolution is one matrix product."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.arrays import Array, Shape


class Patches:
    """The patches of a batch of maps as the columns of one matrix (C·kh·kw, rows·columns·N), and the way back.

    `size` is a patch's height and width, `step` how far apart patches lie, `count` how many there are in each
    direction; the first one begins `padding` zeros above and left of the map.
    """

    def __init__(
        self,
        input_shape: Shape,
        size: tuple[int, int],
        step: tuple[int, int],
        count: tuple[int, int],
        padding: int,
        batch_size: int,
        dtype: np.dtype[np.floating],
    ) -> None:
        channels, height, width = input_shape
        self._step, self._count = step, count
        padded = (channels, height + 2 * padding, width + 2 * padding, batch_size)
        inside = (slice(None), slice(padding, padding + height), slice(padding, padding + width))
        self._padded: Array = np.zeros(padded, dtype)
        self._padded_gradients: Array = np.empty(padded, dtype)
        self._inside, self._inside_gradients = self._padded[inside], self._padded_gradients[inside]
        c, y, x, n = self._padded.strides
        # Patches overlap: this view of the map shows a pixel in every patch that it is part of.
        self._windows = as_strided(
            self._padded,
            (channels, *size, *count, batch_size),
            (c, y, x, y * step[0], x * step[1], n),
            writeable=False,
        )
        self._patches: Array = np.empty(self._windows.shape, dtype)
        self._patch_gradients: Array = np.empty(self._windows.shape, dtype)
        matrix = (channels * size[0] * size[1], count[0] * count[1] * batch_size)
        self.columns = self._patches.reshape(matrix)
        self.column_gradients = self._patch_gradients.reshape(matrix)

    def gather(self, inputs: Array) -> Array:
        """Fill `columns` from `inputs` (C, H, W, N)."""
        np.copyto(self._inside, inputs)
        np.copyto(self._patches, self._windows)
        return self.columns

    def scatter(self) -> Array:
        """Add `column_gradients` back to where the columns came from: the gradients (C, H, W, N) of the inputs."""
        self._padded_gradients.fill(0)
        (step_y, step_x), (rows, columns) = self._step, self._count
        _, height, width = self._patches.shape[:3]
        for i in range(height):
            for j in range(width):
                here = self._padded_gradients[
                    :, i : i + step_y * (rows - 1) + 1 : step_y, j : j + step_x * (columns - 1) + 1 : step_x
                ]
                here += self._patch_gradients[:, i, j]
        return self._inside_gradients
