"""Behind nginx as it comes, which buffers answers and requests: streams arrive at once, refusals arrive at all."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.browser.server import running_server
from tests.faults.listeners import Listener
from tests.faults.sockets import eventually

CONFIGURATION = """
{user}
pid {folder}/pid;
error_log {folder}/errors;
daemon off;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 100m;
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, behind: int) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    folder.mkdir()
    file = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # or it would become somebody who may not write there
    file.write_text(CONFIGURATION.format(user=user, folder=folder, port=port, behind=behind))
    process = subprocess.Popen(["nginx", "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: listens(port))
        yield port
    finally:
        process.terminate()
        process.wait(20)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.faults
@pytest.mark.skipif(not shutil.which("nginx"), reason="there is no nginx here (apt install nginx-light)")
def test_events_arrive_at_once_and_refusals_arrive_at_all(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", "--workers", "1") as server, nginx(tmp_path / "nginx", server.port) as port:
        median, longest = asyncio.run(behind(port))
    print(f"behind nginx: a change arrives after {median:.0f} ms at the median, {longest:.0f} ms at most")
    assert median < 1_000, "a buffer would keep it until the next 8 KiB"


async def behind(port: int) -> tuple[float, float]:
    """Milliseconds from a change of a quiet run until its stream tells of it."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api", timeout=60) as api:
        run = (await api.post("/runs", json={"preset": "circle", "state": "paused"})).json()["id"]
        listener = Listener(port, f"/api/runs/{run}/events?views=metrics")
        assert await listener.connect() == 200
        reading = asyncio.create_task(listener.read())
        times = []
        for number in range(20):
            listener.mark = f'"name":"{number}"'.encode()
            listener.arrived.clear()
            start = time.monotonic()
            (await api.patch(f"/runs/{run}", json={"name": f"{number}"})).raise_for_status()
            while not listener.arrived:
                assert time.monotonic() < start + 20, "it is kept somewhere"
                await asyncio.sleep(0.002)
            times.append(1000 * (listener.arrived[0] - start))
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await listener.cut()
        large = await api.post("/models", content=b" " * (60 * 2**20), headers={"content-type": "text/plain"})
        assert (large.status_code, large.json()["code"]) == (413, "too_large")
        for origin, status in ((f"http://127.0.0.1:{port}", 201), ("http://evil.example", 403)):
            made = await api.post("/runs", json={"preset": "circle", "state": "paused"}, headers={"Origin": origin})
            assert made.status_code == status, origin
    times.sort()
    return times[len(times) // 2], times[-1]
