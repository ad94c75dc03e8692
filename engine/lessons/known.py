"""What was worked out for one is there for all: a class opens the same lab at once, and looks at it every second."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Generic, TypeVar

Key = TypeVar("Key")
T = TypeVar("T")


class Known(Generic[Key, T]):
    """What `work` comes to for each key, worked out once in this process; of more than `most` the oldest are forgotten.

    The work yields now and then. All who ask for the same while it is under way work on it in turns.
    """

    def __init__(self, work: Callable[[Key], Generator[None, None, T]], *, most: int) -> None:
        self._work, self._most = work, most
        self._known: dict[Key, T] = {}
        self._under_way: dict[Key, Generator[None, None, T]] = {}

    def of(self, key: Key) -> Generator[None, None, T]:
        while key not in self._known:
            if key not in self._under_way:
                self._under_way[key] = self._work(key)
            try:
                next(self._under_way[key])
            except BaseException as end:
                del self._under_way[key]
                if not isinstance(end, StopIteration):
                    raise
                while len(self._known) >= self._most:
                    del self._known[next(iter(self._known))]
                self._known[key] = end.value
            else:
                yield
        return self._known[key]
