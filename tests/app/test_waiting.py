"""The line for a place: fair by owner, ordered by counters, with its position and estimate told."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.asking import Asker, asking
from app.errors import Busy, Conflict, Forbidden, NoSuchRun, Overtaken, Unprocessable
from app.services.changes import RunChanges
from app.services.places import PLACE_SECONDS
from app.services.waiting import Line
from app.workers.states import SENTENCES
from tests.app.small_runs import of_points, service, until


def called(line: Line, open_runs: Counter[str]) -> list[str]:
    """The whole line, one place after the other."""
    order = []
    while line:
        ticket = line.next(open_runs)
        line.call(ticket, 0.0)
        open_runs[ticket.owner] += 1
        order.append(ticket.run)
    return order


def test_whoever_asks_for_many_gets_one_for_each_of_the_others() -> None:
    async def scenario() -> None:
        line = Line()
        for run in ("A1", "A2", "B1", "C1", "C2", "A3"):
            line.draw(run, run[0], 1)
        assert [ticket.run for ticket in line.in_order({})] == ["A1", "B1", "C1", "A2", "C2", "A3"]
        assert called(line, Counter()) == ["A1", "B1", "C1", "A2", "C2", "A3"]

    asyncio.run(scenario())


@given(st.lists(st.sampled_from("ABCDE"), max_size=40), st.dictionaries(st.sampled_from("ABCDE"), st.integers(0, 9)))
def test_the_order_that_is_told_is_the_order_that_comes(owners: list[str], before: dict[str, int]) -> None:
    async def scenario() -> None:
        line = Line()
        for number, owner in enumerate(owners):
            line.draw(f"{owner}{number}", owner, 1)
        told = [ticket.run for ticket in line.in_order(before)]
        assert called(line, Counter(before)) == told
        assert sorted(told) == sorted(f"{owner}{number}" for number, owner in enumerate(owners))
        for owner in "ABCDE":
            own = [run for run in told if run[0] == owner]
            assert own == sorted(own, key=lambda run: int(run[1:])), "one's own runs keep their order"

    asyncio.run(scenario())


def test_the_estimate_is_how_quickly_places_became_free() -> None:
    async def scenario() -> None:
        line = Line()
        tickets = [line.draw(str(number), "A", 1) for number in range(5)]
        assert line.seconds(3) is None
        for ticket, now in zip(tickets, (10.0, 12.0, 16.0), strict=False):
            line.call(ticket, now)
        assert line.seconds(2) == 2 * 3.0

    asyncio.run(scenario())


def test_a_run_without_a_place_waits_in_line_and_says_where(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, runs_live=2, runs_waiting=2) as runs:
            running = [(await runs.create(of_points()))["id"] for _ in range(2)]
            third, fourth = [(await runs.create(of_points())) for _ in range(2)]
            assert third["state"] == "queued"
            assert third["waiting"] == {"position": 1, "seconds": None}
            assert "number 1 in line" in third["sentence"]
            assert fourth["waiting"]["position"] == 2
            with pytest.raises(Busy) as refused:
                await runs.create(of_points())
            assert refused.value.status == 503
            assert len((await runs.list())["items"]) == 4, "what was refused left nothing behind"
            with pytest.raises(Busy, match="waits for one"):
                await runs.step(third["id"], 1)
            await runs.delete(running[0])
            run = await until(runs, third["id"], lambda run: run["state"] == "running")
            assert run["waiting"] is None
            await until(runs, fourth["id"], lambda run: (run["waiting"] or {}).get("position") == 1)
            await runs.change(running[1], RunChanges(state="paused"))
            await until(runs, fourth["id"], lambda run: run["state"] == "running")
            await runs.delete(third["id"])

    asyncio.run(scenario())


def test_a_paused_run_that_is_to_train_waits_in_line_and_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, runs_live=1) as runs:
            first = (await runs.create(of_points()))["id"]
            second = (await runs.create(of_points()))["id"]
            for _ in range(2):
                paused = await runs.change(second, RunChanges(state="paused"))
                assert (paused["state"], paused["waiting"]) == ("paused", None)
                waits = await runs.change(second, RunChanges(state="running"))
                assert (waits["state"], waits["waiting"]) == ("queued", {"position": 1, "seconds": None})
                assert waits["sentence"] == "It waits for a place: number 1 in line."
            await runs.delete(first)
            run = await until(runs, second, lambda run: run["state"] == "running")
            assert (run["sentence"], run["waiting"]) == ("Training.", None)

    asyncio.run(scenario())


def test_a_run_in_line_begins_with_what_was_changed_meanwhile(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, runs_live=1) as runs:
            first = (await runs.create(of_points()))["id"]
            second = (await runs.create(of_points(), state="paused"))["id"]
            begun = time.monotonic()
            waits = await runs.change(second, RunChanges(learning_rate=0.25, batch_size=3, updates_per_second=7, state="running"))
            assert time.monotonic() - begun < PLACE_SECONDS, "nobody waits for a place to change a number"
            assert (waits["optimizer"]["learning_rate"], waits["batch_size"], waits["updates_per_second"]) == (0.25, 3, 7)
            assert (waits["state"], waits["waiting"]["position"]) == ("queued", 1)
            with pytest.raises(Unprocessable, match="no momentum"):
                await runs.change(second, RunChanges(momentum=0.5))
            with pytest.raises(Unprocessable, match="must be above 0"):
                await runs.change(second, RunChanges(learning_rate=-1.0))
            with pytest.raises(Overtaken):
                await runs.change(second, RunChanges(l2=0.5), expected="another")
            paused = await runs.change(second, RunChanges(l2=0.125, state="paused"))
            assert (paused["state"], paused["l2"], paused["waiting"]) == ("paused", 0.125, None)
            await runs.delete(first)
            trained = await runs.step(second, 2)
            assert trained["examples"] == 2 * 3
            assert (trained["optimizer"]["learning_rate"], trained["l2"], trained["updates_per_second"]) == (0.25, 0.125, 7)

    asyncio.run(scenario())


def test_a_paused_run_that_somebody_looks_at_says_that_it_waits(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, runs_live=1) as runs:
            first = (await runs.create(of_points()))["id"]
            second = (await runs.create(of_points(), state="paused"))["id"]
            await runs.change(second, RunChanges(state="paused"))
            stream = await runs.subscribe(second, frozenset({"plane"}), "look", None)
            reading = asyncio.create_task(read_all(stream))
            with pytest.raises(Busy):
                await runs.watch(second, "look", {"plane": {"resolution": 10, "columns": [0, 1]}})
            run = await until(runs, second, lambda run: run["waiting"] is not None)
            assert (run["state"], run["sentence"], run["waiting"]["position"]) == ("paused", SENTENCES["paused"], 1)
            await runs.delete(first)
            run = await until(runs, second, lambda run: run["waiting"] is None)
            assert run["state"] == "paused"
            reading.cancel()

    asyncio.run(scenario())


async def read_all(stream: AsyncIterator[bytes]) -> None:
    async for _ in stream:
        pass


def test_exactly_as_many_are_taken_in_as_there_are_places(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, runs_live=5, runs_waiting=7) as runs:
            answers = await asyncio.gather(*(runs.create(of_points()) for _ in range(40)), return_exceptions=True)
            taken = [answer for answer in answers if isinstance(answer, dict)]
            refused = [answer for answer in answers if isinstance(answer, Busy)]
            assert (len(taken), len(refused)) == (12, 28)
            assert runs.stored == 12
            for run in taken:
                await runs.delete(run["id"])
            assert runs._live.places.taken == 0
            assert runs._live.places.waiting == 0

    asyncio.run(scenario())


def test_memory_is_counted_before_any_is_taken(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, memory_bytes=1) as runs:
            alone = await runs.create(of_points())
            await until(runs, alone["id"], lambda run: run["state"] == "running")
            other = await runs.create(of_points())
            assert (other["state"], other["waiting"]["position"]) == ("queued", 1)
            await runs.delete(alone["id"])
            await until(runs, other["id"], lambda run: run["state"] == "running")

    asyncio.run(scenario())


ADA, BOB = Asker("a" * 16), Asker("b" * 16)


def test_nobody_sees_what_is_private_or_steers_what_is_shared(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, runs_per_visitor=2) as runs:
            asking.set(ADA)
            run = await runs.create(of_points(), state="paused")
            id = run["id"]
            assert (run["owner"], run["shared"], run["kind"]) == (ADA.person, False, "run")
            asking.set(BOB)
            for refused in (runs.get(id), runs.step(id, 1), runs.delete(id), runs.metrics(id), runs.export(id, "native")):
                with pytest.raises(NoSuchRun):
                    await refused
            assert (await runs.list())["items"] == []
            asking.set(ADA)
            await runs.change(id, RunChanges(shared=True))
            asking.set(BOB)
            assert (await runs.get(id))["owner"] == ADA.person
            assert (await runs.list())["items"] == []
            assert [item["id"] for item in (await runs.list(shared=True))["items"]] == [id]
            for refused in (runs.step(id, 1), runs.delete(id), runs.change(id, RunChanges(shared=False)), runs.reset(id)):
                with pytest.raises(Forbidden):
                    await refused
            mine = [await runs.create(of_points()) for _ in range(2)]
            with pytest.raises(Busy) as busy:
                await runs.create(of_points())
            assert busy.value.status == 429
            await runs.delete(mine[0]["id"])
            await runs.create(of_points())
            asking.set(ADA)
            assert await runs.step(id, 1)

    asyncio.run(scenario())


def test_one_visitor_does_not_fill_the_server_with_names(tmp_path: Path) -> None:
    """Named, renamed or read from a file; many at once, too. Unnamed ones, and those of others, go on being made."""

    async def scenario() -> None:
        async with service(tmp_path, named_per_visitor=3) as runs:
            asking.set(ADA)
            free = (await runs.create(of_points(), state="paused"))["id"]
            answers = await asyncio.gather(
                *(runs.create(of_points(), state="paused", named=True) for _ in range(5)), return_exceptions=True
            )
            made = [answer["id"] for answer in answers if not isinstance(answer, BaseException)]
            refused = [answer for answer in answers if isinstance(answer, Conflict)]
            assert (len(made), [each.code for each in refused]) == (3, ["too_many_named"] * 2)
            assert runs.stored == 4
            _, _, file = await runs.export(free, "native")
            for more in (
                runs.change(free, RunChanges(name="mine")),
                runs.respec(free, replace(of_points(), name="mine"), named=True),
                runs.import_model(file, "network.json"),
            ):
                with pytest.raises(Conflict, match="Delete one"):
                    await more
            await runs.change(made[0], RunChanges(name="another"))
            await runs.create(of_points(), state="paused")
            asking.set(BOB)
            await runs.create(of_points(), state="paused", named=True)
            asking.set(ADA)
            await runs.delete(made[0])
            assert not (await runs.respec(free, replace(of_points(), seed=2), named=True))["named"], "its name is what it was"
            assert (await runs.respec(free, replace(of_points(), name="mine"), named=True))["named"]

    asyncio.run(scenario())


def test_in_a_class_a_run_without_an_end_rests_when_nobody_looks(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, in_class=True, unwatched_seconds=0.1) as runs:
            id = (await runs.create(of_points()))["id"]
            async with asyncio.timeout(20):
                while runs._live.peek(id).state != "paused":  # type: ignore[union-attr]  # to ask would be to look
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_a_run_that_nobody_needs_gives_its_place_back_and_comes_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, idle_seconds=0.05) as runs:
            id = (await runs.create(of_points(), state="paused"))["id"]
            await runs.step(id, 3)
            async with asyncio.timeout(20):
                while runs._live.places.taken:
                    await asyncio.sleep(0.01)
            assert (await runs.get(id))["state"] == "paused"
            assert (await runs.step(id, 1))["step"] == 4
            running = (await runs.create(of_points()))["id"]
            stream = await runs.subscribe(id, frozenset({"metrics"}), None, None)
            await anext(stream)
            await runs.step(id, 1)
            await until(runs, running, lambda run: run["seconds"] > 0.3)
            assert runs._live.places.taken == 2, "one trains, and one is looked at"
            await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(scenario())
