"""Streams and watches: frames are drawn for a watch while one of its streams is open, and for no longer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from app.errors import Busy, Problem
from app.services.held import Held, HeldWatch
from app.services.live import LiveRuns
from app.settings import Limits
from app.workers.messages import EndWatch, SetWatch
from app.workers.pool import Pool, PoolBusyError

log = logging.getLogger(__name__)


class Watching:
    """A page sets its watch by one request and opens its stream by another, in any order."""

    def __init__(self, live: LiveRuns, pool: Pool, limits: Limits) -> None:
        self._live, self._pool, self._limits = live, pool, limits

    async def watch(self, held: Held, name: str, value: dict[str, Any]) -> None:
        """What a page looks at from now on; without a stream of its own the watch lives for the grace time."""
        if name not in held.watches and len(held.watches) >= self._limits.watches_per_run:
            raise Busy(f"{self._limits.watches_per_run} pages look at this run already.", status=429, retry_after=30)
        watch = held.watches.setdefault(name, HeldWatch())
        watch.value = value
        try:
            await self._live.ask(held, SetWatch(run=held.id, watch=name, value=value))
        finally:
            if not watch.streams:
                self._rest(held, name, watch)

    async def stream(
        self, held: Sequence[Held], watch: str | None, events: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """One page's stream of `events`. Its watch of each run is alive from its first byte to the closing of this iterator."""
        joined = False
        try:
            async with aclosing(events):  # type: ignore[type-var]
                async for chunk in events:
                    if watch is not None and not joined:
                        joined = True
                        for run in held:
                            self._join(run, watch)
                    yield chunk
        finally:
            if joined and watch is not None:
                for run in held:
                    self._leave(run, watch)

    def _join(self, held: Held, name: str) -> None:
        watch = held.watches.setdefault(name, HeldWatch())
        watch.streams += 1
        if watch.expiry is not None:
            watch.expiry.cancel()
            watch.expiry = None
        if watch.value is not None and watch.streams == 1:
            self._live.in_background(self._show(held, name, watch.value))

    async def _show(self, held: Held, name: str, value: dict[str, Any]) -> None:
        try:
            await self._live.ask(held, SetWatch(run=held.id, watch=name, value=value))
        except Problem as problem:
            log.info("a watch of run %s shows nothing: %s", held.id, problem.detail)

    def _leave(self, held: Held, name: str) -> None:
        watch = held.watches[name]
        watch.streams -= 1
        if not watch.streams:
            self._rest(held, name, watch)

    def _rest(self, held: Held, name: str, watch: HeldWatch) -> None:
        """No stream: no frames are drawn, and after the grace time the watch is forgotten."""
        if self._pool.is_settled(held.id) and not self._live.closing:
            try:
                self._pool.tell(EndWatch(run=held.id, watch=name))
            except PoolBusyError:
                log.warning("a watch could not be ended; it ends with its run's home")
        if watch.expiry is not None:
            watch.expiry.cancel()
        watch.expiry = asyncio.get_running_loop().call_later(self._limits.watch_grace, self._forget, held, name)

    def _forget(self, held: Held, name: str) -> None:
        """The page is gone. A lab's run that nobody follows any more rests; the lab goes on with it when it is opened."""
        held.watches.pop(name, None)
        unseen = not held.watches and not held.channel.readers
        if unseen and held.channel.run["kind"] == "lab" and held.state == "running" and not self._live.closing:
            self._live.in_background(self._live.rest(held))
