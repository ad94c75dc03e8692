"""Rows of those who have joined a class, of what is theirs, and what the class itself is. Functions of a connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from app.asking import LECTURER, LOCAL
from app.wire.points import thinned


@dataclass(frozen=True, slots=True)
class StoredPerson:
    """`token` is a digest; `joined` and `seen` are UTC, ISO 8601."""

    person: str
    nickname: str
    token: str
    joined: str
    seen: str


@dataclass(frozen=True, slots=True)
class Belongings:
    """How much is kept of somebody, or of the whole class."""

    runs: int
    lab_runs: int
    drawings: int
    solved: int


FIELDS = "person, nickname, token, joined, seen"
OF_CLASS = f"owner NOT IN ('{LOCAL}', '{LECTURER.person}')"
"""Runs that students have made, also of one who is gone."""


def everybody(connection: sqlite3.Connection) -> list[StoredPerson]:
    """In the order in which they joined."""
    return [StoredPerson(*row) for row in connection.execute(f"SELECT {FIELDS} FROM people ORDER BY joined, person")]


def keep(connection: sqlite3.Connection, person: StoredPerson) -> None:
    """A new one, or the same one with another nickname or a later visit."""
    connection.execute(f"INSERT OR REPLACE INTO people ({FIELDS}) VALUES (?, ?, ?, ?, ?)", astuple(person))


# ---- What is theirs ------------------------------------------------------------------------------------------------------------


def belongings_of(connection: sqlite3.Connection, person: str) -> Belongings:
    return counted(connection, "owner = ?", "visitor = ?", person)


def belongings(connection: sqlite3.Connection) -> Belongings:
    """Of the whole class."""
    return counted(connection, OF_CLASS, "visitor IN (SELECT person FROM people)")


def counted(connection: sqlite3.Connection, owner: str, visitor: str, *values: str) -> Belongings:
    questions = (
        f"SELECT count(*) FROM runs WHERE kind = 'run' AND {owner}",
        f"SELECT count(*) FROM runs WHERE kind = 'lab' AND {owner}",
        f"SELECT count(*) FROM drawings WHERE {visitor}",
        f"SELECT count(*) FROM solved WHERE {visitor}",
    )
    return Belongings(*(connection.execute(question, values).fetchone()[0] for question in questions))


def runs_of(connection: sqlite3.Connection, person: str) -> list[str]:
    """Ids of all runs of somebody, those of labs, too."""
    return [id for (id,) in connection.execute("SELECT id FROM runs WHERE owner = ? ORDER BY number", (person,))]


def runs_of_class(connection: sqlite3.Connection) -> list[str]:
    """Ids of all runs that students have made."""
    return [id for (id,) in connection.execute(f"SELECT id FROM runs WHERE {OF_CLASS} ORDER BY number")]


def solved_by(connection: sqlite3.Connection) -> dict[str, int]:
    """How many tasks each who has joined has solved."""
    counts = connection.execute(
        "SELECT visitor, count(*) FROM solved WHERE visitor IN (SELECT person FROM people) GROUP BY visitor"
    )
    return dict(counts.fetchall())


def forget(connection: sqlite3.Connection, person: str) -> None:
    """Somebody, with what they solved and drew; their runs are deleted one by one."""
    for table in ("solved", "drawings"):
        connection.execute(f"DELETE FROM {table} WHERE visitor = ?", (person,))
    connection.execute("DELETE FROM idempotency_keys WHERE key LIKE ? || '/%'", (person,))
    connection.execute("DELETE FROM people WHERE person = ?", (person,))


def clear(connection: sqlite3.Connection) -> None:
    """Everybody."""
    for person in everybody(connection):
        forget(connection, person.person)


# ---- What the lecturer sees of runs that are not in memory -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A run on the lecturer's page. `snapshot` is what it measured last; `losses` are those of its curve, thinned out."""

    id: str
    number: int
    owner: str
    kind: str
    name: str
    named: bool
    state: str
    snapshot: dict[str, Any]
    losses: list[float]


def numbers_on_board(connection: sqlite3.Connection) -> dict[str, int]:
    """Of all runs but those that were made without a class, by id: their numbers in the order of creation."""
    found = connection.execute("SELECT id, number FROM runs WHERE owner != ? ORDER BY number", (LOCAL,))
    return dict(found.fetchall())


def on_board(connection: sqlite3.Connection, ids: Sequence[str], most: int) -> list[BoardRow]:
    """These runs, each with at most so many losses."""
    found = []
    for id in ids:
        row = connection.execute(
            "SELECT number, owner, kind, json_extract(spec, '$.name'), named, state, snapshot FROM runs WHERE id = ?", (id,)
        ).fetchone()
        if row is not None:
            number, owner, kind, name, named, state, snapshot = row
            values = connection.execute(
                "SELECT train_loss FROM metrics WHERE run = ? AND train_loss IS NOT NULL ORDER BY step", (number,)
            )
            losses = thinned([loss for (loss,) in values], most)
            found.append(BoardRow(id, number, owner, kind, name, bool(named), state, json.loads(snapshot), losses))
    return found


# ---- The class -------------------------------------------------------------------------------------------------------------------


def value(connection: sqlite3.Connection, key: str, otherwise: str) -> str:
    """A fact of the class, which is `otherwise` from now on if it was none."""
    connection.execute("INSERT OR IGNORE INTO class (key, value) VALUES (?, ?)", (key, otherwise))
    found: str = connection.execute("SELECT value FROM class WHERE key = ?", (key,)).fetchone()[0]
    return found


def change_value(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO class (key, value) VALUES (?, ?)", (key, value))
