"""Arrays as the engine holds them: floating point, the batch last.

Images are (channels, height, width, N), vectors (D, N). With the batch as the fastest axis every slice in height and
width is a run of N neighbours in memory, so copies, maxima and sums over windows go at full vector speed.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.errors import ShapeError

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Labels: TypeAlias = npt.NDArray[np.int64]
Truth: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.int8] | npt.NDArray[np.floating[Any]]
"""What is to be learned of each example (N,): its class as an integer, or a number as a float."""
Images: TypeAlias = npt.NDArray[np.uint8]
"""Grey images, uint8 (N, height, width): 0 is background, 255 full ink."""
Shape: TypeAlias = tuple[int, ...]

CACHE_LINE = 64
"""Bytes that a processor fetches at once, and the width of the widest vectors that it computes with."""


def aligned_empty(shape: Shape, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """`np.empty`, but it begins where a cache line begins.

    NumPy's own arrays begin anywhere in it, and then every vector is fetched from two lines: a product of two arrays or a
    comparison takes up to twice as long, a training step of the digits network a fifth longer.
    """
    kind = np.dtype(dtype)
    size = prod(shape) * kind.itemsize
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(kind).reshape(shape)


def aligned_zeros(shape: Shape, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """`np.zeros`, but it begins where a cache line begins."""
    array = aligned_empty(shape, dtype)
    array.fill(0)
    return array


def check_shape(name: str, array: npt.NDArray[Any], expected: tuple[int | None, ...]) -> None:
    """Raise ShapeError unless `array` has the shape `expected`; `None` stands for any length (the batch)."""
    if array.shape == expected:
        return
    if len(array.shape) == len(expected) and all(e in (None, n) for n, e in zip(array.shape, expected, strict=True)):
        return
    wanted = ", ".join("N" if e is None else str(e) for e in expected)
    raise ShapeError(f"{name}: expected an array of shape ({wanted}), got {array.shape}.")
