"""Every number that a run is made of, with every way to write one that no run can be made of, as bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LITERALS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "1e999",
    "-1e999",
    "1e309",
    '"nan"',
    '"0.1"',
    '"1"',
    '""',
    "true",
    "false",
    "[]",
    "[1]",
    "{}",
    '{"value": 1}',
    "-1",
    "-0.5",
    "-1e-320",
    "2.5",
    "0.30000000000000004",
    "1e5",
    "1e9",
    "1e12",
    "1e308",
    "9007199254740993",
    str(2**31),
    str(2**63),
    str(2**64),
    str(-(2**63) - 1),
    "9" * 400,
    "9" * 5_000,
    "1" + "0" * 200_000,
    "0." + "0" * 5_000 + "1",
    "1_000",
    "0x10",
    "+1",
    "01",
    ".5",
    "5.",
    "1e",
    "\uff11",
    "1\u00a0000",
)
"""As they stand in the body. Which of them a field may be follows from its range."""


@dataclass(frozen=True, slots=True)
class Number:
    """A field of a body: `body` holds the place `@`; the range is that of the API's document."""

    where: str
    body: str
    whole: bool
    schema: dict[str, Any]

    def with_literal(self, literal: str) -> bytes:
        return self.body.replace('"@"', literal).encode()

    def allows(self, literal: str) -> bool:
        """Whether this is a number in JSON, of the kind and within the range of the field."""
        try:
            value = json.loads(literal, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            return False
        if isinstance(value, bool) or not isinstance(value, int | float) or value in (float("inf"), float("-inf")):
            return False
        if self.whole and (not isinstance(value, int) and not value.is_integer()):
            return False
        schema = self.schema
        return not (
            value < schema.get("minimum", value)
            or value > schema.get("maximum", value)
            or ("exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"])
            or ("exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"])
        )


def numbers(document: dict[str, Any], model: str) -> Iterator[Number]:
    """Of the model of this name in an OpenAPI document, those of each of its alternatives included."""
    schemas = document["components"]["schemas"]

    def walk(schema: dict[str, Any], where: str, put: Any) -> Iterator[Number]:
        """`put` makes the whole body of what stands at this place."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            yield from walk(schemas[name], f"{where}:{name}" if where else name, put)
        elif schema.get("type") in ("integer", "number"):
            yield Number(where, json.dumps(put("@")), schema["type"] == "integer", schema)
        for alternative in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            yield from walk(alternative, where, put)
        if schema.get("type") == "array" and "items" in schema:
            yield from walk(schema["items"], f"{where}[]", lambda value: put([value]))
        for name, inner in schema.get("properties", {}).items():
            tags = {key: each["const"] for key, each in schema["properties"].items() if "const" in each and key != name}
            yield from walk(inner, f"{where}.{name}", lambda value, name=name, tags=tags: put(tags | {name: value}))

    yield from walk({"$ref": f"#/components/schemas/{model}"}, "", lambda value: value)
