"""A class: who has joined it, by which code, and who is asking.

Nothing is known of a person but a nickname of their choice and two random numbers: one in a cookie, and a token for programs
that follows from it. On the disk lie a public name and a digest, from which neither can be found again. The join code and the
lecturer's token outlive the server, so that a link on the blackboard does, too.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from app.asking import LECTURER, NOBODY, Asker
from app.clock import utc_now
from app.errors import Busy, Forbidden, Unprocessable
from app.names import clean_name
from app.settings import Limits
from app.store import people as rows
from app.store.database import Database
from app.store.people import StoredPerson

CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that are taken for one another when they are read from a blackboard."""
CODE_LENGTH = 8
GUESSES_A_MINUTE = 120
"""Wrong codes of the whole class that are looked at closely. The right one is always taken, so that nobody can keep a class
out by guessing; among 31^8 codes it is not found by chance while a class lasts, at whatever pace a server answers."""
NICKNAME_CHARACTERS = 40
SEEN_SECONDS = 600.0
"""When somebody was last here is written down no more often than this."""
ONLINE_SECONDS = 60.0
"""How long after their last request somebody without an open stream counts as here."""

FIRST = ("Amber", "Bold", "Brave", "Bright", "Calm", "Clever", "Eager", "Gentle", "Happy", "Jolly", "Keen", "Kind", "Lively", "Lucky", "Merry", "Nimble", "Patient", "Proud", "Quick", "Quiet", "Silver", "Sunny", "Swift", "Wise")  # fmt: skip
SECOND = ("Badger", "Beaver", "Crane", "Dolphin", "Falcon", "Finch", "Fox", "Gecko", "Hare", "Heron", "Ibis", "Jay", "Koala", "Lark", "Lynx", "Marten", "Newt", "Orca", "Otter", "Owl", "Panda", "Puffin", "Raven", "Robin", "Seal", "Stork", "Swan", "Tapir", "Wombat", "Wren")  # fmt: skip


class People:
    """`start()` first, once the store is open."""

    def __init__(self, store: Database, limits: Limits) -> None:
        self._store, self._limits = store, limits
        self._people: dict[str, StoredPerson] = {}
        self._numbers: dict[str, int] = {}
        self._tokens: dict[str, str] = {}
        self._seen: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._under_way: Counter[str] = Counter()
        self._wrong: deque[float] = deque(maxlen=GUESSES_A_MINUTE)
        self.code = ""
        self.lecturer_token = ""

    async def start(self) -> None:
        for person in await self._store.call(rows.everybody):
            self._remember(person)
        self.code = await self._store.call(rows.value, "code", new_code())
        self.lecturer_token = await self._store.call(rows.value, "lecturer", secrets.token_urlsafe(24))

    def _remember(self, person: StoredPerson) -> None:
        self._people[person.person] = person
        self._tokens[person.token] = person.person
        self._numbers.setdefault(person.person, max(self._numbers.values(), default=0) + 1)

    # ---- Who is asking -------------------------------------------------------------------------------------------------------

    def asker(self, number: str | None, token: str | None, lecturer: str | None) -> Asker:
        """By the visitor's number, a program's token and the lecturer's token, in reverse order; NOBODY has not joined.

        Raises Forbidden for a program's token that is none.
        """
        if lecturer is not None and self.is_lecturer(lecturer):
            return LECTURER
        if token is not None:
            if self.is_lecturer(token):
                return LECTURER
            person = self._tokens.get(digest(token))
            if person is None:
                raise Forbidden("This token is not known here; the page /me shows yours.", code="unknown_token")
        else:
            person = None if number is None else person_of(number)
        if person is None or person not in self._people:
            return NOBODY
        self._see(person)
        return Asker(person, nickname=self._people[person].nickname)

    def is_lecturer(self, token: str) -> bool:
        return secrets.compare_digest(token.encode(errors="replace"), self.lecturer_token.encode())

    def _see(self, person: str) -> None:
        if (now := time.monotonic()) - self._seen.get(person, -SEEN_SECONDS) >= SEEN_SECONDS:
            self._seen[person] = now
            self._people[person] = replace(self._people[person], seen=utc_now())
            self._store.post(rows.keep, self._people[person])

    @contextmanager
    def attending(self, person: str) -> Iterator[None]:
        """While something that this person asked for is under way: a page's stream is, for as long as the page is open."""
        self._under_way[person] += 1
        try:
            yield
        finally:
            self._under_way[person] -= 1
            if not self._under_way[person]:
                del self._under_way[person]
            self._asked[person] = time.monotonic()

    def is_online(self, person: str) -> bool:
        return person in self._under_way or time.monotonic() - self._asked.get(person, -ONLINE_SECONDS) < ONLINE_SECONDS

    # ---- Joining and leaving -------------------------------------------------------------------------------------------------

    async def join(self, number: str, code: str, nickname: str) -> None:
        """Whoever brings this number belongs to the class from now on, or has another nickname."""
        person, name = person_of(number), clean_nickname(nickname)
        self._check_code(code)
        known = self._people.get(person)
        if known is None and len(self._people) >= self._limits.people:
            raise Busy(f"{self._limits.people:,} people have joined already; more do not fit.", code="class_full")
        now = utc_now()
        joined = now if known is None else known.joined
        stored = StoredPerson(person, name, digest(token_of(number)), joined, now)
        self._remember(stored)  # before anybody else is asked: the last place is given once
        await self._store.call(rows.keep, stored)

    def _check_code(self, code: str) -> None:
        if secrets.compare_digest(code.strip().lower().encode(errors="replace"), self.code.encode()):
            return
        now = time.monotonic()
        if len(self._wrong) == GUESSES_A_MINUTE and now - self._wrong[0] < 60:
            raise Busy("Too many wrong codes were tried. Wait a minute.", status=429, retry_after=60)
        self._wrong.append(now)
        raise Unprocessable(
            "This is not the code of this class. Look at the blackboard again.", field="/code", code="wrong_code"
        )

    async def rename(self, person: str, nickname: str) -> None:
        stored = replace(self.find(person), nickname=clean_nickname(nickname))
        self._remember(stored)
        await self._store.call(rows.keep, stored)

    def find(self, person: str) -> StoredPerson:
        """Raises Forbidden for one who has not joined: the lecturer has no nickname to choose."""
        if person not in self._people:
            raise Forbidden("Only somebody who has joined the class has a nickname and a token.", code="not_joined")
        return self._people[person]

    @property
    def everybody(self) -> list[StoredPerson]:
        """In the order in which they joined."""
        return sorted(self._people.values(), key=lambda person: self._numbers[person.person])

    def number(self, person: str) -> int:
        """Which one of the class it is, in the order of joining; 0 is the lecturer, and nobody who is here."""
        return self._numbers.get(person, 0)

    def suggestion(self) -> str:
        """A nickname that nobody has, and that tells nothing of a person."""
        taken = {person.nickname for person in self._people.values()}
        free = [name for name in (f"{first} {second}" for first in FIRST for second in SECOND) if name not in taken]
        return secrets.choice(free) if free else f"{secrets.choice(SECOND)} {len(taken)}"

    def drop(self, person: str) -> None:
        """Somebody asks for nothing here any more; what is theirs is deleted after this (app.services.classroom)."""
        self._tokens.pop(self._people.pop(person).token)
        for known in (self._numbers, self._seen, self._asked):
            known.pop(person, None)

    async def close_door(self) -> None:
        """Nobody has joined any more, and the code is another."""
        for person in list(self._people):
            self.drop(person)
        await self.renew_code()

    async def renew_code(self) -> None:
        """Those who have joined stay; nobody else comes in by the old code."""
        self.code = new_code()
        await self._store.call(rows.change_value, "code", self.code)


def person_of(number: str) -> str:
    """The public name of whoever has this number in their cookie."""
    return hashlib.sha256(f"person {number}".encode()).hexdigest()[:16]


def token_of(number: str) -> str:
    """For programs of whoever has this number in their cookie."""
    return hashlib.sha256(f"token {number}".encode()).hexdigest()[:40]


def digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def new_code() -> str:
    return "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))


def clean_nickname(text: str) -> str:
    if (length := len(text.strip())) > NICKNAME_CHARACTERS:
        detail = f"A nickname may have at most {NICKNAME_CHARACTERS} characters; this one has {length:,}."
        raise Unprocessable(detail, field="/nickname", code="bad_name")
    try:
        return clean_name(text)
    except ValueError as error:
        raise Unprocessable(str(error).replace("A name", "A nickname"), field="/nickname", code="bad_name") from None
