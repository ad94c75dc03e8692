"""E3: the server is killed under load, again and again. A ledger of what it acknowledged is held against what is there afterwards."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.workers.saving import SAVE_SECONDS
from tests.faults.figures import note
from tests.faults.processes import Served, is_alive, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills with signals, and looks into /proc")

KILLS = 200 if os.environ.get("NABLA_LOAD") == "full" else 25
FEW = 12
PATIENCE = 300.0
BREATH_SECONDS = 0.05
"""Between two wishes of a visitor: commands come before training, so four who never stop would leave the long run no time."""
GONE_SECONDS, START_SECONDS = 2.0, 3.0
SMALL = {
    "dataset": {"name": "plane"},
    "network": [{"type": "dense", "units": 4}, {"type": "tanh"}, {"type": "dense", "units": 2}],
}


@dataclass
class Ledger:
    """What was asked for, by key, and what was answered; a key without an answer may have been carried out or not."""

    made: dict[str, str] = field(default_factory=dict)
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    asked_to_delete: set[str] = field(default_factory=set)
    stepped: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, client: httpx.Client, key: str) -> None:
        with self.lock:
            body = self.asked.setdefault(key, {**SMALL, "name": key, "state": random.choice(["running", "paused"])})
        answer = client.post("/api/runs", json=body, headers={"idempotency-key": key})
        if answer.status_code == 201:
            with self.lock:
                assert self.made.setdefault(key, answer.json()["id"]) == answer.json()["id"], "one key, two runs"
        else:
            assert answer.status_code == 503, answer.text

    def delete(self, client: httpx.Client, key: str) -> None:
        with self.lock:
            self.asked_to_delete.add(key)
        if client.delete(f"/api/runs/{self.made[key]}").status_code in (204, 404):  # now, or before the kill
            with self.lock:
                self.deleted.add(key)

    def thin_out(self, client: httpx.Client) -> None:
        """What is left of earlier rounds goes, all but a few: the long run needs its share of the cores."""
        kept = [key for key in self.made if key not in self.asked_to_delete][:-FEW]
        for key in [*(self.asked_to_delete - self.deleted), *kept]:
            self.delete(client, key)

    def step(self, client: httpx.Client, key: str) -> None:
        answer = client.post(f"/api/runs/{self.made[key]}/steps", json={"count": 5})
        if answer.status_code == 200:
            with self.lock:
                self.stepped[key] = answer.json()["step"]


def work(server: Served, ledger: Ledger, name: str, seed: int, stop: threading.Event) -> None:
    """One visitor in a hurry, until the server is gone."""
    dice = random.Random(seed)
    with server.client as client:
        for number in range(10_000):
            try:
                ledger.create(client, f"{name}-{number}")
                mine = [key for key in list(ledger.made) if key.startswith(name) and key not in ledger.asked_to_delete]
                if len(mine) > 3:
                    ledger.delete(client, dice.choice(mine))
                elif mine and ledger.asked[mine[0]]["state"] == "paused":
                    ledger.step(client, mine[0])
                client.get("/api/runs")
            except httpx.TransportError:
                return
            if stop.wait(BREATH_SECONDS):
                return


def listed(client: httpx.Client) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/api/runs", params={"limit": "100", **cursor}).json()
        runs += page["items"]
        if page["next"] is None:
            return runs
        cursor = {"cursor": page["next"]}


def hold(server: Served, ledger: Ledger) -> None:
    """Everything acknowledged is there, once; what got no answer is asked for again, and is there once, too."""
    with server.client as client:
        for key in ledger.asked.keys() - ledger.made.keys():
            ledger.create(client, key)
        runs = listed(client)
        assert max(Counter(run["id"] for run in runs).values(), default=1) == 1
        names = Counter(run["name"] for run in runs if run["name"] in ledger.asked)
        for key, id in ledger.made.items():
            if key in ledger.deleted:
                assert names[key] == 0, f"{key} was deleted and is back"
            elif key not in ledger.asked_to_delete:
                assert names[key] == 1, f"{key} is there {names[key]} times"
                assert client.get(f"/api/runs/{id}").json()["name"] == key
        for key, step in ledger.stepped.items():
            if key not in ledger.asked_to_delete:
                assert client.get(f"/api/runs/{ledger.made[key]}").json()["step"] >= step, (
                    "a paused run's updates are saved"
                )


@dataclass
class Figures:
    gone: list[float] = field(default_factory=list)
    started: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    saved: list[float] = field(default_factory=list)


def kill(server: Served, folder: Path, long: str, figures: Figures) -> None:
    """Kill it, watch its workers go, and look at what it left, in a copy: the server itself has to put that right."""
    with server.client as client:
        before = client.get(f"/api/runs/{long}").json()["seconds"]
    workers = server.workers()
    assert workers
    server.kill()
    killed = time.monotonic()
    while any(map(is_alive, workers)):
        assert time.monotonic() - killed < 5 * GONE_SECONDS
        time.sleep(0.005)
    figures.gone.append(time.monotonic() - killed)
    copy = folder.parent / "copy"
    copy.mkdir(exist_ok=True)
    for suffix in ("", "-wal"):
        (copy / f"nabla.sqlite3{suffix}").unlink(missing_ok=True)
        if (folder / f"nabla.sqlite3{suffix}").exists():
            shutil.copy(folder / f"nabla.sqlite3{suffix}", copy)
    with sqlite3.connect(copy / "nabla.sqlite3") as left:
        assert left.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert left.execute("PRAGMA foreign_key_check").fetchall() == []
        (saved,) = left.execute(
            "SELECT coalesce(max(seconds), 0) FROM metrics JOIN checkpoints USING (run) JOIN runs ON number = run "
            "WHERE id = ? AND metrics.step <= checkpoints.step",
            (long,),
        ).fetchone()
    left.close()
    figures.lost.append(before - saved)
    figures.saved.append(saved)


def wait(server: Served, ledger: Ledger, long: str, *, creates: int, seconds: float) -> None:
    """Until so many more runs were acknowledged, and the long one has trained so much longer."""
    enough, deadline = len(ledger.made) + creates, time.monotonic() + PATIENCE
    with server.client as client:
        before = client.get(f"/api/runs/{long}").json()["seconds"]
        while len(ledger.made) < enough or client.get(f"/api/runs/{long}").json()["seconds"] < before + seconds:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def kill_again_and_again(tmp_path: Path, times: int, *, clients: int = 4, workers: int = 2) -> Figures:
    folder, ledger, figures, dice = tmp_path / "data", Ledger(), Figures(), random.Random(3)
    long = ""
    for round in range(times + 1):
        with serving("--data", str(folder), "--workers", str(workers), errors=tmp_path / "errors") as server:
            figures.started.append(server.seconds)
            if not long:
                with server.client as client:
                    long = client.post("/api/runs", json={**SMALL, "name": "long"}).json()["id"]
            else:
                hold(server, ledger)
                with server.client as client:
                    ledger.thin_out(client)
                    run = client.get(f"/api/runs/{long}").json()
                    assert run["state"] in ("queued", "running"), run
            if round == times:
                break
            stop = threading.Event()
            crowd = [
                threading.Thread(target=work, args=(server, ledger, f"c{round}x{n}", 100 * round + n, stop))
                for n in range(clients)
            ]
            for each in crowd:
                each.start()
            wait(server, ledger, long, creates=dice.randint(1, 12), seconds=min(2.0, 0.05 + dice.expovariate(4.0)))
            kill(server, folder, long, figures)
            stop.set()
            for each in crowd:
                each.join(30)
            assert "Traceback" not in (told := server.errors.read_text()), f"round {round}: {told[-3000:]}"
    assert len(ledger.made) > times
    assert figures.saved == sorted(figures.saved), "what was saved once is never lost again"
    assert times < 10 or figures.saved[-1] > figures.saved[0], "it gets on from kill to kill"
    return figures


@pytest.mark.faults
def test_a_server_killed_under_load_has_kept_what_it_acknowledged(tmp_path: Path) -> None:
    figures = kill_again_and_again(tmp_path, 1, clients=2, workers=1)
    assert max(figures.lost) <= SAVE_SECONDS + 5.0


@pytest.mark.faults
def test_a_server_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    figures = kill_again_and_again(tmp_path, KILLS)
    note(
        "Server kills",
        f"{KILLS} kills under load: 0 acknowledged runs lost or doubled, every file sound",
        met=True,
    )
    gone, started, lost = max(figures.gone), max(figures.started), max(figures.lost)
    note("Server kills", f"workers gone ≤ {gone:.2f} s", met=gone <= GONE_SECONDS)
    middle = sorted(figures.started)[len(figures.started) // 2]
    note("Server kills", f"listening again after {middle:.1f} s (worst {started:.1f} s)", met=started <= START_SECONDS)
    note(
        "Server kills",
        f"≤ {lost:.1f} s of training lost, of {SAVE_SECONDS:g} s between checkpoints",
        met=lost <= SAVE_SECONDS,
    )
    assert lost <= 2 * SAVE_SECONDS
