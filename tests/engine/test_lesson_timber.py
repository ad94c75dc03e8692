"""The timber sales against the slide's own figures, and polynomials against exact ones."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from engine.lessons import timber

NEXT = 13


def interpolated(values: list[int], place: int) -> Fraction:
    """What the polynomial through (1, v1), (2, v2), … is at `place`, after Lagrange, without rounding."""
    total = Fraction(0)
    for i, value in enumerate(values, start=1):
        term = Fraction(value)
        for j in range(1, len(values) + 1):
            if j != i:
                term *= Fraction(place - j, i - j)
        total += term
    return total


def test_the_last_four_quarters_are_the_slides() -> None:
    sales = timber.sales()
    assert sales.tolist()[-4:] == [1093, 1122, 966, 930]
    assert len(sales) == 12
    assert sales.tolist() == [int(value) for value in sales]
    assert 800 <= sales.min() <= sales.max() <= 1250


def test_a_the_trend_says_1007() -> None:
    assert round(timber.fit(1).forecast) == 1007
    slope, height = np.polyfit(np.arange(1, NEXT), timber.sales(), 1)
    assert timber.fit(1).forecast == pytest.approx(slope * NEXT + height, rel=1e-12)


@pytest.mark.parametrize("degree", [6, 9, 10, 11])
def test_b_the_curve_says_0(degree: int) -> None:
    fit = timber.fit(degree)
    assert fit.forecast < 0
    assert round(fit.sales) == 0
    assert fit.error < timber.fit(1).error


def test_degree_6_is_the_lowest_that_says_0() -> None:
    assert next(degree for degree in range(1, 12) if timber.fit(degree).sales == 0) == 6


def test_the_error_on_seen_quarters_falls_with_every_degree() -> None:
    errors = [timber.fit(degree).error for degree in range(1, timber.HIGHEST_DEGREE + 1)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 100
    assert errors[-1] < 1e-9


def test_the_highest_degree_goes_through_all_quarters() -> None:
    fit = timber.fit(timber.HIGHEST_DEGREE)
    exact = interpolated([int(value) for value in timber.sales()], NEXT)
    assert fit.forecast == pytest.approx(float(exact), rel=1e-10)
    np.testing.assert_allclose(fit.at(np.arange(1, NEXT)), timber.sales(), rtol=1e-12)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_low_degrees_agree_with_powers(degree: int) -> None:
    powers = np.polyfit(np.arange(1, NEXT), timber.sales(), degree)
    places = np.linspace(1, NEXT, 30)
    np.testing.assert_allclose(timber.fit(degree).at(places), np.polyval(powers, places), rtol=1e-7)


def test_the_network_learns_the_seen_quarters() -> None:
    spec = timber.run(10, 1)
    assert spec.dataset.sizes["train"] == timber.QUARTERS
    assert spec.batch_size == timber.QUARTERS
