"""Rows of those who have joined a class, and what the class itself is. Functions of a connection, for `Database.call`."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class StoredPerson:
    """`token` is a digest; `joined` and `seen` are UTC, ISO 8601."""

    person: str
    nickname: str
    token: str
    joined: str
    seen: str


FIELDS = "person, nickname, token, joined, seen"


def everybody(connection: sqlite3.Connection) -> list[StoredPerson]:
    """In the order in which they joined."""
    return [StoredPerson(*row) for row in connection.execute(f"SELECT {FIELDS} FROM people ORDER BY joined, person")]


def keep(connection: sqlite3.Connection, person: StoredPerson) -> None:
    """A new one, or the same one with another nickname or a later visit."""
    connection.execute(f"INSERT OR REPLACE INTO people ({FIELDS}) VALUES (?, ?, ?, ?, ?)", astuple(person))


def clear(connection: sqlite3.Connection) -> None:
    """Everybody, with what they solved and drew; their runs are deleted one by one."""
    for table in ("solved", "drawings"):
        connection.execute(f"DELETE FROM {table} WHERE visitor IN (SELECT person FROM people)")
    connection.execute("DELETE FROM people")


def runs_of_everybody(connection: sqlite3.Connection) -> list[str]:
    """Ids of all runs whose owners have joined."""
    rows = connection.execute("SELECT id FROM runs WHERE owner IN (SELECT person FROM people) ORDER BY number")
    return [id for (id,) in rows]


def value(connection: sqlite3.Connection, key: str, otherwise: str) -> str:
    """A fact of the class, which is `otherwise` from now on if it was none."""
    connection.execute("INSERT OR IGNORE INTO class (key, value) VALUES (?, ?)", (key, otherwise))
    found: str = connection.execute("SELECT value FROM class WHERE key = ?", (key,)).fetchone()[0]
    return found


def change_value(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO class (key, value) VALUES (?, ?)", (key, value))
