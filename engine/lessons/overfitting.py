"""The same story in a training: a network that learns few noisy points by heart, and what keeps it from doing so.

The points lie about sin x, so that the best possible answer is known, and 135 or more of them are held out.
Slide: "Overfitting: the model matches the training data too well".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from engine.datasets.points import points_dataset
from engine.lessons.fits import Numbers
from engine.specs import Adam, CurveSpec, Dense, RunSpec, StopSpec, Tanh
from engine.trainer import Trainer

UPDATES = 3_000
NOISE = 0.15
"""As a share of the height of sin x, which is 2."""
LOWEST_POSSIBLE = (2 * NOISE) ** 2
"""The variance of the noise: sin x itself, which knows all but chance, has this loss on points held out."""
HELD_OUT = 200
OFTEN, SELDOM, EARLY = 10, 100, 1_000
"""The loss on points held out is measured every 10 updates, and after update 1,000 every 100: as runs of points are."""


def run(points: int, units: int, l2: float, patience: int, seed: int) -> RunSpec:
    """`points` to train on, all of them in each update; at most 200 held out, but no more than nine times as many.

    `patience`: it stops after so many measurements without a lower loss on the points held out; 0: it never does.
    """
    total = points + min(HELD_OUT, 9 * points)
    return RunSpec(
        name="Overfitting",
        dataset=CurveSpec(kind="sine", points=total, noise=NOISE, train_share=points / total, seed=seed),
        network=(Dense(units=units), Tanh(), Dense(units=1)),
        loss="mean_squared_error",
        optimizer=Adam(learning_rate=0.02),
        batch_size=points,
        l2=l2,
        seed=seed,
        stop=StopSpec(steps=UPDATES, patience=patience or None),
    )


def training_points(spec: RunSpec) -> tuple[list[float], list[float]]:
    """Where the points to train on stand: x and y."""
    assert isinstance(spec.dataset, CurveSpec)
    dataset = points_dataset(spec.dataset)
    return dataset.positions[dataset.train, 0].tolist(), dataset.labels[dataset.train].tolist()


def truth(places: npt.ArrayLike) -> Numbers:
    """sin x (n,) at `places` (n,)."""
    found: Numbers = np.sin(np.asarray(places, np.float64))
    return found


@dataclass(frozen=True, slots=True)
class Lowest:
    """The lowest loss on the points held out so far: at which update, and with which parameters (P,)."""

    step: int
    loss: float
    parameters: tuple[float, ...]


class Beside:
    """Trains beside a run, from the same spec, which makes the same weights, and keeps where the loss held out was lowest.

    It is as far as `reached`, a measurement.
    """

    def __init__(self, spec: RunSpec) -> None:
        assert isinstance(spec.dataset, CurveSpec)
        self._trainer = Trainer(spec, points_dataset(spec.dataset))
        self._lowest: list[Lowest] = []
        self._measure()

    @property
    def reached(self) -> int:
        return self._trainer.steps

    @property
    def next(self) -> int:
        """The update of the next measurement."""
        return self.reached + (OFTEN if self.reached < EARLY else SELDOM)

    def advance(self) -> None:
        """To the next measurement."""
        self._trainer.advance(self.next - self.reached)
        self._measure()

    def lowest(self, step: int) -> Lowest:
        """Among the measurements up to `step`, which must have been reached but for the last few updates."""
        return next(found for found in reversed(self._lowest) if found.step <= step)

    def _measure(self) -> None:
        trainer, held_out = self._trainer, self._trainer.splits["test"]
        loss, _ = trainer.loss.loss_and_gradient(trainer.network.logits(held_out.look(slice(None))), held_out.labels)
        if not self._lowest or loss < self._lowest[-1].loss:
            self._lowest.append(Lowest(trainer.steps, loss, tuple(map(float, trainer.network.parameters))))


def measurements(step: int) -> int:
    """How many there are after update 0 and up to `step`."""
    return min(step, EARLY) // OFTEN + max(0, step - EARLY) // SELDOM


def beside(spec: RunSpec) -> Beside:
    """The same one for the same run, so that each look goes on where the one before it ended, and wherever the run is to end."""
    return _beside(replace(spec, stop=StopSpec()))


@lru_cache(maxsize=60)
def _beside(spec: RunSpec) -> Beside:
    return Beside(spec)
