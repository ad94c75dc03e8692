"""In a class, whose run it is: of another's private run nothing is seen, of a shared one everything, and neither is steered.

Generated over every route and method there is. A new route that takes a run is expected to steer it unless it is a GET or
stands in LOOKING; one that nobody classified is refused to whoever has not joined, and these tests say so.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.doorman import LECTURERS, OPEN, is_under
from tests.faults.asgi import Answered, ask, head_of
from tests.faults.figures import note
from tests.faults.routes import NOWHERE, OF_IMAGES, Asked, every_request, form, in_json
from tests.faults.served import Served, served

SECRET = "Ada's secret name"
LAB_WITH_RUNS = "minibatches"

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Visitor:
    """Somebody of the class, by the cookie of a browser."""

    nabla: Served
    number: str

    async def ask(self, question: Asked, **headers: str) -> Answered:
        kind = {"content-type": question.media_type} if question.media_type else {}
        head = head_of(kind | headers | {"cookie": f"visitor={self.number}"} if self.number else kind | headers)
        return await ask(self.nabla.app, question.method, question.path, head, question.body)

    async def does(self, method: str, path: str, body: tuple[str, bytes] = ("", b"")) -> Any:
        answered = await self.ask(Asked(method, path, path, *body), accept="application/json")
        assert answered.status < 300, answered.body
        return json.loads(answered.body) if answered.body else None

    async def run(self, *, images: bool = False, shared: bool) -> str:
        preset = "digits-quick" if images else "circle"
        made = await self.does("POST", "/api/runs", in_json({"preset": preset, "state": "paused", "name": SECRET}))
        while (await self.state(made["id"]))["state"] == "queued":  # its worker is busy
            await asyncio.sleep(0.01)
        if shared:
            await self.does("PATCH", f"/api/runs/{made['id']}", in_json({"shared": True}))
        return str(made["id"])

    async def state(self, run: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self.does("GET", f"/api/runs/{run}")
        return {name: found[name] for name in ("state", "step", "name", "network", "l2", "version", "shared", "owner")}


@asynccontextmanager
async def class_of(folder: Path, *names: str) -> AsyncIterator[tuple[Visitor, ...]]:
    async with served(folder, class_mode=True) as nabla:
        people = nabla.app.state.people
        visitors = []
        for place, name in enumerate(names):
            visitors.append(Visitor(nabla, f"{place:032d}"))
            await people.join(visitors[-1].number, people.code, name)
        yield tuple(visitors)


async def test_of_anothers_private_run_nothing_is_seen_and_nothing_done(tmp_path: Path) -> None:
    tried = 0
    async with class_of(tmp_path, "Ada", "Bob") as (ada, bob):
        runs = {images: await ada.run(images=images, shared=False) for images in (False, True)}
        before = {run: await ada.state(run) for run in runs.values()}
        for asked in every_request(ada.nabla.app):
            if asked.of_a_run:
                tried += 1
                run = runs[asked.route in OF_IMAGES]
                answered = await bob.ask(asked.filled(run=run))
                if asked.route == "/labs/backpropagation/gradient-check" or asked.path.startswith("/labs/backprop"):
                    assert b"There is no such run" in answered.body  # a part of a page, which says why it is empty
                    continue
                assert answered.status == 404, (asked, answered.body[:200])
                nothing = await bob.ask(asked.filled(run="0" * 16))
                assert answered.problem == nothing.problem, asked
        assert {run: await ada.state(run) for run in runs.values()} == before
    assert tried > 30
    note("Security", f"{tried} routes × another's private run: as if it were not there", met=True)


async def test_of_anothers_shared_run_everything_is_seen_and_nothing_done(tmp_path: Path) -> None:
    tried = 0
    async with class_of(tmp_path, "Ada", "Bob") as (ada, bob):
        for asked in every_request(ada.nabla.app):
            if asked.of_a_run:
                tried += 1
                run = await ada.run(images=asked.route in OF_IMAGES, shared=True)
                before = await ada.state(run)
                answered = await bob.ask(asked.filled(run=run))
                if asked.steers:
                    assert answered.status in (403, 422), (asked, answered.body[:300])
                    assert b"not_yours" in answered.body or b"steer" in answered.body, (asked, answered.body[:300])
                else:
                    assert answered.status in (200, 204, 303), (asked, answered.body[:300])
                assert await ada.state(run) == before, asked
    note("Security", f"{tried} routes × another's shared run: seen, and not steered", met=tried > 30)


async def test_no_list_tells_of_anothers_private_run(tmp_path: Path) -> None:
    async with class_of(tmp_path, "Ada", "Bob") as (ada, bob):
        run = await ada.run(shared=False)
        drawing = await ada.does("POST", "/api/drawings", in_json({"label": 3, "ink": [[0.0] * 14 + [1.0] * 14] * 28}))
        mine = await bob.run(shared=False)
        for asked in every_request(ada.nabla.app):
            if asked.method == "GET" and not asked.streams:
                answered = await bob.ask(asked.filled(run=mine, drawing="0" * 16), accept="text/html")
                assert run.encode() not in answered.body, asked
                assert drawing["id"].encode() not in answered.body, asked
        for method in ("DELETE",):
            answered = await bob.ask(Asked(method, "", f"/api/drawings/{drawing['id']}"))
            assert answered.status == 404
        await bob.does("DELETE", "/api/drawings")
        assert len((await ada.does("GET", "/api/drawings"))["items"]) == 1
        assert [item["id"] for item in (await bob.does("GET", "/api/runs"))["items"]] == [mine]


async def test_who_has_not_joined_sees_only_how_to(tmp_path: Path) -> None:
    async with class_of(tmp_path, "Ada") as (ada,):
        run = await ada.run(shared=True)
        rows = await ada.nabla.rows()
        for stranger in (Visitor(ada.nabla, ""), Visitor(ada.nabla, "f" * 32), Visitor(ada.nabla, "' OR 1=1 --")):
            for asked in every_request(ada.nabla.app):
                if is_under(asked.path, OPEN):
                    continue
                answered = await stranger.ask(asked.filled(run=run), accept="text/html")
                if asked.changes or asked.path.startswith("/api/") or is_under(asked.path, LECTURERS):
                    assert answered.status == 403, asked
                else:
                    assert (answered.status, answered.headers["location"]) == (303, "/join"), asked
                assert run.encode() not in answered.body
        assert await ada.nabla.rows() == rows


async def test_the_lecturers_pages_are_the_lecturers(tmp_path: Path) -> None:
    async with class_of(tmp_path, "Ada") as (ada,):
        paths = {asked.path for asked in every_request(ada.nabla.app) if is_under(asked.path, LECTURERS)}
        for path in sorted(paths | {f"{place}/whatever/comes/later" for place in LECTURERS}):
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                assert (await ada.ask(Asked(method, path, path))).status == 403, (method, path)
        token = ada.nabla.app.state.people.lecturer_token
        for wrong in ("", "x", token[:-1], token + "x", token.swapcase(), "é" * 32):
            answered = await ada.ask(Asked("GET", "/lecturer", "/lecturer?token=" + wrong.encode().hex()))
            assert answered.status == 403
            answered = await ask(ada.nabla.app, "GET", "/api/runs", head_of({"authorization": f"Bearer {wrong}x"}))
            assert answered.status == 403


async def test_a_lab_takes_nobody_elses_runs_from_its_form(tmp_path: Path) -> None:
    """The page keeps its runs' ids in a field of its form, so anybody may put others there."""
    async with class_of(tmp_path, "Ada", "Bob") as (ada, bob):
        path = f"/labs/{LAB_WITH_RUNS}"
        opened = await ada.ask(Asked("POST", path, path, *form(command="open")))
        ids = opened.body.partition(b'name="runs" value="')[2].partition(b'"')[0].decode()
        runs = [pair.partition(":")[2] for pair in ids.split(",")]
        assert len(runs) > 1
        await ada.ask(Asked("POST", path, path, *form(command="pause", runs=ids)))
        before = [await ada.state(run) for run in runs]
        for command in ("look", "train", "reset"):
            answered = await bob.ask(Asked("POST", path, path, *form(command=command, runs=ids, count="5")))
            assert answered.status < 500
            assert not any(run.encode() in answered.body for run in runs), command
        answered = await bob.ask(
            Asked(
                "POST", "", f"/api{path}/report", *in_json({"runs": dict(pair.split(":") for pair in ids.split(","))})
            )
        )
        assert answered.status in (404, 409, 422), answered.body[:300]
        assert [await ada.state(run) for run in runs] == before


def test_what_is_open_to_all_is_what_is_meant_to_be() -> None:
    assert OPEN == ("/join", "/api/join", "/static/", "/api/health", "/favicon.ico")
    assert not any(is_under(path, OPEN) for path in (*NOWHERE[:2], "/joinery", "/api/healthy", "/static", "/"))
