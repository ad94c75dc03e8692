"""The lecturer's token: it comes once in an address and goes on in a cookie that nobody but this server is sent."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest

from app.asking import asking
from app.doorman import Doorman, lecturer_cookie
from tests.browser.server import running_server
from tests.faults.asgi import ask, head_of
from tests.faults.figures import note
from tests.faults.served import Served, served

pytestmark = pytest.mark.anyio

HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def nabla(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with served(tmp_path_factory.mktemp("data"), class_mode=True) as started:
        yield started


def test_no_token_is_in_an_address_that_stays_or_in_what_the_server_prints(tmp_path: Path) -> None:
    with running_server(tmp_path, "--class", "--workers", "1") as server:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            while not (link := [line for line in server.lines if "?token=" in line]):
                client.get("/join")
            token = link[0].partition("?token=")[2]
            entered = client.get(f"/lecturer?token={token}", headers=HTML)
            assert (entered.status_code, entered.headers["location"]) == (303, "/lecturer")
            cookie = SimpleCookie(entered.headers["set-cookie"])[f"lecturer-{server.port}"]
            assert (cookie.value, cookie["httponly"], cookie["samesite"], cookie["path"]) == (token, True, "strict", "/")
            page = client.get("/lecturer", headers=HTML)
            assert page.status_code == 200
            assert token not in page.text
            assert page.headers["referrer-policy"] == "same-origin"

            secret = client.post("/api/join", json={"code": "x", "nickname": "x"})  # the lecturer has joined already
            assert secret.status_code == 409
            code = client.get("/api/class").json()["code"]
            with httpx.Client(base_url=server.url, timeout=30) as student:
                mine = student.post("/api/join", json={"code": code, "nickname": "Ada"}).json()["token"]
                for address in (f"/lecturer?token={mine}", f"/nowhere?token={mine}", f"/api/runs?token={mine}", f"/api/runs/{mine}"):
                    student.get(address)
                student.get("/api/runs", headers={"authorization": f"Bearer {mine}x"})
                student.post("/api/runs?token=" + mine, content=b"\xff", headers={"content-type": "application/json"})
            client.get(f"/lecturer?token={token}x")
            client.get(f"/nowhere?token={token}")
        assert server.stop() == 0
        printed = "\n".join(server.lines)
    assert printed.count(token) == 1, "the link at the start"
    assert mine not in printed
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert mine.encode() not in stored
    note("Security", "the lecturer's token: once in an address, then in a cookie; in no line that is printed later", met=True)


async def test_another_token_is_refused_in_words_wherever_it_comes_from(nabla: Served) -> None:
    people = nabla.app.state.people
    token = people.lecturer_token
    name = lecturer_cookie(8_000)
    for wrong in ("", "x", token[:-1], f"{token}x", token.swapcase(), "%ff%fe", "%00", "é" * 40):
        answered = await ask(nabla.app, "GET", f"/lecturer?token={wrong}", head_of(HTML))
        if wrong:  # an empty one is none
            assert b"not the lecturer" in answered.body
        assert answered.status == 403
        assert "set-cookie" not in answered.headers
        answered = await ask(nabla.app, "GET", "/lecturer", head_of({"cookie": f"{name}={wrong}"}))
        assert answered.status == 403
        assert "link that was printed" in answered.problem["detail"]
        answered = await ask(nabla.app, "GET", "/api/runs", head_of({"authorization": f"Bearer {wrong}"}))
        assert answered.status == 403
        assert answered.problem["code"] in ("unknown_token", "join_first")
    answered = await ask(nabla.app, "GET", f"/lecturer?token={token}x", head_of({"cookie": f"{name}={token}"}))
    assert answered.status == 403, "a wrong link is told, also to the lecturer, and does not stay in the address"
    other_port = await ask(nabla.app, "GET", "/lecturer", head_of({"cookie": f"{lecturer_cookie(8_001)}={token}"}))
    assert other_port.status == 403
    right = await ask(nabla.app, "GET", "/lecturer", head_of({"cookie": f"{name}={token}"}))
    assert right.status == 200


async def test_one_request_leaves_nobodys_name_to_the_next(nabla: Served) -> None:
    """Who asks is set for one request and taken back after it, also after one that fails."""
    people = nabla.app.state.people
    before, seen = asking.get(), []

    async def app(_scope: object, _receive: object, _send: object) -> None:
        seen.append(asking.get())
        raise RuntimeError

    doorman = Doorman(app, nabla.app.state)
    scope = {"type": "http", "path": "/", "method": "GET", "query_string": b"", "server": ("127.0.0.1", 8_000)}
    headers = [(b"authorization", f"Bearer {people.lecturer_token}".encode())]
    with pytest.raises(RuntimeError):
        await doorman({**scope, "headers": headers}, None, None)  # type: ignore[arg-type]
    assert [each.everything for each in seen] == [True]
    assert asking.get() is before


async def test_nothing_leads_elsewhere_after_joining(nabla: Served) -> None:
    code = nabla.app.state.people.code
    for place in ("//evil.example", "/\\evil.example", "https://evil.example", "%2F%2Fevil.example"):
        body = f"code={code}&nickname=Ada&next={place}&redirect={place}&return_to={place}".encode()
        head = head_of({"content-type": "application/x-www-form-urlencoded", "referer": "http://evil.example/"})
        for target in ("/join", f"/join?next={place}"):
            answered = await ask(nabla.app, "POST", target, head, body)
            assert (answered.status, answered.headers["location"]) == (303, "/labs")
    for target in ("/lecturer?token={}&next=//evil.example", "/lecturer?next=//evil.example&token={}"):
        answered = await ask(nabla.app, "GET", target.format(nabla.app.state.people.lecturer_token))
        assert re.fullmatch("/lecturer", answered.headers["location"])
