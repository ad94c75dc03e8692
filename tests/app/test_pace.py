"""The pace of a run that somebody watches update by update."""

from __future__ import annotations

import pytest

from app.workers.pace import LONGEST_DEBT, SHORTEST_PAUSE, Pace

START = 123_456.7
"""A monotonic clock begins anywhere."""


def updates_within(pace: Pace, seconds: float, *, most: int = 1_000) -> tuple[int, int]:
    """Updates made and turns taken by who sleeps exactly as long as the pace says."""
    now, updates, turns = START, 0, 0
    while now < START + seconds:
        updates += pace.take(now, most)
        turns += 1
        now += max(pace.pause(now), 1e-6)  # a clock moves on
    return updates, turns


def test_without_a_pace_everything_is_always_due() -> None:
    pace = Pace()
    assert pace.pause(START) == 0
    assert pace.take(START, 7) == 7
    assert pace.pause(START) == 0


@pytest.mark.parametrize("rate", [0.5, 1, 3, 10, 59])
def test_a_slow_pace_makes_one_update_a_turn(rate: float) -> None:
    updates, turns = updates_within(Pace(rate), 20)
    assert updates == turns
    assert abs(updates - 20 * rate) <= 1


@pytest.mark.parametrize("rate", [61, 100, 999.5, 1000])
def test_a_quick_pace_makes_several_a_turn_and_sleeps_between(rate: float) -> None:
    updates, turns = updates_within(Pace(rate), 20)
    assert abs(updates - 20 * rate) <= 2 * rate * SHORTEST_PAUSE + 1
    assert turns <= 20 / SHORTEST_PAUSE + 1


def test_the_first_update_is_due_at_once_and_the_second_in_its_time() -> None:
    pace = Pace(2)
    assert pace.pause(START) == 0
    assert pace.take(START, 100) == 1
    assert pace.pause(START) == pytest.approx(0.5, abs=1e-6)
    assert pace.pause(START + 0.5) == pytest.approx(0, abs=1e-6)


def test_a_worker_that_had_no_time_makes_up_for_little() -> None:
    pace = Pace(100)
    pace.take(START, 1)
    assert pace.take(START + 60, 1_000) == pytest.approx(100 * LONGEST_DEBT, abs=1)
    slow = Pace(1)
    slow.take(START, 1)
    assert slow.take(START + 60, 1_000) == 1


def test_what_could_not_be_made_in_one_turn_is_due_in_the_next() -> None:
    pace = Pace(1000)
    pace.take(START, 1)
    assert pace.take(START + 0.1, 30) == 30
    assert pace.pause(START + 0.1) == 0
    assert sum(pace.take(START + 0.1, 30) for _ in range(3)) in (69, 70)
