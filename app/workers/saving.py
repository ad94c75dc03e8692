"""When a run is saved: soon after its start, then less and less often, and never so often that it costs much of its time."""

from __future__ import annotations

from time import monotonic

SAVE_SECONDS = 5.0
FIRST_SAVE_SECONDS = 0.5
"""After a start; then twice as long each time."""
NEXT_SAVE_SECONDS = 0.1
"""After a restore, so that a run that is interrupted again and again still gets on, and is not taken for the cause of it."""
SAVE_SHARE = 20
"""A checkpoint that takes t is followed by at least 20 t of training."""
DISK_RETRY_SECONDS = 30.0


class SaveTimes:
    """`seconds` are those of the run's training. Only a disk that took nothing is asked again by the clock."""

    def __init__(self) -> None:
        self._step: int | None = None
        self._pause = FIRST_SAVE_SECONDS
        self._at = FIRST_SAVE_SECONDS
        self._not_before = 0.0

    def is_due(self, seconds: float) -> bool:
        return seconds >= self._at and monotonic() >= self._not_before

    def is_done(self, step: int, seconds: float) -> bool:
        """Whether that very step is on the disk, and nothing that was done by hand since."""
        return self._step == step and self._at > seconds

    def hurry(self, seconds: float) -> None:
        """Before the next update: what a person changed follows from nothing else."""
        self._at = seconds

    def postpone(self, seconds: float) -> None:
        self._at = seconds + self._pause

    def done(self, step: int, seconds: float, cost: float) -> None:
        """It took `cost` seconds."""
        self._step = step
        self._pause = min(SAVE_SECONDS, 2 * self._pause)
        self._at = seconds + max(self._pause, SAVE_SHARE * cost)

    def refused(self) -> None:
        self._not_before = monotonic() + DISK_RETRY_SECONDS

    def restored(self, step: int, seconds: float) -> None:
        self._step = step
        self._pause = NEXT_SAVE_SECONDS
        self._at = seconds + NEXT_SAVE_SECONDS

    def begin(self) -> None:
        """Nothing of the run is on the disk any more."""
        self._step, self._at = None, FIRST_SAVE_SECONDS
