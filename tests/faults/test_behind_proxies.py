"""Behind nginx and Caddy as they come, which may buffer answers and requests: streams arrive at once, refusals arrive at all."""

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
from typing import Any

import httpx
import pytest

from tests.browser.server import running_server
from tests.faults.listeners import Listener
from tests.faults.sockets import eventually

NGINX = """
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


CADDY = """
{{
  admin off
  auto_https off
}}
http://:{port} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{behind}
}}
"""


@contextmanager
def proxy(name: str, folder: Path, behind: int) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    folder.mkdir()
    file = folder / "configuration"
    user = "user root;" if os.geteuid() == 0 else ""  # or nginx would become somebody who may not write there
    text = {"nginx": NGINX, "caddy": CADDY}[name]
    file.write_text(text.format(user=user, folder=folder, port=port, behind=behind))
    start = {"nginx": ["-c", str(file)], "caddy": ["run", "--adapter", "caddyfile", "--config", str(file)]}[name]
    process = subprocess.Popen(
        [name, *start],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
    )
    try:
        eventually(lambda: listens(port))
        yield port
    finally:
        process.terminate()
        process.wait(20)


def if_installed(name: str, package: str) -> Any:
    missing = pytest.mark.skipif(not shutil.which(name), reason=f"there is no {name} here (apt install {package})")
    return pytest.param(name, marks=missing)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.faults
@pytest.mark.parametrize("name", [if_installed("nginx", "nginx-light"), if_installed("caddy", "caddy")])
def test_events_arrive_at_once_and_refusals_arrive_at_all(name: str, tmp_path: Path) -> None:
    with (
        running_server(tmp_path / "data", "--workers", "1") as server,
        proxy(name, tmp_path / "proxy", server.port) as port,
    ):
        median, longest = asyncio.run(behind(port, reads_refusals=name == "nginx"))
    print(f"behind {name}: a change arrives after {median:.0f} ms at the median, {longest:.0f} ms at most")
    assert median < 1_000, "a buffer would keep it until the next 8 KiB"


async def behind(port: int, *, reads_refusals: bool) -> tuple[float, float]:
    """Milliseconds from a change of a quiet run until its stream tells of it.

    `reads_refusals`: the proxy takes in the rest of a body that is answered before its end; Caddy cuts the connection.
    """
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
        if reads_refusals:
            large = await api.post("/models", content=b" " * (60 * 2**20), headers={"content-type": "text/plain"})
            assert (large.status_code, large.json()["code"]) == (413, "too_large")
        for origin, status in ((f"http://127.0.0.1:{port}", 201), ("http://evil.example", 403)):
            made = await api.post("/runs", json={"preset": "circle", "state": "paused"}, headers={"Origin": origin})
            assert made.status_code == status, origin
    times.sort()
    return times[len(times) // 2], times[-1]
