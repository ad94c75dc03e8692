"""What must be true of each lab as it opens, whichever it is."""

from __future__ import annotations

import asyncio
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.labs.catalogue import ALL, CHAPTERS, LABS
from app.labs.lesson import MOST_PARAMETERS, MOST_RUNS, Json, Lab, RunState
from app.labs.settings import hints, query, read, texts
from app.prose import MATHML, formula, prose, words
from app.services.labs import Labs
from app.templating import ROOT
from engine.datasets.points import points_dataset
from engine.shapes import check_run
from engine.specs import MnistSpec, TransactionsSpec
from engine.trainer import StepResult, Trainer
from tests.app.small_runs import service
from tests.engine.portions import finished

EACH = pytest.mark.parametrize("lab", ALL, ids=[lab.name for lab in ALL])
def learns_from_points(lab: Lab) -> bool:
    """Not from pictures or transactions, of which nothing is trained again to be shown."""
    datasets = [spec.dataset for spec in lab.runs(lab.settings()).values()]
    return not any(isinstance(dataset, MnistSpec | TransactionsSpec) for dataset in datasets)


SENTENCE = re.compile(r"[A-Z“$].*[.?!:]$", re.DOTALL)


def test_the_labs_stand_in_the_lectures_order() -> None:
    assert [lab.number for lab in ALL] == sorted(lab.number for lab in ALL)
    assert len(LABS) == len(ALL)
    chapters = [chapter.title for chapter in CHAPTERS]
    places = [chapters.index(lab.chapter) for lab in ALL]
    assert places == sorted(places)


@EACH
def test_its_words_are_whole(lab: Lab) -> None:
    assert 2 <= len(lab.parts) <= 5
    assert 2 <= len(lab.tasks) <= 4
    for part in lab.parts:
        assert prose(part.text, lab.symbols)
        if part.formula:
            assert formula(part.formula.latex, lab.symbols)
    for task in lab.tasks:
        assert re.fullmatch(r"[a-z-]+", task.name)
        assert SENTENCE.match(task.question), task.question
        assert SENTENCE.match(task.hint), task.hint
        assert words(task.question, lab.symbols)
    assert all(SENTENCE.match(line) for line in lab.remember)
    assert len({task.name for task in lab.tasks}) == len(lab.tasks)
    for symbol, meaning in lab.symbols.items():
        assert meaning.endswith("."), meaning
        assert formula(symbol, {})


@EACH
def test_every_symbol_that_it_explains_stands_in_a_formula(lab: Lab) -> None:
    template = (ROOT / "templates" / "labs" / f"{lab.name}.html").read_text("utf-8")
    written = "".join(
        str(prose(part.text, lab.symbols)) + (str(formula(part.formula.latex, lab.symbols)) if part.formula else "")
        for part in lab.parts
    )
    for symbol, meaning in lab.symbols.items():
        assert (
            f'data-meaning="{meaning}"' in written.replace("&#39;", "'").replace("&amp;", "&") or symbol in template
        ), symbol


@EACH
def test_every_symbol_of_its_formulas_is_explained(lab: Lab) -> None:
    unexplained: set[str] = set()

    def walk(node: ET.Element) -> None:
        for child in node:
            if child.get("data-meaning") is None:
                if child.tag == f"{MATHML}mi":
                    unexplained.add(child.text or "")
                walk(child)

    for part in lab.parts:
        if part.formula:
            walk(ET.fromstring(str(formula(part.formula.latex, lab.symbols))))
    assert unexplained <= {"log"}


@EACH
def test_what_a_part_stresses_is_there_to_be_stressed(lab: Lab) -> None:
    template = (ROOT / "templates" / "labs" / f"{lab.name}.html").read_text("utf-8")
    about = {name for names in re.findall(r'data-about="([^"]+)"', template) for name in names.split()}
    assert {part.stress for part in lab.parts} - {""} <= about


@EACH
def test_slow_motion_lights_up_where_an_update_begins_and_what_it_costs(lab: Lab) -> None:
    template = (ROOT / "templates" / "labs" / f"{lab.name}.html").read_text("utf-8")
    stages = {stage for places in re.findall(r'data-stage="([a-z ]+)"', template) for stage in places.split()}
    assert not lab.trains or ("loss" in stages and stages & {"batch", "forward"})


@EACH
def test_its_settings_are_words_of_an_address(lab: Lab) -> None:
    opened = lab.settings()
    assert read(lab.settings, texts(opened)) == (opened, {})
    assert query(opened) == ""
    assert not {"at", "runs", "command", "count", "set", "present", "run"} & set(hints(lab.settings)) - {"run"}


@EACH
def test_its_runs_can_be_made(lab: Lab) -> None:
    specs = lab.runs(lab.settings())
    assert len(specs) <= MOST_RUNS
    for spec in specs.values():
        check_run(spec)


def test_as_they_open_nothing_is_solved_and_everything_can_be_drawn(tmp_path: Path) -> None:
    """One server for all labs: starting it takes longer than a lab does."""

    async def scenario() -> None:
        async with service(tmp_path) as runs:
            labs = Labs(runs, runs.store)
            for lab in ALL:
                visit = await labs.redo(lab, lab.settings(), "")
                json.dumps(visit.figures, allow_nan=False)
                assert not [name for name, verdict in visit.verdicts.items() if verdict.solved], lab.name
                assert all(0 <= verdict.nearness <= 1 for verdict in visit.verdicts.values()), lab.name
                for part in lab.parts:
                    if part.formula and part.formula.numbers:
                        assert part.formula.numbers(visit.figures), lab.name

    asyncio.run(scenario())


@pytest.mark.parametrize("lab", [lab for lab in ALL if learns_from_points(lab)], ids=lambda lab: lab.name)
def test_a_look_at_what_has_trained_for_long_trains_nothing_anew(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page looks once a second, and a class is three hundred pages: no look may cost more the longer a run goes on."""
    settings = lab.settings()
    trainers = {name: Trainer(spec, points_dataset(spec.dataset)) for name, spec in lab.runs(settings).items()}  # type: ignore[arg-type]
    far, on = 4_000, 100
    trained = Counter[str]()
    for trainer in trainers.values():
        trainer.advance(far)
    looked_at(lab, settings, trainers)
    for trainer in trainers.values():
        trainer.advance(on)
    step, advance = Trainer.step, Trainer.advance

    def counted_step(self: Trainer) -> StepResult:
        trained["updates"] += 1
        return step(self)

    def counted_advance(self: Trainer, count: int) -> StepResult:
        trained["updates"] += count
        return advance(self, count)

    monkeypatch.setattr(Trainer, "step", counted_step)
    monkeypatch.setattr(Trainer, "advance", counted_advance)
    looked_at(lab, settings, trainers)
    assert trained["updates"] <= 6 * on * len(trainers)


def looked_at(lab: Lab, settings: Any, trainers: Mapping[str, Trainer]) -> Json:
    """What the figures say of runs that stand where these trainers do."""
    states = {}
    for name, trainer in trainers.items():
        seen = finished(lab.look(trainer, settings, name)) if lab.look else {}
        weights = trainer.network.parameters
        parameters = tuple(weights.tolist()) if weights.size <= MOST_PARAMETERS else None
        states[name] = RunState(step=trainer.steps, state="running", parameters=parameters, seen=seen)
    figures = lab.figures(settings, states)
    return finished(figures) if isinstance(figures, Generator) else figures
