"""Every refusal has one shape and says in words what to do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.errors import Problem
from app.names import clean_name
from app.settings import Limits
from tests.app.double import RunsDouble, app_with, client_of

pytestmark = pytest.mark.anyio
MEMBERS = {"type", "title", "status", "detail", "code", "field", "request_id"}
UNKNOWN = "0" * 16


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def refusals() -> list[tuple[int, Any]]:
    async with client_of(app_with(RunsDouble())) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        return [
            (404, await client.get("/api/nowhere")),
            (404, await client.get(f"/api/runs/{UNKNOWN}")),
            (404, await client.get("/api/runs/..%2f..%2fetc")),
            (404, await client.get("/api/datasets/cifar")),
            (404, await client.get(f"/api/runs/{run}/layers/9")),
            (405, await client.put("/api/runs")),
            (409, await client.post(f"/api/runs/{run}/steps", json={"count": 1})),
            (413, await client.post("/api/runs", content=b" " * (Limits().body_bytes + 1))),
            (415, await client.post("/api/runs", content=b"{}", headers={"content-type": "text/plain"})),
            (400, await client.post("/api/runs", content=b"{", headers={"content-type": "application/json"})),
            (422, await client.post("/api/runs", json={"l2": -1})),
            (422, await client.get("/api/runs?limit=0")),
            (422, await client.get(f"/api/runs/{run}/layers/0?what=nothing")),
        ]


async def test_every_problem_has_the_same_members() -> None:
    for status, response in await refusals():
        problem = response.json()
        assert response.status_code == status == problem["status"]
        assert response.headers["content-type"] == "application/problem+json"
        assert problem.keys() >= MEMBERS
        assert problem["request_id"] == response.headers["x-request-id"]
        assert re.fullmatch("[a-z_]+", problem["code"])
        assert problem["detail"].endswith((".", "…"))
        assert "invalid" not in problem["detail"].lower()


async def test_an_unknown_method_is_told_which_ones_there_are() -> None:
    async with client_of(app_with()) as client:
        response = await client.put("/api/runs")
    assert response.headers["allow"] == "GET, HEAD, POST"


async def test_htmx_gets_the_same_words_as_an_escaped_fragment() -> None:
    async with client_of(app_with()) as client:
        response = await client.post("/api/runs", json={"<b onclick=x>": 1}, headers={"hx-request": "true"})
    assert response.status_code == 422
    assert response.headers["content-type"].startswith("text/html")
    assert 'class="problem"' in response.text
    assert "<b onclick" not in response.text
    assert "&lt;b onclick" in response.text


async def test_a_person_gets_a_page() -> None:
    async with client_of(app_with()) as client:
        response = await client.get("/nowhere", headers={"accept": "text/html,*/*;q=0.8"})
    assert response.status_code == 404
    assert response.text.lstrip().startswith("<!doctype html>")


async def test_an_unexpected_error_says_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(RunsDouble):
        async def get(self, id: str) -> dict[str, Any]:
            raise RuntimeError(f"/home/secret/{id}")

    async with client_of(app_with(Broken())) as client:
        response = await client.get(f"/api/runs/{UNKNOWN}")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert response.headers["content-security-policy"]
    assert response.json()["request_id"] in caplog.text


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"optimizer": {"name": "sgd", "learning_rate": 0}}, "/optimizer/learning_rate", "Learning rate must be greater than 0 and at most 100; it was 0."),
        ({"optimizer": {"name": "momentum", "momentum": 1}}, "/optimizer/momentum", "Momentum must be at least 0 and less than 1; it was 1."),
        ({"optimizer": {"name": "lion"}}, "/optimizer", "The kind of optimizer must be one of: sgd, momentum, nesterov, adagrad, rmsprop, adadelta, adam, adamw."),
        ({"batch_size": 2.5}, "/batch_size", "Batch size must be a whole number."),
        ({"batch_size": "20"}, "/batch_size", "Batch size must be a whole number."),
        ({"batch_size": True}, "/batch_size", "Batch size must be a whole number."),
        ({"l2": "0.1"}, "/l2", "L2 weight decay must be a number."),
        ({"l2": 10**400}, "/l2", None),
        ({"seed": 2**64}, "/seed", None),
        ({"network": []}, "/network", "Network must not be empty."),
        ({"network": [{"type": "relu"}] * 33}, "/network", "Network may have at most 32 entries."),
        ({"network": [{"type": "relu"}, {"type": "dense", "units": 0}]}, "/network/1/units", "Units of layer 2 must be at least 1 and at most 2,048; it was 0."),
        ({"network": [{"units": 3}]}, "/network/0", "Layer 1 needs a type that says what it is."),
        ({"network": {"type": "dense"}}, "/network", "Network must be a list."),
        ({"learning_rate": 1}, "/learning_rate", "There is no field “learning_rate” here."),
        ({"preset": "nothing"}, "/preset", None),
        ({"name": ""}, "/name", "Name must not be empty."),
        ({"name": "a\u202eb"}, "/name", "A name may hold letters, digits, signs and spaces, but no control or invisible characters."),
        (
            {"loss": "anger"},
            "/loss",
            "Loss must be one of: softmax_cross_entropy, mean_squared_error, half_squared_error, hinge, huber, absolute_error, binary_cross_entropy.",
        ),
        ({"schedule": {"name": "cosine", "steps": 0}}, "/schedule/steps", "Steps must be at least 1 and at most 1,000,000,000; it was 0."),
        ({"schedule": {"name": "cyclic"}}, "/schedule", None),
        ({"clip_norm": 0}, "/clip_norm", "Clip norm must be greater than 0 and at most 1,000,000; it was 0."),
        ({"class_weights": [1, -1]}, "/class_weights/1", None),
        ([], None, "The body must be an object with named fields."),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_in_words_with_its_place(body: Any, field: str | None, words: str | None) -> None:
    async with client_of(app_with()) as client:
        response = await client.post("/api/runs", json=body)
    assert response.status_code == 422
    assert response.json()["field"] == field
    assert words is None or response.json()["detail"] == words


async def test_a_change_names_its_field_without_the_tags_of_the_schema() -> None:
    async with client_of(app_with()) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        for optimizer in ({"learning_rate": -1}, {"name": "adam", "learning_rate": -1}):
            response = await client.patch(f"/api/runs/{run}", json={"optimizer": optimizer})
            assert response.json()["field"] == "/optimizer/learning_rate"
        response = await client.put(f"/api/runs/{run}/watches/w", json={"example": {"source": "test", "index": -1}})
        assert response.json()["field"] == "/example/index"


@pytest.mark.parametrize("name", ["digits", "Ziffern", "数字", "أرقام", "é" * 80, "a 🙂 b", "x²"])
def test_names_of_every_script_are_kept(name: str) -> None:
    assert clean_name(f"  {name} ") == name


def test_a_name_is_brought_to_normal_form() -> None:
    assert clean_name("e\u0301") == "é"


@pytest.mark.parametrize(
    "name", ["", "   ", "a\nb", "a\0b", "\u200bx", "\u202ex", "a\u2028b", "x" * 81, "\u2066a", "\ufeffa"]
)
def test_names_that_could_mislead_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        clean_name(name)


def test_a_problem_keeps_its_own_members_beside_the_standard_ones() -> None:
    problem = Problem(409, "conflict", "Not possible now", "Pause it.", extra={"state": "running"})
    assert problem.document("1")["state"] == "running"
