"""Lab 9 as a student goes through it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.labs.lesson import Lesson

pytestmark = [pytest.mark.browser, pytest.mark.long]  # it trains for longer than the others


def test_a_race_of_batches_and_a_table_of_all_rates(lesson: Lesson) -> None:
    page = lesson.page
    lesson.open("minibatches", "at=12.4800.300")
    readout = page.locator("race-chart .readout")
    expect(readout).to_have_text("4,800 examples: batch, all 400 0.631, stochastic, 1 0.985, minibatch, 16 0.0684")
    lesson.look("open")
    lesson.present()

    page.get_by_role("button", name=re.compile("^batch, all 400 with α = 1: 0.400")).click()
    lesson.settled()
    assert "learning_rate=1" in lesson.address
    lesson.press("100 updates")
    lesson.solves("batch")
    lesson.slide("minibatch", 48)
    lesson.press("100 updates")
    lesson.solves("few")
    lesson.choose("against", "step")
    expect(readout).to_contain_text("minibatch, 48 0.0742")
    lesson.slide("minibatch", 8)
    page.get_by_role("button", name=re.compile("^stochastic, 1 with α = 0.1:")).click()
    lesson.settled()
    lesson.press("Train")
    lesson.ends()
    lesson.solves("both")
    lesson.look("solved")
