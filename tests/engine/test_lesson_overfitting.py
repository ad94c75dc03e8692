"""Overfitting in a training: held to a band over several seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.datasets.points import points_dataset
from engine.lessons import fits, overfitting, timber
from engine.lessons.overfitting import LOWEST_POSSIBLE, UPDATES, Beside
from engine.specs import CurveSpec, RunSpec, Split
from engine.trainer import Trainer

SEEDS = (1, 2, 3, 4, 5, 6)


def trainer(spec: RunSpec) -> Trainer:
    return Trainer(spec, points_dataset(spec.dataset))  # type: ignore[arg-type]


def loss(trained: Trainer, split: Split) -> float:
    examples = trained.splits[split]
    return trained.loss.loss_and_gradient(trained.network.logits(examples.look(slice(None))), examples.labels)[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_training_loss_falls_and_the_loss_held_out_rises(seed: int) -> None:
    """And more points leave it nothing to learn by heart."""
    spec = overfitting.run(15, 30, 0.0, 0, seed)
    trained, beside = trainer(spec), Beside(spec)
    while beside.reached < UPDATES:
        beside.advance()
    lowest = beside.lowest(UPDATES)
    trained.advance(lowest.step)
    assert loss(trained, "test") == pytest.approx(lowest.loss, rel=1e-6)
    early = loss(trained, "train")
    trained.advance(UPDATES - lowest.step)
    assert loss(trained, "train") < 0.7 * early
    assert loss(trained, "train") < 0.25 * LOWEST_POSSIBLE
    assert loss(trained, "test") > 2 * lowest.loss
    assert lowest.step < UPDATES / 2
    more = trainer(overfitting.run(100, 30, 0.0, 0, seed))
    more.advance(UPDATES)
    assert loss(more, "test") < 0.6 * loss(trained, "test")
    assert loss(more, "test") < 1.5 * LOWEST_POSSIBLE


@pytest.mark.parametrize("seed", SEEDS)
def test_decay_keeps_it_from_learning_by_heart(seed: int) -> None:
    free, held = (trainer(overfitting.run(15, 30, l2, 0, seed)) for l2 in (0.0, 0.01))
    for trained in (free, held):
        trained.advance(UPDATES)
    assert loss(held, "test") < 0.75 * loss(free, "test")
    assert loss(held, "train") > loss(free, "train")


def test_the_points_are_those_that_are_trained_on() -> None:
    spec = overfitting.run(15, 5, 0.0, 0, 2)
    x, y = overfitting.training_points(spec)
    train = trainer(spec).splits["train"]
    assert x == train.look(slice(None))[0].tolist()
    assert y == train.labels.tolist()
    assert np.std(np.array(y) - overfitting.truth(x)) < 1


def test_sin_x_itself_misses_by_the_noise_alone() -> None:
    dataset = points_dataset(CurveSpec(kind="sine", points=5000, noise=overfitting.NOISE))
    errors = dataset.labels - np.sin(dataset.positions[:, 0])
    assert np.mean(errors**2) == pytest.approx(LOWEST_POSSIBLE, rel=0.05)


def test_how_many_points_are_held_out() -> None:
    sizes = {points: overfitting.run(points, 5, 0.0, 0, 1).dataset.sizes for points in (10, 15, 22, 23, 200)}
    assert {points: (size["train"], size["test"]) for points, size in sizes.items()} == {
        10: (10, 90), 15: (15, 135), 22: (22, 198), 23: (23, 200), 200: (200, 200),
    }  # fmt: skip


def test_the_lowest_so_far_is_that_of_the_updates_so_far() -> None:
    beside = Beside(overfitting.run(15, 10, 0.0, 0, 4))
    while beside.reached < 500:
        beside.advance()
    steps = [beside.lowest(step).step for step in range(0, 501, 50)]
    assert steps[0] == 0
    assert steps == sorted(steps)
    assert all(found <= step for found, step in zip(steps, range(0, 501, 50), strict=True))
    losses = [beside.lowest(step).loss for step in range(0, 501, 10)]
    assert losses == sorted(losses, reverse=True)


def test_what_a_network_answers_is_in_the_points_own_units() -> None:
    spec = replace(timber.run(20, 1), seed=3)
    trained = trainer(spec)
    trained.advance(UPDATES)
    found = fits.answers(spec, trained.network.parameters.tolist(), np.arange(1, 13))
    assert np.sqrt(np.mean((found - timber.sales()) ** 2)) < 15
