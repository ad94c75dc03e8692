"""Every route, asked as it means to be asked of the real services, does what it is there for and answers as all have to."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.doorman import is_under
from app.main import create_app
from app.settings import Settings
from engine.specs import RunSpec
from tests.app.double import RunsDouble, app_with, client_of
from tests.faults.routes import (
    BODIES,
    NOWHERE,
    OF_A_CLASS,
    OF_IMAGES,
    PARAMETERS,
    QUERIES,
    every_request,
    flat,
    methods_of,
)
from tests.faults.served import served

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_every_route_does_what_it_is_there_for(tmp_path: Path) -> None:
    """So that the other walks over all routes show more than refusals. The client looks at the headers of each answer."""
    async with served(tmp_path) as nabla:
        for asked in every_request(nabla.app):
            if asked.streams:
                continue
            run = await nabla.run(preset="digits-quick" if asked.route in OF_IMAGES else "circle")
            drawing = await nabla.drawing()
            question = asked.filled(run=run, drawing=drawing)
            for accept in ("text/html", "application/json"):
                if accept == "text/html" and asked.changes:
                    continue
                answer = await nabla.client.request(question.method, question.path, **question.options(accept=accept))
                there = asked.path not in NOWHERE and not is_under(asked.path, OF_A_CLASS)
                wanted = (200, 201, 204, 303) if there else (404,)
                assert answer.status_code in wanted, (question, answer.text[:300])


async def test_every_stream_answers_with_the_headers() -> None:
    """Of the stand-in, whose streams have an end."""
    runs = RunsDouble()
    runs.ended.set()
    async with client_of(app_with(runs)) as client:
        run = (await runs.create(RunSpec(), state="paused"))["id"]
        streams = [asked.filled(run=run) for asked in every_request(app_with()) if asked.streams]
        assert len(streams) == 2
        for asked in streams:
            answer = await client.get(asked.path)
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["x-accel-buffering"] == "no"


async def test_every_method_that_a_route_does_not_have_is_refused_with_those_that_it_has() -> None:
    app = app_with()
    routes = {asked.path for asked in every_request(app) if asked.path not in NOWHERE}
    async with client_of(app) as client:
        for path in sorted(routes):
            for method in ("OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY", "X" * 200):
                answer = await client.request(method, path.format(run="0" * 16, drawing="0" * 16))
                assert answer.status_code == 405, (method, path)
                assert set(answer.headers["allow"].split(", ")) <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}


def test_the_tables_name_no_route_that_is_gone() -> None:
    app = create_app(Settings(class_mode=True))
    known = {(method, getattr(route, "path", "")) for route in flat(app.routes) for method in methods_of(route)}
    assert set(BODIES) <= known
    assert {("GET", path) for path in QUERIES} <= known
    paths = " ".join(path for _, path in known)
    assert [parameter for parameter in PARAMETERS if parameter not in paths] == []
