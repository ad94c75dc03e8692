"""Rows of solved tasks: which visitor solved what, in which state. Functions of a connection, for `Database.call`."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class Solved:
    """A task of a lab, with the state that solved it: settings as an address says them, and updates done."""

    lab: str
    task: str
    query: str
    at: str
    note: str
    solved: str


FIELDS = "lab, task, query, at, note, solved"


def add(connection: sqlite3.Connection, visitor: str, solved: Solved) -> None:
    """The first solution of a task stays."""
    connection.execute(
        f"INSERT OR IGNORE INTO solved (visitor, {FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?)", (visitor, *astuple(solved))
    )


def of(connection: sqlite3.Connection, visitor: str) -> list[Solved]:
    """All that a visitor has solved, oldest first."""
    rows = connection.execute(f"SELECT {FIELDS} FROM solved WHERE visitor = ? ORDER BY solved, lab, task", (visitor,))
    return [Solved(*row) for row in rows]


def forget(connection: sqlite3.Connection, visitor: str, lab: str | None) -> None:
    """Of one lab, or of all."""
    if lab is None:
        connection.execute("DELETE FROM solved WHERE visitor = ?", (visitor,))
    else:
        connection.execute("DELETE FROM solved WHERE visitor = ? AND lab = ?", (visitor, lab))
