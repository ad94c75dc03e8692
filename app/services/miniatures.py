"""Small pictures for the map of the lecture, one for each stop, each made once from what workers have computed."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Callable, Mapping
from math import log10
from typing import Any

from app.errors import NotFound
from app.labs import miniatures as work
from app.labs.lesson import Json
from app.services.runs import Runs
from app.services.svg import (
    BLUE,
    CRIMSON,
    HEIGHT,
    INK,
    ORANGE,
    TEAL,
    WIDTH,
    Frame,
    box,
    dot,
    inked,
    path,
    picture,
    raster,
    words,
)

SERIES = ((INK, ""), (CRIMSON, "2 3"), (TEAL, "7 3"))
"""As the series of a chart look: colour and dash."""


class Miniatures:
    """Makes each picture when it is first asked for, one at a time: the map asks for all of them at once."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._made: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()

    async def of(self, name: str) -> str:
        """The SVG of a stop. NotFound when there is no such stop."""
        if name not in PICTURES:
            raise NotFound("There is no such stop; /labs has all of them.")
        async with self._one_at_a_time:
            if name not in self._made:
                compute, arguments, draw = PICTURES[name]
                self._made[name] = draw(await self._runs.compute(compute, arguments))
        return self._made[name]


# ---- One a stop --------------------------------------------------------------------------------------------------------------


def plane(f: Json) -> str:
    """What a network answers over the plane, and its points."""
    points = f["points"][:60]
    dots = (dot(WIDTH * x, HEIGHT * (1 - y), BLUE if side > 0 else ORANGE, 2.2, "#fff") for x, y, side in points)
    return picture(raster(f["answers"], 0, 0, WIDTH, HEIGHT, smooth=True), *dots)


def representative(f: Json) -> str:
    """The thinnest and the thickest of a digit."""
    rows = f["map"]["pictures"]
    middle = len(rows[0]) // 2
    return picture(*(raster(_ink(row[middle]), x, 14, 72, 72, inked) for row, x in ((rows[0], 6), (rows[-1], 82))))


def _ink(text: str) -> list[list[float]]:
    values = [value / 255 for value in b64decode(text)]
    side = round(len(values) ** 0.5)
    return [values[start : start + side] for start in range(0, len(values), side)]


def outliers(f: Json) -> str:
    """Two least-squares lines, with the outliers and without them."""
    plot = f["fit"]
    frame = Frame(tuple(plot["x"]["range"]), tuple(plot["y"]["range"]))
    curves = {curve["name"]: curve for curve in plot["curves"]}
    lines = (
        frame.line(curves[name]["x"], curves[name]["values"], colour, dash)
        for name, colour, dash in (("best-without", INK, ""), ("best-with", CRIMSON, "5 4"))
    )
    dots = (
        dot(frame.x(point["x"]), frame.y(point["y"]), CRIMSON if point["kind"] == "outlier" else INK, 2.2)
        for point in plot["points"]
    )
    return picture(*lines, *dots)


def unbalanced(f: Json) -> str:
    """One dot for a fraud among as many as there are transactions for each."""
    across = 125
    down = f["transactions"] // f["frauds"] // across
    gap, row = WIDTH / across, HEIGHT / down
    # Dashes without length between round ends: a pattern of this size is drawn too dark or with stripes.
    lines = "".join(f'<polyline points="{gap / 2:g},{row * (k + 0.5):g} {WIDTH},{row * (k + 0.5):g}"/>' for k in range(down))
    grid = f'<g stroke="{INK}" stroke-width="0.7" stroke-linecap="round" stroke-dasharray="0 {gap:g}">{lines}</g>'
    return picture(grid, dot(gap * 86.5, gap * 54.5, ORANGE, 2.4))


def overfitting(f: Json) -> str:
    """The seen quarters, the trend that goes on and the curve that dives."""
    plot = f["timber_plot"]
    frame = Frame(tuple(plot["x"]["range"]), (-100, plot["y"]["range"][1]))
    curves = (
        frame.line(_steps(curve["x"], len(curve["values"])), curve["values"], colour)
        for curve, (colour, _) in zip(plot["curves"], SERIES, strict=False)
    )
    marks = (
        words(mark["words"].split()[0], frame.x(mark["x"]) - 9, frame.y(mark["y"]) - 8, colour, 10)
        for mark, (colour, _) in zip(plot["marks"], SERIES, strict=False)
    )
    axis = frame.line(plot["x"]["range"], [0, 0], INK, "1 3", 1)
    points = plot["points"]
    return picture(
        axis, *curves, frame.dots([point["x"] for point in points], [point["y"] for point in points]), *marks
    )


def _steps(ends: list[float], count: int) -> list[float]:
    """`count` places from one end to the other."""
    return [ends[0] + (ends[-1] - ends[0]) * k / (count - 1) for k in range(count)]


def loss(f: Json) -> str:
    """A product of probabilities that ends at the smallest number there is, and the sum of logs that goes on."""
    told = f["likelihood"]
    kept = [(place, log10(value)) for place, value in zip(told["places"], told["products"], strict=True) if value]
    product = Frame((0, told["places"][-1]), (kept[-1][1], 0))
    total = Frame((0, told["places"][-1]), (0, told["sums"][-1]))
    end = kept[-1]
    return picture(
        total.line(told["places"], told["sums"], INK),
        product.line([place for place, _ in kept], [value for _, value in kept], CRIMSON, "2 3"),
        dot(product.x(end[0]), product.y(end[1]), CRIMSON, 2.6),
        words("0", product.x(end[0]) + 9, product.y(end[1]) - 4, CRIMSON, 10),
        words("−Σ log P", 62, 26),
    )


def gradient(f: Json) -> str:
    """The loss surface, the darker the higher, and the three ways down."""
    surface = f["surface"]
    frame = Frame(tuple(surface["w0"]), tuple(surface["w1"]), 0)
    heights = [[log10(value) for value in row] for row in surface["loss"]]
    low, high = min(map(min, heights)), max(map(max, heights))
    shades = [[0.5 * (value - low) / (high - low) for value in row] for row in heights]
    walks = [
        frame.line(way["w0"], way["w1"], colour, dash)
        for way, (colour, dash) in zip(f["paths"].values(), SERIES, strict=True)
    ]
    start = next(iter(f["paths"].values()))
    begin = dot(frame.x(start["w0"][0]), frame.y(start["w1"][0]), "#fff", 3, INK)
    return picture(raster(shades, 0, 0, WIDTH, HEIGHT, inked, smooth=True), *reversed(walks), begin)


def backpropagation(f: Json) -> str:
    """The lecture's five units and their weights: the thicker the larger, blue above zero."""
    place = {"1": (26, 28), "2": (26, 72), "3": (80, 28), "4": (80, 72), "5": (134, 50)}
    lines = []
    for name, weight in f["weights"].items():
        begin, end = name[1], name[2]
        if begin in place:
            (x0, y0), (x1, y1) = place[begin], place[end]
            lines.append(path(f"{x0},{y0} {x1},{y1}", BLUE if weight > 0 else ORANGE, "", 1 + 4 * abs(weight)))
    units = (dot(x, y, INK, 12) + words(unit, x, y, "#fff", 11) for unit, (x, y) in place.items())
    return picture(*lines, *units)


def minibatches(f: Json) -> str:
    """The loss of the three racers against the examples they have looked at."""
    curves = f["curves"]
    logs = {name: [log10(value) for value in curve["train_loss"] if value] for name, curve in curves.items()}
    last = max(curve["examples"][-1] for curve in curves.values())
    values = [value for each in logs.values() for value in each]
    frame = Frame((0, last), (min(values), max(values)))
    return picture(
        *(
            frame.line(curve["examples"][: len(logs[name])], logs[name], colour, dash)
            for (name, curve), (colour, dash) in zip(curves.items(), SERIES, strict=True)
        )
    )


def activations(f: Json) -> str:
    """A function and its slope, and where it learns slowly."""
    ends = (f["inputs"][0], f["inputs"][-1])
    frame = Frame(ends, (-0.05, max(1.0, *f["outputs"])))
    slow = (box(frame.x(a), 0, frame.x(b) - frame.x(a), HEIGHT, INK, 0.16) for a, b in f["regions"])
    return picture(
        *slow,
        frame.line(ends, [0, 0], INK, "1 3", 1),
        frame.line(f["inputs"], f["outputs"], INK, "", 2),
        frame.line(f["inputs"], f["slopes"], CRIMSON, "2 3", 2),
    )


def convolution(f: Json) -> str:
    """The row, the kernel under its lowest value, and the response."""
    row = f["row"]
    side, left = 18, 17

    def cell(column: float, y: float, value: float, colour: str, opacity: float) -> str:
        x = left + side * column
        sign = "−" if value < 0 else ""
        light = "#fff" if opacity > 0.6 else INK if colour == INK else colour
        return box(x + 1, y, side - 2, 17, colour, opacity) + words(
            f"{sign}{abs(value):g}", x + side / 2, y + 9, light, 10
        )

    high, span = max(row["inputs"]), max(row["inputs"]) - min(row["inputs"]) or 1
    place = row["strongest"]
    return picture(
        *(cell(i, 10, value, INK, 0.1 + 0.2 * (high - value) / span) for i, value in enumerate(row["inputs"])),
        *(cell(place + i, 41, value, BLUE if value > 0 else ORANGE, 0.25) for i, value in enumerate(row["kernel"])),
        *(cell(i + 1, 72, value, INK, 1 if i == place else 0.1) for i, value in enumerate(row["response"])),
    )


def two_networks(f: Json) -> str:
    """What the two networks have to learn: a small pattern, or a whole picture."""
    few = [
        raster(_strong(pattern), 8 + 17 * (k % 4), 34 + 17 * (k // 4), 15, 15)
        for k, pattern in enumerate(f["convolutional"]["patterns"])
    ]
    many = [
        raster(_strong(pattern), 84 + 35 * (k % 2), 16 + 35 * (k // 2), 33, 33)
        for k, pattern in enumerate(f["dense"]["patterns"])
    ]
    return picture(*few, *many)


def _strong(rows: list[list[float]]) -> list[list[float]]:
    """With the largest value at the end of the colours."""
    most = max(abs(value) for row in rows for value in row) or 1
    return [[value / most for value in row] for row in rows]


def kernels(f: Json) -> str:
    """Eight filters, each beside what it sees in a digit."""
    shown = []
    for k, (pattern, seen) in enumerate(zip(f["patterns"], f["maps"], strict=True)):
        x, y = 5 + 39 * (k % 4), 14 + 39 * (k // 4)
        shown += [raster(_strong(seen), x, y, 33, 33), raster(_strong(pattern), x, y, 11, 11)]
    return picture(*shown)


def demo(f: Json) -> str:
    """The first test digits."""
    return picture(
        *(raster(rows, 6 + 30 * (k % 5), 5 + 30 * (k // 5), 28, 28, inked) for k, rows in enumerate(f["digits"]))
    )


Picture = tuple[Callable[..., Any], tuple[str, ...], Callable[[Json], str]]
"""What a worker computes, of what, and how it is drawn."""


def _of(name: str, draw: Callable[[Json], str]) -> Picture:
    return work.lab, (name,), draw


PICTURES: Mapping[str, Picture] = {
    "weights": (work.weights, (), plane),
    "representative-data": _of("representative-data", representative),
    "outliers": _of("outliers", outliers),
    "unbalanced-data": _of("unbalanced-data", unbalanced),
    "overfitting": _of("overfitting", overfitting),
    "loss": _of("loss", loss),
    "gradient": _of("gradient", gradient),
    "backpropagation": (work.five_units, (), backpropagation),
    "minibatches": _of("minibatches", minibatches),
    "activation-functions": _of("activation-functions", activations),
    "convolution": _of("convolution", convolution),
    "dense-and-convolutional": _of("dense-and-convolutional", two_networks),
    "kernels": (work.kernels, (), kernels),
    "demo": (work.demo, (), demo),
    "plane": (work.plane, (), plane),
}
