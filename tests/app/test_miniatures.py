"""Small pictures of the lecture's stops: true ones, made once, and the same on light and dark pages."""

from __future__ import annotations

import asyncio
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest

from app.errors import NotFound
from app.labs.catalogue import ALL, PLANE, STOPS
from app.labs.miniatures import lab
from app.services.miniatures import PICTURES, Miniatures
from app.services.svg import Frame, inked, png, raster, signed
from engine.lessons.miniatures import plane, seen_through, trained
from engine.specs import StopSpec
from tests.app.small_runs import of_points, small
from tests.engine.portions import finished

SVG = "{http://www.w3.org/2000/svg}"


def worked_out(outcome: Any) -> Any:
    """What a worker would answer."""
    return finished(outcome) if isinstance(outcome, Generator) else outcome


def test_every_stop_has_a_picture() -> None:
    names = {one.name for one in ALL} | {stop.miniature for stop in (*STOPS, PLANE)}
    assert names <= set(PICTURES)


@pytest.mark.parametrize("name", sorted({one.name for one in ALL} | {stop.miniature for stop in (*STOPS, PLANE)}))
def test_each_is_small_and_drawn_from_what_was_computed(name: str) -> None:
    compute, arguments, draw = PICTURES[name]
    text = draw(worked_out(compute(*arguments)))
    assert len(text) < 16_000
    root = ET.fromstring(text)
    assert root.get("viewBox") == "0 0 160 100"
    shapes = [
        element for element in root.iter() if element.tag.removeprefix(SVG) in ("polyline", "circle", "image", "rect")
    ]
    assert len(shapes) >= 2
    assert not re.search(r'[" ,](nan|inf)[" ,]', text)
    assert "style" not in text, "the pages' policy allows none"


class Working:
    """Carries out at once what workers are asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    async def compute(self, function: Callable[..., Any], arguments: tuple[str, ...]) -> Any:
        self.asked.append(arguments)
        await asyncio.sleep(0)
        return worked_out(function(*arguments))


def test_a_picture_is_made_once_however_often_it_is_asked_for() -> None:
    async def scenario() -> None:
        working = Working()
        miniatures = Miniatures(working)  # type: ignore[arg-type]
        pictures = await asyncio.gather(*(miniatures.of("convolution") for _ in range(3)))
        assert len(set(pictures)) == 1
        assert working.asked == [("convolution",)]
        with pytest.raises(NotFound):
            await miniatures.of("cats")

    asyncio.run(scenario())


def test_a_lab_is_pictured_after_its_updates() -> None:
    paths = worked_out(lab("gradient"))["paths"]
    assert {len(path["w0"]) for path in paths.values()} == {61}
    assert worked_out(lab("convolution"))["row"]["response"] == [5, 2, 8, 2, 5]


def test_trainings_end_where_their_runs_do() -> None:
    spec = of_points()
    assert worked_out(trained(spec, 25)).steps == 25
    assert worked_out(trained(replace(spec, stop=StopSpec(steps=7)), 25)).steps == 7
    assert worked_out(trained(small(), 3)).steps == 3


def test_the_plane_is_seen_from_above() -> None:
    found = worked_out(plane(of_points(), 400, 8))
    assert [len(found["answers"]), len(found["answers"][0])] == [8, 8]
    right = 0
    for x, y, side in found["points"]:
        row, column = min(7, int(8 * (1 - y))), min(7, int(8 * x))
        right += (found["answers"][row][column] > 0) == (side > 0)
    assert right > 0.85 * len(found["points"]), "points stand on their own side"


def test_a_filter_sees_what_it_is_laid_on() -> None:
    (only,) = seen_through([[[0, 0, 0], [0, 2, 0], [0, 0, 0]]], 0)
    (none,) = seen_through([[[0, 0, 0], [0, -1, 0], [0, 0, 0]]], 0)
    assert (len(only), len(only[0])) == (28, 28)
    assert max(map(max, only)) == 2
    assert (min(map(min, none)), max(map(max, none))) == (0, 0), "ReLU takes the rest away"


# ---- Shapes ----------------------------------------------------------------------------------------------------------------


def test_a_png_holds_the_pixels() -> None:
    rows = [[(1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12)], [(13, 14, 15, 16), (17, 18, 19, 20), (21, 22, 23, 24)]]
    written = png(rows)
    assert written[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(written):
        (length,) = struct.unpack(">I", written[place : place + 4])
        kind, content = written[place + 4 : place + 8], written[place + 8 : place + 8 + length]
        assert struct.unpack(">I", written[place + 8 + length : place + 12 + length]) == (zlib.crc32(kind + content),)
        chunks[kind] = content
        place += 12 + length
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (3, 2, 8, 6, 0, 0, 0)
    assert zlib.decompress(chunks[b"IDAT"]) == b"\0" + bytes(range(1, 13)) + b"\0" + bytes(range(13, 25))


def test_nothing_is_painted_where_a_value_is_zero() -> None:
    assert signed(0.0)[3] == inked(0.0)[3] == 0, "the page's paper shows"
    assert signed(0.5)[:3] != signed(-0.5)[:3]
    assert signed(-2.0)[3] == 255
    assert 'image-rendering="pixelated"' in raster([[1.0]], 0, 0, 1, 1)


def test_a_frame_has_its_values_within_its_margin() -> None:
    frame = Frame((0, 10), (-1, 1), 8)
    assert (frame.x(0), frame.x(10)) == (8, 152)
    assert (frame.y(-1), frame.y(1)) == (92, 8)
    assert 'points="8.0,92.0 152.0,-100.0"' in frame.line([0, 10], [-1, 1e9])
