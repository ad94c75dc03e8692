"""Host, Origin and headers, on every route there is: the table is made from the app's own routes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from app.security import CONTENT_SECURITY_POLICY, Guard
from app.settings import Settings
from tests.app.double import RunsDouble, app_with, client_of

FOREIGN_HOSTS = (
    "evil.com",
    "10.evil.com",
    "127.0.0.1.evil.com",
    "localhost.evil.com",
    "localhost:evil.com",
    "localhost.",
    "evil.com:8000",
    "127.1",
    "0.0.0.0:8000",
    "192.168.1.5:8000",
    "2130706433",
    "0x7f000001",
    "[::1].evil.com",
    "localhost@evil.com",
    "user:pass@localhost",
    "localhost/evil.com",
    "",
    " ",
    "[::1",
    "localhost:999999",
)
OWN_HOSTS = ("localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "127.8.8.8:1", "[::1]:8000", "[::1]")

FOREIGN_PAGES: tuple[dict[str, str], ...] = (
    {"sec-fetch-site": "cross-site", "origin": "https://evil.com"},
    {"sec-fetch-site": "same-site", "origin": "http://localhost:3000"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    {"sec-fetch-site": "same-site", "origin": "http://localhost:8000"},
    {"sec-fetch-site": "SAME-ORIGIN"},
    {"origin": "https://evil.com"},
    {"origin": "http://localhost:3000"},
    {"origin": "http://localhost:8000.evil.com"},
    {"origin": "http://localhost"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "file://"},
    {"origin": "localhost:8000"},
)
OWN_PAGES: tuple[dict[str, str], ...] = (
    {},
    {"sec-fetch-site": "same-origin", "origin": "http://localhost:8000"},
    {"sec-fetch-site": "none"},
    {"origin": "http://localhost:8000"},
    {"origin": "https://localhost:8000"},
)


def every_route(app: Any) -> Iterator[tuple[str, str]]:
    """Method and path of every route, with ids filled in; static files stand for the mount."""

    def walk(routes: Any) -> Iterator[tuple[str, str]]:
        for route in routes:
            if hasattr(route, "original_router"):
                yield from walk(route.original_router.routes)
            elif getattr(route, "methods", None):
                path = route.path
                for name, value in {
                    "id": "0" * 16,
                    "run_id": "0" * 16,
                    "index": "0",
                    "name": "mnist",
                    "watch": "w",
                }.items():
                    path = path.replace("{" + name + "}", value)
                yield from ((method, path) for method in sorted(route.methods))

    yield from walk(app.routes)
    yield "GET", "/static/css/base.css"
    yield "GET", "/nowhere"


def routes() -> list[tuple[str, str]]:
    found = sorted(set(every_route(app_with())))
    assert ("POST", "/api/runs") in found
    assert ("GET", "/") in found
    return found


@pytest.mark.anyio
async def test_every_route_refuses_a_foreign_host_before_it_runs() -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        for method, path in routes():
            for host in FOREIGN_HOSTS if path == "/api/health" else FOREIGN_HOSTS[:3]:
                response = await client.request(method, path, headers={"host": host})
                assert response.status_code == 403, (method, path, host)
                if method != "HEAD":
                    assert response.json()["code"] == "host_not_allowed"
    assert runs.commands == []


@pytest.mark.anyio
async def test_own_names_are_answered() -> None:
    async with client_of(app_with()) as client:
        for host in OWN_HOSTS:
            assert (await client.get("/api/health", headers={"host": host})).status_code == 200, host


@pytest.mark.anyio
async def test_a_missing_or_a_second_host_is_refused() -> None:
    app = app_with()
    for hosts in ([], [b"localhost", b"localhost"], [b"localhost", b"evil.com"]):
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/health",
            "raw_path": b"/api/health",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", host) for host in hosts],
        }
        sent: list[Any] = []

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        await app(scope, asyncio.Queue().get, send)
        assert sent[0]["status"] == 403


@pytest.mark.anyio
async def test_every_change_and_every_stream_refuses_a_page_of_another_site() -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        for method, path in routes():
            if method in ("GET", "HEAD") and not path.endswith("/events"):
                continue
            for headers in FOREIGN_PAGES:
                response = await client.request(method, path, headers=headers, json={})
                assert response.status_code == 403, (method, path, headers)
                assert response.json()["code"] == "cross_origin"
    assert runs.commands == []


@pytest.mark.anyio
async def test_own_pages_and_programs_may_change_things() -> None:
    async with client_of(app_with()) as client:
        for headers in OWN_PAGES:
            assert (await client.post("/api/runs", headers=headers, json={})).status_code == 201, headers


@pytest.mark.anyio
async def test_following_a_link_from_elsewhere_shows_the_page() -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    async with client_of(app_with()) as client:
        assert (await client.get("/docs", headers=headers)).status_code == 200


@pytest.mark.anyio
async def test_every_answer_carries_the_headers_and_none_allows_another_origin() -> None:
    async with client_of(app_with()) as client:
        for method, path in routes():
            if path.endswith("/events"):
                continue  # endless; see test_stream
            response = await client.request(method, path, headers={"origin": "http://localhost:8000"})
            headers = response.headers
            assert response.status_code < 500, (method, path)
            assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert len(headers["x-request-id"]) == 16
            assert headers["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store"), path
            assert not [name for name in headers if name.startswith("access-control")], (method, path)
            assert response.content == b"" or "content-type" in headers


def test_the_policy_allows_no_inline_script_no_eval_and_no_frames() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY


def test_a_server_for_everybody_answers_to_addresses_and_configured_names_only() -> None:
    async def nothing(*_: Any) -> None: ...

    guard = Guard(nothing, Settings(host="0.0.0.0", allowed_hosts=frozenset({"nabla.school.example"})))
    assert guard.is_allowed("192.168.1.5:8000")
    assert guard.is_allowed("nabla.school.example")
    assert not guard.is_allowed("evil.com")
    assert not guard.is_allowed("192.168.1.5.evil.com")
    here = Guard(nothing, Settings(host="192.168.1.5"))
    assert here.is_allowed("192.168.1.5")
    assert not here.is_allowed("192.168.1.6")


@pytest.mark.anyio
async def test_a_websocket_from_elsewhere_is_closed() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    for headers in ([(b"host", b"evil.com")], [(b"host", b"localhost"), (b"origin", b"https://evil.com")]):
        scope = {"type": "websocket", "path": "/api/runs", "headers": headers}
        await app_with()(scope, asyncio.Queue().get, send)
        assert sent.pop()["type"] == "websocket.close"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
