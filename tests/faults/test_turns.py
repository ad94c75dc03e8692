"""Turns, as they are counted: any owners, any comings and goings, any costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.workers.turns import (
    CREDIT_SECONDS,
    EARNED,
    MEMORY_SECONDS,
    OVERDUE_SECONDS,
    PATIENCE_SECONDS,
    ROUND_SECONDS,
    Credit,
    Line,
    Overdue,
    Turn,
    Turns,
    turn_seconds,
)

COST = 1 / 64
"""Seconds of a usual turn; sums of it are exact."""


@dataclass
class Visit:
    """Somebody wants turns from one moment to another, counted in turns that anybody has."""

    who: str
    begin: int
    end: int


@st.composite
def visits(draw: st.DrawFn) -> list[Visit]:
    """Up to six who come and go, some of them more than once."""
    made = []
    for number in range(draw(st.integers(1, 6))):
        moment = 0
        for _ in range(draw(st.integers(1, 3))):
            begin = moment + draw(st.integers(0, 20))
            moment = begin + draw(st.integers(1, 60))
            made.append(Visit(f"owner {number}", begin, moment))
            moment += 1
    return made


def played(visits: list[Visit], costs: dict[str, float]) -> list[str | None]:
    """Who had each turn."""
    line, turns = Line(), []
    for moment in range(max(visit.end for visit in visits)):
        wanting = [visit.who for visit in visits if visit.begin <= moment < visit.end]
        turns.append(line.next(wanting) if wanting else None)
        if turns[-1] is not None:
            line.charge(turns[-1], costs.get(turns[-1], COST))
    return turns


def swing(visits: list[Visit], turns: list[str | None], costs: dict[str, float]) -> float:
    """The largest difference between what any two had in any stretch of time in which both wanted turns."""
    worst = 0.0
    for one in visits:
        for other in visits:
            if one.who < other.who:
                lead, leads = 0.0, [0.0]
                for who in turns[max(one.begin, other.begin) : min(one.end, other.end)]:
                    lead += (who == one.who) * costs.get(one.who, COST) - (who == other.who) * costs.get(other.who, COST)
                    leads.append(lead)
                worst = max(worst, max(leads) - min(leads))
    return worst


@given(visits())
def test_equal_ones_never_differ_by_more_than_one_turn(visits: list[Visit]) -> None:
    assert swing(visits, played(visits, {}), {}) <= COST


@given(visits(), st.lists(st.integers(1, 60), min_size=6, max_size=6))
def test_however_long_each_update_is_the_times_differ_by_two_of_them_at_most(
    visits: list[Visit], lengths: list[int]
) -> None:
    costs = {f"owner {number}": length * COST for number, length in enumerate(lengths)}
    assert swing(visits, played(visits, costs), costs) <= 2 * max(costs.values())


@given(visits(), st.dictionaries(st.sampled_from([f"owner {n}" for n in range(6)]), st.integers(1, 10_000)))
def test_nobody_waits_for_ever_whatever_a_single_update_takes(visits: list[Visit], lengths: dict[str, int]) -> None:
    """An update of minutes is forgotten but for a second."""
    costs = {who: length * COST for who, length in lengths.items()}
    turns = played(visits, costs)
    waited: Counter[str] = Counter()
    for moment, who in enumerate(turns):
        wanting = {visit.who for visit in visits if visit.begin <= moment < visit.end}
        waited = Counter({other: waited[other] + 1 for other in wanting if other != who})
        assert max(waited.values(), default=0) <= (len(wanting) + 6) * (MEMORY_SECONDS / COST + 2)


def test_an_update_of_a_quarter_of_an_hour_is_paid_for_with_a_second_of_each_other() -> None:
    line, others = Line(), ["a", "b", "c"]
    assert line.next(["slow"]) == "slow"
    line.charge("slow", 1_000)
    for _ in range(3 * int(MEMORY_SECONDS / COST) + 1):
        who = line.next(["slow", *others])
        line.charge(who, COST)
    assert who == "slow"


def test_a_network_that_takes_long_has_no_more_of_the_time_than_others() -> None:
    line, had = Line(), Counter[str]()
    costs = {"slow": 0.75} | {f"quick {number}": 0.015625 for number in range(20)}
    while had.total() < 100:
        who = line.next(costs)
        line.charge(who, costs[who])
        had[who] += costs[who]  # type: ignore[assignment]
    assert had["slow"] <= 1.5 * had["quick 3"]


def test_fifty_runs_of_one_owner_weigh_as_much_as_the_only_one_of_another() -> None:
    turns, owners, runs = Turns(), Counter[str](), Counter[str]()
    wanting = {"flooder": [f"run {number}" for number in range(50)]} | {f"owner {n}": [f"of {n}"] for n in range(100)}
    passed, last, longest = 0.0, dict.fromkeys([run for of in wanting.values() for run in of], 0.0), 0.0
    while passed < 40:
        turn = turns.next(wanting)
        assert turn.member in wanting[turn.owner]
        turns.charge(turn, turn.seconds)
        owners[turn.owner] += turn.seconds  # type: ignore[assignment]
        runs[turn.member] += turn.seconds  # type: ignore[assignment]
        passed += turn.seconds
        longest = max(longest, passed - last[turn.member])
        last[turn.member] = passed
    assert max(owners.values()) - min(owners.values()) <= 2 * turn_seconds(101, 1)
    of_flooder = [runs[run] for run in wanting["flooder"]]
    assert max(of_flooder) - min(of_flooder) <= 2 * turn_seconds(101, 50)
    assert longest < 10, "every run gets on within ten seconds"


def test_one_that_is_saved_does_not_wait_for_many_rounds_of_its_owners_others() -> None:
    """Fifty runs in short turns, and what one of them does takes fifteen times as long."""
    turns, since, longest = Turns(), 0, 0
    wanting = {"flooder": [f"run {number}" for number in range(50)]} | {f"owner {n}": [f"of {n}"] for n in range(5)}
    for number in range(30_000):
        turn = turns.next(wanting)
        since = 0 if turn.member == "run 7" else since + (turn.owner == "flooder")
        longest = max(longest, since)
        turns.charge(turn, 15 * turn.seconds if turn.member == "run 7" and number < 25_000 else turn.seconds)
    assert longest <= 3 * 50


def test_a_round_of_many_owners_is_short_and_turns_of_few_are_long() -> None:
    assert turn_seconds(1, 1) == 0.03
    assert 150 * turn_seconds(150, 1) <= ROUND_SECONDS
    assert 300 * turn_seconds(300, 1) <= ROUND_SECONDS
    assert turn_seconds(150, 1) >= 0.005


def test_who_is_gone_is_forgotten() -> None:
    turns, credit = Turns(), Credit()
    for number in range(5_000):
        turn = turns.next({f"owner {number}": [f"run {number}"]})
        turns.charge(turn, turn.seconds)
        credit.spend(f"owner {number}", now=float(number), seconds=0.1)
    assert len(turns._owners._accounts) <= 102
    assert len(turns._members) <= 102
    assert len(credit._left) <= 1_001


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), max_size=200))
def test_credit_is_never_more_than_a_tenth_of_the_time_and_a_little(steps: list[tuple[float, float]]) -> None:
    credit, now, spent = Credit(), 0.0, 0.0
    for pause, cost in steps:
        now += pause
        if credit.left("a", now) > 0:
            credit.spend("a", now, cost)
            spent += min(cost, 0.5)  # of a single long one, not all is remembered
        assert spent <= CREDIT_SECONDS + EARNED * now + 0.5 + 1e-6
        assert credit.left("a", now + 5.01) > 0, "nobody is shut out for longer"


def test_among_many_nobody_waits_long_for_having_had_much_once() -> None:
    """A turn that took two seconds (fifty runs opened, a huge update) is no minute of waiting in a class of 150."""
    turns, clock = Turns(), 0.0
    wanting = {str(owner): ["run"] for owner in range(150)}
    first = turns.next(wanting)
    turns.charge(first, 2.0)
    while (turn := turns.next(wanting)).owner != first.owner or clock == 0:
        turns.charge(turn, turn.seconds)
        clock += turn.seconds
    assert clock <= PATIENCE_SECONDS + ROUND_SECONDS


def test_fifty_of_one_owner_among_many_each_have_a_turn_within_seconds() -> None:
    """By their share alone each would wait for ten seconds and more; together they stay near it."""
    longest, had = longest_wait(Overdue())
    assert longest <= OVERDUE_SECONDS + 1.5
    assert had["flood"] <= 2 * had["0"]

    class Never(Overdue):
        def next(self, *_: Any) -> None:
            return None

    assert longest_wait(Never())[0] > 10, "else this shows nothing"


def longest_wait(overdue: Overdue) -> tuple[float, Counter[str]]:
    """Of the fifty, in a minute in which a turn costs a millisecond more than was asked; and what each owner had."""
    wanting = {"flood": [str(run) for run in range(50)]} | {str(owner): ["run"] for owner in range(125)}
    turns, clock, longest, had = Turns(), 0.0, 0.0, Counter[str]()
    since = dict.fromkeys(wanting["flood"], 0.0)
    while clock < 60:
        turn = overdue.next(wanting, clock) or turns.next(wanting)
        cost = turn.seconds + 0.001
        clock += cost
        had[turn.owner] += cost  # type: ignore[assignment]
        turns.charge(turn, cost)
        overdue.had(turn, cost, clock)
        if turn.owner == "flood":
            longest = max(longest, clock - since[turn.member])
            since[turn.member] = clock
    return longest, had


def test_who_takes_long_is_overdue_later() -> None:
    overdue, wanting = Overdue(), {"a": ["slow", "quick"]}
    slow, quick = Turn("a", "slow", 0.01, 1.0, 1.0), Turn("a", "quick", 0.01, 1.0, 1.0)
    assert overdue.next(wanting, 0.0) is None
    overdue.had(slow, 0.05, 0.0)
    overdue.had(quick, 0.002, 1.0)
    assert overdue.next(wanting, 5.5) is None
    turn = overdue.next(wanting, 6.5)
    assert turn is not None
    assert turn.member == "quick"
    assert overdue.next({"a": ["slow"]}, 7.0) is None, "the other wants nothing now"
    assert overdue.next(wanting, 8.0) is None, "and waits anew when it does"
    turn = overdue.next(wanting, 60.0)
    assert turn is not None
    assert turn.member == "quick"


def test_one_turn_that_took_long_is_no_habit() -> None:
    overdue, wanting, turn = Overdue(), {"a": ["run"]}, Turn("a", "run", 0.01, 1.0, 1.0)
    assert overdue.next(wanting, 0.0) is None
    for seconds, now, due in ((0.002, 0.0, 5.0), (0.05, 10.0, 15.0), (0.05, 20.0, 70.0)):
        overdue.had(turn, seconds, now)
        assert overdue.next(wanting, due - 0.5) is None
        assert overdue.next(wanting, due + 0.5) is not None
