"""A lab as a person meets it: settings, run bar, tasks, pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.browser.digits import number, until
from tests.browser.test_accessible import CONTROLS, FOCUS, overflow, violations

WIDE = ViewportSize(width=1440, height=900)
NARROW = ViewportSize(width=375, height=812)
PROJECTOR = ViewportSize(width=1280, height=720)
IDLE = """() => document.getElementById("lab")?.dataset.figures && !document.querySelector(".htmx-request") && document.body.dataset.sending !== "1" """


class Lesson:
    """One lab's page."""

    def __init__(self, page: Page, url: str, shots: Path) -> None:
        self.page, self.url, self.shots = page, url, shots
        self.name = ""

    def open(self, name: str, query: str = "") -> Lesson:
        self.name = name
        self.page.set_viewport_size(WIDE)
        self.page.goto(f"{self.url}/labs/{name}{'?' if query else ''}{query}")
        return self.settled()

    def settled(self) -> Lesson:
        """What was changed has been answered."""
        until(self.page, lambda: self.page.evaluate(IDLE), "an answer")
        return self

    def leave(self) -> None:
        if self.page.url.startswith("http") and self.running:
            self.press("Pause")

    # ---- What it shows ---------------------------------------------------------------------------------------------------

    @property
    def form(self) -> Locator:
        return self.page.locator("#lab")

    @property
    def figures(self) -> Any:
        """What the server has worked out last."""
        return json.loads(self.form.get_attribute("data-figures") or "null")

    @property
    def address(self) -> str:
        parts = urlsplit(self.page.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def running(self) -> bool:
        return self.form.get_attribute("data-running") == "1"

    @property
    def runs(self) -> dict[str, str]:
        """Name and id of each run."""
        ids = self.form.get_attribute("data-runs") or ""
        return dict(pair.split(":") for pair in ids.split(",") if pair)

    def readout(self, term: str) -> float | None:
        row = self.page.locator("#readouts > div").filter(has=self.page.get_by_text(term, exact=True))
        return number(row.get_by_role("definition").inner_text())

    # ---- What one does ---------------------------------------------------------------------------------------------------

    def field(self, name: str) -> Locator:
        return self.form.locator(f'[name="{name}"]:not([data-kept])').last

    def slide(self, name: str, value: float) -> None:
        """A slider, or a field with a number in it."""
        field = self.field(name)
        if field.get_attribute("type") == "hidden":  # a slider on a log scale keeps its value in the field after it
            field = self.form.locator(f'[data-log="{name}"]')
        field.fill(f"{value:g}")
        field.dispatch_event("change")
        self.settled()

    def choose(self, name: str, value: str) -> None:
        self.form.locator(f'label:has(input[name="{name}"][value="{value}"])').click()
        self.settled()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).first.click()
        self.settled()

    def ends(self, *, seconds: float = 60) -> None:
        """Until none of its runs trains any more."""
        until(self.page, lambda: not self.running, "an end of the training", seconds=seconds)
        self.settled()

    def is_solved(self, task: str) -> bool:
        return self.form.locator(f'[data-task="{task}"]').get_attribute("data-solved") == "true"

    def solves(self, task: str, *, seconds: float = 20) -> None:
        until(self.page, lambda: self.is_solved(task), f"the task “{task}” to be solved", seconds=seconds)

    # ---- How it looks ----------------------------------------------------------------------------------------------------

    def look(self, state: str) -> None:
        """Two pictures, wide and narrow; nothing sticks out. When it opens, axe finds nothing and Tab reaches every control."""
        if state == "open":
            assert violations(self.page) == []
            self._walk()
        self._shoot(f"{self.name}-{state}-light", WIDE)
        self._shoot(f"{self.name}-{state}-narrow", NARROW)
        assert overflow(self.page) == []
        self.page.set_viewport_size(WIDE)

    def _walk(self) -> None:
        """From the first control of the form by Tab alone: each is reached, and where the focus is can be seen."""
        missed = self.page.evaluate(f"({CONTROLS})().filter(e => e.tabIndex < 0).map(e => e.outerHTML.slice(0, 120))")
        assert missed == [], "by Tab each can be reached"
        self.page.locator("#lab a, #lab button:not([tabindex='-1']), #lab input:not([type=hidden])").first.focus()
        for _ in range(40):
            self.page.keyboard.press("Tab")
            what, marked = self.page.evaluate(FOCUS)
            if what.startswith("<body"):
                break
            assert marked, f"one does not see that this has the focus: {what}"
        self.page.evaluate("document.activeElement.blur()")

    def present(self) -> None:
        """Nothing scrolls at the projector's size, whatever the part."""
        self.page.set_viewport_size(PROJECTOR)
        self.page.keyboard.press("p")
        parts = self.page.locator(".part").count()
        for part in range(1, parts + 1):
            expect(self.page.locator("#part-number")).to_have_text(f"part {part} of {parts}")
            height = self.page.evaluate("document.documentElement.scrollHeight")
            assert height <= PROJECTOR["height"], f"part {part} is {height} pixels high"
            self.page.keyboard.press("ArrowRight")
        self._shoot(f"{self.name}-present", PROJECTOR)
        self.page.keyboard.press("Escape")
        self.page.set_viewport_size(WIDE)

    def _shoot(self, name: str, size: ViewportSize) -> None:
        self.shots.mkdir(parents=True, exist_ok=True)
        self.page.set_viewport_size(size)
        self.page.mouse.move(2, 2)
        self.page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
        self.page.screenshot(path=self.shots / f"{name}.png", full_page=size == NARROW)
