"""Told to stop with a class watching: everybody is told, nothing new is begun, and the server is gone within 3 s."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.browser.server import Server, running_server
from tests.faults.figures import note
from tests.faults.listeners import Listener
from tests.faults.sockets import connect, eventually, head

STREAMS, STALLED = 300, 20
ENDLESS = {"preset": "circle", "stop": {"steps": 10_000_000}}


def children(server: Server) -> list[int]:
    found = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(pid) for pid in found]


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.faults
@pytest.mark.timeout(200)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_300_streams_and_20_that_never_read_end_in_time(tmp_path: Path, how: signal.Signals) -> None:
    with running_server(tmp_path, "--workers", "2") as server:
        with httpx.Client(base_url=f"{server.url}/api", timeout=60) as api:
            runs = [api.post("/runs", json=ENDLESS | {"seed": seed}).json()["id"] for seed in range(5)]
        workers = children(server)
        seconds, farewells, statuses = asyncio.run(told_to_stop(server, runs, how))
        assert server.process.returncode == 0
        assert farewells == STREAMS
        assert set(statuses) <= {0, 201, 503}, "begun before, refused in words, or not even connected"
        assert 503 in statuses or 0 in statuses
        eventually(lambda: not any(is_there(pid) for pid in workers), 10)
        assert not [line for line in server.lines if "Traceback" in line], "\n".join(server.lines)
    made = statuses.count(201)
    with (
        running_server(tmp_path, "--workers", "1") as server,
        httpx.Client(base_url=f"{server.url}/api", timeout=60) as api,
    ):
        assert len(api.get("/runs?limit=100").json()["items"]) == len(runs) + made, "whatever was acknowledged is there"
        for run in runs:
            eventually(lambda run=run: api.get(f"/runs/{run}").json()["state"] == "running")
    print(f"{how.name}: exit 0 after {seconds:.2f} s; new runs meanwhile {dict.fromkeys(statuses)}")
    note(
        "Shutdown",
        f"{how.name} with {STREAMS} streams and {STALLED} that never read: exit 0 after {seconds:.1f} s, all told",
        met=seconds <= 3,
    )
    assert seconds < 15


async def told_to_stop(server: Server, runs: list[str], how: signal.Signals) -> tuple[float, int, list[int]]:
    """Seconds until it is gone, how many streams were told so, and how those who came meanwhile were answered."""
    listeners = [
        Listener(server.port, f"/api/runs/{runs[n % len(runs)]}/events", source=f"127.0.1.{1 + n % 200}")
        for n in range(STREAMS)
    ]
    for each in listeners:
        assert await each.connect() == 200
    reading = [asyncio.create_task(each.read()) for each in listeners]
    with ExitStack() as stack:
        for number in range(STALLED):
            stalled = stack.enter_context(connect(server, source=f"127.0.2.{1 + number}", receive_buffer=4_096))
            stalled.sendall(head("GET", f"/api/runs/{runs[0]}/events"))
        kept = [stack.enter_context(connect(server, source="127.0.3.1")) for _ in range(20)]
        for each in kept:
            each.sendall(head("GET", "/api/health"))
            assert each.recv(65_536).startswith(b"HTTP/1.1 200")
        start = time.monotonic()
        server.process.send_signal(how)
        statuses = await asyncio.to_thread(lambda: [posted(each) for each in kept])
        await asyncio.to_thread(server.process.wait, 60)
        seconds = time.monotonic() - start
    await asyncio.gather(*reading, return_exceptions=True)
    for each in listeners:
        await each.cut()
    return seconds, sum(each.kept.names[-1:] == ["close"] for each in listeners), statuses


def posted(connection: socket.socket) -> int:
    """The status of a new run that is asked for on a connection that was kept; 0 when it has been closed."""
    body = b'{"preset": "circle", "state": "paused"}'
    try:
        connection.sendall(
            head("POST", "/api/runs", "Content-Type: application/json", f"Content-Length: {len(body)}") + body
        )
        answer = connection.recv(65_536)
    except OSError:
        return 0
    if b" 503 " in answer[:20]:
        assert b"retry-after" in answer
        assert b'"stopping"' in answer
    return int(answer[9:12]) if answer.startswith(b"HTTP") else 0


@pytest.mark.faults
@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_second_time_it_is_gone_at_once_and_its_workers_too(tmp_path: Path, how: signal.Signals) -> None:
    with (
        running_server(tmp_path, "--workers", "2") as server,
        httpx.Client(base_url=f"{server.url}/api", timeout=60) as api,
    ):
        runs = [api.post("/runs", json={"preset": "digits", "seed": seed}).json()["id"] for seed in range(2)]
        eventually(lambda: all(api.get(f"/runs/{run}").json()["step"] > 0 for run in runs))
        workers = children(server)
        os.kill(server.process.pid, signal.SIGSTOP)  # both are there before it looks at the first
        os.kill(server.process.pid, how)
        os.kill(server.process.pid, signal.SIGCONT)
        eventually(lambda: "stopping" in tried(api, runs[0]) or server.process.poll() is not None)
        start = time.monotonic()
        server.process.send_signal(how)
        code = server.process.wait(20)
        seconds = time.monotonic() - start
        eventually(lambda: not any(is_there(pid) for pid in workers), 10)
    print(f"{how.name} twice: exit {code} after {seconds:.2f} s")
    assert code in (128 + how, 0), "0 where the first was enough meanwhile"
    assert seconds < 5


def tried(api: httpx.Client, run: str) -> str:
    """What a stream is told; nothing where nobody listens any more."""
    try:
        with api.stream("GET", f"/runs/{run}/events") as answer:
            return answer.read().decode() if answer.status_code == 503 else ""
    except httpx.TransportError:
        return "stopping"
