"""The digits page as a person meets it: by headings, labels and figures."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import httpx
from playwright.sync_api import FloatRect, Locator, Page, ViewportSize, expect

T = TypeVar("T")

SEVEN = [[(0.28, 0.25), (0.72, 0.25), (0.45, 0.82)]]
ONE = [[(0.5, 0.18), (0.5, 0.82)]]
NOTHING = "–"
PHONE = ViewportSize(width=375, height=700)


def until(page: Page, measure: Callable[[], T], what: str, *, seconds: float = 20.0) -> T:
    """Waits for a truthy measurement and returns it; Playwright's own events run meanwhile."""
    end = time.monotonic() + seconds
    while True:
        found = measure()
        if found:
            return found
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        page.wait_for_timeout(40)


def number(text: str) -> float | None:
    """A figure as it is printed: thousands separators, a true minus, per cent, units after it."""
    if match := re.search(r"[-−]?\d[\d,]*(?:\.\d+)?(?:e[-−]?\d+)?", text.replace("\u2009", "").replace("\u202f", "")):
        return float(match.group().replace(",", "").replace("−", "-"))
    return None


class Digits:
    """One run's page."""

    def __init__(self, page: Page, api: httpx.Client, run: str) -> None:
        self.page, self.api, self.run = page, api, run

    def open(self, url: str) -> None:
        self.page.goto(f"{url}/?run={self.run}")
        self.connected()

    def connected(self) -> None:
        """The stream has brought a first frame: the page is alive."""
        expect(self.bar(0)).not_to_have_text(NOTHING)

    # ---- Parts ---------------------------------------------------------------------------------------------------------

    def section(self, name: str) -> Locator:
        return self.page.get_by_role("region", name=name, exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def figure(self, term: str, *, section: str = "Training") -> Locator:
        """What stands beside a term: `figure("Classification loss")`."""
        named = self.page.get_by_role("term").filter(has_text=re.compile(f"^{re.escape(term)}$"))
        return self.section(section).locator("dl > div").filter(has=named).get_by_role("definition")

    @property
    def update(self) -> int:
        return int(number(self.figure("Update", section="Run").inner_text()) or 0)

    @property
    def state(self) -> Locator:
        return self.section("Run").get_by_role("status")

    @property
    def pad(self) -> Locator:
        return self.page.get_by_role("img", name=re.compile("^Drawing pad"))

    def bar(self, digit: int) -> Locator:
        """The printed probability of a digit."""
        bars = self.page.get_by_role("list", name="Probability of each digit").get_by_role("listitem")
        return bars.nth(digit).locator("span").last

    @property
    def bars(self) -> list[str]:
        items = self.page.get_by_role("list", name="Probability of each digit").get_by_role("listitem")
        return [item.removeprefix(str(k)).strip() for k, item in enumerate(items.all_inner_texts())]

    # ---- Doing ----------------------------------------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.api.get(f"/runs/{self.run}").json()
        return answer

    def weights(self, layer: int = 0) -> Any:
        return self.api.get(f"/runs/{self.run}/layers/{layer}", params={"what": "weights"}).json()["weights"]

    def predict(self) -> dict[str, Any]:
        """What the API makes of the drawing on the pad."""
        ink = self.page.evaluate("document.querySelector('drawing-pad').ink.encode()")
        answer = self.api.post(f"/runs/{self.run}/predictions", json={key: ink[key] for key in ("ink_base64", "size")})
        assert answer.status_code == 200, answer.text
        prediction: dict[str, Any] = answer.json()["predictions"][0]
        return prediction

    def until_update(self, count: int, *, seconds: float = 30.0) -> int:
        return until(self.page, lambda: self.update if self.update >= count else 0, f"update {count}", seconds=seconds)

    def pause(self) -> None:
        self.button("Pause").click()
        expect(self.state).to_have_text("Paused")

    def square(self) -> FloatRect:
        self.pad.scroll_into_view_if_needed()
        box = self.pad.bounding_box()
        assert box
        return box

    def draw(self, strokes: Sequence[Sequence[tuple[float, float]]]) -> None:
        """With the mouse; points in shares of the pad."""
        box = self.square()
        for first, *rest in strokes:
            self.page.mouse.move(box["x"] + first[0] * box["width"], box["y"] + first[1] * box["height"])
            self.page.mouse.down()
            for x, y in rest:
                self.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
            self.page.mouse.up()

    def answer(self) -> Locator:
        return self.page.get_by_role("heading", name=re.compile("^Its answer"))
