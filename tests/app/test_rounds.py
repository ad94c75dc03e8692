"""Many connections with something to say in the same moment."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from selectors import EVENT_READ

from app.rounds import AT_ONCE, Rounds


@contextmanager
def talkers(count: int) -> Iterator[tuple[Rounds, list[int]]]:
    """Pipes with something in them that nobody reads."""
    with ExitStack() as stack, Rounds() as selector:
        ends = []
        for _ in range(count):
            receiving, sending = os.pipe()
            stack.callback(os.close, receiving)
            stack.callback(os.close, sending)
            os.write(sending, b"x")
            selector.register(receiving, EVENT_READ)
            ends.append(receiving)
        yield selector, ends


def test_some_are_served_in_a_round_and_nobody_twice_before_all_were() -> None:
    with talkers(4 * AT_ONCE) as (selector, ends):
        for _ in range(3):
            served = [key.fd for _ in range(4) for key, _ in selector.select(0)]
            assert sorted(served) == sorted(ends)


def test_those_who_never_stop_talking_hold_nobody_up() -> None:
    with talkers(2 * AT_ONCE) as (selector, ends):
        turns = Counter(key.fd for _ in range(6) for key, _ in selector.select(0))
        for fd in ends[:10]:
            os.read(fd, 1)
        assert set(turns.values()) == {3}
        rest = Counter(key.fd for _ in range(18) for key, _ in selector.select(0))
        assert set(rest) == set(ends[10:])
        assert max(rest.values()) - min(rest.values()) <= 1


def test_a_few_are_all_served_at_once() -> None:
    with talkers(AT_ONCE) as (selector, ends):
        assert [key.fd for key, _ in selector.select(0)] == ends
        assert len(selector.select(0)) == len(ends)
