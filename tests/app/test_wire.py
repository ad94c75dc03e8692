"""Numbers as text: arrays keep what an eye can see, events cannot be broken by what they carry."""

from __future__ import annotations

from base64 import b64decode, b64encode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.arrays import nested, pack, pack_image, unpack_ink
from app.wire.events import event
from engine.errors import ShapeError
from tests.app.small_runs import parse


def unpack(packed: dict) -> np.ndarray:  # type: ignore[type-arg]
    levels = np.frombuffer(b64decode(packed["data"]), np.uint8).reshape(packed["shape"])
    return packed["low"] + (packed["high"] - packed["low"]) * levels / 255


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_packed_array_is_off_by_half_a_level_at_most(dtype: type) -> None:
    array = np.random.default_rng(1).normal(size=(3, 4, 5)).astype(dtype)
    packed = pack(array)
    assert packed["shape"] == [3, 4, 5]
    assert np.abs(unpack(packed) - array).max() <= (packed["high"] - packed["low"]) / 255 * 0.501
    assert (packed["low"], packed["high"]) == (array.min(), array.max())


@pytest.mark.parametrize(
    "array", [np.full((2, 2), 7.0), np.zeros((0, 3)), np.array([1e-30, 0.0]), np.array([3e38, -3e38], np.float32)]
)
def test_arrays_at_the_edge_are_packed_all_the_same(array: np.ndarray) -> None:  # type: ignore[type-arg]
    assert unpack(pack(array)).shape == array.shape
    assert np.allclose(unpack(pack(array)), array)


def test_an_image_loses_nothing() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(np.rint(unpack(pack_image(image)) * 255), image)


def test_nested_lists_say_their_range() -> None:
    assert nested(np.array([[1.0, -2.0]])) == {"shape": [1, 2], "low": -2.0, "high": 1.0, "values": [[1.0, -2.0]]}


def test_a_drawing_may_come_as_rows_or_as_bytes() -> None:
    rows = [[0.0, 1.0], [0.2, 0.6]]
    as_bytes = {"ink_base64": b64encode(bytes([0, 255, 51, 153])).decode(), "size": 2}
    assert np.allclose(unpack_ink(rows), rows)
    assert np.allclose(unpack_ink({"ink": rows}), rows)
    assert np.allclose(unpack_ink(as_bytes), rows)


@pytest.mark.parametrize(
    "ink",
    [
        {"ink_base64": "no base64!", "size": 2},
        {"ink_base64": "AAAA", "size": 2},
        {"ink_base64": "AAAA", "size": None},
        {"ink_base64": 5, "size": 2},
        {"ink": [[1], [1, 2]]},
        {"ink": "text"},
    ],
)
def test_what_is_no_drawing_is_refused_in_words(ink: object) -> None:
    with pytest.raises(ShapeError):
        unpack_ink(ink)


@given(st.text(), st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_an_event_comes_back_as_it_was_sent(text: str, numbers: list[float]) -> None:
    value = {"text": text.encode("utf-8", "replace").decode(), "numbers": numbers}
    assert parse(event("metrics", value, id="3-7")) == ("metrics", "3-7", value)


def test_what_is_no_number_never_reaches_a_browser() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        event("metrics", {"loss": float("nan")})
