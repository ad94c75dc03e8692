"""What runs first in a worker process: its manners, its ear on the pipe, then the scheduler.

A worker never outlives its server: on Linux the kernel ends it when the server dies, everywhere else the closed pipe
does. It leaves Ctrl-C and SIGTERM to the server, which tells it to save its runs, and it yields to everything else on
the machine (nice 10), so that pages stay quick while every core trains.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from app.workers.exits import OUT_OF_MEMORY

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""To stand in the environment before NumPy is imported: there are as many workers as cores already."""

PR_SET_PDEATHSIG = 1
NICENESS = 10


class Pulse(ctypes.Structure):
    """Memory shared with the server, so that a worker's last moments can be read after its death.

    `beat` counts signs of life; `allowance` is how many seconds the next one may take; `run` is the run being worked on.
    """

    _fields_ = (("beat", ctypes.c_uint64), ("allowance", ctypes.c_double), ("run", ctypes.c_char * 32))


@dataclass(frozen=True, slots=True)
class Bounds:
    """A run trains for `run_seconds` until somebody says again that it should; all open runs together need `memory_bytes`."""

    run_seconds: float
    memory_bytes: int


def main(connection: Connection, pulse: Pulse, server: int, folder: Path, bounds: Bounds) -> None:
    """`server` is the process id of who started this worker, `folder` where its checkpoints go."""
    behave(server)
    # Only now: importing NumPy takes a while, in which the server could die unnoticed.
    from app.workers import memory
    from app.workers.scheduler import Scheduler

    inbox: SimpleQueue[object] = SimpleQueue()
    threading.Thread(target=listen, args=(connection, inbox), name="ear", daemon=True).start()
    mouth = threading.Lock()

    def send(notification: object) -> None:
        with mouth:
            try:
                connection.send(notification)
            except OSError:  # the server is gone, which is no fault of the run that has something to tell
                os._exit(1)

    memory.limit(bounds.memory_bytes)
    try:
        Scheduler(inbox, send, pulse, folder, bounds).run()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    os._exit(0)  # all is saved and told; taking hundreds of networks apart would make the server wait for seconds


def behave(server: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:  # it died before we could ask to be told
        os._exit(1)
    if hasattr(os, "nice"):
        os.nice(NICENESS)


def listen(connection: Connection, inbox: SimpleQueue[object]) -> None:
    """Commands into the inbox; when the pipe is closed the server is gone, and nothing is left to work for.

    A worker never goes on deaf: whatever else ends this thread ends the worker, too.
    """
    try:
        while True:
            inbox.put(connection.recv())
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    finally:
        os._exit(1)
