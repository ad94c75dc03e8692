"""Everybody presses Start in the same moment."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults.figures import note
from tests.load.server import LoadedServer, loaded_server, stalls
from tests.load.visitors import enter_class, percentile, small_run
from tests.load.wire import Answer, Line, play

MOST_SECONDS = {300: 2.0, 1_000: 5.0}
PEOPLE = 500
AT_ONCE = 50
"""Visitors who join at the same time; what they create then comes at once."""


@pytest.mark.load
@pytest.mark.parametrize("count", [300, 1_000])
def test_so_many_creates_at_once(tmp_path: Path, count: int) -> None:
    with loaded_server(tmp_path / "data", "--class") as server:
        answers, seconds, cost, loop = play(burst(server, count))
    statuses = Counter(answer.status for answer in answers)
    words = f"{count:,} creates: {told(statuses)} in {seconds:.2f} s"
    times = [1000 * answer.seconds for answer in answers]
    met = set(statuses) <= {201, 202, 429, 503} and seconds <= MOST_SECONDS[count]
    note("Start burst", f"{words}, half of them within {percentile(times, 0.5):.0f} ms", met=met)
    each = f"{1000 * cost / count:.1f} ms of the server's time for each"
    note("Start burst", f"{count:,} creates: {each}; {stalls(loop)}", met=loop["computed"] <= 0.1)
    assert set(statuses) <= {201, 202, 429, 503}
    assert statuses[201] + statuses[202] == count
    for answer in answers:
        if answer.status in (429, 503):
            assert answer.header("retry-after")
            assert len(answer.json()["detail"]) > 20


async def burst(server: LoadedServer, count: int) -> tuple[list[Answer], float, float, dict[str, Any]]:
    """Answers, seconds until the last of them, processor seconds of the server, and what it told of its event loop."""
    lines = await everybody_in(server, count)
    await asyncio.to_thread(server.ask)
    started, before = time.perf_counter(), server.processor_seconds()
    answers = await asyncio.gather(*(line.ask("POST", "/api/runs", small_run(n)) for n, line in enumerate(lines)))
    seconds = time.perf_counter() - started
    cost = server.processor_seconds() - before
    loop = await asyncio.to_thread(server.ask)
    for line in lines:
        line.close()
    return answers, seconds, cost, loop


async def everybody_in(server: LoadedServer, count: int) -> list[Line]:
    """So many connections that stand, of visitors who have joined; beyond a class full of them, some have two."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def come(number: int) -> Line:
        line = Line(server.address_of(number))
        async with gate:
            await enter_class(line, server)
        return line

    async def again(number: int) -> Line:
        line = Line(server.address_of(number % PEOPLE))
        line.cookies = lines[number % PEOPLE].cookies
        async with gate:
            await line.ask("GET", "/api/limits")
        return line

    lines = list(await asyncio.gather(*map(come, range(min(count, PEOPLE)))))
    return lines + list(await asyncio.gather(*map(again, range(PEOPLE, count))))


def told(statuses: Counter[int]) -> str:
    return ", ".join(f"{count:,} × {status}" for status, count in sorted(statuses.items()))


@pytest.mark.load
def test_as_many_wait_as_there_are_places(tmp_path: Path) -> None:
    """Beyond the runs that may be open and those that may wait, each is refused in words; checking and taking are one step."""
    with loaded_server(tmp_path / "data", "--class") as server:
        accepted, refused, limits = play(overfull(server))
    places = limits["runs_live"] + limits["runs_waiting"]
    note(
        "Start burst",
        f"{accepted + refused:,} creates for {places:,} places, each of another visitor: {accepted:,} accepted",
        met=accepted == places,
    )
    assert accepted == places


async def overfull(server: LoadedServer) -> tuple[int, int, dict[str, Any]]:
    lines = await everybody_in(server, PEOPLE)
    limits = {each["name"]: each["value"] for each in (await lines[0].ask("GET", "/api/limits")).json()["items"]}
    more = limits["runs_live"] + limits["runs_waiting"] + 100
    asked = [lines[number % len(lines)].ask("POST", "/api/runs", small_run(number)) for number in range(more)]
    answers = await asyncio.gather(*asked)
    for line in lines:
        line.close()
    refused = [answer for answer in answers if answer.status == 503]
    assert all(answer.header("retry-after") for answer in refused)
    assert {answer.status for answer in answers} <= {201, 202, 503}
    return len(answers) - len(refused), len(refused), limits
