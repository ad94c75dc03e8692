"""`<hidden-space>`: the plane as a layer puts it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.browser.elements.conftest import Bench
from tests.browser.elements.plane import SETUP, cells, plane_frame, plane_points

pytestmark = pytest.mark.browser

NETWORK = [
    {"type": "dense", "units": 2}, {"type": "tanh"}, {"type": "dense", "units": 4}, {"type": "tanh"},
    {"type": "dense", "units": 1}, {"type": "tanh"},
]  # fmt: skip
POINTS = plane_points([(-6, 6), (6, 6), (-6, -6), (6, -6)], [0, 1, 0, 1], tests=[3])
LINES = 21


def hidden(layer: int = 0, units: Any = (0, 1), **more: Any) -> dict[str, Any]:
    """A layer that turns the plane by a quarter: u = −y, v = x; points and mesh alike."""
    side = np.linspace(-6, 6, LINES)
    x, y = np.tile(side, LINES), np.repeat(side[::-1], LINES)
    place = np.array(POINTS["values"])
    found: dict[str, Any] = {"layer": layer, "units": units if units == "components" else list(units)}
    found |= {"grid": [(-y).tolist(), x.tolist()], "points": [(-place[:, 1]).tolist(), place[:, 0].tolist()]}
    return found | {"low": [-6, -6], "high": [6, 6], "explained": None} | more


def space(bench: Bench, attributes: str = "", network: list[dict[str, Any]] = NETWORK) -> Page:
    page = bench.open(f"<hidden-space {attributes}></hidden-space>", "elements/hidden-space.js")
    page.evaluate("window.views = []; document.addEventListener('hidden', event => views.push(event.detail))")
    page.evaluate(SETUP, {"points": POINTS, "element": "hidden-space"})
    page.eval_on_selector("hidden-space", "(space, network) => space.describe(network)", network)
    return page


def show(page: Page, **given: Any) -> None:
    x, _ = cells(20)
    frame = plane_frame((x > 0).astype(float)[None], hidden=hidden(**given))
    page.eval_on_selector("hidden-space", "(space, frame) => space.show(frame)", frame)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def pixel(page: Page, u: float, v: float) -> tuple[int, ...]:
    """At a place of the layer's own plane, which stands with a margin of 6 % around −6 … 6."""
    return tuple(
        page.evaluate(
            """([u, v]) => {
              const canvas = document.querySelector("hidden-space canvas"), at = w => (w + 6 * 1.12) / (12 * 1.12);
              return [...canvas.getContext("2d").getImageData(Math.round(at(u) * canvas.width), Math.round((1 - at(v)) * canvas.height), 1, 1).data];
            }""",
            [u, v],
        )
    )


def test_mesh_and_points_stand_where_the_layer_puts_them(bench: Bench) -> None:
    page = space(bench, 'of="0.0.1"')
    show(page)
    colours = page.evaluate("import('/static/js/lib/palette.js').then(m => ['class-a', 'class-b'].map(name => m.token(name)))")
    # (−6, 6) of class A goes to (−6, −6); (6, −6) of class B to (6, 6).
    for (u, v), rgb in {(-6, -6): colours[0], (-6, 6): colours[1], (6, -6): colours[0], (6, 6): colours[1]}.items():
        assert pixel(page, u, v)[:3] == pytest.approx(rgb, abs=3)
    assert pixel(page, -6.6, 1)[3] == 0, "nothing beyond the mesh"
    cell = 12 / (LINES - 1)
    line, beside = pixel(page, 2 * cell, 2.5 * cell), pixel(page, 2.5 * cell, 2.5 * cell)
    assert line[3] > beside[3] > 0, "lines on faintly coloured cells"


def test_cells_are_coloured_by_what_the_network_answers_there(bench: Bench) -> None:
    page = space(bench, 'of="0.0.1"')
    show(page)
    cell = 12 / (LINES - 1)
    # It answers A where x, which is v here, is above zero.
    above, below = pixel(page, 2.5 * cell, 5.5 * cell), pixel(page, 2.5 * cell, -5.5 * cell)
    assert above[2] > above[0], "blue"
    assert below[0] > below[2], "orange"


def test_the_last_hidden_layer_is_shown_first_by_its_components(bench: Bench) -> None:
    page = space(bench, network=[*NETWORK[:4], {"type": "dense", "units": 3}])
    assert page.evaluate("views") == [{"layer": 2, "units": "components", "grid": LINES}]
    assert page.get_attribute("hidden-space", "of") == "2.components"
    show(page, layer=2, units="components", explained=[0.8, 0.15])
    assert "80\u2009% and 15\u2009%" in page.inner_text("hidden-space .note")
    label = page.get_attribute("hidden-space canvas", "aria-label") or ""
    assert "as layer 2 sees them, component 1 from −6.00 to 6.00" in label


def test_layer_and_neurons_are_chosen(bench: Bench) -> None:
    page = space(bench)
    assert page.locator("[name=hidden_layer] option").all_inner_texts() == ["after layer 1", "after layer 2"]
    page.select_option("[name=hidden_a]", label="neuron 2")
    assert page.is_visible("[name=hidden_b]")
    page.select_option("[name=hidden_b]", label="neuron 4")
    assert page.evaluate("views.at(-1)") == {"layer": 2, "units": [1, 3], "grid": LINES}
    page.select_option("[name=hidden_layer]", label="after layer 1")
    assert page.evaluate("views.at(-1)") == {"layer": 0, "units": [0, 1], "grid": LINES}
    assert "principal components" not in page.inner_text("[name=hidden_a]"), "two neurons are all there is"


def test_the_button_goes_through_all_pairs(bench: Bench) -> None:
    page = space(bench)
    for _ in range(7):
        page.click("hidden-space button")
    pairs = [view["units"] for view in page.evaluate("views.slice(1)")]
    assert pairs == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3], [0, 1]]


def test_the_address_chooses_and_another_network_keeps_what_it_has(bench: Bench) -> None:
    page = space(bench, 'of="2.1.3"')
    assert page.evaluate("views") == [{"layer": 2, "units": [1, 3], "grid": LINES}]
    page.eval_on_selector("hidden-space", "(space, network) => space.describe(network)", [*NETWORK[:2], {"type": "dense", "units": 5}, *NETWORK[3:]])
    assert len(page.evaluate("views")) == 1
    page.eval_on_selector("hidden-space", "(space, network) => space.describe(network)", NETWORK[:2] + NETWORK[4:])
    assert page.evaluate("views.at(-1)") == {"layer": 0, "units": [0, 1], "grid": LINES}
    page.eval_on_selector("hidden-space", "(space, network) => space.describe(network)", NETWORK[4:])
    assert page.evaluate("views.at(-1)") is None
    assert "No layer has two neurons" in page.inner_text("hidden-space")
