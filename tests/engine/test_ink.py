"""A drawing is prepared as MNIST was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.datasets.mnist import load_mnist
from engine.errors import ShapeError
from engine.ink import Ink, preprocess


def drawing(side: int = 100, *, top: int = 10, left: int = 20, height: int = 40, width: int = 20) -> np.ndarray[Any, Any]:
    ink = np.zeros((side, side))
    ink[top : top + height, left : left + width] = 1
    return ink


def prepared(ink: np.ndarray[Any, Any]) -> Ink:
    result = preprocess(ink)
    assert result is not None
    return result


def test_a_rectangle_worked_by_hand() -> None:
    ink = prepared(drawing())
    assert ink.box == (0.2, 0.1, 0.4, 0.5)
    expected = np.zeros((20, 20))
    expected[:, 5:15] = 1
    np.testing.assert_array_equal(ink.scaled20, expected)
    rows, columns = np.flatnonzero(ink.image28.any(axis=1)), np.flatnonzero(ink.image28.any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (4, 23, 10, 19)


def test_scaling_averages_areas() -> None:
    ink = np.zeros((28, 28))
    ink[:25, 0], ink[:25, 24], ink[0, :25] = 1, 1, 1  # a 25×25 box: each new pixel is 1.25 old ones wide
    scaled = prepared(ink).scaled20
    assert scaled.shape == (20, 20)
    np.testing.assert_allclose(scaled[10, :2], [0.8 / 0.96, 0], atol=1e-6)  # the darkest pixel, a corner, has 0.96


@pytest.mark.parametrize("factor", [1, 2, 7])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (0, 20), (20, 0), (20, 20), (7, 11)])
def test_place_and_size_do_not_matter(top: int, left: int, factor: int) -> None:
    digit = np.random.default_rng(3).random((20, 14)) * 0.8 + 0.2
    ink = np.zeros((40, 40))
    ink[top : top + 20, left : left + 14] = digit
    enlarged = ink.repeat(factor, axis=0).repeat(factor, axis=1)
    reference = np.zeros((28, 28))
    reference[3:23, 3:17] = digit
    np.testing.assert_allclose(prepared(enlarged).image28, prepared(reference).image28, atol=1e-6)


def test_the_darkest_pixel_is_full_ink() -> None:
    assert prepared(drawing() * 0.3).image28.max() == 1


def test_mnist_itself_is_left_as_it_is() -> None:
    images = load_mnist().test.images[:300]
    same = sum(np.abs(prepared(image / 255).image28 - image / 255).max() < 0.01 for image in images)
    assert same > 270  # the others have fainter pixels than count at the edge of their 20×20 box


def test_the_network_sees_the_middle() -> None:
    ink = prepared(drawing())
    batch = ink.network_input(24)
    assert batch.shape == (1, 24, 24, 1)
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch[0, :, :, 0], ink.image28[2:26, 2:26])


@pytest.mark.parametrize("faint", [0.0, 0.04])
def test_an_empty_drawing_is_no_example(faint: float) -> None:
    assert preprocess(np.full((28, 28), faint)) is None


def test_a_dot_and_a_full_pad_are_drawings() -> None:
    dot = np.zeros((280, 280))
    dot[100, 200] = 1
    assert prepared(dot).scaled20.shape == (20, 20)
    assert prepared(np.ones((28, 28))).box == (0, 0, 1, 1)
    line = np.zeros((280, 280))
    line[:, 7] = 1
    assert prepared(line).image28.sum() == 20


def test_a_heavy_corner_stays_inside_the_field() -> None:
    ink = np.full((100, 100), 0.11)
    ink[:10, :10] = 1
    image = prepared(ink).image28
    np.testing.assert_allclose(image.sum(), prepared(ink).scaled20.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    "ink",
    [
        np.zeros(784),
        np.zeros((28, 27)),
        np.zeros((27, 27)),
        np.zeros((281, 281)),
        np.zeros((28, 28, 1)),
        np.zeros((0, 0)),
        np.full((28, 28), np.nan),
        np.full((28, 28), 1.01),
        np.full((28, 28), -0.01),
        np.full((28, 28), np.inf),
        [[1, 2], [3]],
        [["a"] * 28] * 28,
        None,
        {},
    ],
)
def test_what_is_no_drawing_is_refused(ink: Any) -> None:
    with pytest.raises(ShapeError):
        preprocess(ink)
