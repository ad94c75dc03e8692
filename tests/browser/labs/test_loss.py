"""Lab 6 as a student goes through it."""

from __future__ import annotations

from math import log10

import pytest
from playwright.sync_api import expect

from tests.browser.labs.lesson import Lesson

pytestmark = pytest.mark.browser


@pytest.mark.long
def test_a_product_vanishes_and_a_sum_stays(lesson: Lesson) -> None:
    page = lesson.page
    lesson.open("loss")
    product, squared = (page.locator(f"loss-curves[picture={name}] canvas") for name in ("product", "squared"))
    vanished = lesson.figures["likelihood"]["vanished"]
    expect(product).to_have_attribute(
        "aria-label",
        f"The product of 1 to 1,000 probabilities, as powers of ten: {lesson.figures['likelihood']['said']}.",
    )
    assert f"exactly 0 from example {vanished}" in lesson.form.inner_text()
    lesson.look("open")
    lesson.present()

    squared.click(position={"x": 60, "y": 100})
    lesson.settled()
    assert lesson.figures["squared"]["output"] < -3
    expect(squared).to_have_attribute(
        "aria-label",
        f"The squared loss over the output, a parabola that is 0 at 1.00. At the output {lesson.figures['squared']['output']:.2f} the loss is {lesson.figures['squared']['loss']:.2f} and its slope {lesson.figures['squared']['slope']:.2f}.".replace(
            "-", "−"
        ),
    )
    lesson.slide("output", 3)
    lesson.solves("steep")

    lesson.slide("examples", round(log10(vanished - 14), 2))
    lesson.solves("edge")
    lesson.slide("examples", 3)
    lesson.slide("greatest", 1)
    lesson.slide("least", 0.95)
    lesson.solves("survive")

    for name, value in {"cat": "0.88", "dog": "3"}.items():
        page.get_by_label(f"Input of {name}").fill(value)
    page.keyboard.press("Enter")
    lesson.solves("shift")
    expect(page.locator("tbody tr", has_text="dog")).to_contain_text("0.893")
    lesson.press("Huge inputs")
    lesson.press("Add a class")
    expect(page.locator("main .callout")).to_contain_text("cat, dog would be infinite")
    assert lesson.address.endswith("classes=3&cat=1000&dog=999")
    lesson.press("As on the slide")
    lesson.look("solved")
