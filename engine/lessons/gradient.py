"""A line through forty points, the surface of its loss over the two weights, and the ways down that surface.

The model is `ŷ = w0 + w1 x`, the loss the mean of `(y − ŷ)²`, as `engine.losses.MeanSquaredError` has it. Weights are pairs
(w0, w1) here; a network of one linear unit keeps the weight first and the bias w0 after it (`written` turns them round).
Slides: "Gradient", "Batch".
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from engine.arrays import Truth
from engine.datasets.plane import Positions
from engine.datasets.points import PointDataset, points_dataset
from engine.datasets.table import encode_rows
from engine.errors import DivergedError
from engine.lessons.known import Known
from engine.specs import RunSpec, TableSpec
from engine.trainer import Trainer

Numbers = npt.NDArray[np.float64]

POINTS = 40
X_ENDS = (0.0, 3.0)
INTERCEPT, SLOPE, NOISE = 0.6, 0.9, 0.42
SEED = 3

LONGEST = 1_000
"""Updates of a path that is drawn; long before that all have arrived, or are lost."""
PORTION = 200
"""Updates from one breath to the next: some milliseconds."""


@cache
def line_table() -> TableSpec:
    """The forty points: `y = 0.6 + 0.9 x` with a normal error of 0.42, x drawn evenly from 0 to 3. All are trained on."""
    rng = np.random.default_rng(SEED)
    x = rng.uniform(*X_ENDS, POINTS)
    y = INTERCEPT + SLOPE * x + rng.normal(0, NOISE, POINTS)
    return TableSpec(
        columns=("x",), class_names=(), target="y", train_share=1.0, values=encode_rows(np.stack([x, y], axis=1))
    )


@cache
def line_dataset() -> PointDataset:
    return points_dataset(line_table())


def written(w0: float, w1: float) -> tuple[float, float]:
    """The weights as `RunSpec.parameters` has them, or the other way round."""
    return (w1, w0)


@dataclass(frozen=True, slots=True)
class Line:
    """Points to put a line through: `inputs` (N, 2) with a column of ones and one of x, and `targets` (N,).

    All that follows is float64. `weights` are (..., 2), and what is told of them (...).
    """

    inputs: Numbers
    targets: Numbers

    @classmethod
    def through(cls, positions: Positions, labels: Truth) -> Line:
        """`positions` (N, 1) and `labels` (N,)."""
        x = positions[:, 0].astype(np.float64)
        return cls(np.stack([np.ones_like(x), x], axis=1), labels.astype(np.float64))

    def loss(self, weights: Numbers) -> Numbers:
        """`1/n Σ (y − ŷ)²`."""
        errors: Numbers = self.targets - weights @ self.inputs.T
        losses: Numbers = np.square(errors).mean(axis=-1)
        return losses

    def gradient(self, weights: Numbers) -> Numbers:
        """`∂Loss/∂w0 = −2/n Σ (y − ŷ)` and `∂Loss/∂w1 = −2/n Σ (y − ŷ) x`, (..., 2)."""
        errors = self.targets - weights @ self.inputs.T
        slopes: Numbers = -2 / len(self.targets) * errors @ self.inputs
        return slopes

    @property
    def curvature(self) -> Numbers:
        """The Hessian `H = 2/n XᵀX` (2, 2), the same everywhere: the gradient at w is `H (w − w*)`."""
        hessian: Numbers = 2 / len(self.targets) * self.inputs.T @ self.inputs
        return hessian

    @property
    def steepest(self) -> float:
        """λmax, the largest eigenvalue of the Hessian: how the loss bends across its valley."""
        return float(np.linalg.eigvalsh(self.curvature)[-1])

    @property
    def limit(self) -> float:
        """`2/λmax`, the learning rate beyond which descent on all examples diverges.

        An update takes the error e = w − w* to `e − α H e`: along an eigenvector of λ it is multiplied by 1 − αλ, which
        is larger than 1 in size when α > 2/λ. The largest λ sets the limit.
        """
        return 2 / self.steepest

    @property
    def minimum(self) -> Numbers:
        """Least squares in closed form, (2,): where the gradient is zero."""
        found, *_ = np.linalg.lstsq(self.inputs, self.targets, rcond=None)
        return found.astype(np.float64)


@cache
def line() -> Line:
    """The line to be put through the forty points."""
    return Line.through(line_dataset().positions, line_dataset().labels)


def lattice(w0: tuple[float, float], w1: tuple[float, float], columns: int, rows: int) -> Numbers:
    """Places (rows, columns, 2) at equal steps over w0 and w1, the largest w1 in the first row."""
    across, down = np.meshgrid(np.linspace(*w0, columns), np.linspace(*w1, rows)[::-1])
    return np.stack([across, down], axis=-1)


def walked(spec: RunSpec, updates: int) -> Generator[None, None, Numbers]:
    """Where a run of the forty points has been: its weights (T + 1, 2) after 0, 1, … `updates` updates, at most 1,000.

    Where it diverges the path ends. Yields now and then.
    """
    path = yield from _paths.of(spec)
    return path[: updates + 1]


def _walked(spec: RunSpec) -> Generator[None, None, Numbers]:
    """It is walked again, as a run is what its spec makes it, to the last bit."""
    trainer = Trainer(spec, line_dataset())
    places = [written(*trainer.network.parameters.tolist())]
    with suppress(DivergedError):
        for step in range(LONGEST):
            trainer.step()
            places.append(written(*trainer.network.parameters.tolist()))
            if step % PORTION == PORTION - 1:
                yield
    return np.array(places)


_paths = Known(_walked, most=200)
