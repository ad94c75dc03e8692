"""A report as the file that a student hands in: JSON, or one HTML page with everything in it that opens anywhere."""

from __future__ import annotations

import json
from functools import cache
from typing import Literal, TypeAlias

from fastapi import Response
from markupsafe import Markup

from app.labs.catalogue import LABS
from app.labs.lesson import Json
from app.labs.settings import hints, meaning
from app.prose import formula, words
from app.routes.api.answering import attachment
from app.templating import ROOT, environment

FileFormat: TypeAlias = Literal["json", "html"]


def file_of(report: Json, name: str, format: FileFormat) -> Response:
    """The report for the disk; `name` is of letters and hyphens."""
    text = json.dumps(report, ensure_ascii=False, allow_nan=False)
    if format == "json":
        return attachment(f"nabla-{name}.json", "application/json", text.encode())
    page = environment.get_template("report.html").render(
        report=report, text=text, style=style(), formula=formula, words=words, symbols=symbols(), meanings=meanings()
    )
    return attachment(f"nabla-{name}.html", "text/html", page.encode())


@cache
def style() -> Markup:
    """The style sheet stands in the file itself: there is no server where it is read."""
    sheet = (ROOT / "static/css/report.css").read_text("utf-8")
    return Markup("<style>{}</style>").format(Markup(sheet))


def symbols() -> dict[str, dict[str, str]]:
    return {name: dict(lab.symbols) for name, lab in LABS.items()}


def meanings() -> dict[str, dict[str, str]]:
    """What each setting of each lab is, in words."""
    return {name: {setting: meaning(lab.settings, setting) for setting in hints(lab.settings)} for name, lab in LABS.items()}
