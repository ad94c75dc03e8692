"""The curve's page: points painted on it are learned, and what stands below it is what the API says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import FloatRect, Locator, Page, expect

from tests.browser.digits import until
from tests.browser.server import Server

pytestmark = pytest.mark.browser


class Points:
    """A page of points with a run of its own."""

    def __init__(self, page: Page, api: httpx.Client, run: str) -> None:
        self.page, self.api, self.run = page, api, run

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def plot(self) -> FloatRect:
        canvas = self.page.locator("curve-plot canvas[tabindex]")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box
        return box

    def points(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/runs/{self.run}/points").json()
        return found

    def until_points(self, count: int) -> dict[str, Any]:
        until(self.page, lambda: len(self.points()["labels"]) == count, f"{count} points")
        return self.points()

    def step(self) -> int:
        return int(self.api.get(f"/runs/{self.run}").json()["step"])


@pytest.fixture
def visit(page: Page, api: httpx.Client, server: Server) -> Iterator[Callable[[str], Points]]:
    opened: list[Points] = []

    def make(address: str) -> Points:
        page.goto(server.url + address)
        run = until(page, lambda: page.locator("#experiment").get_attribute("data-run") or "", "a run")
        opened.append(Points(page, api, run))
        return opened[-1]

    yield make
    page.goto("about:blank")  # a page left open would, rightly, complain that its run is gone
    for made in opened:
        api.delete(f"/runs/{made.run}")


def test_a_point_that_is_clicked_onto_the_curve_is_learned_from_where_the_network_stands(
    visit: Callable[[str], Points],
) -> None:
    curve = visit("/curve?play=0&data=line&points=12")
    expect(curve.button("Update")).to_be_enabled()
    curve.button("Update").click()
    until(curve.page, lambda: curve.step() == 1, "an update")
    before, box = curve.points(), curve.plot
    curve.page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.2 * box["height"])
    after = curve.until_points(13)
    assert after["values"][:12] == before["values"], "the others are as they were"
    ((x,), y), ((low, high), (bottom, top)) = (after["values"][12], after["labels"][12]), before["domain"]
    left, right, above, below = 44, box["width"] - 14, 14, box["height"] - 28
    assert x == pytest.approx(low + (0.6 * box["width"] - left) / (right - left) * (high - low), abs=0.05)
    assert y == pytest.approx(top - (0.2 * box["height"] - above) / (below - above) * (top - bottom), abs=0.05)
    assert curve.step() == 1, "the training goes on, it does not begin again"
    expect(curve.page).to_have_url(re.compile("data=own"))

    curve.page.keyboard.press("Control+z")
    curve.until_points(12)


def test_what_the_network_misses_is_measured_on_the_training_points_when_none_test(
    visit: Callable[[str], Points],
) -> None:
    curve = visit("/curve?play=0")
    panel = curve.page.locator("confusion-matrix")
    panel.scroll_into_view_if_needed()
    expect(panel).to_contain_text("20 training points at update 0.")
    found = curve.api.get(f"/runs/{curve.run}/evaluation?split=train").json()
    shown = panel.get_by_role("definition").all_inner_texts()
    assert float(shown[0].replace("−", "-")) == pytest.approx(found["r_squared"], abs=6e-4)
    assert float(shown[1]) == pytest.approx(found["mean_absolute_error"], rel=0.01)
    assert float(shown[2]) == pytest.approx(found["root_mean_squared_error"], rel=0.01)


def test_units_of_a_layer_are_drawn_as_curves_of_their_own(visit: Callable[[str], Points]) -> None:
    curve = visit("/curve?play=0")
    key = curve.page.locator("curve-plot .key")
    expect(key).to_contain_text("the network")
    expect(key.get_by_text("units", exact=True)).to_be_hidden()
    curve.page.get_by_label("Neurons drawn as curves").select_option("layer 2")
    expect(key.get_by_text("units", exact=True)).to_be_visible()


def test_a_line_has_the_best_line_beside_it(visit: Callable[[str], Points]) -> None:
    curve = visit("/curve?play=0&network=")
    expect(curve.page.locator("curve-plot .key").get_by_text(re.compile("^least squares, loss "))).to_be_visible()


def test_a_cell_of_the_matrix_lights_its_points_up(visit: Callable[[str], Points]) -> None:
    plane = visit("/plane?play=0")
    matrix = plane.page.locator("confusion-matrix")
    matrix.scroll_into_view_if_needed()
    expect(matrix).to_contain_text("250 test points at update 0.")
    found = plane.api.get(f"/runs/{plane.run}/evaluation?split=test").json()["confusion"]
    cells = matrix.get_by_role("button")
    expect(cells).to_have_count(4)
    names = cells.evaluate_all("cells => cells.map(cell => cell.ariaLabel)")
    assert [int(name.rpartition(" ")[2]) for name in names] == [count for row in found for count in row]
    picture = "document.querySelectorAll('plane-plot canvas')[1].toDataURL()"
    plane.page.locator("plane-plot").scroll_into_view_if_needed()
    until(plane.page, lambda: len(plane.page.evaluate(picture)) > 5000, "the points are drawn")
    all_alike = plane.page.evaluate(picture)
    matrix.get_by_role("button", pressed=False).first.click()
    plane.page.locator("plane-plot").scroll_into_view_if_needed()
    until(plane.page, lambda: plane.page.evaluate(picture) != all_alike, "some points stand out")
    matrix.get_by_role("button", pressed=True).click()
    plane.page.locator("plane-plot").scroll_into_view_if_needed()
    until(plane.page, lambda: plane.page.evaluate(picture) == all_alike, "all are alike again")
