"""Old runs and states are thinned by the policy that `/limits` tells; what somebody named stays, and so does what is in use."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from app.clock import days_ago
from app.errors import Conflict, NoRoom
from app.services.changes import RunChanges
from app.services.drawings import Drawings
from app.services.keeping import Keeping, check_disk
from app.settings import Limits
from app.store import checkpoints, keeping, runs, solved
from app.store.database import Database
from app.store.runs import StoredRun
from app.store.solved import Solved
from tests.app.small_runs import service, small
from tests.app.test_store import stored

WHEN = "2025-01-{:02}T00:00:00Z"


@pytest.fixture(autouse=True)
def looking_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.keeping.LOOK_SECONDS", 0.0)


def kept(id: str, *, kind: str = "run", named: bool = False, touched: int = 1) -> StoredRun:
    return replace(stored(id), kind=kind, named=named, touched=WHEN.format(touched))


@dataclass
class House:
    """A store, its keeping, which runs are in use, and in which order they went."""

    database: Database
    limits: Limits
    used: set[str] = field(default_factory=set)
    gone: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keeping = Keeping(
            self.database, self.limits, is_unwanted=lambda id: id not in self.used, remove=self.remove
        )

    async def remove(self, id: str) -> None:
        self.gone.append(id)
        self.keeping.give_back()
        await self.database.call(runs.delete, id)

    async def add(self, *rows: StoredRun, size: int = 0) -> None:
        for row in rows:
            await self.database.call(runs.insert, row)
            if size:
                await self.database.call(checkpoints.record, row.id, 1, size, WHEN.format(1))
        await self.keeping.begin()


def in_house(folder: Path, scenario: Callable[[House], Awaitable[None]], **limits: int) -> House:
    database = Database(folder)
    database.open()
    try:
        house = House(database, Limits(**limits))  # type: ignore[arg-type]
        asyncio.run(scenario(house))  # type: ignore[arg-type]
        return house
    finally:
        database.close()


@pytest.mark.parametrize(("there", "goes"), [(4, []), (5, ["a"]), (6, ["a", "b"])])
def test_one_below_at_and_above_the_limit(tmp_path: Path, there: int, goes: list[str]) -> None:
    async def scenario(house: House) -> None:
        await house.add(*(kept(id, touched=day) for day, id in enumerate("abcdef"[:there], 1)))
        await house.keeping.reserve()
        assert house.keeping.stored == 5

    assert in_house(tmp_path, scenario, runs_stored=5).gone == goes


def test_labs_go_first_then_what_nobody_has_wanted_longest(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        await house.add(
            kept("old", touched=1),
            kept("named", named=True, touched=1),
            kept("lab-new", kind="lab", touched=9),
            kept("used", touched=2),
            kept("lab-old", kind="lab", touched=8),
            kept("new", touched=7),
            kept("middle", touched=3),
        )
        house.used.add("used")
        for _ in range(5):
            await house.keeping.reserve()
        with pytest.raises(Conflict, match="7 runs are kept already, and all of them are named or in use"):
            await house.keeping.reserve()

    assert in_house(tmp_path, scenario, runs_stored=7).gone == ["lab-old", "lab-new", "old", "middle", "new"]


def test_labs_keep_their_own_number(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        await house.add(kept("run"), *(kept(f"lab{n}", kind="lab", touched=n) for n in range(1, 5)))
        await house.keeping.reserve(lab=True)
        await house.keeping.reserve()

    assert in_house(tmp_path, scenario, lab_runs=3).gone == ["lab1", "lab2"]


def test_the_disk_has_a_budget_in_which_each_state_counts_twice(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        await house.add(kept("named", named=True, touched=1), kept("a", touched=2), kept("b", touched=3), size=100)
        await house.add(kept("small", touched=1))  # which would free nothing
        await house.keeping.reserve()
        assert house.gone == []
        await house.add(kept("c", touched=4), size=1)
        await house.keeping.reserve()
        assert house.gone == ["a"]
        await house.database.call(checkpoints.record, "named", 2, 301, WHEN.format(1))
        with pytest.raises(NoRoom, match="named or in use") as refusal:
            await house.keeping.reserve()
        assert refusal.value.status == 507

    assert in_house(tmp_path, scenario, disk_bytes=600).gone == ["a", "b", "c"]


def test_many_who_ask_at_once_get_exactly_the_places_there_are(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        await house.add(*(kept(f"n{n}", named=True) for n in range(5)), *(kept(f"u{n}") for n in range(10)))
        answers = await asyncio.gather(*(house.keeping.reserve() for _ in range(40)), return_exceptions=True)
        assert answers.count(None) == 35 - 10 + 10
        assert sum(isinstance(answer, Conflict) for answer in answers) == 5
        assert house.keeping.stored == 40

    house = in_house(tmp_path, scenario, runs_stored=40)
    assert sorted(house.gone) == sorted(f"u{n}" for n in range(10))


@pytest.mark.parametrize("seed", range(5))
def test_whatever_there_is_nothing_named_or_in_use_goes(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    named = {f"r{n}" for n in range(60) if dice.random() < 0.3}

    async def scenario(house: House) -> None:
        rows = [
            kept(f"r{n}", kind=dice.choice(["run", "lab"]), named=f"r{n}" in named, touched=dice.randint(1, 28))
            for n in range(60)
        ]
        await house.add(*rows, size=10)
        house.used |= {row.id for row in rows if dice.random() < 0.2}
        for _ in range(100):
            try:
                await house.keeping.reserve(lab=dice.random() < 0.5)
            except (Conflict, NoRoom):
                break
        assert not house.used & set(house.gone)

    house = in_house(tmp_path, scenario, runs_stored=40, lab_runs=10, disk_bytes=500)
    assert not named & set(house.gone)
    assert len(house.gone) > 10


def test_keys_and_solved_tasks_are_forgotten_in_time(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        for age in (0, 6, 8, 399, 401):
            run = replace(stored(f"run{age}"), created=days_ago(age))
            await house.database.call(runs.insert_with_key, run, f"key{age}", "digest")
            task = Solved("gradient", f"task{age}", "", "0", "", days_ago(age))
            await house.database.call(solved.add, "anna", task)
        await house.keeping.begin()
        keys = [await house.database.call(runs.find_key, f"key{age}") for age in (0, 6, 8, 399, 401)]
        assert [key is not None for key in keys] == [True, True, False, False, False]
        assert [task.task for task in await house.database.call(solved.of, "anna")] == [
            "task399",
            "task8",
            "task6",
            "task0",
        ]

    in_house(tmp_path, scenario)


def test_a_folder_whose_run_is_gone_is_swept_and_nothing_else(tmp_path: Path) -> None:
    mine, orphan = "0123456789abcdef", "fedcba9876543210"

    async def scenario(house: House) -> None:
        for name in (mine, orphan, "keep.me", "notes-of-a-visitor"):
            (tmp_path / "checkpoints" / name).mkdir(parents=True)
            (tmp_path / "checkpoints" / name / "run.checkpoint").touch()
        await house.add(kept(mine))
        assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
            mine,
            "keep.me",
            "notes-of-a-visitor",
        ]

    in_house(tmp_path, scenario)


def test_a_disk_with_too_little_left_takes_nothing_in(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        with pytest.raises(NoRoom, match="nothing more is taken in"):
            check_disk(house.database, house.limits)
        with pytest.raises(NoRoom, match="nothing more is taken in"):
            await Drawings(house.database, house.limits).keep("anna", 1, {"ink": [[1.0] * 28] * 28})

    in_house(tmp_path, scenario, disk_free_bytes=2**60)
    in_house(tmp_path, lambda house: asyncio.sleep(0, check_disk(house.database, house.limits)), disk_free_bytes=1)


def test_what_may_go_is_told_in_order(tmp_path: Path) -> None:
    async def scenario(house: House) -> None:
        await house.add(kept("a", touched=2), kept("b", touched=2), kept("c", touched=1), kept("d", named=True))
        assert [run.id for run in await house.database.call(keeping.spare)] == ["c", "a", "b"]

    in_house(tmp_path, scenario)


def test_the_service_keeps_what_was_named_or_is_looked_at(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, runs_stored=4) as app:
            given, renamed, looked_at, plain = [
                (await app.create(small(), state="paused", named=place == 0))["id"] for place in range(4)
            ]
            await app.change(renamed, RunChanges(name="mine"))
            stream = await app.subscribe(looked_at, frozenset({"metrics"}), None, None)
            await anext(stream)
            fifth = (await app.create(small(), state="paused"))["id"]
            assert [run["id"] for run in (await app.list())["items"]] == [fifth, looked_at, renamed, given]
            assert not (tmp_path / "checkpoints" / plain).exists()
            await app.change(fifth, RunChanges(name="mine, too"))
            with pytest.raises(Conflict, match="named or in use"):
                await app.create(small(), state="paused")
            await stream.aclose()  # type: ignore[attr-defined]
            sixth = (await app.create(small(), state="paused"))["id"]
            assert [run["id"] for run in (await app.list())["items"]] == [sixth, fifth, renamed, given]
            assert (app.stored, await app.store.call(runs.count)) == (4, 4)

    asyncio.run(scenario())
