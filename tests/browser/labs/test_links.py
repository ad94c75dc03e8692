"""Links to a state of a lab: the same elsewhere, and said plainly where they ask for what cannot be."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Faults
from tests.browser.labs.lesson import Lesson

pytestmark = pytest.mark.browser


def test_a_link_to_impossible_updates_says_so_and_opens_the_lab(lesson: Lesson, faults: Faults) -> None:
    faults.expect("422")
    lesson.open("gradient", "at=5.5")
    expect(lesson.page.locator("#problems")).to_contain_text("how many updates each run has done")
    assert lesson.figures
