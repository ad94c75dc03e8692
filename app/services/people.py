"""A class: who has joined it, by which code, and who is asking.

Nothing is known of a person but a nickname of their choice and two random numbers: one in a cookie, and a token for programs
that follows from it. On the disk lie a public name and a digest, from which neither can be found again. The join code and the
lecturer's token outlive the server, so that a link on the blackboard does, too.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import deque
from dataclasses import replace

from app.asking import LECTURER, NOBODY, Asker
from app.errors import Busy, Forbidden, Unprocessable
from app.names import clean_name
from app.services.live import utc_now
from app.settings import Limits
from app.store import people as rows
from app.store.database import Database
from app.store.people import StoredPerson

CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that are taken for one another when they are read from a blackboard."""
CODE_LENGTH = 8
GUESSES_A_MINUTE = 120
"""Wrong codes of the whole class; at this pace the right one is not found within a thousand years."""
SEEN_SECONDS = 600.0


class People:
    """`start()` first, once the store is open."""

    def __init__(self, store: Database, limits: Limits) -> None:
        self._store, self._limits = store, limits
        self._people: dict[str, StoredPerson] = {}
        self._tokens: dict[str, str] = {}
        self._seen: dict[str, float] = {}
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
        return secrets.compare_digest(token.encode(), self.lecturer_token.encode())

    def _see(self, person: str) -> None:
        if (now := time.monotonic()) - self._seen.get(person, -SEEN_SECONDS) >= SEEN_SECONDS:
            self._seen[person] = now
            self._people[person] = replace(self._people[person], seen=utc_now())
            self._store.post(rows.keep, self._people[person])

    # ---- Joining and leaving -------------------------------------------------------------------------------------------------

    async def join(self, number: str, code: str, nickname: str) -> None:
        """Whoever brings this number belongs to the class from now on, or has another nickname."""
        self._check_code(code)
        person = person_of(number)
        known = self._people.get(person)
        if known is None and len(self._people) >= self._limits.people:
            raise Busy(f"{self._limits.people:,} people have joined already; more do not fit.", code="class_full")
        now = utc_now()
        joined = now if known is None else known.joined
        stored = StoredPerson(person, clean_nickname(nickname), digest(token_of(number)), joined, now)
        await self._store.call(rows.keep, stored)
        self._remember(stored)

    def _check_code(self, code: str) -> None:
        now = time.monotonic()
        if len(self._wrong) == GUESSES_A_MINUTE and now - self._wrong[0] < 60:
            raise Busy("Too many wrong codes were tried. Wait a minute.", status=429, retry_after=60)
        if not secrets.compare_digest(code.strip().lower().encode(), self.code.encode()):
            self._wrong.append(now)
            raise Unprocessable(
                "This is not the code of this class. Look at the blackboard again.", field="/code", code="wrong_code"
            )

    async def rename(self, person: str, nickname: str) -> None:
        stored = replace(self._people[person], nickname=clean_nickname(nickname))
        await self._store.call(rows.keep, stored)
        self._remember(stored)

    @property
    def everybody(self) -> list[StoredPerson]:
        """In the order in which they joined."""
        return sorted(self._people.values(), key=lambda person: (person.joined, person.person))

    def nickname(self, person: str) -> str:
        """Of an owner; of one who has been cleared away, somebody."""
        if person == LECTURER.person:
            return LECTURER.nickname
        return self._people[person].nickname if person in self._people else "somebody"

    async def runs(self) -> list[str]:
        """Ids of all runs of those who have joined."""
        return await self._store.call(rows.runs_of_everybody)

    async def clear(self) -> None:
        """Nobody has joined any more, what they solved and drew is gone, and the code is another. Their runs go before."""
        await self._store.call(rows.clear)
        self._people.clear()
        self._tokens.clear()
        self._seen.clear()
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
    return hashlib.sha256(token.encode()).hexdigest()


def new_code() -> str:
    return "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))


def clean_nickname(text: str) -> str:
    try:
        return clean_name(text)[:40]
    except ValueError as error:
        raise Unprocessable(str(error), field="/nickname", code="bad_name") from None
