"""Lab 2 as a student goes through it: groups on the map, digits left out, and a handwriting that is taught."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.sync_api import expect

from tests.browser.digits import until
from tests.browser.labs.lesson import Lesson

pytestmark = [pytest.mark.browser, pytest.mark.long]  # it trains for longer than the others

DRAWN = {
    "1": [(0.5, 0.2), (0.5, 0.8)],
    "7": [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)],
    "0": [(0.5, 0.2), (0.3, 0.5), (0.5, 0.8), (0.7, 0.5), (0.5, 0.2)],
    "2": [(0.3, 0.35), (0.5, 0.2), (0.65, 0.4), (0.3, 0.8), (0.7, 0.8)],
    "5": [(0.2, 0.5), (0.8, 0.5)],  # as nobody else writes it
}


def learn(lesson: Lesson, updates: int = 300) -> None:
    for _ in range(updates // 100):
        lesson.press("100 updates")


def draw(lesson: Lesson, points: list[tuple[float, float]]) -> None:
    pad = lesson.page.locator("kept-drawings .pad > canvas").first
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    lesson.page.mouse.move(*places[0])
    lesson.page.mouse.down()
    for _, place in pairwise(places):
        lesson.page.mouse.move(*place, steps=4)
    lesson.page.mouse.up()


def test_whom_it_has_seen_and_whom_it_serves(lesson: Lesson) -> None:
    page = lesson.page
    lesson.open("representative-data", "at=300.1")
    tiles = page.locator(".examined .stat")
    expect(tiles.nth(0)).to_contain_text("100.0")
    expect(tiles.nth(2)).to_contain_text("of 10,000")
    lesson.look("open")
    lesson.present()

    lesson.choose("tests", "same")
    expect(tiles.nth(2)).to_contain_text("You cannot know")
    lesson.choose("tests", "everyone")

    place = page.get_by_role("gridcell", name="Thickness 1 of 5, slant 1 of 5")
    place.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    lesson.settled()
    lesson.slide("examples", 5)
    assert "slant=4,5" in lesson.address
    learn(lesson)
    lesson.solves("serve-few")

    lesson.slide("examples", 50)
    for digit in "789":
        page.locator(".toggles").get_by_role("button", name=digit).click()
        lesson.settled()
    learn(lesson)
    lesson.solves("fair-exam")

    lesson.press("Everyone")
    first = place.bounding_box()
    last = page.get_by_role("gridcell", name="Thickness 5 of 5, slant 5 of 5").bounding_box()
    assert first
    assert last
    page.mouse.move(first["x"] + 5, first["y"] + 5)
    page.mouse.down()
    page.mouse.move(last["x"] + 5, last["y"] + 5, steps=3)
    page.mouse.up()
    lesson.settled()
    assert lesson.figures["map"]["seen"] == [0, 5, 0, 5]
    learn(lesson)
    lesson.solves("serve-many")

    for digit, points in DRAWN.items():
        draw(lesson, points)
        keep = page.get_by_role("group", name="Keep it as").get_by_role("button", name=digit)
        keep.click()
        expect(keep).to_be_disabled()
    until(page, lambda: len(lesson.figures["drawings"]) == len(DRAWN), "the drawings to be kept")
    lesson.settled()
    lesson.press("Teach it my handwriting")
    lesson.choose("teach", "mixed")
    learn(lesson, 400)
    lesson.solves("handwriting")
    lesson.look("solved")

    page.get_by_role("button", name="Delete this 5").click()
    until(page, lambda: len(lesson.figures["drawings"]) == len(DRAWN) - 1, "one drawing less")
