"""Chromium and a real server for the journeys; a page that is at fault fails its test.

pytest-playwright's `playwright` and `browser` live here for a package, not for the session: while they live, an event loop
runs in this thread, and tests elsewhere could start none of their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, ViewportSize, expect, sync_playwright

from tests.browser.digits import Digits
from tests.browser.server import CHROMIUM, CHROMIUM_FLAGS, Server, running_server

DESK = ViewportSize(width=1280, height=900)
TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", event =>
  console.error(`CSP: ${event.violatedDirective} refused ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`));
"""


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
        yield started


@pytest.fixture(scope="package")
def browser(playwright: Playwright, browser_type_launch_args: dict[str, Any]) -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        reason = f"there is no Chromium at {CHROMIUM} (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    launched = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS, **browser_type_launch_args)
    yield launched
    launched.close()


@pytest.fixture(scope="package")
def browser_context_args() -> dict[str, Any]:
    return {"locale": "en-GB"}


class Faults:
    """What went wrong on any page of a test: errors on the console, exceptions, requests that leave this machine."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._expected: list[re.Pattern[str]] = []

    def expect(self, pattern: str) -> None:
        """A console error that belongs to the journey, as Chromium writes one for every refused request."""
        self._expected.append(re.compile(pattern))

    def observe(self, context: BrowserContext) -> None:
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", lambda message: self._tell(message.text) if message.type == "error" else None)
        context.on("weberror", lambda error: self._tell(f"exception: {error.error}"))
        context.on("request", lambda request: self._check(request.url))

    def _tell(self, text: str) -> None:
        self.found.append(text)

    def _check(self, url: str) -> None:
        address = urlsplit(url)
        if address.scheme not in ("data", "blob", "about") and address.hostname != "127.0.0.1":
            self._tell(f"request to {url}")

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.found if not any(pattern.search(text) for pattern in self._expected)]


@pytest.fixture
def faults() -> Iterator[Faults]:
    made = Faults()
    yield made
    assert made.unexpected == [], "pages show no error, break no policy and stay on this machine"


@pytest.fixture
def new_context(new_context: Callable[..., BrowserContext], faults: Faults) -> Callable[..., BrowserContext]:
    """pytest-playwright's, watched for faults."""

    def make(*, viewport: ViewportSize = DESK, **options: Any) -> BrowserContext:
        context = new_context(viewport=viewport, **options)
        faults.observe(context)
        return context

    return make


# ---- Server and runs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Server]:
    """One for a module, with a data folder of its own; one worker, as two modules may run at a time."""
    with running_server(tmp_path_factory.mktemp("data"), "--workers", "1") as started:
        yield started
        assert started.process.poll() is None, f"the server of {request.node.name} has died"
    assert not [line for line in started.lines if "Traceback" in line], "\n".join(started.lines)


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[httpx.Client]:
    """The same server without a browser, to hold the page's claims against."""
    with httpx.Client(base_url=f"{server.url}/api", timeout=60) as client:
        yield client


@pytest.fixture
def visit(api: httpx.Client, server: Server, request: pytest.FixtureRequest) -> Iterator[Callable[..., Digits]]:
    """`visit()` opens a training run of one's own; other arguments than `page` describe the run. It is deleted at the end."""
    opened: list[Digits] = []

    def make(page: Page | None = None, **run: Any) -> Digits:
        document = {"preset": "digits", "state": "running"} | run
        answer = api.post("/runs", json=document)
        assert answer.status_code == 201, answer.text
        digits = Digits(page or request.getfixturevalue("page"), api, answer.json()["id"])
        opened.append(digits)
        digits.open(server.url)
        return digits

    yield make
    for digits in opened:
        for page in digits.page.context.pages:
            page.goto("about:blank")  # a page left open would, rightly, complain that its run is gone
        api.delete(f"/runs/{digits.run}")
