"""Lab 4 as a student goes through it: three networks of ten million transactions, each judged whole."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.digits import until
from tests.browser.labs.lesson import Lesson

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(300)]


def test_a_thousand_frauds_in_ten_million_transactions(lesson: Lesson) -> None:
    page = lesson.page
    lesson.open("unbalanced-data")
    rows = page.locator(".compare tbody tr")
    expect(rows.nth(0)).to_contain_text("99.99\u2009%")
    expect(rows.nth(1)).to_contain_text("0.01\u2009%")
    expect(rows.filter(has_text=" of 10,000,000 judged").first).to_be_visible(timeout=120_000)
    until(page, lambda: all(network["result"] for network in lesson.figures["networks"].values()), "all judged", seconds=200)
    lesson.settled()

    plain, weighted, over_sampled = (network["result"] for network in lesson.figures["networks"].values())
    assert (plain["tp"], plain["recall"], plain["precision"]) == (0, 0, None), "it says “not fraud” to all of them"
    for learned in (weighted, over_sampled):
        assert learned["recall"] > 0.9
        assert sum(learned[count] for count in ("tp", "fp", "fn", "tn")) == 10_000_000
    scores, precision, roc = (page.locator(f"score-curves[picture={name}] canvas") for name in ("scores", "precision", "roc"))
    expect(scores).to_have_attribute("aria-label", re.compile("threshold stands at 0.0. 10,000,000 are judged.$"))
    page.evaluate("scrollTo(0, 0)")
    lesson.look("open")
    lesson.present()

    lesson.choose("shown", "plain")
    lesson.solves("blind")
    slider = lesson.field("threshold")
    slider.focus()
    page.keyboard.press("Home")
    lesson.settled()
    assert lesson.figures["pictured"]["result"]["recall"] > 0.9
    lesson.solves("threshold")

    lesson.choose("shown", "class_weights")
    page.set_viewport_size({"width": 1440, "height": 1100})
    box = scores.bounding_box()
    assert box is not None
    for place in range(55, 80):
        scores.click(position={"x": box["width"] * place / 100, "y": box["height"] / 2})
        lesson.settled()
        if lesson.is_solved("both"):
            break
    lesson.solves("both")
    mine = lesson.figures["pictured"]["result"]
    assert mine["recall"] > 0.8
    assert mine["precision"] > 0.5
    said = f"At the threshold: recall {mine['words']['recall']}, precision {mine['words']['precision']}."
    assert (precision.get_attribute("aria-label") or "").endswith(said)
    assert "The ROC curve, area 1.00" in (roc.get_attribute("aria-label") or "")
    counts = page.locator(".counts td.tp b, .counts td.fp b")
    assert counts.all_inner_texts() == [f"{mine['tp']:,}", f"{mine['fp']:,}"]
    assert f"threshold={lesson.figures['threshold']:g}" in lesson.address
    page.evaluate("scrollTo(0, 0)")
    lesson.look("solved")
