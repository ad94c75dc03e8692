"""A curve through points on a line: the network's, that of each unit, and the best straight line for comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import Array
from engine.datasets.points import Range
from engine.errors import ShapeError
from engine.inspection.inspection import Inspection


@dataclass(frozen=True, slots=True)
class Curve:
    """The network's output (resolution,) at equal steps over `x`, and by how much each point (N,) lies above it."""

    x: Range
    output: Array
    residuals: Array


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """The best that a network without bends could do: `output` (resolution,), and its loss on the training points."""

    output: Array
    loss: float


def check_curve(inspection: Inspection) -> None:
    """ShapeError unless a number is learned from one column."""
    if inspection.columns != 1 or inspection.dataset.classes:
        raise ShapeError("Only a run that learns one number from another has a curve.")


def curve(inspection: Inspection, resolution: int) -> Curve:
    """In the data's own units."""
    check_curve(inspection)
    observer = inspection.observer
    (output,) = inspection.answers(observer.outputs(inspection.line_inputs(resolution)))
    (answers,) = inspection.answers(observer.outputs(inspection.point_inputs()))
    return Curve(inspection.dataset.domain[0], output, inspection.dataset.labels - answers)


def unit_curves(inspection: Inspection, layer: int, resolution: int) -> Array:
    """What each unit of the dense `layer` answers over x, (units, resolution), as it is."""
    check_curve(inspection)
    inspection.check_layer(layer)
    return inspection.units(inspection.line_inputs(resolution), [layer])[layer]


def least_squares(inspection: Inspection, resolution: int) -> LeastSquares | None:
    """The weights and the bias with the smallest squared error on the training points, in closed form.

    `min |A w − y|²` with a column of ones in A, by its singular values (NumPy's lstsq). None when the network bends:
    it is then no rival.
    """
    check_curve(inspection)
    if not inspection.observer.is_linear:
        return None
    mean, spread = inspection.dataset.target_scale
    inputs = inspection.training_inputs()
    targets = (inspection.dataset.labels[inspection.dataset.train] - mean) / spread
    weights, *_ = np.linalg.lstsq(_with_ones(inputs).T, targets, rcond=None)
    loss, _ = inspection.loss.loss_and_gradient((weights @ _with_ones(inputs))[None], targets)
    (output,) = inspection.answers((weights @ _with_ones(inspection.line_inputs(resolution)))[None])
    return LeastSquares(output, loss)


def _with_ones(inputs: Array) -> Array:
    return np.vstack([inputs, np.ones(inputs.shape[1])])
