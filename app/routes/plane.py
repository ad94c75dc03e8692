"""The pages of points, `/plane` and `/curve`: a bench that is one experiment, whose address says all of it.

Opening a page changes nothing: it shows the experiment that the address tells of, and then asks by itself for a run
(`POST …/open`). From there on each change of the form comes here whole (`POST …/runs/{id}/experiment`); what can change
while a run goes on does, anything else gives the run another spec. The answer is the bench as it is now.
"""

from __future__ import annotations

import base64
import json
from array import array
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import UploadFile

from app.deps import DatasetsService, RunsService
from app.errors import NotFound, Overtaken, Problem, Unprocessable
from app.routes.experiment import (
    CONTROLS,
    KINDS,
    Experiment,
    ExperimentError,
    PageName,
    View,
    experiment_of,
    misfit,
    page_of,
    read,
    view_of,
    write,
)
from app.routes.experiment_texts import flat, packed, playground
from app.routes.forms import OPTIMIZER_TITLES
from app.routes.plane_changes import act, kept_weights, live_changes, settle
from app.routes.plane_forms import Bench, bench_of
from app.routes.plane_titles import (
    ACTIVATION_TITLES,
    CONTROL_TITLES,
    INITIALIZER_TITLES,
    PLANE_ONLY,
    RATES,
    SCHEDULE_TITLES,
    UNLOCKABLE,
)
from app.routes.views import command_states, is_mine, snippets, whose
from app.services.changes import RunChanges
from app.services.runs import Runs
from app.services.thumbnails import thumbnail
from app.templating import render
from engine.errors import SpecError
from engine.formats import FORMATS
from engine.presets import PRESETS
from engine.shapes import check_run
from engine.specs import CurveSpec, PlaneSpec, RunSpec, TableSpec
from engine.validation import read_run_spec, read_value

router = APIRouter(include_in_schema=False)

OVERTAKEN = (
    "This experiment was changed in another tab at the same moment. It is shown as it is now; "
    "make your change again if you still want it."
)
FOR_OWNERS = ("new_points", "paint", "own")
TO_BE_SEEN = tuple(name for name in CONTROLS if name not in {"regions", "show", *FOR_OWNERS, *UNLOCKABLE})
"""What is hidden and what rests when the run is somebody else's; the run bar's buttons say so themselves."""
SIGNS_OF_A_FORM = frozenset({"action", "layers", "playground", "preset"})
"""An address with one of these is turned into one that says the experiment itself."""


# ---- Pages ---------------------------------------------------------------------------------------------------------------


@router.get("/plane")
async def plane(request: Request, runs: RunsService, run: str | None = None) -> Response:
    return await page(request, runs, "plane", run)


@router.get("/curve")
async def curve(request: Request, runs: RunsService, run: str | None = None) -> Response:
    return await page(request, runs, "curve", run)


async def page(request: Request, runs: Runs, name: PageName, run_id: str | None) -> Response:
    """The experiment of the address, or the run that it names; what a form or another program wrote gets its own address."""
    if run_id is not None:
        run, experiment = await shown_run(runs, run_id)
        if experiment.page != name:
            return RedirectResponse(f"/{experiment.page}?run={run_id}", 303)
        owner = whose(run, request)
        if owner is not None:
            experiment = replace(experiment, view=replace(experiment.view, hide=FOR_OWNERS, lock=TO_BE_SEEN))
        return render("plane.html", context(bench_of(experiment), run, str(request.base_url)) | {"whose": owner})
    pairs = request.query_params.multi_items()
    if SIGNS_OF_A_FORM & set(request.query_params):
        texts = texts_of_form(pairs)
        return RedirectResponse(f"/{name}?{write(read(texts, name))}", 303)
    texts = dict(pairs)
    if texts.get("data") == "own" and "own" not in texts:
        texts = {}  # the points stand behind a #; the page will send them when it asks for a run
    experiment = read(texts, name)
    return render("plane.html", context(bench_of(experiment), no_run(experiment), str(request.base_url)))


def texts_of_form(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The texts of a form's address after its button has done what it does; of Playground's own address."""
    try:
        texts = flat(pairs)
    except SpecError as error:
        raise Unprocessable(str(error), field=error.field, code=error.code) from None
    if "playground" in texts:
        return playground(texts_of_query(texts["playground"]))
    act(texts, texts.pop("action", ""))
    return texts


@router.get("/{page}/sets/{kind}.svg")
async def picture(page: PageName, kind: str) -> Response:
    """What a data set looks like, for the button that chooses it."""
    if kind not in KINDS[page] or kind == "own":
        raise NotFound()
    spec = PlaneSpec(kind=kind, points=180) if page == "plane" else CurveSpec(kind=kind, points=40)  # type: ignore[arg-type]
    return Response(await thumbnail(spec), media_type="image/svg+xml", headers={"cache-control": "max-age=3600"})


# ---- The bench -------------------------------------------------------------------------------------------------------------


async def shown_run(runs: Runs, run_id: str) -> tuple[dict[str, Any], Experiment]:
    run, spec = await runs.get(run_id), read_run_spec(await runs.spec(run_id))
    experiment = experiment_of(spec, View(speed=run.get("updates_per_second")))
    if experiment is None and spec.parameters is not None:
        raise Unprocessable(
            "This run begins with weights that are written out, and the address of these pages has no words for them.",
            code="not_on_this_page",
        )
    if experiment is None:
        raise Unprocessable(
            "These pages show points and networks of dense layers. This run is of another kind.",
            code="not_on_this_page",
        )
    return run, experiment


def no_run(experiment: Experiment) -> dict[str, Any]:
    """What stands in the run bar until there is a run."""
    spec = experiment.spec
    figures = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "test_r_squared")
    dataset = {"name": spec.dataset.name, "classes": list(spec.dataset.classes)}
    return {
        **spec.to_dict(),
        "dataset": dataset,
        "id": "",
        "version": "",
        "state": "queued",
        "waiting": None,
        "sentence": "The network is being set up.",
        "step": 0,
        "epoch": 0.0,
        "metrics": dict.fromkeys(figures),
    }


def context(bench: Bench, run: Mapping[str, Any], address: str, *, change: str = "none") -> dict[str, Any]:
    """Everything that the page and its bench show; `change` tells the script what has happened."""
    view = bench.view
    return {
        "active": bench.page,
        "bench": bench,
        "run": run,
        "commands": command_states(run),
        "change": change,
        "view_json": json.dumps({"resolution": view.resolution, "neuron": view.neuron, "units": view.units}),
        "optimizers": list(OPTIMIZER_TITLES.items()),
        "activations": list(ACTIVATION_TITLES.items()),
        "initializers": list(INITIALIZER_TITLES.items()),
        "schedules": list(SCHEDULE_TITLES.items()),
        "formats": FORMATS,
        "rates": RATES,
        "presets": [preset for preset in PRESETS.values() if page_of(preset.spec.dataset) == bench.page],
        "lesson_controls": [
            (name, title) for name, title in CONTROL_TITLES.items() if bench.page == "plane" or name not in PLANE_ONLY
        ],
        "unlockable": UNLOCKABLE,
        "server": address,
        "whose": None,
        "share_link": f"{address}{bench.page}?run={run['id']}",
        "snippets": snippets(run, address) if run["id"] else None,
        "fragment": False,
        "aside": False,
    }


def answer(bench: Bench, run: Mapping[str, Any], request: Request, *, change: str, status: int = 200) -> HTMLResponse:
    """The bench with the parts of the run bar that change with it."""
    values = context(bench, run, str(request.base_url), change=change) | {"aside": True}
    return render("_bench_answer.html", values, status=status)


# ---- A run for the page ------------------------------------------------------------------------------------------------------


@router.post("/{page}/open")
async def open_experiment(page: PageName, request: Request, runs: RunsService) -> Response:
    """The run of the address in this tab: the one that it had, if it still is this experiment, or a new one."""
    async with request.form(max_fields=4, max_part_size=2 * 2**20) as form:
        query, earlier = str(form.get("query", "")), str(form.get("run", ""))
    experiment = read(texts_of_query(query), page)
    run = await reusable(runs, earlier, experiment.spec)
    if run is None:
        run = await runs.create(experiment.spec, state="running" if experiment.view.play else "paused")
        if experiment.view.speed is not None:
            run = await runs.change(run["id"], RunChanges(updates_per_second=experiment.view.speed))
    return answer(bench_of(experiment), run, request, change="opened")


async def reusable(runs: Runs, run_id: str, spec: RunSpec) -> dict[str, Any] | None:
    try:
        run = await runs.get(run_id) if run_id else None
        return run if run and is_mine(run) and read_run_spec(await runs.spec(run_id)) == spec else None
    except NotFound:
        return None


@router.post("/{page}/runs/{run_id}/experiment")
async def change_experiment(page: PageName, run_id: str, request: Request, runs: RunsService) -> Response:
    """Makes the run what the form says, or the address in its `query`; what cannot be is told at its field and changes nothing."""
    run, before = await shown_run(runs, run_id)
    async with request.form(max_fields=300, max_part_size=2 * 2**20) as form:
        expected = form.get("expected", run["version"])
        pairs = [(name, text) for name, text in form.multi_items() if isinstance(text, str) and name != "expected"]
    if dict(pairs).get("action") == "follow":
        return followed(run, before, pairs, request)
    if expected != run["version"]:
        return followed(run, before, pairs, request, overtaken=True)
    texts: dict[str, str] = {}
    try:
        if (query := dict(pairs).get("query")) is not None:
            texts, action, notice = texts_of_query(query), "", ""
        else:
            texts = flat(pairs)
            action, notice = texts.pop("action", ""), settle(texts, before.spec)
            act(texts, action)
            if texts.get("data") == "own" and "own" not in texts:
                texts["own"] = packed(await as_table(runs, run_id, before.spec))
        experiment = read(texts, page)
        check_run(experiment.spec)
        run, change = await become(runs, run, before.spec, experiment, go_on=action.startswith("rate:"))
    except Overtaken:
        return followed(*await shown_run(runs, run_id), pairs, request, overtaken=True)
    except ExperimentError as error:
        return answer(bench_of(before, texts, error.errors), run, request, change="refused", status=422)
    except (SpecError, Problem) as error:
        words = error.detail if isinstance(error, Problem) else str(error)
        return answer(bench_of(before, texts, problem=words), run, request, change="refused", status=422)
    return answer(bench_of(experiment, texts, notice=notice), run, request, change=change)


def followed(
    run: dict[str, Any],
    now: Experiment,
    pairs: list[tuple[str, str]],
    request: Request,
    *,
    overtaken: bool = False,
) -> Response:
    """The bench of what another tab has made of the run, looked at as the form says; `overtaken`: it had a change of its own."""
    if request.url.path != f"/{now.page}/runs/{run['id']}/experiment":
        return Response(headers={"HX-Redirect": f"/{now.page}?run={run['id']}"})
    try:
        texts = flat(pairs)
    except SpecError:
        texts = {}
    shown = replace(now, view=replace(view_of(texts), speed=run.get("updates_per_second")))
    bench = bench_of(shown, texts, problem=OVERTAKEN if overtaken else "")
    return answer(bench, run, request, change="overtaken" if overtaken else "followed", status=409 if overtaken else 200)


async def become(
    runs: Runs, run: dict[str, Any], before: RunSpec, experiment: Experiment, *, go_on: bool
) -> tuple[dict[str, Any], str]:
    """The run after the change, and what it was: `view`, `live`, `weights` or `nothing` (what was kept).

    Raises Overtaken when it is not the run of `before` any more.
    """
    spec, run_id = experiment.spec, run["id"]
    live = live_changes(before, spec)
    change = "view"
    if live is None:
        change = kept_weights(before, spec)
        run = await runs.respec(run_id, spec, keep=kept_weights(before, spec), expected=run["version"])
    elif live:
        change = "live"
    changes: dict[str, Any] = live or {}
    if experiment.view.speed != run["updates_per_second"]:
        changes["updates_per_second"] = experiment.view.speed
    if changes or go_on:
        wanted = RunChanges(**changes, state="running" if go_on else None)
        run = await runs.change(run_id, wanted, expected=run["version"])
    return run, change


async def as_table(runs: Runs, run_id: str, spec: RunSpec) -> TableSpec:
    """The points of a run as points of one's own, to go on from."""
    points = await runs.points(run_id)
    rows = array("f", [n for row, label in zip(points["values"], points["labels"], strict=True) for n in (*row, label)])
    values = base64.b64encode(rows.tobytes()).decode()
    return TableSpec(
        columns=tuple(points["columns"]),
        class_names=tuple(points["classes"]),
        target=points["target"],
        values=values,
        train_share=spec.dataset.train_share,  # type: ignore[union-attr]  # points have one
    )


def table_of(found: Mapping[str, Any]) -> TableSpec:
    """The table in an answer of `datasets.read_csv`."""
    table = read_value(TableSpec, {name: value for name, value in found["dataset"].items() if name != "name"}, "")
    assert isinstance(table, TableSpec)
    return table


def as_numbers(table: TableSpec) -> TableSpec:
    """Classes that are called by numbers are those numbers: a few whole numbers look like classes to who reads a file."""
    try:
        numbers = [float(name) for name in table.class_names]
    except ValueError:
        return table
    width = len(table.columns) + 1
    rows = array("f", base64.b64decode(table.values))
    if numbers:
        rows[width - 1 :: width] = array("f", [numbers[int(label)] for label in rows[width - 1 :: width]])
    return replace(table, class_names=(), values=base64.b64encode(rows.tobytes()).decode())


def texts_of_query(query: str) -> dict[str, str]:
    return dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))


# ---- A CSV file ----------------------------------------------------------------------------------------------------------------


@router.post("/{page}/csv")
async def read_table(page: PageName, request: Request, datasets: DatasetsService) -> HTMLResponse:
    """What a CSV text or file holds, before it takes the place of the points: rows that cannot be read, columns to choose."""
    async with request.form(max_files=1, max_fields=60, max_part_size=4 * 2**20) as form:
        file, text = form.get("file"), str(form.get("text", ""))
        if isinstance(file, UploadFile) and file.filename:
            text = (await file.read()).decode("utf-8-sig", errors="replace")
        target = str(form.get("target", "")) or None
        columns = [str(name) for name in form.getlist("columns")] or None
    try:
        if not text.strip():
            raise Unprocessable("Paste rows or choose a file first.")
        found = await datasets.read_csv(text, target, columns)
        table = table_of(found)
        if page == "curve":
            if len(table.columns) > 1:
                found = await datasets.read_csv(text, table.target, table.columns[:1])
            table = as_numbers(table_of(found))
        if (reason := misfit(table, page)) is not None:
            raise Unprocessable(reason)
    except (SpecError, Problem) as error:
        words = error.detail if isinstance(error, Problem) else str(error)
        told = {"page": page, "problem": words, "found": None}
        return render("_own_data.html", told, block="answer")
    shown = {"page": page, "problem": "", "found": found, "table": table, "word": packed(table)}
    return render("_own_data.html", shown, block="answer")
