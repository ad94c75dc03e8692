"""Lab 11: its figures are the engine's, and each of its tasks can be solved."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from app.labs.convolution import (
    LAB,
    Settings,
    figures,
    matrix_in_numbers,
    size_in_numbers,
    sum_in_numbers,
)
from app.labs.lesson import Verdict

ROW = Settings()
DIGIT = Settings(view="digit")
LYING = (0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, 0, 0, 0, 0, 0, 0)


def verdict(task: str, settings: Settings) -> Verdict:
    (found,) = (one for one in LAB.tasks if one.name == task)
    return found.check(settings, figures(settings, {}), {})


def test_the_lower_value_answers_strongest() -> None:
    row = figures(ROW, {})["row"]
    assert row["response"] == [5, 2, 8, 2, 5]
    assert row["strongest"] == row["place"] == 2
    assert row["sums"][2] == "1·5 + (−1)·2 + 1·5 = 8"


def test_numbers_are_put_in() -> None:
    found = figures(ROW, {})
    assert sum_in_numbers(found) == "z₃ = 1·5 + (−1)·2 + 1·5 = 8"
    assert size_in_numbers(found) == "⌊(7 + 2·0 − 3) / 1 + 1⌋ = 5"
    assert matrix_in_numbers(found).splitlines() == [
        "W: 5·7 = 35 weights, 20 of them 0",
        "kernel: 3 weights",
        "difference of the answers: none",
    ]
    found = figures(replace(DIGIT, size="5", stride=2, padding=1), {})
    assert size_in_numbers(found) == "⌊(28 + 2·1 − 5) / 2 + 1⌋ = 13, so 13×13"
    digit = found["digit"]
    assert sum_in_numbers(found) == f"25 products, one a weight: z = {digit['response'][7][12]:g}".replace("-", "−")
    assert matrix_in_numbers(found).startswith("W: 169·784 = 132,496 weights, ")


@pytest.mark.parametrize("size", ["3", "5"])
def test_the_response_is_the_sum_of_the_printed_products(size: Any) -> None:
    digit = figures(
        replace(DIGIT, size=size, weights=figures(replace(DIGIT, size=size), {})["digit"]["kernels"]["sharpen"]), {}
    )["digit"]
    assert digit["name"] == "sharpen"
    y, x = digit["down"], digit["across"]
    products = [
        round(digit["ink"][y + i][x + j], 2) * weight
        for i, weights in enumerate(digit["kernel"])
        for j, weight in enumerate(weights)
    ]
    assert sum(products) == pytest.approx(digit["response"][y][x], abs=1e-12)
    assert digit["difference"] < 1e-12


def test_a_place_that_is_no_more_becomes_the_last() -> None:
    assert figures(replace(ROW, place=8, stride=3), {})["row"]["place"] == 1
    digit = figures(replace(DIGIT, down=29, across=29), {})["digit"]
    assert (digit["down"], digit["across"]) == (25, 25)


def test_a_drawing_takes_the_digits_place() -> None:
    drawn = figures(replace(DIGIT, drawing=b64encode(b"\xff" * 392).decode()), {})["digit"]
    assert (drawn["label"], drawn["ink"][0][0], drawn["response"][5][5]) == (None, 1, 0)
    spoilt = figures(replace(DIGIT, drawing="/" * 20), {})["digit"]
    assert spoilt == figures(DIGIT, {})["digit"], "what is no drawing leaves the digit"


@pytest.mark.parametrize(
    ("task", "settings", "note"),
    [
        ("flat", replace(ROW, kernel=(1.0, -2.0, 1.0)), "flat stretches answer 0, the uneven place 6"),
        ("once", replace(ROW, stride=3, padding=1), "7 of 7 columns"),
        ("same-size", replace(DIGIT, size="5", padding=2), "5×5 kernel with padding 2 gives 28×28"),
        ("lying", replace(DIGIT, weights=LYING), "A lying stroke answers 3, a standing one 0."),
    ],
)
def test_each_task_can_be_solved(task: str, settings: Settings, note: str) -> None:
    found = verdict(task, settings)
    assert (found.solved, found.nearness) == (True, 1)
    assert note in found.note


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("flat", replace(ROW, kernel=(0.0, 0.0, 0.0))),
        ("flat", replace(ROW, row=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0), kernel=(1.0, -2.0, 1.0))),
        ("once", replace(ROW, kernel=(0.0, 1.0, 0.0), padding=0)),
        ("same-size", replace(DIGIT, padding=1)),
        ("lying", replace(DIGIT, weights=(0.0,) * 25)),
        ("lying", replace(DIGIT, weights=tuple(float(LYING[5 * (i % 5) + i // 5]) for i in range(25)))),
    ],
)
def test_ways_round_a_task_do_not_solve_it(task: str, settings: Settings) -> None:
    found = verdict(task, settings)
    assert not found.solved
    assert 0 <= found.nearness < 1
