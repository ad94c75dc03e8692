"""The plot of fits: what is drawn is where it should be, and points that a hand moves reach the page."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.elements.conftest import Bench

pytestmark = pytest.mark.browser

RANGE = [-5.0, 5.0]
LIMITS = {"range": RANGE, "ordinary": [2, 4], "points": 6}
Place = tuple[float, float]


def plot(**more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "x": {"name": "x", "range": RANGE}, "y": {"name": "y", "range": RANGE}, "said": "Some points.",
        "points": [{"x": -3, "y": -1, "kind": "filled"}, {"x": 1, "y": 2, "kind": "filled"}, {"x": 4, "y": -4, "kind": "outlier"}],
        "kinds": {"filled": "points", "outlier": "outliers"}, "limits": LIMITS,
        "curves": [{"name": "with", "words": "with outliers", "look": "series-2", "x": RANGE, "values": [0, 0], "run": "with", "straight": True}],
    }  # fmt: skip
    return made | more


class Fit:
    """The element on its bench, in places of the plot."""

    def __init__(self, bench: Bench, figure: dict[str, Any], attributes: str = "edit") -> None:
        self.bench, self.figure = bench, figure
        self.page = bench.open(f'<fit-plot of="fit" {attributes}></fit-plot>', "elements/fit-plot.js")
        self.page.evaluate(
            "window.sent = [], document.addEventListener('set', event => window.sent.push(event.detail))"
        )
        self.take(figure)
        bench.until("document.querySelector('fit-plot canvas').width > 300")
        self.canvas = self.page.locator("fit-plot canvas")

    def take(self, figure: dict[str, Any]) -> None:
        self.page.evaluate("figure => document.querySelector('fit-plot').figures = { fit: figure }", figure)

    def pixels(self, place: Place) -> Place:
        """Where a place is on the screen; the axes leave 40, 20, 22 and 36 pixels."""
        box = self.canvas.bounding_box()
        assert box
        parts = [
            (value - low) / (high - low)
            for value, (low, high) in zip(place, (self.figure["x"]["range"], self.figure["y"]["range"]), strict=True)
        ]
        return (
            box["x"] + 40 + parts[0] * (box["width"] - 60),
            box["y"] + box["height"] - 36 - parts[1] * (box["height"] - 58),
        )

    def drag(self, start: Place, end: Place) -> None:
        self.page.mouse.move(*self.pixels(start))
        self.page.mouse.down()
        self.page.mouse.move(*self.pixels(end), steps=4)
        self.page.mouse.up()

    def sent(self, count: int = 1) -> dict[str, Any]:
        """The newest of at least so many edits."""
        self.bench.until(f"window.sent.length >= {count}")
        found: dict[str, Any] = self.page.evaluate("window.sent.at(-1)")
        return found


CRIMSON = [179, 18, 74, 255]


def test_a_drag_lays_a_point_on_the_grid_and_outliers_come_last(bench: Bench) -> None:
    fit = Fit(bench, plot())
    fit.drag((4, -4), (4.46, 3.02))
    assert fit.sent() == {"x": [-3, 1, 4.5], "y": [-1, 2, 3], "outliers": 1}
    fit.page.mouse.click(*fit.pixels((0, 0)))
    assert fit.sent(2) == {"x": [-3, 1, 0, 4.5], "y": [-1, 2, 0, 3], "outliers": 1}
    fit.drag((-3, -1), (-8, -1))
    bench.until("window.sent.at(-1).x[0] === -5")


def test_keys_take_a_point_along_add_and_erase(bench: Bench) -> None:
    fit = Fit(bench, plot())
    fit.canvas.focus()
    expect(fit.canvas).to_have_attribute("role", "application")
    for key in ["Shift+ArrowRight", "Shift+ArrowUp", "Shift+ArrowUp", "m", "Shift+ArrowRight", "m"]:
        fit.page.keyboard.press(key)
    bench.until("window.sent.at(-1)?.x[1] > 1.7")
    fit.page.keyboard.press("Delete")
    expect(fit.page.get_by_role("status")).to_have_text("There may be 2 to 4 points beside the outliers.")
    for _ in range(5):
        fit.page.keyboard.press("ArrowDown")
    fit.page.keyboard.press("Enter")
    bench.until("window.sent.at(-1).x.length === 4")
    assert fit.sent()["outliers"] == 1


def test_where_only_the_side_counts_points_stand_at_0_or_1(bench: Bench) -> None:
    fit = Fit(bench, plot(y={"name": "ŷ", "range": [-0.15, 1.15]}, split=0))
    fit.drag((1, 1), (2, 0.9))
    assert fit.sent() == {"x": [-3, 2, 4], "y": [-1, 2, -4], "outliers": 1}
    fit.drag((2, 1), (2, 0.1))
    bench.until("window.sent.at(-1).y[1] === -2")


def test_the_answer_to_an_edit_before_the_last_throws_no_point_back(bench: Bench) -> None:
    fit = Fit(bench, plot())
    fit.drag((1, 2), (2, 2))
    fit.sent()
    fit.take(plot())
    fit.drag((2, 2), (3, 2))
    bench.until("window.sent.at(-1).x[1] === 3")


def test_other_points_of_the_page_take_the_place_of_these(bench: Bench) -> None:
    fit = Fit(bench, plot())
    fit.take(plot(points=[{"x": 0, "y": 3, "kind": "filled"}, {"x": 2, "y": 2, "kind": "filled"}]))
    fit.drag((0, 3), (0, 4))
    assert fit.sent() == {"x": [0, 2], "y": [4, 2], "outliers": 0}


def test_a_frame_moves_the_line_of_its_run_from_edge_to_edge(bench: Bench) -> None:
    Fit(bench, plot(points=[]))
    bench.page.evaluate("document.querySelector('fit-plot').frame('with', { curve: { x: [-1, 1], output: [2, 4] } })")
    # y = 3 + x: drawn in dots, so that one of several places on the line is inked.
    bench.until(
        """(() => {
          const canvas = document.querySelector('fit-plot canvas'), context = canvas.getContext('2d'), { clientWidth: w, clientHeight: h } = canvas;
          const at = x => [40 + (x + 5) / 10 * (w - 60), h - 36 - (x + 3 + 5) / 10 * (h - 58)];
          return [-4.8, -4.7, -4.6, -4.5, -4.4].some(x => context.getImageData(...at(x).map(v => v * devicePixelRatio), 1, 1).data[0] > 150);
        })()"""
    )


def test_a_told_update_shows_its_batch_and_what_each_point_misses(bench: Bench) -> None:
    figure = plot()
    figure["curves"][0]["learns"] = 2
    Fit(bench, figure)
    narrate = "([stage, of]) => document.querySelector('fit-plot').narrate(stage, { batch: { of } })"
    violet = """(([x, y]) => {
      const canvas = document.querySelector('fit-plot canvas'), { clientWidth: w, clientHeight: h } = canvas;
      const [r, g, b] = canvas.getContext('2d').getImageData(40 + (x + 5) / 10 * (w - 60), h - 36 - (y + 5) / 10 * (h - 58), 1, 1).data;
      return b > r + 40 && b > g + 90;
    })(%s)"""
    bench.page.evaluate(narrate, ["loss", 2])
    bench.until(violet % "[1, 1]")
    assert bench.page.evaluate(violet % "[-3, -0.4]")
    assert not bench.page.evaluate(violet % "[4, -1]")
    bench.page.evaluate(narrate, ["loss", 3])  # another run, which is not drawn
    bench.until("!" + violet % "[1, 1]")
    bench.page.evaluate(narrate, ["batch", 2])
    bench.page.evaluate(narrate, [None, 2])
    bench.until("!" + violet % "[1, 1]")


def test_what_is_forecast_stays_on_the_plot_and_has_its_words(bench: Bench) -> None:
    marks = [
        {"x": 4, "y": 3, "words": "A 3", "look": "series-1"},
        {"x": 4, "y": -40, "words": "B −40", "look": "series-2"},
    ]
    figure = plot(points=[], curves=[], marks=marks, said="A says 3, B −40.")
    figure.pop("limits")
    fit = Fit(bench, figure, "")
    expect(fit.page.get_by_role("img", name="A says 3, B −40.")).to_be_visible()
    box = fit.canvas.bounding_box()
    assert box
    across = 40 + 0.9 * (box["width"] - 104)
    found: list[int] = fit.page.evaluate(
        "([x, y]) => [...document.querySelector('fit-plot canvas').getContext('2d').getImageData(x, y, 1, 1).data]",
        [across, box["height"] - 36 - 2],
    )
    assert found == CRIMSON


def test_the_pointer_reads_off_every_curve(bench: Bench) -> None:
    quarters = {"name": "quarter", "range": RANGE, "ticks": [[tick, f"Q{tick}"] for tick in range(1, 5)]}
    curves = [
        {"name": name, "words": name, "look": look, "x": RANGE, "values": values}
        for name, look, values in (("A", "series-1", [-5, 5]), ("B", "series-2", [1, 1]))
    ]
    figure = plot(x=quarters, curves=curves)
    figure.pop("limits")
    fit = Fit(bench, figure, "")
    fit.page.mouse.move(*fit.pixels((2.2, 0)))
    expect(fit.page.locator("fit-plot .reading")).to_have_text("Q2\nA 2.20\nB 1.00")
    fit.page.mouse.move(1, 1)
    expect(fit.page.locator("fit-plot .reading")).to_be_hidden()
