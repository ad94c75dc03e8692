"""A race over as many examples: all of them an update, one, or a few; and how far each comes at every learning rate.

Three runs of one small network on the same points differ in the size of their batches alone. Each sees every point twelve
times, so that the smaller the batch, the more updates it makes: `w ← w − α ∇Loss(w)`.
Slide: "Batch".
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from math import isfinite

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
MOST_KNOWN = 2_000


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
    """The loss over all points after so many updates, from none to as many as the run has made, and how long those take."""

    steps: list[int]
    losses: list[float | None]
    seconds: float


def measured(trainer: Trainer, clock: Callable[[], float]) -> Generator[None, None, Curve]:
    """The run's curve, by training it again: it is what its spec makes it. `trainer` stays as it is; yields now and then.

    Where it stops to be measured so often, its time would be that of the stops: it is trained once more without any.
    clock: seconds as a float, best those of the processor.
    """
    again = Trainer(trainer.spec, trainer.dataset)
    every = max(1, updates(trainer.spec.batch_size) // PLACES)
    steps, losses = [0], [loss_over_all(again)]
    while again.steps < trainer.steps:
        again.advance(min(every, trainer.steps - again.steps))
        steps.append(again.steps)
        losses.append(loss_over_all(again))
        yield
    timed, seconds = Trainer(trainer.spec, trainer.dataset, clock=clock), 0.0
    while timed.steps < trainer.steps:
        result = timed.advance(min(PORTION, trainer.steps - timed.steps))
        seconds += result.forward_seconds + result.backward_seconds
        yield
    return Curve(steps, losses, seconds)


_known: dict[RunSpec, float | None] = {}
"""Final losses that this process has worked out: a table is asked for again with every change beside it."""


def final_loss(spec: RunSpec) -> Generator[None, None, float | None]:
    """Of a whole run on the ring; None when it diverges. Yields now and then."""
    if spec not in _known:
        found = yield from _trained(spec)
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[spec] = found
    return _known[spec]


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
