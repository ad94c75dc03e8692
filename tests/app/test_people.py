"""Who has joined a class, by which code, and who is asking."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.asking import LECTURER, NOBODY
from app.errors import Busy, Forbidden, Unprocessable
from app.services import people as module
from app.services.people import GUESSES_A_MINUTE, NICKNAME_CHARACTERS, People, clean_nickname, person_of, token_of
from app.settings import Limits
from app.store.database import Database

pytestmark = pytest.mark.anyio

ADA, BOB = "a" * 32, "b" * 32


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def people_of(folder: Path, **limits: int) -> AsyncIterator[People]:
    store = Database(folder)
    store.open()
    try:
        people = People(store, Limits(**limits))  # type: ignore[arg-type]
        await people.start()
        yield people
    finally:
        store.close()


async def test_who_has_joined_is_known_by_cookie_and_by_token_also_after_a_restart(tmp_path: Path) -> None:
    async with people_of(tmp_path) as people:
        assert people.asker(ADA, None, None) is NOBODY
        await people.join(ADA, f" {people.code.upper()} ", "Ada")
        before = people.code, people.lecturer_token
    async with people_of(tmp_path) as people:
        assert (people.code, people.lecturer_token) == before
        by_cookie, by_token = people.asker(ADA, None, None), people.asker(None, token_of(ADA), None)
        assert by_cookie == by_token
        assert (by_cookie.person, by_cookie.nickname, by_cookie.everything) == (person_of(ADA), "Ada", False)
        assert people.asker(BOB, None, None) is NOBODY
        assert people.asker(ADA, None, "no token of a lecturer") == by_cookie
        assert people.asker(ADA, None, people.lecturer_token) is people.asker(None, people.lecturer_token, None) is LECTURER
        with pytest.raises(Forbidden) as refused:
            people.asker(ADA, "0" * 40, None)
        assert refused.value.code == "unknown_token"


async def test_the_disk_holds_neither_cookie_nor_token_of_anybody(tmp_path: Path) -> None:
    async with people_of(tmp_path) as people:
        await people.join(ADA, people.code, "Ada")
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"Ada" in stored
    assert ADA.encode() not in stored
    assert token_of(ADA).encode() not in stored


async def test_guessing_is_slowed_and_keeps_nobody_out(tmp_path: Path) -> None:
    async with people_of(tmp_path) as people:
        for place in range(GUESSES_A_MINUTE):
            with pytest.raises(Unprocessable) as wrong:
                await people.join(BOB, f"guess{place}", "Bob")
            assert (wrong.value.code, wrong.value.field) == ("wrong_code", "/code")
        with pytest.raises(Busy) as slowed:
            await people.join(BOB, "\ud800", "Bob")
        assert (slowed.value.status, slowed.value.headers["retry-after"]) == (429, "60")
        await people.join(ADA, people.code, "Ada")
        assert [person.nickname for person in people.everybody] == ["Ada"]


async def test_the_last_place_is_given_once(tmp_path: Path) -> None:
    async with people_of(tmp_path, people=3) as people:
        numbers = [f"{place:032d}" for place in range(20)]
        outcomes = await asyncio.gather(
            *(people.join(number, people.code, "Somebody") for number in numbers), return_exceptions=True
        )
        assert [outcome for outcome in outcomes if outcome is None] == [None] * 3
        refusals = {getattr(outcome, "code", None) for outcome in outcomes if outcome is not None}
        assert refusals == {"class_full"}
        await people.join(numbers[0], people.code, "Somebody else")  # who has joined has a place


async def test_a_nickname_is_whatever_can_be_read(tmp_path: Path) -> None:
    assert clean_nickname("  Jörg 李雷 🦊 ") == "Jörg 李雷 🦊"
    assert clean_nickname("n" * NICKNAME_CHARACTERS) == "n" * NICKNAME_CHARACTERS
    for bad in ("", "  ", "n" * (NICKNAME_CHARACTERS + 1), "a\nb", "a\u202eb", "\u200b", "\ud800"):
        with pytest.raises(Unprocessable) as refused:
            clean_nickname(bad)
        assert refused.value.field == "/nickname"
        assert "nickname" in refused.value.detail
    async with people_of(tmp_path) as people:
        await people.join(ADA, people.code, "Ada")
        with pytest.raises(Unprocessable):
            await people.rename(person_of(ADA), "")
        assert people.find(person_of(ADA)).nickname == "Ada"
        with pytest.raises(Forbidden):
            await people.rename(LECTURER.person, "Professor")


async def test_suggested_nicknames_are_free_until_none_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST", ("Calm", "Keen"))
    monkeypatch.setattr(module, "SECOND", ("Owl",))
    async with people_of(tmp_path) as people:
        given = []
        for place in range(3):
            given.append(people.suggestion())
            await people.join(f"{place:032d}", people.code, given[-1])
        assert sorted(given[:2]) == ["Calm Owl", "Keen Owl"]
        assert clean_nickname(given[2]) == "Owl 2"


async def test_students_are_numbered_as_they_join_and_keep_their_number(tmp_path: Path) -> None:
    async with people_of(tmp_path) as people:
        for number in (ADA, BOB):
            await people.join(number, people.code, "Somebody")
        assert [people.number(person_of(number)) for number in (ADA, BOB)] == [1, 2]
        people.drop(person_of(ADA))
        await people.join("c" * 32, people.code, "Somebody")
        assert [people.number(person_of(number)) for number in (ADA, BOB, "c" * 32)] == [0, 2, 3]


async def test_here_is_who_has_a_page_open_or_asked_lately(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    async with people_of(tmp_path) as people:
        monkeypatch.setattr(module.time, "monotonic", lambda: now)
        ada = person_of(ADA)
        assert not people.is_online(ada)
        with people.attending(ada):
            with people.attending(ada):
                now += 3_600
            now += 3_600
            assert people.is_online(ada)
        now += module.ONLINE_SECONDS - 1
        assert people.is_online(ada)
        now += 2
        assert not people.is_online(ada)


async def test_another_code_shuts_the_door_to_strangers_only(tmp_path: Path) -> None:
    async with people_of(tmp_path) as people:
        old = people.code
        await people.join(ADA, old, "Ada")
        await people.renew_code()
        assert people.code != old
        with pytest.raises(Unprocessable):
            await people.join(BOB, old, "Bob")
        assert people.asker(ADA, None, None).nickname == "Ada"
        new = people.code
    async with people_of(tmp_path) as people:
        assert people.code == new
        await people.close_door()
        assert people.asker(ADA, None, None) is NOBODY
        assert people.code != new


async def test_a_person_leaves_no_row(tmp_path: Path) -> None:
    def everything(connection: sqlite3.Connection) -> list[int]:
        tables = ("people", "drawings", "solved", "idempotency_keys")
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]

    def fill(connection: sqlite3.Connection) -> None:
        for number in (ADA, BOB):
            person = person_of(number)
            connection.execute("INSERT INTO drawings (visitor, id, label, pixels, created) VALUES (?, ?, 3, x'00', '')", (person, number))
            connection.execute("INSERT INTO solved VALUES (?, 'loss', 'first', '', '', '', '')", (person,))
            connection.execute("INSERT INTO idempotency_keys VALUES (?, '', '', '')", (f"{person}/key",))

    async with people_of(tmp_path) as people:
        for number in (ADA, BOB):
            await people.join(number, people.code, "Somebody")
        store = people._store
        await store.call(fill)
        assert await store.call(everything) == [2, 2, 2, 2]
        await store.call(module.rows.forget, person_of(ADA))
        assert await store.call(everything) == [1, 1, 1, 1]
        await store.call(module.rows.clear)
        assert await store.call(everything) == [0, 0, 0, 0]
