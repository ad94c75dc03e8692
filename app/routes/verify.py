"""`/labs/verify`, for whoever teaches: reports are computed again, claim by claim, while the table grows."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from starlette.datastructures import UploadFile

from app.deps import SettingsInUse, VerificationService
from app.services.verification import Verification
from app.templating import environment, render

router = APIRouter(include_in_schema=False)

MOST_FILES = 300
ROWS = "\0"
"""Stands in the page where the rows will be; no text of a page holds it."""


@router.get("/labs/verify")
async def verify_page() -> HTMLResponse:
    return render("verify.html", {"active": "labs", "rows": "", "problem": ""})


@router.post("/labs/verify")
async def verify(request: Request, verification: VerificationService, settings: SettingsInUse) -> Response:
    """A page whose table is sent row by row; the browser shows each as it comes."""
    files: dict[str, bytes] = {}
    async with request.form(max_files=MOST_FILES, max_fields=4) as form:
        for upload in form.getlist("reports"):
            if isinstance(upload, UploadFile) and upload.filename:
                name = upload.filename[:80]
                name = name if name not in files else f"{name} ({len(files) + 1})"
                files[name] = await upload.read(settings.limits.report_bytes + 1)
    if not files:
        context = {"active": "labs", "rows": "", "problem": "Choose one report or more first."}
        return render("verify.html", context, status=422)
    return StreamingResponse(page(verification, files), media_type="text/html")


async def page(verification: Verification, files: Mapping[str, bytes]) -> AsyncIterator[str]:
    shell = environment.get_template("verify.html").render(active="labs", rows=ROWS, problem="")
    head, tail = shell.split(ROWS)
    parts = environment.get_template("_verified.html").module
    counts = Counter[str]()
    yield head
    async for outcome in verification.check(files):
        counts[outcome.verdict] += 1
        yield str(parts.row(outcome))  # type: ignore[attr-defined]
    yield str(parts.total(counts, len(files)))  # type: ignore[attr-defined]
    yield tail
