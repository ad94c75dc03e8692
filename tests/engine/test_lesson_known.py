"""What is worked out once for all who ask."""

from __future__ import annotations

import itertools
from collections.abc import Generator

import pytest

from engine.lessons.known import Known


def squares(most: int = 10) -> tuple[Known[int, int], list[int]]:
    """Squares that take three portions each, and how often each was begun."""
    begun = list[int]()

    def work(number: int) -> Generator[None, None, int]:
        begun.append(number)
        for _ in range(3):
            yield
        return number * number

    return Known(work, most=most), begun


def asked(known: Known[int, int], number: int) -> tuple[int, int]:
    """The answer, and the portions that it took."""
    work = known.of(number)
    for portions in itertools.count():
        try:
            next(work)
        except StopIteration as end:
            return end.value, portions
    raise AssertionError


def test_what_is_known_is_not_worked_out_again() -> None:
    known, begun = squares()
    assert [asked(known, 5), asked(known, 5)] == [(25, 3), (25, 0)]
    assert begun == [5]


def test_all_who_ask_for_the_same_work_on_it_together() -> None:
    known, begun = squares()
    waiting, turns, found = [known.of(7) for _ in range(4)], 0, list[int]()
    for work in itertools.cycle(waiting):
        if len(found) == len(waiting):
            break
        try:
            next(work)
            turns += 1
        except StopIteration as end:
            found.append(end.value)
    assert (turns, found, begun) == (3, [49] * 4, [7])


def test_the_oldest_are_forgotten() -> None:
    known, begun = squares(most=2)
    for number in (1, 2, 3, 3, 2, 1):
        assert asked(known, number)[0] == number * number
    assert begun == [1, 2, 3, 1]


def test_whoever_leaves_in_the_middle_leaves_it_to_the_others() -> None:
    known, begun = squares()
    leaving = known.of(3)
    next(leaving)
    leaving.close()
    assert asked(known, 3) == (9, 2)
    assert begun == [3]


def test_what_cannot_be_worked_out_is_tried_again() -> None:
    begun = list[int]()

    def work(number: int) -> Generator[None, None, int]:
        begun.append(number)
        yield
        raise ValueError("not yet")

    known = Known(work, most=1)
    for _ in range(2):
        with pytest.raises(ValueError, match="not yet"):
            asked(known, 1)
    assert begun == [1, 1]
