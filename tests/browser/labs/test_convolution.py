"""Lab 11 as a student goes through it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.labs.lesson import Lesson

pytestmark = pytest.mark.browser


def type_into(lesson: Lesson, values: dict[str, str]) -> None:
    for label, value in values.items():
        field = lesson.page.get_by_label(label, exact=True)
        field.fill(value)
        field.press("Enter")
        lesson.settled()


@pytest.mark.long
def test_a_kernel_over_a_row_and_over_a_digit(lesson: Lesson) -> None:
    page = lesson.page
    lesson.open("convolution")
    total = page.locator("[data-sum]")
    expect(total).to_contain_text("Response 2: 1·5 + (−1)·5 + 1·2 = 2")  # it slides by itself
    page.emulate_media(reduced_motion="reduce")
    lesson.open("convolution")
    expect(total).to_have_text("Response 3: 1·5 + (−1)·2 + 1·5 = 8")
    lesson.look("open")
    lesson.present()
    page.get_by_role("button", name="Next place").click()
    expect(total).to_contain_text("Response 4")
    lesson.settled()
    assert lesson.address == "/labs/convolution?place=3"

    type_into(lesson, {"Weight 2": "−2"})
    lesson.solves("flat")
    lesson.slide("stride", 3)
    lesson.slide("padding", 1)
    lesson.solves("once")

    lesson.choose("view", "digit")
    lesson.slide("stride", 1)
    lesson.slide("padding", 2)
    lesson.choose("size", "5")
    lesson.press("Blur")
    lesson.solves("same-size")
    assert_products_sum_up(lesson)
    lesson.choose("size", "3")
    rows = {1: "1", 2: "0", 3: "−1"}
    type_into(lesson, {f"Weight in row {y}, column {x}": value for y, value in rows.items() for x in (1, 2, 3)})
    lesson.solves("lying")

    window = page.locator("canvas[data-draw=window]")
    window.focus()
    page.keyboard.press("ArrowDown")
    lesson.settled()
    assert "down=8" in lesson.address
    assert_products_sum_up(lesson)
    window.hover(position={"x": 5, "y": 5})
    expect(total).to_contain_text("Row 1, column 1")

    page.get_by_text("Draw it yourself").click()
    pad = page.locator("drawing-pad canvas[tabindex]")
    pad.click(position={"x": 100, "y": 100})
    expect(page.locator("figcaption", has_text="Your drawing")).to_be_visible()
    lesson.settled()
    ink = lesson.figures["digit"]["ink"]
    assert max(map(max, ink)) == 1
    assert sum(map(sum, ink)) < 28 * 28 / 10, "a dot"
    lesson.press("Another digit")
    expect(page.locator("figcaption", has_text="A test digit 2")).to_be_visible()
    lesson.look("solved")


def assert_products_sum_up(lesson: Lesson) -> None:
    """What is printed beside the kernel is what the engine has answered."""
    texts = lesson.page.locator(".products b").all_inner_texts()
    digit = lesson.figures["digit"]
    assert len(texts) == len(digit["kernel"]) ** 2
    answer = digit["response"][digit["down"]][digit["across"]]
    assert sum(float(text.replace("−", "-")) for text in texts) == pytest.approx(answer, abs=1e-3)
