"""Bodies that are too large, too deep, of the wrong kind or made to cost much. Sent as bytes, not by a JSON client."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.routes.bodies import is_deeper
from app.settings import Limits
from tests.app.double import RunsDouble, app_with, client_of

pytestmark = pytest.mark.anyio
JSON = {"content-type": "application/json"}
LIMITS = Limits()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def pieces(body: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def padded(length: int) -> bytes:
    return b"{}" + b" " * (length - 2)


@pytest.mark.parametrize("chunked", [False, True])
async def test_the_largest_body_is_read_and_one_byte_more_is_not(chunked: bool) -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        for length, status in ((LIMITS.body_bytes - 1, 201), (LIMITS.body_bytes, 201), (LIMITS.body_bytes + 1, 413)):
            body = padded(length)
            response = await client.post("/api/runs", content=pieces(body) if chunked else body, headers=JSON)
            assert response.status_code == status, length
            if status == 413:
                assert response.json()["code"] == "too_large"
                assert response.headers["connection"] == "close"
    assert len(runs.commands) == 2


async def test_a_form_over_the_limit_is_refused_in_the_same_shape() -> None:
    async with client_of(app_with()) as client:
        body = b"a=" + b"x" * LIMITS.body_bytes
        headers = {"content-type": "application/x-www-form-urlencoded"}
        response = await client.post("/network/builder", content=pieces(body), headers=headers)
    assert response.status_code == 413
    assert response.json()["code"] == "too_large"


async def test_a_table_may_be_larger() -> None:
    async with client_of(app_with(table_bytes=500_000)) as client:
        row = b"1.0000,2.0000,red\n2.0000,1.0000,blue\n"
        table = b"x,y,c\n" + row + b"\n" * (500_000 - 6 - len(row))
        for body, status in ((table, 200), (table + b"\n", 413)):
            response = await client.post("/api/datasets", content=pieces(body), headers={"content-type": "text/csv"})
            assert response.status_code == status, response.text


async def test_a_model_may_be_larger() -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs, model_bytes=400_000)) as client:
        assert (await client.post("/api/models", content=padded(400_000), headers=JSON)).status_code == 201
        assert (await client.post("/api/models", content=padded(400_001), headers=JSON)).status_code == 413
    assert [name for name, _ in runs.commands] == ["import", "create"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp", "multipart/form-data"]
)
async def test_only_json_is_read(kind: str) -> None:
    async with client_of(app_with()) as client:
        response = await client.post("/api/runs", content=b"{}", headers={"content-type": kind} if kind else {})
    assert response.status_code == 415


async def test_a_compressed_body_is_refused_unread() -> None:
    async with client_of(app_with()) as client:
        response = await client.post("/api/runs", content=b"\x1f\x8b", headers={**JSON, "content-encoding": "gzip"})
    assert response.status_code == 415


BAD_BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"3",
    b'"text"',
    b"{} x",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b'{"l2": NaN}',
    b'{"l2": Infinity}',
    b'{"l2": -Infinity}',
    b'{"l2": 1e999}',
    b'{"l2": -1e999}',
    b'{"l2": "nan"}',
    b'{"l2": true}',
    b'{"l2": "0.1"}',
    b'{"l2": null}',
    b'{"l2": [1]}',
    b'{"optimizer": {"name": "sgd", "learning_rate": 1e999}}',
    b'{"optimizer": {"name": "sgd", "learning_rate": 0}}',
    b'{"batch_size": ' + b"9" * 5000 + b"}",
    b'{"batch_size": 1e9}',
    b'{"batch_size": 0}',
    b'{"name": "\\ud800"}',
    b'{"l2": "\\udfff"}',
    b'{"\\ud800": 1}',
    b'{"name": "a", "name": "b"}',
    b'{"name": "a\\u0000"}',
    b"{" + b",".join(b'"k%d": 1' % i for i in range(65)) + b"}",
    b'{"stop": {"epochs": 1e12}}',
    b'{"network": [{"type": "__import__"}]}',
    b'{"network": [{"type": ["dense"]}]}',
    b'{"network": [null, 1, "dense", []]}',
    b"[" * 900 + b"]" * 900,
    b"[" * 100_000 + b"]" * 100_000,
    b"[" * 100_000,
    b'{"a":' * 33 + b"1" + b"}" * 33,
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: body[:24].decode("latin-1"))
async def test_what_cannot_be_read_is_refused_and_changes_nothing(body: bytes) -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        response = await client.post("/api/runs", content=body, headers=JSON)
    assert response.status_code in (400, 422)
    assert len(response.content) < 2_000
    assert response.json()["detail"]
    assert runs.commands == []


def test_depth_is_counted_outside_strings_only() -> None:
    assert not is_deeper(json.dumps({"a": ["[[[[", '"[[[']}), 2)
    assert is_deeper("[[[]]]", 2)
    assert not is_deeper("[[],[],{}]", 2)
    assert not is_deeper("1", 0)


def nested(depth: int) -> bytes:
    return b'{"name":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


async def test_the_deepest_body_is_read_and_one_level_more_is_not() -> None:
    async with client_of(app_with()) as client:
        at_limit = await client.post("/api/runs", content=nested(LIMITS.json_depth), headers=JSON)
        deeper = await client.post("/api/runs", content=nested(LIMITS.json_depth + 1), headers=JSON)
    assert (at_limit.status_code, at_limit.json()["field"]) == (422, "/name")
    assert (deeper.status_code, deeper.json()["code"]) == (400, "too_deep")


HEAVY: list[tuple[str, bytes]] = [
    ("predictions", b'{"inputs": [' + b",".join([b'"x"'] * 250_000) + b"]}"),
    ("predictions", b'{"inputs": [' + b",".join([b"[" + b",".join([b'["x"]'] * 28) + b"]"] * 256) + b"]}"),
    ("predictions", b'{"ink": [' + b",".join([b"[" + b",".join([b'"x"'] * 280) + b"]"] * 280) + b"]}"),
    ("predictions", b'{"ink": ' + b"[" * 30 + b"1" + b",1" * 500_000 + b"]" * 30 + b"}"),
    ("predictions", b'{"ink": [' + b"[]," * 600_000 + b"[]]}"),
    ("predictions", b'{"ink_base64": "' + b"A" * 1_000_000 + b'", "size": 280}'),
    ("watches/w", b'{"tiles": [' + b",".join([b'"x"'] * 250_000) + b"]}"),
]


@pytest.mark.parametrize(("path", "body"), HEAVY, ids=range(len(HEAVY)))
async def test_a_megabyte_of_wrong_values_is_answered_at_once_and_in_short(path: str, body: bytes) -> None:
    async with client_of(app_with()) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        times = []
        for _ in range(3):
            start = time.process_time()  # what others do on this machine does not count
            response = await client.request(
                "PUT" if "watches" in path else "POST", f"/api/runs/{run}/{path}", content=body, headers=JSON
            )
            times.append(time.process_time() - start)
    assert response.status_code in (400, 422)
    assert len(response.content) < 2_000
    assert min(times) < 0.1


async def test_many_wrong_layers_are_answered_in_short() -> None:
    body: dict[str, Any] = {
        "network": [{"type": "conv2d", "filters": "x" * 500, **{f"k{i}": i for i in range(60)}}] * 32
    }
    async with client_of(app_with()) as client:
        response = await client.post("/api/runs", json=body)
    assert response.status_code == 422
    assert len(response.json()["errors"]) == 6
    assert len(response.content) < 2_000


async def test_every_limit_is_shown_with_its_meaning() -> None:
    async with client_of(app_with()) as client:
        items = (await client.get("/api/limits")).json()["items"]
        page = await client.get("/limits", headers={"accept": "text/html"})
    assert {item["name"] for item in items} == set(Limits.__dataclass_fields__)
    assert all(item["description"].endswith(".") and item["value"] > 0 for item in items)
    assert page.status_code == 200
