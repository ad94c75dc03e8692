"""Workers on two machines of a Ray cluster: one is lost, falls silent or comes back, and no run ends differently.

Both machines are nodes of Ray on this one. To lose a machine is to end everything that runs on it at once.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.services.runs import Runs
from app.settings import Settings
from app.store.database import Database
from app.workers.messages import Compute, Open, Predict, Progress
from app.workers.pool import Pool
from engine.specs import StopSpec
from tests.app.small_runs import small, until, weights
from tests.faults.figures import note

pytest.importorskip("ray", reason="Ray is not installed; `python3 -m tests --cluster` installs it and runs this")

from app.workers import cluster as workers_in_a_cluster  # it needs Ray

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("default"),  # Ray's own are not ours to mend
    pytest.mark.timeout(600),
]

STEPS = int(os.environ.get("CLUSTER_STEPS", 12_000))
LOAD_SECONDS = float(os.environ.get("CLUSTER_SECONDS", 10))
RUNS, OWNERS = 24, 12
START_SECONDS = 180
NOTICED, RESUMED = 5.0, 10.0
"""Seconds that are promised when a machine is lost, on one that does nothing else."""
SILENT = workers_in_a_cluster.SILENCE_SECONDS + 2.0


class Machines:
    """A cluster of two nodes with one core each; the server belongs to the first."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        self.second = self.cluster.add_node(num_cpus=1)

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def of_second(self) -> list[int]:
        """Every process of the second machine."""
        mine = [info.process.pid for each in self.second.all_processes.values() for info in each]
        return [pid for parent in mine for pid in [parent, *descendants(parent)]]

    def signal_second(self, number: signal.Signals) -> None:
        for pid in self.of_second():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def replace_second(self) -> None:
        self.cluster.remove_node(self.second, allow_graceful=False)
        self.second = self.cluster.add_node(num_cpus=1)


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    os.environ |= {
        "RAY_worker_niceness": "0",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    } | workers_in_a_cluster.QUIET
    made = Machines()
    yield made
    made.cluster.shutdown()


def descendants(pid: int) -> list[int]:
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
    ]
    return [each for child in children for each in [child, *descendants(child)]]


@asynccontextmanager
async def service(folder: Path, address: str | None, workers: int = 2) -> AsyncIterator[Runs]:
    """With workers of the cluster at `address`, or of this machine."""
    settings = Settings(data=folder, workers=workers, cluster=address)
    runs = Runs(Pool(settings), Database(folder), settings)
    await runs.start()
    try:
        await all_ready(runs)
        yield runs
    finally:
        await runs.close()


async def all_ready(runs: Runs) -> None:
    async with asyncio.timeout(START_SECONDS):
        while not all(link.ready for link in runs._pool.workers):
            await asyncio.sleep(0.01)


def held(runs: Runs, id: str) -> Any:
    return runs._live.peek(id)


async def slot_of_second(runs: Runs, machines: Machines) -> int:
    """Which worker is on the second machine."""
    there = set(machines.of_second())
    slots = []
    for slot, link in enumerate(runs._pool.workers):
        pool = runs._pool
        pool.settle("probe", f"probe of {slot}")
        pool._homes["probe"] = slot
        if await pool.ask(Compute(function=os.getpid, arguments=(), owner=f"probe of {slot}")) in there:
            slots.append(slot)
        pool.forget("probe")
        assert link.is_placed
    assert len(slots) == 1, "one worker on each machine"
    return slots[0]


async def lose(runs: Runs, machines: Machines, number: signal.Signals) -> tuple[float, float]:
    """The second machine gets the signal; seconds until that is noticed, and until all its runs train again."""
    slot = await slot_of_second(runs, machines)
    victim = runs._pool.workers[slot]
    there = [id for id, home in runs._pool._homes.items() if home == slot]
    assert 0 < len(there) < len(runs._pool.settled), "runs on both machines"
    before = {id: held(runs, id).channel.run["generation"] for id in there}
    machines.signal_second(number)
    begun = time.monotonic()
    async with asyncio.timeout(60):
        while not victim.ended:
            await asyncio.sleep(0.001)
        noticed = time.monotonic() - begun
        for id in there:
            while not trains_again(held(runs, id), before[id]):
                await asyncio.sleep(0.001)
            assert held(runs, id).restored_at > 0, "from what was saved, not from the beginning"
    return noticed, time.monotonic() - begun


def is_saved(folder: Path) -> bool:
    """Whether the server has a checkpoint that is not of the beginning."""
    return any(path.name != "recorder-0.json" for path in folder.glob("recorder-*.json"))


def trains_again(run: Any, generation: int) -> bool:
    now = run.channel.run
    return now["generation"] > generation and run.opening is None and now["step"] > run.restored_at


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["lost", "silent"])
def test_the_runs_of_a_lost_machine_go_on_elsewhere_to_the_same_end(
    machines: Machines, tmp_path: Path, number: signal.Signals
) -> None:
    specs = [small(seed=seed, stop=StopSpec(steps=STEPS)) for seed in (1, 2, 3, 4)]

    async def undisturbed() -> list[tuple[str, Any]]:
        async with service(tmp_path / "here", None) as runs:
            ids = [(await runs.create(spec))["id"] for spec in specs]
            for id in ids:
                await until(runs, id, lambda run: run["state"] == "finished", 200)
            return [(await weights(runs, id), await runs.metrics(id)) for id in ids]

    async def disturbed() -> tuple[list[tuple[str, Any]], float, float]:
        async with service(tmp_path / "there", machines.address) as runs:
            ids = [(await runs.create(spec))["id"] for spec in specs]
            for id in ids:
                await until(runs, id, lambda run: is_saved(tmp_path / "there" / "checkpoints" / run["id"]), 200)
            noticed, resumed = await lose(runs, machines, number)
            machines.replace_second()
            await all_ready(runs)  # the worker without a machine finds the new one
            for id in ids:
                await until(runs, id, lambda run: run["state"] == "finished", 200)
            return [(await weights(runs, id), await runs.metrics(id)) for id in ids], noticed, resumed

    expected = asyncio.run(undisturbed())
    ended, noticed, resumed = asyncio.run(disturbed())
    for (numbers, points), (same_numbers, same_points) in zip(ended, expected, strict=True):
        assert numbers == same_numbers
        for column in ("step", "train_loss", "test_accuracy"):
            assert points[column] == same_points[column]
    how, bound = ("killed", NOTICED) if number == signal.SIGKILL else ("cut off", SILENT)
    met = noticed <= bound and resumed <= bound + RESUMED - NOTICED
    note(
        "Cluster",
        f"one of two nodes {how}: noticed after {noticed:.1f} s, its runs trained again after {resumed:.1f} s, "
        f"{len(ended)} of {len(ended)} runs ended bit-identical",
        met=met,
    )
    print(f"{how}: noticed {noticed:.2f} s, resumed {resumed:.2f} s")


def test_a_worker_that_dies_there_is_as_well_known_as_one_here(machines: Machines, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, machines.address) as runs:
            id = (await runs.create(small()))["id"]
            await until(runs, id, lambda run: run["step"] > 100)
            run, deaths = held(runs, id), []
            bury = runs._pool._on_death
            runs._pool._on_death = lambda death: (deaths.append(death), bury(death))
            slot = runs._pool._homes[id]
            pool = runs._pool
            pool._homes["probe"], pool._owners["probe"] = slot, "probe"
            pid = await pool.ask(Compute(function=os.getpid, arguments=(), owner="probe"))
            pool.forget("probe")
            generation = run.channel.run["generation"]
            os.kill(pid, signal.SIGSEGV)
            async with asyncio.timeout(60):
                while not trains_again(run, generation):
                    await asyncio.sleep(0.01)
            assert "SIGSEGV" in deaths[0].exit.message
            assert deaths[0].culprit in (id, None)
            await runs.delete(id)
            assert not (tmp_path / "checkpoints" / id).exists()

    asyncio.run(scenario())


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere", "10.0.0.5:many"])
def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path, address: str) -> None:
    command = [sys.executable, "-m", "app", "--port", "0", "--data", str(tmp_path), "--cluster", address]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"There is no Ray cluster at {address}.")
    assert len(result.stderr.splitlines()) == 1


async def class_load(folder: Path, address: str | None) -> dict[str, float]:
    """Small runs of several owners for some seconds, and a prediction fifty times a second."""
    steps: dict[str, int] = {}

    def fold(notification: Any) -> None:
        if isinstance(notification, Progress):
            steps[notification.run] = notification.snapshot["step"]

    pool = Pool(Settings(data=folder, workers=2, cluster=address))
    await pool.start(fold, lambda death: pytest.fail(death.exit.message))
    try:
        async with asyncio.timeout(START_SECONDS):
            while not all(link.ready for link in pool.workers):
                await asyncio.sleep(0.01)
        runs = [f"run{number}" for number in range(RUNS)]
        for number, run in enumerate(runs):
            owner = f"owner{number % OWNERS}"
            pool.settle(run, owner)
            await pool.ask(Open(run=run, spec=small(seed=number), state="running", sentence="", owner=owner))
        dice, waits = random.Random(1), []
        before, begun = dict(steps), time.monotonic()
        while (seconds := time.monotonic() - begun) < LOAD_SECONDS:
            asked = time.monotonic()
            await pool.ask(Predict(run=dice.choice(runs), inputs=[[[0.5] * 12] * 12]))
            waits.append(time.monotonic() - asked)
            await asyncio.sleep(max(0.0, 0.02 - waits[-1]))
        done = [steps[run] - before.get(run, 0) for run in runs]
        waits.sort()
        return {
            "updates a second": sum(done) / seconds,
            "p50": 1000 * waits[len(waits) // 2],
            "p95": 1000 * waits[int(len(waits) * 0.95)],
            "jain": sum(done) ** 2 / (len(done) * sum(count**2 for count in done)),
        }
    finally:
        await pool.close()


def test_a_class_is_served_there_as_it_is_here(machines: Machines, tmp_path: Path) -> None:
    here = asyncio.run(class_load(tmp_path / "here", None))
    there = asyncio.run(class_load(tmp_path / "there", machines.address))
    for name, seen in (("this machine's pool", here), ("two nodes of Ray", there)):
        words = (
            f"{RUNS} runs of {OWNERS} owners for {LOAD_SECONDS:.0f} s, {name}: {seen['updates a second']:,.0f} updates/s, "
            f"predictions p50 {seen['p50']:.1f} ms, p95 {seen['p95']:.1f} ms, Jain {seen['jain']:.3f}"
        )
        note("Cluster", words, met=seen["jain"] >= 0.95 and seen["p95"] <= 100)
        print(words)
    assert here["jain"] > 0.5
    assert there["jain"] > 0.5
    assert there["updates a second"] > here["updates a second"] / 5


def test_the_server_stops_there_as_it_does_here_and_keeps_the_terminal_clean(
    machines: Machines, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "app", "--port", "0", "--data", str(tmp_path), "--cluster", machines.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        line = server.stdout.readline()
        assert "http://localhost:" in line, server.stderr.read()
        url = line.split()[3]
        with httpx.Client(base_url=url, timeout=60) as nabla:
            id = nabla.post("/api/runs", json={"preset": "digits-quick"}).json()["id"]
            while nabla.get(f"/api/runs/{id}").json()["step"] < 10:
                time.sleep(0.05)
        server.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        out, errors = server.communicate(timeout=60)
        seconds = time.monotonic() - begun
    assert server.returncode == 0
    assert out == ""
    assert [line for line in errors.splitlines() if "nabla.watchdog" not in line] == [], "a busy machine is not Ray's"
    assert (tmp_path / "checkpoints" / id / "run.checkpoint").stat().st_size > 1000
    note("Cluster", f"SIGTERM: exit code 0 after {seconds:.1f} s", met=seconds <= 5)
    print(f"stopped after {seconds:.2f} s")
