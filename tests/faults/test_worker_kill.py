"""Workers end in every way at any moment: it is noticed, their runs go on elsewhere, and all ends as if it had not been."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.errors import Problem
from app.services.runs import Runs
from app.workers.exits import classify
from engine.specs import StopSpec
from tests.app.small_runs import service, small, until, weights
from tests.faults import poison
from tests.faults.figures import note

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills with signals")

KILLS = 200 if os.environ.get("NABLA_LOAD") == "full" else 25
"""`python3 -m tests --faults --full` for all."""
KILLS_EACH = 4
STEPS = 5_000
SEEDS = (1, 2, 3, 4)

NOTICED, RESUMED = 2.0, 5.0
"""Seconds that are promised, on a machine that does nothing else."""


def link(runs: Runs, slot: int) -> Any:
    return runs._pool.workers[slot]


async def by_signal(runs: Runs, slot: int, number: signal.Signals) -> None:
    os.kill(link(runs, slot).process.pid, number)


async def from_within(runs: Runs, slot: int, function: Callable[..., Any], *arguments: Any) -> None:
    """One of its runs does it, in the middle of a task."""
    id = next(id for id, home in runs._pool._homes.items() if home == slot)
    asking = asyncio.ensure_future(runs.look(id, function, arguments))
    asking.add_done_callback(lambda asked: None if asked.cancelled() else asked.exception())


WAYS: dict[str, Callable[[Runs, int], Awaitable[None]]] = {
    "SIGKILL": lambda runs, slot: by_signal(runs, slot, signal.SIGKILL),
    "SIGSEGV": lambda runs, slot: by_signal(runs, slot, signal.SIGSEGV),
    "SIGABRT": lambda runs, slot: by_signal(runs, slot, signal.SIGABRT),
    "os._exit": lambda runs, slot: from_within(runs, slot, poison.leave, 7),
    "sys.exit": lambda runs, slot: from_within(runs, slot, poison.resign, 3),
    "crash": lambda runs, slot: from_within(runs, slot, poison.crash),
}


@dataclass
class Seen:
    """Seconds, over all kills."""

    noticed: list[float] = field(default_factory=list)
    resumed: list[float] = field(default_factory=list)
    ways: Counter[str] = field(default_factory=Counter)


async def kill(runs: Runs, slot: int, way: str, seen: Seen) -> None:
    """End a worker; then wait until each run that trained there trains again. Those of the other worker hear nothing."""
    victim, pool = link(runs, slot), runs._pool
    here = [id for id, home in pool._homes.items() if home == slot and held(runs, id).state == "running"]
    elsewhere = {id: held(runs, id).channel.run["generation"] for id, home in pool._homes.items() if home != slot}
    await WAYS[way](runs, slot)
    begun = time.monotonic()
    async with asyncio.timeout(120):
        while victim.process.is_alive():
            await asyncio.sleep(0.001)
        died = time.monotonic()
        while link(runs, slot) is victim:
            await asyncio.sleep(0.001)
        seen.noticed.append(time.monotonic() - died)
        standing = {id: held(runs, id).channel.run["step"] for id in here}
        while any(goes_on(runs, id, standing) is False for id in here):
            await asyncio.sleep(0.002)
        seen.resumed.append(time.monotonic() - died)
    seen.ways[way] += 1
    assert died - begun < 20
    for id, generation in elsewhere.items():
        assert held(runs, id).channel.run["generation"] == generation, "it was not its worker that died"


def held(runs: Runs, id: str) -> Any:
    one = runs._live.peek(id)
    assert one is not None
    return one


def goes_on(runs: Runs, id: str, standing: dict[str, int]) -> bool:
    """Whether it has made an update since it was restored."""
    run = held(runs, id).channel.run
    if runs._pool.is_settled(id) and held(runs, id).opening is None:
        standing[id] = min(standing[id], held(runs, id).restored_at)
    return run["state"] in ("finished", "worker-crashed") or (
        held(runs, id).opening is None and run["step"] > held(runs, id).restored_at
    )


async def rest(runs: Runs, ids: list[str], dice: random.Random) -> None:
    """A random while; and until no run would be taken for the cause of the next end, too."""
    await asyncio.sleep(0.5 * dice.random())
    async with asyncio.timeout(120):
        while any(held(runs, id).deaths >= 2 for id in ids):
            await asyncio.sleep(0.005)


async def killed_again_and_again(folder: Path, kills: int, seen: Seen) -> None:
    dice = random.Random(4)
    async with service(folder, workers=2) as runs:
        specs = [small(seed=seed, stop=StopSpec(steps=STEPS)) for seed in SEEDS]
        undisturbed = [(await runs.create(spec))["id"] for spec in specs]
        for id in undisturbed:
            await until(runs, id, lambda run: run["state"] == "finished", 120)
        expected = [(await weights(runs, id), await curves(runs, id)) for id in undisturbed]
        while seen.ways.total() < kills:
            disturbed = [(await runs.create(spec))["id"] for spec in specs]
            for _ in range(min(KILLS_EACH, kills - seen.ways.total())):
                await rest(runs, disturbed, dice)
                slots = {runs._pool._homes[id] for id in disturbed if held(runs, id).state == "running"}
                if slots:
                    await kill(runs, dice.choice(sorted(slots)), dice.choice(sorted(WAYS)), seen)
            for id, (numbers, points) in zip(disturbed, expected, strict=True):
                run = await until(runs, id, lambda run: run["state"] != "running", 120)
                assert (run["state"], run["step"]) == ("finished", STEPS)
                assert await weights(runs, id) == numbers
                assert await curves(runs, id) == points
                await runs.delete(id)


async def curves(runs: Runs, id: str) -> list[Any]:
    points = await runs.metrics(id)
    return [points[name] for name in ("step", "examples", "train_loss", "validation_accuracy", "test_loss")]


@pytest.mark.faults
@pytest.mark.timeout(3_600)
def test_workers_end_in_every_way_at_any_moment_and_nothing_is_different_in_the_end(tmp_path: Path) -> None:
    seen = Seen()
    asyncio.run(killed_again_and_again(tmp_path, KILLS, seen))
    ways = ", ".join(f"{count} by {way}" for way, count in sorted(seen.ways.items()))
    note(
        "Worker kills",
        f"{seen.ways.total()} ends at random moments ({ways}): noticed ≤ {max(seen.noticed):.2f} s, "
        f"runs train again ≤ {max(seen.resumed):.1f} s, weights and curves bit-identical",
        met=max(seen.noticed) <= NOTICED and max(seen.resumed) <= RESUMED,
    )
    assert seen.ways.total() == KILLS
    assert max(seen.noticed) <= 5 * NOTICED
    assert max(seen.resumed) <= 5 * RESUMED


@pytest.mark.faults
def test_a_run_that_crashes_its_worker_is_set_aside_and_those_beside_it_end_as_if_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is really its own crash, in compiled code, each time it is started again."""
    monkeypatch.setattr("app.workers.links.main", poison.main)

    async def scenario() -> None:
        async with service(tmp_path) as runs:
            innocent = [(await runs.create(small(seed=seed, stop=StopSpec(steps=800))))["id"] for seed in (1, 2)]
            bad = (await runs.create(small(name="poison")))["id"]
            run = await until(runs, bad, lambda run: run["state"] == "worker-crashed", 60)
            assert "SIGSEGV" in run["sentence"]
            assert "3 times in a row" in run["sentence"]
            for id in innocent:
                await until(runs, id, lambda run: run["state"] == "finished", 60)
                assert held(runs, id).deaths == 0, "no other run was taken for the cause"
            alone = [(await runs.create(small(seed=seed, stop=StopSpec(steps=800))))["id"] for seed in (1, 2)]
            for id, other in zip(innocent, alone, strict=True):
                await until(runs, other, lambda run: run["state"] == "finished", 60)
                assert await weights(runs, id) == await weights(runs, other)

    asyncio.run(scenario())


@pytest.mark.faults
def test_an_end_from_within_is_told_in_words(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small(), state="paused"))["id"]
            for number, (way, arguments, words) in enumerate(
                [
                    (poison.leave, (7,), "exit code 7"),
                    (poison.resign, (3,), "exit code 3"),
                    (poison.crash, (), "SIGSEGV"),
                ]
            ):
                victim = link(runs, 0)
                with pytest.raises(Problem, match="ended before it answered"):
                    await runs.look(id, way, arguments)
                assert words in classify(victim.process.exitcode, hung=False).message
                assert (await runs.step(id, 1))["step"] == number + 1

    asyncio.run(scenario())
