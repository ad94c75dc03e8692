"""Files that are no networks, or that somebody has changed: a network that works, or a refusal that leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import formats
from engine.formats import convnetjs, native, safetensors
from engine.presets import PRESETS
from engine.specs import SGD, BatchNormalization, Conv2D, Dense, MaxPool2D, MnistSpec, ReLU, RunSpec
from engine.trainer import TrainerState, fresh_state
from tests.faults.figures import note
from tests.faults.mutations import mutated
from tests.faults.routes import NETWORK, upload
from tests.faults.served import Served, served

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]
SEEDS = range(4)
"""Printed with every failure; a mutation follows from seed and place alone."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def states() -> Iterator[TrainerState]:
    images = RunSpec(
        dataset=MnistSpec(train_size=600, validation_size=100, crop=12, test_crops=1),
        network=(Conv2D(filters=2, kernel_size=3), ReLU(), MaxPool2D(), Dense(units=10)),
        optimizer=SGD(learning_rate=0.1),
    )
    yield fresh_state(images)
    yield fresh_state(RunSpec(dataset=images.dataset, network=(BatchNormalization(), Dense(units=10))))
    yield fresh_state(PRESETS["circle"].spec)


def originals() -> list[bytes]:
    """A valid file of each format that is read, of pictures and of points."""
    pictures, normalised, points = states()
    return [
        native.dump(pictures),
        native.dump(points),
        native.dump(normalised),
        convnetjs.dump(pictures),
        safetensors.dump(pictures),
        safetensors.dump(normalised),
        safetensors.dump(points),
        NETWORK,
    ]


def test_the_files_are_valid_before_they_are_changed() -> None:
    for original in originals():
        formats.read_model(original)


@pytest.mark.parametrize(
    "count", [pytest.param(60, id="some"), pytest.param(2_000, id="all", marks=pytest.mark.faults)]
)
async def test_a_changed_file_is_refused_whole_or_a_network_that_works(count: int, tmp_path: Path) -> None:
    files = originals()
    taken = 0
    async with served(tmp_path) as nabla:
        before = await nabla.rows()
        for place in range(count):
            seed = f"{SEEDS[place % len(SEEDS)]}.{place}"
            chance = random.Random(seed)
            document = mutated(files[place % len(files)], chance)
            answer = await nabla.client.post("/api/models", content=document, headers=kind_of(document))
            if answer.status_code == 201:
                taken += 1
                await works(nabla, answer.json()["id"], seed)
            else:
                assert answer.status_code == 422, (seed, answer.text)
                assert answer.json()["detail"].endswith((".", "?")), seed
                assert len(answer.content) < 2_000, seed
            assert await nabla.rows() == before, seed
        assert (await nabla.client.get("/api/health")).json()["workers"] == 1
    note("Files", f"{count:,} mutated networks: {count - taken:,} refused whole, {taken:,} taken and work", met=True)


def kind_of(document: bytes) -> dict[str, str]:
    return {"content-type": "application/json" if document[:1] == b"{" else "application/octet-stream"}


async def works(nabla: Served, run: str, seed: str) -> None:
    """It makes an update and says what it is, and goes again without a trace."""
    stepped = await nabla.client.post(f"/api/runs/{run}/steps", json={"count": 1})
    assert stepped.status_code in (200, 409), (seed, stepped.text)
    assert (await nabla.client.get(f"/api/runs/{run}")).status_code == 200, seed
    assert (await nabla.client.delete(f"/api/runs/{run}")).status_code == 204, seed


class Bomb:
    """Touches a file when a pickle of it is loaded."""

    def __init__(self, sentinel: str) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.sentinel, "w")


def other_files(sentinel: Path) -> dict[str, bytes]:
    """By what they are; several would do harm to whoever opened them."""
    npz, archive = io.BytesIO(), io.BytesIO()
    np.savez_compressed(npz, parameters=np.zeros(10**6, np.float32))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("../../model.json", b"0" * 10**7)
    whole = native.dump(next(states()))
    return {
        "pickle": pickle.dumps(Bomb(str(sentinel))),
        "pickle, old": pickle.dumps(Bomb(str(sentinel)), protocol=0),
        "npy with a pickle": npy(Bomb(str(sentinel))),
        "npz": npz.getvalue(),
        "zip": archive.getvalue(),
        "gzip of a network": gzip.compress(whole),
        "gzip bomb": gzip.compress(b"0" * 10**7),
        "PNG": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "JPEG": b"\xff\xd8\xff\xe0" + bytes(100),
        "PDF": b"%PDF-1.7\n" + bytes(100),
        "ELF": b"\x7fELF" + bytes(100),
        "EXE": b"MZ" + bytes(100),
        "SQLite": b"SQLite format 3\x00" + bytes(100),
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "tar": b"model.json".ljust(257, b"\0") + b"ustar" + bytes(250),
        "HTML": b"<!doctype html><script>1</script>",
        "YAML": b"!!python/object/apply:os.system ['touch x']",
        "Python": b"import os\nos.system('touch x')",
        "JavaScript": b"layer_defs = [{type:'input'}]; require('fs').writeFileSync('x', '')",
        "JavaScript with a loop": b"layer_defs = []; while (true) {}",
        "XML with entities": b'<!DOCTYPE x [<!ENTITY a "&b;&b;">]><x>&a;</x>',
        "empty": b"",
        "zeros": bytes(1_000),
        "UTF-16": json.dumps({"format": "nabla"}).encode("utf-16"),
        "deep, 900": b"[" * 900 + b"]" * 900,
        "deep, 1,000": b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
        "deep, 100,000": b'{"layers":' * 100_000 + b"1" + b"}" * 100_000,
        "deep, open": b'{"layers":[' + b"[" * 100_000,
        "many keys": b"{" + b",".join(b'"k%d":1' % i for i in range(100_000)) + b"}",
        "digits": b'{"layers":[' + b"9" * 1_000_000 + b"]}",
        "declared shape": whole.replace(b'"shape"', b'"shape": [1000000000], "was"', 1),
    }  # fmt: skip


def npy(value: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([value], dtype=object), allow_pickle=True)
    return file.getvalue()


async def test_files_of_other_programs_are_not_opened(tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    async with served(tmp_path / "data") as nabla:
        before = await nabla.rows()
        for what, content in other_files(sentinel).items():
            for media_type in ("application/json", "application/octet-stream", "text/plain"):
                answer = await nabla.client.post("/api/models", content=content, headers={"content-type": media_type})
                assert answer.status_code == 422, (what, media_type, answer.text)
                assert answer.json()["detail"].endswith((".", "?")), what
            for name in ("model.json", "model.pkl", "model.npz", "x.safetensors"):
                kind, body = upload("file", name, content)
                answer = await nabla.client.post("/models", content=body, headers={"content-type": kind})
                assert answer.status_code == 422, (what, name, answer.text)
            kind, body = upload("reports", "report.json", content)
            assert (
                await nabla.client.post("/labs/verify", content=body, headers={"content-type": kind})
            ).status_code == 200
            kind, body = upload("file", "points.csv", content)
            assert (
                await nabla.client.post("/plane/csv", content=body, headers={"content-type": kind})
            ).status_code == 200
        for media_type in ("application/zip", "application/x-npz", "application/python-pickle", "image/png", ""):
            headers = {"content-type": media_type} if media_type else {}
            assert (await nabla.client.post("/api/models", content=b"PK", headers=headers)).status_code == 415
        assert await nabla.rows() == before
    assert not sentinel.exists()
    pickle.loads(other_files(sentinel)["pickle"]).close()
    assert sentinel.exists(), "it would have been touched"
