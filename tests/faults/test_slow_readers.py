"""Fifty clients that never read beside 250 that do: the silent ones are let go, and the others do not notice."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.browser.server import Server, running_server
from tests.faults.figures import note
from tests.faults.listeners import Listener
from tests.faults.sockets import connect, eventually, files, head, memory

LIVE, STALLED, CHANGES = 250, 50, 30
LONGEST_NAME = "x" * 60


async def delays(api: httpx.AsyncClient, run: str, listeners: list[Listener], label: str) -> list[float]:
    """Milliseconds from a change of the run until each listener has it, for `CHANGES` changes; sorted."""
    found = []
    for number in range(CHANGES):
        mark = f"{label}-{number}-{LONGEST_NAME}"
        for each in listeners:
            each.mark = mark.encode()
            each.arrived.clear()
        start = time.monotonic()
        (await api.patch(f"/runs/{run}", json={"name": mark})).raise_for_status()
        while not all(each.arrived for each in listeners):
            assert time.monotonic() < start + 30
            await asyncio.sleep(0.005)
        found += [1000 * (each.arrived[0] - start) for each in listeners]
    return sorted(found)


def p95(values: list[float]) -> float:
    return values[int(0.95 * len(values))]


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_50_that_never_read_are_let_go_and_250_others_do_not_notice(tmp_path: Path) -> None:
    with running_server(tmp_path, "--workers", "1") as server:
        run = httpx.post(f"{server.url}/api/runs", json={"preset": "circle", "state": "paused"}, timeout=30).json()[
            "id"
        ]
        path = f"/api/runs/{run}/events"
        asyncio.run(scenario(server, run, path))
        with connect(server) as back:
            back.sendall(head("GET", path))
            assert eventually(lambda: b"event: state" in back.recv(65_536)) < 10, "who comes back gets the run as it is"
        assert not [line for line in server.lines if "Traceback" in line], "\n".join(server.lines)


async def scenario(server: Server, run: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=f"{server.url}/api", timeout=60) as api:
        listeners = [Listener(server.port, path, source=f"127.0.1.{1 + n % 200}") for n in range(LIVE)]
        for each in listeners:
            assert await each.connect() == 200
        tasks = [asyncio.create_task(each.read()) for each in listeners]
        await delays(api, run, listeners, "first")  # whatever is made ready at first use
        quiet = p95(await delays(api, run, listeners, "quiet"))
        held, grown = files(server), memory(server)
        with ExitStack() as stack:
            for number in range(STALLED):
                stalled = stack.enter_context(connect(server, source=f"127.0.2.{1 + number}", receive_buffer=4_096))
                stalled.sendall(head("GET", path))
            await asyncio.to_thread(eventually, lambda: files(server) >= held + STALLED)
            start = time.monotonic()
            beside = p95(await delays(api, run, listeners, "beside"))
            while files(server) > held:
                (await api.patch(f"/runs/{run}", json={"name": f"{time.monotonic()}"})).raise_for_status()
                assert time.monotonic() < start + 60
                await asyncio.sleep(0.2)
            gone = time.monotonic() - start
        grown = memory(server) - grown
        assert not any(task.done() for task in tasks), "no live one was let go"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in listeners:
            await each.cut()
    print(
        f"{STALLED} stalled gone after {gone:.1f} s; p95 of {LIVE} live {quiet:.0f} ms without, {beside:.0f} ms beside them; {grown / 2**20:.1f} MiB more"
    )
    note(
        "Slow readers",
        f"{STALLED} stalled beside {LIVE} live: gone after {gone:.0f} s, live p95 {beside / quiet:.2f} × ({quiet:.0f} and {beside:.0f} ms)",
        met=gone <= 30 and beside <= 1.5 * quiet,
    )
    assert gone <= 30
    assert beside < 5 * quiet + 100
    assert grown < 64 * 2**20
