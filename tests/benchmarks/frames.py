"""How old the plane's pictures are when they are painted, and what drawing them costs the training.

    .venv/bin/python -m tests.benchmarks.frames

A page in Chromium watches a run of 2-4-2 tanh at batch 10 train as fast as it goes: boundary 100×100, every neuron,
weights. A frame's age is the time from the worker's snapshot to the end of its painting, both by this machine's clock.
What drawing costs is the median ratio of updates per second with and without somebody watching, in turns: a page
elsewhere, which here only reads its stream, and Chromium on this machine, whose own painting takes processor time, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

from tests.browser.server import CHROMIUM, CHROMIUM_FLAGS, running_server

SPEC = {
    "dataset": {"name": "plane", "kind": "circle"},
    "network": [{"type": "dense", "units": 4}, {"type": "tanh"}, {"type": "dense", "units": 2}, {"type": "tanh"}, {"type": "dense", "units": 2}],
    "optimizer": {"name": "sgd", "learning_rate": 0.03},
    "batch_size": 10,
    "l2": 0,
    "state": "running",
}
WISH = {"plane": {"resolution": 100, "columns": [0, 1]}, "neurons": 20, "weights": True}

LISTEN = """
window.ages = [];
new PerformanceObserver(list => {
  for (const mark of list.getEntriesByName("painted"))
    if (mark.detail?.taken) window.ages.push(performance.timeOrigin + mark.startTime - mark.detail.taken);
}).observe({ type: "mark" });
"""


def updates_per_second(client: httpx.Client, run: str, seconds: float) -> float:
    before, started = client.get(f"/api/runs/{run}").json()["step"], time.perf_counter()
    time.sleep(seconds)
    after, ended = client.get(f"/api/runs/{run}").json()["step"], time.perf_counter()
    return float(after - before) / (ended - started)


@contextmanager
def watched_from_elsewhere(url: str, run: str) -> Iterator[list[int]]:
    """Reads the stream as a page on another machine would; the list grows by a number for each frame."""
    frames: list[int] = []
    done, joined = threading.Event(), threading.Event()

    def read() -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            client.put(f"/api/runs/{run}/watches/elsewhere", json=WISH).raise_for_status()
            with client.stream("GET", f"/api/runs/{run}/events?views=metrics,plane&watch=elsewhere") as stream:
                for line in stream.iter_lines():
                    joined.set()
                    if line.startswith("data:") and (event := json.loads(line[5:])).get("view") == "plane":
                        frames.append(event["step"])
                    if done.is_set():
                        return

    thread = threading.Thread(target=read)
    thread.start()
    joined.wait(10)
    yield frames
    done.set()
    thread.join()


def ages(page: Page, seconds: float) -> list[float]:
    page.evaluate("window.ages.length = 0")
    page.wait_for_timeout(1000 * seconds)
    measured: list[float] = page.evaluate("window.ages")
    return sorted(measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder)) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
        sync_playwright() as playwright,
    ):
        run = client.post("/api/runs", json=SPEC).raise_for_status().json()["id"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        alone, elsewhere, here, seen = [], [], [], []
        while client.get(f"/api/runs/{run}").json()["step"] == 0:
            time.sleep(0.1)
        for _ in range(options.rounds):
            alone.append(updates_per_second(client, run, options.seconds))
            with watched_from_elsewhere(server.url, run) as frames:
                elsewhere.append(updates_per_second(client, run, options.seconds))
            page = browser.new_page(viewport={"width": 1440, "height": 900}, bypass_csp=True)
            page.add_init_script(LISTEN)
            page.goto(f"{server.url}/plane?run={run}")
            page.wait_for_function("window.ages.length > 3")
            here.append(updates_per_second(client, run, options.seconds))
            seen += ages(page, options.seconds)
            page.close()
            print(
                f"alone {alone[-1]:8,.0f} updates/s   watched from elsewhere {elsewhere[-1]:8,.0f} "
                f"({len(frames) / options.seconds:.1f} frames/s)   by Chromium here {here[-1]:8,.0f}",
                flush=True,
            )
        seen.sort()
        for name, watched in (("from elsewhere", elsewhere), ("by Chromium here", here)):
            ratio = statistics.median(a / b for a, b in zip(watched, alone, strict=True))
            print(f"watched {name}: {ratio:.2f} of the updates")
        rate = len(seen) / (options.rounds * options.seconds)
        print(f"age of a painted frame, {len(seen)} frames, {rate:.1f} a second: "
              f"p50 {seen[len(seen) // 2]:.0f} ms, p95 {seen[int(len(seen) * 0.95)]:.0f} ms, oldest {seen[-1]:.0f} ms")  # fmt: skip
        browser.close()


if __name__ == "__main__":
    main()
