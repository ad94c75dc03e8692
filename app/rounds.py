"""How much the event loop takes on before it looks at the clock again.

asyncio serves all connections that have something to say in one round, and nothing else meanwhile: a thousand who press
Start in the same moment would hold up streams, timers and workers until the last of their requests was read.
"""

from __future__ import annotations

import asyncio
import selectors
from heapq import nsmallest
from itertools import count

AT_ONCE = 50
"""Connections served in one round; to read a request and begin with it takes some hundred microseconds."""


class Rounds(selectors.DefaultSelector):
    """Of many that are ready, those whose turn is longest ago; the others are ready still in the next round."""

    def __init__(self) -> None:
        super().__init__()
        self._turns: dict[int, int] = {}
        self._number = count(1)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout)
        if len(ready) <= AT_ONCE:
            return ready
        chosen = nsmallest(AT_ONCE, ready, key=lambda each: self._turns.get(each[0].fd, 0))
        self._turns.update((key.fd, next(self._number)) for key, _ in chosen)
        return chosen


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Where there are selectors; on Windows the system's own kind of loop."""
    loop = asyncio.new_event_loop()
    if not isinstance(loop, asyncio.SelectorEventLoop):
        return loop
    loop.close()
    return asyncio.SelectorEventLoop(Rounds())
