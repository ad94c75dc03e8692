"""The same spec and seed are the same run, to the last bit: whatever the slices, the other runs, and whoever looks on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from app.wire.points import COLUMNS, Points, no_points
from app.workers.desk import Desk
from app.workers.live_run import LiveRun
from app.workers.messages import (
    Answer,
    Change,
    Command,
    Drawn,
    Evaluate,
    Export,
    ListExamples,
    Open,
    Predict,
    Progress,
    ReadLayer,
    Refusal,
    Release,
    SetWatch,
    Shutdown,
    Step,
)
from app.workers.saves import Saves
from engine.formats import native
from engine.specs import (
    Adam,
    Conv2D,
    Dense,
    Dropout,
    LayerSpec,
    MaxPool2D,
    MnistSpec,
    MomentumSGD,
    ReLU,
    RunSpec,
    StopSpec,
    Tanh,
)
from tests.app.test_scheduler import Bench

pytestmark = pytest.mark.timeout(40)

STEPS = 150
CONVOLUTIONAL: tuple[LayerSpec, ...] = (
    Conv2D(filters=4, kernel_size=5, padding=2),
    ReLU(),
    MaxPool2D(),
    Dropout(rate=0.3),
    Conv2D(filters=6, kernel_size=3),
    Tanh(),
    Dense(units=10),
)
RUN = RunSpec(
    dataset=MnistSpec(train_size=900, validation_size=300, crop=16),
    network=CONVOLUTIONAL,
    optimizer=Adam(),
    batch_size=20,
    l1=1e-5,
    seed=5,
    stop=StopSpec(steps=STEPS),
)
OTHER = RunSpec(
    dataset=MnistSpec(train_size=300, validation_size=100, crop=16),
    network=(Dense(units=20), Dropout(), Dense(units=10)),
    optimizer=MomentumSGD(),
    batch_size=64,
)
BLANK = [[[0.5] * 16] * 16]


class Stage:
    """Runs in a scheduler, until run `a` is finished; after each slice `meddle` may ask for something."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, slice_seconds: float = 0.03) -> None:
        self.bench = Bench(folder)
        self.slices = 0
        self.meddle: Callable[[], Iterable[Command]] = lambda: ()
        self.asked: list[tuple[int, Command]] = []
        after_slice = LiveRun.after_slice

        def slice_ends(run: LiveRun) -> None:
            after_slice(run)
            self.slices += run.id == "a"
            if run.id == "a" and run.state == "finished":
                self.bench.inbox.put(Shutdown())
            else:
                self.asked += [(self.bench.ask(command), command) for command in self.meddle()]

        def abandon(_: Desk, __: LiveRun, ___: str, sentence: str) -> None:
            raise AssertionError(sentence)

        monkeypatch.setattr(LiveRun, "after_slice", slice_ends)
        monkeypatch.setattr(Desk, "abandon", abandon)
        monkeypatch.setattr("app.workers.turns.LONGEST_SECONDS", slice_seconds)

    def run(self, spec: RunSpec = RUN) -> tuple[bytes, Points]:
        """The whole state at the end, and the curves."""
        self.bench.ask(Open(run="a", spec=spec, state="running", sentence=""))
        self.bench.scheduler.run()
        refused = [heard.message for heard in self.bench.sent if isinstance(heard, Refusal) and heard.kind == "fault"]
        assert refused == []
        points = no_points()
        for heard in self.bench.sent:
            if isinstance(heard, Progress) and heard.run == "a":
                for column in COLUMNS:
                    points[column] += heard.points[column]
        points["seconds"] = []
        saved = Saves(self.bench.folder / "a").read()
        assert saved is not None
        assert saved[0].steps == STEPS
        return native.dump(saved[0]), points


@pytest.fixture
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Points]:
    with pytest.MonkeyPatch.context() as patch:
        return Stage(tmp_path_factory.mktemp("undisturbed"), patch).run()


def test_the_length_of_a_slice_does_not_matter(
    undisturbed: tuple[bytes, Points], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, slice_seconds=0.0)
    assert stage.run() == undisturbed
    assert stage.slices >= STEPS


def test_other_runs_do_not_matter(
    undisturbed: tuple[bytes, Points], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, slice_seconds=0.002)
    comings_and_goings = cycle(
        [
            Open(run="b", spec=OTHER, state="running", sentence=""),
            Open(run="c", spec=RUN, state="running", sentence=""),
            Change(run="b", values={"batch_size": 7}),
            Release(run="b"),
            Release(run="c"),
        ]
    )
    stage.meddle = lambda: [next(comings_and_goings)] if stage.slices % 2 else []
    assert stage.run() == undisturbed
    assert len(stage.asked) > 5


def test_who_looks_on_does_not_matter(
    undisturbed: tuple[bytes, Points], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, monkeypatch, slice_seconds=0.0)
    monkeypatch.setattr("app.workers.watches.VIEW_SECONDS", {"layers": 0.0, "tiles": 0.0})
    example = {"source": "test", "index": 9}
    mistakes = ListExamples(
        run="a", split="validation", which="mistakes", truth=None, predicted=None, offset=0, limit=5, seed=2
    )
    looks: list[list[Command]] = [
        [SetWatch(run="a", watch="w", value={"example": example, "gradients": True, "tiles": [1, 2, 3]})],
        [Predict(run="a", inputs=BLANK * 3)],
        [Evaluate(run="a", split="validation", crops=2)],
        [ReadLayer(run="a", index=4, what=frozenset({"activations", "gradients"}), example=example)],
        [mistakes],
        [Export(run="a", format="native")],
        [
            Change(run="a", values={}, state="paused"),
            Step(run="a", count=3),
            Change(run="a", values={}, state="running"),
        ],
    ]
    in_turn = cycle(looks)
    stage.meddle = lambda: next(in_turn)
    assert stage.run() == undisturbed
    answered = {heard.number for heard in stage.bench.sent if isinstance(heard, Answer)}
    assert {type(command) for number, command in stage.asked if number in answered} >= {type(look[-1]) for look in looks}
    assert any(isinstance(heard, Drawn) for heard in stage.bench.sent)


def test_another_seed_is_another_run(
    undisturbed: tuple[bytes, Points], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the comparisons above compare something."""
    state, points = Stage(tmp_path, monkeypatch).run(replace(RUN, seed=6))
    assert native.load(state).parameters.tobytes() != native.load(undisturbed[0]).parameters.tobytes()
    assert points["train_loss"] != undisturbed[1]["train_loss"]
