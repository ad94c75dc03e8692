"""The lecture's labs for programs: what each is made of, and how far its tasks are in any state of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse

from app import answers
from app.deps import LabsService
from app.errors import NotFound, Unprocessable
from app.labs.catalogue import ALL, LABS
from app.labs.lesson import Lab
from app.labs.settings import hints
from app.routes.api.answering import BODY, json_in_pieces, problems
from app.routes.bodies import JSONRoute
from app.routes.lab_controls import Controls
from app.schemas import LabStateBody
from app.services.labs import Visit
from engine.errors import SpecError
from engine.validation import read_value

router = APIRouter(prefix="/api/labs", route_class=JSONRoute, tags=["labs"])

LabName = Annotated[str, Path(pattern="^[a-z-]{1,40}$")]


@router.get("", response_model=list[answers.LabSummary], operation_id="listLabs", summary="Labs", responses=problems())
async def list_labs() -> Response:
    """In the order of the lecture."""
    return JSONResponse([summary(lab) for lab in ALL])


@router.get("/{name}", response_model=answers.Lab, operation_id="getLab", summary="One lab", responses=problems(404))
async def get_lab(name: LabName) -> Response:
    lab = found(name)
    controls = Controls(lab.settings(), {})
    settings = [
        {
            "name": control.name,
            "value": control.value,
            "low": control.low,
            "high": control.high,
            "options": list(control.options),
            "meaning": control.doc,
        }
        for control in (controls[setting] for setting in hints(lab.settings))
    ]
    return JSONResponse(
        {
            **summary(lab),
            "parts": [part.text for part in lab.parts],
            "formulas": [part.formula.latex for part in lab.parts if part.formula],
            "symbols": dict(lab.symbols),
            "remember": list(lab.remember),
            "runs": list(lab.runs(lab.settings())),
            "settings": settings,
        }
    )


@router.post(
    "/{name}/checks",
    response_model=answers.LabState,
    operation_id="checkLab",
    summary="How far the tasks of a lab are in one of its states",
    responses=problems(404, 409, 503, *BODY),
)
async def check_lab(labs: LabsService, name: LabName, body: LabStateBody) -> Response:
    """Computed anew from settings and updates: its runs are trained from their beginning, then deleted."""
    lab = found(name)
    settings = settings_of(lab, body.settings)
    runs = len(lab.runs(lab.settings()))
    if body.at and len(body.at) != runs:
        raise Unprocessable(f"This lab has {runs} runs; “at” needs a number for each.", field="/at")
    visit = await labs.redo(lab, settings, ".".join(map(str, body.at)))
    return json_in_pieces(state(visit))


def found(name: str) -> Lab:
    if name not in LABS:
        raise NotFound("There is no such lab.")
    return LABS[name]


def settings_of(lab: Lab, values: dict[str, Any]) -> Any:
    """Raises Unprocessable at the first value that is out of its range."""
    try:
        return read_value(lab.settings, values, "")
    except SpecError as error:
        raise Unprocessable(str(error), field=f"/settings{error.field or ''}", code=error.code) from error


def summary(lab: Lab) -> dict[str, Any]:
    tasks = [{"name": task.name, "question": task.question, "hint": task.hint} for task in lab.tasks]
    words = {key: getattr(lab, key) for key in ("name", "number", "title", "chapter", "claim", "summary")}
    return {**words, "page": f"/labs/{lab.name}", "tasks": tasks}


def state(visit: Visit) -> dict[str, Any]:
    return {
        "page": visit.link,
        "at": [run.step for run in visit.runs.values()],
        "figures": visit.figures,
        "verdicts": [
            {"task": name, "solved": verdict.solved, "nearness": verdict.nearness, "note": verdict.note}
            for name, verdict in visit.verdicts.items()
        ],
    }
