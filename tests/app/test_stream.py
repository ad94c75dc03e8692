"""The stream as raw ASGI, where every send and disconnect can be seen. What is in it is app.channel's and tested there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.asking import HOST, LECTURER, Asker, asking
from app.main import Nabla
from engine.specs import RunSpec
from tests.app.double import RunsDouble, app_with

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Client:
    """One request whose reader can stall (`reading` cleared) or leave (`leave`)."""

    def __init__(self, app: Nabla, path: str, query: str = "", address: str = "127.0.0.1", **headers: str) -> None:
        self.messages: list[Any] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.gone = asyncio.Event()
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [
                (b"host", b"localhost"),
                *((k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()),
            ],
            "client": (address, 1),
        }
        self.task = asyncio.create_task(app(scope, self.receive, self.send))  # type: ignore[arg-type]
        self.asked = False

    async def receive(self) -> Any:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.reading.wait()
        self.messages.append(message)

    async def until(self, count: int) -> None:
        while len(self.messages) < count and not self.task.done():
            await asyncio.sleep(0.005)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages[1:])


async def prepared(**limits: Any) -> tuple[Nabla, RunsDouble, str]:
    runs = RunsDouble()
    app = app_with(runs, **limits)

    return app, runs, f"/api/runs/{(await runs.create(RunSpec()))['id']}/events"


async def settled(runs: RunsDouble) -> int:
    await asyncio.sleep(0.02)
    return runs.subscribed


async def test_it_begins_with_the_state_and_is_neither_kept_nor_buffered() -> None:
    app, _, path = await prepared()
    client = Client(app, path, "views=metrics,layers,tiles&watch=abc", last_event_id="1-2")
    await client.until(3)
    assert client.status == 200
    assert client.headers["content-type"].startswith("text/event-stream")
    assert client.headers["x-accel-buffering"] == "no"
    assert client.headers["cache-control"] == "no-store"
    assert "content-length" not in client.headers
    assert client.body.startswith(b"event: state\n")
    client.gone.set()
    await client.task


async def test_a_client_that_leaves_is_let_go_at_once() -> None:
    app, runs, path = await prepared()
    clients = [Client(app, path) for _ in range(20)]
    for client in clients:
        await client.until(2)
    assert (app.state.streams.open.total(), runs.subscribed) == (20, 20)
    for client in clients:
        client.gone.set()
    await asyncio.gather(*(client.task for client in clients))
    assert (app.state.streams.open, await settled(runs)) == ({}, 0)


async def test_a_client_that_does_not_read_is_let_go_and_others_go_on() -> None:
    app, runs, path = await prepared(send_timeout=0.1)
    stalled, live = Client(app, path), Client(app, path)
    await asyncio.gather(stalled.until(3), live.until(3))
    stalled.reading.clear()
    await asyncio.wait_for(stalled.task, 1)
    assert not live.task.done()
    assert await settled(runs) == 1
    live.gone.set()
    await live.task


async def test_one_stream_too_many_is_told_when_to_come_back() -> None:
    app, runs, path = await prepared(streams=2)
    first, second = Client(app, path), Client(app, path)
    await asyncio.gather(first.until(2), second.until(2))
    third = Client(app, path)
    await third.task
    assert third.status == 503
    assert int(third.headers["retry-after"]) > 0
    assert runs.subscribed == 2
    first.gone.set()
    await first.task
    fourth = Client(app, path)
    await fourth.until(2)
    assert fourth.status == 200
    for client in (second, fourth):
        client.gone.set()
        await client.task


async def test_one_address_cannot_take_all_places() -> None:
    app, _, path = await prepared(streams=10, streams_per_client=1)
    first = Client(app, path)
    await first.until(2)
    again, other = Client(app, path), Client(app, path, address="10.0.0.2")
    await asyncio.gather(again.task, other.until(2))
    assert (again.status, other.status) == (429, 200)
    for client in (first, other):
        client.gone.set()
        await client.task


async def test_one_visitor_of_a_class_cannot_take_the_places_of_the_others() -> None:
    app, _, path = await prepared(streams=10, streams_per_visitor=2)
    asking.set(Asker("ada"))
    runs = app.state.runs
    mine = [Client(app, path) for _ in range(2)]
    await asyncio.gather(*(each.until(2) for each in mine))
    third = Client(app, path)
    await third.task
    assert (third.status, int(third.headers["retry-after"]) > 0) == (429, True)
    asking.set(Asker("bob"))
    other = Client(app, path)
    await other.until(2)
    asking.set(LECTURER)
    lecturer = [Client(app, path) for _ in range(4)]
    await asyncio.gather(*(each.until(2) for each in lecturer))
    assert {each.status for each in (*mine, other, *lecturer)} == {200}, "from one address"
    for each in (*mine, other, *lecturer):
        each.gone.set()
        await each.task
    assert (app.state.streams.open, app.state.streams.persons, await settled(runs)) == ({}, {}, 0)
    asking.set(HOST)


async def test_a_stream_that_ends_ends_the_response() -> None:
    app, runs, path = await prepared()
    client = Client(app, path)
    await client.until(2)
    runs.end_streams()
    await asyncio.wait_for(client.task, 1)
    assert client.body.rstrip().endswith(b'data: {"reason":"The server is stopping."}')
    assert client.messages[-1] == {"type": "http.response.body", "body": b""}
    assert app.state.streams.open == {}


@pytest.mark.parametrize(
    ("query", "status"), [("views=boundary", 422), ("watch=..%2f", 422), ("views=metrics", 200), ("views=", 200)]
)
async def test_only_known_views_and_plain_watches(query: str, status: int) -> None:
    app, _, path = await prepared()
    client = Client(app, path, query)
    await client.until(1)
    assert client.status == status
    client.gone.set()
    await client.task


async def test_an_unknown_run_is_a_problem_and_holds_nothing() -> None:
    app, runs, _ = await prepared()
    client = Client(app, f"/api/runs/{'0' * 16}/events")
    await client.task
    assert (client.status, runs.subscribed, app.state.streams.open) == (404, 0, {})


async def test_several_runs_are_one_stream() -> None:
    app, runs, _ = await prepared(streams=1)
    ids = [(await runs.create(RunSpec()))["id"] for _ in range(2)]
    together = Client(app, "/api/events", f"run={ids[0]}&run={ids[1]}&views=metrics,plane&watch=abc")
    await together.until(3)
    assert (together.status, app.state.streams.open.total()) == (200, 1)
    assert together.body.count(b"event: state\n") == 2
    another = Client(app, "/api/events", f"run={ids[0]}")
    await another.task
    assert another.status == 503
    together.gone.set()
    await together.task
    assert (app.state.streams.open, await settled(runs)) == ({}, 0)


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 422), ("run=abc", 422), ("run=" + "0" * 16, 404), ("&".join(["run=" + "0" * 16] * 7), 422)],
)
async def test_a_stream_of_several_runs_names_one_to_six_that_there_are(query: str, status: int) -> None:
    app, runs, _ = await prepared()
    client = Client(app, "/api/events", query)
    await client.task
    assert (client.status, runs.subscribed, app.state.streams.open) == (status, 0, {})
