"""Lab 6: its figures are the engine's, and each of its tasks can be solved."""

from __future__ import annotations

from dataclasses import replace
from math import exp, fsum, log

import pytest

from app.labs.lesson import Verdict
from app.labs.loss import (
    LAB,
    Settings,
    figures,
    power_of_ten,
    product_numbers,
    softmax_numbers,
    squared_numbers,
    sum_numbers,
)
from engine.lessons.loss import probabilities_of_truth

OPENED = Settings()


def verdict(task: str, settings: Settings) -> Verdict:
    (found,) = (one for one in LAB.tasks if one.name == task)
    return found.check(settings, figures(settings, {}), {})


def test_the_slides_softmax_is_what_it_opens_with() -> None:
    rows = figures(OPENED, {})["softmax"]["rows"]
    assert [(row["name"], row["input"], round(row["probability"], 3)) for row in rows] == [
        ("cat", -0.12, 0.107),
        ("dog", 2.0, 0.893),
    ]


def test_as_it_opens_the_product_is_gone_and_the_sum_is_right() -> None:
    found = figures(OPENED, {})["likelihood"]
    probabilities = probabilities_of_truth(1_000, 0.2, 0.95, 1).tolist()
    assert found["product"] == 0
    assert found["vanished"] == 172
    assert found["sum"] == pytest.approx(-fsum(map(log, probabilities)), rel=1e-5)
    assert (
        found["said"]
        == f"exactly 0 from example 172 on; it should be {power_of_ten(fsum(map(log, probabilities)) / log(10))}"
    )
    shown = dict(zip(found["places"], found["products"], strict=True))
    assert shown[171] > 0
    assert shown[172] is None
    assert (found["places"][0], found["places"][-1]) == (1, 1_000)
    assert [row[0] for row in found["table"]] == [1, 2, 5, 10, 20, 50, 100, 171, 172, 200, 500, 1_000]
    assert [row[1] > 0 for row in found["table"]] == 8 * [True] + 4 * [False]
    assert found["table"][-1] == [1_000, 0, found["sum"]]


def test_numbers_are_put_in() -> None:
    found = figures(OPENED, {})
    assert squared_numbers(found) == "(1.00 − (−0.50))² = 2.25\nslope −2 · (1.00 − (−0.50)) = −3.00"
    assert product_numbers(found).endswith(" × … = 0")
    assert product_numbers(figures(replace(OPENED, examples=2, least=1, greatest=1), {})) == "1.000 × 1.000 = 1.00"
    assert sum_numbers(found).endswith("the mean of 1,000: 0.631")
    assert softmax_numbers(found) == "cat: 0.120 / 1.12 = 0.107\ndog: 1.00 / 1.12 = 0.893"


def test_what_float32_makes_of_the_product_is_said() -> None:
    """A product of numbers above one half cannot become 0: the smallest number rounds to itself."""
    stuck = figures(replace(OPENED, least=0.6), {})["likelihood"]
    assert stuck["said"].startswith("stuck at 1.4×10⁻⁴⁵, the smallest float32; it should be ")
    fine = figures(replace(OPENED, examples=10), {})["likelihood"]
    assert fine["said"].endswith(", and still above 0")
    assert power_of_ten(-274.5) == "3.2×10⁻²⁷⁵"
    assert power_of_ten(-1.0) == "0.100"


def test_what_would_be_too_large_for_float32_is_none() -> None:
    layer = figures(replace(OPENED, classes=3, cat=1_000.0, dog=999.0, fox=-10_000.0), {})["softmax"]
    assert [row["at_once"] is None for row in layer["rows"]] == [True, True, False]
    assert layer["together"] == pytest.approx(1)
    assert layer["rows"][1]["probability"] == pytest.approx(1 / (1 + exp(1)))
    assert layer["rows"][2]["loss"] == pytest.approx(11_000, rel=1e-3)


@pytest.mark.parametrize(
    ("task", "settings", "note"),
    [
        ("steep", replace(OPENED, output=3.0), "Loss 4.00, slope 4.00."),
        ("steep", replace(OPENED, target=-2.0, output=0.0), "Loss 4.00, slope 4.00."),
        ("edge", replace(OPENED, examples=158), "With 158 examples it is "),
        ("survive", replace(OPENED, least=0.9, greatest=1.0), "and still above 0."),
        ("survive", replace(OPENED, least=1.0, greatest=1.0), "It is 1.00"),
        ("shift", replace(OPENED, cat=0.88, dog=3.0), "0.880 and 3.00: 0.107 and 0.893."),
    ],
)
def test_each_task_can_be_solved(task: str, settings: Settings, note: str) -> None:
    found = verdict(task, settings)
    assert found.solved
    assert note in found.note


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("steep", replace(OPENED, output=-1.0)),  # it costs 4 there, too, but less when the output grows
        ("edge", replace(OPENED, examples=100)),
        ("edge", replace(OPENED, least=0.6)),  # stuck at 10⁻⁴⁵, where much less would be right
        ("survive", replace(OPENED, examples=50)),
        ("survive", replace(OPENED, least=0.6)),
        ("shift", replace(OPENED, cat=0.0, dog=2.12)),
        ("shift", replace(OPENED, cat=1.0, dog=3.0)),
        ("shift", replace(OPENED, classes=3, cat=0.88, dog=3.0, fox=-1_000.0)),
    ],
)
def test_ways_round_a_task_do_not_solve_it(task: str, settings: Settings) -> None:
    found = verdict(task, settings)
    assert not found.solved
    assert 0 <= found.nearness < 1
