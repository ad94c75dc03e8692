"""How a worker ended, in words: what happened, as far as it is known, and what follows from it."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal

Cause = Literal["signal", "exit", "hang", "lost"]

OUT_OF_MEMORY = 112
"""The exit code of a worker that had no memory left for its own affairs."""


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """`code` as multiprocessing gives it: negative is the signal's number. `message` is for the person."""

    code: int | None
    cause: Cause
    message: str


def classify(code: int | None, *, hung: bool) -> WorkerExit:
    """The end of a worker, without guessing: nothing is called "out of memory" for a mere SIGKILL."""
    if hung:
        return WorkerExit(code, "hang", "The worker gave no sign of life and was ended.")
    if code is not None and code < 0:
        name = signal_name(-code)
        if -code == signal.SIGKILL:
            why = "something outside of this program ended it; the system does this too when memory runs out"
        elif -code in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT):
            why = "it crashed in compiled code"
        else:
            why = "something outside of this program ended it"
        return WorkerExit(code, "signal", f"The worker was ended by {name}: {why}.")
    if code == OUT_OF_MEMORY:
        return WorkerExit(code, "exit", "The worker had no memory left.")
    return WorkerExit(code, "exit", f"The worker ended by itself with exit code {code}.")


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
