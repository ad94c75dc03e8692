"""A page of another site, or of another program on this machine, changes nothing here and follows nothing.

`Sec-Fetch-Site` decides where a browser sends it. Over plain HTTP beyond this machine, as in a classroom, it does not, and
`Origin` decides. Whoever sends neither is no browser.
"""

from __future__ import annotations

import pytest

from engine.specs import RunSpec
from tests.app.double import RunsDouble, app_with, client_of
from tests.faults.asgi import ask, head_of
from tests.faults.routes import POINTS, every_request, in_json

FOREIGN_PAGES: tuple[dict[str, str], ...] = (
    {"sec-fetch-site": "cross-site", "origin": "https://evil.com"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "cross-site", "origin": "http://localhost:8000"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "origin": "null"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-user": "?1"},
    {"sec-fetch-site": "same-site", "origin": "http://localhost:3000"},
    {"sec-fetch-site": "same-site", "origin": "http://localhost:8000"},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    {"sec-fetch-site": "SAME-ORIGIN"},
    {"sec-fetch-site": "same-origin, cross-site"},
    {"sec-fetch-site": ""},
    {"origin": "https://evil.com"},
    {"origin": "http://localhost:3000"},
    {"origin": "http://localhost:8000.evil.com"},
    {"origin": "http://localhost:80000"},
    {"origin": "http://localhost"},
    {"origin": "http://127.0.0.1:8000"},
    {"origin": "http://user@localhost:8000"},
    {"origin": "http://localhost:8000/"},
    {"origin": "ftp://localhost:8000"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "file://"},
    {"origin": "localhost:8000"},
    {"origin": "https://evil.com", "sec-fetch-mode": "no-cors"},
    {"origin": "null", "referer": "http://localhost:8000/"},
    {"origin": "https://evil.com", "authorization": "Bearer 0"},
    {"sec-fetch-site": "cross-site", "x-requested-with": "XMLHttpRequest", "hx-request": "true"},
)
OWN_PAGES: tuple[dict[str, str], ...] = (
    {},
    {"sec-fetch-site": "same-origin", "origin": "http://localhost:8000"},
    {"sec-fetch-site": "none"},
    {"origin": "http://localhost:8000"},
    {"origin": "https://localhost:8000"},
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_every_change_and_every_stream_refuses_a_page_of_another_site() -> None:
    runs = RunsDouble()
    app = app_with(runs)
    tried = 0
    for asked in every_request(app):
        if not (asked.changes or asked.streams):
            continue
        tried += 1
        for page in FOREIGN_PAGES:
            head = head_of(page | {"content-type": asked.media_type})
            answered = await ask(app, asked.method, asked.path, head, asked.body)
            assert answered.status == 403, (asked, page)
            assert b"cross_origin" in answered.body or b"another site" in answered.body
        twice = head_of({}, (b"origin", b"http://localhost:8000"), (b"origin", b"https://evil.com"))
        assert (await ask(app, asked.method, asked.path, twice, asked.body)).status == 403, asked
    assert tried > 30
    assert runs.commands == []
    assert runs.subscribed == 0


async def test_own_pages_and_programs_may_change_things() -> None:
    app = app_with()
    kind, body = in_json(POINTS)
    for page in OWN_PAGES:
        head = head_of(page | {"content-type": kind})
        assert (await ask(app, "POST", "/api/runs", head, body)).status == 201, page


async def test_a_method_that_only_pretends_to_be_one_that_reads_changes_nothing() -> None:
    runs = RunsDouble()
    app = app_with(runs)
    run = (await runs.create(RunSpec(), state="paused"))["id"]
    runs.commands.clear()
    for asked in every_request(app):
        for method in ("GET", "HEAD", "OPTIONS", "TRACE"):
            if asked.changes:
                head = head_of(
                    {"content-type": asked.media_type, "x-http-method-override": asked.method, "x-method": asked.method}
                )
                question = asked.filled(run=run)
                answered = await ask(app, method, question.path + f"?_method={asked.method}", head, question.body)
                assert answered.status < 500, (method, asked)
    assert runs.commands == []


async def test_following_a_link_from_elsewhere_shows_the_page() -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    async with client_of(app_with()) as client:
        assert (await client.get("/docs", headers=headers)).status_code == 200
