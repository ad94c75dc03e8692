"""One's own drawings: labelled, kept under the visitor's cookie, seen by nobody else, and deleted."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from engine.datasets.drawings import drawn_images
from engine.ink import preprocess
from engine.specs import DrawingsSpec, GroupSpec, MnistSpec
from engine.specs.pictures import MOST_IN_ADDRESS, pack_drawings
from tests.app.double import app_with, client_of
from tests.app.small_runs import service, small

STROKE = {"ink_base64": base64.b64encode(bytes(28 * 13) + bytes([255] * 56) + bytes(28 * 13)).decode(), "size": 28}
NOTHING = {"ink_base64": base64.b64encode(bytes(784)).decode(), "size": 28}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_with(drawings=3)) as client:
        yield client


async def keep(client: httpx.AsyncClient, label: int = 1) -> httpx.Response:
    return await client.post("/api/drawings", json={"label": label, **STROKE})


@pytest.mark.anyio
async def test_a_drawing_is_kept_as_the_network_will_see_it(client: httpx.AsyncClient) -> None:
    answer = await keep(client, 7)
    assert answer.status_code == 201
    kept = (await client.get("/api/drawings")).json()
    assert kept["items"] == [answer.json()]
    image = np.frombuffer(base64.b64decode(answer.json()["image_base64"]), np.uint8).reshape(28, 28)
    expected = preprocess(np.frombuffer(base64.b64decode(STROKE["ink_base64"]), np.uint8).reshape(28, 28) / 255)  # type: ignore[arg-type]
    assert expected is not None
    assert np.abs(image / 255 - expected.image28).max() <= 1 / 30
    images, digits = drawn_images(kept["packed"])
    assert (digits.tolist(), images[0].tolist()) == ([7], image.tolist())


@pytest.mark.anyio
async def test_rows_of_numbers_are_a_drawing_too(client: httpx.AsyncClient) -> None:
    rows = [[0.0] * 28 if abs(row - 14) > 1 else [1.0] * 28 for row in range(28)]
    assert (await client.post("/api/drawings", json={"label": 0, "ink": rows})).status_code == 201


@pytest.mark.anyio
async def test_the_cookie_is_anonymous_and_out_of_reach_of_scripts_and_other_sites(client: httpx.AsyncClient) -> None:
    assert "set-cookie" not in (await client.get("/api/drawings")).headers
    cookie = (await keep(client)).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "set-cookie" not in (await keep(client)).headers


@pytest.mark.anyio
async def test_nobody_sees_or_deletes_what_another_has_drawn(client: httpx.AsyncClient) -> None:
    first = (await keep(client)).json()
    mine = client.cookies["visitor"]
    client.cookies.clear()
    assert (await client.get("/api/drawings")).json() == {"items": [], "packed": ""}
    assert (await client.delete(f"/api/drawings/{first['id']}")).status_code == 404
    await keep(client)
    assert client.cookies["visitor"] != mine
    refused = await client.delete(f"/api/drawings/{first['id']}")
    assert (refused.status_code, refused.json()["code"]) == (404, "no_such_drawing")
    assert (await client.delete("/api/drawings")).status_code == 204
    client.cookies.clear()
    client.cookies["visitor"] = mine
    assert len((await client.get("/api/drawings")).json()["items"]) == 1


@pytest.mark.anyio
async def test_one_is_deleted_and_all_are(client: httpx.AsyncClient) -> None:
    ids = [(await keep(client, label)).json()["id"] for label in (1, 2, 3)]
    full = await keep(client)
    assert (full.status_code, full.json()["code"]) == (409, "too_many_drawings")
    assert (await client.delete(f"/api/drawings/{ids[1]}")).status_code == 204
    assert [item["label"] for item in (await client.get("/api/drawings")).json()["items"]] == [1, 3]
    assert (await keep(client)).status_code == 201
    assert (await client.delete("/api/drawings")).status_code == 204
    assert (await client.get("/api/drawings")).json()["items"] == []


@pytest.mark.anyio
async def test_of_all_visitors_together_the_newest_drawings_are_kept() -> None:
    async with client_of(app_with(drawings_stored=2)) as client:
        visitors = []
        for _ in range(3):
            client.cookies.clear()
            await keep(client)
            visitors.append(client.cookies["visitor"])
        kept = []
        for visitor in visitors:
            client.cookies.clear()
            client.cookies["visitor"] = visitor
            kept.append(len((await client.get("/api/drawings")).json()["items"]))
    assert kept == [0, 1, 1]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"label": 1, **NOTHING}, "nothing_drawn"),
        ({"label": 10, **STROKE}, "validation"),
        ({"label": 1}, "validation"),
        (STROKE, "validation"),
    ],
)
async def test_what_is_no_labelled_drawing_is_refused_in_words(
    client: httpx.AsyncClient, body: dict[str, object], code: str
) -> None:
    answer = await client.post("/api/drawings", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.anyio
async def test_as_many_as_fit_into_an_address_are_packed_the_newest_ones() -> None:
    noise = np.random.default_rng(1)
    async with client_of(app_with()) as client:
        for label in range(60):
            ink = base64.b64encode(noise.integers(0, 256, 784, np.uint8).tobytes()).decode()
            await client.post("/api/drawings", json={"label": label % 10, "ink_base64": ink, "size": 28})
        kept = (await client.get("/api/drawings")).json()
    assert len(kept["packed"]) <= MOST_IN_ADDRESS
    _, digits = drawn_images(kept["packed"])
    assert 20 < len(digits) < 60
    assert digits.tolist() == [item["label"] for item in kept["items"]][-len(digits) :]


def test_a_run_is_taught_drawings_and_says_how_many_but_not_which(tmp_path: Path) -> None:
    values = pack_drawings([(digit, bytes(range(196)) * 4) for digit in range(4)])
    dataset = MnistSpec(
        train_size=60, validation_size=20, crop=12, test_crops=1,
        group=GroupSpec(digits=(1, 7), thickness=(0, 2)), drawings=DrawingsSpec(values=values, after=5),
    )  # fmt: skip

    async def scenario() -> None:
        async with service(tmp_path) as runs:
            run = await runs.create(small(dataset=dataset), state="paused")
            assert (await runs.step(run["id"], 8))["step"] == 8
            run = await runs.get(run["id"])
            assert run["dataset"]["drawings"] == {"after": 5, "mixed": True, "count": 4}
            assert run["dataset"]["group"] == {"digits": [1, 7], "thickness": [0, 2], "slant": [0, 10]}
            assert [run["dataset"][f"{split}_examples"] for split in ("train", "validation", "test")] == [
                44,
                20,
                10_000,
            ]
            assert (await runs.run_spec(run["id"])).dataset == dataset

    asyncio.run(scenario())
