"""Many who want something in the same moment, and an event loop that has others to serve, too.

A thousand who press Start at once would hold up all streams until the last of them was served. So some go on in one round
of the loop, and the others, in order, in the rounds after it; whatever else there is to do has its turn between them.
"""

from __future__ import annotations

import asyncio
from collections import deque

TOGETHER = 20
"""Who go on in one round; what they do then takes a third of a millisecond each."""


class Crowd:
    """All who come to the same point."""

    def __init__(self) -> None:
        self._gone_on = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Wait for it: no time at all, unless there is a crowd."""
        loop = asyncio.get_running_loop()
        if self._gone_on < TOGETHER:
            if not self._gone_on:
                loop.call_soon(self._next_round)
            self._gone_on += 1
            return
        called: asyncio.Future[None] = loop.create_future()
        self._waiting.append(called)
        await called

    def _next_round(self) -> None:
        self._gone_on = 0
        while self._waiting and self._gone_on < TOGETHER:
            called = self._waiting.popleft()
            if not called.done():
                called.set_result(None)
                self._gone_on += 1
        if self._gone_on:
            asyncio.get_running_loop().call_soon(self._next_round)
