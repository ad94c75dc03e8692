"""A run inside its worker: the same points always, checkpoints that lose nothing, and every end it can come to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.wire.points import COLUMNS, Points
from app.workers.ends import extended
from app.workers.messages import (
    Answer,
    Changed,
    Drawn,
    NotSaved,
    Progress,
    Refusal,
    Restored,
    Saved,
    Status,
)
from app.workers.recorder import PORTION, PORTIONS_SHOWN, Rotation, point_interval, walk
from app.workers.refusals import ConflictError
from engine.datasets.mnist import load_mnist
from engine.errors import FormatError, ShapeError, SpecError
from engine.evaluation import evaluate
from engine.specs import SGD, AdamW, Cosine, MnistSpec, StopSpec
from engine.trainer import Trainer
from tests.app.small_runs import Stage, parse, small

DATASET = load_mnist()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def without_seconds(points: Points) -> Points:
    return {column: values for column, values in points.items() if column != "seconds"}


def test_points_are_means_over_ten_updates_at_the_same_steps_always(stage: Stage) -> None:
    stage.run.change({}, "running")
    stage.work(205)
    points = stage.points
    assert points["step"] == list(range(10, 201, 10))
    assert points["examples"] == [10 * step for step in range(10, 201, 10)]
    trainer = Trainer(small(), DATASET)
    results = [trainer.step() for _ in range(10)]
    assert points["train_loss"][0] == pytest.approx(np.mean([result.loss for result in results]), rel=1e-12)
    assert points["train_accuracy"][0] == sum(result.correct for result in results) / 100
    measured = [
        step for step, accuracy in zip(points["step"], points["test_accuracy"], strict=True) if accuracy is not None
    ]
    assert measured == [200], "2,000 examples between two portions, even with small batches"


def test_the_rolling_accuracy_hardly_moves_while_the_weights_stand_still(tmp_path: Path) -> None:
    """MNIST's test images come easy ones last: walked in the order of the file the figure would swing by 6 %."""
    stage = Stage(tmp_path, small(dataset=MnistSpec(train_size=6_000, validation_size=100, crop=24)))
    stage.run.change({}, "running")
    stage.work(1_000)
    rotation, accuracies = Rotation(), []
    for portion in range(10_000 // PORTION):
        rotation.judge(stage.run.trainer, "test")
        if portion >= PORTIONS_SHOWN:
            accuracies.append(rotation.accuracy)
    assert PORTION * PORTIONS_SHOWN == 2_000
    assert rotation.position == 0, "the whole split was judged, each example once"
    assert sorted(walk(10_000)) == list(range(10_000))
    whole = evaluate(stage.run.trainer, "test").accuracy
    assert whole is not None
    assert max(abs(accuracy - whole) for accuracy in accuracies) < 0.03


def test_points_grow_sparser() -> None:
    assert [point_interval(step) for step in (10, 60_000, 60_100, 1_000_000, 1_001_000)] == [10, 10, 100, 100, 1000]


def test_a_run_that_is_saved_and_restored_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    undisturbed = Stage(tmp_path / "one")
    undisturbed.run.change({}, "running")
    undisturbed.work(523)

    first = Stage(tmp_path / "two")
    first.run.change({}, "running")
    first.work(317)  # in the middle of a point
    first.run.change({}, "paused")
    second = Stage(tmp_path / "two")
    saved = second.run.saves.read()
    assert saved is not None
    second.run.go_to(*saved)
    second.run.change({}, "running")
    second.work(523)

    assert np.array_equal(second.run.trainer.network.parameters, undisturbed.run.trainer.network.parameters)
    joined = {column: first.points[column] + second.points[column] for column in COLUMNS}
    assert without_seconds(joined) == without_seconds(undisturbed.points)


def test_a_run_with_schedule_weights_and_clipping_is_saved_and_measured_with_them(tmp_path: Path) -> None:
    spec = small(
        optimizer=AdamW(),
        schedule=Cosine(warm_up=20, steps=150, final=0.1),
        clip_norm=0.5,
        class_weights=tuple(0.2 * k for k in range(10)),
        loss="huber",
    )
    undisturbed = Stage(tmp_path / "one", spec)
    undisturbed.run.change({}, "running")
    undisturbed.work(200)  # a step at which the 100 validation examples are judged, all of them
    trainer = undisturbed.run.trainer
    assert undisturbed.run.recorder.latest["validation_loss"] is not None
    rotation = Rotation()
    rotation.judge(trainer, "validation")
    assert rotation.loss == pytest.approx(evaluate(trainer, "validation").loss, rel=1e-5)

    first, second = Stage(tmp_path / "two", spec), Stage(tmp_path / "two", spec)
    first.run.change({}, "running")
    first.work(90)
    first.run.change({}, "paused")
    saved = second.run.saves.read()
    assert saved is not None
    second.run.go_to(*saved)
    second.run.change({}, "running")
    second.work(200)
    assert second.run.trainer.spec == spec
    assert np.array_equal(second.run.trainer.network.parameters, trainer.network.parameters)


def test_without_the_recorders_file_the_weights_still_go_on(stage: Stage) -> None:
    stage.run.change({}, "running")
    stage.work(15)
    stage.run.change({}, "paused")
    for file in stage.run.saves.folder.glob("recorder-*"):
        file.write_text("torn")
    saved = stage.run.saves.read()
    assert saved is not None
    stage.run.go_to(*saved)
    assert stage.run.trainer.steps == 15


def test_single_updates_are_exact_and_show_their_own_numbers(stage: Stage) -> None:
    assert isinstance(stage.steps(3), Answer)
    assert stage.run.trainer.steps == 3
    trainer = Trainer(small(), DATASET)
    last = [trainer.step() for _ in range(3)][-1]
    assert stage.run.snapshot()["metrics"]["train_loss"] == pytest.approx(last.loss)
    assert stage.of(Saved)[-1].step == 3


def test_single_updates_need_a_paused_run(stage: Stage) -> None:
    stage.run.change({}, "running")
    refused = stage.steps(1)
    assert isinstance(refused, Refusal)
    assert (refused.kind, refused.state) == ("conflict", "running")


@pytest.mark.parametrize(
    ("stop", "step"),
    [(StopSpec(epochs=0.5), 25), (StopSpec(steps=37), 37), (StopSpec(steps=90, epochs=1), 50)],
)
def test_a_run_stops_by_itself_and_runs_on_for_as_much_again(tmp_path: Path, stop: StopSpec, step: int) -> None:
    stage = Stage(tmp_path, small(stop=stop))
    stage.run.change({}, "running")
    stage.work(10_000)
    assert (stage.run.state, stage.run.trainer.steps) == ("finished", step)
    assert stage.of(Status)[-1].snapshot["sentence"].startswith("Finished after ")
    with pytest.raises(ConflictError, match="finished"):
        stage.run.change({}, "paused")
    stage.run.change({}, "running")
    assert stage.of(Changed)
    stage.work(10_000)
    assert (stage.run.state, stage.run.trainer.steps) == ("finished", 2 * step if stop.epochs != 1 else 90)


def test_accuracy_time_and_patience_stop_a_run(tmp_path: Path) -> None:
    for number, stop in enumerate((StopSpec(accuracy=0.15), StopSpec(seconds=0.05), StopSpec(patience=1))):
        rate = SGD(learning_rate=1e-9) if stop.patience else SGD(learning_rate=0.1)
        stage = Stage(tmp_path / str(number), small(stop=stop, optimizer=rate))
        stage.run.change({}, "running")
        stage.work(20_000)
        assert stage.run.state == "finished", stop


def test_what_ended_a_run_is_extended() -> None:
    stop = StopSpec(epochs=2, steps=10, seconds=5, accuracy=0.9, patience=3)
    assert extended(stop, ["epochs"]) == replace(stop, epochs=4)
    assert extended(stop, ["steps", "seconds"]) == replace(stop, steps=20, seconds=10)
    assert extended(stop, ["accuracy", "patience"]) == replace(stop, accuracy=None)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_diverges_keeps_its_curve_and_its_last_good_weights(tmp_path: Path) -> None:
    stage = Stage(tmp_path, small(optimizer=SGD(learning_rate=0.1)))
    stage.run.save()
    stage.run.change({}, "running")
    stage.work(30)
    stage.run.change({}, "paused")
    good = stage.run.trainer.network.parameters.copy()
    stage.run.change({"learning_rate": 100.0, "l2": 10.0}, "running")
    stage.work(10_000)
    assert stage.run.state == "diverged"
    told = stage.of(Status)[-1].snapshot
    assert told["state"] == "diverged"
    assert "smaller learning rate" in told["sentence"]
    assert told["step"] > 30
    assert all(loss == loss and abs(loss) != float("inf") for loss in stage.points["train_loss"] if loss is not None)
    assert np.array_equal(stage.run.trainer.network.parameters, good)

    stage.run.change({"learning_rate": 0.01, "l2": 0.0}, "running")
    assert stage.of(Restored)[-1].snapshot["step"] == 30
    stage.work(60)
    assert (stage.run.state, stage.run.trainer.steps) == ("running", 60)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_diverges_before_its_first_measurement_says_the_same_whenever_it_is_asked(tmp_path: Path) -> None:
    """Its weights go back to update 0, yet what it shows stays the update at which it ended."""
    stage = Stage(tmp_path, small(optimizer=SGD(learning_rate=100.0), l2=10.0))
    stage.run.save()
    stage.run.change({}, "running")
    stage.work(10_000)
    told = stage.of(Status)[-1].snapshot
    assert stage.run.trainer.steps == 0
    assert 0 < told["step"] < 20
    assert told["examples"] == 10 * told["step"]
    assert told["epoch"] == told["examples"] / 500
    stage.run.flush()  # as after any question
    assert stage.of(Progress)[-1].snapshot == told
    stage.run.change({"learning_rate": 0.01, "l2": 0.0}, "running")
    restored = stage.of(Restored)[-1].snapshot
    assert (restored["step"], restored["examples"], restored["seconds"]) == (0, 0, 0.0)
    stage.work(1)
    assert stage.run.snapshot()["step"] == 1


def test_hyperparameters_change_while_it_runs_and_bad_ones_change_nothing(stage: Stage) -> None:
    stage.run.change({}, "running")
    stage.run.change({"learning_rate": 0.5, "batch_size": 20}, None)
    assert stage.run.trainer.spec.batch_size == 20
    with pytest.raises(SpecError):
        stage.run.change({"momentum": 0.9}, "paused")
    assert stage.run.state == "running"
    stage.work(5)
    assert stage.run.trainer.examples == 100


def test_reset_gives_the_same_initial_weights_or_those_of_another_seed(stage: Stage) -> None:
    initial = stage.run.trainer.network.parameters.copy()
    stage.run.change({}, "running")
    stage.work(40)
    stage.run.reset(None)
    assert np.array_equal(stage.run.trainer.network.parameters, initial)
    assert stage.of(Restored)[-1].snapshot["step"] == 0
    stage.run.reset(99)
    assert not np.array_equal(stage.run.trainer.network.parameters, initial)
    assert stage.run.trainer.spec.seed == 99


def test_a_disk_that_takes_nothing_stops_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stage.run.saves, "write", full)
    stage.run.change({}, "running")
    stage.work(20)
    stage.run.change({}, "paused")
    assert stage.of(NotSaved)[-1].message == "The run could not be saved: No space left on device."
    stage.run.change({}, "running")
    stage.work(40)
    assert stage.run.trainer.steps == 40


def test_damaged_checkpoints_are_said_to_be(stage: Stage) -> None:
    stage.run.save()
    for file in stage.run.saves.folder.glob("*.checkpoint*"):
        file.write_bytes(b"torn")
    with pytest.raises(FormatError):
        stage.run.saves.read()


@pytest.mark.parametrize("gradients", [True, False])
def test_a_watch_is_drawn_at_once(stage: Stage, gradients: bool) -> None:
    stage.run.set_watch("w", {"example": {"source": "test", "index": 3}, "gradients": gradients, "tiles": [0, 5]})
    frames = {drawn.view: parse(drawn.event)[2] for drawn in stage.of(Drawn)}
    layers, tiles = frames["layers"], frames["tiles"]
    assert layers["example"] == {"source": "test", "index": 3, "label": int(DATASET.test.labels[3])}
    assert sum(layers["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert layers["input"]["shape"] == [1, 12, 12]
    assert [layer["type"] for layer in layers["layers"]] == ["dense"]
    assert (layers["layers"][0]["gradients"] is not None) == gradients
    assert [tile["index"] for tile in tiles["tiles"]] == [0, 5]
    assert all(len(tile["top"]) == 3 for tile in tiles["tiles"])


def test_an_empty_drawing_has_no_class_and_a_real_one_shows_its_stages(stage: Stage) -> None:
    empty = [[0.0] * 28 for _ in range(28)]
    stage.run.set_watch("w", {"example": {"source": "drawing", "ink": empty}, "gradients": False, "tiles": []})
    frame = parse(stage.of(Drawn)[-1].event)[2]
    assert (frame["class"], frame["probabilities"], frame["layers"], frame["seen"]) == (None, None, [], None)
    drawn = [[1.0 if 10 <= x <= 12 else 0.0 for x in range(28)] for _ in range(28)]
    stage.run.set_watch("w", {"example": {"source": "drawing", "ink": drawn}, "gradients": True, "tiles": []})
    frame = parse(stage.of(Drawn)[-1].event)[2]
    assert frame["class"] is not None
    assert frame["seen"]["scaled"]["shape"] == [20, 20]
    assert frame["seen"]["centred"]["shape"] == [28, 28]
    assert frame["loss"] is None  # nobody said what it is
    assert frame["layers"][0]["gradients"] is not None  # as if its own answer were right


def test_an_example_that_is_not_there_is_refused_and_the_old_watch_stays(stage: Stage) -> None:
    good = {"example": {"source": "train", "index": 0}, "gradients": False, "tiles": []}
    stage.run.set_watch("w", good)
    for example in (
        {"source": "test", "index": 10_000},
        {"source": "test", "index": "1"},
        {"source": "elsewhere"},
        {"source": "drawing"},
    ):
        with pytest.raises(ShapeError):
            stage.run.set_watch("w", good | {"example": example})
    stage.sent.clear()
    stage.run.draw_all()
    assert len(stage.of(Drawn)) == 1


def test_frames_follow_the_clock_and_stop_when_nobody_looks(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("app.workers.live_run.monotonic", lambda: now[0])
    monkeypatch.setattr("app.workers.watches.monotonic", lambda: now[0])
    stage.run.set_watch("w", {"example": {"source": "test", "index": 0}, "gradients": False, "tiles": [1]})
    stage.run.change({}, "running")
    stage.sent.clear()
    for tick in range(1, 301):  # three seconds
        now[0] = 100 + tick / 100
        stage.run.work()
        stage.run.after_slice()
    views = [drawn.view for drawn in stage.of(Drawn)]
    assert 25 <= views.count("layers") <= 31
    assert 2 <= views.count("tiles") <= 3
    stage.run.end_watch("w")
    stage.sent.clear()
    now[0] += 10
    stage.run.work()
    stage.run.after_slice()
    assert not stage.of(Drawn)
