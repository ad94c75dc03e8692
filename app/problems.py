"""Turns every failure into a problem document (see app.errors), in the form that the asker reads.

A program gets `application/problem+json`; htmx gets the same words as an escaped fragment (`templates/_problem.html`),
because it swaps what it is sent into the page; a person who followed a link gets a page.
What validation found is put into words here, too: the first few fields, never the request's own input at length.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args, get_type_hints

from annotated_types import Interval
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Match, Mount
from starlette.types import Scope

from app.errors import MEDIA_TYPE, BadRequest, Internal, NoSuchRun, NotFound, Problem, Unprocessable
from app.templating import environment, problem_page
from engine.errors import DatasetError, EngineError, FormatError, SpecError
from engine.specs import DATASET_SPECS, LAYER_SPECS, OPTIMIZER_SPECS, SCHEDULE_SPECS, RunSpec, StopSpec

MOST_ERRORS = 5
LONGEST_ECHO = 24

log = logging.getLogger("nabla")


def answer(scope: Scope, problem: Problem) -> Response:
    """The problem as a response to the request of `scope`."""
    headers = Headers(scope=scope)
    document = problem.document(request_id(scope))
    if headers.get("hx-request") == "true":
        html = environment.get_template("_problem.html").render(problem=document)
        return HTMLResponse(html, problem.status, problem.headers)
    if not scope["path"].startswith("/api/") and "text/html" in headers.get("accept", ""):
        page = problem_page(document)
        page.headers.update(problem.headers)
        return page
    return JSONResponse(document, problem.status, problem.headers, media_type=MEDIA_TYPE)


def request_id(scope: Scope) -> str:
    """Given to each request by app.security, also sent as the header X-Request-ID."""
    return str(scope.get("state", {}).get("request_id", ""))


def install(app: FastAPI) -> None:
    """Every exception that can leave a route, handled."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return answer(request.scope, error)

    async def on_engine(request: Request, error: Exception) -> Response:
        assert isinstance(error, EngineError)
        return answer(request.scope, engine_problem(error))

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(request.scope, validation_problem(error.errors(), error.body))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return answer(request.scope, http_problem(error, request))

    async def on_leaving(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the same for all
        """In the middle of its body; whoever was cut off for it is told by app.security, anybody else has gone."""
        return answer(request.scope, BadRequest("The body did not come to its end."))

    async def on_anything(request: Request, error: Exception) -> Response:
        # The server logs the traceback itself; this line ties it to what the person was told.
        log.error("request %s failed: %s %s: %r", request_id(request.scope), request.method, request.url.path, error)
        return answer(request.scope, Internal())

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(EngineError, on_engine)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(ClientDisconnect, on_leaving)
    app.add_exception_handler(Exception, on_anything)


def engine_problem(error: EngineError) -> Problem:
    """What the engine refuses, in its own words."""
    if isinstance(error, SpecError):
        return Unprocessable(str(error), field=error.field, code=error.code)
    if isinstance(error, FormatError):
        return Unprocessable(str(error), field=error.field, code="unreadable_network")
    return Unprocessable(str(error), code="damaged_dataset" if isinstance(error, DatasetError) else "not_possible")


def http_problem(error: HTTPException, request: Request) -> Problem:
    """Starlette's own refusals: no such route, no such method, a form that cannot be parsed."""
    if error.status_code == 404:
        return NotFound()
    if error.status_code == 405:
        allowed = ", ".join(allowed_methods(request))
        detail = f"{request.method[:LONGEST_ECHO]} is not possible at this address; possible: {allowed}."
        return Problem(405, "method_not_allowed", "Not possible here", detail, headers={"allow": allowed})
    if error.status_code == 400:
        return BadRequest("The body could not be read.")
    return Problem(error.status_code, "refused", "Refused", "The request was refused.", headers=error.headers)


def allowed_methods(request: Request) -> list[str]:
    """What the routes of this path take. (Starlette names only the methods of the first of them.)"""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
    found = [
        method
        for method in methods
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    if not found:
        found = ["GET"]  # the static files
    return [found[0], "HEAD", *found[1:]] if found[0] == "GET" else found


# ---- Validation, in words ------------------------------------------------------------------------------------------------


def validation_problem(errors: Sequence[Mapping[str, Any]], body: Any) -> Problem:
    """The first few of pydantic's findings as sentences; `detail` and `field` are those of the first."""
    found = []
    for error in errors[:MOST_ERRORS]:
        where, *path = error["loc"]
        if where == "path":  # an id or name that cannot exist; told apart from one that does not by nobody
            return NoSuchRun() if path == ["id"] else NotFound()
        keys = plain_path(path, body) if where == "body" else [str(part)[:LONGEST_ECHO] for part in path]
        found.append({"field": pointer(keys), "message": sentence(error, keys)})
    if len(errors) > MOST_ERRORS:
        found.append({"field": None, "message": f"There are {len(errors) - MOST_ERRORS:,} more like these."})
    return Unprocessable(
        found[0]["message"] or "",
        field=found[0]["field"],
        errors=found if len(found) > 1 else None,
        code="validation",
    )


def plain_path(path: Sequence[int | str], body: Any) -> list[int | str]:
    """pydantic's `loc` without the tags that it adds below a union (network, 3, conv2d, filters)."""
    keys: list[int | str] = []
    value, tags = body, list[Any]()
    for place, part in enumerate(path):
        if isinstance(value, dict) and isinstance(part, str):
            if part in tags:
                tags.remove(part)
                continue
            if part not in value and place < len(path) - 1:
                continue
        keys.append(part if isinstance(part, int) else part[:LONGEST_ECHO])
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            value = None
        tags = [value.get("type"), value.get("name")] if isinstance(value, dict) else []
    return keys


def pointer(keys: Iterable[int | str]) -> str | None:
    """A JSON pointer (RFC 6901), or null for the whole."""
    text = "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)
    return text or None


def subject(keys: Sequence[int | str]) -> str:
    """What a person calls the place: Learning rate, Kernel size of layer 4, The body."""
    names = [key for key in keys if isinstance(key, str)]
    if not names:
        return "The body"
    if len(keys) > 1 and keys[0] == "network" and isinstance(keys[1], int):
        return f"{_label(names[-1])} of layer {keys[1] + 1}" if len(names) > 1 else f"Layer {keys[1] + 1}"
    return _label(names[-1])


def _label(name: str) -> str:
    return {"l1": "L1 weight decay", "l2": "L2 weight decay"}.get(name, name.replace("_", " ").capitalize())


def sentence(error: Mapping[str, Any], keys: Sequence[int | str]) -> str:
    """One finding of pydantic's as a sentence with the legal range."""
    kind, context, what = error["type"], error.get("ctx", {}), subject(keys)
    if kind == "missing":
        return "A JSON body is needed here." if not keys else f"{what} is missing."
    if kind == "extra_forbidden":
        return f"There is no field “{keys[-1]}” here."
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number"):
        return f"{what} must be {_range(keys, context)}{_echo(error.get('input'))}."
    if kind in ("int_type", "int_from_float", "int_parsing", "int_parsing_size"):
        return f"{what} must be a whole number."
    if kind in ("float_type", "float_parsing"):
        return f"{what} must be a number."
    if kind in ("string_type", "string_unicode"):
        return f"{what} must be text."
    if kind in ("bool_type", "bool_parsing"):
        return f"{what} must be true or false."
    if kind in ("list_type", "tuple_type"):
        return f"{what} must be a list."
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{what} must be an object with named fields."
    if kind in ("too_long", "too_short", "string_too_long", "string_too_short"):
        return f"{what} {_length(kind, context)}."
    if kind in ("literal_error", "union_tag_invalid"):
        names = str(context.get("expected") or context.get("expected_tags")).replace("'", "").replace(" or ", ", ")
        return f"{what if kind == 'literal_error' else 'The kind of ' + _lower(what)} must be one of: {names}."
    if kind == "union_tag_not_found":
        return f"{what} needs a {str(context.get('discriminator')).strip(chr(39))} that says what it is."
    if kind == "value_error":  # a sentence of our own, from a validator in app.schemas
        return str(context["error"])
    return f"{what} is not what is expected here."


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def _length(kind: str, context: Mapping[str, Any]) -> str:
    unit = "characters" if kind.startswith("string") else "entries"
    if kind.endswith("long"):
        return f"may have at most {context['max_length']:,} {unit}"
    return "must not be empty" if context["min_length"] == 1 else f"must have at least {context['min_length']:,} {unit}"


def _ranges() -> dict[str, Interval]:
    """The legal range of every hyperparameter by its name, from the annotations in engine.specs."""
    found: dict[str, Interval] = {}
    kinds = (DATASET_SPECS, OPTIMIZER_SPECS, SCHEDULE_SPECS, LAYER_SPECS)
    for spec in (RunSpec, StopSpec, *(spec for kind in kinds for spec in kind.values())):
        for name, hint in get_type_hints(spec, include_extras=True).items():
            for annotation in (hint, *get_args(hint)):
                for item in getattr(annotation, "__metadata__", ()):
                    if isinstance(item, Interval):
                        found[name] = item
    return found


RANGES = _ranges()


def _range(keys: Sequence[int | str], context: Mapping[str, Any]) -> str:
    name = next((key for key in reversed(keys) if isinstance(key, str)), "")
    bounds: Mapping[str, Any] = context
    if name in RANGES:
        interval = RANGES[name]
        bounds = {"gt": interval.gt, "ge": interval.ge, "lt": interval.lt, "le": interval.le}
    words = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
    parts = [f"{word} {bounds[key]:,}" for key, word in words.items() if bounds.get(key) is not None]
    return " and ".join(parts) or "a finite number"


def _echo(value: Any) -> str:
    """A short finite number may be repeated; nothing else of the input is."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:  # nan is not less
        text = f"{value:,}"
        return f"; it was {text}" if len(text) <= LONGEST_ECHO else ""
    return ""
