"""One's own labelled digits, kept under an anonymous cookie: nobody else sees them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse

from app import answers
from app.deps import DrawingsService
from app.routes.api.answering import BODY, problems
from app.routes.bodies import JSONRoute
from app.routes.visitor import KnownVisitor, new_visitor, remember
from app.schemas import DrawingBody

router = APIRouter(prefix="/api/drawings", tags=["drawings"], route_class=JSONRoute)

DrawingId = Annotated[str, Path(pattern="^[a-z0-9]{16}$", description="The drawing's id.")]


@router.get(
    "",
    response_model=answers.DrawingList,
    operation_id="listDrawings",
    summary="Your own drawings",
    responses=problems(503),
)
async def list_drawings(drawings: DrawingsService, visitor: KnownVisitor) -> Response:
    return JSONResponse(await drawings.list(visitor))


@router.post(
    "",
    status_code=201,
    response_model=answers.Drawing,
    operation_id="keepDrawing",
    summary="Keep a drawing and what it shows",
    description="It is centred as MNIST's digits are, and kept in 16 shades under the cookie `visitor`, which comes with the "
    "first answer.",
    responses=problems(*BODY, 409, 503),
)
async def keep_drawing(drawings: DrawingsService, visitor: KnownVisitor, body: DrawingBody) -> Response:
    number = visitor or new_visitor()
    answer = JSONResponse(await drawings.keep(number, body.label, body.drawing() or {}), status_code=201)
    if visitor is None:
        remember(answer, number)
    return answer


@router.delete(
    "/{id}",
    status_code=204,
    operation_id="deleteDrawing",
    summary="Delete one of your drawings",
    responses=problems(404, 503),
)
async def delete_drawing(drawings: DrawingsService, visitor: KnownVisitor, id: DrawingId) -> Response:
    await drawings.delete(visitor, id)
    return Response(status_code=204)


@router.delete(
    "", status_code=204, operation_id="deleteDrawings", summary="Delete all your drawings", responses=problems(503)
)
async def delete_drawings(drawings: DrawingsService, visitor: KnownVisitor) -> Response:
    await drawings.clear(visitor)
    return Response(status_code=204)
