"""`/docs`: the OpenAPI document as a page to read, made here; nothing of it comes from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.templating import render

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def read_docs(request: Request) -> HTMLResponse:
    document = request.app.openapi()
    groups = [
        {**tag, "operations": [entry for entry in operations(document) if tag["name"] in entry["tags"]]}
        for tag in document["tags"]
    ]
    schemas = [
        {"name": name, "description": schema.get("description", ""), "fields": list(fields(schema))}
        for name, schema in sorted(document["components"]["schemas"].items())
    ]
    context = {"active": "docs", "info": document["info"], "groups": groups, "schemas": schemas}
    return render("docs.html", {**context, "names": list(document["components"]["schemas"])})


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation with its method, path, parameters, body and answers, ready to be written down."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield {
                "id": operation["operationId"],
                "method": method.upper(),
                "path": path,
                "tags": operation["tags"],
                "summary": operation["summary"],
                "description": operation.get("description", ""),
                "parameters": [
                    {
                        "name": parameter["name"],
                        "place": parameter["in"],
                        "kind": kind(parameter["schema"]),
                        "default": parameter["schema"].get("default"),
                        "description": parameter.get("description", ""),
                    }
                    for parameter in operation.get("parameters", ())
                ],
                "body": body(operation.get("requestBody")),
                "answers": [
                    {"status": status, "description": entry.get("description", ""), "kind": body(entry)}
                    for status, entry in operation["responses"].items()
                ],
            }


def body(part: dict[str, Any] | None) -> list[dict[str, str]]:
    """Media types with the kind of each."""
    content = (part or {}).get("content", {})
    return [{"media": media, "kind": kind(entry.get("schema", {}))} for media, entry in content.items()]


def fields(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    needed = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield {
            "name": name,
            "kind": kind(field),
            "required": name in needed,
            "default": field.get("default"),
            "has_default": field.get("default") is not None and not isinstance(field["default"], dict | list),
            "description": field.get("description", ""),
        }


def kind(schema: dict[str, Any]) -> str:
    """A JSON schema in a few words: whole number, 1 to 1,024; list of Run; one of a, b."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return f"“{schema['const']}”"
    if "enum" in schema:
        return "one of " + ", ".join(str(value) for value in schema["enum"])
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in schema:
            return " or ".join(dict.fromkeys(kind(option) for option in schema[alternatives]))
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    names = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "true or false",
        "null": "null",
    }
    return names.get(str(schema.get("type")), "object") + bounds(schema)


def bounds(schema: dict[str, Any]) -> str:
    words = {
        "exclusiveMinimum": "above {:,}",
        "minimum": "at least {:,}",
        "exclusiveMaximum": "below {:,}",
        "maximum": "at most {:,}",
        "maxLength": "at most {:,} characters",
    }
    return "".join(f", {text.format(schema[key])}" for key, text in words.items() if key in schema)
