"""A race over as many examples: all of them an update, one, or a few; and how far each comes at every learning rate.

Three runs of one small network on the same points differ in the size of their batches alone. Each sees every point twelve
times, so that the smaller the batch, the more updates it makes: `w ← w − α ∇Loss(w)`.
Slide: "Batch".
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import TypeVar

from engine.datasets.points import PointDataset, points_dataset
from engine.errors import DivergedError
from engine.specs import SGD, Dense, PlaneSpec, RunSpec, StopSpec, Tanh
from engine.trainer import Trainer

EXAMPLES = 400
PASSES = 12
WIDTH = 8

PLACES = 100
"""Measurements of a whole run, so that its curve is smooth and measuring takes less than training."""
PORTION = 500
"""Updates from one breath to the next: some ten milliseconds."""
MOST_KNOWN = 1_000

T = TypeVar("T")
Key = TypeVar("Key")


def ring() -> PlaneSpec:
    """TensorFlow Playground's circle with some noise: 400 points to learn from, 100 to test with."""
    return PlaneSpec(kind="circle", points=500, noise=0.1, train_share=EXAMPLES / 500)


@cache
def ring_points() -> PointDataset:
    return points_dataset(ring())


def updates(batch_size: int) -> int:
    """So many that every point is seen twelve times."""
    return PASSES * EXAMPLES // batch_size


def racer(batch_size: int, learning_rate: float, seed: int) -> RunSpec:
    """The seed decides the weights at the start, which are the same for every batch size, and the order of the points."""
    hidden = Dense(units=WIDTH)
    return RunSpec(
        name=f"Minibatches, {batch_size} examples an update",
        dataset=ring(),
        network=(hidden, Tanh(), hidden, Tanh(), Dense(units=2)),
        optimizer=SGD(learning_rate=learning_rate),
        batch_size=batch_size,
        l2=0.0,
        seed=seed,
        stop=StopSpec(steps=updates(batch_size)),
    )


def loss_over_all(trainer: Trainer) -> float | None:
    """The mean loss of all points that are trained on; None when it is not finite."""
    train = trainer.splits["train"]
    loss, _ = trainer.loss.loss_and_gradient(trainer.network.logits(train.look(slice(None))), train.labels)
    return loss if isfinite(loss) else None


@dataclass(frozen=True, slots=True)
class Curve:
    """The loss over all points after so many updates, from none to the last one that could be made."""

    steps: list[int]
    losses: list[float | None]


_curves: dict[tuple[RunSpec, int], Curve] = {}
"""Curves that this process has worked out: they are asked for again with every change beside them."""
_curves_under_way: dict[tuple[RunSpec, int], Generator[None, None, Curve]] = {}


def measured(spec: RunSpec, count: int) -> Generator[None, None, Curve]:
    """The curve of a run after `count` updates, by training it again: it is what its spec makes it. Yields now and then."""
    return together((spec, count), lambda: _measured(spec, count), _curves, _curves_under_way)


def _measured(spec: RunSpec, count: int) -> Generator[None, None, Curve]:
    trainer = Trainer(spec, ring_points())
    every = max(1, updates(spec.batch_size) // PLACES)
    curve = Curve([0], [loss_over_all(trainer)])
    with suppress(DivergedError):
        while trainer.steps < count:
            trainer.advance(min(every, count - trainer.steps))
            curve.steps.append(trainer.steps)
            curve.losses.append(loss_over_all(trainer))
            yield
    return curve


def seconds_an_update(spec: RunSpec, clock: Callable[[], float]) -> float:
    """As measured here and now on the run's first updates. clock: seconds as a float, best those of the processor."""
    trainer = Trainer(spec, ring_points(), clock=clock)
    result = trainer.advance(min(PORTION, updates(spec.batch_size)))
    return (result.forward_seconds + result.backward_seconds) / trainer.steps


_known: dict[RunSpec, float | None] = {}
"""Final losses that this process has worked out: a table is asked for again with every change beside it."""
_under_way: dict[RunSpec, Generator[None, None, float | None]] = {}


def final_loss(spec: RunSpec) -> Generator[None, None, float | None]:
    """Of a whole run on the ring; None when it diverges. Yields now and then."""
    return together(spec, lambda: _trained(spec), _known, _under_way)


def together(
    key: Key,
    work: Callable[[], Generator[None, None, T]],
    known: dict[Key, T],
    under_way: dict[Key, Generator[None, None, T]],
) -> Generator[None, None, T]:
    """What the work comes to. All who ask for the same while it is under way work on it in turns: a class opens a lab at once."""
    while key not in known:
        if key not in under_way:
            if len(known) >= MOST_KNOWN:
                known.clear()
                under_way.clear()
            under_way[key] = work()
        try:
            next(under_way[key])
        except BaseException as end:
            del under_way[key]
            if not isinstance(end, StopIteration):
                raise
            known[key] = end.value
        else:
            yield
    return known[key]


def _trained(spec: RunSpec) -> Generator[None, None, float | None]:
    trainer = Trainer(spec, ring_points())
    left = updates(spec.batch_size)
    try:
        while left:
            count = min(PORTION, left)
            trainer.advance(count)
            left -= count
            yield
    except DivergedError:
        return None
    return loss_over_all(trainer)
