"""Pictures over the plane: what the network answers everywhere, and what each of its units does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.arrays import Array
from engine.inspection.inspection import INPUTS, Inspection


@dataclass(frozen=True, slots=True)
class UnitMaps:
    """The units of the dense layer `layer` (−1: the inputs) over the plane, (units, side, side), row 0 = largest y."""

    layer: int
    maps: Array


def boundary(inspection: Inspection, resolution: int, columns: Sequence[int] = (0, 1)) -> Array:
    """The network's answer at the cells of a grid, (K, resolution, resolution), row 0 = largest y.

    Probabilities of the K classes, or, K = 1, the number that is learned. ShapeError when there are no such columns.
    """
    inspection.check_columns(columns)
    answers = inspection.answers(inspection.observer.outputs(inspection.grid_inputs(resolution, columns)))
    return answers.reshape(-1, resolution, resolution)


def response(inspection: Inspection, layer: int, unit: int, resolution: int, columns: Sequence[int] = (0, 1)) -> Array:
    """One unit over the plane, (resolution, resolution). ShapeError when there are no such columns, or no such unit."""
    inspection.check_columns(columns)
    inspection.check_unit(layer, unit)
    inputs = inspection.grid_inputs(resolution, columns)
    values: Array = inspection.units(inputs, [layer])[layer][unit]
    return values.reshape(resolution, resolution)


def responses(inspection: Inspection, side: int, columns: Sequence[int] = (0, 1)) -> list[UnitMaps]:
    """All units of all dense layers, and the inputs first, over the plane, in one forward pass.

    With one column all rows of a map are the same.
    """
    layers = [INPUTS, *inspection.layers]
    if inspection.columns == 1:
        found = inspection.units(inspection.line_inputs(side), layers)
        return [UnitMaps(layer, np.repeat(found[layer][:, None], side, axis=1)) for layer in layers]
    found = inspection.units(inspection.grid_inputs(side, columns), layers)
    return [UnitMaps(layer, found[layer].reshape(-1, side, side)) for layer in layers]
