"""Connections that ask for nothing, ask for ever, or are too many: each is ended in time, and nobody else notices."""

from __future__ import annotations

import asyncio
import resource
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app.connections import Places
from app.listening import accepted_at_once, fitting
from app.security import PORTION, Body
from app.settings import Limits
from tests.browser.server import Server, running_server
from tests.faults.limited import limited_server
from tests.faults.sockets import ask, connect, eventually, exchange, files, head, is_open, trickle, until_closed

SMALL = {
    "head_seconds": 0.6,
    "body_seconds": 0.6,
    "send_timeout": 0.6,
    "ping_seconds": 0.2,
    "streams": 12,
    "connections": 20,
    "connections_per_address": 15,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with limited_server(tmp_path_factory.mktemp("data"), **SMALL) as started:
        yield started
        assert started.process.poll() is None
    assert [line for line in started.lines[1:] if "nabla.watchdog" not in line] == [], "nothing of this is worth a line"


@pytest.fixture(scope="module")
def events(server: Server) -> str:
    """The stream of a run that stands still: only signs of life come on it."""
    run = httpx.post(f"{server.url}/api/runs", json={"preset": "circle", "state": "paused"}, timeout=30).json()
    return f"/api/runs/{run['id']}/events"


def opened(server: Server, path: str, **options: str) -> socket.socket:
    """A stream whose first bytes have come."""
    connection = connect(server, **options)  # type: ignore[arg-type]
    connection.sendall(head("GET", path))
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    return connection


# ---- Too slow ------------------------------------------------------------------------------------------------------------


def test_who_never_ends_a_request_is_let_go_and_a_stream_goes_on(server: Server, events: str) -> None:
    with opened(server, events) as stream, connect(server) as silent, connect(server) as half, connect(server) as slow:
        half.sendall(b"GET / HTTP/1.1\r\nHost: local")
        assert trickle(slow, b"X: y\r\n", 0.1).status in (0, 408), "one header after the other does not help"
        told = until_closed(half)
        assert (told.status, told.headers["connection"]) == (408, "close")
        assert told.body == b"The request was not there after 0.6 seconds. Send it again."
        assert until_closed(silent).raw == b"", "a word would be taken for the answer to what is asked next"
        signs = b""
        while signs.count(b": ping") < 6:  # of 0.2 s each: from now on, or waiting to be read
            signs += (chunk := stream.recv(65_536))
            assert chunk, "the stream goes on"


@pytest.mark.parametrize("length", ["Content-Length: 300", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("piece", [b"", b"1\r\n \r\n"])
def test_a_body_that_does_not_come_is_408(server: Server, length: str, piece: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(head("POST", "/api/runs", "Content-Type: application/json", length))
        answer = trickle(connection, piece, 0.1)
    assert (answer.status, answer.json()["code"], answer.headers["connection"]) == (408, "too_slow", "close")


def test_a_body_is_given_time_for_every_portion_of_it() -> None:
    async def patience(*sizes: int) -> float:
        messages = [{"type": "http.request", "body": b" " * size, "more_body": True} for size in sizes]

        async def receive() -> dict[str, object]:
            await asyncio.sleep(0.001)
            return messages.pop(0)

        body = Body(receive, 10 * PORTION, 60.0)  # type: ignore[arg-type]
        for _ in sizes:
            await body.receive()
        return body._patience

    assert asyncio.run(patience(1, 1, PORTION - 3)) < 60.0
    assert asyncio.run(patience(1, 1, PORTION - 2)) == 60.0
    assert asyncio.run(patience(PORTION, 1)) < 60.0


@pytest.mark.parametrize("size", [2 * 2**20, 12 * 2**20])
def test_who_sends_too_much_is_told_so_and_not_cut_off(server: Server, size: int) -> None:
    """Two clients: one that gives up where it is reset while it sends, and one that sends all of it first."""

    async def sent() -> httpx.Response:
        async with httpx.AsyncClient(timeout=30) as client:
            headers = {"content-type": "application/json"}
            return await client.post(f"{server.url}/api/runs", content=b" " * size, headers=headers)

    answer = asyncio.run(sent())
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    with connect(server) as connection:
        connection.sendall(head("POST", "/api/runs", "Content-Type: application/json", f"Content-Length: {size}"))
        connection.sendall(b" " * size)
        assert until_closed(connection).status == 413


def test_what_follows_a_refusal_is_read_a_little_and_no_more(server: Server) -> None:
    chunk = b"%x\r\n" % 60_000 + b"a" * 60_000 + b"\r\n"
    start = head("POST", "/nowhere", "Transfer-Encoding: chunked")
    assert exchange(server, start, *[chunk] * 200).status == 404, "and the connection is closed"
    with connect(server) as connection:
        connection.sendall(start + chunk)
        assert trickle(connection, b"1\r\na\r\n", 0.1).status == 404, "drop by drop, too"
    with connect(server) as connection:
        connection.sendall(start + chunk + b"0\r\n\r\n" + head("GET", "/api/health", "Connection: close"))
        answers = until_closed(connection).raw
    assert (answers.count(b"HTTP/1.1 404"), answers.count(b"HTTP/1.1 200")) == (1, 1), "a short rest does no harm"


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000,
        b"\x00" * 100 + b"\r\n\r\n",
    ],
    ids=["tls", "long", "zeros"],
)
def test_what_is_no_request_is_told_so(server: Server, nonsense: bytes) -> None:
    answer = exchange(server, nonsense + b"\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (400, "close")


def test_a_stream_ends_when_its_client_sends_nonsense_or_far_too_much(server: Server, events: str) -> None:
    chunk = b"%x\r\n" % 60_000 + b"a" * 60_000 + b"\r\n"
    assert exchange(server, head("GET", events, "Transfer-Encoding: chunked"), *[chunk] * 20).status == 200
    assert exchange(server, head("GET", events, "Transfer-Encoding: chunked"), b"nonsense\r\n").status == 400
    with connect(server) as connection:
        connection.sendall(head("GET", events, "Transfer-Encoding: chunked"))
        begun = connection.recv(65_536)
        connection.sendall(b"nonsense\r\n")
        ended = until_closed(connection).raw
    assert (begun[:13], b"HTTP/1.1" in ended) == (b"HTTP/1.1 200 ", False), "no second answer within the first"
    assert exchange(server, head("GET", events, "Content-Length: 5")).status == 200, "five bytes that never come"


def test_who_asks_for_much_and_reads_nothing_is_cut_off(server: Server) -> None:
    before = files(server)
    with connect(server, receive_buffer=4_096) as greedy:
        greedy.sendall(head("GET", "/static/vendor/htmx.min.js") * 100)
        eventually(lambda: files(server) > before)
        eventually(lambda: files(server) <= before, 8.0)  # sooner than the system would notice


def test_who_leaves_in_the_middle_of_a_body_leaves_no_trace(server: Server) -> None:
    for path, kind in (("/api/runs", "application/json"), ("/labs/verify", "multipart/form-data; boundary=x")):
        with connect(server) as connection:
            connection.sendall(head("POST", path, f"Content-Type: {kind}", "Content-Length: 500") + b"--x\r\n")
    assert ask(server, "/api/health").status == 200  # and the log stays empty, see `server`


# ---- Too many ------------------------------------------------------------------------------------------------------------


def test_places_are_made_by_who_waits_the_longest(server: Server) -> None:
    with ExitStack() as stack:
        waiting = [stack.enter_context(connect(server)) for _ in range(15)]
        assert ask(server, "/").status == 200, "the sixteenth of one address"
        assert until_closed(waiting[0]).raw == b""
        others = [stack.enter_context(connect(server, source=f"127.0.0.{2 + n}")) for n in range(6)]
        assert ask(server, "/").status == 200
        assert until_closed(others[0]).status == 0 or is_open(others[0])
        assert sum(is_open(each) for each in (*waiting, *others)) <= 20


def test_streams_have_their_own_limit_and_pages_go_on(server: Server, events: str) -> None:
    with ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(opened(server, events))
        refused = ask(server, events)
        assert (refused.status, refused.json()["code"]) == (503, "busy")
        assert int(refused.headers["retry-after"]) > 0
        assert "All 12 live streams" in refused.json()["detail"]
        assert ask(server, "/").status == 200
        assert ask(server, "/api/health").status == 200


def test_a_place_is_given_up_once_and_only_by_who_waits() -> None:
    places = Places(Limits(connections=3, connections_per_address=2))
    one, two, three, four = (Visitor(name) for name in "aabc")
    assert [places.enter(each) for each in (one, two, three)] == [True] * 3  # type: ignore[arg-type]
    assert not places.enter(four), "all are at work"  # type: ignore[arg-type]
    places.waiting[two] = None  # type: ignore[index]
    assert places.enter(four)  # type: ignore[arg-type]
    assert (two.closed, one.closed, places.count) == (True, False, 3)
    for each in (two, one, one, three, four):
        places.leave(each)  # type: ignore[arg-type]
    assert (places.count, places.taken, places.waiting) == (0, {}, {})


class Visitor:
    """What `Places` knows of a connection."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.has_place = self.closed = False
        self.transport = self

    def close(self) -> None:
        self.closed = True


@pytest.mark.faults
def test_where_every_connection_is_at_work_the_next_is_told_to_come_back(tmp_path: Path) -> None:
    with limited_server(tmp_path, connections=5, connections_per_address=4) as server, ExitStack() as stack:
        run = httpx.post(f"{server.url}/api/runs", json={"preset": "circle", "state": "paused"}, timeout=30).json()
        events = f"/api/runs/{run['id']}/events"
        streams = [stack.enter_context(opened(server, events)) for _ in range(4)]
        for source in ("127.0.0.1", "127.0.0.2"):
            if source == "127.0.0.2":
                streams.append(stack.enter_context(opened(server, events, source=source)))
            with connect(server, source=source) as connection:
                answer = until_closed(connection)
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        streams[0].close()
        deadline = time.monotonic() + 10
        while ask(server, "/api/health").status != 200:  # its place is free as soon as the server has seen it go
            assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("files", "connections", "streams", "told"),
    [(65_536, 6_000, 1_500, False), (20_000, 6_000, 1_500, False), (4_096, 2_816, 1_500, True), (1_024, 512, 384, True), (256, 256, 192, True)],
)  # fmt: skip
def test_fewer_open_files_mean_fewer_connections_and_a_line(
    files: int, connections: int, streams: int, told: bool
) -> None:
    limits, line = fitting(Limits(), files)
    assert (limits.connections, limits.streams) == (connections, streams)
    assert limits.connections_per_address <= limits.connections
    assert limits.streams < limits.connections
    assert (line is not None) is told
    assert line is None or f"{files:,} files" in line
    assert accepted_at_once(files) <= files // 4


# ---- For long ------------------------------------------------------------------------------------------------------------


def page_times(server: Server, count: int) -> list[float]:
    """Seconds for each of so many pages, every one on a connection of its own."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        assert ask(server, "/runs").status == 200
        times.append(time.perf_counter() - start)
    return times


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_500_half_open_connections_cost_others_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path, "--workers", "1") as server, ExitStack() as stack:
        page_times(server, 20)
        quiet = page_times(server, 60)
        before = files(server)
        start = time.monotonic()
        half = [stack.enter_context(connect(server, source=f"127.0.1.{1 + n % 200}")) for n in range(500)]
        for each in half:
            each.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        silent = [stack.enter_context(connect(server)) for _ in range(100)]
        eventually(lambda: files(server) >= before + 500)
        busy = page_times(server, 60)
        assert all(until_closed(each).status == 408 for each in half)
        assert all(until_closed(each).status == 0 for each in silent)
        seconds = time.monotonic() - start
        eventually(lambda: files(server) <= before + 2)
    ratio = statistics.median(busy) / statistics.median(quiet)
    print(
        f"600 half-open or silent: gone after {seconds:.1f} s; median page {1000 * statistics.median(quiet):.0f} ms without, {1000 * statistics.median(busy):.0f} ms with"
    )
    assert seconds < 30
    assert ratio < 3


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_10000_connections_one_after_the_other_and_6500_at_once(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 8_000:
        pytest.skip(f"this system lets a program open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with running_server(tmp_path, "--workers", "1") as server:
            page_times(server, 5)
            before = files(server)
            for number in range(10_000):
                connect(server, source=f"127.0.1.{1 + number % 200}").close()
            assert max(page_times(server, 20)) < 5
            with ExitStack() as stack:
                for number in range(6_500):
                    stack.enter_context(connect(server, source=f"127.0.2.{1 + number % 200}"))
                worst = max(page_times(server, 20))
                held = files(server)
            print(f"6,500 silent connections: {held:,} files, slowest of 20 pages {1000 * worst:.0f} ms")
            assert held <= 6_000 + before + 50
            assert worst < 5
            assert not [line for line in server.lines if "Traceback" in line or "out of system resource" in line]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.faults
def test_a_kept_connection_that_asks_no_more_is_closed(server: Server) -> None:
    for bytes_between in (b"", b"\r\n"):
        with connect(server) as connection:
            connection.sendall(head("GET", "/api/health"))
            connection.sendall(bytes_between)
            start = time.monotonic()
            assert until_closed(connection).raw.count(b"HTTP/1.1 200 ") == 1
            assert time.monotonic() - start < 25


@pytest.mark.faults
def test_a_system_with_few_open_files_says_so_and_serves(tmp_path: Path) -> None:
    with limited_server(tmp_path, open_files=700) as server, ExitStack() as stack:
        assert "700 files" in server.lines[0]
        for _ in range(400):
            stack.enter_context(connect(server))
        assert max(page_times(server, 20)) < 5
