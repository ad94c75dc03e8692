"""What the lab says of a network is what a plain evaluation says, and its map and its moments recompute by hand."""

from __future__ import annotations

import base64
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest

from engine.datasets.groups import measure, rank
from engine.evaluation import evaluate
from engine.lessons.representative_data import drawn, everyone, judge, measured, mnist, pictures
from engine.specs import Dense, DrawingsSpec, GroupSpec, MnistSpec, RunSpec
from engine.specs.pictures import pack_drawings
from engine.trainer import Trainer


def outcome(work: Generator[None, None, dict[str, Any]]) -> dict[str, Any]:
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: dict[str, Any] = end.value
            return found


def drawings() -> str:
    dataset = mnist()
    return pack_drawings([(int(dataset.train.labels[k]), dataset.train.images[k].tobytes()) for k in range(900, 912)])


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    taught = DrawingsSpec(values=drawings(), after=1_000)
    dataset = MnistSpec(train_size=120, validation_size=20, crop=28, group=GroupSpec(thickness=(0, 2)), drawings=taught)
    trainer = Trainer(RunSpec(dataset=dataset, network=(Dense(units=10),), l2=0.0), mnist())
    trainer.advance(60)
    return trainer


def test_the_four_counts_are_those_of_plain_evaluations(trainer: Trainer) -> None:
    judged = outcome(judge(trainer, drawings()))
    for split, examples in (("validation", 20), ("test", 10_000)):
        assert judged[split]["examples"] == examples
        assert judged[split]["right"] / examples == pytest.approx(evaluate(trainer, split).accuracy)  # type: ignore[arg-type]
    own = trainer.splits["train"]
    right = trainer.probabilities(own.look(slice(0, 100))).argmax(axis=1) == own.labels[:100]
    assert judged["train"] == {"right": int(right.sum()), "examples": 100}
    read = trainer.probabilities(own.look(slice(100, 112))).argmax(axis=1)
    assert judged["drawings"] == {"right": int((read == own.labels[100:]).sum()), "examples": 12}
    assert [digit for digit, _ in judged["read"]] == read.tolist()


def test_without_drawings_nothing_is_said_of_them(trainer: Trainer) -> None:
    judged = outcome(judge(trainer, ""))
    assert (judged["drawings"], judged["read"]) == (None, [])


def test_the_map_is_of_everyone_by_fifths_of_thickness_and_slant(trainer: Trainer) -> None:
    judged = outcome(judge(trainer, ""))
    test = mnist().test
    predictions = evaluate(trainer, "test").predictions
    fifths = rank(test.images, test.labels) // 2
    for thick in range(5):
        for leaning in range(5):
            here = (fifths == [thick, leaning]).all(axis=1)
            assert 380 <= here.sum() <= 420
            share = (predictions[here] == test.labels[here]).mean()
            assert judged["map"][thick][leaning] == pytest.approx(share, abs=1e-4)


def test_the_pictures_are_digits_of_their_place() -> None:
    grid = np.array([[np.frombuffer(base64.b64decode(text), np.uint8) for text in row] for row in pictures(7)]).reshape(
        25, 28, 28
    )
    thickness, slant = (values.reshape(5, 5) for values in measure(grid))
    assert np.all(np.diff(thickness.mean(axis=1)) > 0)
    assert np.all(np.diff(slant, axis=1) > 0)


def test_the_moments_are_those_of_the_groups() -> None:
    image = np.frombuffer(base64.b64decode(pictures(4)[0][1]), np.uint8).reshape(1, 28, 28)
    ((thickness,), (slant,)) = measure(image)
    found = measured(4, 0, 1)
    assert found["thickness"] == pytest.approx(float(thickness), rel=1e-5)
    assert found["slant"] == pytest.approx(float(slant), rel=1e-4)
    assert found["thickness"] == pytest.approx(found["ink"] / 784)
    assert found["slant"] == pytest.approx(-found["lean"] / found["height"])


def test_drawings_are_shown_as_they_were_packed() -> None:
    shown = drawn(drawings())
    assert [drawing["label"] for drawing in shown] == mnist().train.labels[900:912].tolist()
    assert base64.b64decode(shown[3]["image"]) == mnist().train.images[903].tobytes()
    assert drawn("") == []


def test_everyone_is_the_test_set() -> None:
    assert len(everyone().tenths) == 10_000
