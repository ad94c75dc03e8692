"""Lab 5 as a student goes through it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.labs.lesson import Lesson

pytestmark = pytest.mark.browser


@pytest.mark.long
def test_a_better_fit_predicts_worse(lesson: Lesson) -> None:
    page = lesson.page
    lesson.open("overfitting", "at=3000.3000")
    expect(page.locator("section[aria-label='Timber sales'] tbody")).to_contain_text("1,007")
    expect(page.locator("fit-plot[of=timber_plot] canvas")).to_have_attribute(
        "aria-label",
        "Timber sales of twelve quarters, and what is said of the next Q1: A, the linear trend, 1,007, "
        f"B, the curve of degree 9, 0, C, the network with 30 units, {lesson.figures['timber']['rows'][2]['sales']:.0f}",
    )
    assert lesson.figures["network"]["worse"] > 2
    expect(page.locator("loss-chart .readout")).to_contain_text("Update 3,000: training 0.0")
    lesson.look("open")
    lesson.present()

    lesson.slide("degree", 6)
    lesson.solves("lowest-degree")
    expect(page.locator(".degrees [aria-current]")).to_have_text("6")
    lesson.slide("patience", 10)
    lesson.press("Train")
    lesson.solves("early-stopping", seconds=30)
    stopped = lesson.figures["network"]
    assert stopped["waited"] == 10
    assert stopped["held_out"] < 1.3 * stopped["lowest"]

    lesson.open("overfitting", "degree=6&l2=0.02&at=3000.3000")
    lesson.solves("brake")
    expect(page.locator("[data-solved=true]")).to_have_count(3)
    lesson.look("solved")
