"""Lab 7 as a student goes through it."""

from __future__ import annotations

import pytest
from playwright.sync_api import FloatRect, expect

from tests.browser.digits import until
from tests.browser.labs.lesson import Lesson

pytestmark = pytest.mark.browser


def surface(lesson: Lesson) -> FloatRect:
    box = lesson.page.locator("loss-landscape canvas[tabindex]").bounding_box()
    assert box
    return box


def picture(lesson: Lesson) -> str:
    """What the paths' canvas holds."""
    found: str = lesson.page.evaluate("document.querySelector('loss-landscape canvas[tabindex]').toDataURL()")
    return found


@pytest.mark.long
def test_three_paths_down_one_surface(lesson: Lesson) -> None:
    page = lesson.page
    lesson.open("gradient", "at=40.40.40")
    canvas = page.get_by_role("application")
    until(page, lambda: "after 40 updates" in (canvas.get_attribute("aria-label") or ""), "the sentence of the map")
    assert lesson.figures["now"]["batch"]["loss"] == pytest.approx(0.315, abs=5e-4)
    lesson.look("open")
    lesson.present()

    lesson.press("Train")
    until(page, lambda: lesson.figures["now"]["batch"]["updates"] > 40, "an update")
    for rate, size, task in ((0.15, 8, "soon"), (0.2, 32, "calm"), (0.285, 32, "diverge")):
        lesson.slide("minibatch", size)
        lesson.slide("learning_rate", rate)
        lesson.press("100 updates")
        lesson.solves(task)
    assert lesson.figures["now"]["batch"]["loss"] > 4

    box = surface(lesson)
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    expect(page.locator("loss-landscape .reading")).to_contain_text("loss")
    canvas.focus()
    for key in ["ArrowRight", "ArrowRight", "ArrowDown", "Enter"]:
        page.keyboard.press(key)
    lesson.settled()
    assert "w0=-1.92&w1=2.99" in lesson.address
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    lesson.settled()
    until(page, lambda: abs(lesson.figures["paths"]["batch"]["w0"][0]) < 0.3, "the start where the click was")

    lesson.slide("learning_rate", 0.12)
    lesson.press("100 updates")
    lesson.choose("view", "bowl")
    until(
        page, lambda: "Left and right turn it" in (canvas.get_attribute("aria-label") or ""), "the sentence of the bowl"
    )
    before = picture(lesson)
    canvas.focus()
    page.keyboard.press("ArrowRight")
    lesson.settled()
    assert "turn=-25" in lesson.address
    until(page, lambda: picture(lesson) != before, "the bowl to turn")
    lesson.look("solved")
