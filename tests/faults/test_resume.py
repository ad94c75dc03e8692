"""Streams that are cut anywhere: whoever comes back ends up with exactly the run's points, whatever id is named."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.main import create_app
from app.settings import Limits, Settings
from tests.browser.server import Server, running_server, start_server
from tests.faults.figures import note
from tests.faults.listeners import Listener
from tests.faults.routes import flat
from tests.faults.sockets import connect, head

RUN = {"preset": "circle", "state": "running", "stop": {"steps": 10_000_000}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("data"), "--workers", "1") as started:
        yield started
    assert not [line for line in started.lines if "Traceback" in line], "\n".join(started.lines)


def random_cuts(server: Server, cuts: int, seed: int) -> dict[str, int]:
    """A run in training whose stream is cut at random bytes, and which is reset now and then."""
    chance = random.Random(seed)
    seen = {"cuts": 0, "in an event": 0, "resets": 0, "points": 0}

    async def scenario() -> None:
        async with httpx.AsyncClient(base_url=f"{server.url}/api", timeout=60) as api:
            run = (await api.post("/runs", json=RUN)).json()["id"]
            (await api.patch(f"/runs/{run}", json={"updates_per_second": 1_000})).raise_for_status()
            page = Listener(server.port, f"/api/runs/{run}/events?views=metrics")
            for number in range(cuts):
                if number % 40 == 39:  # the run begins anew, and what it has told is no longer so
                    (await api.post(f"/runs/{run}/reset", json={})).raise_for_status()
                    (await api.patch(f"/runs/{run}", json={"state": "running"})).raise_for_status()
                    seen["resets"] += 1
                known = page.kept.generation, len(page.kept.steps)
                assert await page.connect() == 200
                await page.read(most=chance.choice((1, 500, 2_500, 3_500, 5_000)) + chance.randrange(500))
                await page.cut()
                seen["cuts"] += 1
                seen["in an event"] += bool(page.rest)
                assert page.kept.steps == sorted(set(page.kept.steps)), "nothing twice, nothing out of order"
                assert page.kept.generation != known[0] or len(page.kept.steps) >= known[1]
            (await api.patch(f"/runs/{run}", json={"state": "paused"})).raise_for_status()
            truth = (await api.get(f"/runs/{run}/metrics")).json()
            generation = (await api.get(f"/runs/{run}")).json()["generation"]
            assert await page.connect() == 200
            await page.read(
                until=lambda: (page.kept.generation, page.kept.steps[-1:]) == (generation, truth["step"][-1:])
            )
            await page.cut()
            assert page.kept.steps == truth["step"]
            assert page.kept.losses == truth["train_loss"]
            seen["points"] = len(truth["step"])
            for last_id in foreign_ids(generation, len(truth["step"])):
                stranger = Listener(server.port, page.path)
                assert await stranger.connect(last_id) == 200, last_id
                await stranger.read(until=lambda kept=stranger.kept: kept.steps[-1:] == truth["step"][-1:])
                await stranger.cut()
                assert stranger.kept.names[0] == "state"
                assert stranger.kept.steps == truth["step"], f"{last_id}: everything again"
            (await api.delete(f"/runs/{run}")).raise_for_status()

    asyncio.run(asyncio.wait_for(scenario(), 1_000))
    return seen


def foreign_ids(generation: int, rows: int) -> list[str]:
    """Of another run, of another generation, of the future, and of nothing at all."""
    return [
        "7", "0", "latest", "-1--1", f"{generation + 1}-1", f"{generation}-{rows + 1}", f"{generation}-{10**11}",
        f"{generation}-0x1", "%00", "'; drop table runs", "9" * 80,
    ]  # fmt: skip


def test_random_cuts_lose_double_and_mix_up_nothing(server: Server) -> None:
    seen = random_cuts(server, 50, seed=1)
    assert (seen["cuts"], seen["resets"]) == (50, 1)
    assert seen["points"] > 0
    assert seen["in an event"] > 5


def test_an_id_that_is_far_too_long_is_refused(server: Server) -> None:
    run = httpx.post(f"{server.url}/api/runs", json=RUN | {"state": "paused"}, timeout=30).json()["id"]
    path = f"{server.url}/api/runs/{run}/events"
    assert httpx.get(path, headers={"Last-Event-ID": "1" * 81}, timeout=30).status_code == 422


def test_every_stream_is_neither_kept_nor_buffered_on_its_way(server: Server) -> None:
    app = create_app(Settings())
    paths = sorted({route.path for route in flat(app.routes) if getattr(route, "path", "").endswith("/events")})
    told = sorted(
        path
        for path, operations in app.openapi()["paths"].items()
        for operation in operations.values()
        if "text/event-stream" in operation["responses"].get("200", {}).get("content", {})
    )
    assert paths == told, "every route that streams is one that this test asks"
    run = httpx.post(f"{server.url}/api/runs", json=RUN | {"state": "paused"}, timeout=30).json()["id"]
    for path in paths:
        if path.startswith("/api/class"):  # answered by the same `EventStream`, where there is a class
            assert httpx.get(f"{server.url}{path}", timeout=30).status_code == 404
            continue
        with connect(server) as stream:
            stream.sendall(head("GET", path.replace("{id}", run) + ("" if "{id}" in path else f"?run={run}")))
            got = b""
            while b"event: state" not in got:
                got += (chunk := stream.recv(65_536))
                assert chunk, path
        lines = got.lower().partition(b"\r\n\r\n")[0].split(b"\r\n")
        assert lines[0].startswith(b"http/1.1 200"), path
        assert {b"x-accel-buffering: no", b"cache-control: no-store", b"transfer-encoding: chunked"} <= set(lines)
        assert any(line.startswith(b"content-type: text/event-stream") for line in lines)
        assert not any(line.startswith((b"content-length", b"content-encoding")) for line in lines)
    assert Limits().ping_seconds <= 15, "sooner than a proxy gives a quiet connection up"


# ---- For long ------------------------------------------------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.timeout(1_200)
def test_a_thousand_random_cuts(server: Server) -> None:
    start = time.monotonic()
    seen = [random_cuts(server, 260, seed=seed) for seed in range(2, 6)]
    total = {key: sum(each[key] for each in seen) for key in seen[0]}
    print(f"{total} in {time.monotonic() - start:.0f} s")
    note(
        "Resume",
        f"{total['cuts']:,} cuts, {total['in an event']:,} of them within an event, {total['resets']} resets: 0 lost, doubled or out of order",
        met=total["cuts"] >= 1_000,
    )


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_300_clients_are_back_after_a_restart_and_come_only_once(tmp_path: Path) -> None:
    """Half of them as `retry:` tells them, half as the pages do."""
    clients = 300
    server = start_server(tmp_path, "--workers", "1")
    port = server.port
    run = httpx.post(f"{server.url}/api/runs", json=RUN | {"state": "paused"}, timeout=30).json()["id"]

    async def scenario() -> tuple[float, float]:
        nonlocal server
        listeners = [Listener(port, f"/api/runs/{run}/events", source=f"127.0.1.{1 + n % 200}") for n in range(clients)]
        tasks = [asyncio.create_task(each.stay(0.5 if n % 2 else None)) for n, each in enumerate(listeners)]

        async def all_have(connections: int) -> None:
            async with asyncio.timeout(60):
                while any(len(each.kept.retries) < connections for each in listeners):
                    await asyncio.sleep(0.02)

        await all_have(1)
        start = time.monotonic()
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        server = await asyncio.to_thread(start_server, tmp_path, "--workers", "1", port=port)
        up = time.monotonic() - start
        await all_have(2)
        back = time.monotonic() - start
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as api:
            for _ in range(10):  # whoever were thrown out again would be here a third time
                assert (await api.get("/runs")).status_code == 200
                await asyncio.sleep(0.5)
        assert [each.connections for each in listeners] == [2] * clients
        assert sum(each.refused for each in listeners) == 0
        retries = {each.kept.retries[-1] for each in listeners}
        assert min(retries) >= 2_000
        assert max(retries) <= 5_000
        assert len(retries) > 200, "not all at the same moment"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in listeners:
            await each.cut()
        return up, back

    try:
        up, back = asyncio.run(scenario())
    finally:
        if server.process.poll() is None:
            server.stop()
    print(f"listens again after {up:.1f} s, all {clients} back after {back:.1f} s")
    note(
        "Resume",
        f"restart under {clients} clients: all back after {back:.1f} s (it listened after {up:.1f} s), each once",
        met=back <= 15,
    )
    assert back - up <= 30
