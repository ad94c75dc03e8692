"""Whether a table's values are what they say they are; without NumPy, so that a server can ask while it serves others."""

from __future__ import annotations

import base64
import sys
from array import array

from engine.errors import SpecError
from engine.specs.datasets import MAX_POINTS, MAX_TABLE_NUMBERS, MAX_TABLE_VALUE, TableSpec

FIELD = "/dataset/values"


def check_table(spec: TableSpec) -> None:
    """Raise SpecError unless `values` are whole rows of numbers in range, and columns and classes can be told apart."""
    _check_names(spec)
    width = len(spec.columns) + 1
    try:
        content = base64.b64decode(spec.values, validate=True)
    except ValueError:
        raise SpecError("The rows of the table are not base64.", field=FIELD) from None
    if len(content) % (4 * width):
        raise SpecError(
            f"A row of the table is {width} numbers of 4 bytes, but its {len(content):,} bytes are no multiple of "
            f"{4 * width}.",
            field=FIELD,
        )
    rows = len(content) // (4 * width)
    if rows == 0:
        raise SpecError("There are no points: paint some, or choose a set.", field=FIELD, code="no_points")
    if rows > MAX_POINTS or rows * width > MAX_TABLE_NUMBERS:
        raise SpecError(
            f"The table has {rows:,} rows of {width} numbers; there may be {MAX_POINTS:,} rows and "
            f"{MAX_TABLE_NUMBERS:,} numbers.",
            field=FIELD,
            code="too_many_points",
        )
    numbers = array("f", content)
    if sys.byteorder == "big":
        numbers.byteswap()
    if not all(abs(number) <= MAX_TABLE_VALUE for number in numbers):  # written so that NaN fails, too
        raise SpecError(
            f"The numbers of a table go from {-MAX_TABLE_VALUE:,.0f} to {MAX_TABLE_VALUE:,.0f}.", field=FIELD
        )
    classes = len(spec.class_names)
    if classes and not set(numbers[width - 1 :: width]) <= set(range(classes)):
        raise SpecError(
            f"The last number of each row is its class, a whole number from 0 to {classes - 1}.", field=FIELD
        )


def _check_names(spec: TableSpec) -> None:
    for what, names in (("columns", spec.columns), ("classes", spec.class_names)):
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            field = "/dataset/columns" if what == "columns" else "/dataset/class_names"
            raise SpecError(f"Two {what} are called “{twice}”: give each its own name.", field=field)
    if len(spec.class_names) == 1:
        raise SpecError(
            "With one class there is nothing to tell apart: name two, or none.", field="/dataset/class_names"
        )
