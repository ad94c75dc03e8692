"""What the lab of backpropagation asks of other runs: one weight explained, gradients checked. Fragments of its page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse

from app.deps import RunsService
from app.errors import Problem
from app.labs.backpropagation import LAB
from app.templating import render
from engine.gradcheck import of_run
from engine.lessons.one_weight import explain

router = APIRouter(include_in_schema=False)

KNOWN = 20
"""Newest runs that are offered."""

Place = Annotated[int, Query(ge=-1, le=10**7)]


@router.get("/labs/backpropagation/weight")
async def weight(
    runs: RunsService,
    run: Annotated[str, Query(max_length=16)] = "",
    layer: Place = 0,
    unit: Place = 0,
    input: Place = 0,
    example: Place = 0,
) -> HTMLResponse:
    """Where the weight's gradient comes from, or why there is none, with the fields to choose another."""
    known = (await runs.list(KNOWN))["items"]
    context = {
        "known": known,
        "chosen": run,
        "place": {"layer": layer, "unit": unit, "input": input, "example": example},
        "symbols": LAB.symbols,
        "w": None,
        "problem": "",
    }
    if run:
        try:
            if all(one["id"] != run for one in known):
                known.append(await runs.get(run))
            context["w"] = (await runs.look(run, explain, (layer, unit, input, example)))["seen"]
        except Problem as problem:
            context["problem"] = problem.detail
    return render("labs/_weight.html", context)


@router.post("/labs/backpropagation/gradient-check")
async def gradient_check(runs: RunsService, of: Annotated[str, Form(max_length=16)]) -> HTMLResponse:
    """The run's gradients against numeric ones."""
    try:
        found = (await runs.look(of, of_run, ()))["seen"]
    except Problem as problem:
        return render("labs/_gradient_check.html", {"found": None, "problem": problem.detail})
    return render("labs/_gradient_check.html", {"found": found, "problem": ""})
