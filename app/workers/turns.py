"""Whose turn it is: everybody who wants something of a worker gets the same share of its time.

Shares are counted on two levels: first the owners, then what belongs to one owner (runs, errands). So fifty runs of one
owner weigh as much as the only run of another. On each level the next is whoever has used the least time; a count,
and not a clock, orders those who have used the same. So equal ones take turns one after the other, and one whose
single update takes long waits until the others have had as much.

Times are seconds of processor time, measured by whoever gives the turns; here they are only added up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf

ROUND_SECONDS = 2.0
"""In which everybody has had a turn, where that can be done."""
LONGEST_SECONDS, SHORTEST_SECONDS = 0.03, 0.0005
"""Of one turn. A shorter one would be spent on telling how far the run is."""
MEMORY_SECONDS = 1.0
"""Of what somebody had too much; for the rest they need not wait. So an update of many seconds is no ban for an hour."""
PATIENCE_SECONDS = 5.0
"""For so long an owner waits at most until the others have had as much: among many, less of what it had is remembered."""

ABSENT_REMEMBERED = 50
"""Accounts of those who want nothing now, for when they come back."""


@dataclass(slots=True)
class Account:
    """`used` is the time had so far, `place` in which order accounts that are level have their turns."""

    used: float
    place: int


class Line:
    """Some who want turns. `next` says who has one, `charge` how long it was."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._level = 0.0
        self._count = 0

    def next(self, wanting: Collection[str]) -> str:
        """Whoever of them has used the least. Who wanted nothing for a while has not saved up anything by it."""
        if len(self._accounts) > 2 * (len(wanting) + ABSENT_REMEMBERED):
            self._forget_others(wanting)
        first, least = "", Account(inf, 0)
        for key in wanting:  # all of them, at every turn: this is the inner loop
            account = self._account(key)
            if account.used < least.used or (account.used == least.used and account.place < least.place):
                first, least = key, account
        self._level = least.used
        return first

    def charge(self, key: str, seconds: float) -> None:
        account = self._account(key)
        account.used = min(account.used + seconds, self._level + MEMORY_SECONDS)
        account.place = self._next_place()

    def _forget_others(self, wanting: Collection[str]) -> None:
        """All but those, and those who have had the most beyond the others."""
        absent = sorted(self._accounts.keys() - wanting, key=lambda key: self._accounts[key].used)
        for key in absent[:-ABSENT_REMEMBERED]:
            del self._accounts[key]

    def _account(self, key: str) -> Account:
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account(self._level, self._next_place())
        elif account.used < self._level:
            account.used = self._level
        return account

    def _next_place(self) -> int:
        self._count += 1
        return self._count


@dataclass(frozen=True, slots=True)
class Turn:
    """`seconds` is how long it should be; what is beyond `remembered` is not held against it among its owner's others, and
    what is beyond `owed` not against its owner.
    """

    owner: str
    member: str
    seconds: float
    remembered: float
    owed: float


class Turns:
    """A line of owners, and behind each a line of what is theirs."""

    def __init__(self) -> None:
        self._owners = Line()
        self._members: dict[str, Line] = {}

    def next(self, wanting: Mapping[str, Collection[str]]) -> Turn:
        """`wanting` names each owner's members that have something to do: at least one owner, each with at least one."""
        if len(self._members) > 2 * (len(wanting) + ABSENT_REMEMBERED):
            self._members = {owner: line for owner, line in self._members.items() if owner in wanting}
        owner = self._owners.next(wanting)
        members = wanting[owner]
        member = self._members.setdefault(owner, Line()).next(members)
        seconds = turn_seconds(len(wanting), len(members))
        remembered = max(2 * seconds, ROUND_SECONDS / (len(wanting) * len(members)))
        return Turn(owner, member, seconds, remembered, owed=max(2 * seconds, PATIENCE_SECONDS / len(wanting)))

    def charge(self, turn: Turn, seconds: float) -> None:
        self._owners.charge(turn.owner, min(seconds, turn.owed))
        self._members.setdefault(turn.owner, Line()).charge(turn.member, min(seconds, turn.remembered))


OVERDUE_SECONDS, TIMES_ITS_COST = 5.0, 1_000
"""After so long without a turn a run gets a short one, whatever its owner has had; what takes long waits longer for that, so
that a hundred of them take no more than a tenth of a worker.
"""
LOOK_SECONDS = 0.25


class Overdue:
    """Who has waited too long. Fifty runs of one owner of a hundred would advance only every ten seconds by their share, and
    somebody looks at one of them.
    """

    def __init__(self) -> None:
        self._due: dict[tuple[str, str], float] = {}
        self._cost: dict[tuple[str, str], float] = {}
        self._late: deque[tuple[str, str]] = deque()
        self._look_at = 0.0

    def next(self, wanting: Mapping[str, Collection[str]], now: float) -> Turn | None:
        """Whoever has waited longest, if that is too long; `now` are seconds of a clock that only goes forward."""
        if now >= self._look_at:
            self._look(wanting, now)
        while self._late:
            owner, member = self._late.popleft()
            if member in wanting.get(owner, ()) and self._due[owner, member] <= now:
                return Turn(owner, member, SHORTEST_SECONDS, remembered=2 * SHORTEST_SECONDS, owed=LONGEST_SECONDS)
        return None

    def _look(self, wanting: Mapping[str, Collection[str]], now: float) -> None:
        keys = [(owner, member) for owner, members in wanting.items() for member in members]
        self._due = {key: self._due.get(key, now + OVERDUE_SECONDS) for key in keys}
        self._cost = {key: self._cost[key] for key in keys if key in self._cost}
        self._late = deque(sorted((key for key in keys if self._due[key] <= now), key=self._due.__getitem__))
        self._look_at = now + LOOK_SECONDS

    def had(self, turn: Turn, seconds: float, now: float) -> None:
        key = turn.owner, turn.member
        usual = min(seconds, self._cost.get(key, seconds))  # to be saved once is no habit
        self._cost[key] = seconds
        self._due[key] = now + max(OVERDUE_SECONDS, TIMES_ITS_COST * usual)


def turn_seconds(owners: int, members: int) -> float:
    """Of one of so many members of one of so many owners: so short that it is soon its turn again."""
    return min(LONGEST_SECONDS, max(SHORTEST_SECONDS, ROUND_SECONDS / (owners * members)))


CREDIT_SECONDS = 0.25
EARNED = 0.1
"""Seconds of credit a second, until it is full."""
DEEPEST_SECONDS = 0.5
"""Of debt: whoever asks for something long waits five seconds at most before the next is served."""


class Credit:
    """How much of what a person waits for comes before everything else: a tenth of the time for each owner.

    Whoever asks for more waits until it is earned, while anybody else wants something.
    """

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}

    def left(self, owner: str, now: float) -> float:
        """`now` are seconds of a clock that only goes forward."""
        if owner not in self._left:
            return CREDIT_SECONDS
        left, then = self._left[owner]
        return min(CREDIT_SECONDS, left + EARNED * (now - then))

    def spend(self, owner: str, now: float, seconds: float) -> None:
        if len(self._left) > 1_000:
            self._left = {key: value for key, value in self._left.items() if self.left(key, now) < CREDIT_SECONDS}
        self._left[owner] = max(-DEEPEST_SECONDS, self.left(owner, now) - seconds), now
