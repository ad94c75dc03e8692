"""The diagram on the plane's page: weights reach the engine, neurons the output, and a change of the network the diagram."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.digits import PHONE, until
from tests.browser.server import Server

pytestmark = pytest.mark.browser


class Plane:
    """The plane's page with a run of its own, 2-4-2 on the circle."""

    def __init__(self, page: Page, api: httpx.Client) -> None:
        self.page, self.api = page, api
        self.run = ""

    def open(self, url: str, query: str) -> None:
        self.page.goto(f"{url}/plane?{query}")
        self.run = until(self.page, lambda: self.page.locator("#experiment").get_attribute("data-run") or "", "a run")
        expect(self.neuron(0, 0)).to_have_accessible_name(re.compile("^Layer 1, neuron 1, bias "))

    def neuron(self, layer: int, unit: int) -> Locator:
        return self.page.locator(f".neuron[data-layer='{layer}'][data-unit='{unit}']")

    @property
    def card(self) -> Locator:
        return self.page.locator(".weight-card")

    def weights(self, layer: int) -> Any:
        answer = self.api.get(f"/runs/{self.run}/layers/{layer}", params={"what": "weights"})
        return answer.json()["weights"]["values"]


@pytest.fixture
def plane(page: Page, api: httpx.Client, server: Server) -> Iterator[Callable[..., Plane]]:
    made = Plane(page, api)

    def visit(query: str = "play=0") -> Plane:
        made.open(server.url, query)
        return made

    yield visit
    page.goto("about:blank")  # a page left open would, rightly, complain that its run is gone
    api.delete(f"/runs/{made.run}")


def test_a_weight_typed_at_its_line_is_the_engines_and_is_seen_though_the_run_is_paused(
    plane: Callable[..., Plane],
) -> None:
    shown = plane()
    source, target = shown.neuron(-1, 1).bounding_box(), shown.neuron(0, 3).bounding_box()
    assert source
    assert target
    x = (source["x"] + source["width"] + target["x"]) / 2
    y = (source["y"] + source["height"] / 2 + target["y"] + target["height"] / 2) / 2
    shown.page.mouse.click(x, y)
    expect(shown.card).to_contain_text("y → neuron 4")
    shown.page.keyboard.type("-2.5")
    shown.page.keyboard.press("Enter")
    expect(shown.card.locator("b").last).to_have_text("−2.50")
    assert shown.weights(0)[3][1] == -2.5
    shown.page.keyboard.press("Escape")
    expect(shown.card).to_be_hidden()


@pytest.mark.long
def test_biases_and_weights_are_typed_by_keyboard_alone(plane: Callable[..., Plane]) -> None:
    shown = plane()
    shown.page.locator("select[name=activation-0]").focus()
    for key in ("Tab", "ArrowRight", "ArrowRight", "End", "Enter"):
        shown.page.keyboard.press(key)
    card = shown.page.get_by_role("group", name="Output B")
    expect(card.get_by_label("bias")).to_be_focused()
    shown.page.keyboard.type("1.5")
    shown.page.keyboard.press("Tab")
    shown.page.keyboard.press("Tab")
    shown.page.keyboard.type("-3")
    shown.page.keyboard.press("Enter")
    until(shown.page, lambda: shown.weights(4)[1][1] == -3, "the weight of neuron 2 to B")
    shown.page.keyboard.press("Escape")
    expect(shown.neuron(4, 1)).to_be_focused()
    expect(shown.neuron(4, 1)).to_have_accessible_name("Output B, bias 1.50")


def test_a_weight_is_changed_while_the_network_trains(plane: Callable[..., Plane]) -> None:
    shown = plane("lr=0.000001&optimizer=sgd")
    shown.neuron(2, 0).focus()
    shown.page.keyboard.press("Enter")
    shown.page.keyboard.type("5")
    shown.page.keyboard.press("Enter")
    expect(shown.neuron(2, 0)).to_have_accessible_name("Layer 2, neuron 1, bias 5.00")


def test_a_neuron_is_shown_large_and_its_card_outlives_the_answer_of_the_server(plane: Callable[..., Plane]) -> None:
    shown = plane()
    with shown.page.expect_response("**/experiment"):
        shown.neuron(0, 1).click()
        shown.card.get_by_label("x", exact=True).fill("0.125")
    until(shown.page, lambda: "neuron=0.1" in shown.page.url, "the neuron in the address")
    expect(shown.card.get_by_label("x", exact=True)).to_have_value("0.125")
    expect(shown.card.get_by_label("x", exact=True)).to_be_focused()
    expect(shown.neuron(0, 1)).to_have_attribute("aria-pressed", "true")
    expect(shown.page.locator("plane-plot")).to_contain_text("neuron 2 of layer 1")


@pytest.mark.long
def test_a_layer_that_is_added_is_drawn_and_can_be_read(plane: Callable[..., Plane]) -> None:
    shown = plane()
    shown.page.get_by_role("button", name="More layers").click()
    expect(shown.page.locator(".layer-column")).to_have_count(5)
    expect(shown.neuron(6, 0)).to_have_accessible_name("Output A, bias 0")
    shown.neuron(4, 0).hover()
    expect(shown.card).to_contain_text("Layer 3, neuron 1")
    assert shown.page.locator(".diagram [tabindex='0']").count() == 1
    painted = (
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(byte => byte)"
    )
    assert shown.neuron(6, 1).locator("canvas").evaluate(painted)


@pytest.mark.long
def test_on_a_phone_the_network_scrolls_in_its_own_box(plane: Callable[..., Plane]) -> None:
    shown = plane("play=0&network=8.tanh,8.tanh,8.tanh,8.tanh")
    shown.page.set_viewport_size(PHONE)
    shown.neuron(8, 1).click()
    expect(shown.card).to_contain_text("Output B")
    card = shown.card.bounding_box()
    assert card
    assert card["x"] >= 0
    assert card["x"] + card["width"] <= PHONE["width"]
    assert shown.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
