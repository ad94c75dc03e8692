"""Lab 3: a few noisy points bend what is fitted to all of them, be it a line or a single unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import Interval, Len, doc

from app.figures import figure, fixed
from app.labs.lesson import Formula, Json, Lab, Part, Runs, Task, Verdict
from engine.lessons import outliers as lesson
from engine.lessons.outliers import Line
from engine.specs import LossName, RunSpec

REACH = 5.0
FEWEST, MOST = 2, 31
"""Points beside the outliers."""
WILD: tuple[tuple[float, float], ...] = (
    (3.8, -4.2), (4.4, -3.6), (3.2, -3.4), (4.7, -4.8), (2.6, -4.0), (4.1, -4.7), (3.5, -4.8), (4.8, -4.0), (2.9, -4.6),
)  # fmt: skip
"""Outliers, in the order in which they are added."""
LOSSES: Mapping[LossName, str] = {"mean_squared_error": "squared", "huber": "Huber", "absolute_error": "absolute"}
LOOKS = {"with": "series-2", "without": "series-1"}
AXIS = 5.2
PLACES = [-AXIS + 2 * AXIS * place / 100 for place in range(101)]

Coordinate: TypeAlias = Annotated[float, Interval(ge=-REACH, le=REACH)]
Coordinates: TypeAlias = tuple[Coordinate, ...]
Points: TypeAlias = list[tuple[float, float]]

X = (-4.4, -4.0, -3.3, -3.0, -2.3, -1.8, -1.0, -0.7, 0.1, 0.6, 1.3, 1.7, 2.3, 3.0, 3.6, 4.0, 4.8)
Y = (-1.6, -2.2, -2.1, -1.8, -1.5, -0.7, -0.6, 0.4, -0.9, 0.3, 0.2, 1.2, 0.1, 1.3, 1.9, 1.3, 2.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The points, the last of them outliers; which unit is fitted to them, and by which loss."""

    x: Annotated[Coordinates, Len(FEWEST, MOST + len(WILD)), doc("Where the points stand, from −5 to 5.")] = (
        *X,
        *(x for x, _ in WILD[:3]),
    )
    y: Annotated[Coordinates, Len(FEWEST, MOST + len(WILD)), doc("How high they stand, from −5 to 5.")] = (
        *Y,
        *(y for _, y in WILD[:3]),
    )
    outliers: Annotated[int, Interval(ge=0, le=len(WILD)), doc("How many of the points, the last, are outliers.")] = 3
    unit: Annotated[
        Literal["linear", "logistic"],
        doc("Linear: it answers a number. Logistic: it answers how sure it is that y is above zero."),
    ] = "linear"
    loss: Annotated[
        Literal["mean_squared_error", "huber", "absolute_error"], doc("How much an error costs, by its size.")
    ] = "mean_squared_error"

    @property
    def points(self) -> Points:
        """All of them, on the grid of tenths on which a hand lays them."""
        return [(round(x, 1), round(y, 1)) for x, y in zip(self.x, self.y, strict=False)]

    @property
    def wild(self) -> int:
        """How many are outliers; two others there must be."""
        return min(self.outliers, max(0, len(self.points) - FEWEST))

    @property
    def ordinary(self) -> Points:
        return self.points[: len(self.points) - self.wild]

    @property
    def sets(self) -> dict[str, Points]:
        """What each run learns from."""
        return {"with": self.points, "without": self.ordinary}


def runs(settings: Settings) -> Mapping[str, RunSpec]:
    return {name: lesson.run(settings.unit, settings.loss, *columns(points)) for name, points in settings.sets.items()}


def columns(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


# ---- Figures ---------------------------------------------------------------------------------------------------------------


def figures(settings: Settings, runs: Runs) -> Json:
    learned = {name: _learned(settings, runs, name) for name in settings.sets}
    best = {name: lesson.least_squares(*columns(points)) for name, points in settings.sets.items()}
    clean = best["without"]
    return {
        "unit": settings.unit,
        "loss": settings.loss,
        "outliers": settings.wild,
        "count": len(settings.points),
        "lines": {name: _line(learned[name], best[name]) for name in settings.sets},
        "apart": _apart(settings, learned),
        "shares": {name: lesson.share(name, clean, *columns(settings.points), settings.wild) for name in LOSSES},
        "errors": [y - clean.w0 - clean.w1 * x for x, y in settings.points[len(settings.ordinary) :]],
        "fit": _plot(settings, learned, best),
        "more": [_with_outliers(settings, settings.wild + count) for count in (1, 3)],
        "none": _with_outliers(settings, 0),
    }


def _learned(settings: Settings, runs: Runs, name: str) -> Line:
    """What the run has come to; before it has begun both weights are 0."""
    weights = runs[name].parameters if name in runs else None
    return lesson.learned_line(settings.unit, weights or (0.0, 0.0), *columns(settings.sets[name]))


def _line(learned: Line, best: Line) -> Json:
    return {
        "w0": learned.w0,
        "w1": learned.w1,
        "crossing": learned.crossing,
        "best_w0": best.w0,
        "best_w1": best.w1,
        "off": max(abs(learned.w0 - best.w0), abs(learned.w1 - best.w1)),
    }


def _apart(settings: Settings, learned: Mapping[str, Line]) -> float | None:
    """How far the outliers have moved the line's slope, or the place where a logistic unit is undecided."""
    bent, clean = learned["with"], learned["without"]
    if settings.unit == "linear":
        return abs(bent.w1 - clean.w1)
    return None if bent.crossing is None or clean.crossing is None else abs(bent.crossing - clean.crossing)


def _with_outliers(settings: Settings, count: int) -> Json:
    """The points with so many outliers, or as many as there are; those that are there come first."""
    kept = settings.points[len(settings.ordinary) :][:count]
    x, y = columns([*settings.ordinary, *kept, *WILD[len(kept) : count]])
    return {"x": tuple(x), "y": tuple(y), "outliers": min(count, len(WILD))}


def _plot(settings: Settings, learned: Mapping[str, Line], best: Mapping[str, Line]) -> Json:
    """What `<fit-plot>` draws: the points, what each unit answers, and beneath it the line in closed form."""
    linear = settings.unit == "linear"
    ends = [-AXIS, AXIS]
    curves = [
        {
            "name": name,
            "words": f"{name} outliers",
            "look": look,
            "x": ends,
            "values": lesson.heights(settings.unit, learned[name], PLACES).tolist(),
            "run": name,
            "learns": len(settings.sets[name]),
            "straight": linear,
        }
        for name, look in LOOKS.items()
    ]
    forms = [
        {
            "name": f"best-{name}",
            "words": f"closed form, {name}",
            "look": look,
            "x": ends,
            "values": lesson.heights("linear", best[name], ends).tolist(),
            "wide": True,
        }
        for name, look in LOOKS.items()
        if linear and settings.loss == "mean_squared_error"
    ]
    return {
        "x": {"name": "x", "range": ends},
        "y": {"name": "y", "range": ends} if linear else {"name": "ŷ", "range": [-0.15, 1.15]},
        "points": [
            {"x": x, "y": y, "kind": "filled" if place < len(settings.ordinary) else "outlier"}
            for place, (x, y) in enumerate(settings.points)
        ],
        "kinds": {"filled": "points", "outlier": "outliers"},
        "curves": [*forms, *curves],
        "limits": {"range": [-REACH, REACH], "ordinary": [FEWEST, MOST], "points": MOST + len(WILD)},
        "said": _said(settings, learned),
    } | ({} if linear else {"split": 0})


def _said(settings: Settings, learned: Mapping[str, Line]) -> str:
    count = len(settings.ordinary)
    return f"{count} points and {settings.wild} outliers. " + " ".join(
        f"{name.capitalize()} outliers the unit has learned {equation(settings.unit, line.w0, line.w1)}."
        for name, line in learned.items()
    )


# ---- Words -----------------------------------------------------------------------------------------------------------------


def equation(unit: str, w0: float, w1: float) -> str:
    """ŷ = −0.76 + 0.18 x"""
    weighted = f"{fixed(w0)} {'−' if round(w1, 2) < 0 else '+'} {fixed(abs(w1))} x"
    return f"ŷ = {weighted}" if unit == "linear" else f"ŷ = 1 / (1 + e^−({weighted}))"


def line_numbers(f: Json) -> str:
    return "\n".join(f"{name:8}{equation(f['unit'], line['w0'], line['w1'])}" for name, line in f["lines"].items())


def share_numbers(f: Json) -> str:
    if not f["outliers"]:
        return "There are no outliers now."
    shares = ", ".join(f"{words} {figure(f['shares'][name], 'percent', 0)}" for name, words in LOSSES.items())
    return f"The outliers’ share of the loss\nof the clean line: {shares}"


def pull_numbers(f: Json) -> str:
    if not f["errors"]:
        return "There are no outliers now."
    error = max(f["errors"], key=abs)
    sign = "−" if error > 0 else ""
    held = fixed(min(abs(error), lesson.DELTA))
    return f"farthest: −2 · {_in_brackets(error)} = {fixed(-2 * error)}\nwith Huber {sign}{held}, absolute {sign}1"


def _in_brackets(value: float) -> str:
    return f"({fixed(value)})" if value < 0 else fixed(value)


def closed_numbers(f: Json) -> str:
    rows = [
        f"{name:8}w1 = {fixed(line['best_w1'], 3)}, w0 = {fixed(line['best_w0'], 3)}"
        for name, line in f["lines"].items()
    ]
    return "\n".join(rows)


def unit_numbers(f: Json) -> str:
    if f["unit"] == "linear":
        return "Choose the logistic unit to see it here."
    crossings = {name: figure(line["crossing"], digits=2) for name, line in f["lines"].items()}
    return "\n".join(f"{name:8}undecided at x = {crossing}" for name, crossing in crossings.items())


# ---- Tasks -----------------------------------------------------------------------------------------------------------------

BENT, ALIKE, MOVED = 0.2, 0.1, 0.5
FAR = 3.0
"""An outlier lies at least so far from the line that is fitted without it."""


def trained(runs: Runs) -> bool:
    return bool(runs) and all(run.step >= lesson.UPDATES for run in runs.values())


def check_one(settings: Settings, f: Json, runs: Runs) -> Verdict:
    if settings.unit != "linear" or settings.loss != "mean_squared_error":
        return Verdict(False, 0.0, "Choose the linear unit and the squared loss.")
    if settings.wild != 1:
        return Verdict(False, 0.0, f"There are {settings.wild} outliers now; leave one.")
    said = f"The slopes differ by {fixed(f['apart'])}."
    done = trained(runs)
    return Verdict(done and f["apart"] >= BENT, min(1.0, f["apart"] / BENT) * (1 if done else 0.9), said)


def check_robust(settings: Settings, f: Json, runs: Runs) -> Verdict:
    if settings.unit != "linear" or settings.wild < 3:
        return Verdict(False, 0.0, "Choose the linear unit, and add outliers until there are three.")
    nearest = min(map(abs, f["errors"]))
    if nearest < FAR:
        return Verdict(False, 0.2, f"An outlier is only {fixed(nearest, 1)} off; take it farther away.")
    if not trained(runs):
        return Verdict(False, 0.5, "Let both units learn to the end.")
    said = f"With {LOSSES[settings.loss]} loss the slopes differ by {fixed(f['apart'])}."
    return Verdict(f["apart"] < ALIKE, min(1.0, ALIKE / f["apart"]) if f["apart"] else 1.0, said)


def check_logistic(settings: Settings, f: Json, runs: Runs) -> Verdict:
    if settings.unit != "logistic" or not settings.wild:
        return Verdict(False, 0.0, "")
    if not trained(runs) or f["apart"] is None:
        return Verdict(False, 0.5, "Let both units learn to the end.")
    said = f"The outliers have moved it by {fixed(f['apart'])}."
    return Verdict(f["apart"] >= MOVED, min(1.0, f["apart"] / MOVED), said)


LAB = Lab(
    name="outliers",
    number=3,
    title="Noise and outliers",
    claim="Noise: linear models fitted with and without a few noisy outliers.",
    chapter="Training and its screw-ups",
    summary="A few wild points bend a fitted line; another loss lets it be.",
    settings=Settings,
    parts=(
        Part(
            text="One unit without a bend is a line, $\\hat{y} = w_0 + w_1 x$. Two of them learn here: one from all "
            "points, one from all <b>but the outliers</b>. Drag any point.",
            formula=Formula(r"\hat{y} = w_0 + w_1 x", line_numbers),
            stress="fit",
        ),
        Part(
            text="Squared loss counts an error by its square. A point ten times as far off costs a hundred times as "
            "much, so a few far points rule the line.",
            formula=Formula(
                r"\mathit{Loss} = \frac{1}{N} \sum_j \left( y^{(j)} - \hat{y}^{(j)} \right)^2", share_numbers
            ),
            stress="loss",
        ),
        Part(
            text="What pulls the line is the loss’s slope. Squared loss pulls in proportion to the error, absolute loss by "
            "its sign alone. Huber’s is squared up to $\\delta$ and straight beyond.",
            formula=Formula(r"\frac{\partial (y - \hat{y})^2}{\partial \hat{y}} = -2 (y - \hat{y})", pull_numbers),
            stress="loss",
        ),
        Part(
            text="The best line for squared loss has a closed form, with $w_0 = \\bar{y} - w_1 \\bar{x}$: the broad pale "
            "lines. Training arrives at the same weights.",
            formula=Formula(
                r"w_1 = \frac{\sum (x - \bar{x})(y - \bar{y})}{\sum (x - \bar{x})^2}",
                closed_numbers,
            ),
            stress="fit",
        ),
        Part(
            text="Single neurons behave similarly. A logistic unit says how sure it is that $y$ is above zero. It is "
            "undecided where the sum is zero, and outliers move that place.",
            formula=Formula(r"\hat{y} = \frac{1}{1 + e^{-(w_0 + w_1 x)}}", unit_numbers),
            stress="unit",
        ),
    ),
    symbols={
        "x": "The input of the unit.",
        "y": "What a point says the answer should be.",
        r"y^{(j)}": "What point j says.",
        r"\hat{y}^{(j)}": "What the unit answers for point j.",
        "j": "Counts the points.",
        "e": "2.718…, the base of the natural logarithm.",
        r"\hat{y}": "What the unit answers.",
        "w_0": "The bias: what the unit answers at x = 0, before any bend.",
        "w_1": "The weight of the input: the line’s slope.",
        "N": "The number of points that are learned from.",
        r"\delta": "Where Huber’s loss turns from squared to straight: 0.5 here, 0.1 for the logistic unit.",
        r"\bar{x}": "The mean of x over all points.",
        r"\bar{y}": "The mean of y over all points.",
    },
    tasks=(
        Task(
            name="one-outlier",
            question=f"With a single outlier and squared loss, make the two slopes differ by {BENT} or more.",
            hint="Where does a point have the longest lever?",
            check=check_one,
        ),
        Task(
            name="robust",
            question="Keep three outliers, each at least 3 off the line. Get two slopes that differ by less than "
            f"{ALIKE}.",
            hint="Leave the points where they are, and choose what an error costs.",
            check=check_robust,
        ),
        Task(
            name="logistic",
            question=f"Let the outliers move the place where a logistic unit is undecided by {MOVED} or more.",
            hint="Choose the logistic unit, and a loss that outliers can rule.",
            check=check_logistic,
        ),
    ),
    remember=(
        "A few far points rule a squared fit, because each error counts by its square.",
        "Look at the points first; then choose a loss that a wild one cannot rule.",
    ),
    figures=figures,
    runs=runs,
    speed=60,
    watch={"curve": {"resolution": 100}},
    elements=("fit-plot",),
)
