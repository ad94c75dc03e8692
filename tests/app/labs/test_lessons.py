"""What all labs share: their state is settings and updates, tasks are held against what is there, and solved ones are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from app.errors import Busy, Conflict, NotFound, Unprocessable
from app.labs.lesson import Json, Runs
from app.labs.settings import query, read, texts
from app.prose import formula, prose
from app.services.labs import Labs, Visit, Wait, at_numbers
from app.services.runs import Runs as RunsService
from app.store import runs as rows
from engine.specs import RunSpec, StopSpec
from tests.app.labs.example import Settings, lab, long_figures, look_in_parts
from tests.app.small_runs import of_points, service, until

EXAMPLE = lab(plays=False)
VISITOR = "a" * 32


def with_labs(tmp_path: Path, scenario: Callable[[Labs, RunsService], Coroutine[Any, Any, None]]) -> None:
    async def all_of_it() -> None:
        async with serving(tmp_path) as (labs, runs):
            await scenario(labs, runs)

    asyncio.run(all_of_it())


@asynccontextmanager
async def serving(tmp_path: Path, **limits: int) -> AsyncIterator[tuple[Labs, RunsService]]:
    async with service(tmp_path, **limits) as runs:
        yield Labs(runs, runs.store), runs


# ---- Settings as texts -------------------------------------------------------------------------------------------------------


def test_settings_go_through_an_address_and_come_back_the_same() -> None:
    chosen = Settings(learning_rate=0.1, batch=7, view="table", arrows=False, start=(1.25, -3.0))
    address = query(chosen)
    assert address == "learning_rate=0.1&batch=7&view=table&arrows=0&start=1.25,-3"
    assert read(Settings, dict(parse_qsl(address))) == (chosen, {})
    assert query(Settings()) == ""
    assert read(Settings, texts(Settings(start=()))) == (Settings(start=()), {})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("learning_rate", "2"),
        ("learning_rate", "nan"),
        ("learning_rate", "abc"),
        ("learning_rate", ""),
        ("batch", "1.5"),
        ("batch", "0"),
        ("view", "other"),
        ("arrows", "perhaps"),
        ("start", "1,2,3"),
        ("start", "9,0"),
        ("start", "inf,0"),
    ],
)
def test_what_cannot_be_set_is_told_and_leaves_the_lab_as_it_opens(name: str, text: str) -> None:
    settings, errors = read(
        Settings, {name: text, "batch" if name != "batch" else "view": "6" if name != "batch" else "map"}
    )
    assert list(errors) == [name]
    assert errors[name].endswith(".")
    assert getattr(settings, name) == getattr(Settings(), name)
    if name != "batch":
        assert settings.batch == 6


def test_what_is_in_the_address_and_no_setting_is_let_be() -> None:
    assert read(Settings, {"present": "1", "at": "5"}) == (Settings(), {})


# ---- Words -------------------------------------------------------------------------------------------------------------------


def test_a_symbol_carries_its_meaning_wherever_it_stands() -> None:
    html = prose("So $w_0 x$.\n\n<b>Bold</b> <script>", {"w_0": "The bias."})
    assert html.count("<p>") == 2
    assert '<msub class="symbol" data-meaning="The bias.">' in html
    assert "<b>Bold</b> &lt;script&gt;" in html
    assert 'display="block"' in formula("x", {}, block=True)
    assert "data-meaning" not in formula("w_1", {"w_0": "The bias."})


# ---- Runs --------------------------------------------------------------------------------------------------------------------


def test_a_visit_makes_the_runs_and_looks_at_them(tmp_path: Path) -> None:
    async def scenario(labs: Labs, _runs: RunsService) -> None:
        visit = await labs.visit(EXAMPLE, Settings(), ids={}, visitor=VISITOR, command="open")
        assert list(visit.ids) == ["all", "some"]
        assert visit.figures["weights"] == {"all": (0.5, -1.0), "some": (0.5, -1.0)}
        assert visit.figures["seen"]["some"] == {"name": "some", "steps": 0, "batch": 5}
        assert {run.state for run in visit.runs.values()} == {"paused"}
        stepped = await labs.visit(EXAMPLE, Settings(), ids=visit.ids, visitor=VISITOR, command="step", count=10)
        assert stepped.at == "10.10"
        assert stepped.link == "/labs/example?at=10.10"
        assert stepped.ids == visit.ids
        assert not stepped.verdicts["far"].solved
        assert stepped.verdicts["far"].nearness == 0.5

    with_labs(tmp_path, scenario)


def test_a_page_that_is_loaded_again_finds_its_runs_as_they_are(tmp_path: Path) -> None:
    """A path of thousands of updates is not walked again for it."""

    async def scenario(labs: Labs, runs: RunsService) -> None:
        first = await labs.visit(EXAMPLE, Settings(), ids={}, visitor=VISITOR, command="open", at="30.20")
        generations = [(await runs.get(id))["generation"] for id in first.ids.values()]
        again = await labs.visit(EXAMPLE, Settings(), ids=first.ids, visitor=VISITOR, command="open", at="30.21")
        assert again.ids == first.ids
        assert again.at == "30.21"
        now = [(await runs.get(id))["generation"] for id in again.ids.values()]
        assert now[0] == generations[0]
        assert now[1] > generations[1], "this one was to be elsewhere"

    with_labs(tmp_path, scenario)


def test_a_lab_whose_runs_have_no_places_waits_in_line_with_them(tmp_path: Path) -> None:
    """However often it is asked for: nothing is carried out before, and then all of it."""

    async def scenario() -> None:
        async with serving(tmp_path, runs_live=2) as (labs, runs):
            others = [(await runs.create(of_points(stop=StopSpec())))["id"] for _ in range(2)]
            first = await labs.visit(EXAMPLE, Settings(), ids={}, visitor=VISITOR, command="open", at="3.4")
            assert isinstance(first, Wait)
            assert (list(first.ids), first.where.words) == (["all", "some"], "number 2 in line")
            assert await labs.visit(EXAMPLE, Settings(), ids=first.ids, visitor=VISITOR, command="open", at="3.4") == first
            for id in others:
                await runs.delete(id)
            visit = await labs.visit(EXAMPLE, Settings(), ids=first.ids, visitor=VISITOR, command="open", at="3.4")
            assert isinstance(visit, Visit)
            assert (visit.ids, visit.at) == (first.ids, "3.4")

    asyncio.run(scenario())


def test_a_lab_that_gets_only_some_of_its_runs_keeps_none(tmp_path: Path) -> None:
    """It is asked for again and again: what it left behind would fill the line."""

    async def scenario() -> None:
        async with serving(tmp_path, runs_live=1, runs_waiting=1) as (labs, runs):
            other = (await runs.create(of_points(stop=StopSpec())))["id"]
            with pytest.raises(Busy, match="1 more wait"):
                await labs.visit(EXAMPLE, Settings(), ids={}, visitor=VISITOR, command="open")
            assert runs.stored == 1
            await runs.delete(other)

    asyncio.run(scenario())


def test_what_takes_several_looks_is_asked_for_again(tmp_path: Path) -> None:
    """By a page answer by answer, and by whoever works a state out anew until all is known."""
    slow = lab(plays=False, look=look_in_parts)

    async def scenario(labs: Labs, _: RunsService) -> None:
        visit = await labs.visit(slow, Settings(), ids={}, visitor=VISITOR, command="open")
        assert (visit.runs["all"].seen["looks"], visit.runs["all"].more) == (1, True)
        assert not replace(visit.runs["all"], state="running").more, "while it trains it is asked once a second anyway"
        again = await labs.redo(slow, Settings(), "5.5")
        assert [run.seen["looks"] for run in again.runs.values()] == [3, 3]
        assert not any(run.more for run in again.runs.values())

    with_labs(tmp_path, scenario)


def test_only_the_run_whose_spec_changes_begins_again(tmp_path: Path) -> None:
    async def scenario(labs: Labs, _runs: RunsService) -> None:
        first = await labs.visit(EXAMPLE, Settings(), ids={}, visitor=VISITOR, command="open")
        await labs.visit(EXAMPLE, Settings(), ids=first.ids, visitor=VISITOR, command="step", count=10)
        seen = await labs.visit(EXAMPLE, Settings(view="table"), ids=first.ids, visitor=VISITOR)
        assert seen.at == "10.10"
        changed = await labs.visit(EXAMPLE, Settings(batch=7), ids=first.ids, visitor=VISITOR)
        assert changed.at == "10.0"
        assert changed.ids == first.ids

    with_labs(tmp_path, scenario)


def test_a_run_that_is_to_end_elsewhere_begins_again(tmp_path: Path) -> None:
    async def scenario(labs: Labs, runs: RunsService) -> None:
        first = await labs.visit(EXAMPLE, Settings(), ids={}, visitor=VISITOR, command="open")
        await labs.visit(EXAMPLE, Settings(), ids=first.ids, visitor=VISITOR, command="step", count=500)
        beyond = await labs.visit(EXAMPLE, Settings(), ids=first.ids, visitor=VISITOR, command="train")
        for id in first.ids.values():
            await until(runs, id, lambda run: run["state"] != "running")
        assert beyond.runs["all"].step >= 500, "trained on beyond its end it is still the same run"
        shorter = lab(plays=False, runs=shorter_runs)
        again = await labs.visit(shorter, Settings(), ids=first.ids, visitor=VISITOR, command="pause")
        assert again.at == "0.0"

    with_labs(tmp_path, scenario)


def shorter_runs(settings: Settings) -> dict[str, RunSpec]:
    return {name: replace(spec, stop=StopSpec(steps=7)) for name, spec in EXAMPLE.runs(settings).items()}


def test_a_lab_that_plays_begins_by_itself_and_goes_on_with_what_is_changed(tmp_path: Path) -> None:
    async def scenario(labs: Labs, runs: RunsService) -> None:
        playing = lab(speed=1000.0)
        first = await labs.visit(playing, Settings(), ids={}, visitor=VISITOR, command="open")
        assert {run.state for run in first.runs.values()} <= {"running", "finished"}

        for id in first.ids.values():
            await until(runs, id, lambda run: run["state"] == "finished")
        changed = await labs.visit(playing, Settings(learning_rate=0.01), ids=first.ids, visitor=VISITOR)
        assert {run.state for run in changed.runs.values()} == {"running"}
        paused = await labs.visit(
            playing, Settings(learning_rate=0.01), ids=first.ids, visitor=VISITOR, command="pause"
        )
        again = await labs.visit(playing, Settings(learning_rate=0.02), ids=first.ids, visitor=VISITOR)
        assert {run.state for run in paused.runs.values()} == {run.state for run in again.runs.values()} == {"paused"}
        assert again.at == "0.0"
        opened = await labs.visit(playing, Settings(batch=7), ids=first.ids, visitor=VISITOR, command="open")
        assert {run.state for run in opened.runs.values()} == {"running"}, "another link of a lab that was paused"

    with_labs(tmp_path, scenario)


def test_a_link_restores_the_very_weights(tmp_path: Path) -> None:
    async def scenario(labs: Labs, runs: RunsService) -> None:
        chosen = Settings(learning_rate=0.02, batch=3)
        first = await labs.visit(EXAMPLE, chosen, ids={}, visitor=VISITOR, command="open")
        stepped = await labs.visit(EXAMPLE, chosen, ids=first.ids, visitor=VISITOR, command="step", count=37)
        address = dict(parse_qsl(stepped.link.partition("?")[2]))
        settings, errors = read(Settings, address)
        assert not errors
        fresh = await labs.visit(EXAMPLE, settings, ids={}, visitor="b" * 32, command="open", at=address["at"])
        assert fresh.figures == stepped.figures
        back = await labs.visit(EXAMPLE, settings, ids=fresh.ids, visitor="b" * 32, command="open", at="5.37")
        assert back.at == "5.37"
        assert not (await runs.list())["items"], "a lab's runs are in no list"
        count = await runs.store.call(rows.count)
        redone = await labs.redo(EXAMPLE, settings, address["at"])
        assert redone.figures == stepped.figures
        assert redone.verdicts == stepped.verdicts
        assert await runs.store.call(rows.count) == count, "its runs are gone again"

    with_labs(tmp_path, scenario)


def test_a_run_that_was_deleted_is_made_anew(tmp_path: Path) -> None:
    async def scenario(labs: Labs, runs: RunsService) -> None:
        first = await labs.visit(EXAMPLE, Settings(), ids={}, visitor=VISITOR, command="open")
        await runs.delete(first.ids["all"])
        second = await labs.visit(EXAMPLE, Settings(), ids=first.ids, visitor=VISITOR)
        assert second.ids["all"] != first.ids["all"]
        assert second.ids["some"] == first.ids["some"]

    with_labs(tmp_path, scenario)


def test_the_oldest_runs_of_labs_go_when_there_are_many(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, lab_runs=3) as runs:
            labs = Labs(runs, runs.store)
            mine = await runs.create(EXAMPLE.runs(Settings())["all"], state="paused")
            first = await labs.visit(EXAMPLE, Settings(), ids={}, visitor=VISITOR, command="open")
            watched = await runs.subscribe(first.ids["some"], frozenset({"metrics"}), None, None)
            await anext(watched)
            await labs.visit(EXAMPLE, Settings(), ids={}, visitor="b" * 32, command="open")
            await labs.visit(EXAMPLE, Settings(), ids={}, visitor="c" * 32, command="open")
            with pytest.raises(NotFound):
                await runs.get(first.ids["all"])
            assert await runs.get(first.ids["some"]), "somebody looks at it"
            assert [run["id"] for run in (await runs.list())["items"]] == [mine["id"]]
            assert await runs.store.call(rows.count) == 1 + 3
            await watched.aclose()  # type: ignore[attr-defined]

    asyncio.run(scenario())


def test_a_duplicated_tab_gets_runs_of_its_own(tmp_path: Path) -> None:
    async def scenario(labs: Labs, runs: RunsService) -> None:
        first = await labs.visit(EXAMPLE, Settings(), ids={}, visitor=VISITOR, command="open")
        stream = await runs.subscribe(first.ids["all"], frozenset({"metrics"}), None, None)
        await anext(stream)
        second = await labs.visit(EXAMPLE, Settings(), ids=first.ids, visitor=VISITOR, command="open")
        assert second.ids["all"] != first.ids["all"]
        await stream.aclose()  # type: ignore[attr-defined]
        reloaded = await labs.visit(EXAMPLE, Settings(), ids=first.ids, visitor=VISITOR, command="open")
        assert reloaded.ids == first.ids

    with_labs(tmp_path, scenario)


@pytest.mark.parametrize("text", ["1", "1.2.3", "a.b", "1.-2", "1.999999999", "1.²"])
def test_what_is_no_number_of_updates_for_each_run_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable):
        at_numbers(text, 2)


# ---- Figures and tasks --------------------------------------------------------------------------------------------------------


def test_figures_may_take_their_time_beside_the_runs(tmp_path: Path) -> None:
    async def scenario(labs: Labs, _runs: RunsService) -> None:
        slow = lab(plays=False, figures=long_figures)
        visit = await labs.visit(slow, Settings(), ids={}, visitor=VISITOR, command="open")
        assert visit.figures["rate"] == 0.05
        with pytest.raises(Conflict, match="impossible"):
            await labs.visit(lab(plays=False, figures=refuse), Settings(), ids=visit.ids, visitor=VISITOR)

    with_labs(tmp_path, scenario)


def refuse(_settings: Settings, _runs: Runs) -> Json:
    from app.workers.refusals import ConflictError

    raise ConflictError("impossible")


def test_what_was_solved_stays_solved_for_the_one_who_did(tmp_path: Path) -> None:
    async def scenario(labs: Labs, _runs: RunsService) -> None:
        first = await labs.visit(EXAMPLE, Settings(), ids={}, visitor=VISITOR, command="open")
        assert not first.solved
        await labs.visit(EXAMPLE, Settings(), ids=first.ids, visitor=VISITOR, command="step", count=25)
        reset = await labs.visit(EXAMPLE, Settings(), ids=first.ids, visitor=VISITOR, command="reset")
        assert reset.at == "0.0"
        solution = reset.solved["far"]
        assert (solution.query, solution.at, solution.note) == ("", "25.25", "25 updates at 0.05.")
        again = await labs.visit(EXAMPLE, Settings(batch=7), ids=first.ids, visitor=VISITOR, command="step", count=30)
        assert again.solved["far"] == solution, "the first solution is the one that counts"
        assert await labs.solved("b" * 32) == []
        await labs.forget(VISITOR, EXAMPLE)
        assert await labs.solved(VISITOR) == []

    with_labs(tmp_path, scenario)


def test_a_run_that_nobody_follows_rests_and_goes_on_when_its_lab_is_opened(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, watch_grace=0.05) as runs:
            labs, endless = Labs(runs, runs.store), lab(speed=20.0)
            first = await labs.visit(endless, Settings(), ids={}, visitor=VISITOR, command="open")
            await labs.visit(endless, Settings(), ids=first.ids, visitor=VISITOR, command="train")
            stream = await runs.subscribe(first.ids["all"], frozenset({"metrics"}), "w", None)
            await anext(stream)
            assert (await runs.get(first.ids["all"]))["state"] == "running"
            await stream.aclose()  # type: ignore[attr-defined]
            async with asyncio.timeout(20):
                while (await runs.get(first.ids["all"]))["state"] != "paused":  # following it would keep it running
                    await asyncio.sleep(0.01)
            again = await labs.visit(endless, Settings(), ids=first.ids, visitor=VISITOR, command="open")
            assert again.runs["all"].state == "running"
            assert again.runs["all"].step > 0

    asyncio.run(scenario())
