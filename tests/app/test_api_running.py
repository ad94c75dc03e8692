"""The API over the real services with one worker: every answer is what OpenAPI says it is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, TypeAdapter

from app import answers
from app.main import create_app
from app.settings import Settings
from engine.formats import FORMATS
from tests.app.double import client_of

pytestmark = pytest.mark.anyio
SMALL = {
    "network": [{"type": "dense", "units": 10}],
    "dataset": {"name": "mnist", "train_size": 2_000, "validation_size": 500},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(data=tmp_path, workers=1))
    async with app.router.lifespan_context(app), client_of(app, timeout=60) as client:
        yield client


def read(kind: Any, response: httpx.Response, status: int = 200) -> Any:
    """The answer, held against its model with no field missing."""
    assert response.status_code == status, response.text[:500]
    value = response.json()
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    adapter.validate_python(value)
    return value


async def once(client: httpx.AsyncClient, run: str, state: str) -> dict[str, Any]:
    for _ in range(600):
        value: dict[str, Any] = read(answers.Run, await client.get(f"/api/runs/{run}"))
        if value["state"] == state:
            return value
        await asyncio.sleep(0.05)
    raise AssertionError(f"never {state}")


EVERY_LAYER = [
    {"type": "conv2d", "filters": 4},
    {"type": "batch_normalization"},
    {"type": "gelu"},
    {"type": "avg_pool2d", "pool_size": 3, "stride": 2},
    {"type": "local_response_normalization"},
    {"type": "max_pool2d"},
    {"type": "conv1d", "filters": 6, "kernel_size": 2},
    {"type": "maxout"},
    {"type": "max_pool1d"},
    {"type": "leaky_relu"},
    {"type": "dropout"},
    {"type": "global_avg_pool2d"},
    {"type": "dense", "units": 10},
]


async def test_a_run_may_have_any_layer(client: httpx.AsyncClient) -> None:
    body = {**SMALL, "network": EVERY_LAYER, "state": "paused"}
    run = read(answers.Run, await client.post("/api/runs", json=body), 201)["id"]
    path = f"/api/runs/{run}"
    await once(client, run, "paused")
    assert read(answers.Run, await client.post(f"{path}/steps", json={"count": 3}))["step"] == 3
    layers = read(list[answers.LayerAnswer], await client.get(f"{path}/layers"))
    assert [layer["type"] for layer in layers] == [layer["type"] for layer in EVERY_LAYER]
    for layer in layers:
        what = "activations,gradients,weights,weight_gradients" if layer["parameters"] else "activations,gradients"
        found = await client.get(f"{path}/layers/{layer['index']}?what={what}&example=test:3")
        assert found.status_code == 200, (layer["type"], found.text)
    saved = await client.get(f"{path}/model")
    assert saved.status_code == 200
    evaluation = read(answers.Evaluation, await client.get(f"{path}/evaluation?split=validation&crops=1"))
    assert evaluation["loss"] is not None


async def test_from_creating_to_deleting(client: httpx.AsyncClient) -> None:
    run = read(answers.Run, await client.post("/api/runs", json={**SMALL, "state": "paused"}), 201)["id"]
    path = f"/api/runs/{run}"
    await once(client, run, "paused")
    assert read(answers.Run, await client.post(f"{path}/steps", json={"count": 10}))["step"] == 10
    read(answers.Run, await client.patch(path, json={"optimizer": {"learning_rate": 0.5}, "batch_size": 50}))
    assert (await once(client, run, "paused"))["batch_size"] == 50
    read(answers.RunList, await client.get("/api/runs"))
    points = read(answers.Points, await client.get(f"{path}/metrics"))
    assert len({len(column) for column in points.values()}) == 1
    read(list[answers.LayerAnswer], await client.get(f"{path}/layers"))
    layer = (await client.get(f"{path}/layers/0?what=weights,activations&example=test:3")).json()
    assert layer["weights"]["shape"][0] == 10
    evaluation = read(answers.Evaluation, await client.get(f"{path}/evaluation?split=validation&crops=1"))
    assert evaluation["examples"] == 500
    read(answers.ClassifiedExamples, await client.get(f"{path}/examples?split=validation&which=mistakes&limit=3"))
    empty = read(answers.Predictions, await client.post(f"{path}/predictions", json={"ink": [[0] * 28] * 28}))
    assert empty["predictions"][0]["class"] is None
    ink = [[1.0 if 12 <= column < 16 and 4 <= row < 24 else 0.0 for column in range(28)] for row in range(28)]
    drawn = read(answers.Predictions, await client.post(f"{path}/predictions", json={"ink": ink}))
    assert abs(sum(drawn["predictions"][0]["probabilities"]) - 1) < 1e-4
    batch = read(answers.Predictions, await client.post(f"{path}/predictions", json={"inputs": [ink, ink]}))
    assert len(batch["predictions"]) == 2
    assert (await client.put(f"{path}/watches/w", json={"example": {"source": "test", "index": 3}})).status_code == 204
    assert read(answers.Run, await client.post(f"{path}/reset"))["step"] == 0
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_an_id_that_cannot_be_is_answered_as_one_that_is_not(client: httpx.AsyncClient) -> None:
    paths = ("", "/metrics", "/layers", "/layers/0", "/evaluation", "/examples", "/model", "/events")
    for id in (
        "0" * 16,
        "x",
        "..%2f..%2f",
        "%252e%252e",
        "CON",
        "A" * 16,
        "0" * 17,
        "0" * 10_000,
        "%00",
        "c:%5c",
        "\u0660" * 16,
    ):
        for path in paths:
            response = await client.get(f"/api/runs/{id}{path}")
            assert response.status_code == 404, (id[:20], path)
            if "%2f" not in id:
                assert response.json()["code"] == "no_such_run", (id[:20], path)


async def test_a_lost_race_is_told_with_the_state(client: httpx.AsyncClient) -> None:
    run = read(answers.Run, await client.post("/api/runs", json=SMALL), 201)["id"]
    await once(client, run, "running")
    response = await client.post(f"/api/runs/{run}/steps", json={"count": 1})
    problem = read(answers.ProblemAnswer, response, 409)
    assert problem["state"] == "running"


@pytest.mark.parametrize("format", ["native", "convnetjs", "safetensors"])
async def test_a_network_is_saved_and_loaded(client: httpx.AsyncClient, format: str) -> None:
    run = read(answers.Run, await client.post("/api/runs", json={**SMALL, "state": "paused"}), 201)["id"]
    await once(client, run, "paused")
    await client.post(f"/api/runs/{run}/steps", json={"count": 20})
    saved = await client.get(f"/api/runs/{run}/model?format={format}")
    assert saved.status_code == 200, saved.text
    assert saved.headers["content-disposition"].startswith("attachment; filename=")
    loaded = read(
        answers.Run,
        await client.post(
            "/api/models", content=saved.content, headers={"content-type": saved.headers["content-type"]}
        ),
        201,
    )
    assert loaded["state"] == "paused"
    ink = {"inputs": [[[((row * column) % 7) / 7 for column in range(28)] for row in range(28)]]}
    before, after = [(await client.post(f"/api/runs/{id}/predictions", json=ink)).json() for id in (run, loaded["id"])]
    assert after["predictions"][0]["probabilities"] == pytest.approx(
        before["predictions"][0]["probabilities"], abs=1e-5
    )


async def test_every_format_has_its_name_and_media_type(client: httpx.AsyncClient) -> None:
    run = read(answers.Run, await client.post("/api/runs", json={**SMALL, "state": "paused"}), 201)["id"]
    await once(client, run, "paused")
    files = {
        format: (await client.get(f"/api/runs/{run}/model?format={format}"), ending, media_type)
        for format, ending, media_type in (
            ("native", "-0.nabla.json", "application/json"),
            ("convnetjs", "-0.convnetjs.json", "application/json"),
            ("safetensors", "-0.safetensors", "application/octet-stream"),
            ("onnx", "-0.onnx", "application/octet-stream"),
            ("pytorch", "_0_pytorch.py", "text/x-python; charset=utf-8"),
            ("numpy", "_0_numpy.py", "text/x-python; charset=utf-8"),
        )
    }
    assert files.keys() == FORMATS.keys()
    for format, (response, ending, media_type) in files.items():
        assert response.status_code == 200, (format, response.text)
        assert response.headers["content-type"] == media_type
        disposition = response.headers["content-disposition"]
        assert re.fullmatch(rf'attachment; filename="[a-z0-9_-]+{ending}"', disposition), disposition
    assert files["numpy"][0].content.startswith(b'"""A network for handwritten digits')
    refused = await client.get(f"/api/runs/{run}/model?format=pickle")
    assert refused.status_code == 422
    assert (await client.get(f"/runs/{run}/model?format=numpy")).content == files["numpy"][0].content


BROKEN = [
    b"{}",
    b"[]",
    b"",
    b"null",
    b"\xff",
    b'{"format": "nabla"}',
    b'{"format": "nabla", "version": 99}',
    b'{"layers": []}',
    b'{"layers": [{"layer_type": "__import__"}]}',
    b"PK\x03\x04",
    b"\x80\x04\x95",
    b"[" * 100_000,
    b"\x02" + bytes(7) + b"{}",
    b"\x02" + bytes(7) + b"{]" + bytes(100),
]


async def test_a_file_that_is_no_network_is_refused_in_words(client: httpx.AsyncClient) -> None:
    for body in BROKEN:
        for kind in ("application/json", "text/plain", "application/octet-stream"):
            response = await client.post("/api/models", content=body, headers={"content-type": kind})
            assert response.status_code in (400, 422), (body[:20], kind, response.text)
            assert response.json()["detail"]
    assert (await client.get("/api/runs")).json()["items"] == []


def test_every_answer_model_is_described_by_its_fields() -> None:
    models = [model for model in vars(answers).values() if isinstance(model, type) and issubclass(model, BaseModel)]
    assert all(model.model_fields for model in models if model not in (BaseModel, answers.Answer))


async def test_an_example_can_be_asked_for_and_handed_to_a_prediction_as_it_is(client: httpx.AsyncClient) -> None:
    run = read(answers.Run, await client.post("/api/runs", json=SMALL | {"state": "paused"}), 201)["id"]
    digits = read(answers.Examples, await client.get("/api/datasets/mnist/examples?split=test&limit=3"))["items"]
    body = {"inputs": [digit["image"] for digit in digits]}
    predicted = read(answers.Predictions, await client.post(f"/api/runs/{run}/predictions", json=body))["predictions"]
    seen = read(answers.ClassifiedExamples, await client.get(f"/api/runs/{run}/examples?limit=3"))["items"]
    assert [digit["label"] for digit in digits] == [item["label"] for item in seen] == [7, 2, 1]
    for prediction, item in zip(predicted, seen, strict=True):
        for class_, probability in item["top"]:
            assert prediction["probabilities"][int(class_)] == pytest.approx(probability, abs=1e-3)


POINTS = {
    "dataset": {"name": "plane", "kind": "circle", "points": 40},
    "network": [{"type": "dense", "units": 3}, {"type": "tanh"}, {"type": "dense", "units": 2}],
    "state": "paused",
}
NUMBERS = POINTS | {
    "dataset": {"name": "curve", "points": 20},
    "network": [{"type": "dense", "units": 1}],
    "loss": "mean_squared_error",
}


async def test_points_are_predicted_as_the_boundary_shows_them(client: httpx.AsyncClient) -> None:
    run = read(answers.Run, await client.post("/api/runs", json=POINTS), 201)["id"]
    corners = [[-6.0, 6.0], [6.0, 6.0], [-6.0, -6.0], [6.0, -6.0]]
    answer = read(answers.Predictions, await client.post(f"/api/runs/{run}/predictions", json={"inputs": corners}))
    boundary = (await client.get(f"/api/runs/{run}/boundary?resolution=20")).json()["probabilities"]
    shown = [[row[i][j] for row in boundary] for i, j in ((0, 0), (0, -1), (-1, 0), (-1, -1))]
    for prediction, shares in zip(answer["predictions"], shown, strict=True):
        assert prediction["label"] in ("A", "B")
        assert prediction["probabilities"] == pytest.approx(shares, abs=0.1)  # the grid's cells have their centres inside
    refused = await client.post(f"/api/runs/{run}/predictions", json={"inputs": [[1.0, 2.0, 3.0]]})
    assert refused.status_code == 422
    assert "(N, 2)" in refused.json()["detail"]
    image = await client.post(f"/api/runs/{run}/predictions", json={"inputs": [[[0.0] * 28] * 28]})
    assert image.status_code == 422


async def test_a_number_is_predicted_as_a_number(client: httpx.AsyncClient) -> None:
    run = read(answers.Run, await client.post("/api/runs", json=NUMBERS), 201)["id"]
    answer = read(answers.Predictions, await client.post(f"/api/runs/{run}/predictions", json={"inputs": [[0.0], [2.0]]}))
    assert [prediction["class"] for prediction in answer["predictions"]] == [None, None]
    at_zero, at_two = (prediction["number"] for prediction in answer["predictions"])
    change = [{"unit": 0, "input": None, "value": 1.5}, {"unit": 0, "input": 0, "value": 2.0}]
    read(answers.Run, await client.put(f"/api/runs/{run}/layers/0/weights", json={"changes": change}))
    answer = read(answers.Predictions, await client.post(f"/api/runs/{run}/predictions", json={"inputs": [[0.0], [2.0]]}))
    assert [prediction["number"] for prediction in answer["predictions"]] == [1.5, 5.5]
    assert [at_zero, at_two] != [1.5, 5.5]
