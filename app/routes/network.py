"""The builder's two forms: each edit is answered with the whole builder, shapes and reasons included."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.routes.builder import Builder, act, adopt, build, draft_of_form, typed_layers
from app.routes.network_text import read_network
from app.routes.pages import presets_of_digits
from app.routes.runs import typed
from app.templating import render
from engine.errors import EngineError

router = APIRouter(include_in_schema=False, prefix="/network")


@router.post("/builder")
async def edit(request: Request) -> HTMLResponse:
    """One edit or one button (`action`) of the table."""
    form = await typed(request)
    draft = draft_of_form(form)
    act(draft, form.get("action", ""))
    return fragment(build(draft))


@router.post("/text")
async def read_text(request: Request) -> HTMLResponse:
    """Nabla's JSON or convnetjs's `layer_defs`: read as data and put into the table; what cannot be read stays."""
    form = await typed(request)
    draft = draft_of_form(form)
    try:
        found = read_network(form.get("text", ""))
    except EngineError as error:
        return fragment(replace(build(draft), text=form.get("text", ""), text_error=str(error)))
    draft.layers, draft.format = typed_layers(found.layers), found.format
    if found.run is not None:
        adopt(draft, found.run, trainer=found.trainer)
    return fragment(replace(build(draft), text_notice=f"Read: {len(found.layers)} layers."))


def fragment(builder: Builder) -> HTMLResponse:
    return render("_builder.html", {"builder": builder, "presets": presets_of_digits()}, block="builder")
