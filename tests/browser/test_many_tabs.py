"""Ten tabs of one browser, which has six connections for all of them (D9), and a finished run that is left alone (D10)."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.digits import Digits, until
from tests.browser.server import Server

pytestmark = pytest.mark.browser

# Playwright keeps every page in view; this is what a page is told when another tab is chosen.
HIDE = """
let hidden = false;
Object.defineProperty(document, "hidden", { get: () => hidden });
Object.defineProperty(document, "visibilityState", { get: () => hidden ? "hidden" : "visible" });
window.hide = yes => { hidden = yes; document.dispatchEvent(new Event("visibilitychange")); };
"""
TABS = 10


@pytest.mark.faults
def test_the_tenth_tab_loads_at_once_and_is_live_and_so_is_the_first_again(
    context: BrowserContext, server: Server, api: httpx.Client
) -> None:
    context.add_init_script(HIDE)
    run = api.post("/runs", json={"preset": "digits", "state": "running"}).json()["id"]
    tabs: list[Digits] = []
    took: list[float] = []
    for _ in range(TABS):
        for tab in tabs[-1:]:
            tab.page.evaluate("hide(true)")
        tabs.append(Digits(context.new_page(), api, run))
        began = time.monotonic()
        tabs[-1].open(server.url)
        took.append(time.monotonic() - began)
    print(f"the first tab was live after {took[0]:.2f} s, tab {TABS} after {took[-1]:.2f} s")
    assert took[-1] < max(10, 5 * took[0])  # both about 1 s on a quiet machine
    before = tabs[-1].update
    tabs[-1].until_update(before + 20)
    tabs[-1].page.evaluate("hide(true)")
    first = tabs[0]
    before = first.update
    first.page.evaluate("hide(false)")
    first.until_update(before + 20)
    close(context)
    api.delete(f"/runs/{run}")


def test_a_tab_that_is_opened_out_of_sight_takes_no_connection_until_it_is_looked_at(
    context: BrowserContext, server: Server, api: httpx.Client
) -> None:
    run = api.post("/runs", json={"preset": "digits", "state": "running"}).json()["id"]
    page = context.new_page()
    page.add_init_script(HIDE + "hidden = true;")
    streams = asked(page)
    page.goto(f"{server.url}/?run={run}")
    ready = "document.getElementById('stream').hasAttribute('hx-sse:close')"
    until(page, lambda: page.evaluate(ready), "the page's scripts")
    page.wait_for_timeout(300)
    assert streams == []
    page.evaluate("hide(false)")
    until(page, lambda: len(streams) == 1, "the stream")
    Digits(page, api, run).connected()
    close(context)
    api.delete(f"/runs/{run}")


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.faults)])
def test_a_finished_run_is_not_asked_for_again_and_again(visit: Callable[..., Digits], seconds: int) -> None:
    digits = visit(stop={"steps": 30})
    expect(digits.state).to_have_text("Finished")
    streams = asked(digits.page)
    digits.page.wait_for_timeout(1000 * seconds)
    assert [url for url in streams if "/events" in url] == [], "the stream that stands is enough"
    digits.button("Train").click()  # and it is there still
    expect(digits.state).to_have_text("Training")


def asked(page: Page) -> list[str]:
    """Addresses of streams that the page asks for from now on."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url) if "/events" in request.url else None)
    return found


def close(context: BrowserContext) -> None:
    for page in context.pages:
        page.goto("about:blank")
