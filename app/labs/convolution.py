"""Lab 11: a kernel slides along a row and over a digit; a fully connected layer can do the same with more weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import Interval, Len, doc

from app.labs.lesson import Formula, Json, Lab, Part, Runs, Task, Verdict
from engine.lessons.convolution import DRAWING_LETTERS, FRAME, SIDE, digit, drawing, framed, over_digit, over_row

ROW = 7
NOTHING = 1e-9
"""Answers below this are zero: what is left of sums of decimals."""

Number: TypeAlias = Annotated[float, Interval(ge=-99, le=99)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The row and its kernel, the digit and its kernel; stride and padding are those of both."""

    view: Literal["row", "digit"] = "row"
    row: Annotated[tuple[Number, ...], Len(ROW, ROW), doc("The inputs, from −99 to 99. A lower one is darker.")] = (
        5.0, 5.0, 5.0, 2.0, 5.0, 5.0, 5.0,
    )  # fmt: skip
    kernel: Annotated[tuple[Number, ...], Len(3, 3), doc("The three weights that every place shares.")] = (
        1.0, -1.0, 1.0,
    )  # fmt: skip
    place: Annotated[int, Interval(ge=0, le=ROW + 1), doc("Which response is worked out in figures.")] = 2
    digit: Annotated[int, Interval(ge=0, le=9_999), doc("Which of the 10,000 test digits is looked at.")] = 0
    drawing: Annotated[
        str, Len(0, DRAWING_LETTERS), doc("Your own drawing in the place of the test digit, 28×28 pixels in 16 shades.")
    ] = ""
    size: Annotated[Literal["3", "5"], doc("Height and width of the kernel.")] = "3"
    weights: Annotated[
        tuple[Number, ...],
        Len(FRAME**2, FRAME**2),
        doc("The kernel's weights, row by row; a 3×3 kernel is the middle of them."),
    ] = framed("edges", 3)
    down: Annotated[int, Interval(ge=0, le=SIDE + 1), doc("Row of the response that is worked out in figures.")] = 7
    across: Annotated[int, Interval(ge=0, le=SIDE + 1), doc("Its column.")] = 12
    stride: Annotated[
        int, Interval(ge=1, le=3), doc("How many places the kernel moves at a time. Larger: fewer responses.")
    ] = 1
    padding: Annotated[
        int, Interval(ge=0, le=2), doc("Zeros added on each side, so that the kernel can look beyond the edge.")
    ] = 0


# ---- Figures ---------------------------------------------------------------------------------------------------------------


def figures(settings: Settings, _: Runs) -> Json:
    """Of the view that is chosen; the other is None. `size` are the numbers of the output's size."""
    row = _row(settings) if settings.view == "row" else None
    digit = _digit(settings) if settings.view == "digit" else None
    inputs, kernel = (ROW, len(settings.kernel)) if row else (SIDE, int(settings.size))
    outputs = len((row or digit or {})["response"])
    size = {"n": inputs, "k": kernel, "p": settings.padding, "s": settings.stride, "outputs": outputs}
    return {"row": row, "digit": digit, "size": size}


def _row(settings: Settings) -> Json:
    seen = over_row(settings.row, settings.kernel, settings.stride, settings.padding)
    padded = [0.0] * settings.padding
    inputs = [*padded, *settings.row, *padded]
    sums = []
    for place, answer in enumerate(seen["response"]):
        under = inputs[place * settings.stride :]
        products = [f"{bracketed(w)}·{bracketed(a)}" for w, a in zip(settings.kernel, under, strict=False)]
        sums.append(f"{' + '.join(products)} = {written(answer)}")
    return seen | {"sums": sums, "place": min(settings.place, len(sums) - 1)}


def _digit(settings: Settings) -> Json:
    """Of one's own drawing, if there is one; that has no `label`."""
    picture, label = drawing(settings.drawing), None
    if picture is None:
        picture, label = digit(settings.digit)
    seen = over_digit(picture, settings.weights, int(settings.size), settings.stride, settings.padding)
    last = len(seen["response"]) - 1
    return seen | {"label": label} | {"down": min(settings.down, last), "across": min(settings.across, last)}


def written(value: float) -> str:
    """A number as a person writes it: up to four digits after the point, a true minus."""
    return f"{round(value, 4) + 0:,g}".replace("-", "−")


def bracketed(value: float) -> str:
    """The same as a factor: a negative one stands in brackets."""
    return f"({written(value)})" if value < 0 else written(value)


def sum_in_numbers(f: Json) -> str:
    if f["row"]:
        place = f["row"]["place"]
        return f"z{subscript(place + 1)} = {f['row']['sums'][place]}"
    digit = f["digit"]
    count = len(digit["kernel"]) ** 2
    answer = digit["response"][digit["down"]][digit["across"]]
    return f"{count} products, one a weight: z = {written(answer)}"


def size_in_numbers(f: Json) -> str:
    n, k, p, s, outputs = (f["size"][name] for name in ("n", "k", "p", "s", "outputs"))
    return f"⌊({n} + 2·{p} − {k}) / {s} + 1⌋ = {outputs}" + ("" if f["row"] else f", so {outputs}×{outputs}")


def matrix_in_numbers(f: Json) -> str:
    if f["row"]:
        matrix = f["row"]["matrix"]
        outputs, inputs = len(matrix), len(matrix[0])
        kept, difference = sum(weight != 0 for row in matrix for weight in row), f["row"]["difference"]
    else:
        outputs, inputs = f["digit"]["matrix"]
        kept, difference = f["digit"]["kept"], f["digit"]["difference"]
    shared = f["size"]["k"] ** (1 if f["row"] else 2)
    same = "none" if difference < NOTHING else written(difference)
    return (
        f"W: {outputs:,}·{inputs:,} = {outputs * inputs:,} weights, {outputs * inputs - kept:,} of them 0\n"
        f"kernel: {shared} weights\ndifference of the answers: {same}"
    )


def subscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


# ---- Tasks -----------------------------------------------------------------------------------------------------------------


def flat_is_silent(_: Settings, f: Json, __: Runs) -> Verdict:
    row = f["row"]
    if row is None:
        return Verdict(False, note="Choose the row.")
    flat = [abs(z) for z, equal in zip(row["response"], row["flat"], strict=True) if equal]
    uneven = [abs(z) for z, equal in zip(row["response"], row["flat"], strict=True) if not equal]
    if not flat or not uneven:
        return Verdict(False, note="The row needs both: three equal numbers in a row, and one that is not.")
    answer, found = max(flat), max(uneven)
    if answer < NOTHING < found:
        return Verdict(True, 1, f"The weights sum to 0: flat stretches answer 0, the uneven place {written(found)}.")
    return Verdict(
        False, _ahead(found, answer), f"A flat stretch answers {written(answer)}, the uneven place {written(found)}."
    )


def _ahead(wanted: float, unwanted: float) -> float:
    """How near the unwanted answer is to 0, measured by the wanted one."""
    return max(0.0, 1 - unwanted / wanted) if wanted > NOTHING else 0.0


def each_input_once(_: Settings, f: Json, __: Runs) -> Verdict:
    row = f["row"]
    if row is None:
        return Verdict(False, note="Choose the row.")
    counts = [sum(weight != 0 for weight in column) for column in zip(*row["matrix"], strict=True)]
    once = counts.count(1)
    note = f"{once} of {len(counts)} columns have exactly one weight."
    return Verdict(once == len(counts), once / len(counts), note)


def as_large_as_the_digit(settings: Settings, f: Json, _: Runs) -> Verdict:
    digit = f["digit"]
    if digit is None:
        return Verdict(False, note="Choose the digit.")
    size = len(digit["response"])
    note = f"A {settings.size}×{settings.size} kernel with padding {settings.padding} gives {size}×{size}."
    solved = settings.size == "5" and size == SIDE
    return Verdict(solved, 1 if solved else 0.9 * size / max(SIDE, size) if settings.size == "5" else 0, note)


def lying_strokes_only(_: Settings, f: Json, __: Runs) -> Verdict:
    digit = f["digit"]
    if digit is None:
        return Verdict(False, note="Choose the digit.")
    lying, standing = digit["lying"], digit["standing"]
    note = f"A lying stroke answers {written(lying)}, a standing one {written(standing)}."
    solved = lying > NOTHING > standing
    return Verdict(solved, 1 if solved else _ahead(lying, standing), note)


LAB = Lab(
    name="convolution",
    number=11,
    title="Convolution",
    claim="[+1, −1, +1] are learned weights and shared over input units. This filter detects a lower (darker) value “2” in the middle.",
    chapter="Structure",
    summary="Three shared weights slide along a row, then a 5×5 kernel over a digit.",
    settings=Settings,
    parts=(
        Part(
            text="A unit of this layer looks at three neighbours only. The next unit looks one place further, with the "
            "<b>same three weights</b>. Where the middle is lower than its neighbours, the answer is largest.",
            formula=Formula(r"z_x = \sum_{i} w_i \, a_{x s + i - p}", sum_in_numbers),
            stress="kernel",
        ),
        Part(
            text="The stride $s$ is how far the kernel moves. Padding $p$ lets it look beyond the edges, at zeros. Both "
            "decide how many answers there are.",
            formula=Formula(r"\left\lfloor \frac{n + 2 p - k}{s} + 1 \right\rfloor", size_in_numbers),
            stress="response",
        ),
        Part(
            text="A fully connected layer can do the same: one row of weights for each answer, <b>0</b> where nothing is "
            "connected, the same numbers in every row. It would have to learn them all.",
            formula=Formula(r"\mathbf{z} = W \mathbf{a}", matrix_in_numbers),
            stress="matrix",
        ),
        Part(
            text="Over a picture the kernel is a square. Choose <b>a digit</b>: the kernel decides whether edges, a blur or "
            "lying strokes come out. A network learns its kernels by itself.",
        ),
    ),
    symbols={
        "w_i": "A weight of the kernel, the same at every place.",
        "z_x": "The response at place x: the weighted sum of what lies under the kernel.",
        "x": "Which place: the kernel's own position, counted from 1.",
        "i": "Counts the weights of the kernel.",
        "a": "An input: a number of the row, or the ink of a pixel.",
        "s": "The stride: how many places the kernel moves at a time.",
        "p": "The padding: how many zeros are added on each side.",
        "n": "How many inputs there are in this direction.",
        "k": "How many weights the kernel has in this direction.",
        "W": "The weights of the fully connected layer, a row for each answer and a column for each input.",
        r"\mathbf{z}": "All answers in one column.",
        r"\mathbf{a}": "All inputs in one column.",
    },
    tasks=(
        Task(
            name="flat",
            question="Change the kernel so that flat stretches of the row answer 0, and the 2 still shows.",
            hint="On a flat stretch every product has the same input: what must the weights sum to?",
            check=flat_is_silent,
        ),
        Task(
            name="once",
            question="Let every input meet exactly one weight: one number in each column of the matrix.",
            hint="The kernel is three wide. How far should it move, and where should it begin?",
            check=each_input_once,
        ),
        Task(
            name="same-size",
            question="Let a 5×5 kernel answer with a map as large as the digit, 28×28.",
            hint="Put the numbers into the formula of the size.",
            check=as_large_as_the_digit,
        ),
        Task(
            name="lying",
            question="Write a kernel that answers to lying strokes and never to standing ones.",
            hint="Along a standing stroke all rows are alike: what must each column of the kernel sum to?",
            check=lying_strokes_only,
        ),
    ),
    remember=(
        "A kernel is a few weights that every place shares; its answer says where its pattern is.",
        "A fully connected layer can do the same, with zeros and repeats that it has to learn.",
    ),
    figures=figures,
    elements=("kernel-sweep",),
)
