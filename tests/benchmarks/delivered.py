"""How fast the network learns as a visitor gets it: server running, page open and drawing, against PyTorch eager.

    .venv/bin/pip install -e '.[peers]'
    .venv/bin/python -m tests.benchmarks.delivered

Both train convnetjs's MNIST network at batch 20 with Adadelta. They take turns within one run, a few seconds each, so
that both meet the same machine; the ratio is the median over the rounds. PyTorch gets its best setting of the round: one
thread or two, and it trains on one fixed batch of random numbers (no data loading), which flatters it.
Then `/api/health` is asked every 10 ms while two runs train.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright

from tests.browser.server import CHROMIUM, CHROMIUM_FLAGS, running_server

PEER = """
import sys, time, torch
threads = int(sys.argv[1]); torch.set_num_threads(threads)
nn = torch.nn
net = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 5, padding=2), nn.ReLU(),
                    nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10)).to(memory_format=torch.channels_last)
optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0, rho=0.95, eps=1e-6, weight_decay=0.001)
x = torch.rand(20, 1, 24, 24).to(memory_format=torch.channels_last); y = torch.randint(0, 10, (20,)); loss = nn.CrossEntropyLoss()
def step():
    optimizer.zero_grad(set_to_none=True); loss(net(x), y).backward(); optimizer.step()
for _ in range(20): step()
print("ready", flush=True)
for line in sys.stdin:
    end, start, steps = time.perf_counter() + float(line), time.perf_counter(), 0
    while time.perf_counter() < end: step(); steps += 1
    print(20 * steps / (time.perf_counter() - start), flush=True)
"""


class PyTorch:
    """A process that has its network ready and trains for as long as it is told."""

    def __init__(self, threads: int) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", PEER, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.read() == "ready"

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def examples_per_second(self, seconds: float) -> float:
        assert self.process.stdin is not None
        print(seconds, file=self.process.stdin, flush=True)
        return float(self.read())


@contextmanager
def open_page(url: str) -> Iterator[None]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(url)
        page.wait_for_selector("loss-chart")
        yield
        browser.close()


def delivered(client: httpx.Client, run: str, seconds: float) -> float:
    """Examples per second of wall time, from the run's own count of examples."""
    client.patch(f"/api/runs/{run}", json={"state": "running"}).raise_for_status()
    before, started = client.get(f"/api/runs/{run}").json()["examples"], time.perf_counter()
    time.sleep(seconds)
    after, ended = client.patch(f"/api/runs/{run}", json={"state": "paused"}).raise_for_status().json()["examples"], time.perf_counter()
    return float(after - before) / (ended - started)


def health_milliseconds(client: httpx.Client, seconds: float) -> list[float]:
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        client.get("/api/health").raise_for_status()
        times.append(1000 * (time.perf_counter() - started))
        time.sleep(0.01)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    peers = {threads: PyTorch(threads) for threads in (1, 2)}
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        spec = {"preset": "digits", "stop": {}, "state": "paused"}
        run = client.post("/api/runs", json=spec).raise_for_status().json()["id"]
        ours, theirs = [], []
        with open_page(f"{server.url}/?run={run}"):
            for _ in range(options.rounds):
                ours.append(delivered(client, run, options.seconds))
                theirs.append(max(peer.examples_per_second(options.seconds / 2) for peer in peers.values()))
                print(f"Nabla, page open {ours[-1]:8,.0f} examples/s   PyTorch eager {theirs[-1]:8,.0f}   {ours[-1] / theirs[-1]:.2f} x", flush=True)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        print(f"median           {statistics.median(ours):8,.0f} examples/s   PyTorch eager {statistics.median(theirs):8,.0f}   {ratio:.2f} x")
        for peer in peers.values():
            peer.process.kill()
        other = client.post("/api/runs", json=spec | {"seed": 2}).raise_for_status().json()["id"]
        for name in (run, other):
            client.patch(f"/api/runs/{name}", json={"state": "running"}).raise_for_status()
        times = sorted(health_milliseconds(client, 15))
        print(f"/api/health with two runs training, {len(times)} times: p50 {times[len(times) // 2]:.1f} ms, p99 {times[int(len(times) * 0.99)]:.1f} ms, slowest {times[-1]:.1f} ms")


if __name__ == "__main__":
    main()
