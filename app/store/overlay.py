"""A database that takes no writes goes on in memory: every table is covered by a temporary one of the same name.

SQLite looks for a name among the temporary tables first, so all statements of this package read and write the cover
without knowing. The small tables are copied whole. Points of curves are many, so a run's are copied when the first of
them changes, and a view shows both. When the file takes writes again, `write_back` puts the cover into it in one
transaction; a file that still refuses leaves the cover as it was.

The connection needs `PRAGMA temp_store = MEMORY`, or the cover would go to the disk that is full.
"""

from __future__ import annotations

import sqlite3

COPY = """
INSERT OR IGNORE INTO points_since SELECT * FROM main.metrics
WHERE run = {row}.run AND {row}.run NOT IN (SELECT run FROM points_taken);
INSERT OR IGNORE INTO points_taken VALUES ({row}.run);
"""


def cover(connection: sqlite3.Connection) -> None:
    """From now on all goes to memory. Raises sqlite3.DatabaseError, with nothing covered, when the file cannot be read."""
    connection.execute("BEGIN")
    try:
        for table in tables(connection):
            connection.execute(statement(connection, table).replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
            connection.execute(f"INSERT INTO temp.{table} SELECT * FROM main.{table}")
        connection.execute("DELETE FROM temp.sqlite_sequence")
        connection.execute("INSERT INTO temp.sqlite_sequence SELECT * FROM main.sqlite_sequence")
        for name, index in connection.execute(
            "SELECT name, sql FROM main.sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall():
            connection.execute(index.replace(name, f"temp.{name}", 1))
        cover_points(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def cover_points(connection: sqlite3.Connection) -> None:
    since = statement(connection, "metrics").replace("CREATE TABLE metrics", "CREATE TEMP TABLE points_since", 1)
    columns = [row[1] for row in connection.execute("PRAGMA main.table_info(metrics)")]
    new = ", ".join(f"NEW.{column}" for column in columns)
    connection.execute(since)
    connection.execute("CREATE TEMP TABLE points_taken (run INTEGER PRIMARY KEY)")
    connection.execute(
        """
        CREATE TEMP VIEW metrics AS SELECT * FROM temp.points_since UNION ALL SELECT * FROM main.metrics
        WHERE run NOT IN (SELECT run FROM temp.points_taken) AND run IN (SELECT number FROM temp.runs)
        """
    )
    connection.execute(
        f"""
        CREATE TEMP TRIGGER point_added INSTEAD OF INSERT ON temp.metrics BEGIN
        {COPY.format(row="NEW")} INSERT OR REPLACE INTO points_since VALUES ({new}); END
        """
    )
    connection.execute(
        f"""
        CREATE TEMP TRIGGER point_removed INSTEAD OF DELETE ON temp.metrics BEGIN
        {COPY.format(row="OLD")} DELETE FROM points_since WHERE run = OLD.run AND step = OLD.step; END
        """
    )


def write_back(connection: sqlite3.Connection) -> None:
    """Put all that the cover holds into the file and take it off. Raises sqlite3.OperationalError when that is refused."""
    connection.execute("PRAGMA foreign_keys = OFF")  # rows replace themselves, which must not delete their points
    try:
        connection.execute("BEGIN IMMEDIATE")
        for table in tables(connection):
            connection.execute(f"DELETE FROM main.{table}")
            connection.execute(f"INSERT INTO main.{table} SELECT * FROM temp.{table}")
        connection.execute(
            """
            DELETE FROM main.metrics
            WHERE run IN (SELECT run FROM temp.points_taken) OR run NOT IN (SELECT number FROM temp.runs)
            """
        )
        connection.execute("INSERT INTO main.metrics SELECT * FROM temp.points_since")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("PRAGMA foreign_keys = ON")
    uncover(connection)


def uncover(connection: sqlite3.Connection) -> None:
    connection.execute("DROP VIEW temp.metrics")  # its triggers go with it
    for table in ("points_since", "points_taken", *reversed(tables(connection))):
        connection.execute(f"DROP TABLE temp.{table}")


def tables(connection: sqlite3.Connection) -> list[str]:
    """All but the points, each after those that it refers to."""
    rows = connection.execute(
        "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name != 'metrics' "
        "ORDER BY rowid"
    )
    return [name for (name,) in rows]


def statement(connection: sqlite3.Connection, table: str) -> str:
    """What made the table."""
    made: str = connection.execute("SELECT sql FROM main.sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    return made
