"""What a student hands in: the state of a lab with its figures and pictures, and the tasks that were solved, of one lab or all.

    {"format": "nabla-report", "version": 1, "made": "2026-11-22T20:15:00Z", "student": "…", "labs": [
      {"lab": "gradient", "number": 7, "title": "Gradient",
       "state": {"page", "settings": {name: text}, "at": [updates of each run], "runs": [{"name", "seed", "updates",
                 "examples", "metrics"}], "formulas": [{"latex", "numbers"}], "figures", "pictures": [{"label", "image"}]}
                or null,
       "tasks": [{"task", "question", "solved", "note", "page", "settings", "at", "when"}]}]}

A page or a program can check it: settings and updates are all that a state of a lab is, so it can be computed again
(app.services.verification). The same text stands in the HTML file, in an element that is not shown.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from app.clock import utc_now
from app.errors import Unprocessable
from app.labs.catalogue import ALL
from app.labs.lesson import Json, Lab, RunState
from app.labs.settings import read, texts
from app.services.labs import Labs, address, at_text
from app.services.runs import Runs
from app.store.solved import Solved
from engine.specs import RunSpec
from engine.validation import checked

FORMAT = "nabla-report"
VERSION = 1


class Reports:
    """Made of what the labs know; nothing is kept."""

    def __init__(self, labs: Labs, runs: Runs) -> None:
        self._labs, self._runs = labs, runs

    async def of_all(self, visitor: str | None, student: str) -> Json:
        """All labs, and what this visitor has solved in them."""
        solved = await self._labs.solved(visitor)
        return report(student, [section(lab, solved) for lab in ALL])

    async def of_lab(
        self,
        lab: Lab,
        settings: Any,
        *,
        ids: Mapping[str, str],
        at: str,
        pictures: Sequence[Json],
        visitor: str | None,
        student: str,
    ) -> Json:
        """One lab in the state that its runs `ids` are in; without them they are trained to `at` anew."""
        solved = await self._labs.solved(visitor)
        specs = await asyncio.to_thread(lab.runs, settings)
        if ids or not lab.trains:
            await self._check(ids, specs)
            runs = await self._labs.look(lab, settings, ids, whole=True)
            figures = await self._labs.figures(lab, settings, runs)
        else:
            visit = await self._labs.redo(lab, settings, at)
            runs, figures = dict(visit.runs), visit.figures
        state = {**state_of(lab, settings, specs, runs, figures), "pictures": list(pictures)}
        return report(student, [{**section(lab, solved), "state": state}])

    async def _check(self, ids: Mapping[str, str], specs: Mapping[str, RunSpec]) -> None:
        """Raises Unprocessable unless these are the lab's runs with these settings."""
        for name, spec in specs.items():
            held = await self._runs.run_spec(ids[name]) if name in ids else None
            if len(ids) != len(specs) or held is None or replace(held, stop=spec.stop) != checked(spec):
                raise Unprocessable(f"There is no run “{name}” of this lab with these settings.", field="/runs")


def report(student: str, labs: list[Json]) -> Json:
    return {"format": FORMAT, "version": VERSION, "made": utc_now(), "student": student, "labs": labs}


def section(lab: Lab, solved: Sequence[Solved]) -> Json:
    mine = {item.task: item for item in solved if item.lab == lab.name}
    return {
        "lab": lab.name,
        "number": lab.number,
        "title": lab.title,
        "state": None,
        "tasks": [task_of(lab, task.name, task.question, mine.get(task.name)) for task in lab.tasks],
    }


def task_of(lab: Lab, name: str, question: str, solved: Solved | None) -> Json:
    """A task as it stands in the report, with the state that solved it."""
    value: Json = {"task": name, "question": question, "solved": solved is not None}
    if solved is None:
        return value
    settings, _ = read(lab.settings, dict(parse_qsl(solved.query, keep_blank_values=True)))
    return value | {
        "note": solved.note,
        "page": address(lab, settings, solved.at),
        "settings": texts(settings),
        "at": numbers(solved.at),
        "when": solved.solved,
    }


def state_of(
    lab: Lab, settings: Any, specs: Mapping[str, RunSpec], runs: Mapping[str, RunState], figures: Json
) -> Json:
    return {
        "page": address(lab, settings, at_text(runs)),
        "settings": texts(settings),
        "at": [run.step for run in runs.values()],
        "runs": [
            {
                "name": name,
                "seed": specs[name].seed,
                "updates": run.step,
                "examples": run.examples,
                "metrics": {
                    key: value for key, value in run.metrics.items() if value is not None and math.isfinite(value)
                },
            }
            for name, run in runs.items()
        ],
        "formulas": [
            {"latex": part.formula.latex, "numbers": part.formula.numbers(figures) if part.formula.numbers else ""}
            for part in lab.parts
            if part.formula
        ],
        "figures": figures,
    }


def numbers(at: str) -> list[int]:
    return [int(part) for part in at.split(".") if part]
