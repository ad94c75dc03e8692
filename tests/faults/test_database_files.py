"""E6, E9: a history that is damaged, foreign, newer, held by another program or cut under us; the app is usable each time."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.serve import serve
from app.services.changes import RunChanges
from app.settings import Settings
from app.store import checkpoints, drawings, metrics, runs
from app.store.database import Database
from app.store.drawings import StoredDrawing
from app.store.migrations import MIGRATIONS
from app.wire.points import Points
from tests.app.small_runs import service, small
from tests.app.test_store import points, stored


@contextmanager
def opened(folder: Path) -> Iterator[Database]:
    database = Database(folder, retry_seconds=0.05)
    database.open()
    try:
        yield database
    finally:
        database.close()


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """The path of a sound file with one run in it and nothing beside it."""

    async def fill(database: Database) -> None:
        await database.call(runs.insert, stored("a"))
        for step in range(1, 2000, 100):
            await database.call(metrics.append, "a", points(*range(step, step + 100)))

    with opened(tmp_path) as database:
        asyncio.run(fill(database))
        path = database.path
    assert not path.with_name(path.name + "-wal").exists()
    return path


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


def cut_to_its_head(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)


def text(path: Path) -> None:
    path.write_text("Dear diary, today I trained a network.\n" * 100)


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()


def folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "keep.txt").write_text("mine")


@pytest.mark.parametrize("damage", [truncated, cut_to_its_head, overwritten, text, foreign, folder_in_its_place])
def test_an_unreadable_history_is_put_aside_and_said_so(history: Path, damage: Callable[[Path], None]) -> None:
    states = history.parent / "checkpoints" / "0123456789abcdef"
    states.mkdir(parents=True)
    damage(history)
    before = history.read_bytes() if history.is_file() else None
    with opened(history.parent) as database:
        assert asyncio.run(database.call(runs.count)) == 0
        asyncio.run(database.call(runs.insert, stored("new")))
        kept = next(history.parent.glob("nabla.unreadable-*.sqlite3"))
        assert database.notice is not None
        assert kept.name in database.notice
        assert not database.in_memory
        assert not database.checkpoints.exists()
        assert kept.with_suffix(".checkpoints").joinpath(states.name).is_dir(), "its runs' states are kept, too"
    assert before is None or kept.read_bytes() == before
    with opened(history.parent) as database:  # what was begun anew is sound
        assert database.notice is None
        assert asyncio.run(database.call(runs.count)) == 1


def empty(path: Path) -> None:
    path.write_bytes(b"")


def missing(path: Path) -> None:
    path.unlink()


def noise_as_wal(path: Path) -> None:
    path.with_name(path.name + "-wal").write_bytes(os.urandom(50_000))
    path.with_name(path.name + "-shm").write_bytes(os.urandom(32_768))


@pytest.mark.parametrize(("leftover", "left"), [(empty, 0), (missing, 0), (noise_as_wal, 1)])
def test_harmless_leftovers_need_no_words(history: Path, leftover: Callable[[Path], None], left: int) -> None:
    leftover(history)
    with opened(history.parent) as database:
        assert database.notice is None
        assert asyncio.run(database.call(runs.count)) == left
        asyncio.run(database.call(runs.insert, stored("new")))


@pytest.mark.parametrize("leftover", [empty, missing])
def test_the_states_of_a_history_that_is_gone_are_kept_and_named(
    history: Path, leftover: Callable[[Path], None]
) -> None:
    states = history.parent / "checkpoints" / "0123456789abcdef"
    states.mkdir(parents=True)
    leftover(history)
    with opened(history.parent) as database:
        (kept,) = history.parent.glob("nabla.unreadable-*.checkpoints")
        assert kept.joinpath(states.name).is_dir()
        assert database.notice is not None
        assert kept.stem in database.notice


def test_the_log_of_another_database_is_never_taken_for_our_own(history: Path, tmp_path: Path) -> None:
    """A -wal with sound frames of another file: either all of it is put aside, or what is read is consistent."""
    with sqlite3.connect(tmp_path / "other.sqlite3") as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE recipes (name TEXT)")
        other.executemany("INSERT INTO recipes VALUES (?)", [("cake" * 500,)] * 200)
        other.commit()
        log = (tmp_path / "other.sqlite3-wal").read_bytes()
    other.close()
    history.with_name(history.name + "-wal").write_bytes(log)
    with opened(history.parent) as database:
        assert database.notice is not None
        assert asyncio.run(database.call(runs.count)) == 0


def test_a_newer_history_is_left_untouched_and_the_app_works_in_memory(history: Path) -> None:
    with sqlite3.connect(history) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = history.read_bytes()

    async def use() -> None:
        async with service(history.parent) as app:
            notice = (await app.health())["notice"]
            assert "newer version" in notice
            assert f"schema 99, this one knows {len(MIGRATIONS)}" in notice
            assert str(app.store.checkpoints.parent) in notice
            assert "--data" in notice
            id = (await app.create(small(), state="paused"))["id"]
            assert (await app.step(id, 20))["step"] == 20
            assert [run["id"] for run in (await app.list())["items"]] == [id]
            assert (await app.metrics(id))["step"] == [10, 20]
            temporary = app.store.checkpoints
        assert not temporary.parent.exists()

    asyncio.run(use())
    assert history.read_bytes() == before
    assert {path.name for path in history.parent.iterdir()} == {"nabla.lock", history.name}


def test_a_history_that_another_program_holds_at_the_start_is_left_to_it(history: Path) -> None:
    """SQLite's own exclusive mode keeps even readers out."""
    other = sqlite3.connect(history, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with opened(history.parent) as database:
        assert database.in_memory
        assert database.notice is not None
        assert "in use by another program" in database.notice
        assert asyncio.run(database.call(runs.insert, stored("b"))) == 1
    other.execute("ROLLBACK")
    other.close()
    with opened(history.parent) as database:
        assert [run.id for run in asyncio.run(database.call(runs.newest, 9, None))] == ["a"]


async def until(database: Database, holds: Callable[[str | None], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds(database.notice):
            await database.call(runs.count)


def short_patience(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA busy_timeout = 10")


def state(
    connection: sqlite3.Connection,
) -> tuple[list[tuple[int, str, str]], dict[str, list[object]], int | None, int]:
    (together,) = connection.execute("SELECT count(*) FROM metrics").fetchone()
    rows = [(run.number, run.id, run.state) for run in runs.newest(connection, 99, None)]
    curves = {id: list(metrics.read(connection, id)["step"]) for id in ("a", "b", "c", "d")}
    assert together == sum(map(len, curves.values())), "no points without a run"
    return rows, curves, checkpoints.find(connection, "c"), len(drawings.of(connection, "anna"))


async def live_through(database: Database, begin: Callable[[], None], end: Callable[[], None]) -> None:
    """Everything that the store can do while the file takes no writes, seen at once and kept afterwards."""
    for id in ("a", "b", "x"):
        await database.call(runs.insert, stored(id))
        await database.call(metrics.append, id, points(10, 20, 30))
    await database.call(short_patience)
    begin()
    assert await database.call(runs.insert, stored("c")) == 4
    assert database.notice is not None
    assert "kept in memory only" in database.notice
    database.post(runs.update, stored("a", "stopped"))
    database.post(metrics.append, "a", points(30, 40))
    database.post(metrics.truncate, "b", 15)
    database.post(metrics.append, "c", points(5))
    database.post(checkpoints.record, "c", 5, 100, "2025-01-01T00:00:00Z")
    database.post(runs.delete, "x")
    assert await database.call(drawings.add, "anna", StoredDrawing("d1", 3, b"\0" * 784, "2025-01-01"), 9, 9)
    assert await database.call(runs.insert, stored("d")) == 5
    seen = await database.call(state)
    assert seen == (
        [(5, "d", "paused"), (4, "c", "paused"), (2, "b", "paused"), (1, "a", "stopped")],
        {"a": [10, 20, 30, 40], "b": [10], "c": [5], "d": []},
        5,
        1,
    )
    end()
    await until(database, lambda notice: notice is None)
    assert await database.call(state) == seen
    assert await database.call(runs.insert, stored("e")) == 6


def test_a_lock_taken_while_we_run_costs_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        other = sqlite3.connect(database.path, isolation_level=None)
        asyncio.run(
            live_through(
                database, lambda: void(other.execute("BEGIN EXCLUSIVE")), lambda: void(other.execute("ROLLBACK"))
            )
        )
        other.close()
    check_file(database.path)


def test_a_full_file_costs_nothing(tmp_path: Path) -> None:
    """SQLite's own limit on pages stands in for the disk: tests.faults.test_disk fills a real one."""
    limits = iter([0, 10_000])

    def limit(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + next(limits)}")

    with opened(tmp_path) as database:

        async def fill() -> None:
            await database.call(runs.insert, stored("a"))
            await database.call(limit)
            database.post(metrics.append, "a", points(*range(1, 5001)))
            await until(database, lambda notice: notice is not None and "disk is full" in notice)
            assert await database.call(metrics.read, "a") == points(*range(1, 5001))
            await database.call(limit)
            await until(database, lambda notice: notice is None)
            assert await database.call(metrics.read, "a") == points(*range(1, 5001))

        asyncio.run(fill())
    check_file(database.path)


def test_a_lock_that_outlives_us_loses_only_what_it_kept_out(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        asyncio.run(database.call(runs.insert, stored("a")))
        asyncio.run(database.call(short_patience))
        other = sqlite3.connect(database.path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        asyncio.run(database.call(runs.insert, stored("b")))
    other.close()
    with opened(tmp_path) as database:
        assert [run.id for run in asyncio.run(database.call(runs.newest, 9, None))] == ["a"]


def test_what_was_kept_in_memory_is_written_at_the_end_if_it_can_be(tmp_path: Path) -> None:
    database = Database(tmp_path)  # which tries again only after half a minute
    database.open()
    asyncio.run(database.call(short_patience))
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    asyncio.run(database.call(runs.insert, stored("a")))
    other.close()
    assert database.notice is not None
    database.close()
    with opened(tmp_path) as again:
        assert asyncio.run(again.call(runs.count)) == 1


def test_a_file_that_is_overwritten_under_us_ends_in_memory_with_words(tmp_path: Path) -> None:
    async def live(database: Database) -> Points:
        await database.call(runs.insert, stored("a"))
        database.path.write_bytes(b"noise" * 10_000)
        for companion in ("-wal", "-shm"):
            path = database.path.with_name(database.path.name + companion)
            path.write_bytes(b"\xa5" * path.stat().st_size)
        await database.call(forget_pages)
        await database.call(runs.insert, stored("b"))
        await database.call(metrics.append, "b", points(10))
        return await database.call(metrics.read, "b")

    def forget_pages(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA shrink_memory")

    with opened(tmp_path) as database:
        assert asyncio.run(live(database)) == points(10)
        assert database.in_memory
        assert database.notice is not None
        assert "can no longer be read" in database.notice


def test_a_second_server_on_the_same_folder_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(tmp_path):
        assert serve(Settings(port=0, data=tmp_path, workers=1)) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert f"already in use by process {os.getpid()}" in printed.err
    assert printed.out == ""
    with opened(tmp_path) as database:
        assert database.notice is None


def test_a_run_trains_on_through_a_lock(tmp_path: Path) -> None:
    """The whole service: created, listed, changed and deleted while another program holds the file."""

    async def scenario() -> None:
        async with service(tmp_path) as app:
            app.store._retry_seconds = 0.05
            await app.store.call(short_patience)
            before = (await app.create(small(), state="paused"))["id"]
            other = sqlite3.connect(app.store.path, isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")
            during = (await app.create(small(), state="paused"))["id"]
            await app.step(during, 20)
            await app.change(during, RunChanges(name="named meanwhile"))
            await app.delete(before)
            assert [run["name"] for run in (await app.list())["items"]] == ["named meanwhile"]
            assert "Another program" in (await app.health())["notice"]
            other.close()
            await until(app.store, lambda notice: notice is None)
        async with service(tmp_path) as app:
            (run,) = (await app.list())["items"]
            assert (run["id"], run["name"], run["step"]) == (during, "named meanwhile", 20)
            assert (await app.metrics(during))["step"] == [10, 20]

    asyncio.run(scenario())


def void(_: object) -> None:
    """A lambda's value that nobody wants."""


def check_file(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
