"""A race over as many examples: all of them an update, one, or a few; and how far each comes at every learning rate.

Three runs of one small network on the same points differ in the size of their batches alone. Each sees every point twelve
times, so that the smaller the batch, the more updates it makes: `w ← w − α ∇Loss(w)`.
Slide: "Batch".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from math import isfinite

from engine.datasets.points import PointDataset, points_dataset
from engine.errors import DivergedError
from engine.lessons.known import Known
from engine.specs import SGD, Dense, PlaneSpec, RunSpec, StopSpec, Tanh
from engine.trainer import Trainer

EXAMPLES = 400
PASSES = 12
WIDTH = 8

PLACES = 100
"""Measurements of a whole race, so that its curve is smooth and measuring takes less than training."""
LONGEST = 4
"""Races that a curve is long at most."""
PORTION = 500
"""Updates from one breath to the next: some ten milliseconds."""


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


@cache
def _judge() -> Trainer:
    return Trainer(racer(1, 0.1, 1), ring_points())


def loss_with(parameters: Sequence[float]) -> float | None:
    """The same of a racer with these parameters: all racers are one network."""
    trainer = _judge()
    trainer.network.parameters[:] = parameters
    return loss_over_all(trainer)


@dataclass(frozen=True, slots=True)
class Curve:
    """The loss over all points after so many updates, from none to the last one that could be made."""

    steps: list[int]
    losses: list[float | None]


class Race:
    """A run trained again, as it is what its spec makes it, and its curve as far as it has come."""

    def __init__(self, spec: RunSpec) -> None:
        self._trainer = Trainer(spec, ring_points())
        self._every = max(1, updates(spec.batch_size) // PLACES)
        self._left = LONGEST * updates(spec.batch_size)
        self.curve = Curve([0], [loss_over_all(self._trainer)])

    @property
    def next(self) -> int | None:
        """The update of the next measurement; None where it diverges, or where nobody looks any more."""
        return self._trainer.steps + min(self._every, self._left) if self._left else None

    def advance(self) -> None:
        """To the next measurement."""
        try:
            self._trainer.advance(min(self._every, self._left))
        except DivergedError:
            self._left = 0
            return
        self._left -= min(self._every, self._left)
        self.curve.steps.append(self._trainer.steps)
        self.curve.losses.append(loss_over_all(self._trainer))


@lru_cache(maxsize=60)
def _race(spec: RunSpec) -> Race:
    """The same one for all who look, so that each look goes on where the one before it ended."""
    return Race(spec)


def measured(spec: RunSpec, count: int, parameters: Sequence[float] | None = None) -> Generator[None, None, Curve]:
    """The curve of a run as far as `count` updates, if given with the end that the `parameters` there make. Yields now and then.

    After four races it is at its end: a page looks every second at a run that may go on for hours.
    """
    race = _race(spec)
    while race.next is not None and race.next <= count:
        race.advance()
        yield
    places = bisect_right(race.curve.steps, count)
    curve = Curve(race.curve.steps[:places], race.curve.losses[:places])
    if parameters is not None and race.next is not None and curve.steps[-1] < count:
        curve.steps.append(count)
        curve.losses.append(loss_with(parameters))
    return curve


def seconds_an_update(spec: RunSpec, clock: Callable[[], float]) -> float:
    """As measured here and now on the run's first updates. clock: seconds as a float, best those of the processor."""
    trainer = Trainer(spec, ring_points(), clock=clock)
    result = trainer.advance(min(PORTION, updates(spec.batch_size)))
    return (result.forward_seconds + result.backward_seconds) / trainer.steps


def final_loss(spec: RunSpec) -> Generator[None, None, float | None]:
    """Of a whole run on the ring; None when it diverges. Yields now and then."""
    return _final_losses.of(spec)


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


_final_losses = Known(_trained, most=1_000)
