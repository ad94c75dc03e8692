"""One run and several pages: two tabs, a reload, and a server that is killed and started again under an open page."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Faults
from tests.browser.digits import ONE, Digits, until
from tests.browser.server import Server, running_server, start_server

pytestmark = pytest.mark.browser


def steps(page: Page) -> list[int]:
    """The updates that the page's curve has points for."""
    found: list[int] = page.evaluate("[...document.querySelector('loss-chart').points.columns.step]")
    return found


def test_two_tabs_show_the_same_run(visit: Callable[..., Digits], server: Server) -> None:
    one = visit()
    two = Digits(one.page.context.new_page(), one.api, one.run)
    two.open(server.url)
    first, second = one.update, two.update
    one.until_update(first + 20)
    two.until_update(second + 20)
    two.draw(ONE)
    expect(two.answer()).to_have_text(re.compile(r"^Its answer: \d$"))
    expect(one.page.get_by_role("radio", name="Test image")).to_be_checked()  # each tab looks at its own example
    one.pause()
    expect(two.state).to_have_text("Paused")
    expect(two.button("Train")).to_be_visible()
    expect(two.button("1 update")).to_be_enabled()
    step = one.document()["step"]
    expect(one.figure("Update", section="Run")).to_have_text(f"{step:,}")
    expect(two.figure("Update", section="Run")).to_have_text(f"{step:,}")
    two.button("10 updates").click()
    expect(one.figure("Update", section="Run")).to_have_text(f"{step + 10:,}")
    two.button("Reset").click()
    expect(one.figure("Update", section="Run")).to_have_text("0")
    assert until(one.page, lambda: not steps(one.page), "the curve is new in the other tab, too")


def test_a_reload_finds_the_run_and_its_curve(visit: Callable[..., Digits], server: Server) -> None:
    digits = visit()
    digits.until_update(150)
    before = until(digits.page, lambda: steps(digits.page), "points")
    digits.page.reload()
    digits.connected()
    after = until(digits.page, lambda: steps(digits.page), "points after the reload")
    assert after[: len(before)] == before
    assert after == sorted(set(after)), "nothing twice"
    digits.until_update(before[-1] + 20)
    digits.page.goto(server.url)
    digits.connected()
    assert steps(digits.page)[: len(before)] == before, "the bare address finds it, too"


def test_a_run_deleted_elsewhere_says_so(visit: Callable[..., Digits], faults: Faults) -> None:
    faults.expect("status of 404")
    digits = visit(state="paused")
    digits.api.delete(f"/runs/{digits.run}").raise_for_status()
    expect(digits.page.get_by_text("This run is gone.")).to_be_visible(timeout=15_000)


@pytest.mark.parametrize("how", [pytest.param(signal.SIGKILL, marks=pytest.mark.faults), pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_the_page_survives_a_restart_of_its_server(page: Page, faults: Faults, tmp_path: Path, how: signal.Signals) -> None:
    faults.expect("ERR_CONNECTION_(REFUSED|RESET)|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE|ERR_SOCKET_NOT_CONNECTED")
    faults.expect("Failed to fetch|network error")
    faults.expect("status of 503")  # whoever waits for a worker while the server stops
    server = start_server(tmp_path, "--workers", "1")
    port = server.port
    try:
        with httpx.Client(base_url=f"{server.url}/api", timeout=60) as api:
            run = api.post("/runs", json={"preset": "digits"}).json()["id"]
            digits = Digits(page, api, run)
            digits.open(server.url)
            digits.until_update(120)
            digits.draw(ONE)
            page.evaluate("window.same = true")
            until(page, lambda: len(steps(page)) > 3, "points")
            if how == signal.SIGKILL:  # what was trained since the last checkpoint is trained again
                digits.until_update(digits.update + 20)
            before, seen = steps(page), digits.update
    finally:
        server.stop(how)
    notice = page.get_by_role("status").filter(has_text="No connection.")
    expect(notice).to_be_visible()
    with running_server(tmp_path, "--workers", "1", port=port) as server, httpx.Client(base_url=f"{server.url}/api") as api:
        expect(notice).to_be_hidden(timeout=20_000)
        digits = Digits(page, api, run)
        expect(digits.state).to_have_text("Training", timeout=20_000)
        digits.until_update(seen + 20, seconds=40)
        after = until(page, lambda: found if (found := steps(page))[-1:] > before[-1:] else [], "the curve grows on")
        assert page.evaluate("window.same") is True, "without a reload"
        assert after == sorted(set(after)), "no point twice"
        kept = [step for step in before if step in set(after)]
        print(f"{how.name}: {len(kept)} of {len(before)} points kept, curve from {after[0]} to {after[-1]}")
        assert kept[:3] == before[:3]
        if how == signal.SIGTERM:
            assert kept == before
        assert after == api.get(f"/runs/{run}/metrics").json()["step"][: len(after)]
        expect(page.get_by_role("radio", name="My drawing")).to_be_checked()
        expect(digits.answer()).to_have_text(re.compile(r"^Its answer: \d$"))
        page.goto("about:blank")
