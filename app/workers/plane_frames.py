"""What a page sees of a live network that learns from points: one snapshot of everything that it asked for.

Encoded here, once, as a whole event of the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from app.clock import milliseconds
from app.wire.arrays import numbers, pack, significant
from app.wire.events import event
from engine.arrays import Array
from engine.errors import ShapeError
from engine.inspection import (
    Histogram,
    Inspection,
    boundary,
    check_curve,
    check_hidden,
    curve,
    hidden_space,
    histograms,
    least_squares,
    response,
    responses,
    unit_curves,
)

Columns: TypeAlias = Sequence[int]
"""The two columns of the data that are drawn, across and up."""

PARTS = ("plane", "neurons", "weights", "hidden", "curve", "histograms")
"""What a page may ask for, by the names of a watch's fields."""
LARGEST_PACKED = 65_536
"""Values in the maps of a layer; those of a larger one are left out."""
LARGEST_LISTED = 16_384
"""Numbers of a layer that are sent as such; those of a larger one are left out."""


def check_wish(inspection: Inspection, wish: Mapping[str, Any]) -> None:
    """ShapeError when the run has not what a page wishes to look at."""
    for part, asked in asked_for(wish).items():
        CHECKS[part](inspection, asked)


def plane_frame(inspection: Inspection, watch: str, step: int, wish: Mapping[str, Any]) -> bytes:
    """The event. What the run does not have any more, since it was given another spec, is null."""
    asked = {part: asked for part, asked in asked_for(wish).items() if is_there(inspection, part, asked)}
    columns = asked["plane"]["columns"] if "plane" in asked else (0, 1)
    value: dict[str, Any] = {
        "view": "plane",
        "watch": watch,
        "step": step,
        "taken": milliseconds(),  # so that a page can tell how old its picture is
        "domain": inspection.domain(columns),
        "outputs": None,
        "neuron": None,
        "neurons": neurons(inspection, wish["neurons"], columns) if wish.get("neurons") else None,
        "weights": weights(inspection) if wish.get("weights") else None,
        "predictions": None,
        "mistakes": None,
        "hidden": hidden_frame(inspection, asked["hidden"], columns) if "hidden" in asked else None,
        "curve": curve_frame(inspection, asked["curve"]) if "curve" in asked else None,
        "histograms": spreads(inspection) if wish.get("histograms") else None,
    }
    if "plane" in asked:
        resolution = asked["plane"]["resolution"]
        value["outputs"] = outputs(inspection, resolution, columns)
        if "neuron" in asked:
            value["neuron"] = neuron(inspection, asked["neuron"], resolution, columns)
        if inspection.dataset.classes:
            predictions = inspection.predictions()
            value["predictions"] = predictions.tolist()
            value["mistakes"] = np.flatnonzero(predictions != inspection.dataset.labels).tolist()
    return event("frame", value)


# ---- What was asked for -----------------------------------------------------------------------------------------------


def asked_for(wish: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a wish that not every run can show."""
    plane = wish.get("plane")
    parts = {
        "plane": plane,
        "neuron": plane and plane.get("neuron"),
        "hidden": wish.get("hidden"),
        "curve": wish.get("curve"),
    }
    return {part: asked for part, asked in parts.items() if asked}


def is_there(inspection: Inspection, part: str, asked: Any) -> bool:
    try:
        CHECKS[part](inspection, asked)
    except ShapeError:
        return False
    return True


def check_curve_of(inspection: Inspection, asked: Mapping[str, Any]) -> None:
    check_curve(inspection)
    if asked.get("layer") is not None:
        inspection.check_layer(asked["layer"])


CHECKS: Mapping[str, Callable[[Inspection, Any], None]] = {
    "plane": lambda inspection, asked: inspection.check_columns(asked["columns"]),
    "neuron": lambda inspection, asked: inspection.check_unit(*asked),
    "hidden": lambda inspection, asked: check_hidden(inspection, asked["layer"], units_of(asked)),
    "curve": check_curve_of,
}
"""Each raises ShapeError when the run has not what is asked for."""


def units_of(hidden: Mapping[str, Any]) -> tuple[int, int] | None:
    """None: principal components."""
    return None if hidden["units"] == "components" else (hidden["units"][0], hidden["units"][1])


# ---- The parts of a frame ---------------------------------------------------------------------------------------------


def outputs(inspection: Inspection, resolution: int, columns: Columns) -> dict[str, Any] | None:
    """Of two classes the first alone: the other is the rest."""
    maps = boundary(inspection, resolution, columns)
    return packed(maps[:1] if len(maps) == 2 else maps)


def neuron(inspection: Inspection, asked: Sequence[int], resolution: int, columns: Columns) -> dict[str, Any] | None:
    layer, unit = asked
    values = packed(response(inspection, layer, unit, resolution, columns))
    return None if values is None else {"layer": layer, "unit": unit, "map": values}


def neurons(inspection: Inspection, side: int, columns: Columns) -> list[dict[str, Any]]:
    return [
        {"layer": unit_maps.layer, "maps": maps}
        for unit_maps in responses(inspection, side, columns)
        if unit_maps.maps.size <= LARGEST_PACKED and (maps := packed(unit_maps.maps)) is not None
    ]


def weights(inspection: Inspection) -> list[dict[str, Any]]:
    found = [(layer, *inspection.observer.parameters(layer)) for layer in inspection.layers]
    return [
        {"layer": layer, "weights": significant(weights), "biases": significant(biases)}
        for layer, weights, biases in found
        if weights.size <= LARGEST_LISTED and np.isfinite(weights).all() and np.isfinite(biases).all()
    ]


def hidden_frame(inspection: Inspection, hidden: Mapping[str, Any], columns: Columns) -> dict[str, Any] | None:
    space = hidden_space(inspection, hidden["layer"], units_of(hidden), hidden["grid"], columns)
    both = np.hstack([space.mesh, space.points])
    if not np.isfinite(both).all():
        return None
    return {
        "layer": hidden["layer"],
        "units": hidden["units"],
        "grid": numbers(space.mesh),
        "points": numbers(space.points),
        "low": both.min(axis=1).tolist(),
        "high": both.max(axis=1).tolist(),
        "explained": space.explained,
    }


def curve_frame(inspection: Inspection, asked: Mapping[str, Any]) -> dict[str, Any]:
    resolution, layer = asked["resolution"], asked.get("layer")
    found, best = curve(inspection, resolution), least_squares(inspection, resolution)
    value: dict[str, Any] = {
        "x": found.x,
        "output": numbers(found.output),
        "units": None,
        "residuals": numbers(found.residuals),
        "least_squares": None,
    }
    if layer is not None and inspection.observer.units(layer) * resolution <= LARGEST_LISTED:
        value["units"] = {"layer": layer, "curves": numbers(unit_curves(inspection, layer, resolution))}
    if best is not None:
        loss = best.loss if np.isfinite(best.loss) else None
        value["least_squares"] = {"output": numbers(best.output), "loss": loss}
    return value


def spreads(inspection: Inspection) -> list[dict[str, Any]]:
    return [
        {
            "layer": layer.layer,
            "units": layer.units,
            "dead": layer.dead,
            "weights": spread(layer.weights),
            "activations": None if layer.activations is None else spread(layer.activations),
        }
        for layer in histograms(inspection)
        if layer.weights is not None
    ]


def spread(histogram: Histogram) -> dict[str, Any]:
    return {"low": histogram.low, "high": histogram.high, "counts": histogram.counts.tolist()}


def packed(array: Array) -> dict[str, Any] | None:
    """None for what is no longer made of numbers."""
    return pack(array) if np.isfinite(array).all() else None
