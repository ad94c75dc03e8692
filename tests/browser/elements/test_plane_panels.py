"""What stands below the plane: the curve of both splits, the confusion matrix, histograms of the units."""

from __future__ import annotations

import pytest

from tests.browser.elements.conftest import Bench

pytestmark = pytest.mark.browser

# ---- Curve of both splits ----------------------------------------------------------------------------------------------

CHART = """<loss-chart series="train test"><label><input type=radio name=plot value=loss checked></label>
<label><input type=radio name=plot value=accuracy></label><div class="plot wide" data-plot></div></loss-chart>"""
FILL = """rows => {
  const chart = document.querySelector('loss-chart');
  chart.points.append(rows);
  chart.refresh();
}"""


def test_the_curve_of_a_points_run_has_both_splits_as_they_were_measured(bench: Bench) -> None:
    page = bench.open(CHART, "elements/loss-chart.js")
    page.wait_for_selector(".uplot")
    rows = {
        "step": [0, 100, 200],
        "train_loss": [0.9, 0.5, 0.2],
        "test_loss": [1.0, 0.6, 0.4],
        "train_accuracy": [0.5, 0.75, 1.0],
        "test_accuracy": [0.5, 0.7, 0.9],
    }
    page.evaluate(FILL, rows)
    bench.until("document.querySelector('.readout').textContent === 'Update 200: training 0.200, test 0.400'")
    bench.until("document.querySelector('[data-plot]').ariaLabel.includes('test went from 1.00 to 0.400')")
    words = page.get_attribute("[data-plot]", "aria-label") or ""
    assert words.startswith("Loss against updates 0 to 200: training went from 0.900 to 0.200; test went from")
    page.click("summary")
    assert page.locator("loss-chart thead th").all_inner_texts() == ["Update", "training", "test"]
    page.check("[value=accuracy]")
    bench.until("document.querySelector('.readout').textContent.includes('test 90.00')")


def test_without_test_points_the_curve_tells_of_training_alone(bench: Bench) -> None:
    page = bench.open(CHART, "elements/loss-chart.js")
    page.wait_for_selector(".uplot")
    page.evaluate(FILL, {"step": [0, 100], "train_loss": [0.9, 0.5]})
    bench.until("document.querySelector('[data-plot]').ariaLabel.includes('0.900 to 0.500. A table')")
