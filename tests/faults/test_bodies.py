"""Bodies that are no bodies: refused in words, in short, at once, and nothing is half done. Of the real services, as bytes."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.settings import Limits
from tests.faults.routes import BODIES, NETWORK, every_request, form, in_json
from tests.faults.served import served

pytestmark = pytest.mark.anyio
LIMITS = Limits()
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
PARTS = {"content-type": "multipart/form-data; boundary=edge"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# ---- What cannot be read ---------------------------------------------------------------------------------------------------

NOT_JSON: dict[str, bytes] = {
    "nothing": b"",
    "a space": b" ",
    "open": b"{",
    "a list": b"[]",
    "null": b"null",
    "a number": b"3",
    "a text": b'"text"',
    "more behind it": b"{} x",
    "two": b"{}{}",
    "lines of JSON": b"{}\n{}",
    "a comma too many": b'{"l2": 1,}',
    "single quotes": b"{'l2': 1}",
    "a comment": b'{"l2": 1} // x',
    "UTF-16": "{}".encode("utf-16"),
    "UTF-32": "{}".encode("utf-32"),
    "BOM": b"\xef\xbb\xbf{}",
    "broken UTF-8": b'{"name": "\xff"}',
    "overlong UTF-8": b'{"name": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "lone surrogate": b'{"name": "\\ud800"}',
    "lone surrogate as a key": b'{"\\udfff": 1}',
    "surrogates the wrong way round": b'{"name": "\\ude00\\ud83d"}',
    "lone surrogate in a wrong field": b'{"l2": "\\ud800"}',
    "a control character": b'{"name": "a\nb"}',
    "NUL": b'{"name": "a\\u0000"}',
    "NUL behind it": b"{}\x00",
    "double key": b'{"l2": 0, "l2": 1}',
    "double key within": b'{"optimizer": {"name": "sgd", "name": "adam"}}',
    "double key by escape": b'{"l2": 0, "\\u006c2": 1}',
    "depth 33": b'{"a":' * 33 + b"1" + b"}" * 33,
    "depth 900": b'{"name":' + b"[" * 899 + b"]" * 899 + b"}",
    "depth 1,000": b'{"name":' + b"[" * 999 + b"]" * 999 + b"}",
    "depth 100,000": b"[" * 100_000 + b"]" * 100_000,
    "depth 100,000, open": b'{"a":' * 60_000,
    "65 fields": b"{" + b",".join(b'"k%d": 1' % i for i in range(65)) + b"}",
    "300,000 bytes of a key": b'{"' + b"k" * 300_000 + b'": 1}',
    "100,000 backslashes": b'{"name": "' + b"\\\\" * 100_000 + b'"}',
    "proto": b'{"__proto__": {"l2": 1}}',
}


async def test_what_is_no_body_of_a_run_is_refused_by_every_route_that_reads_one(tmp_path: Path) -> None:
    async with served(tmp_path) as nabla:
        run = await nabla.run()
        before = await nabla.rows()
        routes = [asked for asked in every_request(nabla.app) if asked.media_type == "application/json"]
        assert len(routes) > 10
        for asked in routes:
            question = asked.filled(run=run)
            bodies = NOT_JSON if asked.route == "/api/runs" else dict(list(NOT_JSON.items())[4::7])
            for what, body in bodies.items():
                if asked.route.endswith(("/reset", "/verification")) and what in ("nothing", "a list", "null"):
                    continue  # a reset needs no body, and a report may hold nothing
                answer = await nabla.client.request(asked.method, question.path, content=body, headers=JSON)
                assert answer.status_code in (400, 422) or asked.route.endswith("/verification"), (
                    asked.route,
                    what,
                    answer.text,
                )
                assert len(answer.content) < 2_000, what
        assert await nabla.rows() == before


@pytest.mark.faults
async def test_only_what_says_that_it_is_json_is_read_as_json(tmp_path: Path) -> None:
    """A form of another site can send text/plain without asking first."""
    async with served(tmp_path) as nabla:
        run = await nabla.run()
        before = await nabla.rows()
        for asked in every_request(nabla.app):
            if asked.media_type == "application/json" and not asked.route.endswith(("/models", "/verification")):
                for kind in (
                    "text/plain",
                    "text/json",
                    "application/jsonp",
                    "multipart/form-data",
                    "application/json5",
                    "",
                    "json",
                ):
                    headers = {"content-type": kind} if kind else {}
                    path = asked.filled(run=run).path
                    answer = await nabla.client.request(asked.method, path, content=asked.body, headers=headers)
                    assert answer.status_code == 415, (asked.route, kind, answer.text)
        for kind in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/json;x=y"):
            answer = await nabla.client.post(
                "/api/network", content=BODIES["POST", "/api/network"][1], headers={"content-type": kind}
            )
            assert answer.status_code == 200
        assert await nabla.rows() == before


@pytest.mark.faults
async def test_nothing_is_ever_inflated(tmp_path: Path) -> None:
    """10 KB that would become 10 MB; refused by its header, whatever the route."""
    bomb = gzip.compress(b" " * 10_000_000)
    async with served(tmp_path) as nabla:
        run = await nabla.run()
        before = await nabla.rows()
        for asked in every_request(nabla.app):
            if asked.media_type:
                for coding, body in (
                    ("gzip", bomb),
                    ("deflate", zlib.compress(b"{}")),
                    ("br", b"x"),
                    ("GZIP", bomb),
                    ("gzip, identity", bomb),
                ):
                    headers = {"content-type": asked.media_type, "content-encoding": coding}
                    answer = await nabla.client.request(
                        asked.method, asked.filled(run=run).path, content=body, headers=headers
                    )
                    assert answer.status_code == 415, (asked.route, coding)
        answer = await nabla.client.post("/api/network", content=bomb, headers=JSON)
        assert answer.status_code == 400
        assert await nabla.rows() == before


# ---- Forms -------------------------------------------------------------------------------------------------------------------


def part(name: str, content: bytes = b"x", *, filename: str | None = None, header: bytes = b"") -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    head = f'--edge\r\nContent-Disposition: form-data; name="{name}"{file}\r\n'.encode()
    return head + header + b"\r\n" + content + b"\r\n"


END = b"--edge--\r\n"
BAD_PARTS: dict[str, bytes] = {
    "100,000 parts": part("a", b"") * 4_000 + END,
    "10,000 empty parts": b"--edge\r\n\r\n\r\n" * 10_000 + END,
    "20 files": b"".join(part("file", filename=f"{n}.js") for n in range(20)) + END,
    "1 MB in a header": part("file", filename="x.js", header=b"X-Long: " + b"a" * 300_000 + b"\r\n") + END,
    "1 MB in a file's name": part("file", filename="a" * 300_000) + END,
    "10,000 headers": part("file", filename="x.js", header=b"X: y\r\n" * 10_000) + END,
    "no end": part("file", b"x" * 100, filename="x.js"),
    "no beginning": b"x" * 100,
    "another edge": part("file", filename="x.js").replace(b"edge", b"rim") + END,
    "a field in a field": part("a", part("b") + END) + b"--edge",
    "no name": b"--edge\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END,
    "another charset": part("file", filename="x.js", header=b"Content-Type: text/plain; charset=utf-7\r\n") + END,
    "encoded": part("file", b"eA==", filename="x.js", header=b"Content-Transfer-Encoding: base64\r\n") + END,
}


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # files of broken forms are closed when they are collected
async def test_forms_of_too_many_or_broken_parts_are_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as nabla:
        run = await nabla.run()
        routes = [
            asked for asked in every_request(nabla.app) if "form" in asked.media_type and "verify" not in asked.route
        ]
        assert len(routes) > 10
        for asked in routes:
            path = asked.filled(run=run).path
            for what, body in BAD_PARTS.items():
                start = time.process_time()
                answer = await nabla.client.request(asked.method, path, content=body, headers=PARTS)
                assert answer.status_code < 500, (asked.route, what, answer.text)
                if what in ("100,000 parts", "10,000 empty parts", "1 MB in a header", "no beginning", "no name"):
                    assert answer.status_code in (400, 413, 422), (asked.route, what, answer.text)
                assert time.process_time() - start < 2, (asked.route, what)
            many = b"&".join(b"k%d=1" % n for n in range(30_000))
            answer = await nabla.client.request(asked.method, path, content=many, headers=FORM)
            assert answer.status_code < 500, (asked.route, answer.text)


@pytest.mark.faults
async def test_the_name_of_a_file_is_only_a_name(tmp_path: Path) -> None:
    async with served(tmp_path / "data") as nabla:
        for filename in (
            "../../x.js",
            "..\\..\\x.js",
            "/etc/cron.d/x",
            "C:\\x.js",
            "x.js\x00.json",
            ".",
            "..",
            "con.js",
        ):
            body = part("file", NETWORK, filename=filename) + END
            answer = await nabla.client.post("/models", content=body, headers=PARTS)
            assert answer.status_code in (303, 400), (filename, answer.text)
            if answer.status_code == 303:
                name = (await nabla.client.get("/api/runs")).json()["items"][0]["name"]
                assert not {"/", "\x00"} & set(name), name
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


# ---- Networks and drawings that cannot be --------------------------------------------------------------------------------------

IMPOSSIBLE: dict[str, tuple[Any, str]] = {
    "/network": ([], "empty"),
    "/network/0": ([{"type": "swish"}], "relu"),
    "/network/1": ([{"type": "relu"}, {"type": "dense", "units": 7}], "10"),
    "/network/0/units": ([{"type": "dense", "units": 0}], "2,048"),
    "/network/0/kernel_size": ([{"type": "conv2d", "kernel_size": 99}, {"type": "dense"}], "28"),
}


async def test_networks_that_cannot_be_are_refused_with_what_could(tmp_path: Path) -> None:
    async with served(tmp_path) as nabla:
        before = await nabla.rows()
        for field, (network, said) in IMPOSSIBLE.items():
            answer = await nabla.client.post("/api/runs", json={"network": network})
            assert answer.status_code == 422, answer.text
            assert answer.json()["field"] == field, answer.text
            assert said in answer.json()["detail"], answer.text
        small = {
            "dataset": {"name": "mnist", "crop": 8},
            "network": [{"type": "conv2d", "kernel_size": 9}, {"type": "dense"}],
        }
        answer = await nabla.client.post("/api/runs", json=small)
        assert answer.status_code == 422
        assert "9" in answer.json()["detail"], answer.text
        for fields in (
            {"layer-0-type": "swish"},
            {"layer-0-type": "dense", "layer-0-units": "7"},
            {"layer-0-type": "dense", "layer-0-units": "1e9"},
        ):
            kind, body = form(**fields)
            answer = await nabla.client.post("/runs", content=body, headers={"content-type": kind})
            assert answer.status_code == 422, (fields, answer.text)
        assert await nabla.rows() == before


def square(side: int, value: Any = 1.0) -> list[list[Any]]:
    return [[value] * side for _ in range(side)]


async def test_drawings_of_a_wrong_size_or_value_are_refused(tmp_path: Path) -> None:
    lined = square(28)
    bad: dict[str, bytes] = {
        "783 numbers": in_json({"ink": [*lined[:27], lined[27][:27]]})[1],
        "785 numbers": in_json({"ink": [*lined[:27], [*lined[27], 1.0]]})[1],
        "784 in a row": in_json({"ink": [1.0] * 784})[1],
        "27 × 27": in_json({"ink": square(27)})[1],
        "281 × 281": in_json({"ink": square(281)})[1],
        "28 × 29": in_json({"ink": [[1.0] * 29] * 28})[1],
        "no rows": in_json({"ink": []})[1],
        "more than full": in_json({"ink": square(28, 1.001)})[1],
        "less than none": in_json({"ink": square(28, -0.001)})[1],
        "NaN": json.dumps({"ink": square(28, float("nan"))}).encode(),
        "texts": in_json({"ink": square(28, "1")})[1],
        "true": in_json({"ink": square(28, True)})[1],
        "null": in_json({"ink": square(28, None)})[1],
        "not base64": in_json({"ink_base64": "é" * 10, "size": 28})[1],
        "783 bytes": in_json({"ink_base64": "AAAA" * 261, "size": 28})[1],
        "no size": in_json({"ink_base64": "AAAA" * 262})[1],
        "a data URL": in_json({"ink_base64": "data:image/png;base64,AAAA", "size": 28})[1],
        "a PNG of 1.9 MB": in_json({"ink_base64": "A" * 1_900_000, "size": 28})[1],
        "10⁶ values": in_json({"ink": [[0.5] * 1000] * 400})[1],
        "both": in_json({"ink": lined, "inputs": [lined]})[1],
        "neither": b"{}",
    }

    async def pieces(length: int) -> AsyncIterator[bytes]:
        yield b'{"ink_base64": "'
        for _ in range(length // 10_000):
            yield b"A" * 10_000

    async with served(tmp_path) as nabla:
        run = await nabla.run(preset="digits-quick")
        before = await nabla.rows()
        for path in (f"/api/runs/{run}/predictions", "/api/drawings"):
            for what, body in bad.items():
                if path == "/api/drawings":
                    body = body.replace(b"{", b'{"label": 3, ', 1) if body != b"{}" else b'{"label": 3}'
                answer = await nabla.client.post(path, content=body, headers=JSON)
                assert answer.status_code in (400, 413, 422), (path, what, answer.text)
                assert len(answer.content) < 2_000, (path, what)
            answer = await nabla.client.post(path, content=pieces(20_000_000), headers=JSON)
            assert answer.status_code == 413
        assert await nabla.rows() == before


async def test_an_empty_drawing_is_no_digit(tmp_path: Path) -> None:
    async with served(tmp_path) as nabla:
        run = await nabla.run(preset="digits-quick")
        for ink in (square(28, 0.0), square(280, 0.0), square(100, 0)):
            answer = await nabla.client.post(f"/api/runs/{run}/predictions", json={"ink": ink})
            assert answer.status_code == 200, answer.text
            (prediction,) = answer.json()["predictions"]
            assert (prediction["label"], prediction["probabilities"]) == (None, None)
        answer = await nabla.client.post("/api/drawings", json={"label": 3, "ink": square(28, 0.0)})
        assert answer.status_code == 422
        assert "empty" in answer.json()["detail"].lower() or "draw" in answer.json()["detail"].lower()


# ---- Names that hide something -------------------------------------------------------------------------------------------------

HIDING = (
    "a\u202eb",
    "\u2066a",
    "a\u200bb",
    "\ufeffa",
    "a\u0007b",
    "a\u2028b",
    "a\u00adb",
    "\ue000",
    "a\x00b",
    "a\U000e0041",
)
SHOWN = ("数字", "أرقام", "שלום", "e\u0301" * 20, "🙂👍", "x²", "…", "a b")


async def test_names_that_hide_something_are_refused_wherever_they_come_from(tmp_path: Path) -> None:
    """By the API, in a table, in a file; letters of every script are kept."""
    async with served(tmp_path) as nabla:
        document = (await nabla.client.get(f"/api/runs/{await nabla.run()}/model")).json()
        csv = BODIES["POST", "/api/datasets"][1]
        answer = await nabla.client.post("/api/datasets", content=csv, headers={"content-type": "text/csv"})
        table = answer.json()["dataset"]
        before = await nabla.rows()
        for name in HIDING:
            for body in (
                {"preset": "circle", "name": name},
                {"dataset": table | {"columns": ["x", name]}, "network": [{"type": "dense", "units": 2}]},
                {"dataset": table | {"class_names": ["red", name]}, "network": [{"type": "dense", "units": 2}]},
                {"dataset": table | {"target": name}, "network": [{"type": "dense", "units": 2}]},
            ):
                answer = await nabla.client.post("/api/runs", json=body)
                assert answer.status_code == 422, (ascii(name), answer.text)
            answer = await nabla.client.post("/api/models", json=called(document, name))
            assert (answer.status_code, answer.json()["field"]) == (422, "/spec/name"), (ascii(name), answer.text)
        assert await nabla.rows() == before
        for name in SHOWN:
            assert (await nabla.client.post("/api/models", json=called(document, name))).status_code == 201


def called(document: dict[str, Any], name: str) -> dict[str, Any]:
    return document | {"spec": document["spec"] | {"name": name}}
