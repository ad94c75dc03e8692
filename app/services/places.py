"""Places in the workers, and the line of runs that wait for one.

There are so many places, and so much memory, for open runs. A place is given when it is asked for, or later in the order of the
line; a run that nobody needs now makes room for one that is wanted. All of it happens on the event loop without a pause
between looking and taking, so that nobody takes a place twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic

from app.errors import Busy
from app.services.waiting import Line
from app.settings import Limits
from app.workers.pool import Pool
from engine.arrays import Shape
from engine.shapes import estimate_bytes
from engine.specs import LayerSpec, RunSpec

PLACE_SECONDS = 5.0
"""How long whoever wants something of a run waits for its place; the run itself goes on waiting."""
LINE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """What a run takes up in the workers; `size` is its memory in bytes, by estimate."""

    owner: str
    size: int


@dataclass(frozen=True, slots=True)
class InLine:
    """Where a run stands in the line, 1 is the next; `seconds` is how long it may still wait, None where nothing tells."""

    position: int
    seconds: int | None

    @property
    def time(self) -> str | None:
        """What `seconds` are in words."""
        if self.seconds is None:
            return None
        return f"about {self.seconds} s" if self.seconds < 60 else f"about {self.seconds // 60} min"

    @property
    def words(self) -> str:
        return f"number {self.position:,} in line{f', in {self.time}' if self.time else ''}"


class Places:
    """`put_away` lets the run that was wanted least lately go and answers which; None when all are in use.

    `tell` hears where a run stands in the line.
    """

    def __init__(
        self,
        pool: Pool,
        limits: Limits,
        *,
        put_away: Callable[[Iterable[str]], Awaitable[str | None]],
        tell: Callable[[str, InLine], None],
    ) -> None:
        self._pool, self._limits, self._put_away, self._tell = pool, limits, put_away, tell
        self._taken: dict[str, Place] = {}
        self._bytes, self._by_owner = 0, Counter[str]()  # of all that are taken; added up once, not at every create
        self._line = Line()
        self._again: asyncio.TimerHandle | None = None
        self._clearing: asyncio.Task[None] | None = None
        self._all_in_use = False
        self._closed = False

    def close(self) -> None:
        """Nobody is called any more."""
        self._closed = True
        if self._again is not None:
            self._again.cancel()
        if self._clearing is not None:
            self._clearing.cancel()

    @property
    def taken(self) -> int:
        return len(self._taken)

    @property
    def waiting(self) -> int:
        return len(self._line)

    def is_waiting(self, id: str) -> bool:
        return id in self._line

    def reserve(self, id: str, owner: str, spec: RunSpec) -> asyncio.Future[None]:
        """A place for a run, or a ticket of the line; done when it has the place. Raises Busy when the line is full."""
        if id not in self._line and len(self._line) >= self._limits.runs_waiting:
            raise Busy(
                f"All {self._limits.runs_live:,} places for runs are taken, and {len(self._line):,} more wait for one. "
                "Try again later.",
                retry_after=30,
                code="too_many_live_runs",
            )
        ticket = self._line.draw(id, owner, memory_of(spec.network, spec.dataset.input_shape, spec.batch_size))
        self._serve()
        return ticket.called

    def in_line(self, id: str) -> InLine | None:
        """Where the run stands in the line, if it waits."""
        return next((where for run, where in self._order() if run == id), None) if id in self._line else None

    def _order(self) -> Iterator[tuple[str, InLine]]:
        for position, ticket in enumerate(self._line.in_order(self._by_owner), 1):
            seconds = self._line.seconds(position)
            yield ticket.run, InLine(position, None if seconds is None else rounded(seconds))

    async def soon(self, id: str, owner: str, spec: RunSpec) -> None:
        """A place for one who waits for it now. Raises Busy when there is none for some seconds."""
        called = self.reserve(id, owner, spec)
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await called
        except TimeoutError:
            self.leave(id)
            raise Busy(
                "All places for runs are in use. Stop or delete one, or try again later.",
                retry_after=30,
                code="too_many_live_runs",
            ) from None

    def keep(self, id: str, owner: str) -> None:
        """The worker of a run died: its place stays its own, in whichever worker."""
        self._pool.settle(id, owner)

    def leave(self, id: str) -> None:
        """The place, or the ticket, is not needed any more."""
        self._line.leave(id)
        self._pool.forget(id)
        if (place := self._taken.pop(id, None)) is not None:
            self._bytes -= place.size
            self._by_owner[place.owner] -= 1
            if not self._by_owner[place.owner]:
                del self._by_owner[place.owner]
        if self._line and not self._closed:
            self._serve()

    def _serve(self) -> None:
        """Give places to those who are next as long as there are any; else make one, or look again a little later."""
        while self._line:
            ticket = self._line.next(self._by_owner)
            if not self._fits(ticket.size):
                if self._clearing is None and not self._all_in_use:
                    self._clearing = asyncio.create_task(self._make_room())
                break
            self._pool.settle(ticket.run, ticket.owner)
            self._taken[ticket.run] = Place(ticket.owner, ticket.size)
            self._bytes += ticket.size
            self._by_owner[ticket.owner] += 1
            self._line.call(ticket, monotonic())
        if self._line and self._again is None and not self._closed:
            self._again = asyncio.get_running_loop().call_later(LINE_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._again, self._all_in_use = None, False
        self._serve()
        for run, where in self._order():
            self._tell(run, where)

    def _fits(self, size: int) -> bool:
        """Whether there is a place, and memory; a run alone always fits, for its own limit was checked."""
        memory = self._bytes + size
        return not self._taken or (len(self._taken) < self._limits.runs_live and memory <= self._limits.memory_bytes)

    async def _make_room(self) -> None:
        try:
            gone = await self._put_away(list(self._taken))
        finally:
            self._clearing = None
        self._all_in_use = gone is None  # whoever comes next need not look through all of them again
        if gone is not None:
            self.leave(gone)


def rounded(seconds: float) -> int:
    """As exact as such a guess can be."""
    unit = 5 if seconds < 60 else 60
    return max(unit, round(seconds / unit) * unit)


@lru_cache(maxsize=256)
def memory_of(network: tuple[LayerSpec, ...], input_shape: Shape, batch_size: int) -> int:
    """Bytes that a run may need while it trains, by the engine's estimate, which is never too low. A class has few networks."""
    return estimate_bytes(network, input_shape, batch_size)
