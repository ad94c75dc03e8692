"""The pages of points, /plane and /curve, as a person meets them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import FloatRect, Locator, Page, expect

from tests.browser.digits import number, until

SETTLED = """() => document.getElementById("experiment")?.dataset.run && !document.querySelector(".htmx-request")"""


class Bench:
    """An experiment on the page, on its own run."""

    def __init__(self, page: Page, url: str, api: httpx.Client) -> None:
        self.page, self.url, self.api = page, url, api

    def open(self, path: str = "/plane") -> Bench:
        self.page.goto(self.url + path)
        return self.settled()

    def settled(self) -> Bench:
        """There is a run, and nothing is on its way."""

        def is_settled() -> bool:
            try:
                return bool(self.page.evaluate(SETTLED))
            except PlaywrightError:  # the page is just going elsewhere
                return False

        until(self.page, is_settled, "a bench with a run")
        return self

    @property
    def form(self) -> Locator:
        return self.page.locator("#experiment")

    @property
    def run(self) -> str:
        return self.form.get_attribute("data-run") or ""

    @property
    def document(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.api.get(f"/runs/{self.run}").raise_for_status().json()
        return answer

    @property
    def spec(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.api.get(f"/runs/{self.run}/spec").raise_for_status().json()
        return answer

    @property
    def address(self) -> str:
        parts = urlsplit(self.page.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def state(self) -> Locator:
        return self.page.get_by_role("region", name="Run").get_by_role("status")

    @property
    def update(self) -> int:
        return int(self.readout("Update") or 0)

    def readout(self, term: str) -> float | None:
        named = self.page.get_by_role("term").filter(has_text=re.compile(f"^{re.escape(term)}$"))
        shown = self.page.locator("#readouts > div").filter(has=named).get_by_role("definition")
        return number(shown.inner_text())

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def choose(self, group: str, name: str) -> None:
        self.page.get_by_role("group", name=group).get_by_text(name, exact=True).click()
        self.settled()

    def until(self, measure: Callable[[], Any], what: str, *, seconds: float = 30.0) -> Any:
        return until(self.page, measure, what, seconds=seconds)

    def until_update(self, count: int) -> None:
        self.until(lambda: self.update >= count, f"update {count}")

    def pause(self) -> None:
        self.button("Pause").click()
        expect(self.state).to_have_text("Paused")

    # ---- The plot ------------------------------------------------------------------------------------------------------

    @property
    def plot(self) -> Locator:
        return self.page.locator("plane-plot, curve-plot")

    def square(self) -> FloatRect:
        self.plot.scroll_into_view_if_needed()
        box = self.plot.locator("canvas").first.bounding_box()
        assert box
        return box

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where on the screen a place of the plane, −6 to 6 each way, is."""
        box = self.square()
        return box["x"] + (x + 6) / 12 * box["width"], box["y"] + (6 - y) / 12 * box["height"]

    def click(self, x: float, y: float, **options: Any) -> None:
        self.page.mouse.click(*self.at(x, y), **options)

    def points(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.api.get(f"/runs/{self.run}/points").raise_for_status().json()
        return answer
