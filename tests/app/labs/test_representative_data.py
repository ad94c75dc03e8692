"""Lab 2: what its settings ask for can be trained, each of its tasks can be solved, and nothing is said that nobody can know."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from app.labs.lesson import RunState, Verdict
from app.labs.representative_data import (
    LAB,
    UPDATES,
    Settings,
    accuracy_in_numbers,
    examples_of,
    figures,
    look,
    runs,
    slant_in_numbers,
    span,
)
from engine.lessons.representative_data import mnist
from engine.shapes import check_run
from engine.specs import GroupSpec, MnistSpec
from engine.specs.pictures import pack_drawings
from engine.trainer import Trainer

CORNER = Settings(thickness=(0, 1), slant=(4, 5), examples=5)
EVERYBODY = Settings(thickness=(0, 5), slant=(0, 5))
TWO_DIGITS = Settings(digits=(0, 1))


@cache
def states(settings: Settings) -> dict[str, RunState]:
    """The lab's runs, trained to their ends."""
    found = {}
    for name, spec in runs(settings).items():
        trainer = Trainer(spec, mnist())
        assert spec.stop.steps is not None
        trainer.advance(spec.stop.steps)
        seen = look(trainer, settings, name)
        while True:
            try:
                next(seen)
            except StopIteration as end:
                found[name] = RunState(step=trainer.steps, state="finished", seen=end.value)
                break
    return found


def opened(settings: Settings) -> tuple[dict[str, Any], dict[str, RunState]]:
    return figures(settings, states(settings)), states(settings)


def verdict(task: str, settings: Settings) -> Verdict:
    (found,) = (one for one in LAB.tasks if one.name == task)
    return found.check(settings, *opened(settings))


def mirrored() -> str:
    """Twelve drawings in a handwriting that no digit of the set has."""
    dataset = mnist()
    places = dataset.groups.members(GroupSpec(), 1_012)[1_000:]
    return pack_drawings(
        [
            (int(dataset.train.labels[k]), np.ascontiguousarray(dataset.train.images[k][:, ::-1]).tobytes())
            for k in places
        ]
    )


def test_as_opened_the_training_set_is_learned_and_everyone_is_not() -> None:
    f, _ = opened(Settings())
    shares = {name: found["share"] for name, found in f["accuracies"].items()}
    assert shares["train"] > 0.99
    assert shares["validation"] > 0.9
    assert shares["test"] < 0.7
    assert shares["drawings"] is None
    assert f["map"]["shares"][0][1] > 0.85
    assert f["map"]["shares"][2][4] < 0.4
    assert accuracy_in_numbers(f).startswith("training: 500 / 500 = 100.0")
    assert slant_in_numbers(f).splitlines()[1].startswith("s = −3.5 / 24.8 = −0.14")


@pytest.mark.parametrize(
    ("task", "settings"), [("serve-few", CORNER), ("serve-many", EVERYBODY), ("fair-exam", TWO_DIGITS)]
)
def test_a_task_is_open_at_first_and_can_be_solved(task: str, settings: Settings) -> None:
    assert not verdict(task, Settings()).solved
    assert verdict(task, settings).solved


def test_widening_the_group_closes_the_gap_and_more_examples_of_it_do_not() -> None:
    narrow, more, wide = (
        opened(settings)[0]["accuracies"]["test"]["share"]
        for settings in (Settings(), Settings(examples=150), EVERYBODY)
    )
    assert wide - narrow > 0.15
    assert more - narrow < 0.08


def test_a_handwriting_is_taught_without_loss_only_beside_the_digits() -> None:
    kept = replace(EVERYBODY, drawings=mirrored())
    assert verdict("handwriting", kept).note == "Now teach them, and test on everyone."
    alone, mixed = replace(kept, teach="alone"), replace(kept, teach="mixed")
    assert not verdict("handwriting", alone).solved
    assert verdict("handwriting", mixed).solved
    forgotten = opened(alone)[0]["lesson"]
    assert forgotten["after"]["drawings"] == 1
    assert forgotten["after"]["test"] < forgotten["before"]["test"] - 0.1
    assert forgotten["updates"] == 100
    unasked = figures(replace(mixed, tests="same"), states(mixed))
    assert unasked["lesson"]["after"]["test"] is None
    assert unasked["lesson"]["after"]["drawings"] == 1
    assert opened(alone)[1]["network"].seen["test"] == opened(kept)[1]["network"].seen["test"]


def test_drawings_that_are_all_right_or_too_few_are_no_lesson() -> None:
    dataset = mnist()
    spec = runs(EVERYBODY)["network"].dataset
    assert isinstance(spec, MnistSpec)
    splits = dataset.splits(spec)
    trained = [(int(splits["train"].labels[k]), splits["train"].images[k].tobytes()) for k in range(6)]
    assert "already" in verdict("handwriting", replace(EVERYBODY, drawings=pack_drawings(trained))).note
    assert verdict("handwriting", replace(EVERYBODY, drawings=pack_drawings(trained[:2]))).nearness == pytest.approx(
        0.2
    )


@pytest.mark.parametrize(
    ("tests", "unknown"), [("none", {"validation", "test"}), ("same", {"test"}), ("everyone", set())]
)
def test_what_was_not_tested_is_not_known(tests: Any, unknown: set[str]) -> None:
    f = figures(Settings(tests=tests), states(Settings()))
    assert {name for name, found in f["accuracies"].items() if found["unknown"]} == unknown
    assert all(f["accuracies"][name]["share"] is None for name in unknown)
    assert (f["map"]["shares"] is None) == ("test" in unknown)
    assert accuracy_in_numbers(f).count("you cannot know") == len(unknown)
    solved = [task.name for task in LAB.tasks if task.check(Settings(tests=tests), f, states(Settings())).solved]
    assert solved == []


def test_what_is_only_looked_at_changes_no_run() -> None:
    usual = runs(Settings())
    for looked in (Settings(shown="7"), Settings(tests="none"), Settings(drawings=mirrored()), Settings(teach="alone")):
        assert runs(looked) == usual


@pytest.mark.parametrize("thickness", [(0, 1), (5, 5), (3, 1), (0, 5)])
@pytest.mark.parametrize("slant", [(4, 4), (0, 5)])
@pytest.mark.parametrize("digits", [(3,), (9, 1, 1), tuple(range(10))])
def test_whatever_is_set_can_be_trained(thickness: Any, slant: Any, digits: Any) -> None:
    for drawings in ("", "nonsense", mirrored()):
        settings = Settings(
            examples=500, thickness=thickness, slant=slant, digits=digits, drawings=drawings, teach="mixed"
        )
        for spec in runs(settings).values():
            check_run(spec)
            assert isinstance(spec.dataset, MnistSpec)
            assert spec.dataset.sizes["train"] >= len(set(digits)) * examples_of(settings)


def test_a_frame_is_never_empty() -> None:
    assert [span(pair) for pair in ((0, 0), (5, 5), (3, 1), (2, 5))] == [(0, 1), (4, 5), (1, 3), (2, 5)]


def test_an_unfinished_network_solves_nothing() -> None:
    state = replace(states(EVERYBODY)["network"], step=UPDATES - 1)
    f = figures(EVERYBODY, {"network": state})
    assert not any(task.check(EVERYBODY, f, {"network": state}).solved for task in LAB.tasks)


def test_drawings_are_shown_as_they_are_read_last() -> None:
    kept = replace(EVERYBODY, drawings=mirrored())
    for settings, name in ((kept, "network"), (replace(kept, teach="alone"), "taught")):
        f, runs_then = opened(settings)
        assert [drawing["read"] for drawing in f["drawings"]] == runs_then[name].seen["read"]
    assert [drawing["read"][0] for drawing in f["drawings"]] == [drawing["label"] for drawing in f["drawings"]]
