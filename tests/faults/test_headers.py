"""Headers of every answer: what they say is held to tests/faults/headers.py by every client of these tests; here, that it bites."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from app.security import CONTENT_SECURITY_POLICY
from tests.app.double import RunsDouble, app_with, client_of
from tests.faults.asgi import ask, head_of
from tests.faults.headers import ADDRESS
from tests.faults.routes import every_request

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_no_answer_lets_another_origin_read_it() -> None:
    """Asked for as a page elsewhere would: a preflight, and a read with an Origin. (What may not be asked at all is refused.)"""
    app = app_with(RunsDouble())
    async with client_of(app) as client:
        for asked in every_request(app):
            if asked.streams:
                continue
            preflight = {"origin": "https://evil.com", "access-control-request-method": asked.method}
            for method, headers in (("OPTIONS", preflight), (asked.method, {"origin": "https://evil.com"})):
                answer = await client.request(method, asked.filled(run="0" * 16).path, headers=headers)
                assert not [name for name in answer.headers if name.startswith("access-control")]
                assert "vary" not in answer.headers or "origin" not in answer.headers["vary"].lower()


async def test_refusals_before_any_route_carry_the_headers_too() -> None:
    async with client_of(app_with()) as client:
        for headers, status in (
            ({"host": "evil.com"}, 403),
            ({"origin": "https://evil.com"}, 403),
            ({"content-encoding": "gzip"}, 415),
            ({"content-length": "9999999999"}, 413),
        ):
            assert (await client.post("/api/runs", headers=headers)).status_code == status


def test_the_policy_allows_no_inline_script_no_eval_and_no_frames() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
    assert "*" not in CONTENT_SECURITY_POLICY
    for directive in (
        "default-src 'none'",
        "script-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ):
        assert directive in CONTENT_SECURITY_POLICY.split("; ")


WRONG: dict[str, Any] = {
    "lets another site in": Response("{}", media_type="application/json", headers={"access-control-allow-origin": "*"}),
    "is not marked as a file": Response(b"PK", media_type="application/zip"),
    "content-disposition": Response("{}", media_type="application/json", headers={"content-disposition": 'attachment; filename="../x"'}),
    "sends the browser to": RedirectResponse("//evil.com", 303),
    "the cookie": PlainTextResponse("", headers={"set-cookie": "visitor=1; SameSite=Lax"}),
    "does not say what it is": Response("text"),
    "when to try again": PlainTextResponse("", 503),
    "cache-control": PlainTextResponse("", headers={"cache-control": "public"}),
    "tells what this server is": PlainTextResponse("", headers={"server": "nabla"}),
}  # fmt: skip


@pytest.mark.parametrize("objection", WRONG)
async def test_a_route_that_forgets_is_found(objection: str) -> None:
    app = app_with()
    app.add_api_route("/forgetful", lambda: WRONG[objection])
    with pytest.raises(AssertionError, match="forgetful") as told:
        async with client_of(app) as client:
            await client.get("/forgetful")
    assert objection in str(told.value)


async def test_an_address_that_wants_to_lead_elsewhere_leads_nowhere() -> None:
    """No route takes a place to go to from the request (Datasette's and Jupyter's lists of those that were missed)."""
    app = app_with()
    for start in ("/", "/runs", "/plane", "/curve", "/labs", "/static", "/static/", "/nowhere", "/api"):
        for elsewhere in ELSEWHERE:
            for name in ("next", "run"):
                answered = await ask(app, "GET", f"{start}?{name}={elsewhere}", head_of({}))
                place = answered.headers.get("location", "/").removeprefix("http://localhost:8000").partition("?")[0]
                assert answered.status < 500
                assert ADDRESS.fullmatch(place), place
                assert "evil" not in place


ELSEWHERE = (
    "//evil.com",
    "/%5Cevil.com",
    "%5C%5Cevil.com",
    "https://evil.com",
    "https:evil.com",
    "///evil.com",
    "%09//evil.com",
    "/%09/evil.com",
    "/%0d%0aLocation:%20https://evil.com",
    "javascript:alert(1)",
    "%2F%2Fevil.com",
    "@evil.com",
)


async def test_a_path_that_begins_with_two_slashes_is_no_way_out() -> None:
    app = app_with()
    for path in (
        "//evil.com",
        "//evil.com/",
        "//evil.com/%2e%2e",
        "/%5Cevil.com/",
        "//localhost/runs/",
        "/runs/",
        "/labs/",
    ):
        answered = await ask(app, "GET", path, head_of({}))
        place = answered.headers.get("location", "http://localhost:8000/")
        assert place.startswith("http://localhost:8000/"), path
