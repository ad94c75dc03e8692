"""A thousand pages that follow the runs of a few, one event a second each, and one page too many."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.figures import note
from tests.load import FULL
from tests.load.server import LoadedServer, loaded_server
from tests.load.visitors import percentile, small_run
from tests.load.wire import Line, Stream, play

RUNS, EACH = 20, 50
MOST = 1_500
SECONDS = 300.0 if FULL else 30.0
LOOK = {"plane": {"resolution": 20, "columns": [0, 1]}}


@pytest.mark.load
def test_a_thousand_streams(tmp_path: Path) -> None:
    with loaded_server(tmp_path / "data") as server:
        play(audience(server))


async def audience(server: LoadedServer) -> None:
    line = Line(server.address)
    runs = []
    for number in range(RUNS):
        run = (await line.ask("POST", "/api/runs", small_run(number))).json()["id"]
        await line.ask("PATCH", f"/api/runs/{run}", {"updates_per_second": 1})
        await line.ask("PUT", f"/api/runs/{run}/watches/all", LOOK)
        runs.append(run)

    async def one(number: int) -> Stream:
        path = f"/api/runs/{runs[number % RUNS]}/events?views=metrics,plane&watch=all"
        return await Stream.open(server.address_of(number), path, line.cookies)

    streams = await asyncio.gather(*map(one, range(RUNS * EACH)))
    assert {stream.seen.status for stream in streams} == {200}
    await asyncio.sleep(3)
    pages = []
    for stream in streams:
        stream.since = time.monotonic()
    began, its = time.monotonic(), server.processor_seconds()
    while time.monotonic() < began + SECONDS:
        pages.append(1000 * (await line.ask("GET", "/limits")).seconds)
        await asyncio.sleep(0.5)
    passed, its = time.monotonic() - began, server.processor_seconds() - its
    delays = [delay for stream in streams for delay in stream.seen.delays]
    dropped = sum(stream.dropped for stream in streams)
    each = len(delays) / passed / len(streams)
    note(
        "Head-room",
        f"{len(streams):,} streams, {each:.2f} frames a second each: p50 {percentile(delays, 0.5):.0f}, p95 "
        f"{percentile(delays, 0.95):.0f}, p99 {percentile(delays, 0.99):.0f} ms; pages p95 {percentile(pages, 0.95):.0f} ms; "
        f"{dropped} dropped; the server took {100 * its / passed:.0f} % of a core",
        met=percentile(delays, 0.95) <= 500 and not dropped and each > 0.8,
    )
    more = await asyncio.gather(*(one(number) for number in range(len(streams), MOST)))
    assert {stream.seen.status for stream in more} == {200}
    beyond = await one(MOST + 1)
    page = await line.ask("GET", "/limits")
    refused = beyond.seen.status == 503 and beyond.seen.retry_after
    note(
        "Head-room",
        f"stream {MOST + 1:,}: {beyond.seen.status}{' with Retry-After' if beyond.seen.retry_after else ''}; a page then: {page.status}",
        met=refused and page.status == 200,
    )
    for stream in (*streams, *more, beyond):
        stream.close()
    assert refused
    assert not dropped
