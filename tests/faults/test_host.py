"""Another name for this server is refused before anything is looked at: for pages, the API, streams, static files, health."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.security import Guard
from app.settings import Settings
from tests.app.double import RunsDouble, app_with
from tests.faults.asgi import ask
from tests.faults.routes import every_request

FOREIGN_HOSTS = (
    "evil.com",
    "evil.com:8000",
    "10.evil.com",
    "192.168.evil.com",
    "127.0.0.1.evil.com",
    "localhost.evil.com",
    "evil.localhost",
    "notlocalhost",
    "localhost:evil.com",
    "localhost:8000:8000",
    "localhost:",
    "localhost:999999",
    "localhost.",
    "localhost@evil.com",
    "user:pass@localhost",
    "localhost/evil.com",
    "localhost#evil.com",
    "localhost?evil.com",
    "localhost\\evil.com",
    "localhost evil.com",
    "localhost,evil.com",
    "localhost\tevil.com",
    "127.1",
    "127.0.0.1.",
    "0.0.0.0:8000",
    "192.168.1.5:8000",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "[::1].evil.com",
    "[::1",
    "::1",
    "[::]",
    "[::ffff:10.0.0.1]",
    "ⓛocalhost",
    "",
    " ",
    "*",
)
OWN_HOSTS = (
    "localhost",
    "LOCALHOST",
    "LOCALHOST:8000",
    "127.0.0.1",
    "127.0.0.1:8000",
    "127.8.8.8:1",
    "[::1]:8000",
    "[::1]",
)
FOREIGN_HEADS: tuple[tuple[bytes, ...], ...] = (
    (),
    (b"localhost", b"localhost"),
    (b"localhost", b"evil.com"),
    (b"evil.com", b"localhost"),
    *((host.encode(),) for host in FOREIGN_HOSTS),
)
"""A host may be missing and may be there twice."""

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_no_route_answers_to_another_name() -> None:
    runs = RunsDouble()
    app = app_with(runs)
    for asked in every_request(app):
        for hosts in (
            FOREIGN_HEADS if asked.path in ("/", "/api/health", "/api/events?run={run}") else FOREIGN_HEADS[:8]
        ):
            answered = await ask(app, asked.method, asked.path, [(b"host", host) for host in hosts], asked.body)
            assert answered.status == 403, (asked, hosts)
            assert asked.method == "HEAD" or answered.problem["code"] == "host_not_allowed"
    assert runs.commands == []


async def test_own_names_are_answered_whatever_the_port() -> None:
    app = app_with()
    for host in OWN_HOSTS:
        assert (await ask(app, "GET", "/api/health", [(b"host", host.encode())])).status == 200, host


async def test_a_name_that_another_header_gives_changes_nothing() -> None:
    app = app_with()
    for name in (b"x-forwarded-host", b"forwarded", b"x-host", b"x-original-host"):
        head = [(b"host", b"evil.com"), (name, b"host=localhost" if name == b"forwarded" else b"localhost")]
        assert (await ask(app, "GET", "/api/health", head)).status == 403
        head = [(b"host", b"localhost"), (name, b"evil.com")]
        answered = await ask(app, "GET", "/docs", head)
        assert answered.status == 200
        assert b"evil.com" not in answered.body


def test_a_server_for_everybody_answers_to_addresses_and_configured_names_only() -> None:
    async def nothing(*_: Any) -> None: ...

    guard = Guard(nothing, Settings(host="0.0.0.0", allowed_hosts=frozenset({"nabla.school.example"})))
    assert guard.is_allowed("192.168.1.5:8000")
    assert guard.is_allowed("nabla.school.example")
    for host in ("evil.com", "192.168.1.5.evil.com", "10.evil.com", "nabla.school.example.evil.com", "school.example"):
        assert not guard.is_allowed(host)
    here = Guard(nothing, Settings(host="192.168.1.5"))
    assert here.is_allowed("192.168.1.5")
    assert not here.is_allowed("192.168.1.6")


async def test_a_websocket_from_elsewhere_is_closed() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    for headers in ([(b"host", b"evil.com")], [(b"host", b"localhost"), (b"origin", b"https://evil.com")]):
        scope = {"type": "websocket", "path": "/api/runs", "headers": headers}
        await app_with()(scope, asyncio.Queue().get, send)
        assert sent.pop()["type"] == "websocket.close"
