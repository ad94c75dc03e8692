"""A class of 300 for some minutes: pages, streams, commands and labs, on as few cores as there are."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.figures import note
from tests.load import FULL
from tests.load.server import LoadedServer, loaded_server
from tests.load.visitors import InALab, Ledger, OnThePlane, Steady, Visitor, jain, percentile, walk_in

SECONDS = 1_800.0 if FULL else 180.0
ARRIVAL = 15.0
"""Seconds within which all of them come in."""
WARM_UP = 10.0
MEGABYTE = 2**20


def everybody(server: LoadedServer, ledger: Ledger) -> list[Visitor]:
    kinds = [Steady] * 2 + [OnThePlane] * 2 + [InALab]
    return [kinds[number % 5](number, server.address, ledger, walk_in) for number in range(300)]


@pytest.mark.load
def test_a_class_of_300(tmp_path: Path) -> None:
    with loaded_server(tmp_path / "data") as server:
        asyncio.run(lesson(server))


async def settled(visitors: list[Visitor], stays: list[asyncio.Task[None]], ledger: Ledger) -> None:
    """Until everybody is in; whoever cannot come in says why."""
    try:
        async with asyncio.timeout(120):
            while not all(visitor.settled.is_set() for visitor in visitors):
                await asyncio.sleep(0.1)
                for stay in stays:
                    if stay.done():
                        stay.result()
    except TimeoutError:
        missing = sum(not visitor.settled.is_set() for visitor in visitors)
        faults = "\n".join(ledger.faults[:10])
        raise AssertionError(f"{missing} visitors are not in after 120 s; {dict(ledger.statuses)}\n{faults}") from None


async def lesson(server: LoadedServer) -> None:
    ledger = Ledger()
    visitors = everybody(server, ledger)
    loop = asyncio.get_running_loop()
    stays = []
    for visitor in visitors:
        stays.append(asyncio.create_task(visitor.stay()))
        await asyncio.sleep(ARRIVAL / len(visitors))
    await settled(visitors, stays, ledger)
    await asyncio.sleep(WARM_UP)

    ledger.since = loop.time()
    streams = [visitor.stream for visitor in visitors if visitor.stream is not None]
    equal = [visitor.stream for visitor in visitors if isinstance(visitor, Steady) and visitor.stream is not None]
    for stream in streams:
        stream.since = time.monotonic()
    before = [stream.seen.steps.get(b"", 0) for stream in equal]
    server.ask()
    began, own, its = loop.time(), time.process_time(), server.processor_seconds()
    memory = 0
    while loop.time() < began + SECONDS:
        await asyncio.sleep(5)
        memory = max(memory, server.memory())
        for stay in stays:
            if stay.done():
                stay.result()
    passed = loop.time() - began
    own, its = (time.process_time() - own) / passed, (server.processor_seconds() - its) / passed
    book = await asyncio.to_thread(server.ask)

    delays = [delay for stream in streams for delay in stream.seen.delays]
    updates = [float(stream.seen.steps.get(b"", 0) - start) for stream, start in zip(equal, before, strict=True)]
    now = time.monotonic()
    longest = max(max(stream.seen.longest, now - stream.seen.moved.get(b"", stream.since)) for stream in equal)
    dropped = sum(stream.dropped for stream in streams)
    fives = sum(count for status, count in ledger.statuses.items() if status >= 500)
    for stay in stays:
        stay.cancel()
    for visitor in visitors:
        visitor.leave()

    answers = sum(ledger.statuses.values())
    figures = [
        (
            f"{passed:.0f} s, {len(streams)} streams, {answers:,} answers: {dropped} dropped, {fives} of 5xx",
            not dropped and not fives,
        ),
        (
            f"events p50 {percentile(delays, 0.5):.0f}, p95 {percentile(delays, 0.95):.0f}, p99 {percentile(delays, 0.99):.0f} ms "
            f"({len(delays) / passed:.0f} frames/s)",
            percentile(delays, 0.95) <= 250 and percentile(delays, 0.99) <= 1000,
        ),
        *(
            (
                f"{kind} p50 {percentile(times, 0.5):.0f}, p95 {percentile(times, 0.95):.0f}, longest {max(times):.0f} ms ({len(times):,})",
                percentile(times, 0.95) <= most,
            )
            for kind, most in (("pages", 200), ("commands", 100), ("labs", 1000))
            if (times := ledger.times[kind])
        ),
        (f"memory {memory / MEGABYTE:.0f} MB in all", memory <= 600 * MEGABYTE),
        (
            f"longest stall of the event loop {1000 * book['stall']:.0f} ms; the server took {100 * its:.0f} % of a core, this generator {100 * own:.0f} %",
            book["stall"] <= 0.1,
        ),
    ]
    for measured, met in figures:
        note("Class load", measured, met=met)
        print(measured, "" if met else "<-")
    fairness = [
        (
            f"class load: Jain {jain(updates):.3f} over {len(updates)} equal runs ({min(updates):,.0f} to {max(updates):,.0f} updates)",
            jain(updates) >= 0.95,
        ),
        (f"class load: longest time without an update of any of them {longest:.1f} s", longest <= 10),
    ]
    for measured, met in fairness:
        note("Fairness", measured, met=met)
        print(measured, "" if met else "<-")
    assert not ledger.faults, "\n".join(ledger.faults[:20])
    assert not dropped
