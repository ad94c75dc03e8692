"""What a run's network thinks: layers, predictions, evaluations, classified examples."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse

from app import answers
from app.deps import RunId, RunsService
from app.errors import Unprocessable
from app.routes.api.answering import BODY, json_in_pieces, problems
from app.routes.bodies import JSONRoute
from app.schemas import LIMITS, PredictionsBody, WeightsBody
from engine.gradcheck import of_run
from engine.specs import MAX_LAYERS, Split

router = APIRouter(prefix="/api/runs/{id}", tags=["predictions"], route_class=JSONRoute)

WHAT = ("activations", "gradients", "weights", "weight_gradients")
Class = Annotated[int | None, Query(ge=0, le=9)]


@router.get(
    "/layers",
    response_model=list[answers.LayerAnswer],
    operation_id="listLayers",
    summary="Shape, parameters and cost of every layer",
    responses=problems(404, 409, 503),
)
async def list_layers(runs: RunsService, id: RunId) -> Response:
    return JSONResponse(await runs.layers(id))


@router.get(
    "/layers/{index}",
    response_model=dict[str, Any],
    operation_id="getLayer",
    summary="The numbers in one layer",
    responses=problems(404, 409, 422, 503),
)
async def get_layer(
    runs: RunsService,
    id: RunId,
    index: Annotated[int, Path(ge=0, lt=MAX_LAYERS)],
    what: Annotated[
        str, Query(max_length=80, description="Any of activations, gradients, weights, weight_gradients, with commas.")
    ] = "weights",
    example: Annotated[
        str | None, Query(pattern="^(train|test):[0-9]{1,5}$", description="For which example, as test:17.")
    ] = None,
) -> Response:
    asked = set(what.split(","))
    if not asked <= set(WHAT):
        raise Unprocessable(f"A layer has {', '.join(WHAT)}; name them with commas between.", code="unknown_name")
    chosen = None
    if example is not None:
        source, _, place = example.partition(":")
        chosen = {"source": source, "index": int(place)}
    return json_in_pieces(await runs.layer(id, index, asked, chosen))


@router.put(
    "/layers/{index}/weights",
    response_model=answers.Run,
    operation_id="setWeights",
    summary="Set weights and biases of a dense layer by hand, also while it trains",
    responses=problems(*BODY, 404, 409, 503),
)
async def set_weights(
    runs: RunsService, id: RunId, index: Annotated[int, Path(ge=0, lt=MAX_LAYERS)], body: WeightsBody
) -> Response:
    return JSONResponse(await runs.set_weights(id, index, body.weights()))


@router.post(
    "/predictions",
    response_model=answers.Predictions,
    operation_id="predict",
    summary="Classify a drawing, or a batch of images or points, with the present weights",
    responses=problems(*BODY, 404, 409, 503),
)
async def predict(runs: RunsService, id: RunId, body: PredictionsBody) -> Response:
    inputs: list[Any] | None = body.inputs
    return JSONResponse(await runs.predict(id, inputs=inputs, ink=body.drawing()))


@router.get(
    "/evaluation",
    response_model=answers.Evaluation,
    operation_id="evaluate",
    summary="Accuracy, loss and the confusion matrix on a whole split",
    responses=problems(404, 409, 422, 503),
)
async def evaluate(
    runs: RunsService,
    id: RunId,
    split: Split = "test",
    crops: Annotated[int | None, Query(ge=1, le=16, description="Random crops averaged for each image.")] = None,
) -> Response:
    return JSONResponse(await runs.evaluate(id, split, crops=crops))


@router.post(
    "/gradient-check",
    response_model=answers.GradientCheck,
    operation_id="checkGradients",
    summary="Numeric against backpropagated gradients, for the weights and the biases of each layer",
    description="In float64, on a copy of the network and the first training examples, dropout active. Each checked "
    "parameter is moved a little up and a little down; of a large network only some are, evenly spread. `error` is "
    "relative: below 1e-5 they agree, near 1 they have nothing to do with each other. The run changes in nothing.",
    responses=problems(404, 409, 422, 503),
)
async def check_gradients(runs: RunsService, id: RunId) -> Response:
    return JSONResponse((await runs.look(id, of_run, ()))["seen"])


@router.get(
    "/examples",
    response_model=answers.ClassifiedExamples,
    operation_id="listClassifiedExamples",
    summary="Examples with what the network makes of them",
    responses=problems(404, 409, 422, 503),
)
async def list_classified_examples(
    runs: RunsService,
    id: RunId,
    split: Split = "test",
    which: Annotated[str, Query(pattern="^(all|mistakes)$")] = "all",
    truth: Class = None,
    predicted: Class = None,
    offset: Annotated[int, Query(ge=0, le=60_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=LIMITS.examples)] = 18,
    seed: Annotated[int | None, Query(ge=0, le=2**53 - 1, description="Shuffle by this seed.")] = None,
) -> Response:
    page = await runs.examples(
        id,
        split,
        which="mistakes" if which == "mistakes" else "all",
        truth=truth,
        predicted=predicted,
        offset=offset,
        limit=limit,
        seed=seed,
    )
    return JSONResponse(page)
