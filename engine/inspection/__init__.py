"""What there is to see in a network that learns from points: arrays, ready to be drawn.

Everything is asked of an `Inspection`, and nothing of it disturbs the training.
"""

from __future__ import annotations

from engine.inspection.curve import Curve, LeastSquares, check_curve, curve, least_squares, unit_curves
from engine.inspection.hidden import HiddenSpace, check_hidden, hidden_space
from engine.inspection.histograms import Histogram, LayerHistograms, histograms
from engine.inspection.inspection import INPUTS, Inspection
from engine.inspection.maps import UnitMaps, boundary, response, responses
from engine.inspection.observer import Observer

__all__ = [
    "INPUTS",
    "Curve",
    "HiddenSpace",
    "Histogram",
    "Inspection",
    "LayerHistograms",
    "LeastSquares",
    "Observer",
    "UnitMaps",
    "boundary",
    "check_curve",
    "check_hidden",
    "curve",
    "hidden_space",
    "histograms",
    "least_squares",
    "response",
    "responses",
    "unit_curves",
]
