"""Training to an end: every condition ends it where it should, and never before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.errors import DivergedError, SpecError
from engine.evaluation import evaluate
from engine.specs import SGD, Adam, MnistSpec, StopSpec
from engine.trainer import Trainer
from engine.training import reached, train
from tests.engine import small
from tests.engine.test_trainer import assert_same, trained


def reports(trainer: Trainer, stop: StopSpec | None = None, **options: Any) -> list[Any]:
    return list(train(trainer, stop, **options))


def test_steps_and_epochs_end_it_exactly() -> None:
    trainer = trained(0)
    seen = reports(trainer, StopSpec(steps=7), every=3)
    assert [report.step for report in seen] == [3, 6, 7]
    assert [report.stopped for report in seen] == [[], [], ["steps"]]
    assert_same(trainer.state(), trained(7).state())
    seen = reports(trainer, StopSpec(epochs=3))  # 60 examples in batches of 8: 8 updates make a report
    assert [report.step for report in seen] == [15, 23]
    assert seen[-1].epoch >= 3 > (seen[-1].step - 1) * 8 / 60
    assert seen[-1].stopped == ["epochs"]
    seen = reports(trainer, StopSpec(epochs=4), every=100)
    assert [report.step for report in seen] == [30]


def test_the_runs_own_stop_is_the_usual_one() -> None:
    trainer = trained(0, stop=StopSpec(steps=4))
    assert [report.step for report in train(trainer)] == [4]
    assert list(train(trainer)) == []  # it is there already


def test_a_report_says_what_happened() -> None:
    trainer, twin = trained(0), trained(0)
    report = reports(trainer, StopSpec(steps=5))[0]
    results = [twin.step() for _ in range(5)]
    assert report.loss == pytest.approx(np.mean([result.loss for result in results]))
    assert report.accuracy == sum(result.correct for result in results) / 40
    assert report.validation.loss == evaluate(twin, "validation").loss
    assert report.seconds == 0


def test_seconds_are_those_of_the_training() -> None:
    trainer: Trainer = Trainer(small.spec(), small.dataset(), clock=lambda: 2.0 * getattr(trainer, "steps", 0))
    seen = reports(trainer, StopSpec(seconds=6), every=2)
    assert [(report.step, report.seconds) for report in seen] == [(2, 4), (3, 6)]
    assert seen[-1].stopped == ["seconds"]


def test_the_accuracy_ends_it_at_a_report() -> None:
    trainer = trained(0, optimizer=Adam(learning_rate=0.01))
    seen = reports(trainer, StopSpec(accuracy=0.8, steps=1_000), every=10)
    assert seen[-1].stopped == ["accuracy"]
    assert seen[-1].validation.accuracy >= 0.8
    assert all(report.validation.accuracy < 0.8 for report in seen[:-1])


def test_patience_ends_it_when_the_validation_loss_rises() -> None:
    trainer = trained(0, optimizer=Adam(learning_rate=0.03), l2=0.0)
    seen = reports(trainer, StopSpec(patience=3, steps=5_000), every=10)
    losses = [report.validation.loss for report in seen]
    assert seen[-1].stopped == ["patience"]
    assert losses.index(min(losses)) == len(losses) - 4


def test_conditions_that_hold_together_are_all_named() -> None:
    trainer = trained(8)
    stop = StopSpec(steps=8, epochs=1, seconds=5, accuracy=0.5, loss=0.2, patience=2)
    assert reached(stop, trainer, seconds=5, accuracy=0.5, loss=0.1, unimproved=2) == [
        "epochs",
        "steps",
        "seconds",
        "accuracy",
        "loss",
        "patience",
    ]
    assert reached(stop, trained(7), seconds=4.9, accuracy=0.4, loss=0.3, unimproved=1) == []
    assert reached(stop, trained(7), seconds=0, accuracy=None, loss=None, unimproved=0) == []


@pytest.mark.parametrize(
    ("stop", "validation_size", "field"),
    [
        (StopSpec(), 10, "/stop"),
        (StopSpec(seconds=1, steps=5), 10, "/stop/seconds"),
        (StopSpec(accuracy=0.9, steps=5), 0, "/stop"),
        (StopSpec(patience=2), 0, "/stop"),
    ],
)
def test_what_would_never_end_is_refused_at_once(stop: StopSpec, validation_size: int, field: str) -> None:
    trainer = trained(0, dataset=MnistSpec(train_size=70, validation_size=validation_size, crop=26))
    with pytest.raises(SpecError) as caught:
        train(trainer, stop)
    assert caught.value.field == field
    assert trainer.steps == 0


def test_without_validation_examples_there_are_no_measurements_of_them() -> None:
    trainer = trained(0, dataset=MnistSpec(train_size=70, validation_size=0, crop=26))
    assert [report.validation for report in train(trainer, StopSpec(steps=3), every=2)] == [None, None]


def test_a_divergence_is_told() -> None:
    with pytest.raises(DivergedError):
        reports(trained(0, optimizer=SGD(learning_rate=100), l2=10.0), StopSpec(epochs=1_000))
