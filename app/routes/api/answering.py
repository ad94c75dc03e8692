"""How API routes answer: JSON in pieces where it may be large, and the problems that OpenAPI lists for them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from fastapi.responses import Response, StreamingResponse

from app.answers import ProblemAnswer
from app.errors import MEDIA_TYPE

PIECE = 32 * 2**10

TITLES = {
    400: "The body could not be read.",
    403: "Another site, or another name for this server, is asking.",
    404: "There is no such run, dataset or layer.",
    409: "The run is in a state that does not allow this; `state` tells which.",
    413: "More bytes than the limit.",
    415: "Not `application/json`, or compressed.",
    422: "Readable, but not possible; `field` names the place.",
    429: "Too many requests of this client; see Retry-After.",
    503: "Busy or full; see Retry-After.",
    507: "There is no room on the disk.",
}


def attachment(filename: str, media_type: str, content: bytes) -> Response:
    """A file for the disk; its name is of letters, digits, `-`, `_` and `.` only."""
    return Response(content, media_type=media_type, headers={"content-disposition": f'attachment; filename="{filename}"'})


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the problems that a route may answer; 403 (see app.security) belongs to every one."""
    schema = {"$ref": f"#/components/schemas/{ProblemAnswer.__name__}"}
    return {
        status: {"description": TITLES[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({403, *statuses})
    }


BODY = (400, 413, 415, 422)
"""What a JSON body can be refused for."""


def json_in_pieces(value: Any) -> StreamingResponse:
    """The same text as `json.dumps`, made a piece at a time, so that a large answer holds nobody else up."""
    return StreamingResponse(_gathered(value), media_type="application/json")


async def _gathered(value: Any) -> AsyncIterator[str]:
    gathered: list[str] = []
    length = 0
    for piece in json_pieces(value):
        gathered.append(piece)
        length += len(piece)
        if length >= PIECE:
            yield "".join(gathered)
            gathered, length = [], 0
    yield "".join(gathered)


def json_pieces(value: Any) -> Iterator[str]:
    """Text whose joined pieces are `value` as JSON; lists of plain values are cut into pieces of 1,000."""
    if isinstance(value, dict) and value:
        opening = "{"
        for key, item in value.items():
            yield f"{opening}{json.dumps(key)}:"
            yield from json_pieces(item)
            opening = ","
        yield "}"
    elif isinstance(value, list) and value and isinstance(value[0], dict | list):
        opening = "["
        for item in value:
            yield opening
            yield from json_pieces(item)
            opening = ","
        yield "]"
    elif isinstance(value, list) and len(value) > 1000:
        opening = "["
        for start in range(0, len(value), 1000):
            yield opening + _dumps(value[start : start + 1000])[1:-1]
            opening = ","
        yield "]"
    else:
        yield _dumps(value)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
