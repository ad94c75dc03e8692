"""One visitor with fifty runs beside 250 with one each: no more of the cores than anybody else has."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.faults.figures import note
from tests.load import FULL
from tests.load.server import LoadedServer, loaded_server
from tests.load.visitors import enter_class, jain, percentile, small_run
from tests.load.wire import Line, Stream, play

OTHERS, FLOOD = 250, 50
SECONDS = 600.0 if FULL else 60.0
TOGETHER = 6


@pytest.mark.load
def test_fifty_runs_of_one_weigh_as_much_as_the_one_of_another(tmp_path: Path) -> None:
    with loaded_server(tmp_path / "data", "--class") as server:
        play(crowd(server))


async def make(line: Line, number: int) -> str:
    answer = await line.ask("POST", "/api/runs", small_run(number))
    assert answer.status in (201, 202), answer.body
    return str(answer.json()["id"])


async def crowd(server: LoadedServer) -> None:
    lines = [Line(server.address_of(number)) for number in range(OTHERS + 1)]
    await asyncio.gather(*(enter_class(line, server) for line in lines))
    flooder, *others = lines
    flood = [await make(flooder, number) for number in range(FLOOD)]
    runs = await asyncio.gather(*(make(line, number) for number, line in enumerate(others, FLOOD)))
    several = [flood[start : start + TOGETHER] for start in range(0, FLOOD, TOGETHER)]
    paths = [(flooder, f"/api/events?{urlencode([('run', run) for run in part])}") for part in several]
    paths += [(line, f"/api/runs/{run}/events") for line, run in zip(others, runs, strict=True)]
    streams = await asyncio.gather(*(Stream.open(line.address, path, line.cookies) for line, path in paths))
    assert {stream.seen.status for stream in streams} == {200}
    async with asyncio.timeout(300):
        while sum(len(stream.seen.moved) for stream in streams) < FLOOD + OTHERS:
            await asyncio.sleep(0.1)
    await asyncio.sleep(10)

    for stream in streams:
        stream.since = time.monotonic()
    before = [dict(stream.seen.steps) for stream in streams]
    began, waited, commands = time.monotonic(), time.monotonic(), list[float]()
    while time.monotonic() < began + SECONDS:
        line, run = others[len(commands) % OTHERS], runs[len(commands) % OTHERS]
        answer = await line.ask("POST", f"/api/runs/{run}/predictions", {"inputs": [[1.0, -1.0]]})
        assert answer.status == 200, answer.body
        commands.append(1000 * answer.seconds)
        waited += 0.25
        await asyncio.sleep(max(0.0, waited - time.monotonic()))
    now = time.monotonic()
    gained = [
        {run: step - start.get(run, 0) for run, step in stream.seen.steps.items()}
        for stream, start in zip(streams, before, strict=True)
    ]
    last = [now - moved for stream in streams for moved in stream.seen.moved.values()]
    longest = max(*last, *(stream.seen.longest for stream in streams))
    of_flood = [float(count) for each in gained[: len(several)] for count in each.values()]
    of_others = [float(count) for each in gained[len(several) :] for count in each.values()]
    for line in lines:
        line.close()
    for stream in streams:
        stream.close()

    share = sum(of_flood) / (sum(of_others) / len(of_others))
    index = jain(of_others)
    note(
        "Fairness",
        f"{OTHERS} visitors with a run each: Jain {index:.3f} ({min(of_others):,.0f} to {max(of_others):,.0f} updates in {SECONDS:.0f} s)",
        met=index >= 0.95,
    )
    note("Fairness", f"{FLOOD} runs of one visitor together: {share:.2f} of another's share", met=share <= 1.1)
    note("Fairness", f"{OTHERS + FLOOD} runs: longest time without an update {longest:.1f} s", met=longest <= 10)
    note(
        "Fairness",
        f"predictions beside them: p50 {percentile(commands, 0.5):.0f}, p95 {percentile(commands, 0.95):.0f} ms",
        met=percentile(commands, 0.95) <= 100,
    )
    assert len(of_flood) == FLOOD
    assert min(*of_flood, *of_others) > 0
