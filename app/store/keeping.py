"""How much is kept, and what may go first. Functions of a connection, for `Database.call` and `.post`."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

COPIES = 2
"""Checkpoints of a run on the disk: the newest, and the one before."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How many runs there are, how many of them labs have made, and the bytes of all their checkpoints."""

    runs: int
    labs: int
    size: int


@dataclass(frozen=True, slots=True)
class Spare:
    """A run that nobody has named, and the bytes of its checkpoints."""

    id: str
    kind: str
    size: int


def kept(connection: sqlite3.Connection) -> Kept:
    row = connection.execute(
        "SELECT count(*), coalesce(sum(kind = 'lab'), 0), coalesce(sum(size), 0) "
        "FROM runs LEFT JOIN checkpoints ON run = number"
    ).fetchone()
    return Kept(row[0], row[1], COPIES * row[2])


def spare(connection: sqlite3.Connection) -> list[Spare]:
    """In the order in which they may go: labs' first, then those that nobody has wanted longest; never a named one."""
    rows = connection.execute(
        "SELECT id, kind, coalesce(size, 0) FROM runs LEFT JOIN checkpoints ON run = number "
        "WHERE NOT named ORDER BY kind != 'lab', touched, number"
    )
    return [Spare(id, kind, COPIES * size) for id, kind, size in rows]


def ids(connection: sqlite3.Connection) -> set[str]:
    """Of all runs."""
    return {id for (id,) in connection.execute("SELECT id FROM runs")}


def forget_keys(connection: sqlite3.Connection, before: str) -> int:
    """Idempotency keys that came before that moment (UTC, ISO 8601) are gone; how many those were."""
    return connection.execute("DELETE FROM idempotency_keys WHERE created < ?", (before,)).rowcount


def forget_solved(connection: sqlite3.Connection, before: str) -> int:
    """Tasks that were solved before that moment are not marked any more; how many those were."""
    return connection.execute("DELETE FROM solved WHERE solved < ?", (before,)).rowcount
