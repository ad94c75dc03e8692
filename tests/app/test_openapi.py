"""The OpenAPI document: complete, readable, and true of the running app (schemathesis holds the two together)."""

from __future__ import annotations

import asyncio
import html
import json
import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from engine.specs import RunSpec
from tests.app.double import RunsDouble, app_with, client_of

RUNS = RunsDouble()
RUN = asyncio.run(RUNS.create(RunSpec(), state="paused"))["id"]
RUNS.keep = True
APP = app_with(RUNS)
DOCUMENT: dict[str, Any] = APP.openapi()
OPERATIONS = [(method, path, entry) for path, methods in DOCUMENT["paths"].items() for method, entry in methods.items()]
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", APP, headers={"host": "localhost"}).exclude(
    path_regex="/(events|checks)$"
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_every_operation_has_a_readable_name_a_tag_and_words() -> None:
    names = [entry["operationId"] for _, _, entry in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(name.isalpha() and name[0].islower() for name in names)
    assert all(entry["tags"] and entry["summary"] for _, _, entry in OPERATIONS)


def test_every_operation_documents_the_problems_it_can_answer() -> None:
    for method, path, entry in OPERATIONS:
        statuses = set(entry["responses"])
        assert "403" in statuses, (method, path)
        if "requestBody" in entry:
            assert statuses >= {"400", "413", "415", "422"}, (method, path)
        if "{id}" in path:
            assert "404" in statuses, (method, path)
        for status, response in entry["responses"].items():
            if status >= "4":
                assert list(response["content"]) == ["application/problem+json"], (method, path, status)


def test_the_stream_is_documented_as_one() -> None:
    follow = DOCUMENT["paths"]["/api/runs/{id}/events"]["get"]
    assert "text/event-stream" in follow["responses"]["200"]["content"]
    assert "latest wins" in follow["description"]


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for name in set(re.findall(r"#/components/schemas/(\w+)", json.dumps(DOCUMENT))):
        assert name in schemas


def test_every_body_is_strict_and_every_list_bounded() -> None:
    def walk(schema: Any, where: str) -> None:
        if isinstance(schema, dict):
            if schema.get("type") == "array":
                assert "maxItems" in schema, where
            if schema.get("type") == "object" and "properties" in schema:
                assert schema.get("additionalProperties") is False, where
            if "$ref" in schema:
                name = schema["$ref"].rpartition("/")[2]
                walk(DOCUMENT["components"]["schemas"][name], name)
            for key, value in schema.items():
                if key not in ("default", "examples"):
                    walk(value, f"{where}/{key}")
        elif isinstance(schema, list):
            for item in schema:
                walk(item, where)

    for method, path, entry in OPERATIONS:
        if "requestBody" in entry and path != "/api/models":
            walk(entry["requestBody"]["content"]["application/json"]["schema"], f"{method} {path}")


def test_legal_ranges_and_help_texts_are_those_of_the_engine() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    rate = schemas["SGD"]["properties"]["learning_rate"]
    assert (rate["exclusiveMinimum"], rate["maximum"], rate["default"]) == (0, 100, 0.01)
    assert rate["description"].startswith("How far one update moves the weights.")
    network = schemas["RunBody"]["properties"]["network"]
    assert network["maxItems"] == 32
    assert network["items"]["discriminator"]["propertyName"] == "type"


@pytest.mark.anyio
async def test_the_page_of_it_needs_nothing_from_elsewhere() -> None:
    async with client_of(app_with()) as client:
        page = html.unescape((await client.get("/docs")).text)
    assert "://" not in page
    for _, path, entry in OPERATIONS:
        assert path in page
        assert entry["summary"] in page


@SCHEMA.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_app_does_what_the_document_says(case: Any) -> None:
    if "id" in case.path_parameters:
        case.path_parameters["id"] = RUN
    case.call_and_validate(
        headers={"host": "localhost"},
        checks=(
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
        ),
    )
