"""Windows cut out of images: at random places while training, in the middle for a quick look.

convnetjs's MNIST page (2014) trains on random 24×24 crops of the 28×28 images and averages the predictions of several at
test time. Its random offsets leave out the last position; here all `side - crop + 1` positions are drawn.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Images

Offsets = npt.NDArray[np.int64]
"""Rows and columns of the upper left corners, int64 (2, N)."""

_FULL_INK = np.float32(255)


def random_offsets(shape: tuple[int, ...], side: int, crop: int, rng: np.random.Generator) -> Offsets:
    """Corners int64 (2, *shape), every legal position of a `crop` in a `side` equally likely."""
    return rng.integers(0, side - crop, size=(2, *shape), endpoint=True)


def crop_at(images: Images, offsets: Offsets, crop: int, out: Array | None = None) -> Array:
    """The window of each image at its offset, as ink in [0, 1].

    images: uint8 (N, side, side); offsets: int64 (2, N); returns float32 (1, crop, crop, N), or `out` filled.
    """
    count, side, _ = images.shape
    images = np.ascontiguousarray(images)
    example, row, column = images.strides
    places = side - crop + 1
    # Every window of every image, seen without copying; as_strided would do the same in ten times the time.
    windows: Images = np.ndarray(
        (count, places, places, crop, crop), np.uint8, images, strides=(example, row, column, row, column)
    )
    patches = windows[np.arange(count), offsets[0], offsets[1]]
    if out is None:
        out = np.empty((1, crop, crop, count), np.float32)
    np.divide(patches.transpose(1, 2, 0), _FULL_INK, out=out[0])
    return out


def random_crop(images: Images, crop: int, rng: np.random.Generator, out: Array | None = None) -> Array:
    """Each image seen through its own random window: uint8 (N, side, side) to float32 (1, crop, crop, N) in [0, 1]."""
    count, side, _ = images.shape
    return crop_at(images, random_offsets((count,), side, crop, rng), crop, out)


def centre_crop(images: Images, crop: int, out: Array | None = None) -> Array:
    """The middle of each image: uint8 (N, side, side) to float32 (1, crop, crop, N) in [0, 1]."""
    margin = (images.shape[1] - crop) // 2
    middle = images[:, margin : margin + crop, margin : margin + crop]
    if out is None:
        out = np.empty((1, crop, crop, len(images)), np.float32)
    np.divide(middle.transpose(1, 2, 0), _FULL_INK, out=out[0])
    return out
