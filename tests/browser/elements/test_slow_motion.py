"""Slow motion: what a real update was, stage by stage, in words; and what lights up meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Request

from app.workers.narration import telling
from engine.datasets.points import points_dataset
from engine.narration import narrate
from engine.specs import SGD, Adam, Conv2D, Dense, ReLU, RunSpec, Sigmoid
from engine.trainer import Trainer
from tests.app.small_runs import of_points
from tests.browser.elements.conftest import Bench
from tests.engine import small

pytestmark = pytest.mark.browser

SPEC = of_points(network=(Dense(units=2), Sigmoid(), Dense(units=2)), optimizer=SGD(learning_rate=0.25))
EXAMPLES = "".join(f'<i data-example="{place}"></i>' for place in range(60))
PANEL = f"""<div id="stage"><p data-stage="loss backward">x</p>{EXAMPLES}
<div data-run="stochastic_one"><p id="other" data-stage="loss">y</p></div><details class="slow-motion"><summary>Slow motion</summary>
<slow-motion data-runs="batch:a,stochastic_one:b"></slow-motion></details></div>"""
STAGES = ["Take a batch", "Forward", "Loss", "Backward", "Update"]


def update(spec: RunSpec) -> Any:
    trainer = Trainer(spec, points_dataset(spec.dataset))  # type: ignore[arg-type]
    return telling(trainer, narrate(trainer))


class Runs:
    """The server's side: a run `a` that trains until it is paused, and one that has diverged, `b`."""

    def __init__(self, bench: Bench, spec: RunSpec = SPEC) -> None:
        self.state = "running"
        self.told = update(spec)
        bench.answer = self.answer

    def answer(self, request: Request) -> dict[str, Any]:
        if request.method == "PATCH":
            self.state = "paused"
        if "/b/" in request.url:
            return {"status": 409, "json": {"detail": "It has diverged. Reset it.", "code": "conflict"}}
        return {"json": self.told if request.method == "POST" else {"state": self.state}}


def opened(bench: Bench) -> None:
    bench.open(PANEL, "elements/slow-motion.js")
    bench.page.evaluate("""() => {
      window.narrated = []; window.sets = 0;
      document.querySelector("#stage > p").narrate = (stage, told) => narrated.push([stage, told.batch.places.length]);
      document.addEventListener("set", () => sets++);
    }""")
    bench.page.locator("summary").click()


def test_each_stage_tells_the_updates_own_figures_and_lights_up_where_it_happens(bench: Bench) -> None:
    runs = Runs(bench)
    opened(bench)
    page, told = bench.page, runs.told
    said = []
    for stage in STAGES:
        page.get_by_role("button", name="Next stage").click()
        bench.until(f"document.querySelector('[aria-current=step]')?.textContent.includes({stage!r})")
        said.append(page.locator(".said").inner_text().replace("−", "-").replace("\u2009", "").replace("\u00a0", " "))
    assert [call[:2] for call in bench.calls] == [
        ("GET", "/api/runs/a"),
        ("PATCH", "/api/runs/a"),
        ("POST", "/api/runs/a/narration"),
    ]
    assert page.evaluate("narrated") == [[stage, 10] for stage in ("batch", "forward", "loss", "backward", "update")]
    assert page.evaluate("sets") == 1

    first, activation, last = told["layers"]
    batch, forward, loss, backward, step = said
    assert "10 of the 30 training examples" in batch
    assert f"its class is {told['example']['label']}" in batch
    assert f"in₃ = {first['outputs']['values'][0]:.4f}" in forward
    assert f"a₄ = {activation['outputs']['values'][1]:.4f}" in forward
    assert f"costs {told['example']['loss']:.4f}" in loss
    assert f"{told['loss']:.4f}" in loss
    assert f"∂Loss/∂in₅ = {last['gradients']['values'][0]:.4f}" in backward
    one = first["biases"]["steepest"]
    to = "₃₄"[one["place"][0]]
    gradient = f"{one['gradient']:.4f}"
    assert (
        f"w₀{to} = {one['old']:.4f} - 0.250·{f'({gradient})' if one['gradient'] < 0 else gradient} = {one['new']:.4f}"
        in step
    )

    lit, taken = page.locator("[data-lit]"), page.locator("[data-taken]")
    assert (lit.count(), taken.count()) == (0, 0), "the update is the last stage"
    page.get_by_role("button", name="3. Loss").click()
    assert lit.all_inner_texts() == ["x"], "what belongs to another run stays dark"
    places = [int(mark.get_attribute("data-example") or "") for mark in taken.all()]
    assert places == sorted(told["batch"]["places"])
    page.evaluate("() => document.querySelector('[data-lit]').removeAttribute('data-lit')")
    page.evaluate("() => document.dispatchEvent(new Event('htmx:after:swap'))")
    assert lit.count() == 1, "an answer of the page takes no marks away"
    page.get_by_role("button", name="1. Take a batch").click()
    assert lit.count() == 0
    assert bench.calls[-1][0] == "POST", "looking back asks for nothing"


def test_an_optimizer_with_a_memory_is_told_without_a_sum(bench: Bench) -> None:
    runs = Runs(bench, replace(SPEC, optimizer=Adam(learning_rate=0.02)))
    opened(bench)
    for _ in STAGES:
        bench.page.get_by_role("button", name="Next stage").click()
        bench.until("document.querySelector('[aria-current=step]')")
    one = runs.told["layers"][0]["weights"]["steepest"]
    said = bench.page.locator(".said").inner_text().replace("−", "-")
    assert f"{one['old']:.4f} → {one['new']:.4f}" in said


def test_maps_are_shown_as_pictures(bench: Bench) -> None:
    spec = small.spec(network=(Conv2D(filters=9, kernel_size=5, stride=2), ReLU(), Dense(units=10)), batch_size=3)
    runs = Runs(bench)
    trainer = Trainer(spec, small.dataset())
    runs.told = telling(trainer, narrate(trainer))
    opened(bench)
    press = bench.page.get_by_role("button", name="Next stage")
    press.click()
    bench.until("document.querySelector('.told canvas')")
    assert bench.page.get_by_role("img").evaluate_all("all => all.map(image => image.ariaLabel)") == ["As a picture"]
    press.click()
    assert (
        bench.page.get_by_role("img").evaluate_all("all => all.map(image => image.ariaLabel)")
        == ["The first 8 of 9 maps"] * 2
    )
    assert "9×11×11 numbers" in bench.page.locator(".said").inner_text()


def test_the_next_update_of_a_run_that_has_finished_is_told_and_not_made(bench: Bench) -> None:
    runs = Runs(bench)
    runs.state, runs.told["made"] = "finished", False
    opened(bench)
    bench.page.get_by_role("button", name="Next stage").click()
    bench.until("document.querySelector('[aria-current=step]')")
    assert "Update 1, told but not made" in bench.page.locator("slow-motion").inner_text()
    assert not [call for call in bench.calls if call[0] == "PATCH"]


def test_a_run_that_has_diverged_says_so_and_offers_a_reset(bench: Bench) -> None:
    Runs(bench)
    opened(bench)
    bench.page.get_by_label("Which run").select_option("Stochastic one")
    bench.page.get_by_role("button", name="Next stage").click()
    bench.until("document.querySelector('.said .callout')")
    assert "It has diverged." in bench.page.locator(".said").inner_text()
    assert bench.page.get_by_role("button", name="Reset").get_attribute("data-send") == "reset"
    bench.faults.clear()  # the browser itself reports the 409


def test_it_plays_slowly_and_stops(bench: Bench) -> None:
    Runs(bench)
    bench.page.clock.install()
    opened(bench)
    page = bench.page
    page.get_by_role("button", name="Play slowly").click()
    for place in range(1, 4):
        page.clock.run_for(2600)
        bench.until(f"narrated.length >= {place}")
    page.get_by_role("button", name="Stop").click()
    before = page.evaluate("narrated.length")
    page.clock.run_for(10_000)
    assert page.evaluate("narrated.length") == before


def test_without_motion_there_are_steps_only(bench: Bench) -> None:
    Runs(bench)
    bench.page.emulate_media(reduced_motion="reduce")
    opened(bench)
    assert bench.page.get_by_role("button", name="Next stage").is_visible()
    assert not bench.page.get_by_role("button", name="Play slowly").is_visible()
