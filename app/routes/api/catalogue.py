"""What there is to choose from: presets, datasets, limits, and whether a network can be built."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse

from app import answers
from app.deps import DatasetsService, RunsService, SettingsInUse
from app.routes.api.answering import BODY, json_in_pieces, problems
from app.routes.bodies import JSONRoute
from app.schemas import LIMITS, NetworkBody
from app.templating import build_id
from engine.errors import SpecError
from engine.presets import PRESETS
from engine.shapes import LayerPlan, LayerProblem, check_run, preview
from engine.specs import Split

router = APIRouter(prefix="/api", route_class=JSONRoute)

DatasetName = Annotated[str, Path(pattern="^[a-z0-9]{1,40}$")]


@router.get(
    "/presets",
    response_model=list[answers.Preset],
    tags=["catalogue"],
    operation_id="listPresets",
    summary="Runs to start from",
    responses=problems(),
)
async def list_presets() -> Response:
    return JSONResponse(
        [
            {"name": name, "title": preset.title, "description": preset.description, "spec": preset.spec.to_dict()}
            for name, preset in PRESETS.items()
        ]
    )


@router.get(
    "/datasets",
    response_model=list[answers.Dataset],
    tags=["datasets"],
    operation_id="listDatasets",
    summary="Datasets",
    responses=problems(),
)
async def list_datasets(datasets: DatasetsService) -> Response:
    return JSONResponse(await datasets.list())


@router.get(
    "/datasets/{name}",
    response_model=answers.Dataset,
    tags=["datasets"],
    operation_id="getDataset",
    summary="One dataset",
    responses=problems(404),
)
async def get_dataset(datasets: DatasetsService, name: DatasetName) -> Response:
    return JSONResponse(await datasets.get(name))


@router.get(
    "/datasets/{name}/examples",
    response_model=answers.Examples,
    tags=["datasets"],
    operation_id="listExamples",
    summary="Images with their labels",
    responses=problems(404, 422),
)
async def list_examples(
    datasets: DatasetsService,
    name: DatasetName,
    split: Split = "train",
    offset: Annotated[int, Query(ge=0, le=60_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=LIMITS.examples)] = 20,
) -> Response:
    return json_in_pieces(await datasets.examples(name, split, offset, limit))


@router.post(
    "/network",
    response_model=answers.NetworkAnswer,
    tags=["catalogue"],
    operation_id="previewNetwork",
    summary="Shapes, parameters and cost of a list of layers, and what is wrong with it",
    responses=problems(*BODY),
)
async def preview_network(body: NetworkBody) -> Response:
    spec = body.spec()
    layers = preview(spec.network, spec.dataset.input_shape)
    plans = [layer for layer in layers if isinstance(layer, LayerPlan)]
    whole = len(plans) == len(layers)
    problem: SpecError | None = None
    try:
        check_run(spec)
    except SpecError as error:
        problem = error
    return JSONResponse(
        {
            "layers": [described(layer) for layer in layers],
            "parameters": sum(plan.parameters for plan in plans) if whole else None,
            "multiply_adds": sum(plan.multiply_adds for plan in plans) if whole else None,
            "problem": str(problem) if problem else None,
            "field": problem.field if problem else None,
        }
    )


def described(layer: LayerPlan | LayerProblem) -> dict[str, Any]:
    if isinstance(layer, LayerProblem):
        return {"index": layer.index, "type": layer.spec.type, "problem": layer.message, "field": layer.field}
    return {
        "index": layer.index,
        "type": layer.spec.type,
        "name": layer.name,
        "input_shape": rows_first(layer.input_shape),
        "output_shape": rows_first(layer.output_shape),
        "values": prod(layer.output_shape),
        "parameters": layer.parameters,
        "parameter_formula": layer.parameter_formula,
        "multiply_adds": layer.multiply_adds,
    }


def rows_first(shape: tuple[int, ...]) -> list[int]:
    """Height, width, channels, as the API writes shapes; the engine has channels first."""
    return [*shape[1:], shape[0]]


@router.get(
    "/limits",
    response_model=answers.LimitList,
    tags=["server"],
    operation_id="listLimits",
    summary="Every limit of this server",
    responses=problems(),
)
async def list_limits(settings: SettingsInUse) -> Response:
    return JSONResponse({"items": settings.limits.described()})


@router.get(
    "/health",
    response_model=answers.Health,
    tags=["server"],
    operation_id="getHealth",
    summary="Whether the server is well",
    responses=problems(),
)
async def get_health(runs: RunsService) -> Response:
    return JSONResponse({**await runs.health(), "build": build_id()})
