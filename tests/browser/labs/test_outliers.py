"""Lab 3 as a student goes through it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.digits import until
from tests.browser.labs.lesson import Lesson

pytestmark = pytest.mark.browser

REACH = 5.2


def place(lesson: Lesson, x: float, y: float) -> tuple[float, float]:
    """Where a place of the plot is on the screen; its axes leave 40, 20, 22 and 36 pixels."""
    box = lesson.page.locator("fit-plot canvas").bounding_box()
    assert box
    return (
        box["x"] + 40 + (x + REACH) / (2 * REACH) * (box["width"] - 60),
        box["y"] + box["height"] - 36 - (y + REACH) / (2 * REACH) * (box["height"] - 58),
    )


def train(lesson: Lesson) -> None:
    for _ in range(4):
        lesson.press("100 updates")


@pytest.mark.long
def test_outliers_bend_what_is_fitted_to_them(lesson: Lesson) -> None:
    page = lesson.page
    lesson.open("outliers", "at=400.400")
    lines = lesson.figures["lines"]
    assert max(line["off"] for line in lines.values()) < 1e-3
    expect(page.get_by_role("application")).to_have_attribute(
        "aria-label", re.compile(r"learned ŷ = −0\.76 \+ 0\.18 x\.")
    )
    lesson.look("open")
    lesson.present()

    lesson.choose("loss", "absolute_error")
    train(lesson)
    lesson.solves("robust")
    lesson.choose("unit", "logistic")
    lesson.choose("loss", "mean_squared_error")
    train(lesson)
    lesson.solves("logistic")

    lesson.choose("unit", "linear")
    lesson.press("Remove the outliers")
    lesson.press("Add an outlier")
    page.mouse.move(*place(lesson, 3.8, -4.2))
    page.mouse.down()
    page.mouse.move(*place(lesson, 5, -5), steps=5)
    page.mouse.up()
    until(
        page, lambda: lesson.figures["fit"]["points"][-1] == {"x": 5, "y": -5, "kind": "outlier"}, "the outlier there"
    )
    train(lesson)
    lesson.solves("one-outlier")
    assert "outliers=1" in lesson.address
    lesson.look("solved")
