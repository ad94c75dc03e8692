"""Crops show the right pixels, and every position is drawn equally often."""

from __future__ import annotations

import numpy as np
import pytest

from engine.augmentation import centre_crop, crop_at, random_crop, random_offsets


def coordinates(count: int = 1, side: int = 6) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Images whose pixel values tell where they are: 10·row + column."""
    rows, columns = np.indices((side, side))
    return np.repeat((10 * rows + columns).astype(np.uint8)[None], count, axis=0)


def test_a_crop_worked_by_hand() -> None:
    window = crop_at(coordinates(), np.array([[1], [2]]), 2)
    assert window.shape == (1, 2, 2, 1)
    assert window.dtype == np.float32
    np.testing.assert_array_equal(window[0, :, :, 0] * np.float32(255), [[12, 13], [22, 23]])


def test_ink_is_the_byte_over_255() -> None:
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    np.testing.assert_array_equal(centre_crop(images, 16).ravel(), np.arange(256, dtype=np.float32) / np.float32(255))


def test_the_centre() -> None:
    np.testing.assert_array_equal(centre_crop(coordinates(), 2), crop_at(coordinates(), np.array([[2], [2]]), 2))
    assert centre_crop(coordinates(3), 6).shape == (1, 6, 6, 3)


def test_every_position_is_drawn_equally_often() -> None:
    offsets = random_offsets((50_000,), 28, 24, np.random.default_rng(1))
    counts = np.bincount(5 * offsets[0] + offsets[1], minlength=25)
    assert counts.size == 25
    expected = 50_000 / 25
    assert ((counts - expected) ** 2 / expected).sum() < 51.2  # chi square, 24 degrees of freedom, p = 0.001


def test_the_batch_is_written_where_it_is_wanted() -> None:
    out = np.empty((1, 4, 4, 5), np.float32)
    assert random_crop(coordinates(5), 4, np.random.default_rng(1), out) is out
    np.testing.assert_array_equal(out, random_crop(coordinates(5), 4, np.random.default_rng(1)))


def test_each_image_has_its_own_window() -> None:
    batch = random_crop(coordinates(20), 4, np.random.default_rng(1))
    assert len({batch[0, 0, 0, n] for n in range(20)}) > 3


def test_randomness_must_be_handed_in() -> None:
    with pytest.raises(TypeError):
        random_crop(coordinates(), 4)  # type: ignore[call-arg]
