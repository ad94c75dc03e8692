"""A drawing becomes one example by the recipe of MNIST's makers.

"The original black and white images from NIST were size normalized to fit in a 20x20 pixel box while preserving their
aspect ratio. [...] The images were centered in a 28x28 image by computing the center of mass of the pixels, and
translating the image so as to position this point at the center of the 28x28 field." (LeCun, Cortes and Burges)

Two things the text leaves open were measured on the 60,000 training images and are done the same way: the centre of
mass lies within half a pixel of pixel number 14 in both directions, and the darkest pixel is full ink.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.arrays import Array
from engine.errors import ShapeError

Grey = npt.NDArray[np.float32]
"""Ink in [0, 1], float32 (height, width): 0 is background."""

SMALLEST, LARGEST = 28, 280
"""Legal sides of a drawing in pixels."""

BOX, FIELD, CENTRE = 20, 28, 14

FAINTEST = 0.05
"""Pixels with less ink than this do not count as drawn: a smooth brush's rim, the paper of a photograph."""


@dataclass(frozen=True, slots=True)
class Ink:
    """A drawing on its way to the network, with every stage kept to be shown.

    box: left, top, right, bottom of what was drawn, as shares (0 to 1) of the drawing's side;
    scaled20: the box's content fitted into 20×20, aspect kept; image28: the same with its centre of mass in the middle.
    """

    box: tuple[float, float, float, float]
    scaled20: Grey
    image28: Grey

    @property
    def pixels(self) -> bytes:
        """28×28 bytes, row by row, 255 for full ink, in 16 shades: more tell nothing, and they pack worse."""
        return (np.rint(self.image28 * 15) * 17).astype(np.uint8).tobytes()

    def network_input(self, crop: int) -> Array:
        """The middle `crop`×`crop` pixels as a batch of one: float32 (1, crop, crop, 1)."""
        margin = (FIELD - crop) // 2
        return np.ascontiguousarray(self.image28[None, margin : margin + crop, margin : margin + crop, None])


def preprocess(ink: npt.ArrayLike) -> Ink | None:
    """The stages of a square drawing of 28 to 280 pixels, ink in [0, 1]; None when nothing is drawn.

    Raises ShapeError when it is no such square or has values that are not ink.
    """
    try:
        drawing = np.asarray(ink, np.float64)
    except (TypeError, ValueError):
        raise ShapeError("A drawing is a square list of rows of numbers.") from None
    if drawing.ndim != 2 or drawing.shape[0] != drawing.shape[1] or not SMALLEST <= len(drawing) <= LARGEST:
        found = " × ".join(str(size) for size in drawing.shape) or "a single number"
        raise ShapeError(f"A drawing is a square of {SMALLEST} to {LARGEST} pixels; this one is {found}.")
    if not (drawing.min() >= 0 and drawing.max() <= 1):  # written so that NaN fails, too
        raise ShapeError("The ink of a drawing goes from 0 (background) to 1.")

    drawn = drawing >= FAINTEST
    if not drawn.any():
        return None
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    digit = _fit(drawing[top:bottom, left:right])
    side = len(drawing)
    return Ink(
        box=(float(left / side), float(top / side), float(right / side), float(bottom / side)),
        scaled20=_centre_box(digit),
        image28=_centre_mass(digit),
    )


def _fit(digit: npt.NDArray[np.float64]) -> Grey:
    """Scale so that the longer side is 20 pixels, by area average, and the darkest pixel is full ink."""
    longest = max(digit.shape)
    height, width = (max(1, round(size * BOX / longest)) for size in digit.shape)
    scaled = _area_average(digit.shape[0], height) @ digit @ _area_average(digit.shape[1], width).T
    fitted: Grey = (scaled / scaled.max()).astype(np.float32)
    return fitted


def _area_average(size: int, new_size: int) -> npt.NDArray[np.float64]:
    """The matrix (new_size, size) whose row i holds the share that each old pixel has in new pixel i; rows sum to 1."""
    edges = np.arange(new_size + 1) * (size / new_size)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    shares: npt.NDArray[np.float64] = np.maximum(overlap, 0) * (new_size / size)
    return shares


def _centre_box(digit: Grey) -> Grey:
    height, width = digit.shape
    return _place(digit, BOX, (BOX - height) // 2, (BOX - width) // 2)


def _centre_mass(digit: Grey) -> Grey:
    """Move by whole pixels, and never so far that a part of the digit would leave the field."""
    corner = []
    for axis, size in enumerate(digit.shape):
        profile = digit.sum(axis=1 - axis)
        centre = float(profile @ np.arange(size)) / float(profile.sum())
        corner.append(min(max(round(CENTRE - centre), 0), FIELD - size))
    return _place(digit, FIELD, *corner)


def _place(digit: Grey, side: int, top: int, left: int) -> Grey:
    field = np.zeros((side, side), np.float32)
    field[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return field
