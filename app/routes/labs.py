"""The lecture's labs, `/labs` and `/labs/{name}`: one form whose settings and updates done are its whole state.

Opening a page changes nothing: it shows the words, and then asks by itself for the lab's runs (`command=open`). From there on
each change of the form comes here whole, and so does a command of the run bar; while runs train the page asks once a second.
The answer is the form as it is now: figures and formulas with this student's numbers, and how far each task is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app.deps import LabsService
from app.errors import NotFound, Unprocessable
from app.labs.catalogue import ALL, CHAPTERS, LABS, LAST, PLANE, STOPS
from app.labs.lesson import Lab, RunState
from app.labs.settings import read
from app.prose import formula, prose, words
from app.routes.lab_controls import Controls, several
from app.routes.visitor import KnownVisitor, Visitor, known_visitor, new_visitor, remember
from app.services.labs import COMMANDS, Command, Visit, Wait, address
from app.store.solved import Solved
from app.templating import environment, render

router = APIRouter(include_in_schema=False)

MOST_UPDATES = 1_000
RUN_ID_LENGTH = 16


def lab_called(name: str) -> Lab:
    if name not in LABS:
        raise NotFound("There is no such lab; /labs has all of them.")
    return LABS[name]


# ---- The map ---------------------------------------------------------------------------------------------------------------


@router.get("/labs")
async def atlas(labs: LabsService, visitor: KnownVisitor) -> HTMLResponse:
    """The lecture in its own order, with what this visitor has solved."""
    solved = await labs.solved(visitor)
    return render("labs.html", {"active": "labs", **progress(solved)})


def progress(solved: list[Solved]) -> dict[str, Any]:
    """Chapters with their stops, and how far the visitor is in each."""
    done = {(item.lab, item.task) for item in solved}
    counts = {lab.name: sum((lab.name, task.name) in done for task in lab.tasks) for lab in ALL}
    unsolved = [lab for lab in ALL if counts[lab.name] < len(lab.tasks)]
    return {
        "chapters": [(chapter, [lab for lab in ALL if lab.chapter == chapter.title]) for chapter in CHAPTERS],
        "counts": counts,
        "stops": STOPS,
        "plane": PLANE,
        "last": LAST,
        "solved_count": sum(counts.values()),
        "task_count": sum(len(lab.tasks) for lab in ALL),
        "next_lab": unsolved[0] if unsolved else None,
    }


@router.post("/labs/forget")
async def forget_all(labs: LabsService, visitor: Visitor) -> Response:
    """All tasks are open again."""
    await labs.forget(visitor)
    return Response(status_code=204, headers={"hx-redirect": "/labs"})


# ---- A lab -------------------------------------------------------------------------------------------------------------------


@router.get("/labs/{name}")
async def show(
    name: str, request: Request, labs: LabsService, visitor: KnownVisitor, present: str = ""
) -> HTMLResponse:
    """The lab's words; those without runs are shown whole, the others ask for theirs when they are there."""
    lab = lab_called(name)
    settings, errors = read(lab.settings, request.query_params)
    visit = None
    if not lab.trains:
        visit = await labs.show(lab, settings, visitor)
    context = page(lab, settings, errors, visit, await labs.solved(visitor), at=request.query_params.get("at", ""))
    return render(f"labs/{lab.name}.html", context | {"present": present == "1", "fragment": False})


@router.post("/labs/{name}")
async def change(name: str, request: Request, labs: LabsService) -> HTMLResponse:
    """Carries out what the form says and answers with the form as it is then."""
    lab = lab_called(name)
    texts = await texts_of(request)
    visitor = known_visitor(request) or new_visitor()
    if texts.get("command") == "forget":
        await labs.forget(visitor, lab)
    settings, errors = read(lab.settings, texts)
    found = await labs.visit(
        lab,
        settings,
        ids=run_ids(texts.get("runs", "")),
        visitor=visitor,
        command=command_of(texts),
        count=count_of(texts),
        at=texts.get("at", ""),
    )
    solved = await labs.solved(visitor)
    if isinstance(found, Wait):
        context = page(lab, settings, errors, None, solved, at=texts.get("at", "")) | {"wait": found.where.words, "ids": ids_text(found.ids)}
    else:
        context = page(lab, settings, errors, found, solved)
    answer = render(f"labs/{lab.name}.html", context | {"present": False, "fragment": True})
    if known_visitor(request) is None:
        remember(answer, visitor)
    return answer


async def texts_of(request: Request) -> dict[str, str]:
    """The form's fields; of two with one name the later one counts, so that a ticked box overrules the hidden 0 before it."""
    async with request.form(max_fields=300, max_part_size=2**18) as form:
        texts = {key: value for key, value in form.multi_items() if isinstance(value, str)}
    # What a button sets counts more than what the fields say.
    return texts | dict(parse_qsl(texts.get("set", ""), keep_blank_values=True))


def command_of(texts: Mapping[str, str]) -> Command:
    given = texts.get("command", "look")
    return next((command for command in COMMANDS if command == given), "look")


def count_of(texts: Mapping[str, str]) -> int:
    text = texts.get("count", "1")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MOST_UPDATES:
        raise Unprocessable(f"1 to {MOST_UPDATES:,} updates at a time.", field="/count")
    return int(text)


def run_ids(text: str) -> dict[str, str]:
    """`batch:<id>,stochastic:<id>` as the page keeps them; whatever else is no run."""
    pairs = (part.split(":") for part in text.split(",")[:10])
    return {
        pair[0]: pair[1]
        for pair in pairs
        if len(pair) == 2 and len(pair[1]) == RUN_ID_LENGTH and pair[1].isascii() and pair[1].isalnum()
    }


def ids_text(ids: Mapping[str, str]) -> str:
    """What `run_ids` reads."""
    return ",".join(f"{run}:{id}" for run, id in ids.items())


def page(
    lab: Lab,
    settings: Any,
    errors: Mapping[str, str],
    visit: Visit | None,
    solved: list[Solved],
    *,
    at: str = "",
) -> dict[str, Any]:
    """Everything that a lab's template shows."""
    place = ALL.index(lab)
    runs = visit.runs if visit else {name: RunState() for name in lab.runs(lab.settings())}
    running = any(run.state == "running" for run in runs.values())
    done = visit.at if visit and any(run.step for run in runs.values()) else at
    shown, link = address(lab, settings, "" if running else done), address(lab, settings, done)
    mine = {item.task: item for item in solved if item.lab == lab.name}
    return {
        "active": "labs",
        "lab": lab,
        "s": settings,
        "f": visit.figures if visit else None,
        "runs": runs,
        "ids": ids_text(visit.ids) if visit else "",
        "wait": "",
        "c": Controls(settings, errors),
        "figures_json": json.dumps(visit.figures, allow_nan=False, separators=(",", ":")) if visit else "",
        "watch_json": json.dumps(dict(lab.watch)),
        "address": shown,
        "link": link,
        "at": at,
        "running": running,
        "more": any(run.more for run in runs.values()),
        "tasks": [(task, mine.get(task.name), visit.verdicts[task.name] if visit else None) for task in lab.tasks],
        "all_labs": ALL,
        "last": LAST,
        "stops": STOPS,
        "solved_labs": solved_labs(solved),
        "next_lab": ALL[place + 1] if place + 1 < len(ALL) else None,
        "previous_lab": ALL[place - 1] if place else None,
    }


def solved_labs(solved: list[Solved]) -> set[str]:
    """Labs of which every task is solved."""
    done = {(item.lab, item.task) for item in solved}
    return {lab.name for lab in ALL if all((lab.name, task.name) in done for task in lab.tasks)}


environment.globals.update(prose=prose, words=words, formula=formula, several=several)
