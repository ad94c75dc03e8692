"""The pages. Opening one never changes anything: a first run is asked for by the page itself (`POST /runs`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.asking import asking
from app.deps import RunsService, SettingsInUse
from app.routes.builder import build, draft_of_run, layer_of
from app.routes.forms import trainer_form
from app.routes.views import command_states, page_address, snippets, whose
from app.services.runs import Runs
from app.templating import render
from engine.formats import FORMATS
from engine.presets import PRESETS
from engine.shapes import plan
from engine.specs import MnistSpec

router = APIRouter(include_in_schema=False)


@router.get("/")
async def digits(request: Request, runs: RunsService, run: str | None = None) -> Response:
    """The run that the address names, else the latest; without any, the page that asks for a first one."""
    shown = await runs.get(run) if run is not None else await runs.current("mnist")
    if shown is None:
        return render("start.html", {"active": "digits"})
    if (address := page_address(shown)) != "/":
        return RedirectResponse(f"{address}?run={shown['id']}", 303)
    return render("digits.html", digits_context(shown, str(request.base_url)) | {"whose": whose(shown, request)})


Cursor = Annotated[str | None, Query(max_length=200)]


@router.get("/runs")
async def my_runs(request: Request, runs: RunsService, cursor: Cursor = None) -> HTMLResponse:
    return render("runs.html", await list_context(request, runs, cursor))


@router.get("/runs/list")
async def my_runs_now(request: Request, runs: RunsService, cursor: Cursor = None) -> HTMLResponse:
    """The list alone, as it is now."""
    return render("runs.html", await list_context(request, runs, cursor), block="list")


async def list_context(request: Request, runs: Runs, cursor: str | None) -> dict[str, Any]:
    """One's own runs, and beside the newest of them those that others of a class share."""
    shared: list[tuple[Mapping[str, Any], str]] = []
    if asking.get().in_class and cursor is None:
        others = (await runs.list(20, shared=True))["items"]
        shared = [(run, owner) for run in others if (owner := whose(run, request)) is not None]
    values = {"page": await runs.list(50, cursor), "presets": presets(), "cursor": cursor, "shared": shared, "lasting": runs.lasting}
    return {"active": "runs"} | values


@router.get("/runs/{run_id}")
async def run_page(runs: RunsService, run_id: str) -> RedirectResponse:
    """Where a run is shown depends on what it learns from; `links.page` leads here."""
    run = await runs.get(run_id)
    return RedirectResponse(f"{page_address(run)}?run={run['id']}", 303)


@router.get("/limits")
async def limits(settings: SettingsInUse) -> HTMLResponse:
    return render("limits.html", {"active": "limits", "limits": settings.limits.described()})


def digits_context(run: Mapping[str, Any], address: str) -> dict[str, Any]:
    """Everything that the digits page shows of `run`; `address` is this server's, for links and snippets."""
    height, width, channels = run["dataset"]["input_shape"]
    return {
        "active": "digits",
        "run": run,
        "commands": command_states(run),
        "layers": plan([layer_of(layer) for layer in run["network"]], (channels, height, width)),
        "trainer": trainer_form(run),
        "builder": build(draft_of_run(run)),
        "presets": presets_of_digits(),
        "formats": FORMATS,
        "evaluation": None,
        "share_link": f"{address}?run={run['id']}",
        "snippets": snippets(run, address),
        "fragment": False,
        "aside": False,
    }


def presets() -> list[dict[str, str]]:
    return [
        {"name": name, "title": preset.title, "description": preset.description} for name, preset in PRESETS.items()
    ]


def presets_of_digits() -> list[dict[str, str]]:
    """Those for the digits page's menu; runs on points begin on pages of their own."""
    return [preset for preset in presets() if isinstance(PRESETS[preset["name"]].spec.dataset, MnistSpec)]
