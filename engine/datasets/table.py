"""Tables of one's own: in and out of a spec's base64, and in and out of CSV.

What `write_csv` writes, `read_csv` reads as the same numbers, to the last bit, and the same classes. A whole row is read
or none of it, and every row that is not read is named by its line.
"""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from engine.arrays import Truth
from engine.datasets.plane import Positions
from engine.errors import DatasetError, SpecError
from engine.specs import (
    LETTERS,
    MAX_CLASSES,
    MAX_COLUMN_CHARACTERS,
    MAX_COLUMNS,
    MAX_POINTS,
    MAX_TABLE_NUMBERS,
    MAX_TABLE_VALUE,
    TableSpec,
)
from engine.specs.tables import check_table

if TYPE_CHECKING:
    from engine.datasets.points import PointDataset

CLASS_NAMES = ("class", "label")
"""What a column of classes is called."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE_NUMBER = re.compile(r"[+-]?\d+", re.ASCII)
_SHOWN_CHARACTERS = 80
"""How much of a rejected line is shown."""


# ---- Base64 -------------------------------------------------------------------------------------------------------------


def table_points(spec: TableSpec) -> tuple[Positions, Truth]:
    """Positions (N, C) with their classes int64 (N,) or numbers float32 (N,). Raises SpecError for damaged values."""
    check_table(spec)
    rows = np.frombuffer(base64.b64decode(spec.values), "<f4").reshape(-1, len(spec.columns) + 1)
    positions = np.ascontiguousarray(rows[:, :-1], np.float32)
    return positions, rows[:, -1].astype(np.int64) if spec.classes else rows[:, -1].astype(np.float32)


@np.errstate(over="ignore")
def encode_rows(rows: npt.ArrayLike) -> str:
    """`TableSpec.values` of rows (N, C + 1), the class or target last. What no float32 can hold becomes infinite."""
    return base64.b64encode(np.asarray(rows, "<f4").tobytes()).decode()


# ---- CSV ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A line of the text, counted from 1, that could not be read, and why."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class CsvTable:
    """What was read. `header` names all columns of the text, `numeric` those that hold numbers and may be learned from."""

    spec: TableSpec
    header: tuple[str, ...]
    numeric: tuple[str, ...]
    rejected: tuple[RejectedRow, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    text: str
    cells: list[str]


def read_csv(text: str, *, target: str | None = None, columns: Sequence[str] | None = None) -> CsvTable:
    """The table in `text`: cells between commas, semicolons or tabs, with a header or without.

    `target` is the column to be learned: left out, one called class, label or target, or else the last that can be.
    `columns` are those learned from: left out, all others that hold numbers. Classes are words, or up to six whole numbers;
    the letters A to F keep their places, other words are counted as they appear. Between semicolons or tabs a comma may
    stand for the decimal point.

    Raises DatasetError when there is no table in the text, or too much, and SpecError for a column that cannot be chosen.
    """
    header, rows = _header(_rows(text))
    if len(rows) > MAX_POINTS:
        raise DatasetError(f"The table has {len(rows):,} rows; {MAX_POINTS:,} are the most. Leave some out.")
    whole = [row for row in rows if len(row.cells) == len(header)]
    if not whole:
        raise DatasetError(f"No row can be used. Line {rows[0].line}: {_reason(rows[0].cells, header, [], False)}.")
    numeric = tuple(name for place, name in enumerate(header) if _is_numeric(row.cells[place] for row in whole))
    learned = _target(header, numeric, whole) if target is None else target
    if learned not in header:
        raise SpecError(f"There is no column “{learned}”. There are: {', '.join(header)}.", field="/target")
    chosen = _columns(header, numeric, learned, columns)
    if len(chosen) * len(rows) + len(rows) > MAX_TABLE_NUMBERS:
        raise DatasetError(
            f"{len(rows):,} rows of {len(chosen) + 1} numbers are {len(rows) * (len(chosen) + 1):,} numbers; "
            f"{MAX_TABLE_NUMBERS:,} are the most. Choose fewer columns, or leave rows out."
        )
    return _read_rows(rows, header, numeric, chosen, learned)


def write_csv(dataset: PointDataset) -> str:
    """Every point as a row, under a header: its columns, then the name of its class or the number to be learned.

    Each number has the fewest digits that tell it from its neighbours.
    """
    target = dataset.target
    if not dataset.classes and target.lower() in CLASS_NAMES:
        target = "target"
    text = io.StringIO()
    header = [_in_one_line(name) for name in (*dataset.columns, target)]
    classes = [_in_one_line(name) for name in dataset.classes]
    # A name with another delimiter in it must not be taken for several cells by whoever reads the file.
    ambiguous = any(delimiter in name for name in (*header, *classes) for delimiter in "\t;")
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC if ambiguous else csv.QUOTE_MINIMAL)
    writer.writerow(header)
    for position, label in zip(dataset.positions, dataset.labels, strict=True):
        writer.writerow([*(float(str(value)) for value in position), classes[label] if classes else float(str(label))])
    return text.getvalue()


def _rows(text: str) -> list[_Row]:
    """Every line that is not blank, cut into cells.

    Each line is read for itself, so that a quotation mark left open spoils one row and not all that follow.
    """
    lines = [
        (number, line)
        for number, line in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), start=1)
        if line.strip()
    ]
    if not lines:
        raise DatasetError("There is no row: paste the table with its columns, or choose a file.")
    delimiter = _delimiter([line for _, line in lines[:20]])
    return [_Row(number, line, _cells(line, delimiter)) for number, line in lines]


def _delimiter(lines: Sequence[str]) -> str:
    """What cuts most `lines` into equally many cells; where several do, what leaves the most numbers."""
    numbers = {}
    for delimiter in "\t;,":
        cut = [_cells(line, delimiter) for line in lines]
        widths = [len(cells) for cells in cut]
        usual = max(set(widths), key=widths.count)
        if usual > 1 and 2 * widths.count(usual) > len(widths):
            numbers[delimiter] = sum(_NUMBER.fullmatch(cell) is not None for cells in cut for cell in cells)
    if not numbers:
        raise DatasetError(
            "No columns were found: give each row as many cells as the others, with commas, semicolons or tabs between."
        )
    return max(numbers, key=lambda delimiter: numbers[delimiter])


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]
    except csv.Error:  # a cell of more than 128 kB
        return []
    if delimiter == ",":
        return cells
    return [cell.replace(",", ".") if _NUMBER.fullmatch(cell.replace(",", ".", 1)) else cell for cell in cells]


def _header(rows: list[_Row]) -> tuple[tuple[str, ...], list[_Row]]:
    """Names of the columns, no two the same, and the rows under them. A first row without a number is a header."""
    widths = [len(row.cells) for row in rows]
    names = [""] * max(set(widths), key=widths.count)
    if not any(_NUMBER.fullmatch(cell) for cell in rows[0].cells):
        names, rows = rows[0].cells, rows[1:]
    if not rows:
        raise DatasetError("Under the header there is no row.")
    return _unique([name or f"column {number}" for number, name in enumerate(names, start=1)]), rows


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Each name cut to its allowed length, and numbered where it was there before."""
    taken: dict[str, int] = {}
    for name in names:
        short = own = _in_one_line(name)[:MAX_COLUMN_CHARACTERS]
        number = taken.get(short, 1)
        while own in taken:
            number += 1
            own = f"{short[: MAX_COLUMN_CHARACTERS - len(str(number)) - 1]} {number}"
        taken[short] = number
        taken[own] = 1
    return tuple(taken)


def _in_one_line(name: str) -> str:
    return " ".join(name.split())


def _is_numeric(cells: Iterable[str]) -> bool:
    """Whether most cells of a column are numbers; those that are not will be told, row by row."""
    filled = [cell for cell in cells if cell]
    return 2 * sum(_NUMBER.fullmatch(cell) is not None for cell in filled) > len(filled)


def _target(header: Sequence[str], numeric: Sequence[str], rows: Sequence[_Row]) -> str:
    """The column to be learned when nobody says which.

    By its name; y where it has only an x beside it, or none; else the last that holds numbers or few enough words.
    """
    lower = [name.lower() for name in header]
    for name in (*CLASS_NAMES, "target", *(["y"] if "x" not in lower or len(header) == 2 else [])):
        if name in lower:
            return header[lower.index(name)]
    for place in reversed(range(len(header))):
        if header[place] in numeric or 2 <= len({row.cells[place] for row in rows} - {""}) <= MAX_CLASSES:
            return header[place]
    raise DatasetError(f"No column can be learned: none holds numbers, or 2 to {MAX_CLASSES} different words.")


def _columns(
    header: Sequence[str], numeric: Sequence[str], target: str, wanted: Sequence[str] | None
) -> tuple[str, ...]:
    """The columns to be learned from, in the order of `wanted` or of the table."""
    possible = [name for name in numeric if name != target]
    if not possible:
        raise DatasetError(f"Beside “{target}” there is no column of numbers to learn from.")
    columns = tuple(possible if wanted is None else dict.fromkeys(wanted))
    for name in columns:
        if name not in possible:
            reason = "is what is to be learned" if name == target else "holds no numbers"
            reason = reason if name in header else "is not there"
            raise SpecError(f"The column “{name}” {reason}. Choose from: {', '.join(possible)}.", field="/columns")
    if not 1 <= len(columns) <= MAX_COLUMNS:
        raise SpecError(
            f"{len(columns)} columns are too many or too few: choose 1 to {MAX_COLUMNS} to learn from.",
            field="/columns",
        )
    return columns


def _read_rows(
    rows: Sequence[_Row], header: tuple[str, ...], numeric: tuple[str, ...], columns: tuple[str, ...], target: str
) -> CsvTable:
    needed = [header.index(name) for name in (*columns, target)]
    good, rejected = [], []
    for row in rows:
        reason = _reason(row.cells, header, needed, target in numeric)
        if reason:
            rejected.append(RejectedRow(row.line, reason, row.text[:_SHOWN_CHARACTERS]))
        else:
            good.append([row.cells[place] for place in needed])
    if not good:
        raise DatasetError(f"No row can be used. Line {rejected[0].line}: {rejected[0].reason}.")
    class_names, labels = _classes([cells[-1] for cells in good], target, target in numeric)
    values = np.array([[*map(float, cells[:-1]), label] for cells, label in zip(good, labels, strict=True)])
    spec = TableSpec(
        columns=columns,
        class_names=class_names,
        values=encode_rows(values),
        target=target,
        standardize=_wants_standardizing(values[:, :-1] if class_names else values, len(columns)),
    )
    return CsvTable(spec, header, numeric, tuple(rejected))


def _reason(cells: Sequence[str], header: Sequence[str], needed: Sequence[int], numeric_target: bool) -> str:
    """Why a row cannot be read; empty when it can."""
    if len(cells) != len(header):
        return f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}, not {len(header)}"
    for place in needed:
        if not cells[place]:
            return f"“{header[place]}” is empty"
        if place == needed[-1] and not numeric_target:
            continue
        if not _NUMBER.fullmatch(cells[place]):
            return f"“{header[place]}” is no number"
        if abs(float(cells[place])) > MAX_TABLE_VALUE:
            return f"“{header[place]}” is too large"
    return ""


def _classes(cells: Sequence[str], target: str, numeric: bool) -> tuple[tuple[str, ...], list[float]]:
    """Names of the classes, and the class of each row; no names and the numbers themselves where a number is learned."""
    if numeric:
        numbers = [float(cell) for cell in cells]
        distinct = sorted(set(numbers))
        whole = len(distinct) in range(2, MAX_CLASSES + 1) and all(map(_WHOLE_NUMBER.fullmatch, cells))
        if not whole and target.lower() not in CLASS_NAMES:
            return (), numbers
        names = [str(int(number) if number.is_integer() else number) for number in distinct]
        labels = [float(distinct.index(number)) for number in numbers if len(distinct) <= MAX_CLASSES]
    else:
        names = list(dict.fromkeys(cells))
        if set(names) <= set(LETTERS):
            names = list(LETTERS[: max(2, *(LETTERS.index(name) + 1 for name in names))])
        labels = [float(names.index(cell)) for cell in cells if len(names) <= MAX_CLASSES]
    if not 2 <= len(names) <= MAX_CLASSES:
        raise SpecError(
            f"“{target}” has {len(names):,} different {'value' if len(names) == 1 else 'values'}, but there can be 2 to "
            f"{MAX_CLASSES} classes. Choose another column to learn.",
            field="/target",
        )
    return _unique(names), labels


def _wants_standardizing(values: npt.NDArray[np.float64], columns: int) -> bool:
    """Whether numbers (N, C) are better brought to one size: many columns, or some that leave the plane or hardly enter it."""
    largest = np.abs(values).max(axis=0)
    return columns > 2 or bool(largest.max() > 6 or largest[:columns].min() < 1)
