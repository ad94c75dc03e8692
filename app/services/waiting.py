"""The line of runs for which there is no place at the moment: who is next, and how long it may take.

Next is the oldest of the owner with the fewest open runs, so that whoever asks for fifty gets one place for every one of the
others' (A asks for A1 and A2, then B, C, C and A again: A1 B1 C1 A2 C2 A3). A counter orders the tickets, never a clock.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count

INTERVALS_REMEMBERED = 20


@dataclass(slots=True, eq=False)
class Ticket:
    """`called` is done when the run has a place; `size` is its memory in bytes, by estimate."""

    number: int
    run: str
    owner: str
    size: int
    called: asyncio.Future[None] = field(repr=False)


class Line:
    """Tickets in the order in which they were drawn; `calls` is what happens over time (seconds of a monotonic clock)."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._tickets: dict[str, Ticket] = {}
        self._intervals: deque[float] = deque(maxlen=INTERVALS_REMEMBERED)
        self._last_call: float | None = None

    def __len__(self) -> int:
        return len(self._tickets)

    def __contains__(self, run: str) -> bool:
        return run in self._tickets

    def draw(self, run: str, owner: str, size: int) -> Ticket:
        """A run waits once, however often it is asked for."""
        if run not in self._tickets:
            called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._tickets[run] = Ticket(next(self._numbers), run, owner, size, called)
        return self._tickets[run]

    def next(self, open_runs: Mapping[str, int]) -> Ticket:
        """The first of `in_order`, found without putting the others in order."""
        oldest: dict[str, Ticket] = {}
        for ticket in self._tickets.values():
            oldest.setdefault(ticket.owner, ticket)
        return min(oldest.values(), key=lambda ticket: (open_runs.get(ticket.owner, 0), ticket.number))

    def in_order(self, open_runs: Mapping[str, int]) -> list[Ticket]:
        """All tickets as they would be called if places were given one after the other; `open_runs` counts by owner."""
        ahead: Counter[str] = Counter()
        ranked = []
        for ticket in self._tickets.values():
            ranked.append((open_runs.get(ticket.owner, 0) + ahead[ticket.owner], ticket.number, ticket))
            ahead[ticket.owner] += 1
        return [ticket for _, _, ticket in sorted(ranked, key=lambda rank: rank[:2])]

    def call(self, ticket: Ticket, now: float) -> None:
        """The run has a place."""
        self._tickets.pop(ticket.run, None)
        if not ticket.called.done():
            ticket.called.set_result(None)
        if self._last_call is not None and self._tickets:
            self._intervals.append(now - self._last_call)
        self._last_call = now

    def leave(self, run: str) -> None:
        """It does not want a place any more."""
        if (ticket := self._tickets.pop(run, None)) is not None:
            ticket.called.cancel()

    def seconds(self, position: int) -> float | None:
        """How long the one at this position may still wait, by how quickly places became free lately."""
        if not self._intervals:
            return None
        return position * sum(self._intervals) / len(self._intervals)
