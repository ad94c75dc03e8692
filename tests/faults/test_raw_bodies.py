"""Bodies of 10 MB and 1 GB, lengths that lie, ranges by the thousand, HEAD and methods nobody knows."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.connections import LARGEST_FAREWELL
from app.settings import Limits
from tests.browser.server import Server, running_server
from tests.faults.figures import note
from tests.faults.routes import every_request
from tests.faults.served import Served, served
from tests.faults.sockets import Answer, ask, connect, exchange, head, memory, until_closed

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
PART = b'--edge\r\nContent-Disposition: form-data; name="reports"; filename="x.json"\r\n\r\n'
PARTS = "Content-Type: multipart/form-data; boundary=edge"
PIECE = b" " * 60_000
CHUNK = b"%x\r\n" % len(PIECE) + PIECE + b"\r\n"
LIMITS = Limits()

ROUTES = [
    ("POST", "/api/runs", JSON, LIMITS.body_bytes),
    ("POST", "/api/network", JSON, LIMITS.body_bytes),
    ("POST", "/runs", FORM, LIMITS.body_bytes),
    ("POST", "/api/drawings", JSON, LIMITS.drawing_bytes),
    ("POST", "/api/datasets", "Content-Type: text/csv", LIMITS.table_bytes),
    ("POST", "/api/models", "Content-Type: text/plain", LIMITS.model_bytes),
    ("POST", "/models", PARTS, LIMITS.model_bytes),
    ("POST", "/labs/verify", PARTS, LIMITS.reports_bytes),
]
"""Every limit of a body, by JSON, form, upload and plain text."""

SIZES = {"10 MB": 10**7, "1 GB": 10**9}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as made:
        yield made


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# ---- Ranges, HEAD and methods --------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_head_is_get_without_a_body_on_every_route_and_odd_methods_are_405(app: Served) -> None:
    run, drawing = await app.run(), await app.drawing()
    asked = [each.filled(run=run, drawing=drawing) for each in every_request(app.app)]
    methods = {each.path: {other.method for other in asked if other.path == each.path} for each in asked}
    got = 0
    for each in asked:
        if each.method == "GET":
            answer = await app.client.request("HEAD", each.path)
            assert answer.status_code != 405, each.path
            assert answer.content == b""
            if not each.streams:
                whole = await app.client.get(each.path)
                assert answer.status_code == whole.status_code, each.path
                assert answer.headers.get("content-type") == whole.headers.get("content-type"), each.path
            got += answer.is_success
    assert got > 40
    assert app.app.state.streams.open.total() == 0, "HEAD of a stream holds no place"
    before = await app.rows()
    for path, there in methods.items():
        for method in ("PROPFIND", "TRACE", "BREW", "PUT", "OPTIONS"):
            if method in there:
                continue
            answer = await app.client.request(method, path)
            assert answer.status_code in (404, 405), (method, path)
            if answer.status_code == 405:
                allowed = set(answer.headers["allow"].split(", "))
                assert there <= allowed, path
                assert ("HEAD" in allowed) == ("GET" in allowed)
    assert await app.rows() == before


@pytest.mark.anyio
async def test_ranges_by_the_thousand_cost_no_more_than_the_file(app: Served) -> None:
    path = "/static/vendor/htmx.min.js"
    whole = (await app.client.get(path)).content
    for ranges in (
        ",".join(f"{n}-{n}" for n in range(10_000)),
        ",".join(["0-"] * 10_000),
        ",".join(f"-{n}" for n in range(1, 10_000)),
        "0-,".ljust(60_000, "0"),
        "abc", "5-1", "-", "9" * 400 + "-", "0-0,99999999-", "99999999-",
    ):  # fmt: skip
        answer = await app.client.get(path, headers={"Range": f"bytes={ranges}"})
        assert answer.status_code in (200, 206, 400, 416), ranges[:40]
        assert len(answer.content) <= len(whole) + 1_000, ranges[:40]
    assert (await app.client.get(path, headers={"Range": "bytes=10-19"})).content == whole[10:20]


# ---- Bodies --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("data"), "--workers", "1") as started:
        yield started
    assert not [line for line in started.lines if "Traceback" in line], "\n".join(started.lines)


def is_too_large(answer: Answer) -> bool:
    return (answer.status, answer.headers.get("connection")) == (413, "close")


def poured(connection: socket.socket, start: bytes, piece: bytes, size: int) -> int:
    """Bytes that were taken of a body of `size`, in pieces, until nobody took any more."""
    sent = 0
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(start)
        if PARTS.encode() in start:
            connection.sendall(PART if piece is PIECE else b"%x\r\n%b\r\n" % (len(PART), PART))
        while sent < size:
            connection.sendall(piece)
            sent += len(PIECE)
    return sent


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_too_much_is_413_before_it_is_kept(server: Server) -> None:
    for method, path, kind, _ in ROUTES:  # whatever is loaded at the first use of a route is no part of it
        ask(server, path, kind, method=method, body=b"{}")
    answered, worst = 0, 0.0
    for method, path, kind, limit in ROUTES:
        for name, size in SIZES.items():
            if size <= limit:
                continue
            before = memory(server)
            declared = exchange(server, head(method, path, kind, f"Content-Length: {size}"))
            assert is_too_large(declared), f"{path}, {name}: before a byte of it"
            for start, piece in (
                (head(method, path, kind, f"Content-Length: {size}"), PIECE),
                (head(method, path, kind, "Transfer-Encoding: chunked"), CHUNK),
                (head(method, path, kind, "Transfer-Encoding: chunked", "Expect: 100-continue"), CHUNK),
            ):
                with connect(server) as connection:
                    sent = poured(connection, start, piece, size)
                    answer = until_closed(connection)
                more = memory(server) - before
                assert answer.status in (0, 100, 413), answer.raw[:200]
                answered += answer.status == 413 or b" 413 " in answer.raw
                assert sent < limit + LARGEST_FAREWELL + 8 * 2**20, f"{path}, {name}: {sent:,} bytes were taken"
                assert answer.status or size > LARGEST_FAREWELL, f"{path}, {name}: told so"
                worst = max(worst, more / limit if limit > 2**20 else 0)
                assert more < max(2 * limit, 16 * 2**20), f"{path}, {name}: {more:,} bytes more"
    print(f"{answered} answers read in time, at most {worst:.2f} times the limit more in memory")
    note(
        "Worst input",
        f"bodies of 10 MB and 1 GB on {len(ROUTES)} routes: 413, at most {worst:.1f} × the limit more in memory",
        met=worst < 2,
    )
    assert ask(server, "/api/health").status == 200


@pytest.mark.faults
@pytest.mark.parametrize(
    ("lengths", "body"),
    [
        (["Content-Length: 2"], b'{"preset": "circle"}'),  # the rest is no request
        (["Content-Length: -5"], b"{}"),
        (["Content-Length: +2"], b"{}"),
        (["Content-Length: 0x2"], b"{}"),
        (["Content-Length: 2, 3"], b"{}"),
        (["Content-Length: 2", "Content-Length: 3"], b"{}"),
        (["Content-Length: " + "9" * 400], b"{}"),
        (["Content-Length: " + "9" * 19], b"{}"),
        (
            ["Content-Length: 5", "Transfer-Encoding: chunked"],
            b"2\r\n{}\r\n0\r\n\r\n",
        ),  # which of them a proxy believes, who knows
        (["Transfer-Encoding: gzip, chunked"], b"2\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"FFFFFFFFFFFFFFFFFFFFFFFF\r\n{}"),
        (["Transfer-Encoding: chunked"], b"-1\r\n{}"),
        (["Transfer-Encoding: chunked"], b"1;" + b"x" * 100_000),
    ],
)
def test_lengths_that_lie_are_refused_and_the_connection_is_closed(
    server: Server, lengths: list[str], body: bytes
) -> None:
    before = {run["id"] for run in ask(server, "/api/runs").json()["items"]}
    answer = exchange(server, head("POST", "/api/models", JSON, *lengths), body, head("GET", "/api/health"))
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer.raw)]
    assert statuses, "told, before it is closed"
    assert all(400 <= status < 500 for status in statuses), statuses
    assert {run["id"] for run in ask(server, "/api/runs").json()["items"]} == before
