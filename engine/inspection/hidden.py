"""The space that a hidden layer makes of the plane: where it puts a mesh of lines, and the points.

A network that has learned to tell the classes apart has bent the plane until a straight line can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.arrays import Array
from engine.errors import ShapeError
from engine.inspection.inspection import Inspection

MOST_COMPONENTS_OF = 256
"""Units of a layer whose principal components are looked for: their matrix takes some 10 ms, and grows with the cube."""


@dataclass(frozen=True, slots=True)
class HiddenSpace:
    """A mesh (2, lines²) and all points (2, N) as two units of a layer see them, or its first two principal components.

    `explained`: which share of the points' variance each component holds; None for units.
    """

    mesh: Array
    points: Array
    explained: tuple[float, float] | None


@np.errstate(over="ignore", invalid="ignore")
def hidden_space(
    inspection: Inspection, layer: int, units: tuple[int, int] | None, lines: int, columns: Sequence[int] = (0, 1)
) -> HiddenSpace:
    """`units` None: principal components. ShapeError when the layer has no such units, or too few or too many."""
    check_hidden(inspection, layer, units)
    mesh = inspection.units(inspection.mesh_inputs(lines, columns), [layer])[layer]
    points = inspection.units(inspection.point_inputs(), [layer])[layer]
    if units is not None:
        return HiddenSpace(mesh[list(units)], points[list(units)], None)
    mean, directions, explained = principal_components(points)
    return HiddenSpace(directions @ (mesh - mean), directions @ (points - mean), explained)


def check_hidden(inspection: Inspection, layer: int, units: tuple[int, int] | None) -> None:
    inspection.check_columns((0, 1))
    inspection.check_layer(layer)
    if units is None:
        count = inspection.observer.units(layer)
        if not 2 <= count <= MOST_COMPONENTS_OF:
            raise ShapeError(
                f"Principal components are shown of 2 to {MOST_COMPONENTS_OF} units; this layer has {count:,}."
            )
    else:
        for unit in units:
            inspection.check_unit(layer, unit)


@np.errstate(over="ignore", invalid="ignore")
def principal_components(values: Array) -> tuple[Array, Array, tuple[float, float]]:
    """The mean (D, 1) of `values` (D, N), the two directions (2, D) in which they vary most, and their shares of the variance.

    They are the eigenvectors of the covariance with the largest eigenvalues. Either sign would do; the largest loading
    of each is made positive, so that the picture does not flip from one frame to the next. Values that are not finite
    have no directions: all is NaN then.
    """
    mean = values.mean(axis=1, keepdims=True, dtype=np.float64)
    centred = values - mean
    covariance: npt.NDArray[np.float64] = centred @ centred.T
    if not np.isfinite(covariance).all():
        return mean, np.full((2, len(values)), np.nan), (np.nan, np.nan)
    variances, vectors = np.linalg.eigh(covariance)
    directions = vectors[:, :-3:-1].T
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    directions = directions * np.sign(largest)
    total = float(variances.sum())
    first, second = np.maximum(variances[:-3:-1], 0) / total if total > 0 else (0.0, 0.0)
    return mean, directions, (float(first), float(second))
