"""The history file: what is acknowledged stays, what is broken is put aside, and nobody shares a folder."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.store import checkpoints, metrics, runs
from app.store.database import Database, DatabaseClosedError
from app.store.migrations import APPLICATION_ID, MIGRATIONS, RUNS
from app.store.opening import StartupError
from app.store.runs import StoredRun
from app.wire.points import COLUMNS, Points


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path, retry_seconds=0.05)
    database.open()
    yield database
    database.close()


def stored(id: str, state: str = "paused") -> StoredRun:
    return StoredRun(
        id=id,
        created="2025-01-01T00:00:00Z",
        owner="local",
        spec={"name": id},
        state=state,
        sentence="",
        generation=0,
        snapshot={"step": 0},
    )


def points(*steps: int) -> Points:
    columns: Points = {column: [None for _ in steps] for column in COLUMNS}
    columns |= {
        "step": list(steps),
        "examples": [20 * step for step in steps],
        "seconds": [step / 10 for step in steps],
        "train_loss": [1 / step for step in steps],
    }
    return columns


def test_a_run_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    async def write(database: Database) -> None:
        await database.call(runs.insert, stored("a"))
        database.post(runs.update, stored("a", "stopped"))

    first = Database(tmp_path)
    first.open()
    asyncio.run(write(first))
    first.close()
    first.close()  # may be repeated

    again = Database(tmp_path)
    again.open()
    found = asyncio.run(again.call(runs.find, "a"))
    again.close()
    assert found is not None
    assert (found.number, found.state, found.spec) == (1, "stopped", {"name": "a"})
    with pytest.raises(DatabaseClosedError):
        again.post(runs.delete, "a")


def test_lists_are_newest_first_and_paged(database: Database) -> None:
    async def scenario() -> list[list[str]]:
        for name in "abcde":
            await database.call(runs.insert, stored(name, "running" if name in "bd" else "paused"))
        first = await database.call(runs.newest, 2, None)
        second = await database.call(runs.newest, 2, first[-1].number)
        unfinished = await database.call(runs.unfinished)
        assert [run.generation for run in await database.call(runs.newest, 9, None)] == [0, 1, 0, 1, 0]
        return [[run.id for run in page] for page in (first, second)] + [unfinished]

    assert asyncio.run(scenario()) == [["e", "d"], ["c", "b"], ["b", "d"]]


def test_points_are_columns_in_order_and_can_be_taken_back(database: Database) -> None:
    async def scenario() -> tuple[Points, Points, Points]:
        await database.call(runs.insert, stored("a"))
        database.post(metrics.append, "a", points(10, 20))
        database.post(metrics.append, "a", points(20, 30))
        database.post(metrics.append, "gone", points(10))
        everything = await database.call(metrics.read, "a")
        database.post(metrics.truncate, "a", 20)
        left = await database.call(metrics.read, "a")
        database.post(runs.delete, "a")
        return everything, left, await database.call(metrics.read, "a")

    everything, left, nothing = asyncio.run(scenario())
    assert everything == points(10, 20, 30)
    assert left == points(10, 20)
    assert nothing == {column: [] for column in COLUMNS}


def test_the_newest_run_on_a_dataset_is_found_among_others(database: Database) -> None:
    async def scenario() -> list[str | None]:
        for name, dataset in (("a", "mnist"), ("b", "plane"), ("c", "mnist"), ("d", "table")):
            run = replace(stored(name), spec={"dataset": {"name": dataset}})
            await database.call(runs.insert, run)
        found = [await database.call(runs.newest_of, dataset, "local") for dataset in ("mnist", "plane", "curve")]
        return [run and run.id for run in found]

    assert asyncio.run(scenario()) == ["c", "b", None]


def test_the_newest_checkpoint_is_known(database: Database) -> None:
    async def scenario() -> tuple[int | None, int | None]:
        await database.call(runs.insert, stored("a"))
        database.post(checkpoints.record, "a", 0, 100, "2025-01-01T00:00:00Z")
        database.post(checkpoints.record, "a", 50, 100, "2025-01-01T00:00:05Z")
        return await database.call(checkpoints.find, "a"), await database.call(checkpoints.find, "b")

    assert asyncio.run(scenario()) == (50, None)


def test_a_piece_that_fails_does_not_take_the_others_along(database: Database) -> None:
    async def scenario() -> int:
        await database.call(runs.insert, stored("a"))
        outcomes = await asyncio.gather(
            database.call(runs.insert, stored("b")),
            database.call(runs.insert, stored("a")),  # the id is taken
            database.call(runs.insert, stored("c")),
            return_exceptions=True,
        )
        assert isinstance(outcomes[1], sqlite3.IntegrityError)
        return await database.call(runs.count)

    assert asyncio.run(scenario()) == 3


def test_who_gives_up_waiting_disturbs_nobody(database: Database) -> None:
    async def scenario() -> int:
        await database.call(runs.insert, stored("a"))
        waiting = asyncio.ensure_future(database.call(runs.insert, stored("b")))
        await asyncio.sleep(0)
        waiting.cancel()
        return await database.call(runs.count)

    assert asyncio.run(scenario()) == 2


@pytest.mark.parametrize("leftover", ["empty", "no file", "stray wal"])
def test_harmless_leftovers_start_a_new_history(tmp_path: Path, leftover: str) -> None:
    database = Database(tmp_path)
    if leftover == "empty":
        database.path.touch()
    elif leftover == "stray wal":
        database.path.with_name("nabla.sqlite3-wal").write_bytes(b"\x00" * 5000)
    database.open()
    assert asyncio.run(database.call(runs.count)) == 0
    assert database.notice is None
    database.close()


def test_a_file_from_before_the_test_loss_keeps_its_points_and_takes_new_ones(tmp_path: Path) -> None:
    database = Database(tmp_path)
    with sqlite3.connect(database.path) as old:
        old.executescript(f"PRAGMA application_id = {APPLICATION_ID}; {RUNS} PRAGMA user_version = 1;")
        old.execute(
            "INSERT INTO runs (id, created, owner, spec, state, sentence, snapshot) "
            "VALUES ('a', '2025-01-01T00:00:00Z', 'local', '{}', 'paused', '', '{}')"
        )
        old.execute("INSERT INTO metrics (run, step, examples, seconds, test_accuracy) VALUES (1, 10, 200, 0.5, 0.75)")
    old.close()
    database.open()

    async def scenario() -> Points:
        await database.call(metrics.append, "a", points(20) | {"test_loss": [0.25]})
        return await database.call(metrics.read, "a")

    kept = asyncio.run(scenario())
    database.close()
    assert (kept["step"], kept["test_accuracy"], kept["test_loss"]) == ([10, 20], [0.75, None], [None, 0.25])


def test_a_second_server_on_the_same_folder_is_refused(database: Database) -> None:
    with pytest.raises(StartupError, match=f"already in use by process {os.getpid()}"):
        Database(database.folder).open()


def test_the_schema_holds_what_it_promises(database: Database) -> None:
    def settings(connection: sqlite3.Connection) -> dict[str, Any]:
        return {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "user_version")
        }

    assert asyncio.run(database.call(settings)) == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "user_version": len(MIGRATIONS),
    }
