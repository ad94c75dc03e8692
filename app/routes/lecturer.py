"""The lecturer's page, and the one to project while the class joins. Only the lecturer reaches them (app.doorman)."""

from __future__ import annotations

import segno
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.deps import PeopleService, SettingsInUse
from app.routes.joining import join_link
from app.templating import render

router = APIRouter(include_in_schema=False)

QUIET = 4
"""Light modules around a QR code, as its standard wants them."""


@router.get("/lecturer")
async def lecturer(request: Request, settings: SettingsInUse, people: PeopleService, hidden: bool = False) -> HTMLResponse:
    """Without any name: the page asks for them on its stream, unless they are hidden."""
    link = join_link(request, settings, people.code)
    return render("lecturer.html", {"active": "class", "link": link, "code": people.code, "qr": qr(link.address), "hidden": hidden})


@router.get("/lecturer/join")
async def project(request: Request, settings: SettingsInUse, people: PeopleService) -> HTMLResponse:
    link = join_link(request, settings, people.code)
    return render("project.html", {"active": "class", "link": link, "code": people.code, "qr": qr(link.address)})


def qr(text: str) -> dict[str, object]:
    """A QR code as the path of an SVG: `side` modules wide, its quiet zone included."""
    code = segno.make(text, error="m", micro=False)
    rows = [bytes(row) for row in code.matrix_iter(border=QUIET)]
    path = []
    for y, row in enumerate(rows):
        x = 0
        while (x := row.find(1, x)) >= 0:
            end = row.find(0, x)
            path.append(f"M{x} {y}h{end - x}v1H{x}z")
            x = end
    return {"side": len(rows), "path": "".join(path)}
