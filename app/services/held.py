"""A run in the server's memory, and who looks at it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any

from app.channel import Channel
from engine.specs import RunSpec

RUNNING = ("queued", "running")


@dataclass(slots=True, eq=False)
class HeldWatch:
    """What one page looks at, and how many streams it has; without any it lives on for a short while."""

    value: dict[str, Any] | None = None
    streams: int = 0
    expiry: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False)
class Held:
    """A run in memory. `touched` orders the runs by when somebody last wanted something of them, and `touch_written` is when
    that was last written down; `seen_at` is when somebody last looked (monotonic seconds), and `touched_before` what `touched` was then.

    Whoever changes what the run is made of holds `changing`, so that nobody's change is made of what another's just replaced.
    `wish` is the state that a queued run will have; `deaths` counts the workers that ended over it, one after the other,
    since it was last saved at a step beyond `restored_at`.
    """

    spec: RunSpec
    channel: Channel
    wish: str = "running"
    touched: int = 0
    touched_before: int = 0
    touch_written: float = -inf
    seen_at: float = field(default_factory=monotonic)
    commands: int = 0
    deaths: int = 0
    restored_at: int = 0
    opening: asyncio.Task[None] | None = None
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    watches: dict[str, HeldWatch] = field(default_factory=dict)
    id: str = field(init=False)
    owner: str = field(init=False)

    def __post_init__(self) -> None:
        self.id, self.owner = str(self.channel.run["id"]), str(self.channel.run["owner"])  # they never change

    @property
    def state(self) -> str:
        return str(self.channel.run["state"])
