"""Lab 12 as a student goes through it."""

from __future__ import annotations

import pytest

from tests.browser.labs.lesson import Lesson

pytestmark = [pytest.mark.browser, pytest.mark.long]  # it trains for longer than the others


def test_a_dense_and_a_convolutional_network_race(lesson: Lesson) -> None:
    page = lesson.page
    lesson.open("dense-and-convolutional", "at=200.200")
    assert {name: network["examples"] for name, network in lesson.figures.items()} == {
        "convolutional": 4_000,
        "dense": 4_000,
    }
    seen = page.locator(".duel tr").filter(has_text="Reads of the test digits").get_by_role("cell").all_inner_texts()
    convolutional, dense = (float(text.split("\u2009")[0]) for text in seen)
    assert convolutional > dense, "it learns faster"
    labels = [page.locator(f"weight-tiles[of={name}] canvas") for name in ("convolutional", "dense")]
    assert [found.count() for found in labels] == [8, 4]
    assert "Weights 1, 5 by 5, from −" in (labels[0].first.get_attribute("aria-label") or "")
    lesson.look("open")
    lesson.present()

    # A link to the end of another race is walked there at once.
    page.goto(f"{lesson.url}/labs/dense-and-convolutional?images=1000&units=7&at=1500.1500")
    lesson.solves("as-few", seconds=60)
    lesson.solves("few-images")
    assert lesson.figures["dense"]["parameters"] <= lesson.figures["convolutional"]["parameters"]

    lesson.slide("images", 10_000)
    lesson.slide("units", 100)
    lesson.choose("until", "goal")
    if not lesson.running:
        lesson.press("Train")
    lesson.ends()
    lesson.solves("goal")
    assert lesson.figures["dense"]["examples"] > lesson.figures["convolutional"]["examples"]
    lesson.choose("against", "seconds")
    lesson.look("solved")
