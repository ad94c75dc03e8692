"""Many runs in one worker: equal shares for all owners, and quick answers beside them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from statistics import quantiles
from typing import Any

import pytest

from app.settings import Settings
from app.workers.desk import Desk
from app.workers.live_run import LiveRun
from app.workers.messages import (
    Answer,
    Change,
    Command,
    Compute,
    Evaluate,
    Look,
    Notification,
    Open,
    Predict,
    Progress,
    ReadLayer,
    Request,
    Shutdown,
    Step,
)
from app.workers.pool import Pool
from app.workers.tasks import URGENT_SECONDS
from engine.datasets.mnist import load_mnist
from engine.specs import Conv2D, Dense
from engine.trainer import Trainer
from tests.app.small_runs import small
from tests.app.test_scheduler import BATCH, Bench
from tests.faults.figures import note


class Clock:
    """Time passes only where somebody works."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, bench: Bench, end: float) -> None:
        self.now, self.costs, self.had = 0.0, defaultdict[str, float](lambda: 0.01), Counter[str]()
        self.end, self.bench = end, bench
        work = LiveRun.work

        def timed(run: LiveRun, seconds: float) -> None:
            work(run, seconds)
            self.pass_by(run.id, self.costs[run.id])

        monkeypatch.setattr(LiveRun, "work", timed)
        monkeypatch.setattr("app.workers.scheduler.monotonic", lambda: self.now)
        for module in ("scheduler", "live_run", "errand", "tasks"):
            monkeypatch.setattr(f"app.workers.{module}.thread_time", lambda: self.now)

    def pass_by(self, id: str, seconds: float) -> None:
        self.had[id] += seconds  # type: ignore[assignment]
        self.now += seconds
        if self.now >= self.end:
            self.bench.inbox.put(Shutdown())


def test_an_owner_of_many_runs_and_errands_has_one_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    clock = Clock(monkeypatch, bench, end=6.0)

    def work() -> Any:
        for _ in range(1_000):
            clock.pass_by("errand", 0.01)
            yield

    for owner, runs in {"a": "a", "b": "bcdefg", "h": "h"}.items():
        for run in runs:
            bench.ask(Open(run=run, spec=small(), state="running", sentence="", owner=owner))
    bench.ask(Compute(function=work, arguments=(), owner="b"))
    bench.scheduler.run()
    of_b = {id: clock.had[id] for id in ["b", "c", "d", "e", "f", "g", "errand"]}
    assert abs(clock.had["a"] - clock.had["h"]) < 0.1
    assert 0 < sum(of_b.values()) - clock.had["a"] < URGENT_SECONDS + 0.15, "the beginning of the errand came first"
    errand = of_b.pop("errand")
    assert max(of_b.values()) - min(of_b.values()) < 0.15
    assert errand - max(of_b.values()) < URGENT_SECONDS + 0.15


def test_a_network_whose_update_takes_long_gets_no_more_than_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    clock = Clock(monkeypatch, bench, end=12.0)
    clock.costs["slow"] = 0.8
    for run in ["slow", "a", "b", "c"]:
        bench.ask(Open(run=run, spec=small(), state="running", sentence="", owner=run))
    bench.scheduler.run()
    assert max(clock.had.values()) - min(clock.had.values()) < 1


class Watched(SimpleQueue[object]):
    """Commands come in as time passes."""

    def __init__(self, clock: Callable[[], float], plan: dict[float, list[Request]]) -> None:
        super().__init__()
        self.clock, self.plan = clock, plan

    def _arrive(self) -> None:
        for moment in [moment for moment in self.plan if moment <= self.clock()]:
            for request in self.plan.pop(moment):
                self.put(request)

    def get_nowait(self) -> object:
        self._arrive()
        return super().get_nowait()

    def empty(self) -> bool:
        self._arrive()
        return super().empty()


def test_a_step_waits_for_no_round_and_an_evaluation_takes_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 others train; a step is answered at once, ten thousand pictures are judged little by little."""
    bench = Bench(tmp_path)
    clock = Clock(monkeypatch, bench, end=5.0)
    answered: dict[int, float] = {}

    def send(notification: Notification) -> None:
        bench.sent.append(notification)
        if isinstance(notification, Answer):
            answered[notification.number] = clock.now

    bench.scheduler._send = bench.scheduler.desk._send = send

    def long(_: Any) -> Any:
        for _ in range(200):
            clock.pass_by("long", 0.005)
            yield

    for number in range(60):
        bench.ask(Open(run=f"r{number}", spec=small(), state="running", sentence="", owner=f"o{number}"))
    bench.ask(Open(run="mine", spec=small(), state="paused", sentence="", owner="me"))
    bench.ask(Open(run="long", spec=small(), state="paused", sentence="", owner="them"))
    inbox = Watched(
        lambda: clock.now,
        {
            1.0: [Request(1001, Look(run="long", function=long))],
            2.0: [Request(1002, Step(run="mine", count=5)), Request(1003, Predict(run="mine", inputs=BATCH))],
            2.01: [
                Request(1004, Look(run="mine")),
                Request(1005, ReadLayer(run="mine", index=0, what=frozenset(), example=None)),
            ],
        },
    )
    while not bench.inbox.empty():
        inbox.put(bench.inbox.get())
    bench.inbox = bench.scheduler._inbox = inbox
    bench.scheduler.run()
    assert 1001 not in answered
    assert 0.4 < clock.had["long"] < 0.7, "its beginning by what was spared and a tenth of the time, then a 61st"
    assert max(answered[number] for number in (1002, 1003)) <= 2.06
    assert max(answered[number] for number in (1004, 1005)) <= 2.06


def test_who_floods_a_worker_with_commands_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 predictions of one owner wait; another's is answered at once, and the runs train on."""
    bench = Bench(tmp_path)
    clock = Clock(monkeypatch, bench, end=4.0)
    answered: dict[int, float] = {}

    def predict(*_: Any) -> None:
        clock.pass_by("commands", 0.01)

    def send(notification: Notification) -> None:
        if isinstance(notification, Answer):
            answered[notification.number] = clock.now

    bench.scheduler._send = send
    monkeypatch.setattr("app.workers.desk.readings.predict", predict)
    for run in ("flooder", "other", "third"):
        bench.ask(Open(run=run, spec=small(), state="running", sentence="", owner=run))
    inbox = Watched(
        lambda: clock.now,
        {
            1.0: [Request(number, Predict(run="flooder")) for number in range(100, 2_100)],
            1.5: [Request(50, Predict(run="other"))],
            2.5: [Request(51, Predict(run="other"))],
        },
    )
    while not bench.inbox.empty():
        inbox.put(bench.inbox.get())
    bench.inbox = bench.scheduler._inbox = inbox
    bench.scheduler.run()
    during = [moment for number, moment in answered.items() if number >= 100 and 1.0 < moment < 4.0]
    assert 0.25 < 0.01 * len(during) < 0.25 + 0.1 * 3 + 0.1, "its credit, and a tenth of the time"
    assert answered[50] <= 1.55
    assert answered[51] <= 2.55


def test_all_runs_are_opened_before_any_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a worker's death costs each of its runs the same, and no more than the opening of all."""
    bench = Bench(tmp_path)
    clock = Clock(monkeypatch, bench, end=1.0)
    opened: list[float] = []
    carry_out = Desk.carry_out

    def slowly(desk: Desk, request: Request) -> Any:
        clock.now += 0.02
        opened.append(clock.had.total())
        return carry_out(desk, request)

    monkeypatch.setattr(Desk, "carry_out", slowly)
    for number in range(20):
        bench.ask(Open(run=f"r{number}", spec=small(), state="running", sentence="", owner=f"o{number}"))
    bench.scheduler.run()
    assert opened == [0.0] * 20


# ---- With real time --------------------------------------------------------------------------------------------------------


class Told:
    """How far each run was when, by the clock and by the worker's processor time.

    On an idle machine the two go alike. On a busy one only the second says what the worker made of what it was given.
    """

    def __init__(self) -> None:
        self.steps: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
        self.worker = 0

    def moment(self) -> tuple[float, float]:
        """Of the process's own clock; see clock_getcpuclockid(3)."""
        return time.monotonic(), time.clock_gettime((~self.worker << 3) | 2)

    def __call__(self, notification: Notification) -> None:
        if isinstance(notification, Progress):
            self.steps[notification.run].append((*self.moment(), notification.snapshot["step"]))

    def since(self, begin: tuple[float, float]) -> dict[str, tuple[int, float, float]]:
        """For each run its updates, and the longest time without one by either clock."""
        end, measured = self.moment(), {}
        for run, told in self.steps.items():
            later = [one for one in told if one[0] >= begin[0]]
            advances = [begin, *(after[:2] for before, after in pairwise(later) if after[2] > before[2]), end]
            pauses = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(advances)]
            updates = later[-1][2] - later[0][2] if later else 0
            measured[run] = updates, max(pause for pause, _ in pauses), max(pause for _, pause in pauses)
        return measured


@asynccontextmanager
async def worker(folder: Path, owners: dict[str, int]) -> AsyncIterator[tuple[Pool, Told]]:
    """One worker in which each owner trains so many runs."""
    pool, told = Pool(Settings(data=folder, workers=1)), Told()
    await pool.start(told, lambda _: None)
    told.worker = pool.workers[0].process.pid  # type: ignore[attr-defined]
    try:
        for owner, count in owners.items():
            for number in range(count):
                run = f"{owner}-{number}"
                pool.settle(run, owner)
                await pool.ask(Open(run=run, spec=small(seed=7), state="running", sentence="", owner=owner))
        yield pool, told
    finally:
        for link in pool.workers:
            link.kill()
        await pool.close()


async def work_for(told: Told, seconds: float) -> tuple[float, float]:
    """Wait until the worker has worked for so long; when it began."""
    begin = told.moment()
    while told.moment()[1] - begin[1] < seconds and told.moment()[0] - begin[0] < 280:
        await asyncio.sleep(0.2)
    return begin


def jain(values: list[float]) -> float:
    """1 where all are equal, 1/n where one has everything."""
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_150_runs_of_101_owners_share_one_worker(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with worker(tmp_path, {f"o{n}": 1 for n in range(100)} | {"flooder": 50}) as (_, told):
            measured = told.since(await work_for(told, 25))
        single = [float(steps) for run, (steps, _, _) in measured.items() if not run.startswith("flooder")]
        flooder = [float(steps) for run, (steps, _, _) in measured.items() if run.startswith("flooder")]
        share = sum(flooder) / (sum(single) / len(single))
        by_clock, of_work = (max(pauses[which] for pauses in measured.values()) for which in (1, 2))
        note(
            "Fairness",
            f"100 runs and 50 of one owner in one worker: Jain index {jain(single):.3f} of the 100; the 50 get {share:.2f} "
            f"shares together; longest pause of any {by_clock:.1f} s, in which the worker worked for {of_work:.1f} s",
            met=jain(single) >= 0.95 and share <= 1.1 and of_work <= 10,
        )
        assert len(measured) == 150
        assert jain(single) >= 0.95
        assert share <= 1.25
        assert of_work <= 10

    asyncio.run(scenario())


async def waits(pool: Pool, owners: int, count: int, pause: float) -> dict[str, list[float]]:
    """Seconds until each kind of command was answered, asked of one run after the other."""
    asked: dict[str, list[float]] = defaultdict(list)

    async def ask(command: Command) -> None:
        started = time.monotonic()
        await pool.ask(command)
        asked[type(command).__name__].append(time.monotonic() - started)

    for number in range(count):
        run = f"o{number % owners}-0"
        await ask(Change(run=run, values={}, state="paused"))
        await ask(Predict(run=run, inputs=BATCH))
        await ask(Step(run=run, count=1))
        await ask(Look(run=run))
        await ask(ReadLayer(run=run, index=0, what=frozenset({"weights"}), example=None))
        await ask(Change(run=run, values={}, state="running"))
        await asyncio.sleep(pause)
    return asked


@pytest.mark.faults
def test_commands_are_answered_at_once_while_150_runs_train(tmp_path: Path) -> None:
    owners, count = 150, 150

    async def scenario() -> dict[str, list[float]]:
        async with worker(tmp_path, {f"o{n}": 1 for n in range(owners)}) as (pool, _):
            long = [asyncio.ensure_future(pool.ask(Evaluate(run=f"o{n}-0", split="test", crops=16))) for n in (0, 1)]
            asked = await waits(pool, owners, count, 0.05)
            for evaluation in long:
                evaluation.cancel()
            return asked

    asked = asyncio.run(scenario())
    p95 = {kind: quantiles(seconds, n=20)[-1] for kind, seconds in asked.items()}
    told = ", ".join(f"{kind.lower()} {1000 * seconds:.0f}" for kind, seconds in p95.items())
    note("Fairness", f"150 runs in one worker: answered within ms (p95) {told}", met=max(p95.values()) <= 0.1)
    assert max(p95.values()) < 0.5


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_huge_network_beside_small_ones_gets_their_share(tmp_path: Path) -> None:
    """Its update takes hundreds of times as long as theirs."""
    layers = (
        Conv2D(filters=16, kernel_size=3, padding=1),
        Conv2D(filters=96, kernel_size=3, padding=1),
        Dense(units=10),
    )

    async def scenario() -> None:
        async with worker(tmp_path, {f"o{n}": 1 for n in range(10)}) as (pool, told):
            pool.settle("huge", "h")
            spec = small(network=layers, batch_size=300)
            await pool.ask(Open(run="huge", spec=spec, state="running", sentence="", owner="h"))
            begin = await work_for(told, 20)
            measured, worked = told.since(begin), told.moment()[1] - begin[1]
        updates = measured["huge"][0]
        assert updates >= 1
        alone, started = Trainer(spec, load_mnist(), clock=time.perf_counter), time.thread_time()
        alone.step()
        cost = time.thread_time() - started
        spent = cost * updates / worked
        note(
            "Fairness",
            f"a network whose updates take {1000 * cost:.0f} ms beside ten quick runs: {spent:.0%} of the time",
            met=spent <= 0.15,
        )
        assert spent < 0.35
        assert all(pause <= 10 for run, (_, _, pause) in measured.items() if run != "huge")

    asyncio.run(scenario())
