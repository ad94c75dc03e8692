"""Drawings that a visitor has labelled and kept. Functions of a connection, for `Database.call`."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredDrawing:
    """`pixels` are 28×28 bytes of ink, row by row."""

    id: str
    label: int
    pixels: bytes
    created: str


FIELDS = "id, label, pixels, created"


def add(connection: sqlite3.Connection, visitor: str, drawing: StoredDrawing, most: int, altogether: int) -> bool:
    """Whether there was room for it: a visitor keeps `most`. Of all visitors together the newest are kept."""
    if len(of(connection, visitor)) >= most:
        return False
    added = connection.execute(
        f"INSERT INTO drawings (visitor, {FIELDS}) VALUES (?, ?, ?, ?, ?)",
        (visitor, drawing.id, drawing.label, drawing.pixels, drawing.created),
    )
    assert added.lastrowid is not None
    connection.execute("DELETE FROM drawings WHERE number <= ?", (added.lastrowid - altogether,))
    return True


def of(connection: sqlite3.Connection, visitor: str) -> list[StoredDrawing]:
    """All of a visitor, oldest first."""
    rows = connection.execute(f"SELECT {FIELDS} FROM drawings WHERE visitor = ? ORDER BY number", (visitor,))
    return [StoredDrawing(*row) for row in rows]


def delete(connection: sqlite3.Connection, visitor: str, id: str | None) -> int:
    """How many of the visitor's drawings are gone: the one with this id, or without one all."""
    if id is None:
        return connection.execute("DELETE FROM drawings WHERE visitor = ?", (visitor,)).rowcount
    return connection.execute("DELETE FROM drawings WHERE visitor = ? AND id = ?", (visitor, id)).rowcount
