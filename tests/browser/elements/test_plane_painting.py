"""Points are painted on `<plane-plot>` by mouse, finger and keyboard, and travel with the form of the experiment."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.browser.elements.conftest import Bench
from tests.browser.elements.plane import Plot, plane_points, unpack_rows

pytestmark = pytest.mark.browser

POINTS = plane_points([(-4, 4), (4, -4)], [0, 1], tests=[1])
FIRST, SECOND = (-4, 4, 0), (4, -4, 1)


def sent_rows(form: dict[str, str]) -> list[tuple[float, ...]]:
    return [tuple(row) for row in unpack_rows(form["own_values"]).tolist()]


def near(row: tuple[float, ...], expected: tuple[float, ...], apart: float = 0.05) -> bool:
    return bool(np.abs(np.subtract(row, expected)).max() <= apart)


# ---- Mouse -----------------------------------------------------------------------------------------------------------------


def test_a_click_adds_a_point_of_the_chosen_class_and_the_form_hears_of_it(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    plot.pick("paint_class", 1)
    plot.click(2, 1)
    form = plot.sent()
    assert form["data"] == "own"
    assert json.loads(form["own_columns"]) == ["x", "y"]
    assert json.loads(form["own_class_names"]) == ["A", "B"]
    assert form["own_target"] == "class"
    rows = sent_rows(form)
    assert rows[:2] == [FIRST, SECOND]
    assert near(rows[2], (2, 1, 1))
    assert plot.pixel(2, 1, canvas=1)[3] == 255


def test_a_drag_on_a_point_moves_it_and_says_where(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    plot.drag((-4, 4), (-1, 1), (1, 3))
    plot.sent()
    assert near(plot.rows[0], (1, 3, 0))
    assert plot.rows[1] == SECOND
    bench.until("document.querySelector('plane-plot [role=status]').textContent.startsWith('Moved')")
    assert plot.said == "Moved to A at 1.0, 3.0."
    plot.drag((1, 3), (9, 9))
    assert plot.rows[0] == (6, 6, 0), "points stay on the plane"


def test_a_long_drag_tells_the_server_on_the_way(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    plot.page.mouse.move(*plot.at(-4, 4))
    plot.page.mouse.down()
    plot.page.mouse.move(*plot.at(0, 0), steps=5)
    plot.sent(lambda form: near(sent_rows(form)[0], (0, 0, 0)))
    plot.page.mouse.move(*plot.at(2, 0), steps=5)
    plot.page.mouse.up()
    plot.sent(lambda form: near(sent_rows(form)[0], (2, 0, 0)))


@pytest.mark.parametrize("how", [{"button": "right"}, {"modifiers": "Shift"}, {"modifiers": "Control"}])
def test_shift_control_or_the_right_button_erase_the_nearest(bench: Bench, how: dict[str, str]) -> None:
    plot = Plot(bench, POINTS)
    if key := how.get("modifiers"):
        plot.page.keyboard.down(key)
    plot.click(4.3, -4.2, button=how.get("button", "left"))
    plot.sent()
    assert plot.rows == [FIRST]
    plot.click(0, 0, button=how.get("button", "left"))
    assert plot.rows == [FIRST], "far from every point nothing is erased"
    bench.until("document.querySelector('plane-plot [role=status]').textContent.includes('no point')")


def test_spray_adds_several_under_the_brush_and_undo_takes_back_the_stroke(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    plot.pick("paint_tool", "spray")
    plot.pick("paint_class", 0)
    plot.drag((-3, 0), (3, 0))
    plot.sent()
    added = plot.rows[2:]
    assert len(added) > 30
    assert all(label == 0 and abs(y) < 0.8 and abs(x) < 3.8 for x, y, label in added)
    assert max(x for x, _, _ in added) - min(x for x, _, _ in added) > 5
    plot.page.click("[data-paint=undo]")
    assert plot.rows == [FIRST, SECOND]


def test_the_eraser_rubs_out_what_it_touches(bench: Bench) -> None:
    plot = Plot(bench, plane_points([(-4, 4), (0, 4), (4, 4), (0, 0)], [0, 1, 0, 1]))
    plot.pick("paint_tool", "erase")
    plot.drag((-5, 4), (5, 4))
    plot.sent()
    assert plot.rows == [(0, 0, 1)]


def test_the_moving_tool_never_adds(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    plot.pick("paint_tool", "move")
    plot.click(0, 0)
    plot.drag((4, -4), (3, -3))
    plot.sent()
    assert len(plot.rows) == 2
    assert near(plot.rows[1], (3, -3, 1))


def test_undo_redo_and_clear(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    assert plot.page.is_disabled("[data-paint=undo]")
    plot.click(0, 0)
    plot.click(1, 1)
    plot.page.click("[data-paint=undo]")
    assert len(plot.rows) == 3
    plot.page.click("[data-paint=redo]")
    assert len(plot.rows) == 4
    assert plot.page.is_disabled("[data-paint=redo]")
    count = plot.edits
    plot.page.click("[data-paint=clear]")
    bench.until("document.querySelector('plane-plot [role=status]').textContent.includes('There are no points')")
    assert plot.rows == []
    assert plot.edits == count, "nothing to learn from is not sent"
    plot.page.click("[data-paint=undo]")
    assert len(sent_rows(plot.sent(after=count))) == 4


def test_choosing_tool_or_class_is_no_change_of_the_experiment(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    plot.pick("paint_tool", "spray")
    plot.pick("paint_class", 3)
    plot.page.fill("[name=paint_value]", "2")
    plot.page.keyboard.press("Tab")
    assert plot.edits == 0


def test_another_class_gets_the_next_letter_and_loses_it_with_its_last_point(bench: Bench) -> None:
    plot = Plot(bench, plane_points([(-4, 4), (4, -4)], [0, 1], classes=["yes", "A"]))
    plot.pick("paint_class", 3)
    plot.click(0, 0)
    assert json.loads(plot.sent()["own_class_names"]) == ["yes", "A", "B", "C"]
    plot.page.click("[data-paint=undo]")
    assert json.loads(plot.sent(after=1)["own_class_names"]) == ["yes", "A"]


def test_numbers_are_painted_where_a_number_is_learned(bench: Bench) -> None:
    plot = Plot(bench, plane_points([(-4, 4)], [0.5], classes=[], target="height"))
    plot.page.fill("[name=paint_value]", "−1,5")
    plot.click(0, 0)
    form = plot.sent()
    assert json.loads(form["own_class_names"]) == []
    assert near(sent_rows(form)[1], (0, 0, -1.5))
    plot.page.fill("[name=paint_value]", "much")
    plot.click(2, 2)
    assert len(plot.rows) == 2
    bench.until("document.querySelector('plane-plot [role=status]').textContent.includes('needs a number')")


def test_points_of_more_than_two_columns_are_not_painted_and_it_says_why(bench: Bench) -> None:
    plot = Plot(bench, plane_points([(-4, 4, 1)], [0], columns=["a", "b", "c"]))
    plot.click(0, 0)
    assert len(plot.rows) == 1
    assert "each of these points has 3 numbers" in plot.page.inner_text("plane-plot > p.note")
    assert plot.page.is_disabled("[data-paint=clear]")


def test_hidden_test_points_cannot_be_touched(bench: Bench) -> None:
    plot = Plot(bench, POINTS, attributes='paint show="mistakes"')
    plot.drag((4, -4), (2, -2))
    assert plot.rows[1] == SECOND
    assert len(plot.rows) == 3, "the click adds a point where nothing can be seen"


# ---- Keyboard ----------------------------------------------------------------------------------------------------------------


def test_points_are_set_moved_and_erased_with_the_keyboard_alone(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    plot.focus()
    plot.press("2", *["Shift+ArrowRight"] * 2, "Enter")
    assert near(plot.rows[2], (2, 0, 1), 1e-6)
    plot.press("a", "ArrowDown", " ")
    assert near(plot.rows[3], (2, -0.2, 0), 1e-6)
    plot.press("m", *["Shift+ArrowLeft"] * 4, "m")
    assert near(plot.rows[3], (-2, -0.2, 0), 1e-6)
    bench.until("document.querySelector('plane-plot [role=status]').textContent.startsWith('Laid down')")
    assert plot.said == "Laid down A at −2.0, −0.2."
    plot.press("Delete")
    assert len(plot.rows) == 3
    plot.press("Control+z")
    assert near(plot.rows[3], (-2, -0.2, 0), 1e-6)
    plot.press("Control+z")
    assert near(plot.rows[3], (2, -0.2, 0), 1e-6)
    plot.press("Control+Shift+z", "Control+y")
    assert len(plot.rows) == 3
    plot.sent(lambda form: len(sent_rows(form)) == 3)


def test_escape_puts_a_taken_point_back(bench: Bench) -> None:
    plot = Plot(bench, plane_points([(0, 0)], [0]))
    plot.focus()
    plot.press("m", "ArrowRight", "ArrowRight", "Escape")
    assert plot.rows == [(0, 0, 0)]
    plot.press("ArrowRight")
    assert plot.rows == [(0, 0, 0)]


def test_taking_the_focus_away_lays_a_taken_point_down(bench: Bench) -> None:
    plot = Plot(bench, plane_points([(0, 0)], [0]))
    plot.focus()
    plot.press("m", "ArrowRight", "Tab")
    plot.sent()
    plot.focus()
    plot.press("ArrowRight", "ArrowRight")
    assert near(plot.rows[0], (0.2, 0, 0), 1e-6)


# ---- Finger ------------------------------------------------------------------------------------------------------------------


class Finger:
    """Real touches, by Chromium's own protocol: the page's context need not be a phone's."""

    def __init__(self, page: Page) -> None:
        self._session: Any = page.context.new_cdp_session(page)

    def _send(self, kind: str, *places: tuple[float, float]) -> None:
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in places]})

    def down(self, place: tuple[float, float]) -> None:
        self._send("touchStart", place)

    def move(self, place: tuple[float, float]) -> None:
        self._send("touchMove", place)

    def up(self) -> None:
        self._send("touchEnd")


def test_a_tap_adds_and_the_page_still_scrolls(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    action = "getComputedStyle(document.querySelector('plane-plot canvas[tabindex]')).touchAction"
    assert plot.page.evaluate(action) == "pan-y"
    finger = Finger(plot.page)
    finger.down(plot.at(1, 1))
    assert len(plot.rows) == 2, "not before the finger is lifted: it may be about to scroll"
    finger.up()
    plot.sent()
    assert near(plot.rows[2], (1, 1, 0))
    finger.down(plot.at(-2, 0))
    for x in range(-2, 3):
        finger.move(plot.at(x, 0))
    finger.up()
    assert len(plot.rows) == 3, "a swipe is no tap"


def test_a_finger_drags_a_point(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    plot.pick("paint_tool", "move")
    finger = Finger(plot.page)
    finger.down(plot.at(-3.7, 4.2))
    for share in np.linspace(0, 1, 6):
        finger.move(plot.at(-4 + 4 * share, 4 - 4 * share))
    finger.up()
    plot.sent()
    assert near(plot.rows[0], (0, 0, 0))


def test_a_finger_sprays_and_then_does_not_scroll(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    plot.pick("paint_tool", "spray")
    action = "getComputedStyle(document.querySelector('plane-plot canvas[tabindex]')).touchAction"
    assert plot.page.evaluate(action) == "none"
    finger = Finger(plot.page)
    finger.down(plot.at(0, -2))
    for y in np.linspace(-2, 2, 12):
        finger.move(plot.at(0, float(y)))
    finger.up()
    plot.sent()
    assert len(plot.rows) > 10


# ---- With the server -----------------------------------------------------------------------------------------------------------


def served(plot: Plot, rows: list[tuple[float, float, float]], digest: str, *, tests: tuple[int, ...] = ()) -> None:
    exact = np.asarray(rows, np.float32)
    answer = plane_points(exact[:, :2].tolist(), exact[:, 2].tolist(), tests=tests, digest=digest)
    plot.page.evaluate("answer => points.take(answer)", answer)


def test_what_the_server_says_of_ones_own_edit_keeps_newer_ones_and_the_way_back(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    plot.click(0, 0)
    plot.sent()
    first = plot.rows
    plot.click(2, 2)
    served(plot, first, "mine", tests=(0, 2))
    assert len(plot.rows) == 4, "the newer point is still there"
    assert plot.page.evaluate("points.points.map(point => point.test)") == [True, False, True, False]
    plot.page.click("[data-paint=undo]")
    plot.page.click("[data-paint=undo]")
    assert plot.rows == [FIRST, SECOND]


def test_another_set_of_points_replaces_all(bench: Bench) -> None:
    plot = Plot(bench, POINTS)
    plot.click(0, 0)
    served(plot, [(1, 1, 0)], "other")
    assert plot.rows == [(1, 1, 0)]
    assert plot.page.is_disabled("[data-paint=undo]")


def test_marks_of_mistakes_go_with_their_points(bench: Bench) -> None:
    plot = Plot(bench, POINTS, {"view": "plane", "watch": "w", "step": 1, "domain": [[-6, 6], [-6, 6]], "outputs": None, "mistakes": [0, 1]})
    crossed = lambda x, y: plot.pixel(x, y, canvas=2, right=4, down=4)[3] > 60  # noqa: E731
    plot.click(-4, 4, button="right")
    plot.settle()
    assert not crossed(-4, 4)
    assert crossed(4, -4), "the second of the served points is the first of those that are left"
