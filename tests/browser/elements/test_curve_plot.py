"""The plot of a curve: what it draws is where it should be, what it says is so, and what is painted reaches the form."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Page

from tests.browser.elements.conftest import Bench

pytestmark = pytest.mark.browser

BODY = (
    '<form id="experiment"><input type="radio" name="data" value="x_sin_x" checked><input type="radio" name="data" value="own">'
    '</form><button data-paint="undo">Undo</button><button data-paint="redo">Redo</button>'
    '<curve-plot form="experiment" {}></curve-plot>'
)
TAKE = """async answer => {
  const { PointSet } = await import('/static/js/lib/plane-points.js'), set = new PointSet();
  set.take(answer);
  document.querySelector('curve-plot').points = set;
  window.sent = [];
  document.getElementById('experiment').addEventListener('change', e => sent.push(Object.fromEntries(new FormData(e.currentTarget))));
}"""
SHOW = "frame => document.querySelector('curve-plot').show(frame)"
SAID = "document.querySelector('curve-plot [role=status]').textContent"
DOMAIN = ((-5.0, 5.0), (-2.0, 2.0))
Place = tuple[float, float]


def answer(points: list[tuple[float, float, str]], domain: tuple[Place, Place] = DOMAIN) -> dict[str, Any]:
    return {
        "columns": ["x"], "classes": [], "target": "y", "values": [[x] for x, *_ in points],
        "labels": [y for _, y, _ in points], "split": [split for *_, split in points], "domain": domain, "digest": "d",
    }  # fmt: skip


def frame(output: Sequence[float | None], **curve: Any) -> dict[str, Any]:
    made = {"x": [-5, 5], "output": output, "units": None, "residuals": [], "least_squares": None}
    return {"view": "plane", "watch": "w", "step": 7, "domain": DOMAIN, "curve": made | curve}


LINE = [-1.0, 1.0]
"""From −1 at the left end to 1 at the right one."""


class Plot:
    """The element on its bench, in places of the plot."""

    def __init__(
        self, bench: Bench, *points: tuple[float, float, str], more: str = "paint", domain: tuple[Place, Place] = DOMAIN
    ) -> None:
        self.bench, self.domain = bench, domain
        self.page: Page = bench.open(BODY.format(more), "elements/curve-plot.js")
        self.page.evaluate(TAKE, answer(list(points), domain))
        self.canvas = self.page.locator("curve-plot canvas[tabindex]")

    def show(self, frame: dict[str, Any]) -> None:
        self.page.evaluate("performance.clearMarks()")
        self.page.evaluate(SHOW, frame)
        self.bench.until("performance.getEntriesByName('painted').length > 0")

    def at(self, x: float, y: float) -> Place:
        """The place on the page."""
        box = self.canvas.bounding_box()
        assert box
        (x0, x1), (y0, y1) = self.domain
        left, right, top, bottom = (
            box["x"] + 44,
            box["x"] + box["width"] - 14,
            box["y"] + 14,
            box["y"] + box["height"] - 28,
        )
        return left + (x - x0) / (x1 - x0) * (right - left), bottom - (y - y0) / (y1 - y0) * (bottom - top)

    def ink(self, layer: int, x: float, y: float, reach: int = 3) -> npt.NDArray[np.int64]:
        """Pixels around a place (n, 4) of the first canvas (axes and curves) or the second (points)."""
        box = self.canvas.bounding_box()
        assert box
        px, py = self.at(x, y)
        found = self.page.evaluate(
            "([layer, x, y, reach]) => [...document.querySelectorAll('curve-plot canvas')[layer].getContext('2d')"
            ".getImageData(Math.round(x - reach), Math.round(y - reach), 2 * reach, 2 * reach).data]",
            [layer, px - box["x"], py - box["y"], reach],
        )
        return np.array(found).reshape(-1, 4)

    def has(self, layer: int, token: str, x: float, y: float) -> bool:
        """Whether a pixel near a place has the colour of a token, fully."""
        rgb = self.page.evaluate("async name => (await import('/static/js/lib/palette.js')).token(name)", token)
        return bool((np.abs(self.ink(layer, x, y) - np.array([*rgb, 255])) <= 2).all(axis=1).any())

    def key(self) -> list[str]:
        return self.page.locator("curve-plot .key > :not([hidden])").all_inner_texts()

    def rows(self) -> npt.NDArray[np.float32]:
        """What the form was told last (N, 2): x, y."""
        self.bench.until("sent.length > 0")
        told = self.page.evaluate("sent.at(-1)")
        assert (told["data"], json.loads(told["own_columns"]), json.loads(told["own_class_names"])) == (
            "own",
            ["x"],
            [],
        )
        return np.frombuffer(base64.b64decode(told["own_values"]), "<f4").reshape(-1, 2)

    def until_said(self, words: str) -> None:
        self.bench.until(f"{SAID}.includes({json.dumps(words)})")


# ---- Pictures ----------------------------------------------------------------------------------------------------------


def test_the_network_passes_where_it_says_and_points_stand_where_they_are(bench: Bench) -> None:
    plot = Plot(bench, (-3, 1.5, "train"), (2, -1.5, "test"), more='show="test"')
    plot.show(frame(LINE))
    for x in (-4, -1.5, 3.3):
        assert plot.has(0, "series-2", x, x / 5)
        assert not plot.has(0, "series-2", x, x / 5 + 0.5)
    assert plot.has(1, "ink", -3, 1.5)
    assert plot.has(1, "paper", 2, -1.5), "a test point is hollow"
    plot.show(frame([1.0, -1.0]))
    assert plot.has(0, "series-2", -4, 0.8)
    assert not plot.has(0, "series-2", -4, -0.8), "it bends"
    plot.page.eval_on_selector("curve-plot", "plot => plot.setAttribute('show', '')")
    bench.until("document.querySelectorAll('curve-plot .key > :not([hidden])').length === 2")
    assert (plot.ink(1, 2, -1.5) == 0).all(), "test points are hidden"


def test_what_the_network_misses_is_drawn_on_request(bench: Bench) -> None:
    plot = Plot(bench, (2.5, 1.5, "train"), more='show="test"')
    plot.show(frame(LINE))
    assert not plot.has(0, "ink-3", 2.5, 1.0)
    plot.page.eval_on_selector("curve-plot", "plot => plot.setAttribute('show', 'test,residuals')")
    bench.until("document.querySelector('curve-plot .key').innerText.includes('what it misses')")
    assert plot.has(0, "ink-3", 2.5, 1.0), "from the point down to the line"
    assert not plot.has(0, "ink-3", 2.5, -0.7)


def test_units_and_least_squares_are_drawn_when_a_frame_has_them(bench: Bench) -> None:
    plot = Plot(bench, (0, 0, "train"), more="")
    plot.show(frame(LINE))
    assert plot.key() == ["the network", "training"]
    flat = {"output": [-1.3, -1.3], "loss": 0.25}
    plot.show(frame(LINE, units={"layer": 0, "curves": [[1.7, 1.7], [1.2, 1.2]]}, least_squares=flat))
    assert plot.key() == ["the network", "training", "units", "least squares, loss 0.250"]
    assert plot.ink(0, 2.3, 1.7)[:, 3].max() > 150
    assert plot.ink(0, 2.3, 1.2)[:, 3].max() > 150
    row = plot.ink(0, 2.3, -1.3, 40).reshape(80, 80, 4)[40]
    assert 0.3 < (row[:, 3] == 255).mean() < 0.8, "its line is dashed"


def test_what_is_no_number_leaves_a_gap(bench: Bench) -> None:
    plot = Plot(bench, (0, 0, "train"), more="")
    plot.show(frame([1.0, 1.0, None, 1.0, 1.0]))
    assert plot.has(0, "series-2", -4, 1)
    assert not plot.has(0, "series-2", 0, 1)
    assert not plot.has(0, "series-2", -1.25, 0.5)
    assert plot.has(0, "series-2", 4, 1)
    plot.page.mouse.move(*plot.at(0, 0.5))
    bench.until("document.querySelector('curve-plot .reading').textContent === '0.00 · network –'")


def test_the_pointer_reads_the_network_and_the_point_beneath(bench: Bench) -> None:
    plot = Plot(bench, (2.5, 1.5, "test"), more="")
    plot.show(frame(LINE))
    reading = "document.querySelector('curve-plot .reading').textContent"
    plot.page.mouse.move(*plot.at(2.5, -1))
    bench.until(f"/^2\\.\\d\\d · network 0\\.\\d+$/.test({reading})")
    plot.page.mouse.move(*plot.at(2.5, 1.5))
    bench.until(f"{reading}.includes('Test point at 2.50, 1.50, missed by 1.00')")
    plot.show(frame([-2.0, 2.0]))
    bench.until(f"{reading}.includes('missed by 0.500')")
    plot.page.mouse.move(0, 0)
    assert not plot.page.is_visible("curve-plot .reading")


def test_the_picture_is_told_in_words(bench: Bench) -> None:
    plot = Plot(bench, (-5, 0, "train"), (5, 1, "test"), more="paint")
    plot.show(frame(LINE))
    plot.page.evaluate("document.querySelector('curve-plot').points.dispatchEvent(new Event('change'))")
    words = plot.canvas.get_attribute("aria-label") or ""
    assert words.startswith(
        "2 points, 1 of them for testing, and the network’s curve: −1.00 at −5.00, 0 at 0, 1.00 at 5.00. "
        "It misses the training points by 1.00 on average."
    )
    assert "Enter adds a point" in words


# ---- Painting ----------------------------------------------------------------------------------------------------------


def test_a_click_adds_a_point_and_the_form_hears_of_it(bench: Bench) -> None:
    plot = Plot(bench, (-3, 1, "train"))
    plot.page.mouse.click(*plot.at(2, -1.2))
    assert plot.rows() == pytest.approx(np.array([[-3, 1], [2, -1.2]]), abs=0.02)
    plot.until_said("Added at 2.0")
    assert plot.has(1, "ink", 2, -1.2)


def test_a_drag_moves_a_point_both_ways_and_undo_puts_it_back(bench: Bench) -> None:
    plot = Plot(bench, (-3, 1, "train"), (4, 0, "train"))
    plot.page.mouse.move(*plot.at(-3, 1))
    plot.page.mouse.down()
    plot.page.mouse.move(*plot.at(-2, 0), steps=3)
    plot.page.mouse.move(*plot.at(-1, -1), steps=3)
    plot.page.mouse.up()
    assert plot.rows() == pytest.approx(np.array([[-1, -1], [4, 0]]), abs=0.02)
    plot.page.click("text=Undo")
    bench.until("document.querySelector('curve-plot').points.points[0].label === 1")
    assert plot.rows() == pytest.approx(np.array([[-3, 1], [4, 0]]))
    plot.page.mouse.click(*plot.at(0, 0.5))
    assert plot.page.locator("text=Redo").is_disabled(), "a new point ends what could be done again"


def test_shift_click_and_the_right_button_erase_the_nearest(bench: Bench) -> None:
    plot = Plot(bench, (-3, 1, "train"), (0, 0, "train"), (4, -1, "train"))
    plot.page.keyboard.down("Shift")
    plot.page.mouse.click(*plot.at(-2.9, 1.05))
    plot.page.keyboard.up("Shift")
    assert plot.rows() == pytest.approx(np.array([[0, 0], [4, -1]]))
    plot.page.mouse.click(*plot.at(3.9, -1), button="right")
    bench.until("sent.length === 2")
    assert plot.rows() == pytest.approx(np.array([[0, 0]]))


def test_points_are_added_moved_and_erased_by_keyboard(bench: Bench) -> None:
    plot = Plot(bench, (-3, 1, "train"))
    plot.show(frame(LINE))
    while not plot.canvas.evaluate("canvas => canvas === document.activeElement"):
        plot.page.keyboard.press("Tab")
    plot.until_said("0.00 · network 0")
    for key in ("Shift+ArrowRight", "ArrowRight", "ArrowUp", "Enter"):
        plot.page.keyboard.press(key)
    assert plot.rows() == pytest.approx(np.array([[-3, 1], [1, 4 / 60]]))
    plot.until_said("2 points.")
    for key in ("m", "ArrowDown", "ArrowDown", "m"):
        plot.page.keyboard.press(key)
    bench.until("sent.length === 2")
    assert plot.rows() == pytest.approx(np.array([[-3, 1], [1, -4 / 60]]), abs=1e-6)
    plot.page.keyboard.press("Delete")
    bench.until("sent.length === 3")
    assert plot.rows() == pytest.approx(np.array([[-3, 1]]))
    plot.page.keyboard.press("Control+z")
    bench.until("sent.length === 4")
    assert len(plot.rows()) == 2


def test_own_data_has_its_own_axes(bench: Bench) -> None:
    plot = Plot(bench, (100, 20, "train"), (180, 60, "train"), domain=((92, 188), (16, 64)))
    plot.page.mouse.click(*plot.at(140, 40))
    assert plot.rows()[-1] == pytest.approx([140, 40], abs=0.2)


def test_without_paint_points_stay_and_the_last_one_is_not_taken_from_the_network(bench: Bench) -> None:
    plot = Plot(bench, (-3, 1, "train"), more="")
    plot.page.mouse.click(*plot.at(2, -1.2))
    plot.page.mouse.click(*plot.at(-3, 1), button="right")
    assert plot.page.evaluate("document.querySelector('curve-plot').points.points.length") == 1
    plot.page.eval_on_selector("curve-plot", "plot => plot.setAttribute('paint', '')")
    plot.page.mouse.click(*plot.at(-3, 1), button="right")
    plot.until_said("There are no points")
    assert plot.page.evaluate("sent") == []
