"""Lab 2: a network that has seen one group of digits is examined on that group, on everyone, and on one's own handwriting."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import Interval, Len, doc

from app.figures import figure
from app.labs.lesson import Formula, Json, Lab, Part, Runs, RunState, Task, Verdict
from engine.errors import SpecError
from engine.lessons.representative_data import SIDE, TENTHS, drawn, judge, measured, pictures
from engine.specs import Adam, Dense, DrawingsSpec, GroupSpec, MnistSpec, ReLU, RunSpec, Seed, StopSpec
from engine.specs.pictures import FEWEST_IN_CELL, MOST_IN_ADDRESS, read_drawings
from engine.trainer import Trainer

HELD_OUT = 20
"""Digits of each class that are kept aside, of the same group."""
UPDATES = 300
LESSON = 100
"""Updates with one's own drawings, after all others."""

NARROWEST = FEWEST_IN_CELL * TENTHS**2 - HELD_OUT
"""Of each digit, in a frame around one place."""

Place: TypeAlias = Annotated[int, Interval(ge=0, le=SIDE)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the network may see, on whom it is tested, and what it is taught afterwards."""

    examples: Annotated[
        int,
        Interval(ge=5, le=500),
        doc(
            f"How many of each digit it may learn from. Few are soon learned by heart; one place of the map has {NARROWEST}."
        ),
    ] = 50
    thickness: Annotated[
        tuple[Place, ...], Len(2, 2), doc("From which fifth of thickness to which it may see: 0 is the thinnest.")
    ] = (0, 1)
    slant: Annotated[
        tuple[Place, ...],
        Len(2, 2),
        doc("From which fifth of slant to which it may see: 0 leans furthest to the left."),
    ] = (1, 2)
    digits: Annotated[
        tuple[Annotated[int, Interval(ge=0, le=9)], ...],
        Len(1, 10),
        doc("Which digits it may see. Of one that it never sees it learns nothing."),
    ] = tuple(range(10))
    tests: Annotated[
        Literal["none", "same", "everyone"], doc("On whom you test: on nobody, on the same group, or on everyone.")
    ] = "everyone"
    shown: Annotated[Literal["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], doc("Which digit the map shows.")] = "4"
    drawings: Annotated[str, Len(0, MOST_IN_ADDRESS), doc("Your own drawings, packed.")] = ""
    teach: Annotated[
        Literal["no", "alone", "mixed"],
        doc("Whether your drawings are trained on after all the digits: alone, or with the digits beside them."),
    ] = "no"
    seed: Seed = 1


def span(places: tuple[int, ...]) -> tuple[int, int]:
    """From and to, at least one place wide, whichever way round they were given."""
    low = min(*places, SIDE - 1)
    return low, max(*places, low + 1)


def group_of(settings: Settings) -> GroupSpec:
    thin, left = span(settings.thickness), span(settings.slant)
    return GroupSpec(
        digits=tuple(sorted(set(settings.digits))),
        thickness=(TENTHS * thin[0], TENTHS * thin[1]),
        slant=(TENTHS * left[0], TENTHS * left[1]),
    )


def examples_of(settings: Settings) -> int:
    """Of each digit, as far as the group has so many."""
    return min(settings.examples, group_of(settings).fewest - HELD_OUT)


def drawings_of(settings: Settings) -> str:
    """The packed drawings, if they are some."""
    try:
        read_drawings(settings.drawings)
    except SpecError:
        return ""
    return settings.drawings


def teaches(settings: Settings) -> bool:
    return settings.teach != "no" and bool(drawings_of(settings))


# ---- Runs ------------------------------------------------------------------------------------------------------------------


def runs(settings: Settings) -> Mapping[str, RunSpec]:
    """`network` learns the group; `taught` learns it in the same way and goes on with the drawings, where there are any."""
    return {
        "network": run("network", settings, None, UPDATES),
        "taught": run(
            "taught",
            settings,
            DrawingsSpec(values=drawings_of(settings), after=UPDATES, mixed=settings.teach == "mixed"),
            UPDATES + LESSON,
        )
        if teaches(settings)
        else run("taught", settings, None, 1),
    }


def run(name: str, settings: Settings, drawings: DrawingsSpec | None, updates: int) -> RunSpec:
    group = group_of(settings)
    each, classes = examples_of(settings), len(group.digits)
    return RunSpec(
        name=name,
        dataset=MnistSpec(
            train_size=classes * (each + HELD_OUT),
            validation_size=classes * HELD_OUT,
            crop=28,
            test_crops=1,
            group=group,
            drawings=drawings,
        ),
        network=(Dense(units=32), ReLU(), Dense(units=10)),
        optimizer=Adam(learning_rate=0.003),
        batch_size=50,
        l2=0.0,
        seed=settings.seed,
        stop=StopSpec(steps=updates),
    )


def look(trainer: Trainer, settings: Settings, name: str) -> Generator[None, None, Json]:
    """What `judge` says, once there is something to judge."""
    if trainer.steps == 0 or (name == "taught" and not teaches(settings)):
        return {}
    return (yield from judge(trainer, drawings_of(settings)))


# ---- Figures ---------------------------------------------------------------------------------------------------------------

UNKNOWN = {
    "none": {"validation": "Nothing was kept aside.", "test": "Nobody else was asked."},
    "same": {"test": "Nobody else was asked."},
    "everyone": {},
}


def figures(settings: Settings, states: Runs) -> Json:
    seen = states["network"].seen if "network" in states else {}
    taught = lesson(settings, states)
    thin, left, group = span(settings.thickness), span(settings.slant), group_of(settings)
    cells = (thin[1] - thin[0]) * (left[1] - left[0])
    own = drawn(drawings_of(settings))
    latest = states["taught"].seen if taught and taught["updates"] else seen
    read = latest.get("read") or [None] * len(own)
    return {
        "accuracies": {
            split: accuracy(seen.get(split), UNKNOWN[settings.tests].get(split, ""))
            for split in ("train", "validation", "test", "drawings")
        },
        "group": {
            "digits": list(group.digits),
            "examples": examples_of(settings),
            "held_out": HELD_OUT,
            "share": cells / SIDE**2 * len(group.digits) / 10,
        },
        "map": {
            "digit": int(settings.shown),
            "pictures": pictures(int(settings.shown)),
            "seen": [*thin, *left],
            "shares": seen.get("map") if settings.tests == "everyone" else None,
        },
        "measured": measured(int(settings.shown), thin[0], left[0]),
        "drawings": [drawing | {"read": answer} for drawing, answer in zip(own, read, strict=True)],
        "lesson": taught,
    }


def accuracy(counts: Mapping[str, int] | None, unknown: str) -> Json:
    """Right, of how many, and the share; `unknown` says why nobody can tell."""
    if unknown or counts is None:
        return {"right": None, "examples": None, "share": None, "unknown": unknown}
    return {**counts, "share": counts["right"] / counts["examples"], "unknown": ""}


def lesson(settings: Settings, states: Runs) -> Json | None:
    """Shares of everyone, if these are asked, and of the drawings that are right before and after; None without a lesson."""
    if not teaches(settings) or "taught" not in states:
        return None
    before, after = states["network"], states["taught"]
    known = {"test": settings.tests == "everyone", "drawings": True}
    return {
        "before": {name: share(before, name) if asked else None for name, asked in known.items()},
        "after": {
            name: share(after, name) if asked and after.step > UPDATES else None for name, asked in known.items()
        },
        "updates": max(0, after.step - UPDATES),
    }


def share(state: RunState, name: str) -> float | None:
    counts = state.seen.get(name)
    return counts["right"] / counts["examples"] if counts else None


def percent(value: float) -> str:
    return figure(value, "percent")


def accuracy_in_numbers(f: Json) -> str:
    lines = []
    for words, name in (("training", "train"), ("held out", "validation"), ("everyone", "test")):
        known = f["accuracies"][name]
        if known["share"] is None:
            lines.append(f"{words}: {'you cannot know' if known['unknown'] else 'not yet'}")
        else:
            lines.append(f"{words}: {known['right']:,} / {known['examples']:,} = {percent(known['share'])}")
    return "\n".join(lines)


def slant_in_numbers(f: Json) -> str:
    m = f["measured"]
    lean = figure(-m["lean"], "number", 1)
    return (
        f"t = {figure(m['ink'], 'number', 1)} / 784 = {figure(m['thickness'], 'number', 3)}\n"
        f"s = {lean} / {figure(m['height'], 'number', 1)} = {figure(m['slant'], 'number', 2)}"
    )


# ---- Tasks -----------------------------------------------------------------------------------------------------------------

NOT_YET = Verdict(False, note="Let the network learn to its end first.")


def learned(f: Json, states: Runs) -> tuple[float, float, float] | None:
    """Shares right on its training set, on held-out digits and on everyone, once it has learned to its end."""
    state = states.get("network")
    if state is None or state.step < UPDATES or not state.seen:
        return None
    train, held_out, everyone = (share(state, split) for split in ("train", "validation", "test"))
    if train is None or held_out is None or everyone is None or f["accuracies"]["test"]["unknown"]:
        return None
    return train, held_out, everyone


def serves_few(_: Settings, f: Json, states: Runs) -> Verdict:
    if (shares := learned(f, states)) is None:
        return NOT_YET
    train, _held_out, everyone = shares
    complete = len(f["group"]["digits"]) == 10
    note = f"{percent(train)} on its training set, {percent(everyone)} on everyone."
    solved = complete and train > 0.99 and everyone < 0.5
    return Verdict(solved, 1 if solved else complete * min(0.95, 0.5 / everyone), note)


def serves_many(settings: Settings, f: Json, states: Runs) -> Verdict:
    if (shares := learned(f, states)) is None:
        return NOT_YET
    everyone, few = shares[2], f["group"]["examples"] <= 50
    note = f"{percent(everyone)} of everyone with {settings.examples} of each digit."
    solved = few and everyone > 0.8
    return Verdict(solved, 1 if solved else few * min(0.95, everyone / 0.8), note)


def exam_without_everyone(_: Settings, f: Json, states: Runs) -> Verdict:
    if (shares := learned(f, states)) is None:
        return NOT_YET
    _train, held_out, everyone = shares
    note = f"{percent(held_out)} on held-out digits of the group, {percent(everyone)} on everyone."
    solved = held_out > 0.9 and everyone < 0.5
    return Verdict(solved, 1 if solved else min(0.95, 0.5 / everyone), note)


def handwriting(_: Settings, f: Json, __: Runs) -> Verdict:
    count, taught = len(f["drawings"]), f["lesson"]
    if count < 5:
        return Verdict(False, count / 10, f"{count} of five drawings are kept.")
    if f["accuracies"]["drawings"]["share"] == 1:
        return Verdict(False, 0.5, "All of yours are read right already: keep one that is not.")
    if taught is None or None in (*taught["before"].values(), *taught["after"].values()):
        return Verdict(False, 0.5, "Now teach them, and test on everyone.")
    before, after, own = taught["before"]["test"], taught["after"]["test"], taught["after"]["drawings"]
    note = f"{percent(own)} of your drawings are right; everyone: {percent(before)} before, {percent(after)} after."
    solved = own == 1 and after > before - 0.03
    return Verdict(solved, 1 if solved else 0.75, note)


LAB = Lab(
    name="representative-data",
    number=2,
    title="Representative data",
    claim="“99.99 % on training set.” “Awesome, does it work in my application now?” “Maybe I should include other people?”",
    chapter="Training and its screw-ups",
    summary="Choose whose digits the network sees, then ask everyone else, and draw your own.",
    settings=Settings,
    parts=(
        Part(
            text="The network has seen digits of <b>one group</b>, and reads nearly all of them right. That says how well it "
            "knows these, and nothing about the rest of us.",
            formula=Formula(r"\text{accuracy} = \frac{r}{N}", accuracy_in_numbers),
            stress="accuracies",
        ),
        Part(
            text="Thickness $t$ is the mean ink, slant $s$ how far a digit leans. <b>Drag over the map</b> to choose what "
            "the network may see. The figures say how much of everyone it reads right there.",
            formula=Formula(r"t = \frac{1}{784} \sum_{i} p_i \qquad s = -\frac{\mu_{11}}{\mu_{02}}", slant_in_numbers),
            stress="map",
        ),
        Part(
            text="Digits that were kept aside test the network fairly, but only for their own group. Without a test set "
            "<b>you cannot know</b>: the training figure looks just the same.",
            stress="tests",
        ),
        Part(
            text="Your handwriting is a group, too. Draw digits, say what they are and keep them; then teach them. Taught "
            "<b>alone</b>, they push out what was known before.",
            stress="drawings",
        ),
    ),
    symbols={
        "i": "Counts the pixels.",
        "r": "How many examples are read right.",
        "N": "How many examples there are.",
        "t": "Thickness: the mean ink of all 784 pixels; here of the first picture inside the frame.",
        "p_i": "The ink of one pixel, from 0 to 1.",
        "s": "Slant: how many pixels it moves to the right for every pixel upwards.",
        r"\mu_{11}": "How far the ink's x and y vary together, y counted downwards.",
        r"\mu_{02}": "How far the ink is spread from top to bottom.",
    },
    tasks=(
        Task(
            name="serve-few",
            question="Choose a group of all ten digits that is learned to more than 99 %, yet serves less than half of everyone.",
            hint="Which corner of the map is furthest from all others? And how few examples are learned by heart?",
            check=serves_few,
        ),
        Task(
            name="serve-many",
            question="With at most 50 of each digit, read more than 80 % of everyone.",
            hint="The number of examples need not grow. Who is missing among them?",
            check=serves_many,
        ),
        Task(
            name="fair-exam",
            question="Let held-out digits of the group say more than 90 %, while less than half of everyone are right.",
            hint="The group can be narrow in another way: it need not have all ten digits.",
            check=exam_without_everyone,
        ),
        Task(
            name="handwriting",
            question="Keep at least five drawings, one of them misread. Teach them: all right, and everyone loses less than 3 points.",
            hint="What is not practised is forgotten. Practise both.",
            check=handwriting,
        ),
    ),
    remember=(
        "A training accuracy says how well the network knows what it was shown, and a test set speaks for its own group only.",
        "Collect from everybody whom it is to serve; what is no longer trained on is forgotten.",
    ),
    figures=figures,
    runs=runs,
    look=look,
    speed=100,
    elements=("digit-map", "kept-drawings"),
)
