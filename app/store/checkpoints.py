"""What the server knows of the checkpoint files that the workers write."""

from __future__ import annotations

import sqlite3


def record(connection: sqlite3.Connection, id: str, step: int, size: int, written: str) -> None:
    """The newest checkpoint of a run: its step, its size in bytes and when it was written (UTC, ISO 8601)."""
    connection.execute(
        "INSERT OR REPLACE INTO checkpoints (run, step, size, written) SELECT number, ?, ?, ? FROM runs WHERE id = ?",
        (step, size, written, id),
    )


def find(connection: sqlite3.Connection, id: str) -> int | None:
    """The step of the newest checkpoint."""
    row = connection.execute(
        "SELECT step FROM checkpoints WHERE run = (SELECT number FROM runs WHERE id = ?)", (id,)
    ).fetchone()
    return None if row is None else int(row[0])
