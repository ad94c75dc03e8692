"""Visits by the hundred, one after the other: what each of them takes is given back."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.faults.figures import note
from tests.load import FULL
from tests.load.server import LoadedServer, loaded_server
from tests.load.visitors import enter_class, small_run
from tests.load.wire import Line, Stream, play

SECONDS = 7_200.0 if FULL else 180.0
FULL_SECONDS = 150.0
"""Until as many runs have places as ever will: one that nobody needs gives its own back a minute and a half after its visitor left."""
AT_ONCE = 4
VISITS = 100
MEGABYTE = 2**20
People: TypeAlias = dict[int, dict[str, str]]
"""The cookies of each visitor: the same hundred come again and again, as a class has room for some hundred people."""
LOOK = {"plane": {"resolution": 40, "columns": [0, 1]}, "neurons": 16, "weights": True}


@dataclass(frozen=True, slots=True)
class Book:
    """What the server holds while nobody is there; `memory` of all its processes, in bytes."""

    files: int
    tasks: int
    threads: int
    memory: int


@pytest.mark.load
def test_a_hundred_visits_leave_nothing_behind(tmp_path: Path) -> None:
    with loaded_server(tmp_path / "data", "--class") as server:
        play(hundred(server))


@pytest.mark.load
def test_hours_of_visits_leave_nothing_behind(tmp_path: Path) -> None:
    with loaded_server(tmp_path / "data", "--class") as server:
        play(soak(server))


async def hundred(server: LoadedServer) -> None:
    people: People = {}
    await fill(server, people)
    before = await book(server)
    await visits(server, people, VISITS)
    after = await book(server)
    told, met = grown(before, after, VISITS)
    note("Leaks", f"100 visits: {told}", met=met)
    assert after.files - before.files <= 2
    assert after.tasks <= before.tasks
    assert after.threads <= before.threads


async def soak(server: LoadedServer) -> None:
    """The slope of what is held."""
    people: People = {}
    await fill(server, people)
    began = time.monotonic()
    count, books = 0, list[tuple[int, Book]]()
    while time.monotonic() < began + SECONDS:
        await visits(server, people, VISITS)
        count += VISITS
        books.append((count, await book(server)))
    (first, before), (last, after) = books[0], books[-1]
    told, met = grown(before, after, max(VISITS, last - first))
    note("Leaks", f"{count:,} visits in {time.monotonic() - began:.0f} s: {told}", met=met)
    assert after.tasks <= before.tasks
    assert after.files - before.files <= 2


async def fill(server: LoadedServer, people: People) -> None:
    end = time.monotonic() + FULL_SECONDS
    while time.monotonic() < end:
        await visits(server, people, VISITS)


def grown(before: Book, after: Book, count: int) -> tuple[str, bool]:
    """In words, and whether it is no more than the goal allows; memory counts for each hundred visits."""
    files, tasks, threads = (getattr(after, name) - getattr(before, name) for name in ("files", "tasks", "threads"))
    memory = (after.memory - before.memory) / MEGABYTE / (count / 100)
    words = f"{files:+d} file descriptors, {tasks:+d} tasks, {threads:+d} threads, {memory:+.1f} MB for each hundred"
    return words, files <= 2 and tasks <= 0 and threads <= 0 and memory <= 5


async def book(server: LoadedServer) -> Book:
    """Once the last connections are gone, and the watches of those who have left are forgotten."""
    held = {}
    for _ in range(100):
        held = await asyncio.to_thread(server.ask)
        if not held["streams"] and not held["watches"]:
            break
        await asyncio.sleep(1)
    return Book(server.files(), held["tasks"], held["threads"], server.memory())


async def visits(server: LoadedServer, people: People, count: int) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            await visit(server, people, number)

    await asyncio.gather(*map(one, range(count)))


async def visit(server: LoadedServer, people: People, number: int) -> None:
    """Come in, make a run, watch it until frames come, steer it, read it, and leave; every other one deletes its run."""
    line = Line(server.address_of(number))
    line.cookies = people.setdefault(number, {})
    if not line.cookies:
        await enter_class(line, server)
    await line.ask("GET", "/plane")
    unnamed = {name: value for name, value in small_run(number).items() if name != "name"}
    run = (await line.ask("POST", "/api/runs", unnamed)).json()["id"]
    stream = await Stream.open(line.address, f"/api/runs/{run}/events?views=metrics,plane&watch=look", line.cookies)
    stream.since = 0.0
    answers = [
        await line.ask("PUT", f"/api/runs/{run}/watches/look", LOOK),
        await line.ask("POST", f"/api/runs/{run}/predictions", {"inputs": [[1.0, -1.0]]}),
        await line.ask("PATCH", f"/api/runs/{run}", {"state": "paused"}),
        await line.ask("POST", f"/api/runs/{run}/steps", {"count": 3}),
        await line.ask("GET", f"/api/runs/{run}/metrics"),
        await line.ask("GET", f"/plane?run={run}"),
    ]
    assert {answer.status for answer in answers} <= {200, 204}, [answer.status for answer in answers]
    async with asyncio.timeout(20):
        while not stream.seen.delays:
            await asyncio.sleep(0.01)
    stream.close()
    if number % 2:
        assert (await line.ask("DELETE", f"/api/runs/{run}")).status == 204
    line.close()
