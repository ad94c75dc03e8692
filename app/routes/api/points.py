"""Points: those of a run, what its network makes of the whole plane, and tables of one's own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from app import answers
from app.deps import DatasetsService, RunId, RunsService
from app.errors import BadRequest, Unprocessable, UnsupportedMedia
from app.routes.api.answering import BODY, attachment, json_in_pieces, problems
from app.routes.bodies import read_json
from app.schemas import PointsBody
from engine.specs import MAX_COLUMNS, MAX_LAYERS

router = APIRouter(prefix="/api", tags=["points"])

COLUMNS = r"^[0-9]{1,2},[0-9]{1,2}$"
LONGEST_COLUMNS = 41 * MAX_COLUMNS


@router.get(
    "/runs/{id}/points",
    response_model=answers.RunPoints,
    operation_id="listPoints",
    summary="The points that a run learns from and is tested on",
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **problems(404, 422)},
)
async def list_points(runs: RunsService, id: RunId, format: Literal["json", "csv"] = "json") -> Response:
    if format == "csv":
        return attachment(f"points-{id}.csv", "text/csv", await runs.points_csv(id))
    return json_in_pieces(await runs.points(id))


@router.get(
    "/runs/{id}/boundary",
    response_model=answers.Boundary,
    operation_id="getBoundary",
    summary="What the network makes of every place in the plane",
    description="On a grid over two columns of the points; of further columns the mean over the training points is taken. "
    "With `layer` (a dense layer's place in the network, −1 for the inputs) and `unit` it is what that unit responds.",
    responses=problems(404, 409, 422, 503),
)
async def get_boundary(
    runs: RunsService,
    id: RunId,
    resolution: Annotated[int, Query(ge=2, le=200, description="Places on a side.")] = 100,
    layer: Annotated[int | None, Query(ge=-1, lt=MAX_LAYERS)] = None,
    unit: Annotated[int | None, Query(ge=0, le=2047)] = None,
    columns: Annotated[str, Query(pattern=COLUMNS, description="Which columns are x and y, with a comma between.")] = "0,1",
) -> Response:
    if (layer is None) != (unit is None):
        raise Unprocessable("layer and unit go together.", code="validation")
    x, _, y = columns.partition(",")
    return json_in_pieces(
        await runs.boundary(id, resolution=resolution, layer=layer, unit=unit, columns=(int(x), int(y)))
    )


@router.post(
    "/datasets",
    response_model=answers.Table,
    operation_id="readTable",
    summary="Make a dataset of a table (CSV) or of painted points; nothing is kept here",
    description="CSV with commas, semicolons or tabs, with or without a line of names. Rows that cannot be used are listed "
    "with the reason. The answer's `dataset` goes into a run's spec.",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                "application/json": {"schema": PointsBody.model_json_schema()},
            },
        }
    },
    responses=problems(*BODY),
)
async def read_table(
    request: Request,
    datasets: DatasetsService,
    target: Annotated[
        str | None, Query(min_length=1, max_length=40, description="The column to be learned, of a CSV table.")
    ] = None,
    columns: Annotated[
        str | None,
        Query(min_length=1, max_length=LONGEST_COLUMNS, description="The columns to learn from, with commas between."),
    ] = None,
) -> Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await request.body()
    if kind == "text/csv":
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadRequest(
                f"The table is not UTF-8 text (byte {error.start + 1:,}). Save it as CSV UTF-8.", code="not_text"
            ) from None
        return JSONResponse(await datasets.read_csv(text, target, columns.split(",") if columns else None))
    if kind == "application/json":
        body = painted(read_json(raw))
        return JSONResponse(await datasets.read_points(body.points, body.classes))
    raise UnsupportedMedia("Send a table as text/csv, or points as application/json.")


def painted(value: Any) -> PointsBody:
    """The body as a route's own would be read, refused in the same words."""
    try:
        return PointsBody.model_validate(value)
    except ValidationError as error:
        found = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise RequestValidationError(found, body=value) from None
