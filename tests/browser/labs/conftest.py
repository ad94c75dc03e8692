"""One server for all labs that a test process visits: they share nothing but its workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser.labs.lesson import Lesson
from tests.browser.server import Server, running_server


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("data"), "--workers", "1") as started:
        yield started
        assert started.process.poll() is None, "the server has died"
    assert not [line for line in started.lines if "Traceback" in line], "\n".join(started.lines)


@pytest.fixture(scope="package")
def api(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}/api", timeout=60) as client:
        yield client


@pytest.fixture
def lesson(page: Page, server: Server, tmp_path: Path) -> Iterator[Lesson]:
    """A lab's page, not yet open; what it trained is paused in the end, so that the next lab has the cores."""
    kept = Path(__file__).parents[1] / "shots" / "labs"
    made = Lesson(page, server.url, kept if os.environ.get("NABLA_SHOTS") else tmp_path)
    yield made
    made.leave()
