"""What is worked out in portions, done at once."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any


def finished(portions: Generator[None, None, dict[str, Any]]) -> dict[str, Any]:
    """What it answers in the end; there is at least one portion, so that a worker can do other things in between."""
    next(portions)
    while True:
        try:
            next(portions)
        except StopIteration as end:
            value: dict[str, Any] = end.value
            return value
