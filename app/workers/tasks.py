"""What a run is asked for and works out in portions, between its updates, while somebody waits for the answer."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from time import thread_time
from typing import Any, TypeAlias

from engine.errors import EngineError

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


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a task: its answer, or the error that it met."""

    number: int
    outcome: Any


class Tasks:
    """All that one run is asked for and has not answered yet."""

    def __init__(self) -> None:
        self._asked: list[Asked] = []

    def __len__(self) -> int:
        return len(self._asked)

    @property
    def are_urgent(self) -> bool:
        return any(asked.is_urgent for asked in self._asked)

    def add(self, number: int, task: Task) -> None:
        self._asked.append(Asked(number, task))

    def work(self) -> Ended | None:
        """A portion of the one that has had the least time, so that a single update waits for no evaluation."""
        asked = min(self._asked, key=lambda asked: asked.spent)
        started = thread_time()
        try:
            next(asked.task)
        except StopIteration as end:
            self._asked.remove(asked)
            return Ended(asked.number, end.value)
        except EngineError as error:
            self._asked.remove(asked)
            return Ended(asked.number, error)
        finally:
            asked.spent += thread_time() - started
        return None

    def drop(self) -> list[int]:
        """None of them is gone on with; their numbers."""
        dropped, self._asked = self._asked, []
        for asked in dropped:
            asked.task.close()
        return [asked.number for asked in dropped]
