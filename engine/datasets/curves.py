"""Points of a curve y = f(x), x drawn evenly from −5 to 5. x·sin x is that of convnetjs's regression page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from engine.arrays import Truth
from engine.datasets.plane import Numbers, Positions
from engine.specs import CurveKind, CurveSpec

ENDS = (-5.0, 5.0)

CURVES: Mapping[CurveKind, Callable[[Numbers], Numbers]] = MappingProxyType(
    {
        "x_sin_x": lambda x: x * np.sin(x),
        "sine": lambda x: np.sin(x),
        "line": lambda x: x / 2,
        "parabola": lambda x: x**2 / 5 - 2,
        "step": lambda x: np.where(x < 0, -1.0, 1.0),
        "bump": lambda x: 2 * np.exp(-(x**2)),
    }
)


def curve_points(spec: CurveSpec) -> tuple[Positions, Truth]:
    """Positions (N, 1) and what is to be learned there, float32 (N,).

    `noise` is the standard deviation of a normal error, as a share of the height from the curve's lowest to its highest
    point. The same spec gives the same points.
    """
    curve = CURVES[spec.kind]
    height = float(np.ptp(curve(np.linspace(*ENDS, 1001))))
    rng = np.random.default_rng(spec.seed)
    x = rng.uniform(*ENDS, spec.points)
    y = curve(x) + rng.normal(0, spec.noise * height, spec.points)
    return x.astype(np.float32)[:, None], y.astype(np.float32)
