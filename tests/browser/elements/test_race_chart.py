"""`<race-chart>`: one figure of several runs, each with points at places of its own."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.elements.conftest import Bench

pytestmark = pytest.mark.browser

LABELS = {"batch": "batch, all 40", "stochastic": "stochastic, 1"}


def chart(bench: Bench, **attributes: str) -> None:
    written = {"runs": "batch stochastic", "value": "train_loss", "against": "step", "scale": "log"} | attributes
    text = " ".join(f'{name}="{value}"' for name, value in written.items())
    bench.open(f"<race-chart data-labels='{json.dumps(LABELS)}' {text}></race-chart>", "elements/race-chart.js")
    bench.until("document.querySelector('race-chart canvas')")


def give(bench: Bench, run: str, **columns: list[float | None]) -> None:
    bench.page.evaluate("([run, rows]) => document.querySelector('race-chart').metrics(run, rows)", [run, columns])


def race(bench: Bench) -> None:
    give(bench, "batch", step=[10, 20, 30], examples=[400, 800, 1200], seconds=[1, 2, 3], train_loss=[4, 2, 1])
    give(bench, "stochastic", step=[10, 20], examples=[10, 20], seconds=[1.5, 2.5], train_loss=[3, 0.5])


def told(bench: Bench, pattern: str) -> None:
    expect(bench.page.locator("race-chart .readout")).to_have_text(re.compile(pattern))


def test_each_run_is_told_where_it_stands_on_every_axis(bench: Bench) -> None:
    chart(bench)
    race(bench)
    told(bench, "^Update 30: batch, all 40 1.00, stochastic, 1 0.500$")
    bench.page.eval_on_selector("race-chart", "chart => chart.setAttribute('against', 'examples')")
    told(bench, "^1,200 examples: batch, all 40 1.00, stochastic, 1 0.500$")
    bench.page.eval_on_selector("race-chart", "chart => chart.setAttribute('against', 'seconds')")
    told(bench, "^3.00 seconds: batch, all 40 1.00, stochastic, 1 0.500$")
    label = bench.page.get_by_role("img").get_attribute("aria-label") or ""
    assert label.startswith(
        "Training loss against seconds. batch, all 40 went from 4.00 to 1.00 at 3.00 seconds; stoch"
    )


def test_the_pointer_reads_all_runs_off_at_one_place(bench: Bench) -> None:
    chart(bench)
    race(bench)
    told(bench, "^Update 30: batch, all 40 1.00, stochastic, 1 0.500$")
    box = bench.page.locator("race-chart .u-over").bounding_box()
    assert box
    bench.page.mouse.move(box["x"] + 15 / 33 * box["width"], box["y"] + 20)  # the axis ends a tenth beyond 30
    told(bench, "^Update 15: batch, all 40 4.00, stochastic, 1 3.00$")


def test_the_table_has_a_row_a_place(bench: Bench) -> None:
    chart(bench, against="seconds")
    race(bench)
    told(bench, "^3.00 seconds: batch, all 40 1.00, stochastic, 1 0.500$")
    bench.page.get_by_text("As a table").click()
    rows: list[Any] = bench.page.eval_on_selector_all(
        "race-chart tr", "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
    )
    assert rows[0] == ["Seconds", "batch, all 40", "stochastic, 1"]
    assert rows[1:] == [
        ["1.000", "4.00", "–"],
        ["1.500", "4.00", "3.00"],
        ["2.000", "2.00", "3.00"],
        ["2.500", "2.00", "0.500"],
        ["3.000", "1.00", "0.500"],
    ]


def test_another_generation_forgets_the_points_of_its_run_alone(bench: Bench) -> None:
    chart(bench)
    tell = "(chart, generation) => chart.state('batch', { generation })"
    bench.page.eval_on_selector("race-chart", tell, 1)
    race(bench)
    bench.page.eval_on_selector("race-chart", tell, 1)
    told(bench, "batch, all 40 1.00, stochastic, 1 0.500$")
    bench.page.eval_on_selector("race-chart", tell, 2)
    told(bench, "^Update 20: stochastic, 1 0.500$")


def test_points_of_a_figure_take_the_place_of_those_of_the_runs(bench: Bench) -> None:
    chart(bench, figures="curves")
    figures = {"curves": {"batch": {"step": [0, 1], "train_loss": [8, 7]}}}
    bench.page.eval_on_selector("race-chart", "(chart, figures) => { chart.figures = figures; }", figures)
    race(bench)
    told(bench, "^Update 1: batch, all 40 7.00$")


def test_accuracies_are_shares(bench: Bench) -> None:
    chart(bench, value="test_accuracy", scale="linear")
    give(bench, "batch", step=[10], test_accuracy=[0.25])
    told(bench, "^Update 10: batch, all 40 25.00\u2009%$")
