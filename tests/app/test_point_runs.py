"""A run of points inside its worker: the same curve always, other points and other networks, weights set by hand."""

from __future__ import annotations

import gc
import math
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.wire.points import Points
from app.workers import live_run
from app.workers.live_run import fitting
from app.workers.messages import Changed, Drawn, Restored, Saved, Status, WeightChange
from app.workers.point_recorder import PointRecorder, point_interval
from app.workers.saves import Saves
from engine.datasets.table import encode_rows
from engine.errors import ShapeError, SpecError
from engine.evaluation import evaluate
from engine.specs import (
    SGD,
    Adam,
    AdamW,
    CurveSpec,
    Dense,
    MomentumSGD,
    PlaneSpec,
    ReLU,
    RunSpec,
    StopSpec,
    TableSpec,
    Tanh,
)
from engine.trainer import Trainer
from tests.app.small_runs import Stage, dataset_of, of_points, small

SQUARE = [[1, 1, 0], [-1, -1, 0], [1, -1, 1], [-1, 1, 1], [2, 2, 0], [-2, 2, 1]]
TABLE = TableSpec(values=encode_rows(SQUARE), train_share=0.8)
LINE = of_points(dataset=CurveSpec(train_share=0.5), network=(Dense(units=1),), loss="mean_squared_error")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, of_points())


def respec(stage: Stage, spec: RunSpec, keep: Any = "nothing") -> None:
    stage.run.respec(spec, dataset_of(spec), keep)


def measured(points: Points) -> Points:
    """All but the time, which is never the same."""
    return {column: values for column, values in points.items() if column != "seconds"}


def trained(folder: Path, spec: RunSpec, steps: int) -> Stage:
    stage = Stage(folder, replace(spec, stop=StopSpec(steps=steps)))
    stage.run.change({}, "running")
    stage.work(steps)
    return stage


# ---- What is measured --------------------------------------------------------------------------------------------------------


def test_a_curve_has_many_points_at_first_and_a_few_thousand_in_the_end() -> None:
    def following(step: int) -> int:
        return step + PointRecorder().updates_until_point(step)

    assert [following(step) for step in (0, 3, 10, 990, 1_000, 1_001)] == [10, 10, 20, 1_000, 1_100, 1_100]
    assert [following(step) for step in (100_000, 10_000_000)] == [101_000, 10_010_000]
    assert all(following(step) % point_interval(following(step)) == 0 for step in range(2_000))


@pytest.mark.parametrize("together", [0.0, 1.0])
def test_the_curve_and_the_weights_do_not_depend_on_how_updates_are_taken_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: float
) -> None:
    usual = trained(tmp_path / "a", of_points(), 1_200)
    monkeypatch.setattr(live_run, "TOGETHER_SECONDS", together)
    other = trained(tmp_path / "b", of_points(), 1_200)
    assert usual.points["step"] == [*range(10, 1_001, 10), 1_100, 1_200]
    assert measured(usual.points) == measured(other.points)
    np.testing.assert_array_equal(usual.run.trainer.network.parameters, other.run.trainer.network.parameters)


def test_a_point_tells_of_the_whole_splits_at_its_very_update(tmp_path: Path) -> None:
    stage = trained(tmp_path, of_points(l1=0.001, l2=0.002), 50)
    points, network = stage.points, stage.run.trainer.network
    for split in ("train", "test"):
        result = evaluate(stage.run.trainer, split)  # type: ignore[arg-type]
        assert points[f"{split}_loss"][-1] == pytest.approx(result.loss)
        assert points[f"{split}_accuracy"][-1] == result.accuracy
    weights = [layer.weights for layer in network.layers if layer.weights is not None]
    assert points["l1_loss"][-1] == pytest.approx(0.001 * sum(float(np.abs(w).sum()) for w in weights))
    assert points["l2_loss"][-1] == pytest.approx(0.001 * sum(float((w**2).sum()) for w in weights))
    assert points["validation_loss"] == [None] * 5
    assert stage.run.recorder.latest["test_r_squared"] is None


def test_where_a_number_is_learned_there_is_no_accuracy_but_r_squared(tmp_path: Path) -> None:
    stage = trained(tmp_path, LINE, 50)
    result = evaluate(stage.run.trainer, "test")
    assert result.errors is not None
    assert stage.run.recorder.latest["test_r_squared"] == pytest.approx(result.errors.r_squared, rel=1e-4)
    assert stage.points["test_accuracy"] == [None] * 5
    assert stage.points["test_loss"][-1] == pytest.approx(result.loss)


def test_a_run_is_measured_before_its_first_update(stage: Stage) -> None:
    latest = stage.run.snapshot()["metrics"]
    assert latest["train_loss"] == pytest.approx(math.log(2), abs=0.5)
    assert latest["test_accuracy"] is not None
    assert stage.points["step"] == []


def test_updates_at_once_fit_the_time_that_they_may_take() -> None:
    assert [fitting(1, 1e-6), fitting(64, 0.001), fitting(64, 0.002), fitting(64, 0.2)] == [2, 128, 64, 1]
    assert fitting(1, 0.0) == 2


# ---- Ends ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "reason"),
    [(StopSpec(loss=0.4), "loss is low enough"), (StopSpec(accuracy=0.9), "right on the test examples")],
)
def test_loss_and_accuracy_are_judged_on_the_test_points(tmp_path: Path, stop: StopSpec, reason: str) -> None:
    stage = Stage(tmp_path, of_points(stop=stop))
    stage.run.change({}, "running")
    stage.work(5_000)
    assert stage.run.state == "finished"
    assert reason in stage.run.sentence
    assert stage.run.trainer.steps % 10 == 0
    latest = stage.run.recorder.latest
    assert latest["test_loss"] is not None
    assert latest["test_accuracy"] is not None
    assert latest["test_loss"] <= 0.4 if stop.loss else latest["test_accuracy"] >= 0.9
    stage.run.change({}, "running")
    assert stage.run.trainer.spec.stop == StopSpec(), "what is reached is no aim any more"


def test_patience_ends_with_the_test_loss(tmp_path: Path) -> None:
    stage = Stage(tmp_path, of_points(optimizer=SGD(learning_rate=1e-9), stop=StopSpec(patience=3)))
    stage.run.change({}, "running")
    stage.work(200)
    assert (stage.run.state, "improves no more" in stage.run.sentence) == ("finished", True)


def test_single_updates_end_nothing_between_two_points(tmp_path: Path) -> None:
    """Else a run would end elsewhere, depending on who has looked at it."""
    stage = Stage(tmp_path, of_points(stop=StopSpec(accuracy=0.01)))
    stage.steps(3)
    stage.run.change({}, "running")
    stage.work(10)
    assert (stage.run.state, stage.run.trainer.steps) == ("finished", 10)


def test_a_tiny_run_that_diverges_offers_its_last_good_weights(tmp_path: Path) -> None:
    stage = Stage(tmp_path, replace(LINE, optimizer=SGD(learning_rate=0.01)))
    stage.steps(20)
    stage.run.change({"learning_rate": 100.0}, "running")
    stage.work(5_000)
    assert stage.run.state == "diverged"
    good = stage.run.trainer.steps
    assert good <= 20
    assert np.isfinite(stage.run.trainer.network.parameters).all()
    stage.run.change({"learning_rate": 0.01}, "running")
    assert stage.run.snapshot()["step"] == good
    stage.work(60)
    assert stage.run.state == "running"
    assert stage.run.recorder.latest["train_loss"] is not None


# ---- Another spec --------------------------------------------------------------------------------------------------------------


def test_other_points_keep_the_weights_the_memory_and_the_update(stage: Stage) -> None:
    stage.steps(25)
    before = stage.run.trainer
    state = before.state()
    spec = of_points(dataset=TABLE)
    respec(stage, spec, "weights")
    after = stage.run.trainer.state()
    np.testing.assert_array_equal(after.parameters, state.parameters)
    for name, memory in state.accumulators.items():
        np.testing.assert_array_equal(after.accumulators[name], memory)
    assert (after.steps, after.optimizer_steps, after.examples) == (25, 25, 250)
    assert stage.run.trainer.spec == spec
    assert stage.points["step"] == [10, 20]
    assert [told.anew for told in stage.of(Restored)] == [False]
    assert stage.of(Changed)[-1].spec == spec
    assert stage.run.state == "paused"
    assert stage.run.recorder.latest["test_loss"] == pytest.approx(evaluate(stage.run.trainer, "test").loss)
    stage.steps(5)
    assert stage.run.trainer.steps == 30


def test_a_run_of_another_spec_begins_like_any_run_of_it(stage: Stage, tmp_path: Path) -> None:
    stage.steps(25)
    spec = of_points(network=(Dense(units=3), ReLU(), Dense(units=2)), seed=7)
    respec(stage, spec)
    assert [told.anew for told in stage.of(Restored)] == [True]
    assert (stage.run.trainer.steps, stage.run.recorder.seconds, stage.run.state) == (0, 0, "paused")
    assert not (tmp_path / "run.checkpoint").exists()
    stage.steps(30)
    fresh = Stage(tmp_path / "fresh", spec)
    fresh.steps(30)
    np.testing.assert_array_equal(stage.run.trainer.network.parameters, fresh.run.trainer.network.parameters)


def test_a_run_is_given_other_weights_to_begin_with_and_keeps_them_when_saved(stage: Stage, tmp_path: Path) -> None:
    stage.steps(5)
    first = tuple(k / 8 for k in range(22))
    respec(stage, of_points(parameters=first))
    np.testing.assert_array_equal(stage.run.trainer.network.parameters, first)
    stage.steps(10)
    stage.run.save()
    assert Saves(tmp_path).read()[0].spec.parameters == first  # type: ignore[index]
    stage.run.reset(None)
    np.testing.assert_array_equal(stage.run.trainer.network.parameters, first)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": (Dense(units=5), Tanh(), Dense(units=2))},
        {"dataset": PlaneSpec(points=60, features=("x", "y", "xy"))},
        {"optimizer": AdamW(learning_rate=0.02)},
    ],
)
def test_weights_that_do_not_fit_are_not_kept(stage: Stage, changes: dict[str, Any]) -> None:
    stage.steps(25)
    respec(stage, of_points(**changes), "weights")
    assert stage.run.trainer.steps == 0
    assert [told.anew for told in stage.of(Restored)] == [True]


def test_a_running_run_stays_running_and_a_finished_one_pauses(tmp_path: Path) -> None:
    stage = trained(tmp_path, of_points(), 20)
    assert stage.run.state == "finished"
    respec(stage, of_points(), "weights")
    assert (stage.run.state, stage.run.trainer.steps) == ("paused", 20)
    stage.run.change({}, "running")
    respec(stage, of_points(seed=3))
    assert stage.run.state == "running"
    assert stage.of(Status)[-1].snapshot["state"] == "running"
    stage.work(10)
    assert stage.run.trainer.steps >= 10


def test_a_diverged_run_of_another_spec_has_forgotten_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, replace(LINE, optimizer=SGD(learning_rate=100.0)))
    stage.run.change({}, "running")
    stage.work(5_000)
    assert stage.run.state == "diverged"
    respec(stage, LINE)
    assert (stage.run.snapshot()["state"], stage.run.snapshot()["step"]) == ("paused", 0)


def test_an_impossible_spec_changes_nothing(stage: Stage) -> None:
    stage.steps(5)
    before = stage.run.trainer
    with pytest.raises(SpecError, match="outputs"):
        respec(stage, of_points(network=(Dense(units=3),)))
    assert stage.run.trainer is before
    assert stage.of(Changed, Restored) == []


def test_digits_become_points_and_points_digits(tmp_path: Path) -> None:
    stage = Stage(tmp_path, small())
    stage.steps(3)
    respec(stage, of_points())
    assert stage.steps(20).value is None  # type: ignore[union-attr]
    assert stage.points["step"] == [10, 20]
    respec(stage, small())
    stage.steps(10)
    assert stage.run.recorder.latest["forward_ms"] is not None


def test_the_trainer_of_before_is_let_go(stage: Stage) -> None:
    gone = weakref.ref(stage.run.trainer)
    stage.run.set_watch("w", {"plane": {"resolution": 20, "columns": [0, 1]}, "neurons": 8})
    respec(stage, of_points(network=(Dense(units=2),)))
    gc.collect()
    assert gone() is None


def test_what_was_watched_and_is_no_more_does_not_stop_a_change(stage: Stage) -> None:
    stage.run.set_watch("w", {"plane": {"resolution": 20, "neuron": [0, 3], "columns": [0, 1]}})
    respec(stage, of_points(network=(Dense(units=2),)))
    respec(stage, of_points(dataset=CurveSpec(), network=(Dense(units=1),), loss="mean_squared_error"))
    respec(stage, small())
    assert stage.run.trainer.spec == small()
    assert stage.of(Drawn)


@pytest.mark.parametrize("optimizer", [Adam(), MomentumSGD()])
def test_a_run_reset_after_its_points_changed_begins_with_its_weights(stage: Stage, optimizer: Any) -> None:
    stage.run.change({"optimizer": optimizer}, None)
    stage.steps(5)
    respec(stage, of_points(dataset=TABLE, optimizer=optimizer), "weights")
    stage.run.reset(None)
    assert stage.run.trainer.steps == 0
    fresh = Trainer(of_points(dataset=TABLE), dataset_of(of_points(dataset=TABLE)))
    np.testing.assert_array_equal(stage.run.trainer.network.parameters, fresh.network.parameters)


# ---- Weights by hand -----------------------------------------------------------------------------------------------------------


def test_weights_and_biases_are_set_by_hand_and_kept(stage: Stage, tmp_path: Path) -> None:
    stage.steps(5)
    before = stage.run.recorder.latest["train_loss"]
    stage.run.set_weights(2, (WeightChange(1, 3, 2.5), WeightChange(0, None, -1.0)))
    layer = stage.run.trainer.network.layers[2]
    assert layer.weights is not None
    assert layer.biases is not None
    assert (layer.weights[1, 3], layer.biases[0]) == (2.5, -1.0)
    assert stage.run.recorder.latest["train_loss"] != before
    saved = Saves(tmp_path).read()
    assert saved is not None
    np.testing.assert_array_equal(saved[0].parameters, stage.run.trainer.network.parameters)


def test_weights_set_while_it_trains_are_saved_before_the_next_update(stage: Stage) -> None:
    stage.run.change({}, "running")
    stage.work(20)
    step, saves = stage.run.trainer.steps, len(stage.of(Saved))
    stage.run.set_weights(0, (WeightChange(0, 0, 0.5),))
    stage.run.work()
    assert stage.run.trainer.steps > step
    assert [saved.step for saved in stage.of(Saved)[saves:]] == [step]


@pytest.mark.parametrize("index", [1, 3, 99, -1])
def test_only_dense_layers_are_set_by_hand(stage: Stage, index: int) -> None:
    with pytest.raises(ShapeError, match="not a dense layer"):
        stage.run.set_weights(index, (WeightChange(0, 0, 1.0),))


def test_one_weight_that_is_not_there_leaves_all_as_they_are(stage: Stage) -> None:
    before = stage.run.trainer.network.parameters.copy()
    for wrong in (WeightChange(4, 0, 1.0), WeightChange(0, 2, 1.0), WeightChange(4, None, 1.0)):
        with pytest.raises(ShapeError, match="4 units with 2 inputs"):
            stage.run.set_weights(0, (WeightChange(0, 0, 1.0), wrong))
    np.testing.assert_array_equal(stage.run.trainer.network.parameters, before)


# ---- Pace ----------------------------------------------------------------------------------------------------------------------


def test_a_paced_run_rests_until_its_next_update_is_due(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr(live_run, "monotonic", lambda: now[0])
    stage.run.change({"updates_per_second": 2.0}, "running")
    assert stage.run.snapshot()["updates_per_second"] == 2.0
    stage.run.work()
    first = stage.run.recorder.latest["train_loss"]
    assert (stage.run.trainer.steps, stage.run.busy) == (1, False)
    assert stage.run.rest() == pytest.approx(0.5, abs=1e-6)
    stage.run.work()
    assert stage.run.trainer.steps == 1
    now[0] += 0.501
    assert stage.run.busy
    stage.run.work()
    assert stage.run.trainer.steps == 2
    assert stage.run.recorder.latest["train_loss"] != first, "each update is measured where it is watched"
    stage.run.change({"updates_per_second": None}, None)
    assert stage.run.rest() == 0
    stage.run.change({}, "paused")
    assert stage.run.rest() == math.inf


# ---- Going on ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        of_points(),
        of_points(dataset=TABLE, batch_size=3),
        of_points(
            dataset=TableSpec(columns=("a", "b", "c"), class_names=(), values=encode_rows(np.arange(40).reshape(10, 4)), standardize=True),
            network=(Dense(units=3), Tanh(), Dense(units=1)),
            loss="mean_squared_error",
        ),
        replace(LINE, network=(Dense(units=4), Tanh(), Dense(units=1))),
    ],
    ids=["plane", "table", "numbers", "curve"],
)  # fmt: skip
def test_a_run_that_is_saved_and_restored_goes_on_as_if_nothing_had_happened(tmp_path: Path, spec: RunSpec) -> None:
    straight = Stage(tmp_path / "straight", spec)
    straight.steps(77)
    broken = Stage(tmp_path / "broken", spec)
    broken.steps(33)
    again = Stage(tmp_path / "broken", spec)
    saved = Saves(tmp_path / "broken").read()
    assert saved is not None
    again.run.go_to(*saved)
    again.steps(44)
    np.testing.assert_array_equal(again.run.trainer.network.parameters, straight.run.trainer.network.parameters)
    joined = measured(broken.points)
    for column, values in measured(again.points).items():
        joined[column] += values
    assert joined == measured(straight.points)


