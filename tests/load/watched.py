"""The server as it is, with somebody at its side who knows how long its event loop stood still and what it holds.

    python -m tests.load.watched --port 0 --data FOLDER

At SIGUSR1 it prints one line of JSON: asyncio tasks, threads, the longest stall since the line before (seconds), streams
and watches. It is no part of the server, so nothing of this can be asked of a real one.
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


async def watch(app: Any) -> None:
    loop, longest = asyncio.get_running_loop(), 0.0

    def tell() -> None:
        nonlocal longest
        gc.collect()
        tasks = sum(not task.done() for task in asyncio.all_tasks()) - 1  # this one is not the server's
        held = app.state.runs._live._held.values()
        told = {
            "tasks": tasks,
            "threads": threading.active_count(),
            "stall": round(longest, 4),
            "streams": app.state.streams.open.total(),
            "watches": sum(len(run.watches) for run in held),
        }
        longest = 0.0
        print(MARK + json.dumps(told), flush=True)

    loop.add_signal_handler(signal.SIGUSR1, tell)
    while True:
        asleep = time.perf_counter()
        await asyncio.sleep(EVERY)
        longest = max(longest, time.perf_counter() - asleep - EVERY)


if __name__ == "__main__":
    sys.exit(main())
