"""Arrays as text, and drawings back from text. Runs inside a worker: the event loop never touches NumPy.

A picture on a page needs no more than 256 levels, so an array travels as one byte a value between its lowest and highest
one: `value = low + (high - low) * byte / 255`. That is a twentieth of the same array as JSON numbers.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import ShapeError


def pack(array: npt.NDArray[Any]) -> dict[str, Any]:
    """Any finite array, quantised: shape, low, high and base64 of uint8 in row-major order."""
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    span = high - low
    if span > 0:
        shares = (
            array.astype(np.float64, order="C") - low
        ) / span  # float32 would overflow at a diverging run's extremes
        quantised = np.rint(255 * shares).astype(np.uint8)
    else:
        quantised = np.zeros(array.shape, np.uint8)
    return {"shape": list(array.shape), "low": low, "high": high, "data": b64encode(quantised.tobytes()).decode()}


def pack_image(image: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """A grey image, uint8 with 255 as full ink, as ink in [0, 1]; no level is lost."""
    data = b64encode(np.ascontiguousarray(image).tobytes()).decode()
    return {"shape": list(image.shape), "low": 0.0, "high": 1.0, "data": data}


def nested(array: npt.NDArray[Any]) -> dict[str, Any]:
    """The array as JSON numbers: shape, low, high and nested lists."""
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    return {"shape": list(array.shape), "low": low, "high": high, "values": array.tolist()}


def unpack_ink(ink: Any) -> npt.NDArray[np.float64]:
    """A drawing as a page or a program sends it: rows of numbers, or `{"ink": rows}`, or `{"ink_base64", "size"}`.

    Raises ShapeError when it is none of these; the size and the values are `engine.ink`'s to judge.
    """
    if isinstance(ink, Mapping) and "ink_base64" in ink:
        text, size = ink["ink_base64"], ink.get("size")
        try:
            pixels = np.frombuffer(b64decode(text, validate=True), np.uint8)
        except (binascii.Error, TypeError, ValueError):
            raise ShapeError("The drawing is not base64 text.") from None
        if not isinstance(size, int) or size < 1 or pixels.size != size * size:
            raise ShapeError(f"A drawing of size {size} needs as many bytes as its square; {pixels.size:,} were sent.")
        return pixels.reshape(size, size) / 255
    rows = ink.get("ink") if isinstance(ink, Mapping) else ink
    try:
        return np.asarray(rows, np.float64)
    except (TypeError, ValueError):
        raise ShapeError("A drawing is a square list of rows of numbers.") from None


def significant(array: npt.NDArray[Any], digits: int = 4) -> list[Any]:
    """The finite array as nested lists of numbers with so many significant digits, short as text."""
    values = array.astype(np.float64)
    sizes = np.abs(values)
    decimals = digits - 1 - np.floor(np.log10(np.where(sizes > 0, sizes, 1)))
    # Powers of ten from 1 up are exact, so that 0.7 is divided out of 7,000 and not multiplied out of 0.0001.
    up, down = 10.0 ** np.maximum(decimals, 0), 10.0 ** np.maximum(-decimals, 0)
    rounded: list[Any] = (np.rint(values * up / down) / up * down).tolist()
    return rounded


def numbers(array: npt.NDArray[Any]) -> list[Any]:
    """The array as nested lists of numbers, to a ten-thousandth of what they span; null for what is no number."""
    values: npt.NDArray[Any] = array.astype(np.float64)
    finite = np.isfinite(values)
    span = float(np.ptp(values[finite])) if finite.any() else 0.0
    if 0 < span < np.inf:
        values = values.round(int(4 - np.floor(np.log10(span))))
    if not finite.all():
        values = values.astype(object)
        values[~finite] = None
    listed: list[Any] = values.tolist()
    return listed
