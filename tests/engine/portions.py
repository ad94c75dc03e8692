"""What is worked out in portions, done at once."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


def finished(portions: Generator[None, None, T]) -> T:
    """What it answers in the end."""
    while True:
        try:
            next(portions)
        except StopIteration as end:
            found: T = end.value
            return found


def finished_in_portions(portions: Generator[None, None, T]) -> T:
    """The same, and there is at least one portion, so that a worker can do other things in between."""
    next(portions)
    return finished(portions)
