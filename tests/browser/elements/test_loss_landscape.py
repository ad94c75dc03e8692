"""`<loss-landscape>`: paths that grow with the stream's frames, and a hand to start elsewhere or to turn the bowl."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import FloatRect

from app.labs.gradient import Settings, figures
from app.labs.lesson import RunState
from app.labs.settings import texts
from tests.browser.elements.conftest import Bench

pytestmark = pytest.mark.browser

TELL = """([figures, settings]) => {
  const element = document.querySelector("loss-landscape");
  window.changes = [];
  element.addEventListener("set", event => changes.push(event.detail));
  element.settings = settings;
  element.figures = figures;
}"""


def shown(settings: Settings, updates: int) -> Any:
    working = figures(settings, {name: RunState(step=updates) for name in ("batch", "stochastic", "minibatch")})
    while True:
        try:
            next(working)
        except StopIteration as end:
            return end.value


def landscape(bench: Bench, settings: Settings, updates: int = 2) -> FloatRect:
    bench.open(
        '<loss-landscape runs="batch stochastic minibatch"></loss-landscape>',
        "elements/loss-landscape.js",
        head='<link rel="stylesheet" href="/static/css/labs/gradient.css">',
    )
    bench.page.evaluate(TELL, [shown(settings, updates), texts(settings)])
    bench.until("document.querySelector('loss-landscape canvas').width > 300")
    box = bench.page.get_by_role("application").bounding_box()
    assert box
    return box


SAY = """element => {
  element.settings = { ...element.settings, turn: String(Number(element.settings.turn) + 1) };
  element.figures = element.figures;
  return element.canvas.ariaLabel;
}"""


def sentence(bench: Bench) -> str:
    """What it says of itself, at once, as another view of it was asked for."""
    return str(bench.page.eval_on_selector("loss-landscape", SAY))


def frame(bench: Bench, step: int, w0: float, w1: float) -> None:
    bench.page.evaluate(
        "frame => document.querySelector('loss-landscape').frame('batch', frame)",
        {"step": step, "weights": [{"layer": 0, "weights": [[w1]], "biases": [w0]}]},
    )


def test_a_path_grows_with_the_frames_and_not_backwards(bench: Bench) -> None:
    landscape(bench, Settings())
    assert "batch after 2 updates" in sentence(bench)
    frame(bench, 5, 0.5, 0.25)  # two updates were not drawn
    frame(bench, 4, 1.0, 1.0)
    assert "batch after 5 updates at w₀ 0.50, w₁ 0.25" in sentence(bench)
    frame(bench, 6, 40.0, -9.0)
    assert "batch after 6 updates has left the map" in sentence(bench)
    bench.page.evaluate(TELL, [shown(Settings(learning_rate=0.1), 1), texts(Settings(learning_rate=0.1))])
    assert "batch after 1 updates" in sentence(bench)


def test_another_generation_begins_at_the_start(bench: Bench) -> None:
    landscape(bench, Settings())
    tell = "(element, generation) => element.state('batch', { generation })"
    bench.page.eval_on_selector("loss-landscape", tell, 1)
    frame(bench, 5, 0.5, 0.25)
    bench.page.eval_on_selector("loss-landscape", tell, 2)
    bench.page.eval_on_selector(
        "loss-landscape", "(element, figures) => { element.figures = figures; }", shown(Settings(), 0)
    )
    assert "batch after 0 updates" in sentence(bench)


def test_a_click_and_the_keys_start_elsewhere(bench: Bench) -> None:
    box = landscape(bench, Settings(w0=0.0, w1=1.0))
    left, right, top, bottom = 30, box["width"] - 2, 20, box["height"] - 24
    bench.page.mouse.click(box["x"] + (left + right) / 2, box["y"] + top + (bottom - top) * (4 - 2.5) / 5.5)
    first = bench.page.evaluate("changes[0]")
    assert (first["w0"], first["w1"]) == (pytest.approx(0, abs=0.02), pytest.approx(2.5, abs=0.02))
    bench.page.get_by_role("application").focus()
    for key in ("ArrowRight", "Shift+ArrowUp", "Enter"):
        bench.page.keyboard.press(key)
    assert bench.page.evaluate("changes[1]") == {"w0": 0.14, "w1": 1.55}
    assert "w₀ 0.14, w₁ 1.55: loss " in bench.page.inner_text("loss-landscape [role=status]")


def test_the_bowl_is_turned_by_hand(bench: Bench) -> None:
    box = landscape(bench, Settings(view="bowl", turn=170.0))
    bench.page.mouse.move(box["x"] + 300, box["y"] + 200)
    bench.page.mouse.down()
    bench.page.mouse.move(box["x"] + 340, box["y"] + 200)
    bench.page.mouse.up()
    bench.page.get_by_role("application").focus()
    bench.page.keyboard.press("ArrowLeft")
    assert bench.page.evaluate("changes") == [{"turn": -170}, {"turn": -175}]


def test_slow_motion_draws_the_step(bench: Bench) -> None:
    landscape(bench, Settings())
    picture = "document.querySelector('[role=application]').toDataURL()"
    told = {
        name: {which: {"values": value} for which, value in zip(("old", "gradient", "new"), values, strict=True)}
        for name, values in {"biases": ([1.0], [2.0], [0.5]), "weights": ([[2.0]], [[-1.0]], [[2.25]])}.items()
    }
    seen = {bench.page.evaluate(picture)}
    for stage in ("batch", "backward", "update"):
        bench.page.evaluate(
            "([stage, told]) => document.querySelector('loss-landscape').narrate(stage, told)",
            [stage, {"layers": [told]}],
        )
        bench.page.wait_for_timeout(60)
        seen.add(bench.page.evaluate(picture))
    assert len(seen) == 4
