"""Updates on a tape: the same as layer by layer, the same however many at a time, and safe when they diverge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.datasets.points import points_dataset
from engine.errors import DivergedError
from engine.formats import native
from engine.specs import (
    OPTIMIZER_SPECS,
    SGD,
    Adam,
    Constant,
    Cosine,
    CurveSpec,
    Dense,
    LossName,
    MomentumSGD,
    PlaneSpec,
    ReLU,
    RunSpec,
    StepDecay,
    Tanh,
)
from engine.taped_training import BLOCKS
from engine.trainer import Trainer


def spec(**changes: Any) -> RunSpec:
    """A run on 60 points of a noisy xor, 45 of them for training, in batches of 7."""
    values: dict[str, Any] = {
        "dataset": PlaneSpec(kind="xor", points=60, noise=0.2, train_share=0.75),
        "network": (Dense(units=4), Tanh(), Dense(units=2)),
        "batch_size": 7,
        "l2": 0.0,
        "optimizer": SGD(learning_rate=0.1),
    }
    return RunSpec(**{**values, **changes})


def trainer(run: RunSpec) -> Trainer:
    made = Trainer(run, points_dataset(run.dataset))  # type: ignore[arg-type]
    assert made._tape is not None
    return made


def layer_by_layer(run: RunSpec) -> Trainer:
    made = trainer(run)
    made._tape = None
    return made


REGRESSION = {
    "dataset": PlaneSpec(kind="bumps", points=60),
    "network": (Dense(units=4), ReLU(), Dense(units=1)),
    "optimizer": SGD(learning_rate=0.01),
}
VARIETY: dict[str, dict[str, Any]] = {
    **{name: {"optimizer": make(learning_rate=0.05)} for name, make in OPTIMIZER_SPECS.items()},
    "warm-up": {"schedule": Constant(warm_up=20)},
    "step decay": {"schedule": StepDecay(every=9), "optimizer": MomentumSGD()},
    "cosine": {"schedule": Cosine(steps=40, final=0.1), "optimizer": Adam(learning_rate=0.05)},
    "decay": {"l1": 0.01, "l2": 0.02, "network": (Dense(units=4, l1_multiplier=3.0), Tanh(), Dense(units=2, l2_multiplier=0.5))},
    "clipping": {"clip_norm": 0.05, "l2": 0.01},
    "a batch larger than the training set": {"batch_size": 100},
    "three classes": {
        "dataset": PlaneSpec(kind="spiral", points=60, class_count=3),
        "network": (Dense(units=4), Tanh(), Dense(units=3)),
    },
    "one output": {"network": (Dense(units=4), Tanh(), Dense(units=1), Tanh()), "loss": "half_squared_error"},
    **{f"a number, {loss}": {**REGRESSION, "loss": loss, "huber_delta": 0.1} for loss in ("mean_squared_error", "half_squared_error", "huber")},
    # The sign of an error that rounding alone makes differs between the two; with this seed there is none.
    "a number, absolute_error": {**REGRESSION, "loss": "absolute_error", "seed": 3},
    "a curve": {"dataset": CurveSpec(), "network": (Dense(units=1),), "loss": "mean_squared_error", "optimizer": SGD(learning_rate=0.01)},
}  # fmt: skip


@pytest.mark.parametrize("name", VARIETY)
def test_a_taped_run_is_the_run_layer_by_layer(name: str) -> None:
    """Over 50 updates, up to rounding."""
    run = spec(**VARIETY[name])
    taped, plain = trainer(run), layer_by_layer(run)
    for count in (1, 2, 47):
        result, expected = taped.advance(count), [plain.step() for _ in range(count)][-1]
        assert result.loss == pytest.approx(expected.loss, rel=2e-3, abs=1e-5)
        assert result.l1_loss == pytest.approx(expected.l1_loss, rel=1e-3)
        assert result.l2_loss == pytest.approx(expected.l2_loss, rel=1e-3)
        assert (result.correct, result.examples) == (expected.correct, run.batch_size)
    assert (taped.steps, taped.examples, taped.optimizer.steps) == (plain.steps, plain.examples, plain.optimizer.steps)
    np.testing.assert_allclose(taped.network.parameters, plain.network.parameters, rtol=1e-3, atol=1e-4)
    for kind, memory in taped.optimizer.state.items():
        np.testing.assert_allclose(memory, plain.optimizer.state[kind], rtol=1e-2, atol=1e-4)
    one, other = taped.state(), plain.state()
    assert (one.generators, one.position) == (other.generators, other.position)


@pytest.mark.parametrize("name", VARIETY)
def test_how_many_at_a_time_makes_no_difference(name: str) -> None:
    run = spec(**VARIETY[name])
    at_once, one_by_one, uneven = trainer(run), trainer(run), trainer(run)
    at_once.advance(200)
    for _ in range(200):
        one_by_one.step()
    for count in (3, BLOCKS, BLOCKS + 1, 99 - 2 * BLOCKS):
        uneven.advance(count)
    uneven = Trainer.from_state(native.load(native.dump(uneven.state())), points_dataset(run.dataset))  # type: ignore[arg-type]
    uneven.advance(97)
    expected = native.dump(one_by_one.state())
    assert native.dump(at_once.state()) == expected
    assert native.dump(uneven.state()) == expected


def test_what_changes_live_counts_from_the_next_update() -> None:
    changes: list[dict[str, Any]] = [
        {"learning_rate": 0.5}, {"batch_size": 11}, {"l1": 0.01}, {"clip_norm": 0.1}, {"schedule": Cosine(steps=90)},
        {"optimizer": Adam()}, {"l2": 0.1},
    ]  # fmt: skip
    taped, plain = trainer(spec()), layer_by_layer(spec())
    for change in changes:
        taped.advance(10)
        for _ in range(10):
            plain.step()
        taped.change(**change)
        plain.change(**change)
        plain._tape = None
        np.testing.assert_allclose(taped.network.parameters, plain.network.parameters, rtol=0, atol=1e-4)
    taped.reset()
    assert native.dump(taped.state()) == native.dump(trainer(taped.spec).state())


def test_weights_written_from_outside_are_trained_on() -> None:
    taped, plain = trainer(spec()), layer_by_layer(spec())
    for each in (taped, plain):
        each.step()
        each.network.parameters[:3] = 2.0
        each.step()
    np.testing.assert_allclose(taped.network.parameters, plain.network.parameters, rtol=0, atol=1e-6)


LINE: dict[str, Any] = {"dataset": CurveSpec(), "network": (Dense(units=1),), "loss": "mean_squared_error"}


@pytest.mark.parametrize("optimizer", [SGD(learning_rate=0.2), MomentumSGD(learning_rate=0.3)])
def test_divergence_names_its_update_however_many_are_done_at_a_time(optimizer: Any) -> None:
    run = spec(**LINE, optimizer=optimizer)
    at_once, one_by_one = trainer(run), trainer(run)
    at_once.advance(3)  # into the middle of a pass
    with pytest.raises(DivergedError) as caught:
        at_once.advance(1_000)

    def train() -> None:
        for _ in range(1_000):
            one_by_one.step()

    with pytest.raises(DivergedError) as expected:
        train()
    assert at_once.steps + 1 == caught.value.step == expected.value.step
    assert at_once.steps > 20
    assert np.isfinite(at_once.network.parameters).all()
    assert native.dump(at_once.state()) == native.dump(one_by_one.state())


def test_a_number_that_is_none_never_comes_back() -> None:
    """An optimizer whose memory has overflowed, or a gradient too long to be measured, would let the weights rest."""
    for changes in ({"optimizer": Adam()}, {"clip_norm": 1.0}):
        overflowing = trainer(spec(**{**LINE, **changes}))
        overflowing.network.parameters[:] = 1e25
        with pytest.raises(DivergedError):
            overflowing.advance(10)
        assert overflowing.steps == 0


def test_half_the_gradient_is_shortened_as_much() -> None:
    """Plain descent with a learning rate of 1: what the weights move by is the gradient."""
    free, held = trainer(spec(optimizer=SGD(learning_rate=1.0))), trainer(spec(optimizer=SGD(learning_rate=1.0)))
    before = free.network.parameters.copy()
    free.step()
    gradient = before - free.network.parameters
    length = float(np.linalg.norm(gradient))
    held.change(clip_norm=length / 4)
    held.step()
    np.testing.assert_allclose(before - held.network.parameters, gradient / 4, atol=1e-6)


def test_the_time_of_all_updates_is_reported() -> None:
    ticks = iter(range(100))
    run = spec()
    timed = Trainer(run, points_dataset(run.dataset), clock=lambda: float(next(ticks)))  # type: ignore[arg-type]
    result = timed.advance(9)
    assert (result.forward_seconds, result.backward_seconds, result.examples) == (0, 1, 7)


@pytest.mark.parametrize(
    "loss", ["softmax_cross_entropy", "mean_squared_error", "half_squared_error", "huber", "absolute_error"]
)
def test_every_loss_learns(loss: LossName) -> None:
    run = spec(
        loss=loss,
        network=(Dense(units=6), Tanh(), Dense(units=2 if loss != "half_squared_error" else 1)),
        optimizer=Adam(learning_rate=0.03),
    )
    learning = trainer(replace(run, dataset=PlaneSpec(kind="gaussians")))
    learning.advance(600)
    train = learning.splits["train"]
    assert (learning.probabilities(train.look(slice(None))).argmax(axis=1) == train.labels).mean() > 0.97
