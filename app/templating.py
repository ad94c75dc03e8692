"""Pages and fragments: one Jinja environment, everything escaped, undefined names are errors.

A fragment is a block of the template that its page includes, so the two cannot drift apart. Figures are written here
and in `static/js/lib/format.js` by the same rules: three significant digits, a comma at the thousands, a true minus
and "–" where there is no value.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2_fragments import render_block

from app.asking import asking
from app.figures import figure, fixed

ROOT = Path(__file__).resolve().parent.parent


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


def shape(dimensions: Sequence[int]) -> str:
    """Channels × height × width as the page writes it: 24×24×8, or 10 for a vector."""
    if len(dimensions) == 3:
        channels, height, width = dimensions
        return f"{height}×{width}×{channels}"
    return "×".join(str(n) for n in dimensions)


def shown(value: float | str, digits: int | None = None) -> str:
    """A setting beside its slider: whole numbers whole, others with three significant digits or as many as are asked for."""
    if isinstance(value, str):
        return value
    if digits is None and float(value).is_integer():
        return fixed(value, 0)
    return figure(value, "number", digits)


def plain_number(value: float) -> str:
    """A number as a person types it into a field: 0.00005, 1, 1e-08."""
    text = format(Decimal(repr(value)), "f" if not value or abs(value) >= 1e-7 else "")
    return text.removesuffix(".0").lower()


# ---- The environment -----------------------------------------------------------------------------------------------------

environment = Environment(
    loader=FileSystemLoader(ROOT / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    bytecode_cache=FileSystemBytecodeCache(),  # compiled once, not at every start
)
environment.filters.update(figure=figure, shape=shape, plain=plain_number, shown=shown, log10=math.log10)
environment.globals["build_id"] = build_id
environment.globals["asker"] = asking.get
environment.globals["ui"] = environment.get_template("_ui.html").module


def compile_templates() -> None:
    """All of them, for a thread at the start: whoever opens a page first would else hold the others up for 100 ms."""
    for name in environment.list_templates(filter_func=lambda name: name.endswith(".html")):
        environment.get_template(name)


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
    html = _whole(name, context) if block is None else render_block(environment, name, block, context)
    return HTMLResponse(html, status, headers)


def _whole(name: str, context: Mapping[str, Any]) -> str:
    """As `Template.render`, and nothing of it is left to the search for garbage.

    A template's own macros and its context hold each other: up to 170 KB for an answer of a lab, which may stay in memory
    until everybody has to wait for a search through everything.
    """
    template = environment.get_template(name)
    inside = template.new_context(dict(context))
    try:
        return environment.concat(template.root_render_func(inside))
    except Exception:
        environment.handle_exception()
    finally:
        inside.vars.clear()


def problem_page(document: Mapping[str, Any]) -> HTMLResponse:
    """A problem document as a page of its own, for a person who followed a link."""
    return render("problem.html", {"problem": document}, status=int(document["status"]))
