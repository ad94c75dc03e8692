"""MNIST's files damaged in twelve ways: the app starts, says what is wrong with the digits, and points train as ever."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from engine.datasets.mnist import FOLDER
from tests.browser.server import ROOT, START_SECONDS, Server
from tests.faults.figures import note

MAIN = "import sys; from app.serve import serve; from app.settings import Settings; sys.exit(serve(Settings.from_command_line(sys.argv[1:])))"
IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def header(*sizes: int, kind: int = 8, zero: int = 0) -> bytes:
    return struct.pack(f">HBB{len(sizes)}I", zero, kind, len(sizes), *sizes)


def with_header(head: bytes) -> Callable[[bytes], bytes]:
    return lambda whole: head + whole[len(head) :]


DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "empty": (IMAGES, lambda _: b"", "expected 7,840,016 bytes, found 0"),
    "three bytes": (IMAGES, lambda whole: whole[:3], "expected 7,840,016 bytes, found 3"),
    "wrong magic": (IMAGES, with_header(header(10_000, 28, 28, zero=1)), "does not begin as"),
    "floats": (IMAGES, with_header(header(10_000, 28, 28, kind=13)), "does not begin as"),
    "gzip in its place": (LABELS, lambda whole: gzip.compress(whole), "expected 10,008 bytes"),
    "sizes beyond all": (IMAGES, with_header(header(2**32 - 1, 2**32 - 1, 28)), "does not begin as"),
    "cut short": (IMAGES, lambda whole: whole[:-1], "found 7,840,015"),
    "a tail": (LABELS, lambda whole: whole + b"\0", "found 10,009"),
    "labels beyond nine": (LABELS, lambda whole: whole[:-1] + b"\xff", "holds the label 255"),
    "fewer than it says": (LABELS, with_header(header(9_999)), "does not begin as"),
    "of two dimensions": (IMAGES, with_header(header(10_000, 784)), "does not begin as"),
    "all zeros": (LABELS, lambda whole: bytes(len(whole)), "does not begin as"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with a folder of digits of its own, whose files are those that are installed."""
    folder = tmp_path_factory.mktemp("program")
    for part in ("app", "engine", "templates", "static"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("_data", "__pycache__"))
    (folder / "engine/_data/mnist").mkdir(parents=True)
    return folder


@contextmanager
def serving(copy: Path, data: Path) -> Iterator[httpx.Client]:
    """Without what `python3 -m app` sets up first: the packages are there."""
    arguments = ["--port", "0", "--data", str(data), "--workers", "1"]
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(process)
    threading.Thread(target=server.read, daemon=True).start()
    try:
        assert server.listening.wait(START_SECONDS)
        assert server.url, server.lines
        with httpx.Client(base_url=server.url, timeout=60) as client:
            yield client
        assert process.poll() is None
        assert not [line for line in server.lines if "Traceback" in line], server.lines
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize(
    "damage", [pytest.param(name, marks=() if name == "cut short" else pytest.mark.faults) for name in DAMAGES]
)
def test_the_digits_say_what_is_wrong_and_the_rest_works(damage: str, copy: Path, tmp_path: Path) -> None:
    file, change, said = DAMAGES[damage]
    folder = copy / "engine/_data/mnist"
    for each in FOLDER.iterdir():
        (folder / each.name).unlink(missing_ok=True)
        (folder / each.name).symlink_to(each)
    (folder / file).unlink()
    (folder / file).write_bytes(change((FOLDER / file).read_bytes()))
    with serving(copy, tmp_path) as client:
        while client.get("/api/health").json()["workers"] < 1:  # else a run is answered as queued
            pass
        assert said in client.get("/api/datasets/mnist").json()["problem"]
        for refused in (
            client.post("/api/runs", json={"preset": "digits-quick"}),
            client.get("/api/datasets/mnist/examples?split=test"),
        ):
            assert refused.json()["code"] in ("damaged_dataset", "dataset_unavailable"), refused.text
            assert ("retry-after" in refused.headers) == (refused.status_code == 503)
            assert refused.json()["detail"].startswith(file), refused.text
            assert said in refused.json()["detail"]
        assert client.get("/api/runs").json()["items"] == [], "a run that cannot be is not kept"
        for page in ("/", "/plane", "/runs", "/labs", "/labs/gradient", "/limits"):
            assert client.get(page).status_code == 200, page
        run = client.post("/api/runs", json={"preset": "circle", "state": "paused"}).json()["id"]
        assert client.post(f"/api/runs/{run}/steps", json={"count": 5}).json()["step"] == 5
        drawn = client.post("/api/drawings", json={"label": 3, "ink": [[0.0] * 14 + [1.0] * 14] * 28})
        assert drawn.status_code == 201, drawn.text
    note("Files", f"MNIST's files, {damage}: told, and points train", met=True)


def test_there_are_twelve_damages() -> None:
    assert len(DAMAGES) == 12
