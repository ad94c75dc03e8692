"""Clients that vanish without a word, as laptops do whose lid is closed: their places are free within half a minute."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.browser.server import running_server
from tests.faults.figures import note
from tests.faults.sockets import eventually, files

HERE, THERE = "10.199.77.1", "10.199.77.2"
STREAMS = 20

CLIENT = """
import socket, sys
kept = []
for path in sys.argv[2:]:
    connection = socket.create_connection((sys.argv[1].split(":")[0], int(sys.argv[1].split(":")[1])), 20)
    connection.sendall(f"GET {path} HTTP/1.1\\r\\nHost: {sys.argv[1]}\\r\\n\\r\\n".encode() if path != "-" else b"GET / HT")
    assert path == "-" or connection.recv(65_536).startswith(b"HTTP/1.1 200")
    kept.append(connection)
print("connected", flush=True)
sys.stdin.read()
"""


def run_ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def reason() -> str | None:
    """Why there can be no second network here."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"):
        return "needs Linux, root and ip for a network of its own"
    name = f"nabla-probe-{os.getpid()}"
    try:
        run_ip("netns", "add", name)
    except (subprocess.CalledProcessError, OSError) as error:
        return f"no network of its own: {getattr(error, 'stderr', error)}"
    run_ip("netns", "del", name)
    return None


@contextmanager
def cable() -> Iterator[str]:
    """A network of its own at the end of a cable; `nabla<pid>` is our end."""
    name = f"nabla{os.getpid()}"[:13]
    run_ip("netns", "add", name)
    try:
        run_ip("link", "add", name, "type", "veth", "peer", "name", "eth", "netns", name)
        run_ip("addr", "add", f"{HERE}/30", "dev", name)
        run_ip("link", "set", name, "up")
        run_ip("-n", name, "addr", "add", f"{THERE}/30", "dev", "eth")
        run_ip("-n", name, "link", "set", "eth", "up")
        yield name
    finally:
        with suppress(subprocess.CalledProcessError):
            run_ip("link", "del", name)
        run_ip("netns", "del", name)


@pytest.mark.faults
@pytest.mark.timeout(240)
def test_a_client_whose_link_is_cut_is_let_go_and_its_run_goes_on(tmp_path: Path) -> None:
    if why := reason():
        pytest.skip(why)
    with (
        cable() as name,
        running_server(tmp_path, "--workers", "1", "--host", "0.0.0.0") as server,
        httpx.Client(base_url=f"{server.url}/api", timeout=60) as api,
    ):
        runs = [
            api.post("/runs", json={"preset": "circle", "state": state, "stop": {"steps": 10_000_000}}).json()["id"]
            for state in ("running", "paused")
        ]
        before = files(server)
        paths = [f"/api/runs/{run}/events" for run in runs for _ in range(STREAMS)]
        client = subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, "-c", CLIENT, f"{HERE}:{server.port}", *paths, *["-"] * 5],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == "connected\n"
            eventually(lambda: files(server) >= before + 2 * STREAMS)
            step = api.get(f"/runs/{runs[0]}").json()["step"]
            run_ip("link", "set", name, "down")
            start = time.monotonic()
            freed = eventually(lambda: files(server) <= before + STREAMS, 60)
            eventually(lambda: files(server) <= before, 60)
            all_freed = time.monotonic() - start
            assert api.get(f"/runs/{runs[0]}").json()["step"] > step, "the run goes on"
        finally:
            client.kill()
            client.communicate()
    print(
        f"{STREAMS} streams of a training run freed after {freed:.1f} s, {STREAMS} quiet ones after {all_freed:.1f} s at most"
    )
    note(
        "Vanished clients",
        f"link cut: streams of a training run freed after {freed:.0f} s, quiet ones after {all_freed:.0f} s",
        met=all_freed <= 30,
    )
    assert all_freed < 40
