"""Reports of the labs: what a student hands in, and what becomes of it when it is computed again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from app import answers
from app.deps import ReportsService, VerificationService
from app.errors import UnsupportedMedia
from app.labs.settings import read
from app.routes.api.answering import BODY, problems
from app.routes.api.labs import LabName, found
from app.routes.bodies import JSONRoute
from app.routes.report_files import FileFormat, file_of
from app.routes.visitor import KnownVisitor
from app.schemas import ReportBody

router = APIRouter(prefix="/api/labs", route_class=JSONRoute, tags=["labs"])

MEDIA_TYPES = ("application/json", "text/html")
FILE = {
    "content": {"application/json": {}, "text/html": {"schema": {"type": "string"}}},
    "headers": {"Content-Disposition": {"schema": {"type": "string"}}},
}


@router.get(
    "/report",
    response_model=answers.LabReport,
    operation_id="saveLabs",
    summary="All that this visitor has solved, as a file",
    description="Of the visitor whose cookie comes along. `format=html` is a page for people that holds the same text.",
    responses={200: FILE, **problems(422)},
)
async def save_labs(
    reports: ReportsService,
    visitor: KnownVisitor,
    format: FileFormat = "json",
    student: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    return file_of(await reports.of_all(visitor, student), "labs", format)


@router.post(
    "/{name}/report",
    response_model=answers.LabReport,
    operation_id="saveLab",
    summary="One lab as it is now, with figures, pictures and solved tasks, as a file",
    responses={200: FILE, **problems(404, 409, 503, *BODY)},
)
async def save_lab(
    reports: ReportsService, visitor: KnownVisitor, name: LabName, body: ReportBody, format: FileFormat = "json"
) -> Response:
    lab = found(name)
    settings, _ = read(lab.settings, body.settings)
    report = await reports.of_lab(
        lab,
        settings,
        ids=body.runs,
        at=".".join(map(str, body.at)),
        pictures=[picture.model_dump() for picture in body.pictures],
        visitor=visitor,
        student=body.student,
    )
    return file_of(report, lab.name, format)


@router.post(
    "/verification",
    response_model=list[answers.VerifiedClaim],
    operation_id="verifyReport",
    summary="Compute every claim of a report again",
    description="The body is a report as it was saved, JSON or HTML.",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}, "text/html": {"schema": {"type": "string"}}},
        }
    },
    responses=problems(*BODY),
)
async def verify_report(request: Request, verification: VerificationService) -> Response:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in MEDIA_TYPES:
        raise UnsupportedMedia("Send the report as it was saved: as application/json or as text/html.")
    outcomes = [asdict(outcome) async for outcome in verification.check({"": await request.body()})]
    return JSONResponse([{key: outcome[key] for key in answers.VerifiedClaim.model_fields} for outcome in outcomes])
