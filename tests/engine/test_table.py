"""Tables of one's own come back from CSV as they went out; what cannot be read is named by its line."""

from __future__ import annotations

import base64
import math
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.datasets.points import points_dataset
from engine.datasets.table import CsvTable, encode_rows, read_csv, write_csv
from engine.errors import DatasetError, EngineError, SpecError
from engine.specs import CurveSpec, PlaneKind, PlaneSpec, TableSpec
from engine.specs.tables import check_table

# ---- Base64 -------------------------------------------------------------------------------------------------------------


def test_values_are_little_endian_rows() -> None:
    values = base64.b64encode(struct.pack("<6f", 1.5, -2, 0, 0.1, 4, 1)).decode()
    dataset = points_dataset(TableSpec(values=values))
    assert dataset.positions.tolist() == [[1.5, -2], [np.float32(0.1), 4]]
    assert dataset.labels.tolist() == [0, 1]
    assert dataset.labels.dtype == np.int64
    assert encode_rows([[1.5, -2, 0], [0.1, 4, 1]]) == values


def test_numbers_are_learned_where_no_class_has_a_name() -> None:
    dataset = points_dataset(TableSpec(values=encode_rows([[1, 2, 0.25]]), class_names=()))
    assert dataset.labels.tolist() == [0.25]
    assert dataset.labels.dtype == np.float32


GOOD: dict[str, Any] = {"values": encode_rows([[1, 2, 0], [3, 4, 1]])}


@pytest.mark.parametrize(
    ("changes", "message", "field"),
    [
        ({"values": ""}, "There are no points: paint some, or choose a set.", "values"),
        ({"values": "###"}, "not base64", "values"),
        ({"values": "AAAA\nAAAA"}, "not base64", "values"),
        ({"values": "é" * 16}, "not base64", "values"),
        ({"values": "AAAAA"}, "not base64", "values"),
        ({"values": encode_rows([[1, 2]])}, "no multiple of 12", "values"),
        ({"values": encode_rows([[1, math.nan, 0]])}, "go from -1,000,000,000,000,000", "values"),
        ({"values": encode_rows([[1, math.inf, 0]])}, "go from", "values"),
        ({"values": encode_rows([[1, 1e300, 0]])}, "go from", "values"),
        ({"values": encode_rows([[1, 2e15, 0]])}, "go from", "values"),
        ({"values": encode_rows([[1, 2, 2]])}, "whole number from 0 to 1", "values"),
        ({"values": encode_rows([[1, 2, -1]])}, "whole number from 0 to 1", "values"),
        ({"values": encode_rows([[1, 2, 0.5]])}, "whole number from 0 to 1", "values"),
        ({"values": encode_rows(np.zeros((5_001, 3)))}, "5,001 rows of 3 numbers; there may be 5,000 rows", "values"),
        (
            {"columns": tuple("abcdefghijk"), "values": encode_rows(np.zeros((4_167, 12)))},
            "4,167 rows of 12 numbers",
            "values",
        ),
        ({"columns": ("x", "x")}, "Two columns are called “x”", "columns"),
        ({"class_names": ("A", "B", "A")}, "Two classes are called “A”", "class_names"),
        ({"class_names": ("A",)}, "nothing to tell apart", "class_names"),
    ],
)
def test_a_damaged_table_is_refused(changes: dict[str, Any], message: str, field: str) -> None:
    spec = TableSpec(**{**GOOD, **changes})
    with pytest.raises(SpecError, match=message) as caught:
        check_table(spec)
    assert caught.value.field == f"/dataset/{field}"
    with pytest.raises(SpecError, match=message):
        points_dataset(spec)


def test_rows_are_counted_without_reading_them() -> None:
    for rows in range(1, 9):
        spec = TableSpec(values=encode_rows(np.zeros((rows, 3))))
        assert spec.row_count == rows == len(points_dataset(spec).labels)


# ---- CSV: in and out ----------------------------------------------------------------------------------------------------


def rows_of(table: CsvTable) -> list[list[Any]]:
    dataset = points_dataset(table.spec)
    labels = [table.spec.class_names[label] for label in dataset.labels] if dataset.classes else dataset.labels.tolist()
    return [[*position, label] for position, label in zip(dataset.positions.tolist(), labels, strict=True)]


def test_what_is_written_is_read() -> None:
    spec = TableSpec(values=encode_rows([[0.1, -2, 1], [1e-7, 3.25, 0]]))
    text = write_csv(points_dataset(spec))
    assert text.splitlines() == ["x,y,class", "0.1,-2.0,B", "1e-07,3.25,A"]
    table = read_csv(text)
    assert table == CsvTable(replace(spec, standardize=True), ("x", "y", "class"), ("x", "y"), ())


@pytest.mark.parametrize("kind", ["circle", "spiral", "gaussians", "plane", "bumps", "moons"])
def test_every_set_comes_back(kind: PlaneKind) -> None:
    before = points_dataset(PlaneSpec(kind=kind, class_count=6, noise=0.3))
    table = read_csv(write_csv(before))
    after = points_dataset(table.spec)
    assert np.array_equal(after.positions, before.positions)
    assert np.array_equal(after.labels, before.labels)
    assert (after.classes, after.columns, after.target) == (before.classes, before.columns, before.target)
    assert table.rejected == ()


@pytest.mark.parametrize("kind", ["step", "x_sin_x"])
def test_curves_come_back(kind: Any) -> None:
    """A step has two heights, but they are no classes: they are written with a decimal point."""
    before = points_dataset(CurveSpec(kind=kind))
    after = points_dataset(read_csv(write_csv(before)).spec)
    assert np.array_equal(after.labels, before.labels)
    assert np.array_equal(after.positions, before.positions)
    assert (after.classes, after.columns, after.target) == ((), ("x",), "y")


def test_numbers_called_class_are_written_under_another_name() -> None:
    table = read_csv(write_csv(points_dataset(TableSpec(values=encode_rows([[1, 2, 3], [2, 1, 4]]), class_names=()))))
    assert (table.spec.target, table.spec.class_names) == ("target", ())


LARGEST = float(np.float32(1e15))
FLOATS = st.floats(-LARGEST, LARGEST, width=32)
WORDS = st.text("abcxyzäß -'\"\t,;|=0123456789", min_size=1, max_size=12).map(lambda word: "w" + word.strip())


@st.composite
def tables(draw: st.DrawFn) -> TableSpec:
    """A table as `read_csv` makes one: its classes are letters, or words in the order in which they appear."""
    columns = draw(st.lists(WORDS.map(one_line), min_size=1, max_size=5, unique=True))
    target = draw(WORDS.map(one_line).filter(lambda name: name not in columns))
    kind = draw(st.sampled_from(["letters", "words", "numbers"]))
    names: tuple[str, ...] = ()
    if kind == "letters":
        names = tuple("ABCDEF"[: draw(st.integers(2, 6))])
    elif kind == "words":
        names = tuple(draw(st.lists(WORDS.map(one_line), min_size=2, max_size=6, unique=True)))
    labels = st.integers(0, len(names) - 1) if names else FLOATS
    rows = [[draw(FLOATS) for _ in columns] + [draw(labels)] for _ in range(draw(st.integers(0, 6)))]
    in_order = [[draw(FLOATS) for _ in columns] + [label] for label in range(len(names) or 1)]
    return TableSpec(
        columns=tuple(columns), class_names=names, target=target, values=encode_rows(in_order + rows), standardize=True
    )


def one_line(word: str) -> str:
    return " ".join(word.split())


@settings(max_examples=150, deadline=None)
@given(tables())
def test_any_table_comes_back(spec: TableSpec) -> None:
    check_table(spec)
    table = read_csv(write_csv(points_dataset(spec)), target=spec.target)
    assert replace(table.spec, standardize=True) == spec
    assert table.rejected == ()


def test_names_with_other_delimiters_come_back() -> None:
    spec = TableSpec(columns=("w;0;",), class_names=(), target="w0", values=encode_rows([[0.0, 0.0]]), standardize=True)
    table = read_csv(write_csv(points_dataset(spec)), target="w0")
    assert replace(table.spec, standardize=True) == spec


CELLS = st.sampled_from(
    ["1", "2.5", "-3e1", "4,5", "A", "B", "word", "", " ", "nan", "inf", "1e400", '"', '"a', "'", "\0", "\ufeff"]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=12),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_text_is_read_or_refused_and_no_row_is_lost(rows: list[list[str]], delimiter: str, end: str) -> None:
    lines = [delimiter.join(row) for row in rows]
    try:
        table = read_csv(end.join(lines))
    except EngineError:
        return
    check_table(table.spec)
    filled = [line for line in lines if line.strip()]
    assert table.spec.row_count + len(table.rejected) in (len(filled), len(filled) - 1)
    for row in table.rejected:
        assert lines[row.line - 1].removeprefix("\ufeff") == row.text.removeprefix("\ufeff")


# ---- CSV: what people paste ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "x,y,class\n1.5,2,A\n-3,4,B\n",
        "\ufeffx,y,class\r\n1.5,2,A\r\n-3,4,B",
        "x\ty\tclass\n1.5\t2\tA\n-3\t4\tB\n",
        "x;y;class\n1,5;2;A\n-3;4;B\n",
        "x\ty\tclass\r1,5\t2,0\tA\r-3,0\t4,0\tB\r",
        ' x , y , class \n "1.5" , "2" , "A" \n\n  \n -3 , +4 , B \n',
        '"x","y","class"\n"15e-1","2.","A"\n"-3","4","B"\n',
    ],
    ids=["plain", "BOM and CRLF", "tabs", "decimal commas", "tabs, commas and CR", "spaces and blank lines", "quotes"],
)
def test_all_usual_forms_are_read(text: str) -> None:
    table = read_csv(text)
    assert rows_of(table) == [[1.5, 2, "A"], [-3, 4, "B"]]
    assert table.header == ("x", "y", "class")
    assert table.numeric == ("x", "y")
    assert table.rejected == ()
    assert table.spec.target == "class"


def test_a_table_without_header_gets_one() -> None:
    table = read_csv("1.5,2,A\n-3,4,B\n")
    assert table.header == ("column 1", "column 2", "column 3")
    assert rows_of(table) == [[1.5, 2, "A"], [-3, 4, "B"]]


def test_header_names_are_told_apart() -> None:
    table = read_csv(f"x,x,,x 2,{'l' * 50},class\n1,2,3,4,5,A\n5,4,3,2,1,B\n")
    assert table.header == ("x", "x 2", "column 3", "x 2 2", "l" * 40, "class")


def test_bad_rows_are_named_by_line_and_the_others_kept() -> None:
    text = 'x,y,class\n1,2,A\n1,2\n1,zwei,A\n\n,2,B\n1,2,\n1,inf,A\n1,1e99,A\n1,2,A,4\n"1,2,A\n3,4,B\n'
    table = read_csv(text)
    assert rows_of(table) == [[1, 2, "A"], [3, 4, "B"]]
    assert [(row.line, row.reason, row.text) for row in table.rejected] == [
        (3, "2 cells, not 3", "1,2"),
        (4, "“y” is no number", "1,zwei,A"),
        (6, "“x” is empty", ",2,B"),
        (7, "“class” is empty", "1,2,"),
        (8, "“y” is no number", "1,inf,A"),
        (9, "“y” is too large", "1,1e99,A"),
        (10, "4 cells, not 3", "1,2,A,4"),
        (11, "1 cell, not 3", '"1,2,A'),
    ]


def test_a_long_bad_line_is_shortened() -> None:
    table = read_csv("x,y,class\n1,2,A\n3,4,B\n" + "7," * 500 + "\n")
    assert table.rejected[0].text == ("7," * 500)[:80]


def test_a_cell_longer_than_python_reads_spoils_only_its_row() -> None:
    table = read_csv("x,y,class\n1,2,A\n3,4,B\n1,2," + "A" * 140_000)
    assert [row.reason for row in table.rejected] == ["0 cells, not 3"]


def test_bad_cells_of_columns_that_are_not_learned_from_do_no_harm() -> None:
    table = read_csv("x,note,class\n1,,A\n2,anything,B\n")
    assert table.spec.columns == ("x",)
    assert table.numeric == ("x",)
    assert table.rejected == ()


@pytest.mark.parametrize(
    ("cells", "names", "labels"),
    [
        (["no", "yes", "no"], ("no", "yes"), [0, 1, 0]),
        (["B", "A", "B"], ("A", "B"), [1, 0, 1]),
        (["D", "A", "D"], ("A", "B", "C", "D"), [3, 0, 3]),
        (["A", "A", "A"], ("A", "B"), [0, 0, 0]),
        (["10", "2", "10"], ("2", "10"), [1, 0, 1]),
        (["-1", "1", "+1"], ("-1", "1"), [0, 1, 1]),
        (["1.0", "2.0", "1.0"], (), [1, 2, 1]),
        (["1", "1", "1"], (), [1, 1, 1]),
        ([str(number) for number in range(7)], (), list(range(7))),
    ],
)
def test_words_and_a_few_whole_numbers_are_classes(cells: list[str], names: tuple[str, ...], labels: list[int]) -> None:
    table = read_csv("x,target\n" + "".join(f"{place},{cell}\n" for place, cell in enumerate(cells)))
    assert table.spec.class_names == names
    assert points_dataset(table.spec).labels.tolist() == labels


def test_a_column_called_class_holds_classes() -> None:
    assert read_csv("x,label\n1,1.0\n2,0.5\n3,1.0\n").spec.class_names == ("0.5", "1")
    digits = "x,class\n" + "".join(f"{number},{number}\n" for number in range(10))
    with pytest.raises(SpecError, match="“class” has 10 different values, but there can be 2 to 6 classes") as caught:
        read_csv(digits)
    assert caught.value.field == "/target"


def test_long_class_names_stay_apart() -> None:
    names = ["l" * 50 + end for end in "ab"]
    assert read_csv(f"x,class\n1,{names[0]}\n2,{names[1]}\n").spec.class_names == ("l" * 40, "l" * 38 + " 2")


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ("a,b,c", "c"),
        ("Class,b,c", "Class"),
        ("a,label,c", "label"),
        ("target,class,c", "class"),
        ("a,Target,c", "Target"),
        ("y,b,c", "y"),
        ("x,y,c", "c"),
        ("x,y", "y"),
        ("y,x", "y"),
    ],
)
def test_what_is_learned_is_guessed_from_the_names(header: str, target: str) -> None:
    width = header.count(",") + 1
    rows = [",".join(str(row * place + 0.5) for place in range(1, width + 1)) for row in (1, 2)]
    assert read_csv("\n".join([header, *rows])).spec.target == target


def test_a_column_of_many_words_is_not_learned_by_itself() -> None:
    text = "x,price,id\n" + "".join(f"{n},{n * n},car{n}\n" for n in range(20))
    table = read_csv(text)
    assert (table.spec.columns, table.spec.target) == (("x",), "price")
    with pytest.raises(SpecError, match="“id” has 20 different values"):
        read_csv(text, target="id")


def test_columns_and_target_can_be_chosen() -> None:
    text = "a,b,c,d\n1,2,3,u\n4,5,6,v\n"
    table = read_csv(text, target="b", columns=["c", "a"])
    assert (table.spec.columns, table.spec.target, table.spec.class_names) == (("c", "a"), "b", ("2", "5"))
    assert rows_of(table) == [[3, 1, "2"], [6, 4, "5"]]
    assert table.numeric == ("a", "b", "c")


@pytest.mark.parametrize(
    ("choice", "message", "field"),
    [
        ({"target": "z"}, "There is no column “z”. There are: a, b, c, d", "/target"),
        ({"columns": ["z"]}, "“z” is not there", "/columns"),
        ({"columns": ["a", "d"]}, "“d” is what is to be learned", "/columns"),
        ({"columns": ["d"], "target": "a"}, "“d” holds no numbers. Choose from: b, c", "/columns"),
        ({"columns": []}, "choose 1 to 20", "/columns"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(choice: dict[str, Any], message: str, field: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        read_csv("a,b,c,d\n1,2,3,u\n4,5,6,v\n", **choice)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There is no row"),
        (" \n\n", "There is no row"),
        ("x,y,class\n", "Under the header there is no row"),
        ("hello\nworld\n", "No columns were found"),
        ("1\n2\n3\n", "No columns were found"),
        ("a,b\nu,v\nu,w\n", "no column of numbers"),
        ("a,b\n" + "".join(f"u{n},v{n}\n" for n in range(9)), "No column can be learned"),
        ("a,b,class\n1,2,u\n3,4,u\n", "“class” has 1 different value, but"),
        ("x,y,z,class\n1,2,A\n2,3,B\n", "No row can be used. Line 2: 3 cells, not 4"),
        ("x,y,class\n1,,A\n,3,B\n", "No row can be used. Line 2: “y” is empty"),
        ("x,y,class\n" + "1,2,A\n" * 5_001, "The table has 5,001 rows; 5,000 are the most"),
        (",".join(f"c{n}" for n in range(30)) + "\n" + "1.5," * 29 + "1.5\n", "29 columns are too many"),
        (
            ",".join(f"c{n}" for n in range(12)) + "\n" + ("1.5," * 11 + "1.5\n") * 4_200,
            "are 50,400 numbers; 50,000 are",
        ),
    ],
)
def test_what_is_no_table_or_too_much_is_refused(text: str, message: str) -> None:
    with pytest.raises((DatasetError, SpecError), match=message):
        read_csv(text)


@pytest.mark.parametrize(
    ("text", "standardize"),
    [
        ("x,y,class\n-6,5,A\n6,1,B\n", False),
        ("x,y,class\n-6.1,5,A\n6,1,B\n", True),
        ("x,y,class\n0.1,5,A\n0.2,1,B\n", True),
        ("x,y,z,class\n1,2,3,A\n3,2,1,B\n", True),
        ("x,y,price\n1,2,0.1\n3,2,0.2\n", False),
        ("x,y,price\n1,2,100.5\n3,2,200.5\n", True),
    ],
)
def test_columns_that_do_not_fit_the_plane_are_standardized(text: str, standardize: bool) -> None:
    assert read_csv(text).spec.standardize is standardize
