"""Every limit at one below, at, and one above; a new limit without a line here fails the walk.

Counts and bytes that a request may bring are asked for over HTTP. What limits time, memory or who is served at once has a test
of its own, which is named, and must be there.
"""

from __future__ import annotations

import ast
import base64
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.errors import Busy
from app.services.people import People
from app.settings import Limits
from engine.errors import SpecError
from engine.shapes import check_run, estimate_bytes, plan
from engine.specs import MAX_PARAMETERS, MAX_RUN_BYTES, Dense, PlaneSpec, RunSpec, Tanh
from tests.app.double import DatabaseDouble, RunsDouble, app_with, client_of

TESTS = Path(__file__).parents[1]
LIMITS = Limits()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Asked:
    """A request that brings so much of something; `lowest`: the limit is one that must be reached, not kept."""

    send: Callable[[int], dict[str, Any]]
    path: str = "/api/runs"
    method: str = "POST"
    lowest: bool = False


def bytes_to(path: str, kind: str = "application/json") -> Asked:
    """Only the size of the body counts: any answer but 413 has read it."""
    return Asked(lambda n: {"content": b"{}" + b" " * (n - 2), "headers": {"content-type": kind}}, path)


def sent(**body: Any) -> dict[str, Any]:
    return {"json": body}


def ink(n: int) -> dict[str, Any]:
    return sent(ink_base64=base64.b64encode(bytes(n * n)).decode(), size=n)


RUN = "/api/runs/{run}"

ASKED = {
    "body_bytes": bytes_to("/api/runs"),
    "table_bytes": bytes_to("/api/datasets"),
    "model_bytes": bytes_to("/api/models"),
    "drawing_bytes": bytes_to(f"{RUN}/predictions"),
    "report_bytes": bytes_to("/api/labs/verification"),
    "json_depth": Asked(lambda n: {"content": b'{"x": ' + b"[" * (n - 1) + b"]" * (n - 1) + b"}", "headers": {"content-type": "application/json"}}),
    "name_characters": Asked(lambda n: sent(name="x" * n)),
    "layers": Asked(lambda n: sent(network=[{"type": "flatten"}] * (n - 1) + [{"type": "dense", "units": 10}])),
    "runs_per_stream": Asked(lambda n: {"params": [("run", f"{number:016x}") for number in range(n)]}, "/api/events", "GET"),
    "steps": Asked(lambda n: sent(count=n), f"{RUN}/steps"),
    "points": Asked(lambda n: sent(points=[[0, 0, number % 2] for number in range(n)]), "/api/datasets"),
    "weight_changes": Asked(
        lambda n: sent(changes=[{"unit": 0, "input": None, "value": 0}] * n), f"{RUN}/layers/0/weights", "PUT"
    ),
    "batch": Asked(lambda n: sent(inputs=[[0, 0]] * n), f"{RUN}/predictions"),
    "examples": Asked(lambda n: {"params": {"limit": n}}, "/api/datasets/mnist/examples", "GET"),
    "tiles": Asked(lambda n: sent(tiles=[0] * n), f"{RUN}/watches/w", "PUT"),
    "page": Asked(lambda n: {"params": {"limit": n}}, "/api/runs", "GET"),
    "ink_smallest": Asked(ink, f"{RUN}/predictions", lowest=True),
    "ink_largest": Asked(ink, f"{RUN}/predictions"),
}  # fmt: skip

HAS_A_TEST_OF_ITS_OWN = {
    "drawings": "faults/test_every_limit.py::test_a_visitor_keeps_so_many_drawings",
    "drawings_stored": "app/test_drawings.py::test_of_all_visitors_together_the_newest_drawings_are_kept",
    "reports_bytes": "faults/test_every_limit.py::test_reports_are_read_up_to_their_size",
    "claims": "app/labs/test_reports.py",
    "verification_seconds": "app/labs/test_reports.py",
    "verifications_seconds": "app/labs/test_reports.py",
    "parameters": "faults/test_every_limit.py::test_parameters_are_counted_to_the_last_one",
    "run_bytes": "faults/test_every_limit.py::test_the_memory_of_a_run_is_computed_to_the_byte",
    "run_seconds": "faults/test_time_limit.py",
    "memory_bytes": "app/test_waiting.py::test_memory_is_counted_before_any_is_taken",
    "runs_live": "app/test_waiting.py::test_exactly_as_many_are_taken_in_as_there_are_places",
    "runs_waiting": "app/test_waiting.py::test_exactly_as_many_are_taken_in_as_there_are_places",
    "runs_per_visitor": "app/test_waiting.py::test_nobody_sees_what_is_private_or_steers_what_is_shared",
    "named_per_visitor": "app/test_waiting.py::test_one_visitor_does_not_fill_the_server_with_names",
    "people": "faults/test_every_limit.py::test_so_many_join_a_class",
    "idle_seconds": "app/test_waiting.py::test_a_run_that_nobody_needs_gives_its_place_back_and_comes_again",
    "unwatched_seconds": "app/test_waiting.py::test_in_a_class_a_run_without_an_end_rests_when_nobody_looks",
    "runs_stored": "faults/test_keeping.py",
    "lab_runs": "faults/test_keeping.py",
    "disk_bytes": "faults/test_keeping.py",
    "disk_free_bytes": "faults/test_keeping.py",
    "keys_days": "faults/test_keeping.py",
    "solved_days": "faults/test_keeping.py",
    "streams": "app/test_stream.py",
    "streams_per_client": "app/test_stream.py",
    "watches_per_run": "app/test_services.py",
    "table_numbers": "faults/test_every_limit.py::test_numbers_of_a_table_are_counted",
    "streams_per_visitor": "app/test_stream.py",
    "connections": "faults/test_connections.py",
    "connections_per_address": "faults/test_connections.py",
    "head_seconds": "faults/test_connections.py",
    "body_seconds": "faults/test_connections.py",
    "send_timeout": "app/test_stream.py",
    "ping_seconds": "app/test_channel.py",
    "watch_grace": "app/test_services.py",
    "command_timeout": "app/test_pool.py",
    "shutdown_seconds": "app/test_serve.py",
}


def test_every_limit_stands_here_once() -> None:
    names = {field.name for field in fields(Limits)}
    assert set(ASKED) | set(HAS_A_TEST_OF_ITS_OWN) == names
    assert not set(ASKED) & set(HAS_A_TEST_OF_ITS_OWN)


@pytest.mark.parametrize("place", sorted(set(HAS_A_TEST_OF_ITS_OWN.values())))
def test_what_is_said_to_test_a_limit_is_there(place: str) -> None:
    path, _, name = place.partition("::")
    tree = ast.parse((TESTS / path).read_text())
    tests = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert (name or path) in {*tests, path}


async def refused(client: httpx.AsyncClient, asked: Asked, count: int, run: str) -> bool:
    """Whether the request was refused for its size: by what it says, not for another reason."""
    response = await client.request(asked.method, asked.path.replace("{run}", run), **asked.send(count))
    assert response.status_code < 500, response.text
    if asked.method == "GET" and asked.path == "/api/events":
        return response.status_code == 422  # else 404: these runs are not there
    if asked.path.endswith(("/models", "/verification", "/predictions", "/datasets")) and "content" in asked.send(2):
        return response.status_code == 413
    if b"[[[" in asked.send(5).get("content", b""):
        return response.status_code == 400  # else 422: there is no such field
    assert response.status_code not in (404, 405, 415), response.text
    return response.status_code in (413, 422)


@pytest.mark.anyio
@pytest.mark.parametrize("name", sorted(ASKED))
async def test_up_to_the_limit_and_not_one_more(name: str) -> None:
    asked, limit = ASKED[name], getattr(LIMITS, name)
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        expected = {limit - 1: False, limit: False, limit + 1: True}
        if asked.lowest:
            expected = {limit - 1: True, limit: False, limit + 1: False}
        assert {count: await refused(client, asked, count, run) for count in expected} == expected
        runs.commands.clear()
        worst = limit - 1 if asked.lowest else limit + 1
        await refused(client, asked, worst, run)
        assert runs.commands == [], "what is refused changes nothing"


@pytest.mark.anyio
async def test_reports_are_read_up_to_their_size() -> None:
    most = 1_000
    async with client_of(app_with(reports_bytes=most)) as client:
        for size, status in ((most - 1, 400), (most, 400), (most + 1, 413)):
            body = b"--x\r\n" + b" " * (size - 5)
            headers = {"content-type": "multipart/form-data; boundary=x"}
            response = await client.post("/labs/verify", content=body, headers=headers)
            assert (response.status_code == 413) == (status == 413), response.text


@pytest.mark.anyio
async def test_numbers_of_a_table_are_counted() -> None:
    async with client_of(app_with()) as client:
        for numbers, status in ((49_990, 200), (50_000, 200), (50_008, 422)):
            rows, width = numbers // 10 if numbers % 10 == 0 else numbers // 14, 10 if numbers % 10 == 0 else 14
            names = ",".join([*(f"x{column}" for column in range(width - 1)), "class"])
            lines = [",".join([*["1"] * (width - 1), "ab"[row % 2]]) for row in range(rows)]
            content = "\n".join([names, *lines]).encode()
            answer = await client.post("/api/datasets", content=content, headers={"content-type": "text/csv"})
            assert answer.status_code == status, (numbers, answer.text[:200])


def widths(spec: RunSpec) -> int:
    return sum(layer.parameters for layer in plan(spec.network, spec.dataset.input_shape))


def test_parameters_are_counted_to_the_last_one() -> None:
    """A layer of u units on v values has u·v + u: chosen so that the sum is the limit, one less and one more."""

    def of(parameters: int) -> RunSpec | None:
        # 2 -> a -> tanh -> b -> 2: 3a + ab + b + 2b + 2 = parameters
        for a in range(600, 2_000):
            b, rest = divmod(parameters - 2 - 3 * a, a + 3)
            if rest == 0 and 0 < b <= 2_048:
                return RunSpec(dataset=PlaneSpec(), network=(Dense(units=a), Tanh(), Dense(units=b), Dense(units=2)), batch_size=1)
        return None

    for parameters, allowed in ((MAX_PARAMETERS - 1, True), (MAX_PARAMETERS, True), (MAX_PARAMETERS + 1, False)):
        spec = of(parameters)
        if spec is None:  # no such network: the next one below or above
            spec = next(found for delta in range(1, 50) if (found := of(parameters + (-delta if allowed else delta))))
        assert widths(spec) <= MAX_PARAMETERS if allowed else widths(spec) > MAX_PARAMETERS
        if allowed:
            check_run(spec)
        else:
            with pytest.raises(SpecError, match="parameters"):
                check_run(spec)


def test_the_memory_of_a_run_is_computed_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RunSpec()
    need = estimate_bytes(spec.network, spec.dataset.input_shape, spec.batch_size)
    assert need < MAX_RUN_BYTES == LIMITS.run_bytes
    for limit, allowed in ((need + 1, True), (need, True), (need - 1, False)):
        monkeypatch.setattr("engine.shapes.MAX_RUN_BYTES", limit)
        if allowed:
            check_run(spec)
        else:
            with pytest.raises(SpecError, match="needs about"):
                check_run(spec)


@pytest.mark.anyio
async def test_so_many_join_a_class() -> None:
    people = People(DatabaseDouble(), Limits(people=2))
    await people.start()
    for number in ("a" * 32, "b" * 32):
        await people.join(number, people.code, "Ada")
    with pytest.raises(Busy):
        await people.join("c" * 32, people.code, "Ada")
    await people.join("a" * 32, people.code, "Grace")
    assert sorted(person.nickname for person in people.everybody) == ["Ada", "Grace"]


@pytest.mark.anyio
async def test_a_visitor_keeps_so_many_drawings() -> None:
    async with client_of(app_with(drawings=3)) as client:
        drawing = {"label": 7, "size": 28, "ink_base64": base64.b64encode(bytes(392) + b"\xff" * 392).decode()}
        answers = [(await client.post("/api/drawings", json=drawing)).status_code for _ in range(4)]
        assert answers == [201, 201, 201, 409]
