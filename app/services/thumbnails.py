"""Small pictures of the data sets, drawn from their own points and not from a model of them."""

from __future__ import annotations

import asyncio
from functools import cache

from engine.datasets.points import points_dataset
from engine.specs import CurveSpec, PlaneSpec, PointsSpec

SIDE = 48
COLOURS = ("#1b6cc6", "#f0964a", "#585c04", "#7accfe", "#e0456f", "#d7ea66")
"""The classes' colours between those of the light and of the dark page; a picture is the same on both."""
MOST = 90


async def thumbnail(spec: PointsSpec) -> str:
    """The points of `spec` as an SVG; a thread makes it, once."""
    return await asyncio.to_thread(_drawn, spec)


@cache
def _drawn(spec: PlaneSpec | CurveSpec) -> str:
    dataset = points_dataset(spec)
    rows, labels = dataset.positions.tolist()[:MOST], dataset.labels.tolist()[:MOST]
    highest = max(map(abs, labels)) or 1.0
    dots = []
    for row, label in zip(rows, labels, strict=True):
        across, up = (row[0], row[1]) if len(row) == 2 else (row[0], label)
        (left, right), (low, high) = dataset.domain
        x, y = SIDE * (across - left) / (right - left), SIDE * (high - up) / (high - low)
        if dataset.classes:
            colour, strength = COLOURS[int(label)], 1.0
        else:
            colour, strength = COLOURS[0 if label >= 0 or len(row) == 1 else 1], 0.25 + 0.75 * abs(label) / highest
            strength = 1.0 if len(row) == 1 else strength
        dots.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.5" fill="{colour}" fill-opacity="{strength:.2f}"/>')
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}">{"".join(dots)}</svg>'
