"""The watchdog sees when the event loop stands still, says where, and blames nobody while it waits for work."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from typing import Any

import pytest

from app import security
from app.watchdog import ROOT, place, watching


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def stalls(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "nabla.watchdog"]


async def until_told(caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(10):
        while not stalls(caplog):
            await asyncio.sleep(0.01)


@pytest.mark.anyio
async def test_a_function_that_holds_the_loop_up_is_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "secrets", Slow())
    async with watching():
        await asyncio.sleep(0.05)
        await security.Guard(nothing, security.Settings())(
            {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}, nothing, nothing
        )
        await until_told(caplog)
    (told,) = stalls(caplog)
    assert "in app/security.py:" in told
    assert told.endswith(" __call__")
    assert int(told.split(" stood still for ")[1].split(" ms")[0]) >= 300


class Slow:
    """Keeps whoever asks for a token waiting."""

    def token_hex(self, length: int) -> str:
        time.sleep(0.4)
        return "0" * 2 * length


async def nothing(*_: object) -> None: ...


@pytest.mark.anyio
async def test_a_loop_that_only_waits_is_not_told_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with watching():
        await asyncio.sleep(0.3)
    assert [told for told in stalls(caplog) if " in app" in told] == []


def test_an_idle_loop_is_nowhere_whoever_started_it() -> None:
    started: dict[str, Any] = {}
    exec(compile("import asyncio\nstart = asyncio.run", ROOT / "app/starter.py", "exec"), started)
    thread = threading.get_ident()

    def look() -> str:
        return place(sys._current_frames()[thread])

    async def wait() -> str:
        return await asyncio.to_thread(look)

    exec(compile("told = start(wait())", ROOT / "app/starter.py", "exec"), started | {"wait": wait}, started)
    assert started["told"] == ""
    assert place(None) == ""
