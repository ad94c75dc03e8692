"""Lab 10 as a student goes through it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.labs.lesson import Lesson

pytestmark = pytest.mark.browser


@pytest.mark.long
def test_a_logistic_network_stalls_and_units_die(lesson: Lesson) -> None:
    page = lesson.page
    lesson.open("activation-functions", "at=300.300.300")
    assert lesson.readout("Update") == 300
    logistic, relu = lesson.readout("logistic"), lesson.readout("ReLU")
    assert logistic is not None
    assert relu is not None
    assert logistic > 0.6 > 0.2 > relu
    curves = page.locator("activation-curves canvas")
    expect(curves).to_have_attribute(
        "aria-label",
        "The logistic function and its slope, which is at most 0.250. Learning is slow from −8.0 to −3.7 and from 3.7 to 8.0."
        + " Of the network, "
        + ", ".join(
            f"layer {k} has {round(100 * layer['slow'])}\u2009% of its inputs there"
            for k, layer in enumerate(lesson.figures["layers"], 1)
        )
        + ".",
    )
    curves.hover(position={"x": 60, "y": 40})
    expect(page.locator("activation-curves .readout")).to_contain_text("in = −")
    lesson.look("open")
    lesson.present()

    page.get_by_text("Slow motion: one update").click()
    pictures = {stage: picture_at(lesson, stage) for stage in ("batch", "forward", "loss", "backward")}
    assert pictures["batch"] == pictures["loss"]
    assert len(set(pictures.values())) == 3, (
        "the example's inputs are marked going forward, and on the slope going back"
    )

    lesson.choose("function", "softplus")
    lesson.solves("twin")
    lesson.slide("bias", -5)
    lesson.solves("saturate")
    lesson.solves("kill")
    dead = lesson.figures["dead"]
    assert page.locator(".units td.dead").count() == len(dead) >= 8
    expect(page.locator(".units")).to_contain_text(f"layer {dead[0][0]}, unit {dead[0][1]}")

    lesson.slide("bias", 0)
    lesson.slide("layers", 2)
    lesson.slide("learning_rate", 0)
    for _ in range(15):
        if not lesson.is_solved("revive"):
            lesson.press("100 updates")
    lesson.solves("revive")
    expect(page.locator("race-chart .readout")).to_contain_text("softplus")
    done = int(lesson.readout("Update") or 0)
    assert (
        lesson.address
        == f"/labs/activation-functions?function=softplus&layers=2&learning_rate=1&at={done}.{done}.{done}"
    )
    lesson.look("solved")


def picture_at(lesson: Lesson, stage: str) -> str:
    """The curves as they are drawn when slow motion has come to its next stage."""
    lesson.page.get_by_role("button", name="Next stage").click()
    expect(lesson.page.locator("slow-motion li[data-current]")).to_contain_text(stage, ignore_case=True)
    lesson.settled()
    picture: str = lesson.page.evaluate(
        """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(document.querySelector("activation-curves canvas").toDataURL()))))"""
    )
    return picture
