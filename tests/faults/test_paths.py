"""Strings that climb out of folders lead nowhere: the answer is the same as to an id that nothing has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute

from tests.faults.asgi import Answered, Header, ask, head_of
from tests.faults.figures import note
from tests.faults.payloads import TRAVERSALS
from tests.faults.routes import BODIES, CSV, NETWORK, asked, flat, form, in_json, methods_of, upload
from tests.faults.served import served

UNKNOWN = "0" * 16
SENTENCES = {
    "There is nothing at this address.",
    "There is no such run. It may have been deleted.",
    "There is no dataset of this name.",
    "There is no such lab.",
    "There is no such lab; /labs has all of them.",
    "There is no such stop; /labs has all of them.",
    "You keep no such drawing.",
}
"""All that is ever said of something that is not there."""

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def places(app: Any) -> Iterator[tuple[str, str, str]]:
    """Method, route and path with a `{here}`, for each parameter of each path."""
    for route in flat(app.routes):
        for parameter in re.findall(r"{(\w+)}", getattr(route, "path", "")):
            for method in sorted(methods_of(route)):
                full = asked(method, route).filled(run=UNKNOWN).path.partition("?")[0].split("/")
                parts = route.path.split("/")  # type: ignore[attr-defined]  # a Route has a path
                where = next(place for place, part in enumerate(parts) if "{" + parameter + "}" in part)
                full[where] = parts[where].replace("{" + parameter + "}", "{here}")
                yield method, route.path, "/".join(full)  # type: ignore[attr-defined]


some_and_all = pytest.mark.parametrize(
    "texts", [pytest.param(TRAVERSALS[::17], id="some"), pytest.param(TRAVERSALS, id="all", marks=pytest.mark.faults)]
)


@some_and_all
async def test_a_string_that_climbs_is_what_no_id_is(texts: Sequence[str], tmp_path: Path) -> None:
    async with served(tmp_path) as nabla:
        before = await nabla.rows()
        found = list(places(nabla.app))
        assert len(found) > 45
        for method, route, path in found:
            kind, body = BODIES.get((method, route), ("", b""))
            for text in texts:
                for target in {quote(text, safe="%/"), quote(text, safe="")}:
                    answered = await ask(nabla.app, method, path.replace("{here}", target), head_for(kind), body)
                    leads_nowhere(answered, method, path, text)
        assert await nabla.rows() == before
    note("Security", f"{len(texts)} traversal strings × {len(found)} path parameters: nothing found", met=True)


def head_for(kind: str) -> list[Header]:
    return head_of({"content-type": kind} if kind else {})


def leads_nowhere(answered: Answered, method: str, path: str, text: str) -> None:
    where = (method, path, text[:60])
    if any(sign in text for sign in "/%?#") or text == ".":
        # It makes another address of the path, where there may be a page, or none for this method.
        assert answered.status in (404, 405, 307, 422), where
    else:
        assert answered.status == 404, where
    if method != "HEAD" and answered.status >= 400:
        assert answered.status != 404 or answered.problem["detail"] in SENTENCES, (where, answered.body)
        assert len(text) < 3 or text not in answered.problem["detail"]
        assert b"root:" not in answered.body
        assert len(answered.body) < 1_000


def queries(app: Any) -> Iterator[tuple[str, str, str]]:
    """Method, route and address with a `{here}`, for each parameter of each route's query."""
    for route in flat(app.routes):
        if isinstance(route, APIRoute) and not route.path.endswith("/events"):
            for method in sorted(route.methods - {"HEAD"}):
                question = asked(method, route)
                for parameter in route.dependant.query_params:
                    before, _, query = question.path.partition("?")
                    kept = [pair for pair in query.split("&") if pair and not pair.startswith(f"{parameter.alias}=")]
                    yield method, route.path, before + "?" + "&".join([*kept, f"{parameter.alias}={{here}}"])


@some_and_all
async def test_a_string_that_climbs_is_no_word_of_a_query(texts: Sequence[str], tmp_path: Path) -> None:
    async with served(tmp_path) as nabla:
        run = await nabla.run()
        before = await nabla.rows()
        found = list(queries(nabla.app))
        assert len(found) > 20
        for method, route, path in found:
            kind, body = BODIES.get((method, route), ("", b""))
            for text in texts:
                target = path.replace("{run}", run).replace("{here}", quote(text, safe=""))
                answered = await ask(nabla.app, method, target, head_for(kind), body)
                assert answered.status < 500, target
                assert b"root:" not in answered.body
                assert answered.status < 400 or len(answered.body) < 1_000
        assert await nabla.rows() == before
    note("Security", f"{len(texts)} traversal strings × {len(found)} words of queries: nothing found", met=True)


@some_and_all
async def test_a_string_that_climbs_names_no_file_in_a_body(texts: Sequence[str], tmp_path: Path) -> None:
    """Neither a preset, nor a file that is sent, nor a run that a lab or a page brings along."""
    data = tmp_path / "data"
    async with served(data) as nabla:
        run = await nabla.run()
        for text in texts:
            before = await nabla.rows()
            for path, (kind, body), statuses in (
                ("/runs", form(preset=text), (422,)),
                ("/api/runs", in_json({"preset": text}), (422,)),
                ("/api/runs", in_json({"dataset": {"name": text}}), (422,)),
                ("/api/network", in_json({"network": [{"type": text}]}), (422,)),
                (f"/api/runs/{run}/watches/w", in_json({"example": {"source": text, "index": 0}}), (422, 405)),
                ("/plane/csv", upload("file", plain(text), CSV), (200, 400)),
                ("/labs/verify", upload("reports", plain(text), b"{}"), (200, 400, 422)),
                ("/labs/gradient/report", in_json({"runs": {"run": text}}), (404, 405)),
                ("/api/labs/gradient/report", in_json({"runs": {"path": text}}), (422,)),
                ("/labs/backpropagation/gradient-check", form(of=text), (200, 422)),
            ):
                answered = await ask(nabla.app, "POST", path, head_for(kind), body)
                assert answered.status in statuses, (path, text[:60], answered.body[:200])
                assert b"root:" not in answered.body
            assert await nabla.rows() == before, text
            kind, body = upload("file", plain(text), NETWORK)
            assert (await ask(nabla.app, "POST", "/models", head_for(kind), body)).status in (303, 400)
    inside = {path.relative_to(data).parts[0] for path in data.rglob("*") if path.is_file()}
    assert inside <= {"checkpoints", "nabla.lock", "nabla.sqlite3", "nabla.sqlite3-wal", "nabla.sqlite3-shm"}
    assert list(tmp_path.iterdir()) == [data]


def plain(text: str) -> str:
    """As it may stand between quotes in a header."""
    return text.replace('"', "%22")
