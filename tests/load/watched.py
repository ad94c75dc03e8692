"""The server as it is, with somebody at its side who knows how long its event loop stood still and what it holds.

    python -m tests.load.watched --port 0 --data FOLDER

At SIGUSR1 it prints one line of JSON: asyncio tasks, threads, streams, watches, and since the line before the longest stall
(seconds by the clock), the most that the loop computed without a pause (seconds of the processor: on a machine that
is busy otherwise a stall may be none of the server's) and the longest searches for garbage. It is no part of the server, so
nothing of this can be asked of a real one.
"""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import threading
import time
from typing import Any

EVERY = 0.01
MARK = "watched "


def main() -> int:
    from app import serve as serving
    from app.settings import Settings

    serve = serving.run

    async def run(app: Any, *rest: Any) -> None:
        watcher = asyncio.create_task(watch(app))
        try:
            await serve(app, *rest)
        finally:
            watcher.cancel()

    serving.run = run
    return serving.serve(Settings.from_command_line(sys.argv[1:]))


class Searches:
    """The longest searches for garbage, in seconds of the processor: among young objects, older ones, and all."""

    def __init__(self) -> None:
        self.longest, self._began = [0.0, 0.0, 0.0], 0.0

    def __call__(self, phase: str, of: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.longest[of["generation"]] = max(self.longest[of["generation"]], time.thread_time() - self._began)


async def watch(app: Any) -> None:
    loop = asyncio.get_running_loop()
    longest, busiest, telling = 0.0, 0.0, False
    searches = Searches()
    gc.callbacks.append(searches)

    def tell() -> None:
        nonlocal longest, busiest, telling
        told: dict[str, Any] = {"stall": longest, "computed": busiest, "garbage": list(searches.longest)}
        gc.collect()
        told["threads"] = threading.active_count()
        told["tasks"] = sum(not task.done() for task in asyncio.all_tasks()) - 1  # this one is not the server's
        told["streams"] = app.state.streams.open.total()
        told["watches"] = sum(len(run.watches) for run in app.state.runs._live.everybodys())
        longest, busiest, searches.longest, telling = 0.0, 0.0, [0.0, 0.0, 0.0], True
        print(MARK + json.dumps(told), flush=True)

    loop.add_signal_handler(signal.SIGUSR1, tell)
    while True:
        asleep, computed = time.perf_counter(), time.thread_time()
        await asyncio.sleep(EVERY)
        if not telling:  # which takes long
            longest = max(longest, time.perf_counter() - asleep - EVERY)
            busiest = max(busiest, time.thread_time() - computed)
        telling = False


if __name__ == "__main__":
    sys.exit(main())
