"""Which digits a network sees: a group of them by thickness and slant, and drawings of one's own.

Without NumPy, so that a server can check a spec while it serves others.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, TypeAlias

from annotated_types import Interval, Len, doc

from engine.errors import SpecError

SIDE = 28
"""Height and width of a digit in pixels."""
MAX_DRAWINGS = 200
DRAWING_BYTES = 1 + SIDE * SIDE
"""The digit that it shows, then its ink row by row, one byte a pixel."""
MAX_DRAWINGS_TEXT = 4 * (MAX_DRAWINGS * DRAWING_BYTES + 128) // 3 + 4
"""Letters of base64 that they take where nothing can be packed."""

MOST_IN_ADDRESS = 12_000
"""Letters of packed drawings that an address can carry: some eighty drawings."""

FEWEST_IN_CELL = 54
"""The 5 is the rarest of the training digits, 5,421 of them: a hundredth of these are at least so many."""

Digit: TypeAlias = Annotated[int, Interval(ge=0, le=9)]
Tenth: TypeAlias = Annotated[int, Interval(ge=0, le=10)]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSpec:
    """Training digits of some thickness and some slant, both ranked, so that every tenth holds equally many.

    `engine.datasets.groups` says how they are measured and ranked.
    """

    digits: Annotated[
        tuple[Digit, ...],
        Len(1, 10),
        doc("Which digits are seen at all. Of one that is never seen nothing is learned."),
    ] = tuple(range(10))
    thickness: Annotated[
        tuple[Tenth, ...],
        Len(2, 2),
        doc("From which tenth to which: 0 is the thinnest of its digit, 10 the thickest; 0 to 3 is the thinnest 30 %."),
    ] = (0, 10)
    slant: Annotated[
        tuple[Tenth, ...],
        Len(2, 2),
        doc("From which tenth to which: 0 leans furthest to the left among digits equally thick, 10 to the right."),
    ] = (0, 10)

    @property
    def fewest(self) -> int:
        """So many of each digit are in the group, at least."""
        return FEWEST_IN_CELL * (self.thickness[1] - self.thickness[0]) * (self.slant[1] - self.slant[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingsSpec:
    """Labelled drawings that are trained on, beside the other digits or alone."""

    values: Annotated[
        str,
        Len(1, MAX_DRAWINGS_TEXT),
        doc(
            "The drawings, packed by zlib, in base64: for each one byte with its digit, then 28×28 bytes of ink, 255 the fullest."
        ),
    ]
    after: Annotated[
        int, Interval(ge=0, le=10**9), doc("Updates on the other digits alone before the drawings are trained on.")
    ] = 0
    mixed: Annotated[
        bool, doc("Whether the other digits are trained on beside the drawings. If not, what they taught is forgotten.")
    ] = True

    @property
    def count(self) -> int:
        """How many there are."""
        return len(read_drawings(self.values)[0])


def check_group(group: GroupSpec, wanted: int) -> None:
    """Raise SpecError unless the group holds `wanted` images, as many of each of its digits."""
    if len(set(group.digits)) < len(group.digits):
        raise SpecError("Each digit can be named once.", field="/dataset/group/digits")
    for name in ("thickness", "slant"):
        low, high = getattr(group, name)
        if low >= high:
            raise SpecError(
                f"The range of {name} goes from a smaller tenth to a larger one; {low} to {high} holds no digit.",
                field=f"/dataset/group/{name}",
            )
    available = group.fewest * len(group.digits)
    if wanted > available:
        raise SpecError(
            f"{wanted:,} images are asked for, and a group like this surely holds {available:,}, {group.fewest:,} of each "
            "digit. Use fewer, or widen the group.",
            field="/dataset/train_size",
        )


def pack_drawings(drawings: Sequence[tuple[int, bytes]]) -> str:
    """`DrawingsSpec.values` of drawings, each its digit and its 784 bytes of ink."""
    return base64.b64encode(zlib.compress(b"".join(bytes([digit]) + ink for digit, ink in drawings), 9)).decode()


@lru_cache(maxsize=64)
def read_drawings(values: str) -> tuple[bytes, bytes]:
    """The digits, a byte each, and the ink, 784 bytes each, of packed drawings. Raises SpecError if they are none."""
    most = MAX_DRAWINGS * DRAWING_BYTES
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(base64.b64decode(values, validate=True), most + 1)
    except (ValueError, zlib.error):
        raise SpecError("The drawings are not base64 of what zlib packed.", field="/dataset/drawings/values") from None
    if not content or len(content) > most or len(content) % DRAWING_BYTES or not unpacking.eof:
        raise SpecError(
            f"Drawings are 1 to {MAX_DRAWINGS} times {DRAWING_BYTES} bytes: a digit, then {SIDE} × {SIDE} of ink.",
            field="/dataset/drawings/values",
        )
    digits = content[::DRAWING_BYTES]
    if max(digits) > 9:
        raise SpecError("The first byte of a drawing is its digit, from 0 to 9.", field="/dataset/drawings/values")
    ink = b"".join(content[start + 1 : start + DRAWING_BYTES] for start in range(0, len(content), DRAWING_BYTES))
    return digits, ink
