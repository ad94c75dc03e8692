"""Open pages and a server that is killed, comes back, comes back newer, or cannot keep what it should (E3, E6, E7, E16)."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from tests.browser.conftest import Faults
from tests.browser.digits import PHONE, until
from tests.browser.points import Bench
from tests.browser.server import Server, running_server, start_server
from tests.browser.test_accessible import WIDE, overflow, violations
from tests.faults.test_disk import as_root, fill, mounted

pytestmark = pytest.mark.browser

GOES_AWAY = (
    "ERR_CONNECTION_(REFUSED|RESET)|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE|ERR_SOCKET_NOT_CONNECTED"
    "|Failed to fetch|network error|status of 503"
)
NEWER = ("tests.browser.other_build",)
SECONDS = 40.0  # for a page to come back; its attempts are never more than 12 s apart, and the machine is busy


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Server]:
    """A server to be killed; the test starts another in its place."""
    server = start_server(tmp_path / "data", "--workers", "1")
    yield server
    if server.process.poll() is None:
        server.stop()


def look_again(page: Page) -> None:
    """What a page does when it comes into view, so that the test need not wait for its next look at the server."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def lost(page: Page) -> None:
    expect(page.get_by_role("status").filter(has_text="No connection.")).to_be_visible()


def found(page: Page) -> None:
    expect(page.get_by_role("status").filter(has_text="No connection.")).to_be_hidden(timeout=1000 * SECONDS)
    assert page.evaluate("window.same") is True, "without a reload"


# ---- Killed, and newer ------------------------------------------------------------------------------------------------------


def test_an_open_plane_recovers_from_a_killed_server_and_a_newer_one_offers_a_reload(
    killed: Server, page: Page, faults: Faults, tmp_path: Path
) -> None:
    faults.expect(GOES_AWAY)
    with httpx.Client(base_url=f"{killed.url}/api", timeout=60) as api:
        bench = Bench(page, killed.url, api).open("/plane?data=xor")
        bench.until_update(50)
        page.evaluate("window.same = true")
        expect(page.locator("#older")).to_be_hidden()
        killed.stop(signal.SIGKILL)
        lost(page)
        page.get_by_label("Batch size", exact=True).fill("20")  # what is changed meanwhile is sent when it is back
        page.get_by_label("Batch size", exact=True).blur()
        with running_server(tmp_path / "data", "--workers", "1", port=killed.port, program=NEWER):
            found(page)
            seen = bench.update
            bench.until(lambda: bench.update > seen, "further updates", seconds=SECONDS)
            assert bench.until(lambda: bench.document["batch_size"] == 20, "the change", seconds=SECONDS)
            look_again(page)
            expect(page.locator("#older")).to_be_visible()
            page.get_by_role("button", name="Reload to update").click()
            expect(page.locator("meta[name=build]")).to_have_attribute("content", "0123456789ab")
            expect(page.locator("#older")).to_be_hidden()
            page.goto("about:blank")


@pytest.mark.faults
@pytest.mark.parametrize("path", ["/labs/activation-functions", "/curve", "/runs"])
def test_every_open_page_recovers_from_a_killed_server(
    killed: Server, page: Page, faults: Faults, tmp_path: Path, path: str
) -> None:
    faults.expect(GOES_AWAY)
    httpx.post(f"{killed.url}/api/runs", json={"preset": "digits"}, timeout=60).raise_for_status()
    page.goto(killed.url + path)
    moving = page.locator("#readouts dd, #runs-list td.number").first
    if path.startswith("/labs"):
        page.get_by_role("button", name="Train", exact=True).click()
    until(page, lambda: moving.inner_text() not in ("0", "–"), "updates", seconds=SECONDS)
    page.evaluate("window.same = true")
    killed.stop(signal.SIGKILL)
    lost(page)
    with running_server(tmp_path / "data", "--workers", "1", port=killed.port):
        found(page)
        before = moving.inner_text()
        until(page, lambda: moving.inner_text() != before, "further updates", seconds=SECONDS)
        page.goto("about:blank")


# ---- What is not kept -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("viewport", "scheme"),
    [(WIDE, "light"), pytest.param(PHONE, "dark", marks=pytest.mark.faults)],
    ids=["wide-light", "phone-dark"],
)
def test_a_damaged_history_is_told_on_every_page(
    new_context: Callable[..., BrowserContext], damaged: Server, viewport: ViewportSize, scheme: str
) -> None:
    page = new_context(viewport=viewport, color_scheme=scheme).new_page()
    for path in ("/runs", "/plane?play=0", "/docs", "/labs/gradient"):
        page.goto(damaged.url + path)
        told = page.locator("#notice")
        expect(told).to_be_visible()
        expect(told).to_have_text(
            re.compile("About your runs. The history of earlier runs could not be read.* is kept as nabla")
        )
        assert overflow(page) == []
    assert violations(page) == []


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that found nonsense in the place of its database."""
    data = tmp_path_factory.mktemp("damaged")
    (data / "nabla.sqlite3").write_bytes(b"SQLite format 3\0" + b"not at all" * 1000)
    with running_server(data, "--workers", "1") as server:
        yield server


@as_root
@pytest.mark.faults
def test_a_disk_that_fills_up_and_empties_again_is_told_while_the_page_is_open(page: Page, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 16) as folder, running_server(folder, "--workers", "1") as server:
        page.goto(f"{server.url}/plane")
        expect(page.locator("#notice")).to_be_hidden()
        ballast = fill(folder)

        def shown(yes: bool) -> bool:
            look_again(page)
            return page.locator("#notice").is_visible() is yes

        until(page, lambda: shown(True), "the notice", seconds=60)
        expect(page.locator("#notice")).to_contain_text("disk is full")
        ballast.unlink()
        until(page, lambda: shown(False), "the end of the notice", seconds=90)
        page.goto("about:blank")
