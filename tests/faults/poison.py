"""Ways for a worker to end, from within: what a test makes a worker do to itself, and a worker in which runs do it always."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from app.wire.points import no_points
from app.workers import process
from app.workers.messages import Progress


def leave(_: Any, code: int) -> Any:
    os._exit(code)
    yield


def resign(_: Any, code: int) -> Any:
    sys.exit(code)
    yield


def crash(_: Any) -> Any:
    ctypes.string_at(0)
    yield


def hang(_: Any) -> Any:
    while True:
        time.sleep(0.1)
    yield


def main(*arguments: Any) -> None:
    """A worker in which every run of the name `poison` crashes at update 40, in compiled code."""
    from app.workers.live_run import LiveRun

    work = LiveRun.work

    def poisoned(run: LiveRun, seconds: float) -> None:
        work(run, seconds)
        if run.trainer.spec.name == "poison" and run.trainer.steps >= 40:
            ctypes.string_at(0)

    LiveRun.work = poisoned  # type: ignore[method-assign]
    process.main(*arguments)


FLOOD = 50_000


def flood(*arguments: Any) -> None:
    """A worker that tells of each of its runs as often as it can, many thousand times a second, once one is asked anything."""
    from app.workers.live_run import LiveRun

    work = LiveRun.work

    def telling(run: LiveRun, seconds: float) -> None:
        work(run, seconds)
        send: Callable[[Any], None] = run._send
        for number in range(FLOOD):
            send(Progress(run.id, run.snapshot() | {"seconds": run.recorder.seconds + number / FLOOD}, no_points()))

    LiveRun.work = telling  # type: ignore[method-assign]
    process.main(*arguments)
