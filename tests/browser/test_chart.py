"""The curve: downloads have content, the controls act, and 50,000 points stay smooth."""

from __future__ import annotations

import csv
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.digits import Digits, until

pytestmark = pytest.mark.browser

# A long run's history behind the run's own points, as if the stream had brought it.
FILL = """
count => {
  const { points } = document.querySelector("loss-chart"), rows = {};
  const step = Array.from({ length: count }, (_, i) => 1000 + 10 * i);
  rows.step = step;
  rows.train_loss = step.map(s => 2.3 * Math.exp(-s / 1e5) + 0.1 * Math.random() + 0.01);
  rows.train_accuracy = step.map(s => 1 - Math.exp(-s / 1e5));
  rows.validation_loss = step.map((s, i) => i % 100 ? null : 2.3 * Math.exp(-s / 1e5) + 0.05);
  points.append(rows);
}
"""
# Milliseconds of each redraw: from a change of a control until the frame after it is painted.
REBUILD = """
() => new Promise(done => {
  const box = document.querySelector("loss-chart [name=log]"), start = performance.now();
  box.click();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})
"""
# Ten more points four times a second for two seconds; the longest that the page was busy at a stretch.
GROW = """
() => new Promise(done => {
  const chart = document.querySelector("loss-chart"), long = [0];
  const observer = new PerformanceObserver(list => long.push(...list.getEntries().map(e => e.duration)));
  observer.observe({ type: "longtask" });
  let left = 8;
  const timer = setInterval(() => {
    const last = chart.points.columns.step.at(-1), step = Array.from({ length: 10 }, (_, i) => last + 10 * (i + 1));
    chart.points.append({ step, train_loss: step.map(() => 0.05 + 0.1 * Math.random()) });
    chart.refresh();
    if (!--left) {
      clearInterval(timer);
      setTimeout(() => { observer.disconnect(); done(Math.max(...long)); }, 400);
    }
  }, 250);
})
"""


def save(page: Page, button: str) -> Path:
    with page.expect_download() as download:
        page.get_by_role("region", name="Training").get_by_role("button", name=button).click()
    assert download.value.suggested_filename == f"nabla-curve.{button.lower()}"
    return Path(download.value.path())


def chart_words(digits: Digits) -> str:
    return digits.page.get_by_role("img", name=re.compile("against updates")).get_attribute("aria-label") or ""


@pytest.mark.long
def test_downloads_have_the_curve_in_them(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    digits.button("100 updates").click()
    expect(digits.figure("Update", section="Run")).to_have_text("100")
    rows = list(csv.DictReader(save(digits.page, "CSV").read_text("utf-8").splitlines()))
    expected = digits.api.get(f"/runs/{digits.run}/metrics").json()
    assert [int(row["step"]) for row in rows] == expected["step"]
    assert [float(row["train_loss"]) for row in rows] == pytest.approx(expected["train_loss"])
    picture = save(digits.page, "PNG").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 300
    assert height > 150
    assert len(picture) > 4_000, "more than an empty sheet"


def test_the_curve_is_told_and_listed(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    digits.button("100 updates").click()
    expect(digits.figure("Update", section="Run")).to_have_text("100")
    section = digits.section("Training")
    section.scroll_into_view_if_needed()
    until(digits.page, lambda: "to 100:" in chart_words(digits), "the words are those of the newest points")
    section.get_by_text("As a table").click()
    cells = section.get_by_role("table").get_by_role("rowheader")
    expect(cells.last).to_have_text("100")
    section.get_by_text("Accuracy", exact=True).click()
    until(digits.page, lambda: chart_words(digits).startswith("Accuracy against updates"), "the accuracy is told")
    expect(section.get_by_role("checkbox", name="Log scale")).to_be_disabled()
    section.get_by_role("button", name="Clear").click()
    until(digits.page, lambda: "100 to 100:" in chart_words(digits), "what was is hidden")
    digits.button("Reset").click()
    until(digits.page, lambda: "Nothing is measured yet" in chart_words(digits), "another history")


@pytest.mark.long
def test_fifty_thousand_points_stay_smooth(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    page = digits.page
    digits.section("Training").scroll_into_view_if_needed()
    page.evaluate(FILL, 50_000)
    rebuilds = sorted(page.evaluate(REBUILD) for _ in range(6))
    busiest = page.evaluate(GROW)
    print(f"50,000 points: rebuilt in {rebuilds[0]:.0f} to {rebuilds[-1]:.0f} ms, busy for at most {busiest:.0f} ms while it grows")
    assert rebuilds[0] < 300
    assert busiest < 300
