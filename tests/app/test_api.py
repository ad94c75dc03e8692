"""The API's own part: what a request becomes on its way to the services, and how large answers are written."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from app.routes.api.answering import json_pieces
from app.services.datasets import Datasets
from app.workers.messages import WeightChange
from engine.datasets.mnist import FOLDER
from engine.presets import PRESETS
from engine.specs import (
    LAYER_SPECS,
    MAX_TABLE_NUMBERS,
    Adam,
    AdamW,
    Cosine,
    Dense,
    MnistSpec,
    RunSpec,
    StopSpec,
    TableSpec,
)
from tests.app.double import RunsDouble, app_with, client_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def created(body: dict[str, Any]) -> RunSpec:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        response = await client.post("/api/runs", json=body)
    assert response.status_code == 201, response.text
    assert response.headers["location"] == f"/api/runs/{response.json()['id']}"
    spec = runs.commands[0][1]
    assert isinstance(spec, RunSpec)
    return spec


async def test_an_empty_body_is_the_default_run() -> None:
    assert await created({}) == RunSpec()


async def test_a_whole_spec_comes_through_as_it_was_sent() -> None:
    spec = RunSpec(
        name="Ziffern",
        dataset=MnistSpec(train_size=1000, validation_size=100, crop=28),
        network=(Dense(units=30, l1_multiplier=2.0), Dense(units=10, l2_multiplier=0.0)),
        optimizer=AdamW(learning_rate=0.003, weight_decay=0.2),
        loss="huber",
        huber_delta=0.5,
        class_weights=(0.0, *(1.5,) * 9),
        parameters=tuple(k / 8 for k in range(400)),
        schedule=Cosine(steps=500, final=0.1, warm_up=50),
        clip_norm=3.0,
        batch_size=64,
        l1=0.5,
        l2=0.0,
        seed=7,
        stop=StopSpec(epochs=1.5, patience=3),
    )
    assert await created(spec.to_dict()) == spec


async def test_fields_take_the_place_of_the_presets_own() -> None:
    spec = await created({"preset": "digits", "optimizer": {"name": "adam"}, "seed": 5})
    preset = PRESETS["digits"].spec
    assert (spec.optimizer, spec.seed) == (Adam(), 5)
    assert (spec.network, spec.stop, spec.l2) == (preset.network, preset.stop, preset.l2)


async def test_the_same_key_creates_one_run() -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        ids = {
            (await client.post("/api/runs", json={}, headers={"idempotency-key": "a"})).json()["id"] for _ in range(3)
        }
    assert (len(ids), len(runs.commands)) == (1, 1)


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        ({}, {}),
        ({"state": "paused"}, {"state": "paused"}),
        ({"optimizer": {"learning_rate": 0.1, "momentum": 0.5}}, {"learning_rate": 0.1, "momentum": 0.5}),
        ({"optimizer": {"name": "adam"}}, {"optimizer": Adam()}),
        ({"l1": 0, "l2": 0.5, "batch_size": 7}, {"l1": 0.0, "l2": 0.5, "batch_size": 7}),
        ({"stop": {"steps": 10}}, {"stop": StopSpec(steps=10)}),
        ({"name": " e\u0301 "}, {"name": "é"}),
        ({"schedule": {"name": "cosine", "steps": 50}}, {"schedule": Cosine(steps=50)}),
        ({"clip_norm": 1, "updates_per_second": 0.5}, {"clip_norm": 1.0, "updates_per_second": 0.5}),
        ({"clip_norm": None, "updates_per_second": None}, {"clip_norm": None, "updates_per_second": None}),
    ],
)
async def test_a_patch_changes_what_it_names_and_nothing_else(body: dict[str, Any], changes: dict[str, Any]) -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        assert (await client.patch(f"/api/runs/{run}", json=body)).status_code == 200
    changed = runs.commands[-1][1]
    state = {} if changed.state is None else {"state": changed.state}
    assert changed.values() | state == changes


async def test_a_reset_needs_no_body() -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        await client.post(f"/api/runs/{run}/reset")
        await client.post(f"/api/runs/{run}/reset", json={"seed": 9})
    assert runs.commands[1:] == [("reset", None), ("reset", 9)]


DRAWING = [[0.0] * 28 for _ in range(28)]
PACKED = {"ink_base64": base64.b64encode(bytes(784)).decode(), "size": 28}


@pytest.mark.parametrize(
    ("body", "passed"),
    [({"ink": DRAWING}, {"ink": DRAWING}), (PACKED, PACKED), ({"inputs": [DRAWING]}, [DRAWING])],
)
async def test_a_drawing_and_a_batch_come_through(body: Any, passed: Any) -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        assert (await client.post(f"/api/runs/{run}/predictions", json=body)).status_code == 200
    assert runs.commands[-1] == ("predict", passed)


def square(side: int, value: float = 0.0) -> list[list[float]]:
    return [[value] * side for _ in range(side)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"ink": square(27)}, 422),
        ({"ink": square(28)}, 200),
        ({"ink": square(280)}, 200),
        ({"ink": square(281)}, 422),
        ({"ink": square(28, 1.0)}, 200),
        ({"ink": square(28, 1.01)}, 422),
        ({"ink": square(28, -0.01)}, 422),
        ({"ink": [*square(28), [0.0] * 28]}, 422),
        ({"ink": []}, 422),
        ({}, 422),
        ({"ink": DRAWING, "inputs": [DRAWING]}, 422),
        ({"ink": DRAWING, **PACKED}, 422),
        ({"size": 28}, 422),
        ({"ink_base64": "*", "size": 28}, 422),
        ({"ink_base64": PACKED["ink_base64"], "size": 29}, 422),
        ({"inputs": []}, 422),
        ({"inputs": [square(1)] * 256}, 200),
        ({"inputs": [square(1)] * 257}, 422),
    ],
)
async def test_drawings_and_batches_at_the_edge(body: Any, status: int) -> None:
    async with client_of(app_with()) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        response = await client.post(f"/api/runs/{run}/predictions", json=body)
    assert response.status_code == status, response.text[:300]


@pytest.mark.parametrize(
    "body",
    [
        {"example": {"source": "drawing", **PACKED}, "gradients": True, "tiles": [0, 9_999]},
        {"example": {"source": "test", "index": 3}, "gradients": False, "tiles": []},
        {"example": {"source": "train", "index": 3}, "gradients": False, "tiles": [1] * 60},
    ],
)
async def test_a_watch_comes_through(body: dict[str, Any]) -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        assert (await client.put(f"/api/runs/{run}/watches/abc", json=body)).status_code == 204
    assert runs.commands[-1] == ("watch", ("abc", {"weights": False, "histograms": False} | body))


async def test_metrics_as_csv_leave_empty_what_was_not_measured() -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        response = await client.get(f"/api/runs/{run}/metrics?format=csv")
    assert response.headers["content-type"].startswith("text/csv")
    assert response.headers["content-disposition"] == f'attachment; filename="run-{run}.csv"'
    header, first, second = response.text.splitlines()
    assert header.startswith("step,examples,seconds,train_loss")
    assert first == "1,1,1" + ",0.5" * 8
    assert second == "2,2,2" + "," * 8


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        1.5,
        None,
        "é\n",
        {"a": []},
        {"a": list(range(2_500)), "b": {"c": [[1.5, None], []]}},
        [{}, {"x": [[]]}],
        [[1], 2, "x"],
    ],
)
def test_json_in_pieces_is_the_same_json(value: Any) -> None:
    assert json.loads("".join(json_pieces(value))) == value


def test_a_large_answer_comes_in_small_pieces() -> None:
    value = {"values": [[float(i) for i in range(5_000)] for _ in range(20)]}
    assert max(len(piece) for piece in json_pieces(value)) < 20_000


async def test_examples_are_the_pixels_of_the_file() -> None:
    async with client_of(app_with()) as client:
        page = (await client.get("/api/datasets/mnist/examples?split=test&offset=9998&limit=100")).json()
    with open(FOLDER / "t10k-images-idx3-ubyte", "rb") as file:
        file.seek(16 + 9_998 * 784)
        images = [file.read(784), file.read(784)]
    assert page["total"] == 10_000
    assert [item["index"] for item in page["items"]] == [9_998, 9_999]
    pixels = [bytes(round(255 * ink) for row in item["image"] for ink in row) for item in page["items"]]
    assert pixels == images


async def test_a_damaged_dataset_says_so_and_the_rest_works(tmp_path: Path) -> None:
    app = app_with()
    app.state.datasets = Datasets(tmp_path)
    async with client_of(app) as client:
        assert "missing" in (await client.get("/api/datasets/mnist")).json()["problem"]
        response = await client.get("/api/datasets/mnist/examples")
        assert (response.status_code, response.json()["code"]) == (422, "damaged_dataset")
        assert (await client.get("/api/health")).status_code == 200


LATER = ("conv1d", "max_pool1d", "global_avg_pool2d", "flatten", "dense")  # after the layers that need square maps


async def test_a_network_is_previewed_and_its_first_problem_named() -> None:
    async with client_of(app_with()) as client:
        good = (await client.post("/api/network", json={"network": RunSpec().to_dict()["network"]})).json()
        bad = (
            await client.post(
                "/api/network", json={"network": [{"type": "max_pool2d", "pool_size": 28}, {"type": "dense"}]}
            )
        ).json()
        few = (await client.post("/api/network", json={"network": [{"type": "dense", "units": 9}]})).json()
        every = [
            {"type": "conv2d", "filters": 8, "padding": 2},
            *({"type": kind} for kind in LAYER_SPECS if kind not in LATER),
            {"type": "conv1d", "padding": 2},
            *({"type": kind} for kind in LATER[1:]),
        ]
        all_kinds = (await client.post("/api/network", json={"network": every})).json()
    assert all_kinds["problem"] is None
    assert [layer["type"] for layer in all_kinds["layers"]] == [layer["type"] for layer in every]
    assert (good["parameters"], good["problem"]) == (5_994, None)
    assert good["layers"][0]["output_shape"] == [24, 24, 8]
    assert bad["field"] == "/network/0/pool_size"
    assert [layer["problem"] != "" for layer in bad["layers"]] == [True, False]
    assert "9 outputs" in few["problem"]


# ---- Specs, weights and points ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("query", "keep"), [("", "nothing"), ("?keep=weights", "weights"), ("?keep=nothing", "nothing")])
async def test_a_spec_can_be_fetched_and_put_back(query: str, keep: str) -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        spec = (await client.get(f"/api/runs/{run}/spec")).json()
        assert (await client.put(f"/api/runs/{run}/spec{query}", json=spec)).status_code == 200
    assert runs.commands[-1] == ("respec", (RunSpec(), keep))


async def test_a_largest_table_fits_into_a_request() -> None:
    table = TableSpec(columns=tuple("abcdefghi"), values=base64.b64encode(bytes(4 * MAX_TABLE_NUMBERS)).decode())
    spec = RunSpec(dataset=table, network=(Dense(units=2),)).to_dict()
    assert await created(spec) == RunSpec(dataset=table, network=(Dense(units=2),))


async def test_weights_come_through() -> None:
    runs = RunsDouble()
    changes = [{"unit": 0, "input": 1, "value": 0.5}, {"unit": 3, "input": None, "value": -1}]
    async with client_of(app_with(runs)) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        address = f"/api/runs/{run}/layers/2/weights"
        assert (await client.put(address, json={"changes": changes})).status_code == 200
        for wrong in (
            {"changes": []},
            {"changes": [changes[0]] * 2_049},
            {"changes": [{**changes[0], "value": 1.1e6}]},
            {"changes": [{**changes[0], "unit": -1}]},
            {"changes": [{"unit": 0, "value": 1.0}]},
        ):
            assert (await client.put(address, json=wrong)).status_code == 422
        assert (await client.put(address, content=b'{"changes": [{"unit": 0, "input": 0, "value": NaN}]}')).status_code >= 400
        assert (await client.put(address, json={"changes": [changes[0]] * 2_048})).status_code == 200
    assert runs.commands[1] == ("set_weights", (2, (WeightChange(0, 1, 0.5), WeightChange(3, None, -1.0))))
    assert len(runs.commands) == 3


async def test_a_boundary_is_asked_for_in_the_query() -> None:
    runs = RunsDouble()
    async with client_of(app_with(runs)) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        address = f"/api/runs/{run}/boundary"
        assert (await client.get(address)).json()["probabilities"] == [[[0.5]]]
        assert (await client.get(f"{address}?resolution=20&layer=-1&unit=1&columns=3,1")).status_code == 200
        for wrong in ("resolution=201", "resolution=1", "layer=0", "unit=0", "layer=-2&unit=0", "columns=1", "columns=a,b"):
            assert (await client.get(f"{address}?{wrong}")).status_code == 422, wrong
    assert [options for name, options in runs.commands if name == "boundary"] == [
        {"resolution": 100, "layer": None, "unit": None, "columns": (0, 1)},
        {"resolution": 20, "layer": -1, "unit": 1, "columns": (3, 1)},
    ]


async def test_points_come_as_json_or_as_a_file() -> None:
    async with client_of(app_with()) as client:
        run = (await client.post("/api/runs", json={})).json()["id"]
        points = (await client.get(f"/api/runs/{run}/points")).json()
        file = await client.get(f"/api/runs/{run}/points?format=csv")
    assert file.headers["content-disposition"] == f'attachment; filename="points-{run}.csv"'
    header, *rows = file.text.splitlines()
    assert header == "x,y,class"
    classes = [points["classes"][label] for label in points["labels"]]
    expected = [f"{x:g},{y:g},{name}" for (x, y), name in zip(points["values"], classes, strict=True)]
    assert [",".join(f"{float(cell):g}" for cell in row.split(",")[:2]) for row in rows] == [
        row.rpartition(",")[0] for row in expected
    ]
    assert [row.rpartition(",")[2] for row in rows] == classes


async def test_a_table_is_read_as_csv_or_as_points() -> None:
    async with client_of(app_with()) as client:
        address, kind = "/api/datasets", {"content-type": "text/csv; charset=utf-8"}
        text = "\ufeffa;b;k;n\r\n1,5;2;x;1\r\n2;3;y;oops\r\n4;5;x;3\r\n"
        table = (await client.post(address, content=text.encode(), headers=kind)).json()
        assert (table["rows"], table["columns"], table["numeric"]) == (2, ["a", "b", "k", "n"], ["a", "b", "n"])
        assert [row["line"] for row in table["rejected"]] == [3]
        chosen = await client.post(f"{address}?target=k&columns=b,a", content=text.encode(), headers=kind)
        assert chosen.json()["dataset"]["columns"] == ["b", "a"]
        assert chosen.json()["dataset"]["class_names"] == ["x", "y"]
        painted = await client.post(address, json={"points": [[0, 1, 0], [1, 0, 1]]})
        assert painted.json()["dataset"]["class_names"] == ["A", "B"]
        run = await client.post("/api/runs", json={"dataset": painted.json()["dataset"], "network": [{"type": "dense", "units": 2}]})
        assert run.status_code == 201, run.text


@pytest.mark.parametrize(
    ("content", "kind", "query", "status", "field"),
    [
        (b"", "text/csv", "", 422, None),
        (b"\xff\xfe1,2", "text/csv", "", 400, None),
        (b"a,b,c\n1,2,x\n1,3,y", "text/csv", "?columns=a,zz", 422, "/columns"),
        (b"a,b,c\n1,2,x\n1,3,y", "text/csv", "?target=zz", 422, "/target"),
        (b"1,2,0\n", "text/plain", "", 415, None),
        (b"{}", "application/json", "", 422, "/points"),
        (b'{"points": [[0, 1]]}', "application/json", "", 422, "/points/0"),
        (b'{"points": [[0, 1, 2]], "classes": ["A", "B"]}', "application/json", "", 422, "/points"),
        (b'{"points": [[0, 1, NaN]]}', "application/json", "", 400, None),
        (b'{"points": [[0, 1, 0]], "more": 1}', "application/json", "", 422, "/more"),
    ],
)
async def test_what_is_no_table_is_refused_in_words(
    content: bytes, kind: str, query: str, status: int, field: str | None
) -> None:
    async with client_of(app_with()) as client:
        response = await client.post(f"/api/datasets{query}", content=content, headers={"content-type": kind})
    assert (response.status_code, response.json()["field"]) == (status, field), response.text
    assert response.json()["detail"]
