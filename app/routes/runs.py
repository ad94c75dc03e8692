"""What htmx asks for on the pages of a run: commands, the trainer form, the evaluation, the list of runs.

Each answer is the fragment that changed, rendered from the block that the page itself includes. A refusal is a problem
fragment (app.problems), which the page shows in its #problems region.
"""

from __future__ import annotations

import math
import secrets
from typing import Annotated, Any, Literal

from annotated_types import Interval
from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import UploadFile

from app.deps import RunsService
from app.errors import Busy, Conflict, Overtaken, Unprocessable
from app.names import clean_name
from app.routes.api.answering import attachment
from app.routes.builder import draft_of_form, run_spec
from app.routes.forms import OPTIMIZER_TITLES, trainer_changes, trainer_form
from app.routes.views import command_states, evaluation_view, page_address
from app.services.changes import RunChanges
from app.templating import is_htmx, plain_number, render
from engine.formats import FormatName
from engine.presets import PRESETS
from engine.specs import LearningRate
from engine.validation import read_run_spec

router = APIRouter(include_in_schema=False)


async def typed(request: Request) -> dict[str, str]:
    """The texts of a posted form; of a name that comes twice, the last."""
    async with request.form(max_files=1, max_fields=400) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


def go_to(request: Request, run: dict[str, Any]) -> Response:
    """Opens the run's page, from htmx or from a plain form."""
    address = f"{page_address(run)}?run={run['id']}"
    if is_htmx(request):
        return Response(headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


# ---- New runs ------------------------------------------------------------------------------------------------------------------


@router.post("/runs")
async def create(request: Request, runs: RunsService) -> Response:
    """A run of a preset, of the network in the builder's form, or of what another run (`like`) is made of."""
    form = await typed(request)
    if "like" in form:
        return go_to(request, await runs.create(read_run_spec(await runs.spec(form["like"])), state="running"))
    if "preset" in form:
        if form["preset"] not in PRESETS:
            raise Unprocessable(f"There is no such preset. There are: {', '.join(PRESETS)}.", field="/preset")
        spec = PRESETS[form["preset"]].spec
        if "first" in form:
            return go_to(request, await runs.first(spec))  # another tab may be quicker
    else:
        form["name"] = _name(form.get("name", ""))
        spec = run_spec(draft_of_form(form), form)
    return go_to(request, await runs.create(spec, state="running"))


@router.post("/models")
async def load(request: Request, runs: RunsService) -> Response:
    """A saved network, as a file or pasted, as a new paused run."""
    async with request.form(max_files=1, max_fields=4, max_part_size=48 * 2**20) as form:
        file, text = form.get("file"), form.get("text")
        if isinstance(file, UploadFile) and file.filename:
            return go_to(request, await runs.import_model(await file.read(), file.filename))
        if isinstance(text, str) and text.strip():
            return go_to(request, await runs.import_model(text.encode(), "pasted.json"))
    raise Unprocessable("Choose a file or paste a network first.", code="nothing_to_load")


@router.get("/runs/{run_id}/model")
async def save(runs: RunsService, run_id: str, format: FormatName = "native") -> Response:
    """The network as a file, as from the API; what cannot be saved is told on a page."""
    return attachment(*await runs.export(run_id, format))


AT_ONCE = 1000
"""Updates that one command may ask for."""

# ---- Commands --------------------------------------------------------------------------------------------------------------------


def commands_fragment(run: dict[str, Any], *, trainer: bool = False) -> HTMLResponse:
    """The run bar's buttons and what changes with them; also the trainer form where a command changed a value in it."""
    context = {"run": run, "commands": command_states(run), "fragment": True, "aside": True}
    return render("_runbar.html", {**context, "trainer": trainer_form(run) if trainer else None}, block="commands")


@router.get("/runs/{run_id}/commands")
async def commands(run_id: str, runs: RunsService) -> HTMLResponse:
    return commands_fragment(await runs.get(run_id))


@router.patch("/runs/{run_id}/state")
async def change_state(
    run_id: str,
    runs: RunsService,
    state: Annotated[Literal["running", "paused"], Form()],
    learning_rate: Annotated[LearningRate | None, Form(allow_inf_nan=False)] = None,
) -> HTMLResponse:
    run = await runs.change(run_id, RunChanges(state=state, learning_rate=learning_rate))
    return commands_fragment(run, trainer=learning_rate is not None)


@router.post("/runs/{run_id}/steps")
async def step(
    run_id: str,
    runs: RunsService,
    count: Annotated[Annotated[int, Interval(ge=1, le=AT_ONCE)] | Literal["epoch"], Form()],
) -> HTMLResponse:
    """So many updates, or as many as show the network each training example once."""
    run = await runs.get(run_id)
    left = math.ceil(run["dataset"]["train_examples"] / run["batch_size"]) if count == "epoch" else count
    while True:
        run = await runs.step(run_id, min(left, AT_ONCE))
        left -= AT_ONCE
        if left <= 0:
            return commands_fragment(run)


@router.post("/runs/{run_id}/reset")
async def reset(
    run_id: str, runs: RunsService, seed: Annotated[Literal["same", "new"], Form()] = "same"
) -> HTMLResponse:
    """Back to update 0, with the same initial weights or those of a new seed."""
    new = secrets.randbelow(1_000_000) if seed == "new" else None
    return commands_fragment(await runs.reset(run_id, seed=new))


OVERTAKEN = "Another tab changed these at the same moment. They stand as they are now; change them again if you like."

# ---- Trainer -----------------------------------------------------------------------------------------------------------------------


@router.patch("/runs/{run_id}/trainer")
async def change_trainer(run_id: str, request: Request, runs: RunsService) -> HTMLResponse:
    """Takes over what is legal; what is not keeps its text and says why, and the run keeps its value."""
    texts = await typed(request)
    run = await runs.get(run_id)
    expected = texts.pop("expected", run["version"])
    if expected != run["version"]:
        return trainer_fragment(run, notice=OVERTAKEN, status=409)
    changes = trainer_changes(run, texts)
    notice = ""
    if changes is not None:
        try:
            before, run = run, await runs.change(run_id, changes, expected=expected)
        except Overtaken:
            return trainer_fragment(await runs.get(run_id), notice=OVERTAKEN, status=409)
        if changes.optimizer is not None and before["optimizer"]["name"] != run["optimizer"]["name"]:
            name, rate = OPTIMIZER_TITLES[run["optimizer"]["name"]], run["optimizer"]["learning_rate"]
            notice = f"The learning rate is now {plain_number(rate)}, as is usual for {name}."
            texts = {}  # what was typed was meant for the other optimizer
    return trainer_fragment(run, texts, notice)


@router.get("/runs/{run_id}/trainer")
async def trainer(run_id: str, runs: RunsService) -> HTMLResponse:
    """The form as the run is now, after another tab has changed it."""
    return trainer_fragment(await runs.get(run_id))


def trainer_fragment(
    run: dict[str, Any], typed: dict[str, str] | None = None, notice: str = "", *, status: int = 200
) -> HTMLResponse:
    values = {"run": run, "trainer": trainer_form(run, typed, notice), "aside": False}
    return render("_trainer.html", values, block="trainer", status=status)


# ---- Evaluation and sentence ---------------------------------------------------------------------------------------------------------


@router.get("/runs/{run_id}/evaluation")
async def evaluation(
    run_id: str,
    runs: RunsService,
    since: Annotated[int | None, Query(ge=0)] = None,
    now: bool = False,
) -> Response:
    """The confusion matrix, when it is asked for (`now`) or when a measurement is due.

    One is due after an epoch, or at any other update once the run stands still; else 204, and the page stays as it is.
    A measurement asked for takes the mean of several crops, one made by itself a single crop of each image.
    """
    run = await runs.get(run_id)
    if not now and not _is_due(run, since):
        return Response(status_code=204)
    if run["step"] == 0 and not now:
        found = None
    else:
        try:
            measured = await runs.evaluate(run_id, "test", crops=None if now else 1)
        except (Busy, Conflict):
            if now:
                raise
            return Response(status_code=204)  # nobody asked: not worth a message that the run was reset meanwhile
        found = evaluation_view(measured, run["dataset"]["classes"])
    return render("_evaluation.html", {"run": run, "evaluation": found}, block="evaluation")


def _is_due(run: dict[str, Any], since: int | None) -> bool:
    if since is None:
        return run["metrics"]["test_accuracy"] is not None
    if run["step"] < since or run["state"] != "running":
        return bool(run["step"] != since)
    return bool(run["step"] - since >= math.ceil(run["dataset"]["train_examples"] / run["batch_size"]))


@router.get("/runs/{run_id}/sentence")
async def sentence(run_id: str, runs: RunsService) -> HTMLResponse:
    return render("_sentence.html", {"run": await runs.get(run_id)}, block="sentence")


# ---- The list of runs -------------------------------------------------------------------------------------------------------------------


@router.patch("/runs/{run_id}/name")
async def rename(run_id: str, runs: RunsService, name: Annotated[str, Form(max_length=400)]) -> HTMLResponse:
    run = await runs.change(run_id, RunChanges(name=_name(name)))
    return render("_run_row.html", {"run": run})


@router.delete("/runs/{run_id}")
async def delete(run_id: str, runs: RunsService) -> HTMLResponse:
    """An empty answer, which takes the row's place (204 would leave it standing)."""
    await runs.delete(run_id)
    return HTMLResponse("")


@router.patch("/runs/{run_id}/shared")
async def share(run_id: str, request: Request, runs: RunsService) -> HTMLResponse:
    """Whether the class may look at the run; an unticked box sends nothing."""
    form = await typed(request)
    run = await runs.change(run_id, RunChanges(shared="shared" in form))
    link = f"{request.base_url}{page_address(run).lstrip('/')}?run={run_id}"
    return render("_share_run.html", {"run": run, "share_link": link}, block="share")


def _name(text: str) -> str:
    try:
        return clean_name(text)
    except ValueError as error:
        raise Unprocessable(str(error), field="/name", code="bad_name") from None
