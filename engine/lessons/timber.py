"""Quarterly timber sales, and two ways to say what the next quarter will sell: a straight line and a curve.

Slide: "Quarterly timber sales. A – linear trend, B – curve fit. Model predictions for next Q1". The slide's text gives the
last four quarters (1093, 1122, 966, 930) and both predictions, A 1007 and B 0; the quarters of its picture are lost, so
the two years before are made up here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.datasets.table import encode_rows
from engine.lessons.fits import Numbers
from engine.specs import Adam, Dense, RunSpec, StopSpec, TableSpec, Tanh

LAST_FOUR = (1093.0, 1122.0, 966.0, 930.0)
TREND = 1007.0
"""What the slide's straight line says of the next quarter."""
YEARS = 3
QUARTERS = 4 * YEARS
NEXT = QUARTERS + 1
"""The quarter that is asked for, counted from the first one as 1."""
HIGHEST_DEGREE = QUARTERS - 1
"""A curve of this degree goes through all quarters."""

UPDATES = 3_000

_NOISE = 40.0
_SEED = 14_083
"""One of few for which a curve of degree 6, the highest that spreadsheets fit, falls below zero, too."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A polynomial through the seen quarters.

    error: the root of the mean of (y − ŷ)² over them; forecast: what it says of the next one, as it is.
    """

    degree: int
    error: float
    forecast: float
    coefficients: Numbers

    @property
    def sales(self) -> float:
        """The forecast as sales, which cannot be negative."""
        return max(0.0, self.forecast)

    def at(self, quarters: npt.ArrayLike) -> Numbers:
        """ŷ (n,) at `quarters` (n,), counted from 1 and whole or not."""
        return np.asarray(np.polynomial.chebyshev.chebval(_scaled(quarters), self.coefficients), np.float64)


def sales() -> Numbers:
    """The twelve seen quarters (12,), the last four from the slide.

    The earlier ones have the last year's seasons and a normal error of 40, and stand as high as they must for the straight
    line through all twelve to say 1007 of the next quarter. Whole numbers, as the slide's.
    """
    last = np.array(LAST_FOUR)
    seasons = np.tile(last - last.mean(), YEARS - 1)
    earlier = seasons + np.random.default_rng(_SEED).normal(0, _NOISE, len(seasons))
    quarters = np.concatenate([earlier, last])
    # Every line's forecast is a sum of the quarters, each with a weight of its own: raising the earlier ones by h raises
    # it by h times the sum of theirs.
    weights = _weights_of_trend()
    height = (TREND - weights @ quarters) / weights[: len(seasons)].sum()
    quarters[: len(seasons)] += height
    return np.round(quarters)


def _weights_of_trend() -> Numbers:
    """What each quarter adds to the line's forecast (12,): `(1, 13) · (AᵀA)⁻¹ Aᵀ`, A with rows (1, t)."""
    design = np.column_stack([np.ones(QUARTERS), np.arange(1, NEXT)])
    weights: Numbers = np.array([1.0, NEXT]) @ np.linalg.pinv(design)
    return weights


def fit(degree: int) -> Fit:
    """The polynomial of `degree` with the smallest squared error on the seen quarters.

    In Chebyshev polynomials on −1 … 1, by singular values: powers of the quarter's number up to 12¹¹ would leave no digit
    right. With a basis that well conditioned, degree 11 goes through all twelve to 12 digits.
    """
    seen = sales()
    design = np.polynomial.chebyshev.chebvander(_scaled(np.arange(1, NEXT)), degree)
    coefficients = np.asarray(np.linalg.lstsq(design, seen, rcond=None)[0], np.float64)
    forecast = float(np.polynomial.chebyshev.chebval(_scaled(NEXT), coefficients))
    return Fit(degree, error(design @ coefficients), forecast, coefficients)


def error(answers: npt.ArrayLike) -> float:
    """The root of the mean of (y − ŷ)² over the seen quarters, for `answers` ŷ (12,)."""
    return float(np.sqrt(np.mean((sales() - np.asarray(answers, np.float64)) ** 2)))


def _scaled(quarters: npt.ArrayLike) -> Numbers:
    """Quarters 1 to 12 become −1 to 1."""
    middle = (1 + QUARTERS) / 2
    return (np.asarray(quarters, np.float64) - middle) / (QUARTERS - middle)


def run(units: int, seed: int) -> RunSpec:
    """A network with one hidden layer that learns the seen quarters, all of them in each update."""
    rows = np.column_stack([np.arange(1, NEXT), sales()])
    return RunSpec(
        name="Timber sales",
        dataset=TableSpec(
            columns=("quarter",),
            class_names=(),
            target="sales",
            values=encode_rows(rows),
            standardize=True,
            train_share=1.0,
        ),
        network=(Dense(units=units), Tanh(), Dense(units=1)),
        loss="mean_squared_error",
        optimizer=Adam(learning_rate=0.02),
        batch_size=QUARTERS,
        l2=0.0,
        seed=seed,
        stop=StopSpec(steps=UPDATES),
    )
