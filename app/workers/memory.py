"""A bound on a worker's memory, so that one run that takes too much is refused it, and not the whole machine.

Beyond the bound an allocation fails with MemoryError, which stops the one run that asked for it (app.workers.scheduler).
Without it, the system would end whichever process it likes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

SLACK_BYTES = 512 * 2**20
"""For what no estimate of a run counts: files on their way, frames, the spread of the allocator."""


def limit(bytes: int) -> None:
    """Allow so many bytes beyond what the worker has now, and some for its own affairs. Linux only: others do not count."""
    if sys.platform != "linux":
        return
    import resource

    square = np.ones((64, 64))
    square @ square  # BLAS takes its own memory once, at the first product, and does not survive a refusal
    _, highest = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = data_bytes() + bytes + SLACK_BYTES
    if highest == resource.RLIM_INFINITY or allowed < highest:
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, highest))


def data_bytes() -> int:
    """What this process has of memory that counts: private and writable."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
    return int(line.split()[1]) * 1024
