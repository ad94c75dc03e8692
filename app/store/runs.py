"""Rows of runs, their checkpoints and idempotency keys. Functions of a connection, for `Database.call` and `.post`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run as it lies on the disk; `number` is the order of creation and 0 before it is stored."""

    id: str
    created: str
    owner: str
    spec: dict[str, Any]
    state: str
    sentence: str
    generation: int
    snapshot: dict[str, Any]
    kind: str = "run"
    shared: bool = False
    named: bool = False
    touched: str = ""
    number: int = 0


FIELDS = "number, id, created, owner, spec, state, sentence, generation, snapshot, kind, shared, named, touched"


def insert(connection: sqlite3.Connection, run: StoredRun) -> int:
    """The number of the new row."""
    cursor = connection.execute(
        "INSERT INTO runs (id, created, owner, spec, state, sentence, generation, snapshot, kind, shared, named, touched) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run.id,
            run.created,
            run.owner,
            json.dumps(run.spec),
            run.state,
            run.sentence,
            run.generation,
            json.dumps(run.snapshot),
            run.kind,
            run.shared,
            run.named,
            run.touched or run.created,
        ),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def update(connection: sqlite3.Connection, run: StoredRun) -> None:
    """Everything that changes in the life of a run."""
    connection.execute(
        "UPDATE runs SET spec = ?, state = ?, sentence = ?, generation = ?, snapshot = ?, shared = ?, named = ? WHERE id = ?",
        (
            json.dumps(run.spec),
            run.state,
            run.sentence,
            run.generation,
            json.dumps(run.snapshot),
            run.shared,
            run.named,
            run.id,
        ),
    )


def touch(connection: sqlite3.Connection, id: str, when: str) -> None:
    """Somebody wanted something of the run (UTC, ISO 8601)."""
    connection.execute("UPDATE runs SET touched = ? WHERE id = ?", (when, id))


def delete(connection: sqlite3.Connection, id: str) -> None:
    """With its metrics and checkpoints' rows."""
    connection.execute("DELETE FROM runs WHERE id = ?", (id,))


def find(connection: sqlite3.Connection, id: str) -> StoredRun | None:
    rows = read(connection, "WHERE id = ?", (id,))
    return next(rows, None)


def newest(
    connection: sqlite3.Connection, limit: int, before: int | None, owner: str | None = None, shared: bool = False
) -> list[StoredRun]:
    """Newest first, those of labs left out; `before` is the number of the last row of the page before.

    `owner`: whose, or None for everybody's. `shared`: only those that others may look at.
    """
    condition = "WHERE kind = 'run' AND (? IS NULL OR owner = ?) AND shared >= ? AND (? IS NULL OR number < ?)"
    values = (owner, owner, shared, before, before, limit)
    return list(read(connection, f"{condition} ORDER BY number DESC LIMIT ?", values))


def newest_of(connection: sqlite3.Connection, dataset: str, owner: str) -> StoredRun | None:
    """Somebody's newest run on such a dataset (its spec's tag) that is no lab's."""
    condition = (
        "WHERE kind = 'run' AND owner = ? AND json_extract(spec, '$.dataset.name') = ? ORDER BY number DESC LIMIT 1"
    )
    return next(read(connection, condition, (owner, dataset)), None)


def unfinished(connection: sqlite3.Connection) -> list[str]:
    """Ids of the runs that were training when the server ended, oldest first.

    Whoever watched them may have seen points that never reached the disk, so their points count anew.
    """
    training = "WHERE state IN ('queued', 'running')"
    connection.execute(f"UPDATE runs SET generation = generation + 1 {training}")
    return [id for (id,) in connection.execute(f"SELECT id FROM runs {training} ORDER BY number")]


def count(connection: sqlite3.Connection) -> int:
    total: int = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    return total


def read(connection: sqlite3.Connection, condition: str, values: tuple[Any, ...]) -> Iterator[StoredRun]:
    for row in connection.execute(f"SELECT {FIELDS} FROM runs {condition}", values):
        number, id, created, owner, spec, state, sentence, generation, snapshot, kind, shared, named, touched = row
        yield StoredRun(
            number=number,
            id=id,
            created=created,
            owner=owner,
            spec=json.loads(spec),
            state=state,
            sentence=sentence,
            generation=generation,
            snapshot=json.loads(snapshot),
            kind=kind,
            shared=bool(shared),
            named=bool(named),
            touched=touched,
        )


# ---- Idempotency keys ----------------------------------------------------------------------------------------------------


def find_key(connection: sqlite3.Connection, key: str) -> tuple[str, str] | None:
    """The digest of the request that came with this key, and the run it made."""
    row: tuple[str, str] | None = connection.execute(
        "SELECT request, run FROM idempotency_keys WHERE key = ?", (key,)
    ).fetchone()
    return row


def named_of(connection: sqlite3.Connection, owner: str) -> int:
    """How many of somebody's runs have a name that was chosen."""
    count: int = connection.execute("SELECT count(*) FROM runs WHERE owner = ? AND named", (owner,)).fetchone()[0]
    return count


def insert_with_key(
    connection: sqlite3.Connection, run: StoredRun, key: str | None, request: str, most_named: int | None = None
) -> bool:
    """The run and the key it was asked for with, both; or neither, where its owner has named so many runs already."""
    if run.named and most_named is not None and named_of(connection, run.owner) >= most_named:
        return False
    insert(connection, run)
    if key is not None:
        connection.execute(
            "INSERT OR REPLACE INTO idempotency_keys (key, request, run, created) VALUES (?, ?, ?, ?)",
            (key, request, run.id, run.created),
        )
    return True
