"""What a run is asked for and works out in portions, between its updates, while somebody waits for the answer."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

URGENT_SECONDS = 0.5
"""Of processor time: so much of what a person waits for comes before all that trains; the rest takes turns with it."""

Task: TypeAlias = Generator[None, None, Any]
"""Work in portions of a few milliseconds; what it returns is the answer."""


@dataclass(slots=True, eq=False)
class Asked:
    """A task under the number of its request; `spent` is the processor time that it has had."""

    number: int
    task: Task
    spent: float = 0.0

    @property
    def is_urgent(self) -> bool:
        return self.spent < URGENT_SECONDS
