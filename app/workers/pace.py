"""When the next updates are due, for a run that a person wants to watch update by update."""

from __future__ import annotations

from math import ceil, inf

SHORTEST_PAUSE = 1 / 60
"""Seconds from one turn to the next, or a little more; a pace above 60 updates a second makes several in each."""
LONGEST_DEBT = 0.25
"""Seconds that are made up for at most when the worker had no time for the run; at a slower pace, one update."""

SOON = 1e-4
"""Seconds for which nobody goes to sleep."""


class Pace:
    """Spreads updates evenly over a monotonic clock (`now`, seconds), the first of them at once; None: all are always due."""

    def __init__(self, per_second: float | None = None) -> None:
        self.per_second = per_second
        self._paid = -inf

    def pause(self, now: float) -> float:
        """Seconds until the next updates are due; 0 when they are."""
        if self.per_second is None:
            return 0.0
        together = ceil(self.per_second * SHORTEST_PAUSE)
        left = self._paid + together / self.per_second - now
        return left if left > SOON else 0.0

    def take(self, now: float, most: int) -> int:
        """How many of the updates that are due to make now, at least one and at most `most`; they count as made."""
        if self.per_second is None:
            return most
        seconds = 1 / self.per_second
        if self._paid == -inf:
            self._paid = now - seconds
        self._paid = max(self._paid, now - max(LONGEST_DEBT, seconds))
        count = max(1, min(most, int((now - self._paid) * self.per_second + 1e-6)))
        self._paid += count * seconds
        return count
