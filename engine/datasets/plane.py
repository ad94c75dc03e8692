"""Points in the plane, made by formula.

Circle, xor, gaussians, spiral, and for regression the plane and the bumps are TensorFlow Playground's, its label +1
being class 0 and −1 class 1; circle, gaussians and spiral go on to more classes as they begin with two. `noise` is
Playground's, from 0 to 0.5 there. In circle, xor, plane and bumps it moves each point only for as long as its class or
number is looked up: the point itself stays where it is. The sets of convnetjs's classify2d have its formulas and its
class numbers; what it knows nothing of, noise, moves its points as it moves the spiral's. Moons are scikit-learn's,
stretched to fill the plane; their noise is scikit-learn's, too.

Source: Playground's dataset.ts, convnetjs's classify2d.js, sklearn.datasets.make_moons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sin
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from engine.arrays import Truth
from engine.specs import PlaneKind, PlaneSpec

Positions = npt.NDArray[np.float32]
"""(N, C): where each point is, one column for each coordinate."""
Numbers = npt.NDArray[np.float64]
"""While points are made: x and y of each (2, N), or one number of each (N,)."""
Maker = Callable[[np.random.Generator, int, float, int], tuple[Numbers, Truth]]
"""From generator, number of points, noise and number of classes to coordinates (2, N) and labels (N,)."""

_RADIUS = 5.0
"""How far the sets for classification reach."""
_TURNS = 3.5
"""Turns of all the spiral's arms together."""
_REACH = 6.0
"""How far the sets for regression reach."""
_BUMPS = ((-4, 2.5, 1), (0, 2.5, -1), (4, 2.5, 1), (-4, -2.5, -1), (0, -2.5, 1), (4, -2.5, -1))
"""x, y and sign of each."""
_SIMPLE = (
    (-0.4326, 1.1909, 1), (3.0, 4.0, 1), (0.1253, -0.0376, 1), (0.2877, 0.3273, 1), (-1.1465, 0.1746, 1),
    (1.8133, 1.0139, 0), (2.7258, 1.0668, 0), (1.4117, 0.5593, 0), (4.1832, 0.3044, 0), (1.8636, 0.1677, 0),
    (0.5, 3.2, 1), (0.8, 3.2, 1), (1.0, -2.2, 1),
)  # fmt: skip
"""x, y and class of each."""


def plane_points(spec: PlaneSpec) -> tuple[Positions, Truth]:
    """Positions (N, 2), in random order, with their classes int64 (N,) or numbers float32 (N,).

    The same spec gives the same points, and one with more noise the same points moved further.
    """
    rng = np.random.default_rng(spec.seed)
    points, labels = _MAKERS[spec.kind](rng, spec.point_count, spec.noise, len(spec.classes))
    order = rng.permutation(spec.point_count)
    return np.ascontiguousarray(points.T[order], np.float32), labels[order]


# ---- TensorFlow Playground's --------------------------------------------------------------------------------------------


def _circle(rng: np.random.Generator, count: int, noise: float, classes: int) -> tuple[Numbers, Truth]:
    """A disc and rings around it, all of the same width, with a gap of two fifths of it between them."""
    ring, _ = _ranks(count, classes)
    width = _RADIUS / classes
    radius = rng.uniform(width * (ring + 0.4 * (ring > 0)), width * (ring + 1))
    points = _polar(radius, rng.uniform(0, 2 * pi, count))
    distance = np.hypot(*(points + _nudges(rng, _RADIUS * noise, count)))
    return points, np.minimum(distance / width, classes - 1).astype(np.int64)


def _xor(rng: np.random.Generator, count: int, noise: float, _: int) -> tuple[Numbers, Truth]:
    """Class 0 where x and y have the same sign, with a gap along the axes."""
    points = rng.uniform(-_RADIUS, _RADIUS, (2, count))
    points += np.where(points > 0, 0.3, -0.3)
    x, y = points + _nudges(rng, _RADIUS * noise, count)
    return points, (x * y < 0).astype(np.int64)


def _gaussians(rng: np.random.Generator, count: int, noise: float, classes: int) -> tuple[Numbers, Truth]:
    """Clouds on a circle, the first at (2, 2); of variance 0.5 without noise, 4 at a noise of 0.5.

    The circle is as large as for two, or large enough that neighbours are 4 apart.
    """
    cloud, _ = _ranks(count, classes)
    radius = max(8**0.5, 2 / sin(pi / classes))
    centres = _polar(np.full(count, radius), pi / 4 + 2 * pi * cloud / classes)
    return centres + rng.normal(0, (0.5 + 7 * noise) ** 0.5, (2, count)), cloud


def _spiral(rng: np.random.Generator, count: int, noise: float, classes: int) -> tuple[Numbers, Truth]:
    """Arms from the centre outwards; the more of them, the fewer turns each makes, so that they stay as far apart."""
    arm, along = _ranks(count, classes)
    points = _polar(_RADIUS * along, 2 * pi * (_TURNS / classes * along + arm / classes))
    return points + _nudges(rng, noise, count), arm


def _plane(rng: np.random.Generator, count: int, noise: float, _: int) -> tuple[Numbers, Truth]:
    """A tenth of x + y."""
    points = rng.uniform(-_REACH, _REACH, (2, count))
    x, y = points + _nudges(rng, _REACH * noise, count)
    return points, ((x + y) / 10).astype(np.float32)


def _bumps(rng: np.random.Generator, count: int, noise: float, _: int) -> tuple[Numbers, Truth]:
    """Six cones of height ±1 and radius 2; where two overlap, the one that is further from 0 counts."""
    points = rng.uniform(-_REACH, _REACH, (2, count))
    moved = points + _nudges(rng, _REACH * noise, count)
    centre_x, centre_y, sign = np.array(_BUMPS, np.float64).T[:, :, None]
    heights = np.maximum(0, 1 - np.hypot(moved[0] - centre_x, moved[1] - centre_y) / 2)
    highest = heights.argmax(axis=0)
    return points, (sign[highest, 0] * heights[highest, np.arange(count)]).astype(np.float32)


# ---- scikit-learn's -----------------------------------------------------------------------------------------------------


def _moons(rng: np.random.Generator, count: int, noise: float, classes: int) -> tuple[Numbers, Truth]:
    """Two half circles, each with one end inside the other; evenly spaced without noise."""
    moon, _ = _ranks(count, classes)
    sizes = np.bincount(moon)
    turn = np.concatenate([np.linspace(0, pi, size) for size in sizes])
    upper = np.stack([np.cos(turn), np.sin(turn)])
    lower = np.stack([1 - np.cos(turn), 0.5 - np.sin(turn)])
    points = np.where(moon == 0, upper, lower) + rng.normal(0, noise, (2, count))
    middle = np.array([[0.5], [0.25]])
    return (points - middle) * (_RADIUS / 1.5), moon


# ---- convnetjs's --------------------------------------------------------------------------------------------------------


def _convnetjs_simple(rng: np.random.Generator, count: int, noise: float, _: int) -> tuple[Numbers, Truth]:
    """Thirteen points, written down once."""
    x, y, labels = np.array(_SIMPLE).T
    return np.stack([x, y]) + _nudges(rng, noise, count), labels.astype(np.int64)


def _convnetjs_circle(rng: np.random.Generator, count: int, noise: float, classes: int) -> tuple[Numbers, Truth]:
    """A ring, class 0, whose points are evenly spaced around a disc, class 1."""
    disc, along = _ranks(count, classes)
    radius = rng.uniform(np.where(disc, 0, 3), np.where(disc, 2, 5))
    angle = np.where(disc, rng.uniform(0, 2 * pi, count), 2 * pi * along)
    return _polar(radius, angle) + _nudges(rng, noise, count), disc


def _convnetjs_spiral(rng: np.random.Generator, count: int, noise: float, classes: int) -> tuple[Numbers, Truth]:
    """Two arms of one and a quarter turns, never quite even; class 1 begins upwards."""
    arm, along = _ranks(count, classes)
    radius = _RADIUS * along + rng.uniform(-0.1, 0.1, count)
    angle = 2 * pi * 1.25 * along + rng.uniform(-0.1, 0.1, count) + pi * (arm == 0)
    return _polar(radius, angle) + _nudges(rng, noise, count), arm


def _convnetjs_random(rng: np.random.Generator, count: int, noise: float, classes: int) -> tuple[Numbers, Truth]:
    """Anywhere in the middle, of any class: there is nothing to be learned but the points themselves."""
    points = rng.uniform(-3, 3, (2, count))
    labels = rng.integers(0, classes, count)
    return points + _nudges(rng, noise, count), labels


_MAKERS: Mapping[PlaneKind, Maker] = MappingProxyType(
    {
        "circle": _circle,
        "xor": _xor,
        "gaussians": _gaussians,
        "spiral": _spiral,
        "moons": _moons,
        "convnetjs_simple": _convnetjs_simple,
        "convnetjs_circle": _convnetjs_circle,
        "convnetjs_spiral": _convnetjs_spiral,
        "convnetjs_random": _convnetjs_random,
        "plane": _plane,
        "bumps": _bumps,
    }
)


def _ranks(count: int, classes: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The class of each point, and how far along its class it comes, from 0 to nearly 1: the classes as even as can be."""
    sizes = [len(range(number, count, classes)) for number in range(classes)]
    labels = np.repeat(np.arange(classes), sizes)
    return labels, np.concatenate([np.arange(size) / size for size in sizes if size])


def _polar(radius: Numbers, angle: Numbers) -> Numbers:
    """Clockwise from the top, as both pages have it."""
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)])


def _nudges(rng: np.random.Generator, reach: float, count: int) -> Numbers:
    """Up to `reach` to each side. They are drawn even when they are nothing, so that noise changes nothing else."""
    return rng.uniform(-1, 1, (2, count)) * reach
