"""A student saves a lab, and on the teacher's page it holds."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.services.verification import first_difference
from tests.browser.labs.lesson import Lesson
from tests.browser.test_accessible import overflow, violations

pytestmark = pytest.mark.browser


def save(page: Page, kind: str, folder: Path) -> Path:
    page.get_by_role("button", name="Save my work").click()
    page.get_by_label("Your name").fill("Ada Lovelace")
    with page.expect_download() as download:
        page.get_by_role("button", name=kind).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    page.keyboard.press("Escape")
    return path


@pytest.mark.long
def test_what_a_student_saves_holds_on_the_teachers_page(lesson: Lesson, tmp_path: Path) -> None:
    lesson.open("gradient", "at=20.30.40")
    page = lesson.page
    one = save(page, "As a page (HTML)", tmp_path)
    text = one.read_text("utf-8")
    embedded = re.search(r'<pre id="nabla-report" hidden>(.*?)</pre>', text, re.DOTALL)
    assert embedded is not None
    (lab,) = json.loads(unescape(embedded[1]))["labs"]
    saved = lab["state"]["figures"]
    assert lesson.figures == saved
    pictures = lab["state"]["pictures"]
    assert len(pictures) >= 3
    assert any("loss" in picture["label"] for picture in pictures)
    kinds = {picture["image"].partition(";")[0] for picture in pictures}
    assert "data:image/png" in kinds

    assert page.context.browser is not None
    file = page.context.browser.new_page()
    file.goto(one.as_uri())
    expect(file.get_by_role("heading", name="7. Gradient")).to_be_visible()
    drawn = "() => [...document.images].every(image => image.complete && image.naturalWidth > 40)"
    assert file.evaluate(drawn), "each picture can be shown"
    assert violations(file) == []
    file.close()

    page.goto(f"{lesson.url}/labs")
    every = save(page, "For a program (JSON)", tmp_path)
    assert json.loads(every.read_text("utf-8"))["student"] == "Ada Lovelace"
    broken = tmp_path / "broken.json"
    broken.write_text(every.read_text("utf-8")[:200], "utf-8")

    page.goto(f"{lesson.url}/labs/verify")
    assert violations(page) == []
    page.get_by_label("Reports").set_input_files([one, every, broken])
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("tr.total")).to_be_visible(timeout=60_000)
    state = page.get_by_role("row", name="The figures as they were saved")
    expect(state).to_contain_text("✓ holds")
    expect(page.get_by_role("row", name="broken.json")).to_contain_text("It is damaged")
    assert violations(page) == []
    page.set_viewport_size({"width": 375, "height": 812})
    assert overflow(page) == []
    page.set_viewport_size({"width": 1440, "height": 900})
    state.get_by_role("link", name="Open this state").click()
    lesson.name = "gradient"
    lesson.settled()
    assert first_difference(saved, lesson.figures) is None, "all but the times"
