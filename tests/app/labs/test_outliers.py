"""Lab 3: each task is solved by real training and not as opened, and the plot is that of the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.labs.lesson import RunState, Verdict
from app.labs.outliers import LAB, WILD, Settings, figures, runs
from engine.datasets.points import points_dataset
from engine.lessons.outliers import UPDATES
from engine.trainer import Trainer

OPENED = Settings()


def trained(settings: Settings, updates: int = UPDATES) -> dict[str, RunState]:
    """The lab's runs after so many updates, as their workers would tell."""
    found = {}
    for name, spec in runs(settings).items():
        trainer = Trainer(spec, points_dataset(spec.dataset))  # type: ignore[arg-type]
        if updates:
            trainer.advance(updates)
        found[name] = RunState(step=updates, parameters=tuple(map(float, trainer.network.parameters)))
    return found


def verdict(task: str, settings: Settings, updates: int = UPDATES) -> Verdict:
    (found,) = (one for one in LAB.tasks if one.name == task)
    states = trained(settings, updates)
    return found.check(settings, figures(settings, states), states)


def with_outliers(*outliers: tuple[float, float]) -> Settings:
    ordinary = OPENED.ordinary
    x, y = zip(*ordinary, *outliers, strict=True)
    return replace(OPENED, x=x, y=y, outliers=len(outliers))


@pytest.mark.parametrize("updates", [0, 100, UPDATES])
def test_no_task_is_solved_by_waiting(updates: int) -> None:
    assert not [task.name for task in LAB.tasks if verdict(task.name, OPENED, updates).solved]


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("one-outlier", with_outliers((5.0, -5.0))),
        ("robust", replace(OPENED, loss="absolute_error")),
        ("robust", replace(OPENED, loss="huber")),
        ("logistic", replace(OPENED, unit="logistic")),
    ],
)
def test_each_task_can_be_solved(task: str, settings: Settings) -> None:
    assert verdict(task, settings).solved
    assert not verdict(task, settings, 0).solved


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("one-outlier", with_outliers((3.8, -4.2))),
        ("one-outlier", with_outliers((5.0, -5.0), (4.9, -5.0))),
        ("one-outlier", replace(with_outliers((5.0, -5.0)), loss="huber")),
        ("robust", replace(with_outliers((5.0, -5.0), (4.0, -4.0)), loss="absolute_error")),
        ("robust", with_outliers((-4.0, -2.0), (0.0, 0.0), (4.0, 2.0))),
        ("logistic", replace(OPENED, unit="logistic", loss="absolute_error")),
        ("logistic", replace(with_outliers(), unit="logistic")),
    ],
)
def test_ways_round_a_task_do_not_solve_it(task: str, settings: Settings) -> None:
    found = verdict(task, settings)
    assert not found.solved
    assert 0 <= found.nearness < 1


def test_the_trained_lines_lie_on_the_closed_form() -> None:
    found = figures(OPENED, trained(OPENED))
    assert all(line["off"] < 1e-3 for line in found["lines"].values())
    assert found["apart"] > 0.25
    curves = {curve["name"]: curve for curve in found["fit"]["curves"]}
    for name in ("with", "without"):
        assert curves[f"best-{name}"]["values"][0] == pytest.approx(curves[name]["values"][0], abs=1e-3)


def test_the_closed_form_is_drawn_where_it_is_one() -> None:
    for settings in (replace(OPENED, loss="huber"), replace(OPENED, unit="logistic")):
        names = [curve["name"] for curve in figures(settings, trained(settings, 0))["fit"]["curves"]]
        assert names == ["with", "without"]


def test_numbers_are_put_into_each_formula() -> None:
    every: list[Any] = [part.formula.numbers for part in LAB.parts if part.formula]
    lines, shares, pulls, closed, unit = (numbers(figures(OPENED, trained(OPENED))) for numbers in every)
    assert lines == "with    ŷ = −0.76 + 0.18 x\nwithout ŷ = −0.13 + 0.48 x"
    assert (
        shares
        == "The outliers’ share of the loss\nof the clean line: squared 95\u2009%, Huber 81\u2009%, absolute 70\u2009%"
    )
    assert pulls == "farthest: −2 · (−5.90) = 11.80\nwith Huber 0.50, absolute 1"
    assert closed.startswith("with    w1 = 0.179, w0 = −0.760")
    assert unit == "Choose the logistic unit to see it here."
    none, logistic = with_outliers(), replace(OPENED, unit="logistic")
    assert every[1](figures(none, {})) == every[2](figures(none, {})) == "There are no outliers now."
    assert (
        every[4](figures(logistic, trained(logistic)))
        == "with    undecided at x = 0.81\nwithout undecided at x = −0.23"
    )
    assert every[4](figures(logistic, {})) == "with    undecided at x = –\nwithout undecided at x = –"


def test_outliers_are_added_and_removed_in_order() -> None:
    found = figures(OPENED, {})
    one, three = found["more"]
    assert [one["outliers"], three["outliers"], found["none"]["outliers"]] == [4, 6, 0]
    assert list(zip(three["x"], three["y"], strict=True))[17:] == list(WILD[:6])
    assert len(found["none"]["x"]) == 17
    full = with_outliers(*WILD)
    assert figures(full, {})["more"][1]["outliers"] == len(WILD)


def test_any_settings_leave_two_points_to_fit() -> None:
    settings = replace(OPENED, x=(1.0, 2.0, 3.0), y=(1.04, 2.0), outliers=9)
    assert settings.points == [(1.0, 1.0), (2.0, 2.0)]
    assert settings.wild == 0
    assert runs(settings)["with"] == runs(settings)["without"]
