"""Drawings of one's own: packed and read, trained on from their update on, and what that makes of the older knowledge."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from engine.datasets.base import Chosen
from engine.datasets.drawings import drawn_images
from engine.datasets.mnist import load_mnist
from engine.errors import SpecError
from engine.evaluation import evaluate
from engine.shapes import check_run
from engine.specs import MAX_DRAWINGS, Adam, Dense, DrawingsSpec, GroupSpec, MnistSpec, ReLU, RunSpec
from engine.specs.pictures import DRAWING_BYTES, MAX_DRAWINGS_TEXT, pack_drawings, read_drawings
from engine.trainer import Trainer
from engine.validation import checked
from tests.engine import small

mnist = cache(load_mnist)


def packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def mirrored(each: int) -> str:
    """So many of each digit in a handwriting that nobody else has: as a mirror shows them."""
    dataset = mnist()
    chosen = dataset.groups.members(GroupSpec(), 10 * (100 + each))[10 * 100 :]
    return pack_drawings(
        [(int(dataset.train.labels[place]), dataset.train.images[place][:, ::-1].tobytes()) for place in chosen]
    )


def test_drawings_come_out_as_they_went_in() -> None:
    rng = np.random.default_rng(1)
    drawings = [(digit, rng.integers(0, 256, 784, np.uint8).tobytes()) for digit in (7, 0, 9)]
    images, digits = drawn_images(pack_drawings(drawings))
    assert digits.tolist() == [7, 0, 9]
    assert [image.tobytes() for image in images] == [ink for _, ink in drawings]


def test_as_many_as_there_may_be_fit_even_where_nothing_can_be_packed() -> None:
    ink = np.random.default_rng(1).integers(0, 256, 784, np.uint8).tobytes()
    noise = np.random.default_rng(2).integers(0, 256, (MAX_DRAWINGS, 784), np.uint8)
    values = pack_drawings([(3, row.tobytes()) for row in noise])
    assert len(values) <= MAX_DRAWINGS_TEXT
    assert len(read_drawings(values)[0]) == MAX_DRAWINGS
    assert DrawingsSpec(values=pack_drawings([(3, ink)])).count == 1


@pytest.mark.parametrize(
    "values",
    [
        "no base64!",
        base64.b64encode(b"not packed").decode(),
        packed(b""),
        packed(bytes(DRAWING_BYTES - 1)),
        packed(bytes(DRAWING_BYTES * (MAX_DRAWINGS + 1))),
        packed(bytes(100_000_000)),
        packed(bytes([10]) + bytes(784)),
        base64.b64encode(zlib.compress(bytes(DRAWING_BYTES))[:-4]).decode(),
    ],
    ids=["letters", "unpacked", "none", "a part", "too many", "a bomb", "no digit", "cut off"],
)
def test_what_is_no_drawing_is_refused(values: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_run(RunSpec(dataset=MnistSpec(drawings=DrawingsSpec(values=values))))
    assert caught.value.field == "/dataset/drawings/values"


def test_drawings_stand_behind_the_other_training_images_and_nowhere_else() -> None:
    values = mirrored(1)
    spec = MnistSpec(train_size=70, validation_size=10, crop=28, drawings=DrawingsSpec(values=values))
    assert checked(RunSpec(dataset=spec)).dataset == spec
    splits = small.dataset().splits(spec)
    images, digits = drawn_images(values)
    assert np.array_equal(splits["train"].images[60:], images)
    assert np.array_equal(splits["train"].labels[60:], digits)
    assert {name: len(examples) for name, examples in splits.items()} == {"train": 70, "validation": 10, "test": 40}
    assert spec.sizes == {"train": 70, "validation": 10, "test": 10_000}


@pytest.mark.parametrize(("mixed", "then"), [(True, set(range(70))), (False, set(range(60, 70)))])
def test_they_are_trained_on_from_their_update_on(mixed: bool, then: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    drawings = DrawingsSpec(values=mirrored(1), after=10, mixed=mixed)
    spec = small.spec(dataset=MnistSpec(train_size=70, validation_size=10, crop=26, drawings=drawings), batch_size=10)
    trainer = Trainer(spec, small.dataset())
    seen: list[set[int]] = []
    choose = trainer._choose

    def noted(count: int) -> Chosen:
        chosen = choose(count)
        seen.append(set(chosen.tolist()))
        return chosen

    monkeypatch.setattr(trainer, "_choose", noted)
    trainer.advance(24)
    assert set().union(*seen[:10]) == set(range(60))
    assert set().union(*seen[10:17]) == then


@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("stopped_at", [9, 10, 11])
def test_a_run_that_is_saved_around_that_update_goes_on_as_if_it_had_not_been(mixed: bool, stopped_at: int) -> None:
    drawings = DrawingsSpec(values=mirrored(1), after=10, mixed=mixed)
    spec = small.spec(dataset=MnistSpec(train_size=70, validation_size=10, crop=26, drawings=drawings))
    undisturbed = Trainer(spec, small.dataset())
    undisturbed.advance(stopped_at)
    saved = Trainer.from_state(undisturbed.state(), small.dataset())
    for trainer in (undisturbed, saved):
        trainer.advance(30)
    assert np.array_equal(undisturbed.network.parameters, saved.network.parameters)


def test_before_their_update_they_change_nothing() -> None:
    dataset = MnistSpec(train_size=70, validation_size=10, crop=26)
    plain, waiting = (
        Trainer(small.spec(dataset=spec), small.dataset())
        for spec in (dataset, replace(dataset, drawings=DrawingsSpec(values=mirrored(1), after=20)))
    )
    for trainer in (plain, waiting):
        trainer.advance(20)
    assert np.array_equal(plain.network.parameters, waiting.network.parameters)


def test_a_handwriting_is_learned_and_what_was_known_before_is_kept_only_if_it_is_trained_on_beside() -> None:
    values = mirrored(2)
    images, digits = drawn_images(values)

    def taught(*, mixed: bool) -> tuple[float, float, float]:
        """Accuracy on everyone before; after; and on the drawings after."""
        spec = RunSpec(
            dataset=MnistSpec(
                train_size=500, validation_size=0, crop=28, test_crops=1, group=GroupSpec(),
                drawings=DrawingsSpec(values=values, after=200, mixed=mixed),
            ),
            network=(Dense(units=32), ReLU(), Dense(units=10)),
            optimizer=Adam(learning_rate=0.003),
            batch_size=50,
            l2=0.0,
        )  # fmt: skip
        trainer = Trainer(spec, mnist())
        trainer.advance(200)
        before = evaluate(trainer, "test").accuracy
        trainer.advance(100)
        after = evaluate(trainer, "test").accuracy
        own = trainer.predict(images.astype(np.float32) / 255).argmax(axis=1) == digits
        return before or 0.0, after or 0.0, float(own.mean())

    before, alone, own = taught(mixed=False)
    assert own == 1
    assert alone < before - 0.15
    before, beside, own = taught(mixed=True)
    assert own >= 0.95
    assert beside > before - 0.03
