"""Tells the log when the event loop stood still: nobody was answered and no stream moved meanwhile.

Everybody is served by one loop, so a function that computes for 200 ms, or waits for a disk, makes 300 people wait. The
loop writes down the time at every tick; a thread beside it looks in, and where the tick is overdue takes down what the loop
is doing. How much of the time the loop's own thread computed tells its fault from that of a machine that had no core free.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType

STALL_SECONDS = 0.1
TICK_SECONDS = 0.02
OVERDUE_SECONDS = 0.06
"""When the thread takes down where the loop is: before a stall is one, as a moment after it is too late."""

ROOT = Path(__file__).resolve().parent.parent

log = logging.getLogger("nabla.watchdog")


class Watchdog:
    """`tick` belongs to the loop and `look` to the thread; each writes only attributes that the other merely reads."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.ticked = time.monotonic()
        self.seen: tuple[float, str] = (0.0, "")
        self.ended = threading.Event()

    async def tick(self) -> None:
        while True:
            start, computed = self.ticked, time.thread_time()
            await asyncio.sleep(TICK_SECONDS)
            self.ticked = time.monotonic()
            stood = self.ticked - start - TICK_SECONDS
            if stood > STALL_SECONDS:
                computed = time.thread_time() - computed
                tick, where = self.seen
                where = where if tick == start else ""
                # Between two things to do it is the machine that had no core free, and nobody's fault here.
                log.log(
                    logging.WARNING if where or computed > STALL_SECONDS else logging.INFO,
                    "the event loop stood still for %d ms, computing for %d ms of them%s",
                    stood * 1e3,
                    computed * 1e3,
                    f", in {where}" if where else "",
                )

    def look(self) -> None:
        while not self.ended.wait(OVERDUE_SECONDS / 2):
            tick = self.ticked
            if time.monotonic() - tick > TICK_SECONDS + OVERDUE_SECONDS and self.seen[0] != tick:
                self.seen = (tick, place(sys._current_frames().get(self.thread)))


def place(frame: FrameType | None) -> str:
    """The innermost function of this program that the loop is in, as `app/routes/bodies.py:81 read_json`."""
    while frame is not None and frame.f_code.co_name != "_run_once":  # beyond it is who started the loop
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT / "app") or path.is_relative_to(ROOT / "engine"):
            return f"{path.relative_to(ROOT).as_posix()}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return ""


@asynccontextmanager
async def watching() -> AsyncIterator[None]:
    """The loop is watched while this lasts."""
    watchdog = Watchdog()
    thread = threading.Thread(target=watchdog.look, name="watchdog", daemon=True)
    ticking = asyncio.create_task(watchdog.tick())
    thread.start()
    try:
        yield
    finally:
        watchdog.ended.set()
        ticking.cancel()
        thread.join()
