"""Runs: create, list, show, steer, measure, save."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from app import answers
from app.deps import Expected, IdempotencyKey, RunId, RunsService, WatchId
from app.errors import UnsupportedMedia
from app.routes.api.answering import BODY, attachment, json_in_pieces, problems
from app.routes.bodies import JSONRoute
from app.schemas import LIMITS, ChangesBody, ResetBody, RunBody, SpecBody, StepsBody, WatchBody
from engine.formats import FORMATS, FormatName

router = APIRouter(prefix="/api/runs", tags=["runs"], route_class=JSONRoute)


@router.post(
    "",
    status_code=201,
    response_model=answers.Run,
    operation_id="createRun",
    summary="Create a run, from a spec or from a preset",
    responses={201: {"headers": {"Location": {"schema": {"type": "string"}}}}, **problems(*BODY, 409, 429, 503, 507)},
)
async def create_run(runs: RunsService, body: RunBody, idempotency_key: IdempotencyKey = None) -> Response:
    run = await runs.create(
        body.spec(), state=body.state, idempotency_key=idempotency_key, named=body.is_named
    )
    return JSONResponse(run, 201, {"location": f"/api/runs/{run['id']}"})


@router.get(
    "",
    response_model=answers.RunList,
    operation_id="listRuns",
    summary="List runs, newest first",
    responses=problems(422),
)
async def list_runs(
    runs: RunsService,
    limit: Annotated[int, Query(ge=1, le=LIMITS.page)] = 20,
    cursor: Annotated[str | None, Query(pattern="^[0-9]{1,15}$", description="`next` of the page before.")] = None,
) -> Response:
    return JSONResponse(await runs.list(limit, cursor))


@router.get("/{id}", response_model=answers.Run, operation_id="getRun", summary="Show a run", responses=problems(404))
async def get_run(runs: RunsService, id: RunId) -> Response:
    return JSONResponse(await runs.get(id))


@router.patch(
    "/{id}",
    response_model=answers.Run,
    operation_id="changeRun",
    summary="Pause, go on, stop, or change hyperparameters while it trains",
    responses=problems(*BODY, 404, 409, 503),
)
async def change_run(runs: RunsService, id: RunId, body: ChangesBody, expected: Expected = None) -> Response:
    return JSONResponse(await runs.change(id, body.changes(), expected=expected))


@router.delete("/{id}", status_code=204, operation_id="deleteRun", summary="Delete a run", responses=problems(404))
async def delete_run(runs: RunsService, id: RunId) -> Response:
    await runs.delete(id)
    return Response(status_code=204)


@router.get(
    "/{id}/spec",
    response_model=dict[str, Any],
    operation_id="getSpec",
    summary="All that a run is made of, as it can be sent to create or change one",
    responses=problems(404),
)
async def get_spec(runs: RunsService, id: RunId) -> Response:
    return JSONResponse(await runs.spec(id))


@router.put(
    "/{id}/spec",
    response_model=answers.Run,
    operation_id="replaceSpec",
    summary="Make a run of something else: another network, other points",
    description="With `keep=weights` it goes on from the weights, the optimizer's memory and the update of now, if network, "
    "inputs and kind of optimizer stay as they are. Otherwise it begins again, with the initial weights of the "
    "spec's seed and an empty curve. A running run goes on running, any other is paused.",
    responses=problems(*BODY, 404, 409, 503),
)
async def replace_spec(
    runs: RunsService,
    id: RunId,
    body: SpecBody,
    keep: Literal["weights", "nothing"] = "nothing",
    expected: Expected = None,
) -> Response:
    return JSONResponse(await runs.respec(id, body.spec(), keep=keep, expected=expected, named=body.is_named))


@router.post(
    "/{id}/steps",
    response_model=answers.Run,
    operation_id="stepRun",
    summary="Make exactly so many updates on a paused run",
    responses=problems(*BODY, 404, 409, 503),
)
async def step_run(runs: RunsService, id: RunId, body: StepsBody) -> Response:
    return JSONResponse(await runs.step(id, body.count))


@router.post(
    "/{id}/narration",
    response_model=answers.Narration,
    operation_id="narrateRun",
    summary="Make one update on a paused run and tell it stage by stage",
    description="The same update as that of `/steps`, to the last bit: the batch that is taken, what each layer makes of its "
    "first example, the loss, the gradients on the way back, and what the optimizer then does to the weights. A run that "
    "has finished stays as it is: its next update is told and not made.",
    responses=problems(404, 409, 503),
)
async def narrate_run(runs: RunsService, id: RunId) -> Response:
    return json_in_pieces(await runs.narrate(id))


@router.post(
    "/{id}/reset",
    response_model=answers.Run,
    operation_id="resetRun",
    summary="Back to update 0, with the same initial weights or from a new seed",
    responses=problems(*BODY, 404, 409, 503),
)
async def reset_run(runs: RunsService, id: RunId, body: ResetBody | None = None) -> Response:
    return JSONResponse(await runs.reset(id, seed=body.seed if body else None))


@router.get(
    "/{id}/metrics",
    response_model=answers.Points,
    operation_id="getMetrics",
    summary="Everything measured so far, in columns",
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **problems(404, 422)},
)
async def get_metrics(runs: RunsService, id: RunId, format: Literal["json", "csv"] = "json") -> Response:
    columns = await runs.metrics(id)
    if format == "json":
        return json_in_pieces(columns)
    headers = {"content-disposition": f'attachment; filename="run-{id}.csv"'}
    return StreamingResponse(csv_rows(columns), media_type="text/csv", headers=headers)


async def csv_rows(columns: dict[str, list[Any]]) -> AsyncIterator[str]:
    """A header line and a line a measurement; empty where nothing was measured."""
    yield ",".join(columns) + "\n"
    for start in range(0, len(columns["step"]), 500):
        text = io.StringIO()
        parts = [column[start : start + 500] for column in columns.values()]
        csv.writer(text, lineterminator="\n").writerows(zip(*parts, strict=True))
        yield text.getvalue()


@router.put(
    "/{id}/watches/{watch}",
    status_code=204,
    operation_id="watchRun",
    summary="Say what one page looks at: an example, gradients, tiles",
    description="The stream with the same `watch` then carries frames of it. A watch dies with its streams.",
    responses=problems(*BODY, 404, 409, 429, 503),
)
async def watch_run(runs: RunsService, id: RunId, watch: WatchId, body: WatchBody) -> Response:
    await runs.watch(id, watch, body.watch())
    return Response(status_code=204)


@router.get(
    "/{id}/model",
    operation_id="saveModel",
    summary="The network as a file: Nabla's own, convnetjs's, safetensors, ONNX, or a script for PyTorch or NumPy",
    description="\n".join(f"* `{name}`: {format.contains}" for name, format in FORMATS.items()),
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/json": {},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "text/x-python": {"schema": {"type": "string"}},
            },
            "headers": {"Content-Disposition": {"schema": {"type": "string"}}},
        },
        **problems(404, 409, 422, 503),
    },
)
async def save_model(runs: RunsService, id: RunId, format: FormatName = "native") -> Response:
    return attachment(*await runs.export(id, format))


models = APIRouter(prefix="/api/models", tags=["models"])

MODEL_FILES = {
    "application/json": "model.json",
    "application/octet-stream": "model.safetensors",
    "text/plain": "model.txt",
    "text/javascript": "model.js",
    "application/javascript": "model.js",
}
"""Media types that a saved network is sent as, and what a file of the type is called."""


@models.post(
    "",
    status_code=201,
    response_model=answers.Run,
    operation_id="loadModel",
    summary="Make a new, paused run of a saved network",
    description="Nabla's own file, a safetensors file that was saved here, a convnetjs snapshot, or convnetjs `layer_defs` "
    "(read as data, never executed).",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "text/plain": {"schema": {"type": "string"}},
            },
        }
    },
    responses={201: {"headers": {"Location": {"schema": {"type": "string"}}}}, **problems(*BODY, 409, 429, 503, 507)},
)
async def load_model(request: Request, runs: RunsService) -> Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in MODEL_FILES:
        raise UnsupportedMedia(
            "Send the .json file that was saved here or by convnetjs, a .safetensors file as application/octet-stream, "
            "or layer_defs as text/plain."
        )
    run = await runs.import_model(await request.body(), MODEL_FILES[kind])
    return JSONResponse(run, 201, {"location": f"/api/runs/{run['id']}"})
