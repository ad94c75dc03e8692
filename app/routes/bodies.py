"""JSON bodies, read strictly: what a parser would quietly accept and what would break it later are both refused.

Only `application/json`, only UTF-8, no duplicate or very many keys, no NaN or Infinity, no lone surrogates, and nested
no deeper than the limit. Each of these is answered as a problem by app.problems before a route sees the body.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.errors import BadRequest, UnsupportedMedia
from app.settings import Limits

MOST_KEYS = 64
"""Keys in one object; the largest that any route reads has fewer than 20."""

MOST_CONTAINERS = 10_000
"""Lists and objects in one body; the largest batch of images has 7,426. A parser makes a million of them very slowly."""

STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
ONLY_BRACKETS = {code: None for code in range(128) if chr(code) not in "[]{}"} | {ord("{"): "[", ord("}"): "]"}


BODIES_A_TURN = 8
"""Read in one turn of the event loop: a class that starts 300 runs at once does not hold everybody else up."""


class JSONRoute(APIRoute):
    """A route whose JSON body, if it has one, is read by `read_json`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        original = super().get_route_handler()
        if self.body_field is None:
            return original

        async def handle(request: Request) -> Response:
            raw = await request.body()
            async with request.app.state.bodies:
                await asyncio.sleep(0)
            if not raw:
                return await original(request)
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                raise UnsupportedMedia("Send JSON, with the header Content-Type: application/json.")
            return await original(JSONRequest(request, raw, read_json(raw)))

        return handle


class JSONRequest(Request):
    """A request whose body has been read already."""

    def __init__(self, request: Request, raw: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self.raw, self.value = raw, value

    async def body(self) -> bytes:
        return self.raw

    async def json(self) -> Any:
        return self.value


def read_json(raw: bytes, depth: int = Limits().json_depth) -> Any:
    """The value in `raw`. Raises BadRequest with what is wrong and where."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8 text (byte {error.start + 1:,}).", code="not_json") from None
    containers = text.count("[") + text.count("{")
    if containers > MOST_CONTAINERS:
        raise BadRequest(f"The body holds more than {MOST_CONTAINERS:,} lists and objects.", code="too_many_lists")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep(depth) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno:,}, column {error.colno:,}"
        raise BadRequest(f"The body is not JSON: {place} could not be read.", code="not_json") from None
    except ValueError:  # an integer of more digits than Python converts
        raise BadRequest("The body holds a number with too many digits.", code="not_json") from None
    if containers > depth and is_deeper(text, depth):
        raise _too_deep(depth)
    if SURROGATE.search(text) and not _is_encodable(value):
        raise BadRequest("The body holds half of a character (a lone surrogate).", code="not_json")
    return value


def is_deeper(text: str, depth: int) -> bool:
    """Whether well-formed JSON is nested deeper: each round takes the innermost brackets away."""
    brackets = STRING.sub("", text).translate(ONLY_BRACKETS)
    for _ in range(depth):
        if not brackets:
            return False
        brackets = brackets.replace("[]", "")
    return bool(brackets)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BadRequest("The same key stands twice in one object.", code="duplicate_key")
    if len(value) > MOST_KEYS:
        raise BadRequest(f"An object may have at most {MOST_KEYS} fields.", code="too_many_fields")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise BadRequest(f"{name} is not a number in JSON.", code="not_json")


def _is_encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep(depth: int) -> BadRequest:
    return BadRequest(f"The body is nested more than {depth} levels deep.", code="too_deep")
