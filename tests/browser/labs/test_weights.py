"""Lab 1 as a student goes through it."""

from __future__ import annotations

from math import exp

import httpx
import pytest

from tests.browser.digits import until
from tests.browser.labs.lesson import Lesson

pytestmark = pytest.mark.browser


def printed(lesson: Lesson) -> dict[str, float]:
    """Every weight as the page shows it."""
    outputs = lesson.page.locator("weight-sliders output[for^=set-w]")
    pairs = outputs.evaluate_all(
        "outputs => outputs.map(output => [output.htmlFor.value.slice(4), output.textContent])"
    )
    return {name: float(text.replace("−", "-")) for name, text in pairs}


def loss(lesson: Lesson) -> float:
    return float(lesson.page.locator("[data-loss]").inner_text())


def move(lesson: Lesson, name: str, value: float) -> None:
    slider = lesson.page.locator(f"#set-{name}")
    slider.fill(f"{value:g}")
    slider.blur()
    lesson.settled()


def assert_loss_is_that_of_the_printed_weights(lesson: Lesson, api: httpx.Client) -> None:
    points = api.get(f"/runs/{lesson.runs['network']}/points").json()
    w = printed(lesson)

    def g(z: float) -> float:
        return 1 / (1 + exp(-z))

    squares = [
        (
            y
            - g(
                w["w05"]
                + w["w35"] * g(w["w03"] + w["w13"] * x1 + w["w23"] * x2)
                + w["w45"] * g(w["w04"] + w["w14"] * x1 + w["w24"] * x2)
            )
        )
        ** 2
        for (x1, x2), y in zip(points["values"], points["labels"], strict=True)
    ]
    assert f"{sum(squares) / len(squares):.4f}" == f"{loss(lesson):.4f}"


@pytest.mark.long
def test_nine_sliders_and_what_they_cost(lesson: Lesson, api: httpx.Client) -> None:
    page = lesson.page
    lesson.open("weights")
    assert len(printed(lesson)) == 9
    assert_loss_is_that_of_the_printed_weights(lesson, api)
    lesson.look("open")
    lesson.present()

    for name, value in {"w04": -4.5, "w05": 0, "w03": -3.5, "w23": -0.5}.items():
        move(lesson, name, value)
    assert_loss_is_that_of_the_printed_weights(lesson, api)
    lesson.solves("by-hand")
    page.locator("#set-w05").press("ArrowRight")
    lesson.settled()
    assert "w05=0.001" in lesson.address

    lesson.press("Train")
    lesson.solves("train", seconds=60)
    lesson.press("Pause")
    moved = printed(lesson)
    assert moved["w35"] != 6
    assert_loss_is_that_of_the_printed_weights(lesson, api)
    before = loss(lesson)
    move(lesson, "w05", moved["w05"] + 0.5)  # taken in the hand it goes on from there
    assert printed(lesson) == moved | {"w05": round(moved["w05"] + 0.5, 3)}
    assert loss(lesson) > before
    assert lesson.readout("Update") == 0

    lesson.press("All zero")
    until(page, lambda: set(printed(lesson).values()) == {0.0}, "all weights at zero")
    lesson.press("100 updates")
    lesson.solves("twins")
    lesson.look("solved")
