"""Pages and fragments: one Jinja environment, everything escaped, undefined names are errors.

A fragment is a block of the template that its page includes, so the two cannot drift apart. Figures are written here
and in `static/js/lib/figures.js` by the same rules: three significant digits, a comma at the thousands, a true minus
and "–" where there is no value.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2_fragments import render_block

ROOT = Path(__file__).resolve().parent.parent
NO_VALUE = "–"


@cache
def build_id() -> str:
    """Changes whenever a page, style or script does; a page that has outlived an update can tell by it."""
    digest = hashlib.sha256()
    for folder in ("templates", "static"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file():
                digest.update(path.relative_to(ROOT).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


# ---- Figures as text ---------------------------------------------------------------------------------------------------


def write_number(value: float) -> str:
    """Three significant digits, at most five decimals: 2.31, 0.0684, 1,234."""
    decimals = min(5, max(0, 2 - math.floor(math.log10(abs(value))))) if value else 2
    return f"{value:,.{decimals}f}"


def write_seconds(value: float) -> str:
    """21.5 s, 3 min 12 s, 1 h 04 min."""
    if value < 60:
        return f"{value:.1f} s"
    if value < 3600:
        return f"{int(value) // 60} min {int(value) % 60:02d} s"
    return f"{int(value) // 3600:,} h {int(value) % 3600 // 60:02d} min"


FORMATS = {
    "number": write_number,
    "integer": lambda value: f"{round(value):,}",
    "percent": lambda value: f"{100 * value:.1f}",
    "percent2": lambda value: f"{100 * value:.2f}",
    "fixed2": lambda value: f"{value:,.2f}",
    "ms": lambda value: f"{value:.2g} ms" if value < 1 else f"{value:.1f} ms",
    "seconds": write_seconds,
}


def figure(value: float | None, style: str = "number") -> str:
    """A figure as it stands on the page; `style` is the element's data-format."""
    if value is None or not math.isfinite(value):
        return NO_VALUE
    text = FORMATS[style](value).replace("-", "−")
    return text.lstrip("−") if not any(digit in text for digit in "123456789") else text


def shape(dimensions: Sequence[int]) -> str:
    """Channels × height × width as the page writes it: 24×24×8, or 10 for a vector."""
    if len(dimensions) == 3:
        channels, height, width = dimensions
        return f"{height}×{width}×{channels}"
    return "×".join(str(n) for n in dimensions)


def plain_number(value: float) -> str:
    """A number as a person types it into a field: 0.001, 1, 1e-06."""
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


# ---- The environment -----------------------------------------------------------------------------------------------------

environment = Environment(
    loader=FileSystemLoader(ROOT / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
environment.filters.update(figure=figure, shape=shape, plain=plain_number)
environment.globals["build_id"] = build_id


def is_htmx(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def render(
    name: str,
    context: Mapping[str, Any],
    *,
    block: str | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """A whole page, or the named block of it. `ui` in templates is the set of macros in `_ui.html`."""
    values = {"ui": environment.get_template("_ui.html").module, **context}
    html = (
        environment.get_template(name).render(values)
        if block is None
        else render_block(environment, name, block, values)
    )
    return HTMLResponse(html, status, headers)


def problem_page(document: Mapping[str, Any]) -> HTMLResponse:
    """A problem document as a page of its own, for a person who followed a link."""
    return render("problem.html", {"problem": document}, status=int(document["status"]))
