"""Shapes of a small picture as SVG text. Colours lie between those of the light and of the dark page: it is the same on both.

Nothing needs a style sheet, so that a picture can stand in any page. Numbers are pixels of a picture 160 wide and 100 high.
"""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Callable, Sequence

WIDTH, HEIGHT = 160, 100
INK, BLUE, ORANGE, CRIMSON, TEAL = "#747c86", "#2d74ca", "#dd7f33", "#e0456f", "#2fa08a"
Rows = Sequence[Sequence[float]]
Colour = tuple[int, int, int, int]
"""Red, green, blue, opacity: 0 to 255."""


def picture(*shapes: str) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(shapes)}</svg>'


class Frame:
    """Where values stand in the picture: x from left to right, y from the bottom up, with a margin in pixels."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], margin: float = 8) -> None:
        self._x, self._y, self._margin = x, y, margin

    def x(self, value: float) -> float:
        low, high = self._x
        return self._margin + (WIDTH - 2 * self._margin) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        low, high = self._y
        return HEIGHT - self._margin - (HEIGHT - 2 * self._margin) * (value - low) / (high - low)

    def line(
        self, xs: Sequence[float], ys: Sequence[float], colour: str = INK, dash: str = "", width: float = 1.5
    ) -> str:
        """What lies outside of the frame is cut off by the picture's edge; a little beyond it is enough."""
        places = " ".join(f"{self.x(x):.1f},{_near(self.y(y)):.1f}" for x, y in zip(xs, ys, strict=True))
        return path(places, colour, dash, width)

    def dots(self, xs: Sequence[float], ys: Sequence[float], colour: str = INK, radius: float = 2) -> str:
        return "".join(dot(self.x(x), self.y(y), colour, radius) for x, y in zip(xs, ys, strict=True))


def _near(place: float) -> float:
    return max(-HEIGHT, min(2 * HEIGHT, place))


def path(places: str, colour: str = INK, dash: str = "", width: float = 1.5) -> str:
    """`places` are pairs with commas."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width:g}"'
        f' stroke-linejoin="round" stroke-linecap="round"{dashes}/>'
    )


def dot(x: float, y: float, colour: str = INK, radius: float = 2, ring: str = "") -> str:
    edge = f' stroke="{ring}"' if ring else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"{edge}/>'


def box(x: float, y: float, width: float, height: float, colour: str, opacity: float = 1) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="1.5" fill="{colour}" fill-opacity="{opacity:.2f}"/>'


def words(text: str, x: float, y: float, colour: str = INK, size: float = 9) -> str:
    """In the middle of a place."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-family="sans-serif" font-weight="600" font-size="{size:g}"'
        f' text-anchor="middle" dominant-baseline="central">{text}</text>'
    )


# ---- Maps ------------------------------------------------------------------------------------------------------------------


def signed(value: float) -> Colour:
    """Blue above zero, orange below; nothing at zero, so that the page's own paper shows."""
    rgb = (0x2D, 0x74, 0xCA) if value > 0 else (0xDD, 0x7F, 0x33)
    return (*rgb, round(255 * min(1.0, abs(value))))


def inked(value: float) -> Colour:
    return (0x74, 0x7C, 0x86, round(255 * min(1.0, max(0.0, value))))


def raster(
    rows: Rows,
    x: float,
    y: float,
    width: float,
    height: float,
    colour: Callable[[float], Colour] = signed,
    smooth: bool = False,
) -> str:
    """Values from −1 to 1 as a PNG within the picture, one pixel each."""
    image = b64encode(png([[colour(value) for value in row] for row in rows])).decode()
    rendering = "" if smooth else ' image-rendering="pixelated"'
    return (
        f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none"{rendering}'
        f' href="data:image/png;base64,{image}"/>'
    )


def png(rows: Sequence[Sequence[Colour]]) -> bytes:
    """Pixels with opacity, 8 bits each, by the PNG specification: three chunks, every row with filter 0."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 6, 0, 0, 0)
    pixels = b"".join(b"\0" + bytes(channel for pixel in row for channel in pixel) for row in rows)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels, 9)) + chunk(b"IEND", b"")
    )
