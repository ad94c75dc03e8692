"""Groups among written digits: how thick their strokes are, and how far they lean.

Thickness is the mean ink of an image. Slant is the shear that would stand it upright: with the second central moments
of its ink, x to the right and y downwards,

    μ11 = Σ ink · (x − x̄)(y − ȳ) / Σ ink      μ02 = Σ ink · (y − ȳ)² / Σ ink      slant = −μ11 / μ02

pixels to the right for every pixel upwards, 0.2 for 11°; negative for a digit that leans to the left. These are the
moments that "deslanting" of MNIST goes by (LeCun et al. 1998, section III.A).

An 8 has more ink than a 1, whoever writes it, and a 7 is never upright by its moments. So each image is ranked among
those of its own digit: first by thickness, into ten equal parts; then each of these parts by slant, into ten again. The
hundred cells that this makes of every digit are equally full, up to one image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Images, Labels
from engine.specs import DIGITS, GroupSpec

Places = npt.NDArray[np.int64]
"""Of images among others, int64 (n,)."""
Tenths = npt.NDArray[np.uint8]
"""Of each image, the tenth of thickness and that of slant in which it is, 0 to 9: uint8 (N, 2)."""

PARTS = 10
_PORTION = 2_000
_FULL_INK = 255


def measure(images: Images) -> tuple[Array, Array]:
    """Thickness and slant, float32 (N,) each, of uint8 (N, side, side); an empty image is upright. 70,000 take 0.3 s."""
    count, side, _ = images.shape
    along = np.arange(side, dtype=np.float32) - (side - 1) / 2  # from the middle, so that the sums lose no digits
    y, x = (axis.ravel() for axis in np.meshgrid(along, along, indexing="ij"))
    powers = np.stack([np.ones_like(x), x, y, x * y, y * y], axis=1)
    sums = np.empty((count, powers.shape[1]), np.float64)
    for start in range(0, count, _PORTION):
        part = images[start : start + _PORTION].reshape(-1, side * side)
        sums[start : start + _PORTION] = part.astype(np.float32) @ powers
    ink = np.maximum(sums[:, 0], 1)
    middle_x, middle_y, xy, yy = (sums[:, power] / ink for power in range(1, 5))
    lean, height = xy - middle_x * middle_y, yy - middle_y * middle_y
    thickness = sums[:, 0] / (_FULL_INK * side * side)
    return thickness.astype(np.float32), (-lean / np.maximum(height, 1e-3)).astype(np.float32)


def rank(images: Images, labels: Labels) -> Tenths:
    """In which tenths each image is, among those of its own digit."""
    thickness, slant = measure(images)
    tenths: Tenths = np.empty((len(labels), 2), np.uint8)
    for digit in range(len(DIGITS)):
        for thick, part in enumerate(_parts(np.flatnonzero(labels == digit), thickness)):
            tenths[part, 0] = thick
            for leaning, cell in enumerate(_parts(part, slant)):
                tenths[cell, 1] = leaning
    return tenths


def _parts(chosen: Places, values: Array) -> list[Places]:
    """`chosen`, from the smallest value to the largest, in ten equal parts."""
    ordered = chosen[np.argsort(values[chosen], kind="stable")]
    return np.array_split(ordered, PARTS)


@dataclass(frozen=True)
class Groups:
    """The groups among some images, ranked when they are first asked for."""

    images: Images
    labels: Labels

    @cached_property
    def tenths(self) -> Tenths:
        return rank(self.images, self.labels)

    def members(self, group: GroupSpec, count: int) -> Places:
        """The first `count` images of the group, dealt digit by digit: 0, 1, …, 9, 0, 1, …"""
        inside = self.in_ranges(group)
        rounds = -(-count // len(group.digits))
        dealt = [np.flatnonzero(inside & (self.labels == digit))[:rounds] for digit in group.digits]
        return np.stack(dealt, axis=1).ravel()[:count]

    def in_ranges(self, group: GroupSpec) -> npt.NDArray[np.bool_]:
        """Whether each image is as thick and as slanted as the group wants, whatever its digit: bool (N,)."""
        low, high = np.transpose([group.thickness, group.slant])
        inside: npt.NDArray[np.bool_] = ((low <= self.tenths) & (self.tenths < high)).all(axis=1)
        return inside
