"""A worker that tells of its runs as fast as it can: the pipe slows it down, the loop goes on answering, pages get a few events."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from app.channel import EVENTS_PER_SECOND, Channel
from app.wire.points import no_points
from tests.app.small_runs import parse, service, small
from tests.faults import poison
from tests.faults.figures import note


def test_progress_is_told_ten_times_a_second_however_often_it_comes_and_nothing_is_lost() -> None:
    async def scenario() -> tuple[int, int, int]:
        channel = Channel({"id": "a", "state": "running", "sentence": "", "generation": 0, "metrics": {}, "step": 0})
        channel.run |= {"examples": 0, "epoch": 0.0, "seconds": 0.0}
        stream = channel.subscribe(frozenset({"metrics"}), None, None, ping_seconds=10)
        events, rows, sent = 0, 0, 0
        end = time.monotonic() + 1.0

        async def flood() -> None:
            nonlocal sent
            while time.monotonic() < end:
                for _ in range(20):
                    sent += 1
                    channel.progress({"step": sent}, no_points() | {name: [sent] for name in no_points()})
                await asyncio.sleep(0)
            channel.close("The end.")

        flooding = asyncio.ensure_future(flood())
        async for chunk in stream:
            name, _, data = parse(chunk)
            if name == "metrics":
                events += 1
                rows += len(data["points"]["step"])
        await flooding
        return events, rows, sent

    events, rows, sent = asyncio.run(scenario())
    assert rows == sent
    pieces = sent // 5_000
    assert events <= 2 * EVENTS_PER_SECOND + 3 + pieces, "ten at once after a rest, ten in the second"


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="reads what the process holds in memory")
def test_a_worker_that_floods_slows_down_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.workers.links.main", poison.flood)

    def held_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    async def scenario() -> tuple[float, float, int, float]:
        async with service(tmp_path) as runs:
            id = (await runs.create(small()))["id"]
            taken, events, stalls = 0, 0, [0.0]
            fold = runs._live._fold

            def counting(notification: object) -> None:
                nonlocal taken
                taken += 1
                fold(notification)  # type: ignore[arg-type]

            runs._pool._on_notification = counting
            stream = await runs.subscribe(id, frozenset({"metrics"}), None, None)

            async def read() -> None:
                nonlocal events
                async for _ in stream:
                    events += 1

            reading = asyncio.ensure_future(read())
            while not taken:
                await asyncio.sleep(0.01)
            before, begin, events = held_bytes(), time.monotonic(), 0
            while (now := time.monotonic()) - begin < 5:
                await asyncio.sleep(0.001)
                stalls.append(time.monotonic() - now)
            seconds = time.monotonic() - begin
            told, grown = taken / seconds, (held_bytes() - before) / 2**20
            stalls.sort()
            reading.cancel()
            runs._pool.workers[0].kill()
            return told, stalls[-1], events, grown

    told, stall, events, grown = asyncio.run(scenario())
    note(
        "Worst input",
        f"a worker that floods: {told:,.0f} notifications a second are taken, longest stall {1000 * stall:.0f} ms, "
        f"{events / 5:.0f} events a second to a page, {grown:+.0f} MB",
        met=stall <= 0.1 and events / 5 <= 12 and grown <= 20,
    )
    assert told > 500, "it was a flood"
    assert events / 5 <= 15
    assert stall < 0.5
    assert grown < 50
