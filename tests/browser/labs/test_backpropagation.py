"""Lab 8 as a student goes through it."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.digits import until
from tests.browser.labs.lesson import Lesson
from tests.engine.by_hand import reckoned, value_and_half_digit

pytestmark = pytest.mark.browser

SPIRAL = {"preset": "spiral", "stop": {"steps": 200}, "state": "paused"}


def assert_printed_lines_recompute(lesson: Lesson, within: str, count: int) -> None:
    rows = lesson.page.locator(f"{within} .lines li")
    sums, results = (rows.locator(part).all_inner_texts() for part in (".numbers", "b"))
    assert len(sums) == len(results) == count
    for sum_, result in zip(sums, results, strict=True):
        come_to, slack = reckoned(sum_.removeprefix("= "))
        printed, half = value_and_half_digit(result.removeprefix("−"))
        assert abs(come_to) == pytest.approx(printed, abs=slack + half + 1e-12), f"{sum_} = {result}"


def lit(lesson: Lesson) -> set[str]:
    return set(
        lesson.page.locator("[data-part][data-lit]").evaluate_all("parts => parts.map(part => part.dataset.part)")
    )


def type_into(lesson: Lesson, name: str, value: str) -> None:
    field = lesson.field(name)
    field.fill(value)
    field.press("Enter")
    lesson.settled()


@pytest.mark.long
def test_there_and_back_by_hand(lesson: Lesson) -> None:
    page = lesson.page
    lesson.open("backpropagation")
    assert_printed_lines_recompute(lesson, "[data-stage~=forward]", 7)
    assert_printed_lines_recompute(lesson, "[data-stage=backward]", 15)
    lesson.look("open")
    lesson.present()

    page.locator("[data-line='1']").focus()
    assert lit(lesson) == {"3", "w03", "w13", "w23"}
    page.keyboard.press("ArrowDown")
    assert lit(lesson) == {"3"}
    page.locator("[data-line='14']").hover()
    assert lit(lesson) == {"3", "w35"}
    page.get_by_role("button", name="The next line").click()
    lesson.settled()
    assert "line=1" in lesson.address

    type_into(lesson, "y", "0.5")
    lesson.slide("learning_rate", 2)  # the power of ten
    lesson.solves("too-far")
    type_into(lesson, "y", "0")
    lesson.solves("sign")
    type_into(lesson, "x1", "0")
    lesson.solves("nothing-back")
    type_into(lesson, "x1", "1")
    type_into(lesson, "y", "1")
    page.get_by_label("Optimizer").select_option("momentum")
    lesson.slide("learning_rate", 1)
    lesson.press("1 update")
    lesson.solves("memory")
    assert_printed_lines_recompute(lesson, "[data-stage=update]", 2)
    lesson.press("Check the gradients")
    expect(page.locator("#gradient-check-answer caption")).to_contain_text("They agree")
    lesson.look("solved")


@pytest.mark.long
def test_any_weight_of_another_run(lesson: Lesson, api: httpx.Client) -> None:
    """From a line of the plane's network to where it is explained; and what is not there is told."""
    page = lesson.page
    run = api.post("/runs", json=SPIRAL).json()["id"]
    api.post(f"/runs/{run}/steps", json={"count": 50}).raise_for_status()
    page.goto(f"{lesson.url}/plane?run={run}")
    unit = page.locator("network-diagram .neuron[data-layer='2'][data-unit='1']")
    until(page, lambda: "bias" in (unit.get_attribute("aria-label") or ""), "weights in the diagram")
    unit.focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Explain the bias").click()
    page.wait_for_url(f"**/labs/backpropagation?run={run}&layer=2&unit=1&input=-1")
    lesson.name = "backpropagation"
    lesson.settled()
    expect(page.locator("#explained")).to_contain_text("from the bias to unit 2 of Dense 2")
    type_into(lesson, "input", "3")
    expect(page.locator("#explained")).to_contain_text("from input 4 to unit 2 of Dense 2")
    expect(page.locator("#explained-input")).to_be_focused()
    assert_printed_lines_recompute(lesson, "#explained", page.locator("#explained .lines li").count())
    assert lesson.address == f"/labs/backpropagation?run={run}&layer=2&unit=1&input=3"
    type_into(lesson, "unit", "99")
    expect(page.locator("#explained .problem")).to_contain_text("8 units with 8 inputs each")
