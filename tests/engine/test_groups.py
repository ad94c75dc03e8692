"""Digits are measured as NumPy's own statistics measure them, ranked fairly, and chosen as a group says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from engine.datasets.groups import measure
from engine.datasets.mnist import load_mnist
from engine.errors import SpecError
from engine.evaluation import evaluate
from engine.shapes import check_run, estimate_bytes
from engine.specs import Adam, Dense, GroupSpec, MnistSpec, ReLU, RunSpec
from engine.specs.pictures import FEWEST_IN_CELL
from engine.trainer import Trainer
from engine.validation import checked

mnist = cache(load_mnist)


def test_thickness_and_slant_are_mean_and_covariance_of_the_ink() -> None:
    images = mnist().train.images[:40]
    thickness, slant = measure(images)
    y, x = np.mgrid[:28, :28]
    for image, thick, lean in zip(images, thickness, slant, strict=True):
        assert thick == pytest.approx(image.mean() / 255, rel=1e-5)
        (_, covariance), (_, variance) = np.cov(x.ravel(), y.ravel(), ddof=0, fweights=image.ravel())
        assert lean == pytest.approx(-covariance / variance, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("shear", [-0.5, 0.0, 0.3])
def test_a_stroke_leans_as_far_as_it_was_drawn(shear: float) -> None:
    image = np.zeros((1, 28, 28), np.uint8)
    for row in range(4, 25):
        place = 14 - shear * (row - 14)
        image[0, row, round(place) - 1 : round(place) + 2] = 255
    thickness, slant = measure(image)
    assert slant[0] == pytest.approx(shear, abs=0.02)
    assert thickness[0] == pytest.approx(21 * 3 / 784)


def test_an_empty_image_is_thin_and_upright() -> None:
    assert [float(values[0]) for values in measure(np.zeros((1, 28, 28), np.uint8))] == [0, 0]


def test_every_cell_of_every_digit_holds_equally_many() -> None:
    dataset = mnist()
    tenths, labels = dataset.groups.tenths, dataset.train.labels
    cells = np.zeros((10, 10, 10), int)
    np.add.at(cells, (labels, *tenths.T), 1)
    assert cells.min() == FEWEST_IN_CELL
    assert np.all(cells.max(axis=(1, 2)) - cells.min(axis=(1, 2)) <= 1)


def test_a_later_tenth_is_thicker_and_among_equally_thick_ones_leans_further_to_the_right() -> None:
    dataset = mnist()
    threes = dataset.train.labels == 3
    thickness, slant = (values[threes] for values in measure(dataset.train.images))
    thick, leaning = dataset.groups.tenths[threes].T
    for tenth in range(9):
        assert thickness[thick == tenth].max() <= thickness[thick == tenth + 1].min()
    middle = thick == 5
    for tenth in range(9):
        assert slant[middle & (leaning == tenth)].max() <= slant[middle & (leaning == tenth + 1)].min()


def test_a_group_is_trained_and_validated_on_equally_and_tested_on_everyone() -> None:
    dataset = mnist()
    group = GroupSpec(digits=(1, 4, 7), thickness=(0, 3), slant=(2, 5))
    spec = MnistSpec(train_size=90, validation_size=30, crop=28, group=group)
    splits = dataset.splits(spec)
    assert {name: len(examples) for name, examples in splits.items()} == dict(spec.sizes)
    assert splits["train"].labels.tolist() == [1, 4, 7] * 20
    assert splits["validation"].labels.tolist() == [1, 4, 7] * 10
    assert np.shares_memory(splits["test"].images, dataset.test.images)
    inside = dataset.groups.in_ranges(group)
    members = np.flatnonzero(inside & (dataset.train.labels == 4))
    assert np.array_equal(splits["train"].images[1::3], dataset.train.images[members[:20]])
    assert np.array_equal(splits["validation"].images[1::3], dataset.train.images[members[20:30]])


def test_an_ordinary_spec_is_written_as_ever_and_a_group_comes_back_from_its_json() -> None:
    assert list(RunSpec().to_dict()["dataset"]) == ["name", "train_size", "validation_size", "crop", "test_crops"]
    spec = RunSpec(dataset=MnistSpec(train_size=100, validation_size=10, group=GroupSpec(thickness=(3, 5))))
    assert spec.to_dict()["dataset"]["group"]["thickness"] == [3, 5]
    assert checked(spec) == spec


@pytest.mark.parametrize(
    ("group", "field"),
    [
        (GroupSpec(digits=(1, 1)), "/dataset/group/digits"),
        (GroupSpec(thickness=(5, 5)), "/dataset/group/thickness"),
        (GroupSpec(slant=(7, 2)), "/dataset/group/slant"),
        (GroupSpec(digits=(3,), thickness=(0, 1), slant=(0, 1)), "/dataset/train_size"),
        (GroupSpec(slant=(0, 11)), "/dataset/group/slant/1"),
    ],
)
def test_a_group_that_cannot_be_is_refused_before_anything_is_measured(group: GroupSpec, field: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_run(RunSpec(dataset=MnistSpec(train_size=55, validation_size=0, group=group)))
    assert caught.value.field == field


def test_what_a_group_copies_counts_as_memory_of_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = MnistSpec(train_size=50_000)
    spec = RunSpec(dataset=whole)
    needed = estimate_bytes(spec.network, whole.input_shape, spec.batch_size)
    monkeypatch.setattr("engine.shapes.MAX_RUN_BYTES", needed + 50_000 * 784 - 1)
    check_run(spec)
    with pytest.raises(SpecError) as caught:
        check_run(replace(spec, dataset=replace(whole, group=GroupSpec())))
    assert caught.value.code == "too_much_memory"


def trained(group: GroupSpec) -> list[float]:
    """Accuracy on the training set, on held-out digits of the group, and on everyone, after training on 50 of each digit."""
    spec = RunSpec(
        dataset=MnistSpec(train_size=700, validation_size=200, crop=28, test_crops=1, group=group),
        network=(Dense(units=32), ReLU(), Dense(units=10)),
        optimizer=Adam(learning_rate=0.003),
        batch_size=50,
        l2=0.0,
    )
    trainer = Trainer(spec, mnist())
    trainer.advance(200)
    return [evaluate(trainer, split).accuracy or 0.0 for split in ("train", "validation", "test")]


def test_fifty_thin_upright_digits_are_learned_and_everyone_is_not_until_the_group_is_widened() -> None:
    train, held_out, everyone = trained(GroupSpec(thickness=(0, 3), slant=(2, 5)))
    assert train > 0.99
    assert held_out > 0.9
    assert everyone < 0.75
    _, also_held_out, widened = trained(GroupSpec())
    assert widened > everyone + 0.1
    assert abs(widened - also_held_out) < 0.06
