"""Metric points on the disk: one narrow row a point, in order of step."""

from __future__ import annotations

import sqlite3

from app.wire.points import COLUMNS, Points, no_points

NAMES = ", ".join(COLUMNS)
PLACES = ", ".join("?" for _ in COLUMNS)


def append(connection: sqlite3.Connection, id: str, points: Points) -> None:
    """A point that is already there is replaced, so that work tried twice does no harm."""
    connection.executemany(
        f"INSERT OR REPLACE INTO metrics (run, {NAMES}) SELECT number, {PLACES} FROM runs WHERE id = ?",
        [(*row, id) for row in zip(*(points[column] for column in COLUMNS), strict=True)],
    )


def truncate(connection: sqlite3.Connection, id: str, step: int) -> None:
    """Take back every point measured after `step`."""
    connection.execute(
        "DELETE FROM metrics WHERE run = (SELECT number FROM runs WHERE id = ?) AND step > ?", (id, step)
    )


def read(connection: sqlite3.Connection, id: str) -> Points:
    """All points of a run as columns."""
    rows = connection.execute(
        f"SELECT {NAMES} FROM metrics WHERE run = (SELECT number FROM runs WHERE id = ?) ORDER BY step", (id,)
    ).fetchall()
    if not rows:
        return no_points()
    return {column: list(values) for column, values in zip(COLUMNS, zip(*rows, strict=True), strict=True)}
