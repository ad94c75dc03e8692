"""Places of the plane to ask a network about: a grid of cells, a mesh of lines, a line."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engine.datasets.plane import Positions
from engine.datasets.points import Range

Domain: TypeAlias = tuple[Range, Range]
"""What is looked at: x from … to …, y from … to …"""


def grid(domain: Domain, resolution: int) -> Positions:
    """The centres of resolution × resolution equal cells, row by row from the largest y down, as a picture is painted."""
    (left, right), (bottom, top) = domain
    shares = (np.arange(resolution) + 0.5) / resolution
    x, y = left + (right - left) * shares, top - (top - bottom) * shares
    return _pairs(x, y)


def mesh(domain: Domain, lines: int) -> Positions:
    """The crossings of lines × lines lines, edges included, row by row from the largest y down."""
    (left, right), (bottom, top) = domain
    return _pairs(np.linspace(left, right, lines), np.linspace(top, bottom, lines))


def line(range: Range, resolution: int) -> Positions:
    """Equal steps from one end to the other, (resolution, 1), both ends included."""
    return np.linspace(*range, resolution, dtype=np.float32)[:, None]


def _pairs(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Positions:
    return np.stack([np.tile(x, len(y)), np.repeat(y, len(x))], axis=1).astype(np.float32)
