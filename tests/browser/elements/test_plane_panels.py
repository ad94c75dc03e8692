"""What stands below the plane: the curve of both splits, the confusion matrix, histograms of the units."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser.elements.conftest import Bench

pytestmark = pytest.mark.browser

# ---- Curve of both splits ----------------------------------------------------------------------------------------------

CHART = """<loss-chart series="train test"><fieldset><label><input type=radio name=plot value=loss checked></label>
<label><input type=radio name=plot value=accuracy></label></fieldset><div class="plot wide" data-plot></div></loss-chart>"""
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
    page.wait_for_selector("loss-chart thead th")
    assert page.locator("loss-chart thead th").all_inner_texts() == ["Update", "training", "test"]
    page.check("[value=accuracy]")
    bench.until("document.querySelector('.readout').textContent.includes('test 90.00')")


def test_without_test_points_the_curve_tells_of_training_alone(bench: Bench) -> None:
    page = bench.open(CHART, "elements/loss-chart.js")
    page.wait_for_selector(".uplot")
    page.evaluate(FILL, {"step": [0, 100], "train_loss": [0.9, 0.5]})
    bench.until("document.querySelector('.readout').textContent === 'Update 100: training 0.500'")
    bench.until("document.querySelector('[data-plot]').ariaLabel.includes('0.900 to 0.500. A table')")


def test_where_a_number_is_learned_accuracy_cannot_be_chosen(bench: Bench) -> None:
    page = bench.open(CHART, "elements/loss-chart.js")
    page.wait_for_selector(".uplot")
    page.evaluate(FILL, {"step": [100], "train_loss": [0.5], "train_accuracy": [0.75]})
    page.check("[value=accuracy]")
    bench.until("document.querySelector('.readout').textContent.includes('training 75.00')")
    page.eval_on_selector("loss-chart", "chart => chart.offerAccuracy(false)")
    bench.until("document.querySelector('.readout').textContent === 'Update 100: training 0.500'")
    assert not page.is_visible("fieldset")
    page.eval_on_selector("loss-chart", "chart => chart.offerAccuracy(true)")
    assert page.is_visible("fieldset")


# ---- Histograms of the units -------------------------------------------------------------------------------------------

NETWORK = [{"type": "dense"}, {"type": "relu"}, {"type": "dense"}, {"type": "tanh"}, {"type": "dense"}]


def spread(low: float, high: float, counts: list[int]) -> dict[str, Any]:
    return {"low": low, "high": high, "counts": counts + [0] * (20 - len(counts))}


def histograms(*dead: int) -> dict[str, Any]:
    """A frame of a network with three dense layers of eight units."""
    layers = [
        {
            "layer": 2 * i, "units": 8, "dead": count, "weights": spread(-1, 3, [0, 0, 0, 5, 1]),
            "activations": spread(0, 2, [9, 3]) if i < 2 else None,
        }
        for i, count in enumerate(dead)
    ]  # fmt: skip
    return {"view": "plane", "watch": "w", "step": 1, "histograms": layers}


SHOW_UNITS = """([network, frame]) => {
  const element = document.querySelector('unit-histograms');
  element.network = network;
  element.show(frame);
}"""


def test_dead_units_are_counted_in_words_and_the_output_is_none_of_them(bench: Bench) -> None:
    page = bench.open("<unit-histograms></unit-histograms>", "elements/unit-histograms.js")
    page.evaluate(SHOW_UNITS, [NETWORK, histograms(2, 1, 3)])
    bench.until("document.querySelectorAll('unit-histograms figure').length === 3")
    assert page.locator("unit-histograms dd").inner_text() == "3 of 16"
    assert page.locator("unit-histograms figcaption").all_text_contents() == [
        "Layer 1 2 of 8 never fire",
        "Layer 2 1 of 8 says the same everywhere",
        "Output ",
    ]
    page.evaluate(SHOW_UNITS, [NETWORK, histograms(0, 0, 0)])
    bench.until("document.querySelector('unit-histograms dd').textContent === '0 of 16'")
    assert page.locator("unit-histograms figcaption").first.inner_text().strip() == "Layer 1"


def test_histograms_are_blue_above_zero_and_orange_below_and_say_where_most_are(bench: Bench) -> None:
    page = bench.open("<unit-histograms></unit-histograms>", "elements/unit-histograms.js")
    frame = histograms(0)
    frame["histograms"][0]["weights"] = spread(-1, 1, [10] * 10 + [5] * 10)
    page.evaluate(SHOW_UNITS, [NETWORK, frame])
    bench.until("document.querySelectorAll('unit-histograms canvas').length === 2")
    colours = page.evaluate("""async () => {
      const { token } = await import('/static/js/lib/palette.js'), canvas = document.querySelector('unit-histograms canvas');
      const at = (x, y) => [...canvas.getContext('2d').getImageData(x * canvas.width, y * canvas.height, 1, 1).data];
      return [at(0.11, 0.3), at(0.61, 0.3), at(0.61, 0.8), token('negative'), token('positive')];
    }""")
    left, above, right, negative, positive = colours
    assert left == [*negative, 255]
    assert above[3] == 0, "half as many are half as high"
    assert right == [*positive, 255]
    assert page.locator("unit-histograms canvas").first.get_attribute("aria-label") == (
        "Layer 1: weights from −1.00 to 1.00, most in −1.00 … −0.90."
    )
    assert page.locator("unit-histograms figure .note").all_inner_texts() == ["−1.00 … 1.00", "0.00 … 2.00"]


def test_a_network_that_grew_has_a_row_more(bench: Bench) -> None:
    page = bench.open("<unit-histograms></unit-histograms>", "elements/unit-histograms.js")
    page.evaluate(SHOW_UNITS, [NETWORK[-1:], histograms(0)])
    bench.until("document.querySelector('unit-histograms b')?.textContent === 'Output'")
    assert page.locator("unit-histograms dd").inner_text() == "–", "an output is no hidden unit"
    page.evaluate(SHOW_UNITS, [NETWORK, histograms(0, 0, 0)])
    bench.until("document.querySelectorAll('unit-histograms b').length === 3")
    assert page.locator("unit-histograms b").all_inner_texts() == ["Layer 1", "Layer 2", "Output"]


# ---- Confusion matrix --------------------------------------------------------------------------------------------------


def run(step: int = 100, **dataset: Any) -> dict[str, Any]:
    made = {
        "classes": ["A", "B", "C"],
        "test_examples": 30,
        "train_examples": 70,
        "task": "classification",
        "digest": "d",
    }
    return {"id": "r", "step": step, "generation": 1, "dataset": made | dataset}


def evaluation(step: int, confusion: list[list[int]], **more: Any) -> dict[str, Any]:
    body = {
        "split": "test", "step": step, "examples": sum(map(sum, confusion)), "accuracy": 0.5, "loss": 1.0, "crops": 1,
        "confusion": confusion, "per_class": [{"precision": 0.5, "recall": None} for _ in confusion],
    }  # fmt: skip
    return {"body": json.dumps(body | more), "content_type": "application/json"}


FOLLOW = "run => document.querySelector('confusion-matrix').follow(run)"
MOVED = "step => document.querySelector('confusion-matrix').moved(step)"
CAPTION = "document.querySelector('confusion-matrix figcaption').textContent"


def test_the_matrix_counts_who_is_taken_for_whom_in_words_too(bench: Bench) -> None:
    page = bench.open("<confusion-matrix></confusion-matrix>", "elements/confusion-matrix.js")
    bench.answer = lambda _: evaluation(100, [[9, 1, 0], [0, 10, 0], [4, 0, 6]])
    page.evaluate(FOLLOW, run())
    bench.until(f"{CAPTION}.startsWith('30 test points at update 100.')")
    assert page.locator(".matrix td button").all_inner_texts() == ["9", "1", "·", "·", "10", "·", "4", "·", "6"]
    assert page.get_attribute("[data-truth='2'][data-predicted='0']", "aria-label") == "C taken for A: 4"
    levels = page.eval_on_selector_all(".matrix tbody td", "cells => cells.map(cell => cell.dataset.level ?? 'hit')")
    assert levels == ["hit", "2", "0", "0", "hit", "0", "3", "0", "hit"], "a tenth of a row, and nearly half of one"
    assert page.locator("dt").all_inner_texts() == [f"{name}: precision, recall" for name in "ABC"]
    assert page.locator("dd").first.inner_text() == "0.50, –", "what was not measured is not 0"


def test_a_cell_is_pressed_and_let_go(bench: Bench) -> None:
    page = bench.open("<confusion-matrix></confusion-matrix>", "elements/confusion-matrix.js")
    bench.answer = lambda _: evaluation(100, [[9, 1, 0], [0, 10, 0], [4, 0, 6]])
    page.evaluate("window.told = []; document.addEventListener('highlight', e => told.push(e.detail))")
    page.evaluate(FOLLOW, run())
    bench.until(f"{CAPTION}.startsWith('30')")
    page.eval_on_selector("confusion-matrix", "matrix => matrix.parentElement.append(matrix)")  # as a morph may move it
    page.click("[data-truth='2'][data-predicted='0']")
    page.focus("[data-truth='0'][data-predicted='1']")
    page.keyboard.press("Enter")
    assert page.locator("[aria-pressed=true]").get_attribute("aria-label") == "A taken for B: 1"
    page.keyboard.press("Enter")
    assert page.locator("[aria-pressed=true]").count() == 0
    assert page.evaluate("told") == [
        {"truth": 2, "predicted": 0, "split": "test"},
        {"truth": 0, "predicted": 1, "split": "test"},
        None,
    ]


def test_it_is_measured_once_a_second_while_the_training_moves_and_at_its_end(bench: Bench) -> None:
    page = bench.open("<confusion-matrix></confusion-matrix>", "elements/confusion-matrix.js")
    trained = 100
    bench.answer = lambda _: evaluation(trained, [[trained, 0], [0, 1]])
    page.evaluate(FOLLOW, run(classes=["A", "B"]))
    bench.until(f"{CAPTION}.includes('update 100.')")
    for trained in range(110, 300, 10):
        page.evaluate(MOVED, trained)
        page.wait_for_timeout(20)
    bench.until(f"{CAPTION}.includes('update 290.')")
    assert len(bench.calls) <= 3
    assert page.locator("[data-truth='0'][data-predicted='0']").inner_text() == "290"
    count = len(bench.calls)
    page.evaluate(MOVED, 290)
    page.evaluate(FOLLOW, run(290, classes=["A", "B"]))
    page.wait_for_timeout(1200)
    assert len(bench.calls) == count, "nothing has moved"


HOLD = """() => {
  const real = window.fetch;
  window.held = [];
  window.fetch = async (...given) => { const answer = await real(...given); await new Promise(go => held.push(go)); return answer; };
}"""


def test_an_answer_from_before_a_reset_is_dropped_and_asked_for_anew(bench: Bench) -> None:
    page = bench.open("<confusion-matrix></confusion-matrix>", "elements/confusion-matrix.js")
    page.evaluate(HOLD)
    bench.answer = lambda _: evaluation(500, [[5, 0], [0, 5]])
    page.evaluate(FOLLOW, run(500, classes=["A", "B"]))
    bench.until("held.length === 1")
    bench.answer = lambda _: evaluation(0, [[0, 5], [5, 0]])
    page.evaluate(FOLLOW, run(0, classes=["A", "B"]) | {"generation": 2})
    page.evaluate("held[0]()")
    bench.until("held.length === 2")
    assert page.evaluate(CAPTION) == "Not measured yet."
    page.evaluate("held[1]()")
    bench.until(f"{CAPTION}.includes('update 0.')")
    assert page.locator("[data-truth='0'][data-predicted='1']").inner_text() == "5"


def test_a_number_that_is_learned_has_errors_and_no_matrix(bench: Bench) -> None:
    page = bench.open("<confusion-matrix></confusion-matrix>", "elements/confusion-matrix.js")
    errors = {
        "r_squared": 0.9312,
        "mean_absolute_error": 0.25,
        "root_mean_squared_error": 0.5,
        "examples": 20,
        "split": "train",
    }
    bench.answer = lambda _: evaluation(100, [], **errors)
    page.evaluate(FOLLOW, run(classes=[], task="regression", test_examples=0))
    bench.until(f"{CAPTION} === '20 training points at update 100.'")
    assert bench.calls[-1][1] == "/api/runs/r/evaluation?split=train", "of all points, if none are kept for testing"
    assert not page.is_visible("table")
    assert page.locator("dl > div").all_inner_texts() == [
        "R²\n0.931",
        "Mean absolute error\n0.250",
        "Root mean squared error\n0.500",
    ]
