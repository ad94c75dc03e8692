"""What a visit takes is given back: every book that any service keeps is as long afterwards as it was before.

The books are not listed here. They are all containers that can be reached from the services through attributes of this
program's own objects, so a new one is held to the same, and one that is meant to remember has to say so below.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sized
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from app.settings import Limits
from tests.faults.asgi import ask, head_of
from tests.faults.figures import note
from tests.faults.routes import form, in_json
from tests.faults.served import Served, served

VISITS = 4
BOUNDED = {
    "LiveRuns._held": "the channels of the runs looked at last; SPARE_CHANNELS of them",
    "Labs._asked": "what the runs of labs were asked to be; MOST_ASKED of them",
}
"""Books that keep something on purpose: how much is bounded, and by what."""
GRACE = 0.2
COOKIE = "ada".ljust(32, "a")

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def books(services: Mapping[str, Any]) -> Counter[str]:
    """How many entries each kind of book has, by class and attribute; equal ones are added up."""
    found: Counter[str] = Counter()
    seen: set[int] = set()
    waiting = [(name, service) for name, service in services.items()]
    while waiting:
        path, thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, dict | list | set | frozenset | deque) and isinstance(thing, Sized):
            found[path] += len(thing)
            waiting += [(f"{path}[]", item) for item in (thing.values() if isinstance(thing, dict) else thing)]
        elif type(thing).__module__.startswith("app."):
            waiting += [(f"{type(thing).__name__}.{name}", value) for name, value in attributes(thing)]
    return found


def attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        for name in getattr(kind, "__slots__", ()):
            with suppress(AttributeError):
                yield name, getattr(thing, name)


async def visit(nabla: Served, number: int) -> None:
    """Somebody of the class makes a run and a lab's runs, follows them, is refused a few things, and deletes all of it."""

    async def does(method: str, path: str, body: tuple[str, bytes] = ("", b""), **headers: str) -> Any:
        head = head_of({"cookie": f"visitor={COOKIE}", "content-type": body[0], **headers})
        return await ask(nabla.app, method, path, head, body[1])

    key = {"idempotency-key": f"key-{number}"}
    made = [await does("POST", "/api/runs", in_json({"preset": "circle", "stop": {}}), **key) for _ in range(2)]
    run = made[0].problem["id"]
    assert made[1].problem["id"] == run
    assert (await does("PUT", f"/api/runs/{run}/watches/look", in_json({"weights": True}))).status == 204
    for path in (f"/api/runs/{run}/events?watch=look", f"/api/events?run={run}"):
        assert (await does("GET", path)).status == 200
    answers = [
        await does("PATCH", f"/api/runs/{run}", in_json({"state": "paused"})),
        await does("POST", f"/api/runs/{run}/steps", in_json({"count": 2})),
        await does("POST", f"/api/runs/{run}/steps", in_json({"count": 0})),
        await does("POST", f"/api/runs/{run}/predictions", in_json({"inputs": [[1.0, -1.0]]})),
        await does("GET", f"/api/runs/{run}/evaluation"),
        await does("GET", "/api/runs/0123456789abcdef"),
        await does("GET", "/labs/gradient"),
    ]
    assert [answer.status for answer in answers] == [200, 200, 422, 200, 200, 404, 200]
    lab = await does("POST", "/labs/outliers", form(command="open"))
    assert lab.status == 200
    for one in (run, *(ids_of(lab.body))):
        assert (await does("DELETE", f"/api/runs/{one}")).status == 204


def ids_of(page: bytes) -> list[str]:
    text = page.decode().partition('name="runs" value="')[2].partition('"')[0]
    return [pair.partition(":")[2] for pair in text.split(",")]


def held(nabla: Served) -> Counter[str]:
    """All books, the tasks of the event loop, and the threads."""
    gc.collect()
    found = books(nabla.app.state._state)
    found["tasks"], found["threads"] = len(asyncio.all_tasks()), threading.active_count()
    return Counter({name: count for name, count in found.items() if name not in BOUNDED})


async def test_after_every_visit_all_books_are_as_before(tmp_path: Path) -> None:
    async with served(tmp_path, class_mode=True, limits=Limits(watch_grace=GRACE)) as nabla:
        people = nabla.app.state.people
        await people.join(COOKIE, people.code, "Ada")
        for number in range(2):
            await visit(nabla, number)
        before = await settled(nabla)
        for number in range(VISITS):
            await visit(nabla, 2 + number)
        grown = await settled(nabla) - before
    note(
        "Leaks",
        f"{VISITS} visits: {len(before)} books in the server's services, {len(grown)} of them longer than before",
        met=not grown,
    )
    assert not grown, grown


async def settled(nabla: Served) -> Counter[str]:
    """Once nothing changes any more: watches have their time, and what is deleted is told to a thread."""
    earlier, now = Counter[str](), held(nabla)
    async with asyncio.timeout(20):
        while earlier != now or now["Held.watches"]:
            await asyncio.sleep(2 * GRACE)
            earlier, now = now, held(nabla)
    return now
