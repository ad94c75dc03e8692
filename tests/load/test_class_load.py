"""A class of 300 for some minutes: pages, streams, commands and labs, on as few cores as there are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.figures import note
from tests.load import FULL
from tests.load.server import LoadedServer, loaded_server, stalls
from tests.load.visitors import InALab, Ledger, OnThePlane, Steady, Visitor, jain, percentile
from tests.load.wire import Stream, play

SECONDS = 1_800.0 if FULL else 180.0
ARRIVAL = 15.0
"""Seconds within which all of them come in."""
WARM_UP = 10.0
MEGABYTE = 2**20
KINDS: list[type[Visitor]] = [Steady, Steady, OnThePlane, OnThePlane, InALab]


@pytest.mark.load
def test_a_class_of_300(tmp_path: Path) -> None:
    with loaded_server(tmp_path / "data", "--class") as server:
        play(lesson(server))


async def lesson(server: LoadedServer) -> None:
    ledger = Ledger()
    visitors = [KINDS[number % 5](number, server, ledger) for number in range(300)]
    async with staying(visitors, ledger) as stays:
        await asyncio.sleep(WARM_UP)
        await measured(server, ledger, visitors, stays)
    assert not ledger.faults, "\n".join(ledger.faults[:20])


@asynccontextmanager
async def staying(visitors: list[Visitor], ledger: Ledger) -> AsyncIterator[list[asyncio.Task[None]]]:
    """They come in one after the other, and all leave in the end. Whoever cannot come in says why."""
    stays = []
    try:
        for visitor in visitors:
            stays.append(asyncio.create_task(visitor.stay()))
            await asyncio.sleep(ARRIVAL / len(visitors))
        try:
            async with asyncio.timeout(120):
                while not all(visitor.settled.is_set() for visitor in visitors):
                    await asyncio.sleep(0.1)
                    check(stays)
        except TimeoutError:
            missing = sum(not visitor.settled.is_set() for visitor in visitors)
            faults = "\n".join(ledger.faults[:10])
            raise AssertionError(f"{missing} are not in after 120 s; {dict(ledger.statuses)}\n{faults}") from None
        yield stays
    finally:
        for stay in stays:
            stay.cancel()
        await asyncio.gather(*stays, return_exceptions=True)
        for visitor in visitors:
            visitor.leave()


def check(stays: list[asyncio.Task[None]]) -> None:
    """Raises what ended a visitor's stay."""
    for stay in stays:
        if stay.done():
            stay.result()


async def measured(
    server: LoadedServer, ledger: Ledger, visitors: list[Visitor], stays: list[asyncio.Task[None]]
) -> None:
    ledger.since = asyncio.get_running_loop().time()
    streams = [visitor.stream for visitor in visitors if visitor.stream is not None]
    equal = [visitor.stream for visitor in visitors if isinstance(visitor, Steady) and visitor.stream is not None]
    began = time.monotonic()
    for stream in streams:
        stream.since = began
    before = [stream.seen.steps.get(b"", 0) for stream in equal]
    await asyncio.to_thread(server.ask)
    own, its = time.process_time(), server.processor_seconds()
    memory = 0
    while time.monotonic() < began + SECONDS:
        await asyncio.sleep(5)
        memory = max(memory, server.memory())
        check(stays)
    passed = time.monotonic() - began
    own, its = (time.process_time() - own) / passed, (server.processor_seconds() - its) / passed
    loop = await asyncio.to_thread(server.ask)

    note_answers(ledger, streams, passed)
    note_events(streams, passed)
    note("Class load", f"memory {memory / MEGABYTE:.0f} MB in all", met=memory <= 600 * MEGABYTE)
    cost = f"the server took {100 * its:.0f} % of a core, who measures {100 * own:.0f} %"
    words = "<br>".join([f"{stalls(loop)}; {cost}", *server.warnings[:5]])
    note("Class load", words, met=loop["computed"] <= 0.1)
    note_fairness(equal, before)


def note_answers(ledger: Ledger, streams: list[Stream], passed: float) -> None:
    dropped = sum(stream.dropped for stream in streams)
    fives = sum(count for status, count in ledger.statuses.items() if status >= 500)
    answers = sum(ledger.statuses.values())
    words = f"{passed:.0f} s, {len(streams)} streams, {answers:,} answers: {dropped} dropped, {fives} of 5xx"
    note("Class load", words, met=not dropped and not fives)
    for kind, most in (("pages", 200), ("commands", 100)):
        times = ledger.times[kind]
        shares = ", ".join(
            f"p{share:.0%}".rstrip("%") + f" {percentile(times, share):.0f}" for share in (0.5, 0.95, 0.99)
        )
        note("Class load", f"{kind} {shares} ms ({len(times):,})", met=percentile(times, 0.95) <= most)
    labs = ledger.times["labs"]
    slowest = f"p50 {percentile(labs, 0.5):.0f}, p95 {percentile(labs, 0.95):.0f} ms ({len(labs):,})"
    note("Class load", f"labs, computed anew for each answer: {slowest}", met=percentile(labs, 0.95) <= 5_000)
    assert not dropped


def note_events(streams: list[Stream], passed: float) -> None:
    delays = [delay for stream in streams for delay in stream.seen.delays]
    p50, p95, p99 = (percentile(delays, share) for share in (0.5, 0.95, 0.99))
    words = f"events p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f} ms ({len(delays) / passed:.0f} pictures a second)"
    note("Class load", words, met=p95 <= 250 and p99 <= 1000)


def note_fairness(equal: list[Stream], before: list[int]) -> None:
    """Of those whose runs are equal and never paused."""
    updates = [float(stream.seen.steps.get(b"", 0) - start) for stream, start in zip(equal, before, strict=True)]
    now = time.monotonic()
    longest = max(max(stream.seen.longest, now - stream.seen.moved.get(b"", stream.since)) for stream in equal)
    spread = f"{min(updates):,.0f} to {max(updates):,.0f} updates"
    note(
        "Fairness",
        f"class of 300: Jain {jain(updates):.3f} over {len(updates)} equal runs ({spread})",
        met=jain(updates) >= 0.95,
    )
    note("Fairness", f"class of 300: longest time without an update {longest:.1f} s", met=longest <= 10)
