"""JSON of unknown origin, read so that nothing surprising gets through.

Python's own reader takes the last of two equal keys, reads NaN and 1e999, and lets a deep nesting or a number of a
million digits through as other kinds of errors. Here all of these are a FormatError.
"""

from __future__ import annotations

import json
import math
from typing import Any

from engine.errors import FormatError


def parse(document: bytes, largest: int) -> Any:
    """The value in a UTF-8 JSON document of at most `largest` bytes; every number in it is finite, every key unique."""
    if len(document) > largest:
        raise FormatError(f"The file is too large: {len(document):,} bytes, and at most {largest:,} are read.")
    try:
        return json.loads(
            document.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_float=_number,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        place = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise FormatError(f"The file is not readable as JSON{place}. Was it cut short or changed by hand?") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise FormatError(f"The name “{twice[:40]}” stands twice in one object.")
    return result


def _number(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _no_number(text: str) -> float:
    raise FormatError(f"{text[:40]} is not a finite number.")


def fields(value: Any, pointer: str, names: frozenset[str]) -> dict[str, Any]:
    """`value` if it is an object with exactly the fields `names`."""
    if not isinstance(value, dict):
        raise FormatError(f"{pointer or 'The file'} must be an object with named fields.", field=pointer)
    if names - value.keys():
        raise FormatError(f"{pointer or 'The file'} lacks the field “{min(names - value.keys())}”.", field=pointer)
    if value.keys() - names:
        raise FormatError(f"{pointer or 'The file'} has an unknown field “{min(value.keys() - names)[:40]}”.", field=pointer)
    return value


def whole(value: Any, pointer: str, low: int, high: int) -> int:
    """`value` if it is a whole number from `low` to `high`."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise FormatError(f"{pointer} must be a whole number from {low:,} to {high:,}.", field=pointer)
    return value
