"""What a person may change in a run that goes on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Literal

from engine.specs import OptimizerSpec, ScheduleSpec, StopSpec


class Unchanged(Enum):
    """What is left as it is, where None says something else."""

    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChanges:
    """What a person may change in a run; a default leaves it as it is.

    `clip_norm` None: any gradient is followed; `updates_per_second` None: as fast as it goes.
    """

    state: Literal["running", "paused", "stopped"] | None = None
    learning_rate: float | None = None
    momentum: float | None = None
    batch_size: int | None = None
    l1: float | None = None
    l2: float | None = None
    name: str | None = None
    shared: bool | None = None
    stop: StopSpec | None = None
    optimizer: OptimizerSpec | None = None
    schedule: ScheduleSpec | None = None
    clip_norm: float | Unchanged | None = Unchanged.UNCHANGED
    updates_per_second: float | Unchanged | None = Unchanged.UNCHANGED

    def values(self) -> dict[str, Any]:
        """What a worker is told: all but the state and who may look, by name, where given."""
        return {
            f.name: value
            for f in fields(self)
            if f.name not in ("state", "shared") and (value := getattr(self, f.name)) is not f.default
        }
