"""The convolution of sequences: filters slide in one direction only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.arrays import Shape
from engine.layers.convolution import SlidingFilters


class Convolution1D(SlidingFilters):
    """`z[o, x] = b[o] + Σ w[o, c, y, i] · a[c, y, x·stride + i − padding]`, zeros outside.

    Maps (C, H, W, N) are read as sequences of W columns of C·H values each, and become (filters, 1, W', N). With H = 1
    that is the sequence of C values a position that other libraries take; an image is read like a line of writing.
    """

    def __init__(
        self,
        input_shape: Shape,
        filters: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        super().__init__(input_shape, filters, (input_shape[1], kernel_size), (1, stride), (0, padding), dtype)
