"""For everybody: axe, keyboard, screen reader, small screens and fingers; and nothing leaves this machine (see `faults`)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from tests.browser.conftest import Faults
from tests.browser.digits import PHONE, Digits, until
from tests.browser.server import Server

pytestmark = pytest.mark.browser

WIDE = ViewportSize(width=1440, height=900)
LOOKS = pytest.mark.parametrize(("viewport", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide-light", "phone-dark"])

# Everything that can be pressed or typed into and is seen; what is hidden in closed menus and details is not.
CONTROLS = """
() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, drawing-pad canvas:first-child")]
  .filter(e => e.checkVisibility({ visibilityProperty: true }) && !e.closest("[aria-hidden=true]") && !e.disabled)
"""
FOCUS = """
() => {
  const focused = document.activeElement, around = [focused, focused.closest("label")].filter(Boolean).map(e => getComputedStyle(e));
  const marked = around.some(s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1 || s.boxShadow !== "none");
  return [focused.outerHTML.slice(0, 90), marked];
}
"""
FOCUS_IN_VIEW = """
() => {
  const { top, bottom, left, width } = document.activeElement.getBoundingClientRect();
  return bottom > 0 && top < innerHeight && left + width > 0 && left < innerWidth;
}
"""


def violations(page: Page) -> list[str]:
    """What axe finds, one line for each kind and place."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{rule['id']}: {node['html'][:160]} {node['target']}" for rule in found for node in rule["nodes"][:3]]


def overflow(page: Page) -> list[str]:
    """What sticks out of the page to the right, if it scrolls sideways at all."""
    found: list[str] = page.evaluate(
        """() => {
          const wide = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= wide) return [];
          return [...document.body.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > wide + 1)
            .map(e => e.outerHTML.slice(0, 120));
        }"""
    )
    return found


@LOOKS
def test_the_digits_page_is_clean(
    new_context: Callable[..., BrowserContext], visit: Callable[..., Digits], viewport: ViewportSize, scheme: str
) -> None:
    page = new_context(viewport=viewport, color_scheme=scheme).new_page()
    digits = visit(page, state="paused")
    for name in ("Network visualization", "Example predictions on the test set", "Save and load the network"):
        page.get_by_role("region", name=name).scroll_into_view_if_needed()
    expect(page.get_by_role("img", name=re.compile("^Test digit"))).to_have_count(18)
    digits.draw([[(0.3, 0.3), (0.6, 0.7)]])
    for summary in page.locator("details:not([open]) > summary").all():
        if summary.is_visible():
            summary.evaluate("summary => summary.click()")
    assert violations(page) == []
    assert overflow(page) == []
    page.get_by_role("region", name="Network visualization").get_by_role("button").nth(3).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []
    assert overflow(page) == []


@pytest.mark.parametrize(("viewport", "scheme"), [(PHONE, "dark"), pytest.param(WIDE, "light", marks=pytest.mark.long)], ids=["phone-dark", "wide-light"])
def test_the_other_pages_are_clean(
    new_context: Callable[..., BrowserContext],
    visit: Callable[..., Digits],
    server: Server,
    faults: Faults,
    viewport: ViewportSize,
    scheme: str,
) -> None:
    faults.expect("status of 404")  # of the page that is nowhere
    visit(state="paused")  # a row in the list of runs
    page = new_context(viewport=viewport, color_scheme=scheme).new_page()
    for path in ("/runs", "/docs", "/limits", "/nowhere"):
        page.goto(server.url + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert violations(page) == [], path
        assert overflow(page) == [], path


def test_every_picture_has_words(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    page = digits.page
    for name in ("Network visualization", "Example predictions on the test set"):
        page.get_by_role("region", name=name).scroll_into_view_if_needed()
    expect(page.get_by_role("img", name=re.compile("^Test digit"))).to_have_count(18)
    silent = page.evaluate(
        """() => [...document.querySelectorAll("canvas, svg, img")]
          .filter(e => e.checkVisibility() && !e.closest("[aria-hidden=true], [role=img][aria-label]") && !e.ariaLabel)
          .map(e => e.parentElement.outerHTML.slice(0, 160))"""
    )
    assert silent == []
    expect(digits.pad).to_have_accessible_name(re.compile("It is empty"))
    digits.draw([[(0.5, 0.2), (0.5, 0.8)]])
    expect(digits.pad).to_have_accessible_name(re.compile(r"It shows your drawing\. The network reads \d, with \d+.?%"))


def test_everything_is_reached_by_keyboard(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    page = digits.page
    assert page.evaluate(f"({CONTROLS})().filter(e => e.tabIndex < 0).map(e => e.outerHTML.slice(0, 120))") == []
    assert page.evaluate(f"({CONTROLS})().filter(e => e.tabIndex > 0).length") == 0, "the order is that of the page"
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    passed = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        what, marked = page.evaluate(FOCUS)
        assert marked, f"where the focus is can be seen: {what}"
        until(page, lambda: page.evaluate(FOCUS_IN_VIEW), f"in view: {what}", seconds=3)
        passed.add(what)
    assert len(passed) > 15


def test_fingers_have_room(new_context: Callable[..., BrowserContext], visit: Callable[..., Digits]) -> None:
    page = new_context(viewport=PHONE, has_touch=True, is_mobile=True).new_page()
    visit(page, state="paused")
    assert page.evaluate("matchMedia('(pointer: coarse)').matches")
    small = page.evaluate(
        # Not meant are links in sentences, and what is data: maps, digits and the cells of the matrix have the size of it.
        f"""() => ({CONTROLS})().filter(e => !e.matches(".skip, .tile, .digit, .matrix button, p a, dt a, li a")).map(e => {{
          const own = e.getBoundingClientRect(), label = e.closest("label")?.getBoundingClientRect() ?? own;
          return [e.outerHTML.slice(0, 110), Math.max(own.width, label.width), Math.max(own.height, label.height)];
        }}).filter(([_, width, height]) => width && (height < 43.5 || width < 43.5))"""
    )
    assert small == []
