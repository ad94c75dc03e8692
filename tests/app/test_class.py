"""A class: what students see and own, what the lecturer sees and does, and that after class nothing is left."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
import segno

from app.asking import LECTURER, Asker, asking
from app.labs.catalogue import LABS
from app.main import create_app
from app.routes.lecturer import qr
from app.services.changes import RunChanges
from app.services.classroom import Board, curve_of, difference, shown
from app.settings import Settings
from app.wire.points import thinned
from engine.specs import StopSpec
from tests.app.double import app_with, client_of
from tests.app.small_runs import of_points, parse, service
from tests.faults.served import Served, served

pytestmark = pytest.mark.anyio

HTML = {"accept": "text/html"}
CIRCLE = {"preset": "circle", "state": "paused"}
LONG = {"preset": "circle", "stop": {"steps": 10**7}}
STROKE = [[0.0] * 14 + [1.0] * 14] * 28


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One for all tests that leave it as it was."""
    async with served(tmp_path_factory.mktemp("data"), class_mode=True) as nabla:
        yield nabla


@pytest.fixture
async def nabla(started: Served) -> AsyncIterator[Served]:
    """A class that nobody has joined."""
    yield started
    await started.app.state.classroom.clear()


@asynccontextmanager
async def browser(nabla: Served, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """With cookies of its own."""
    async with client_of(nabla.app, timeout=60, headers=headers) as client:
        yield client


async def join(nabla: Served, client: httpx.AsyncClient, nickname: str) -> dict[str, Any]:
    joined = await client.post("/api/join", json={"code": nabla.app.state.people.code, "nickname": nickname})
    assert joined.status_code == 201, joined.text
    answer: dict[str, Any] = joined.json()
    return answer


async def lab_run(nabla: Served, client: httpx.AsyncClient) -> None:
    """As a lab makes one for whoever opens it."""
    before = asking.set(Asker((await client.get("/api/me")).json()["person"]))
    try:
        await nabla.app.state.runs.create(of_points(), state="paused", kind="lab")
    finally:
        asking.reset(before)


def lecturer(nabla: Served) -> dict[str, str]:
    return {"authorization": f"Bearer {nabla.app.state.people.lecturer_token}"}


# ---- Joining and oneself -------------------------------------------------------------------------------------------------


async def test_joining_takes_a_nickname_and_nothing_else(nabla: Served) -> None:
    async with browser(nabla) as ada:
        people = nabla.app.state.people
        assert (await ada.get("/", headers=HTML)).headers["location"] == "/join"
        page = await ada.get(f"/join/{people.code}", headers=HTML)
        assert f'name="code" value="{people.code}"' in page.text
        assert page.text.count("<input") == 2, "the nickname, and the code that the link has brought"
        assert "This page needs JavaScript" not in page.text
        assert "/runs" not in page.text, "nothing leads where nobody gets in"

        wrong = await ada.post("/join", data={"code": "<b>x", "nickname": "Ada"}, headers=HTML)
        assert wrong.status_code == 422
        assert "not the code of this class" in wrong.text
        assert 'value="&lt;b&gt;x"' in wrong.text
        assert 'value="Ada"' in wrong.text, "what was typed stays"
        assert "set-cookie" not in wrong.headers
        bad = await ada.post("/join", data={"code": people.code, "nickname": "\u202e"}, headers=HTML)
        assert (bad.status_code, "A nickname may hold" in bad.text) == (422, True)

        joined = await ada.post("/join", data={"code": people.code, "nickname": "Ada <b>"}, headers=HTML)
        assert (joined.status_code, joined.headers["location"]) == (303, "/labs")
        cookie = joined.headers["set-cookie"]
        assert cookie.startswith("visitor=")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "You are in" in (await ada.get("/join")).text
        assert (await ada.get("/runs")).text.count("<bdi>Ada &lt;b&gt;</bdi>") == 1

        await ada.post("/join", data={"nickname": "Ada L."})
        assert [person.nickname for person in people.everybody] == ["Ada L."]
        assert (await ada.post("/api/join", json={"code": people.code, "nickname": "x"})).json()["code"] == "joined_already"
        assert (await ada.post("/me", data={"nickname": "n" * 41})).status_code == 422
        assert (await ada.post("/me", data={"nickname": "Countess"})).headers["location"] == "/me"
        assert (await ada.patch("/api/me", json={"nickname": "Ada"})).json()["nickname"] == "Ada"
        assert (await ada.patch("/api/me", json={"nickname": "\x00"})).status_code == 422

        me = (await ada.get("/api/me")).json()
        page = await ada.get("/me")
        assert me["token"] in page.text
        assert me["person"] in page.text
        assert ada.cookies["visitor"] not in page.text
        async with browser(nabla, authorization=f"Bearer {me['token']}") as program:
            same = (await program.get("/api/me")).json()
            assert same == me | {"token": None, "seen": same["seen"]}
            assert (await program.get("/me")).status_code == 200


async def test_where_there_is_no_class_none_of_it_is_there() -> None:
    async with client_of(app_with()) as client:
        for path in ("/join", "/join/x", "/me", "/lecturer", "/lecturer/join", "/api/me", "/api/class", "/api/class/events"):
            assert (await client.get(path)).status_code == 404, path
        assert (await client.post("/api/join", json={})).status_code == 404
        assert "/me" not in (await client.get("/limits")).text


async def test_the_document_of_a_class_tells_of_it() -> None:
    document = create_app(Settings(class_mode=True)).openapi()
    ours = {path: entry for path, entry in document["paths"].items() if path.startswith(("/api/class", "/api/me", "/api/join"))}
    assert len(ours) == 7
    for path, methods in ours.items():
        for method, entry in methods.items():
            assert entry["summary"], (method, path)
            assert "403" in entry["responses"]
            assert ("requestBody" in entry) <= (set(entry["responses"]) >= {"400", "413", "415", "422"})
    references = set(json.dumps(document).split("#/components/schemas/")[1:])
    assert all(reference.partition('"')[0] in document["components"]["schemas"] for reference in references)


# ---- What is whose ---------------------------------------------------------------------------------------------------------


async def test_labs_drawings_and_reports_are_each_ones_own(nabla: Served) -> None:
    """What somebody solved stands in nobody else's labs, and in a report that the lecturer can verify."""
    async with browser(nabla) as ada, browser(nabla) as bob:
        await join(nabla, ada, "Ada")
        await join(nabla, bob, "Bob")
        assert (await ada.post("/api/drawings", json={"label": 3, "ink": STROKE})).status_code == 201
        counts = [len((await client.get("/api/drawings")).json()["items"]) for client in (ada, bob)]
        assert counts == [1, 0]

        await nabla.app.state.runs.store.call(solve, (await ada.get("/api/me")).json()["person"])
        mine, others = [(await client.get("/api/labs/report")).json() for client in (ada, bob)]
        solved = [[task["task"] for lab in report["labs"] for task in lab["tasks"] if task["solved"]] for report in (mine, others)]
        assert [len(tasks) for tasks in solved] == [1, 0]
        assert (await bob.get("/api/me")).json()["solved"] == 0

        async with browser(nabla, **lecturer(nabla)) as teacher:
            verdicts = (await teacher.post("/api/labs/verification", json=mine)).json()
            assert len(verdicts) == len(solved[0])
            assert (await teacher.get("/labs/verify")).status_code == 200
            assert (await teacher.get("/api/drawings")).json()["items"] == []

        await lab_run(nabla, ada)
        assert [(await client.get("/api/me")).json()["lab_runs"] for client in (ada, bob)] == [1, 0]


def solve(connection: Any, person: str) -> None:
    connection.execute("INSERT OR IGNORE INTO solved VALUES (?, 'loss', ?, '', '', '', '')", (person, LABS["loss"].tasks[0].name))


# ---- The board -------------------------------------------------------------------------------------------------------------


async def test_the_lecturer_sees_all_runs_with_names_or_without(nabla: Served) -> None:
    async with browser(nabla) as ada, browser(nabla) as bob:
        await join(nabla, ada, "Ada Lovelace")
        await join(nabla, bob, "Bob")
        first = (await ada.post("/api/runs", json=CIRCLE | {"name": "Lovelace's net"})).json()["id"]
        second = (await bob.post("/api/runs", json=CIRCLE)).json()["id"]
        async with browser(nabla, **lecturer(nabla)) as teacher:
            board = (await teacher.get("/api/class/runs")).json()
            assert [(run["id"], run["student"]) for run in board["runs"]] == [(first, 1), (second, 2)]
            assert [student["nickname"] for student in board["students"]] == ["Ada Lovelace", "Bob"]
            assert board["runs"][0]["name"] == "Lovelace's net"
            assert {name: board["counts"][name] for name in ("joined", "online", "training", "solved")} == {
                "joined": 2,
                "online": 2,
                "training": 0,
                "solved": 0,
            }

            for path in ("/api/class/runs?hidden=1&labs=1", "/lecturer?hidden=1", "/lecturer"):
                text = (await teacher.get(path)).text
                assert "Lovelace" not in text, path
                assert "Bob" not in text, path
            hidden = (await teacher.get("/api/class/runs?hidden=1")).json()["runs"]
            assert [run["name"] for run in hidden] == [None, "circle"]

            for path in (f"/api/runs/{first}", f"/?run={first}", f"/plane?run={first}"):
                assert (await teacher.get(path)).status_code in (200, 303), path
            paused = await teacher.patch(f"/api/runs/{first}", json={"state": "stopped"})
            assert paused.json()["state"] == "stopped"


async def test_where_files_are_on_the_server_is_told_to_the_lecturer_alone(tmp_path: Path) -> None:
    """Students read that nothing is kept, and what they can do about it."""
    (tmp_path / "file").touch()
    async with served(tmp_path / "file" / "data", class_mode=True) as nabla, browser(nabla) as ada:
        told = (await ada.get("/api/health")).json()["notice"]
        assert told == "They are kept in memory only, and are gone when this server stops. Save what you want to keep as a file."
        await join(nabla, ada, "Ada")
        assert (await ada.get("/api/health")).json()["notice"] == told
        assert "until this server stops" in (await ada.get("/runs")).text
        async with browser(nabla, **lecturer(nabla)) as teacher:
            assert str(tmp_path) in (await teacher.get("/api/health")).json()["notice"]


async def test_the_board_is_told_as_it_changes_until_the_server_stops_and_is_there_again_after_it(tmp_path: Path) -> None:
    async with served(tmp_path, class_mode=True) as nabla, browser(nabla) as ada:
        await join(nabla, ada, "Ada")
        stream = nabla.app.state.classroom.follow(hidden=True)
        assert parse(await anext(stream))[0] is None
        name, _, whole = parse(await anext(stream))
        assert (name, whole["whole"], whole["students"][0]["nickname"]) == ("class", True, None)
        made = (await ada.post("/api/runs", json=CIRCLE | {"state": "running"})).json()["id"]
        async with asyncio.timeout(20):
            _, _, news = parse(await anext(stream))
            assert "whole" not in news
            assert news["runs"][0]["id"] == made
            while news["runs"][0].get("curve") is None or news["runs"][0].get("state") != "finished":
                _, _, more = parse(await anext(stream))
                assert set(more.get("runs", [{}])[0]) <= set(whole) | {"id", "state", "step", "accuracy", "loss", "curve", "position"}
                news["runs"][0] |= more.get("runs", [{}])[0]
        assert (await ada.delete(f"/api/runs/{made}")).status_code == 204
        async with asyncio.timeout(20):
            while "gone" not in news:
                _, _, news = parse(await anext(stream))
        assert news["gone"] == [made]
        kept = (await ada.post("/api/runs", json=CIRCLE)).json()["id"]
        await ada.post(f"/api/runs/{kept}/steps", json={"count": 300})
        nabla.app.state.runs.end_streams()
        async with asyncio.timeout(20):
            names = [parse(chunk)[0] async for chunk in stream]
        assert names[-1] == "close"
    async with served(tmp_path, class_mode=True) as nabla, browser(nabla, **lecturer(nabla)) as teacher:
        assert nabla.app.state.runs.in_memory() == []
        (run,) = (await teacher.get("/api/class/runs")).json()["runs"]
        assert (run["id"], run["student"], run["step"], run["state"]) == (kept, 1, 300, "paused")
        assert run["curve"]["low"] < run["curve"]["high"]


# ---- Steering and clearing up ----------------------------------------------------------------------------------------------


async def test_after_class_nothing_of_anybody_is_left(nabla: Served) -> None:
    async with browser(nabla) as ada, browser(nabla) as bob:
        for client, name in ((ada, "Ada"), (bob, "Bob")):
            await join(nabla, client, name)
            await client.post("/api/drawings", json={"label": 3, "ink": STROKE})
            await client.post("/api/runs", json=LONG, headers={"idempotency-key": "k"})
        await lab_run(nabla, ada)
        async with browser(nabla, **lecturer(nabla)) as teacher:
            own = (await teacher.post("/api/runs", json=CIRCLE)).json()["id"]
            await teacher.post("/api/drawings", json={"label": 3, "ink": STROKE})
            with_labs = (await teacher.get("/api/class/runs?labs=1")).json()["runs"]
            assert [run["kind"] for run in with_labs] == ["run", "run", "lab", "run"]
            assert (await teacher.post("/api/class/pause")).json() == {"paused": 2, "others": 0}
            states = [run["state"] for run in (await teacher.get("/api/class/runs")).json()["runs"]]
            assert states == ["paused"] * 3

            before = (await teacher.get("/api/class")).json()
            counts = {"people": 2, "runs": 2, "lab_runs": 1, "drawings": 2, "solved": 0}
            assert {name: before[name] for name in counts} == counts
            code = (await teacher.post("/api/class/code")).json()["code"]
            assert code != before["code"]
            assert (await ada.get("/api/me")).status_code == 200, "who has joined stays"

            assert (await teacher.delete("/api/class")).json() == counts
            left = await nabla.rows()
            assert {name: left[name] for name in ("people", "runs", "drawings", "solved", "idempotency_keys")} == {
                "people": 0,
                "runs": 1,
                "drawings": 1,
                "solved": 0,
                "idempotency_keys": 0,
            }
            assert (await teacher.delete(f"/api/runs/{own}")).status_code == 204
            await teacher.delete("/api/drawings")
            assert (await teacher.get("/api/class")).json()["code"] not in (code, before["code"])
        assert (await ada.get("/api/runs")).json()["code"] == "join_first"
        assert (await ada.post("/join", data={"code": code, "nickname": "Ada"})).status_code == 422


async def test_whoever_leaves_takes_all_of_theirs_along_and_nothing_else(nabla: Served) -> None:
    async with browser(nabla) as ada, browser(nabla) as bob:
        token = (await join(nabla, ada, "Ada"))["token"]
        await join(nabla, bob, "Bob")
        for client in (ada, bob):
            await client.post("/api/runs", json=CIRCLE | {"name": "named"})
            await client.post("/api/drawings", json={"label": 3, "ink": STROKE})
        gone = await ada.post("/me/delete", headers=HTML)
        assert gone.status_code == 200
        assert "All that was yours is gone" in gone.text
        assert 'visitor=""' in gone.headers["set-cookie"]
        left = await nabla.rows()
        assert (left["people"], left["runs"], left["drawings"]) == (1, 1, 1)
        refused = await bob.get("/api/me", headers={"authorization": f"Bearer {token}"})
        assert (refused.status_code, refused.json()["code"]) == (403, "unknown_token")
        assert (await bob.get("/api/me")).json()["runs"] == 1
        assert (await bob.delete("/api/me")).status_code == 204
        left = await nabla.rows()
        assert (left["people"], left["runs"], left["drawings"]) == (0, 0, 0)
        async with browser(nabla, **lecturer(nabla)) as teacher:
            assert (await teacher.delete("/api/me")).json()["code"] == "not_joined"


# ---- The way in ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listens", "called", "link", "reachable"),
    [
        ("127.0.0.1", "localhost:8000", "http://localhost:8000/join/", False),
        ("127.0.0.1", "[::1]:8000", "http://[::1]:8000/join/", False),
        ("127.0.0.1", "class.example:8443", "http://class.example:8443/join/", True),
        ("0.0.0.0", "192.0.2.7:8000", "http://192.0.2.7:8000/join/", True),
        ("0.0.0.0", "localhost:8000", "http://outside.example:8000/join/", True),
    ],
)
async def test_the_link_is_one_that_others_can_follow(
    listens: str, called: str, link: str, reachable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.routes.joining.outward_name", lambda _host, _name: "outside.example")
    app = create_app(Settings(class_mode=True, host=listens, data=tmp_path, allowed_hosts=frozenset({"class.example"})))
    app.state.people = OnlyTheLecturer()
    async with client_of(app) as client:
        page = await client.get("/lecturer/join", headers={"host": called})
        assert page.status_code == 200, page.text
        assert f'aria-label="QR code of {link}c0de"' in page.text
        assert ("--host 0.0.0.0" in page.text) is not reachable


class OnlyTheLecturer:
    """In the place of the people of a class."""

    code = "c0de"

    def asker(self, *_: Any) -> Any:
        return LECTURER

    def attending(self, _person: str) -> Any:
        return nullcontext()


def test_the_qr_code_is_what_segno_draws() -> None:
    """Filled in again from its path, module by module."""
    drawn = qr("http://192.0.2.7:8000/join/2345abcd")
    cells = {
        (x, int(y)) for a, y, b in re.findall(r"M(\d+) (\d+)h(\d+)v1H\d+z", str(drawn["path"])) for x in range(int(a), int(a) + int(b))
    }
    code = segno.make("http://192.0.2.7:8000/join/2345abcd", error="m", micro=False)
    assert cells == {(x, y) for y, row in enumerate(code.matrix_iter(border=4)) for x, dark in enumerate(row) if dark}
    assert drawn["side"] == code.symbol_size(border=4)[0]


# ---- Small curves and differences --------------------------------------------------------------------------------------------


def test_a_curve_is_thinned_to_means_of_what_was_measured() -> None:
    assert thinned([], 4) == []
    assert thinned([1.0, 2.0], 4) == [1.0, 2.0]
    assert thinned([0.0, 2.0, 4.0, 6.0], 2) == [1.0, 5.0]
    nan = float("nan")
    assert thinned([nan, nan, 3.0, nan, 1e308, 1e308], 3) == [3.0]
    long = thinned([float(i) for i in range(100_000)], 40)
    assert len(long) == 40
    assert long == sorted(long)


def test_a_curve_is_a_byte_for_each_place() -> None:
    assert curve_of([]) is None
    assert curve_of([1.0]) is None
    assert curve_of([2.0, 0.0, 1.0]) == {"low": 0.0, "high": 2.0, "data": "/wCA"}
    assert curve_of([1.0, 1.0]) == {"low": 1.0, "high": 1.0, "data": "AAA="}
    assert curve_of([1e300, -1e300]) == {"low": -1e12, "high": 1e12, "data": "/wA="}


def test_a_board_tells_only_what_is_another() -> None:
    def card(id: str, **values: Any) -> dict[str, Any]:
        return {"id": id, "kind": "run", "named": False, "name": "circle", "step": 0, **values}

    students = {1: {"number": 1, "nickname": "Ada"}}
    before = Board({"joined": 1}, students, {"a": card("a"), "b": card("b"), "c": card("c", kind="lab")})
    now = Board({"joined": 1}, students, {"a": card("a", step=5), "d": card("d", named=True)})
    assert difference(before, before) == {}
    assert difference(before, now) == {"gone": ["b", "c"], "runs": [{"id": "a", "step": 5}, card("d", named=True)]}
    seen = shown(before, hidden=True, labs=False)
    assert list(seen.runs) == ["a", "b"]
    assert seen.students[1]["nickname"] is None
    assert [run["name"] for run in shown(now, hidden=True, labs=False).runs.values()] == ["circle", None]
    copied = Board({}, {}, {"a": card("a", name="Ada's"), "b": card("b", name="curve"), "c": card("c", name="Dense", kind="lab")})
    assert [run["name"] for run in shown(copied, hidden=True, labs=True).runs.values()] == [None, "curve", "Dense"]
    assert before.students[1]["nickname"] == "Ada", "nothing is changed that others have been sent"


# ---- Waiting -----------------------------------------------------------------------------------------------------------------


async def test_a_run_that_waits_for_a_place_is_paused_and_ended_like_any_other(tmp_path: Path) -> None:
    """Else pausing all would let those train that had to wait."""
    endless = of_points(stop=StopSpec())
    async with service(tmp_path, runs_live=1) as runs:
        first = (await runs.create(endless))["id"]
        second, third = [(await runs.create(endless))["id"] for _ in range(2)]
        assert [(await runs.get(id))["state"] for id in (second, third)] == ["queued", "queued"]
        paused = await runs.change(second, RunChanges(state="paused"))
        ended = await runs.change(third, RunChanges(state="stopped"))
        assert [(run["state"], run["waiting"]) for run in (paused, ended)] == [("paused", None), ("stopped", None)]
        await runs.delete(first)
        assert (await runs.step(second, 5))["step"] == 5, "it trains once it is asked to"
        assert (await runs.get(third))["state"] == "stopped"
