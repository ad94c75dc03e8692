"""Drawings of one's own as images like MNIST's."""

from __future__ import annotations

import numpy as np

from engine.arrays import Images, Labels
from engine.specs.pictures import SIDE, read_drawings


def drawn_images(values: str) -> tuple[Images, Labels]:
    """Images uint8 (N, 28, 28) and digits int64 (N,) of `DrawingsSpec.values`. Raises SpecError if they are none."""
    digits, ink = read_drawings(values)
    images = np.frombuffer(ink, np.uint8).reshape(-1, SIDE, SIDE)
    return images, np.frombuffer(digits, np.uint8).astype(np.int64)
