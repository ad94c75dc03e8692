"""E11: the time of day jumps by an hour, by years, or backwards; nothing that is measured or ordered follows it."""

from __future__ import annotations

import ast
import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app import clock
from app.services.changes import RunChanges
from app.workers.saves import Saves
from engine.trainer import Trainer
from tests.app.small_runs import dataset_of, of_points, service, small, until

ROOT = Path(__file__).resolve().parents[2]
BANNED = {
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
ALLOWED = {"app/clock.py", "app/workers/luggage.py"}
"""The one module; and one that asks whether a file is still the same, not which of two is older."""
FILE_TIMES = {"st_mtime", "st_mtime_ns", "st_ctime", "st_ctime_ns", "getmtime"}


def readings_of_the_clock(source: str) -> Iterator[int]:
    """Lines in which the time of day is asked for, under whatever name it was imported."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (node.lineno for alias in node.names if alias.name in BANNED["time"])
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if node.attr in BANNED.get(owner, ()) or node.attr in FILE_TIMES:
                yield node.lineno


@pytest.mark.parametrize(
    "line",
    ["import time; time.time()", "from time import time", "import datetime; datetime.datetime.now()",
     "from datetime import datetime; datetime.now(x)", "path.stat().st_mtime_ns"],
)  # fmt: skip
def test_the_search_finds_what_it_searches(line: str) -> None:
    assert list(readings_of_the_clock(line)) == [1]
    assert not list(readings_of_the_clock("import time; time.monotonic(); time.perf_counter(); time.sleep(1)"))


def test_only_one_module_asks_for_the_time_of_day() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("app", "engine")
        for path in (ROOT / folder).rglob("*.py")
        if path.relative_to(ROOT).as_posix() not in ALLOWED
        for line in readings_of_the_clock(path.read_text("utf-8"))
    }
    assert found == set()


@contextmanager
def jumping(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[timedelta]]:
    """The clock is off by the last of these from now on."""
    jumps = [timedelta()]
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: datetime.now(UTC) + jumps[-1])
        yield jumps


SELDOM = [timedelta(hours=1), timedelta(days=20_000), timedelta(days=-20_000)]


@pytest.mark.parametrize("far", [timedelta(hours=-1), *(pytest.param(far, marks=pytest.mark.faults) for far in SELDOM)])
def test_runs_neither_notice_nor_change_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far: timedelta
) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            ids = [(await runs.create(small(name="before")))["id"]]
            await until(runs, ids[0], lambda run: run["step"] > 50)
            jumps.append(far)
            ids.append((await runs.create(small(name="between"), state="paused"))["id"])
            await runs.step(ids[1], 10)
            jumps.append(timedelta())
            ids.append((await runs.create(small(name="after"), state="paused"))["id"])
            assert [run["id"] for run in (await runs.list())["items"]] == ids[::-1]
            run = await runs.change(ids[0], RunChanges(state="paused"))
            points = await runs.metrics(ids[0])
            assert points["seconds"] == sorted(points["seconds"])
            assert 0 < run["seconds"] < 60
            assert points["step"] == list(range(10, run["step"] + 1, 10))
        async with service(tmp_path) as runs:
            assert [run["id"] for run in (await runs.list())["items"]] == ids[::-1]
            assert (await runs.step(ids[1], 1))["step"] == 11

    with jumping(monkeypatch) as jumps:
        asyncio.run(scenario())


def test_what_belongs_to_a_checkpoint_is_kept_whatever_the_file_system_calls_the_time(tmp_path: Path) -> None:
    """Files that were written after the clock was set back look older than those before."""
    trainer, saves = Trainer(of_points(), dataset_of(of_points())), Saves(tmp_path)
    for number in range(8):
        trainer.step()
        saves.write(trainer, {"number": number})
        age_all(tmp_path, number)
    found = Saves(tmp_path).read()
    assert found is not None
    state, recorder = found
    assert (state.steps, recorder) == (8, {"number": 7})
    assert sorted(path.name for path in tmp_path.glob("recorder-*")) == [f"recorder-{step}.json" for step in (6, 7, 8)]
    (tmp_path / "run.checkpoint").write_bytes(b"torn")
    found = Saves(tmp_path).read()
    assert found is not None
    assert (found[0].steps, found[1]) == (7, {"number": 6})


def age_all(folder: Path, number: int) -> None:
    """Every file there is gets a time that lies ahead of all that come."""
    for path in folder.iterdir():
        os.utime(path, (4e9 - number, 4e9 - number))
