"""The worker's main loop: every busy run gets its turn, and a command never waits for more than an update."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Barrier
from typing import Any

import pytest

from app.workers.live_run import LiveRun
from app.workers.messages import (
    Answer,
    Boundary,
    Change,
    Command,
    Discard,
    Evaluate,
    Import,
    Notification,
    Open,
    Predict,
    Progress,
    Ready,
    Refusal,
    Release,
    Request,
    Reset,
    Respec,
    Restored,
    Saved,
    Shutdown,
    Status,
    Step,
)
from app.workers.process import Bounds, Pulse
from app.workers.scheduler import Scheduler, allowed_seconds
from engine.datasets.mnist import load_mnist
from engine.formats import native
from engine.specs import Conv2D, Dense, PlaneSpec
from engine.trainer import Trainer, fresh_state
from tests.app.small_runs import Stage, of_points, small

BOUNDS = Bounds(run_seconds=3_600.0, memory_bytes=2**30)
BATCH = [[[0.5] * 12] * 12]


class Bench:
    """A scheduler in this thread, with its inbox filled beforehand and its notifications in a list."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inbox: SimpleQueue[object] = SimpleQueue()
        self.sent: list[Notification] = []
        self.pulse = Pulse()
        self.scheduler = Scheduler(self.inbox, self.send, self.pulse, folder, BOUNDS)
        self.numbers = 0

    def send(self, notification: Notification) -> None:
        self.sent.append(notification)

    def ask(self, command: Command) -> int:
        self.numbers += 1
        self.inbox.put(Request(self.numbers, command))
        return self.numbers

    def open(self, *runs: str, state: str = "paused") -> None:
        for run in runs:
            self.ask(Open(run=run, spec=small(), state=state, sentence=""))

    def finish(self) -> None:
        self.inbox.put(Shutdown())
        self.scheduler.run()

    def outcome(self, number: int) -> Any:
        return next(heard for heard in self.sent if isinstance(heard, Answer | Refusal) and heard.number == number)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_busy_runs_take_turns_and_resting_ones_none(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []

    def slice_ends(run: LiveRun) -> None:
        turns.append(run.id)
        if len(turns) == 31:
            bench.inbox.put(Shutdown())

    monkeypatch.setattr(LiveRun, "after_slice", slice_ends)
    monkeypatch.setattr("app.workers.turns.LONGEST_SECONDS", 0.0)
    monkeypatch.setattr("app.workers.scheduler.thread_time", lambda: 0.0)
    bench.open("a", "b", "c", state="running")
    bench.open("d")
    bench.scheduler.run()
    shares = Counter(turns)
    assert set(shares) == {"a", "b", "c"}
    assert max(shares.values()) - min(shares.values()) <= 1
    assert turns[4:7] == turns[1:4], "always in the same order"


class SteppingInbox(SimpleQueue[object]):
    """Nobody has to wait: who waits for a message finds that so much time has gone by, and at last a Shutdown."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.end, self.waits = 5_000.0, 5_010.0, 0

    def get(self, block: bool = True, timeout: float | None = None) -> object:
        if timeout is None or not self.empty():
            return super().get(block, timeout)
        self.now += timeout
        self.waits += 1
        if self.now >= self.end:
            return Shutdown()
        raise Empty


@pytest.mark.parametrize(("rate", "updates"), [(0.5, 5), (3.0, 30), (200.0, 2_000)])
def test_a_paced_run_lets_the_worker_sleep_between_its_updates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: float, updates: int
) -> None:
    bench, inbox = Bench(tmp_path), SteppingInbox()
    bench.inbox = bench.scheduler._inbox = inbox
    for module in ("live_run", "scheduler"):
        monkeypatch.setattr(f"app.workers.{module}.monotonic", lambda: inbox.now)
    bench.ask(Open(run="a", spec=of_points(), state="running", sentence="", updates_per_second=rate))
    bench.open("b")
    bench.scheduler.run()
    steps = [heard.snapshot["step"] for heard in bench.sent if isinstance(heard, Progress) and heard.run == "a"]
    assert abs(steps[-1] - updates) <= max(2, 0.02 * updates)
    assert inbox.waits <= 1_000, "and makes several of them where they come in quick succession"
    assert len(steps) >= min(updates, 90), "and each is told, at most ten a second"


def test_a_run_of_another_spec_has_its_own_points(bench: Bench) -> None:
    bench.ask(Open(run="a", spec=small(), state="paused", sentence=""))
    asked = bench.ask(Respec(run="a", spec=of_points(), keep="nothing"))
    plane = bench.ask(Boundary(run="a", resolution=5, layer=None, unit=None, columns=(0, 1)))
    wrong = bench.ask(Respec(run="a", spec=replace(of_points(), loss="hinge", network=(Dense(units=3),)), keep="nothing"))
    bench.finish()
    assert isinstance(bench.outcome(asked), Answer)
    assert len(bench.outcome(plane).value["probabilities"]) == 2
    assert (bench.outcome(wrong).kind, bench.outcome(wrong).field) == ("spec", "/network/0")


def test_a_checkpoint_of_what_the_run_was_before_is_not_read(tmp_path: Path) -> None:
    Stage(tmp_path / "a", of_points()).steps(5)
    for spec, step in (
        (of_points(dataset=PlaneSpec(kind="spiral", points=80)), 5),
        (of_points(network=(Dense(units=2),)), 0),
    ):
        again = Bench(tmp_path)
        again.ask(Open(run="a", spec=spec, state="paused", sentence=""))
        again.finish()
        restored = next(heard for heard in again.sent if isinstance(heard, Restored))
        assert restored.snapshot["step"] == step


def test_commands_come_before_slices_and_are_answered_in_order(bench: Bench) -> None:
    bench.open("a", state="running")
    numbers = [bench.ask(Predict(run="a", inputs=BATCH)) for _ in range(5)]
    bench.finish()
    assert isinstance(bench.sent[0], Ready)
    answered = [heard.number for heard in bench.sent if isinstance(heard, Answer)]
    assert answered == [1, *numbers]
    assert {bench.outcome(number).value["step"] for number in numbers} == {0}, "no update was taken between them"


def test_every_run_is_saved_at_the_end(bench: Bench, tmp_path: Path) -> None:
    bench.open("a", "b")
    bench.ask(Change(run="a", values={"learning_rate": 0.2}))
    bench.finish()
    again = Bench(tmp_path)
    again.ask(Open(run="a", spec=small(), state="paused", sentence="as it was"))
    again.finish()
    restored = next(heard for heard in again.sent if isinstance(heard, Restored))
    assert (restored.snapshot["step"], restored.snapshot["sentence"]) == (0, "as it was")
    assert (tmp_path / "b" / "run.checkpoint").exists()


def test_runs_wait_for_the_disk_together_at_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here no save gets on before the other run's is waiting, too."""
    both = Barrier(2)
    bench.open("a", "b")
    bench.finish()
    for run in bench.scheduler.desk.runs.values():
        run.change({"learning_rate": 0.2}, None)
    monkeypatch.setattr("engine.formats.checkpoint.os.fsync", lambda _: both.wait(timeout=10))
    bench.sent.clear()
    bench.finish()
    assert sorted(heard.run for heard in bench.sent if isinstance(heard, Saved)) == ["a", "b"]


def test_what_is_refused_says_why(bench: Bench) -> None:
    unknown = bench.ask(Predict(run="nobody", inputs=BATCH))
    bench.open("a")
    wrong = bench.ask(Predict(run="a", inputs=[[[9.0] * 12] * 12]))
    rate = bench.ask(Change(run="a", values={"momentum": 0.5}))
    state = bench.ask(Change(run="a", values={}, state="stopped"))
    again = bench.ask(Change(run="a", values={}, state="running"))
    bench.finish()
    kinds = {
        number: getattr(bench.outcome(number), "kind", "answer") for number in (unknown, wrong, rate, state, again)
    }
    assert kinds == {unknown: "conflict", wrong: "input", rate: "spec", state: "answer", again: "conflict"}
    assert bench.outcome(rate).field == "/optimizer/momentum"
    assert bench.outcome(again).state == "stopped"


def test_tasks_end_with_the_run_they_belong_to(bench: Bench) -> None:
    bench.open("a", "b", "c")
    tasks = [bench.ask(Evaluate(run=run, split="test", crops=None)) for run in "abc"]
    bench.ask(Reset(run="a"))
    bench.ask(Release(run="b"))
    bench.ask(Discard(run="c"))
    bench.finish()
    assert [bench.outcome(number).kind for number in tasks] == ["conflict"] * 3


def test_a_fault_in_one_run_interrupts_that_run_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    work = LiveRun.work

    def fail(run: LiveRun, seconds: float) -> None:
        if run.id == "bad":
            raise ZeroDivisionError
        work(run, seconds)
        if run.trainer.steps == 30:
            bench.inbox.put(Shutdown())

    monkeypatch.setattr(LiveRun, "work", fail)
    bench.open("bad", "good", state="running")
    bench.scheduler.run()
    interrupted = next(heard for heard in bench.sent if isinstance(heard, Status))
    assert (interrupted.run, interrupted.snapshot["state"]) == ("bad", "interrupted")
    assert "ZeroDivisionError" in interrupted.snapshot["sentence"]
    assert any(
        isinstance(heard, Progress) and heard.run == "good" and heard.snapshot["step"] == 30 for heard in bench.sent
    )


def test_the_pulse_beats_and_names_nobody_between_runs(bench: Bench) -> None:
    bench.open("a")
    bench.ask(Step(run="a", count=3))
    bench.finish()
    assert bench.pulse.beat > 3
    assert bench.pulse.allowance >= 10


def test_a_huge_network_is_given_the_time_it_needs() -> None:
    dataset = load_mnist()
    assert allowed_seconds(Trainer(small(), dataset)) == 10
    layers = (
        Conv2D(filters=16, kernel_size=3, padding=1),
        Conv2D(filters=256, kernel_size=3, padding=1),
        Dense(units=10),
    )
    huge = small(network=layers, batch_size=80)
    assert allowed_seconds(Trainer(huge, dataset)) > 20


def test_a_network_that_the_disk_does_not_take_is_not_loaded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.formats.checkpoint.write", full)
    loaded = bench.ask(Import(run="a", body=native.dump(fresh_state(small())), filename="a.json"))
    asked = bench.ask(Step(run="a", count=1))
    bench.finish()
    assert bench.outcome(loaded).kind == "disk"
    assert "No space left" in bench.outcome(loaded).message
    assert bench.outcome(asked).kind == "conflict"
