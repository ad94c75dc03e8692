"""From a worker's thread to the event loop: in order, many at once, and never faster than the loop can take them.

A thousand notifications of a second do not become a thousand wake-ups: whatever waits is taken in turns of a few
milliseconds, between which pages are served. When much waits, the thread waits, too; so the pipe fills, and the worker
is slowed by it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from threading import Condition
from time import monotonic
from typing import Any

MOST_WAITING = 1_000
TURN_SECONDS = 0.005
WAIT_SECONDS = 1.0
"""Between two looks at whether the loop is still there."""


class Handover:
    """`put` in the thread, `take` on the loop, once for each."""

    def __init__(self, loop: asyncio.AbstractEventLoop, take: Callable[[Any], None]) -> None:
        self._loop, self._take = loop, take
        self._waiting: deque[Any] = deque()
        self._room = Condition()
        self._announced = False

    def put(self, item: Any) -> bool:
        """Wait for room. False when there is nobody left to tell: the loop was closed."""
        with self._room:
            while len(self._waiting) >= MOST_WAITING and not self._loop.is_closed():
                self._room.wait(WAIT_SECONDS)
            self._waiting.append(item)
            announced, self._announced = self._announced, True
        try:
            if not announced:
                self._loop.call_soon_threadsafe(self._take_some)
        except RuntimeError:
            return False
        return not self._loop.is_closed()

    def _take_some(self) -> None:
        """What an item does wrong is told by the loop, as for any callback; the next ones are taken all the same."""
        until = monotonic() + TURN_SECONDS
        try:
            while self._waiting:
                self._take(self._waiting.popleft())
                if monotonic() >= until:
                    break
        finally:
            with self._room:
                self._announced = bool(self._waiting)
                self._room.notify_all()
            if self._announced:
                self._loop.call_soon(self._take_some)
