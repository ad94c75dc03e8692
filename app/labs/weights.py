"""Lab 1: nine sliders of a small network, and the error as a function of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval, doc

from app.figures import fixed
from app.labs.five_units import REACH, SYMBOLS, Weight, Weights, in_order, subscripted
from app.labs.lesson import Formula, Json, Lab, Part, Runs, RunState, Task, Verdict
from engine.lessons.backpropagation import WEIGHTS, is_bias
from engine.lessons.by_hand import factor, written
from engine.lessons.weights import NETWORK, error, points
from engine.specs import SGD, RunSpec, StopSpec

UPDATES = 600
DIGITS = 3
"""After the point of a weight as it is printed."""

BY_HAND, TRAINED = 0.18, 0.02
"""Losses that are asked for."""
ALIKE, LONG_ENOUGH = 0.0005, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Weights):
    """Where the nine weights begin, and how far each update moves them. As opened every weight has a say in the loss."""

    w13: Weight = 1.0
    w23: Weight = -1.0
    w03: Weight = 0.0
    w14: Weight = 2.0
    w24: Weight = 0.5
    w04: Weight = 0.0
    w35: Weight = 6.0
    w45: Weight = -4.0
    w05: Weight = -1.0

    learning_rate: Annotated[
        float,
        Interval(ge=0.05, le=20),
        doc("How far one update moves the weights along the gradient. Too small: slow. Too large: the loss jumps."),
    ] = 5.0


def runs(settings: Settings) -> Mapping[str, RunSpec]:
    dataset = points()
    return {
        "network": RunSpec(
            name="Weights",
            dataset=dataset,
            network=NETWORK,
            parameters=in_order(settings),
            loss="mean_squared_error",
            optimizer=SGD(learning_rate=settings.learning_rate),
            batch_size=dataset.row_count,
            l2=0.0,
            stop=StopSpec(steps=UPDATES),
        )
    }


def present(settings: Settings, runs: Runs) -> tuple[float, ...]:
    """The weights as they are now, rounded as they are printed: everything that is shown is of exactly these."""
    now = runs.get("network", RunState()).parameters or in_order(settings)
    return tuple(round(weight, DIGITS) + 0.0 for weight in now)


def figures(settings: Settings, runs: Runs) -> Json:
    weights = present(settings, runs)
    found = error(weights, REACH)
    return {
        "names": list(WEIGHTS),
        "weights": list(weights),
        "printed": [fixed(weight, DIGITS) for weight in weights],
        "loss": found.loss,
        "squares": found.squares,
        "count": found.count,
        "gradient": found.gradient,
        "rate": settings.learning_rate,
        "opened": {name: getattr(Settings(), name) for name in WEIGHTS},
        "places": found.places,
        "curves": [[round(loss, 5) for loss in curve] for curve in found.curves],
        "step": runs.get("network", RunState()).step,
    }


# ---- Numbers put in --------------------------------------------------------------------------------------------------------


def function_in_numbers(f: Json) -> str:
    numbers = dict(zip(f["names"], f["weights"], strict=True))
    w = {name: written(value) if is_bias(name) else factor(value) for name, value in numbers.items()}
    return (
        f"ŷ = g({w['w05']} + {w['w35']}·a₃ + {w['w45']}·a₄)\n"
        f"a₃ = g({w['w03']} + {w['w13']}·x₁ + {w['w23']}·x₂)\n"
        f"a₄ = g({w['w04']} + {w['w14']}·x₁ + {w['w24']}·x₂)"
    )


def loss_in_numbers(f: Json) -> str:
    return f"Loss = {fixed(f['squares'], 4)} / {f['count']} = {fixed(f['loss'], 4)}"


def steps_in_numbers(f: Json) -> str:
    """The two weights that the next update moves most; the slope is rounded first, so that the sum can be done again."""
    order = sorted(range(len(f["names"])), key=lambda place: -abs(f["gradient"][place]))[:2]
    lines = []
    for place in sorted(order):
        weight, slope = f["weights"][place], round(f["gradient"][place], 4)
        sum_ = f"{written(weight)} − {written(f['rate'])}·{factor(slope)}"
        lines.append(f"{subscripted(f['names'][place])} ← {sum_} = {fixed(weight - f['rate'] * slope, 4)}")
    return "\n".join(lines)


# ---- Tasks -----------------------------------------------------------------------------------------------------------------


def lowered_by_hand(_: Settings, f: Json, __: Runs) -> Verdict:
    loss = f["loss"]
    if f["step"]:
        return Verdict(False, note="This was training. Press Reset, and use your hands.")
    note = f"Loss {fixed(loss, DIGITS)} after no update."
    return Verdict(loss < BY_HAND, nearness(loss, BY_HAND), note)


def lowered_by_training(_: Settings, f: Json, __: Runs) -> Verdict:
    loss = f["loss"]
    if not f["step"]:
        return Verdict(False, note="Not trained yet.")
    note = f"Loss {fixed(loss, DIGITS)} after {f['step']:,} updates."
    return Verdict(loss < TRAINED, nearness(loss, TRAINED), note)


def nearness(loss: float, wanted: float) -> float:
    """From what the lab begins with down to what is wanted."""
    begins = 0.28
    return min(1.0, max(0.0, (begins - loss) / (begins - wanted)))


def stayed_twins(_: Settings, f: Json, __: Runs) -> Verdict:
    """Units 3 and 4 have the same weights, in and out, and still do after many updates."""
    w = dict(zip(f["names"], f["weights"], strict=True))
    apart = max(abs(w[f"w{source}3"] - w[f"w{source}4"]) for source in "012")
    apart = max(apart, abs(w["w35"] - w["w45"]))
    if apart > ALIKE:
        return Verdict(False, note=f"Their weights are up to {fixed(apart, 2)} apart.")
    steps = f["step"]
    note = f"After {steps:,} updates they are still the same, and the loss is {fixed(f['loss'], DIGITS)}."
    return Verdict(steps >= LONG_ENOUGH, min(1.0, 0.5 + 0.5 * steps / LONG_ENOUGH), note)


LAB = Lab(
    name="weights",
    number=1,
    title="Weights",
    claim="Error on output is a function of weights. Change weights to reduce error.",
    chapter="Training and its screw-ups",
    summary="Nine sliders, one surface, and the error under your hand.",
    settings=Settings,
    parts=(
        Part(
            text="The map shows what unit 5 answers at each place. It should be <b>1</b> on the blue points and <b>0</b> on "
            "the empty ones. <b>Move a slider.</b>",
            formula=Formula(
                r"\hat{y} = g_5(w_{0,5} + w_{3,5}\, a_3 + w_{4,5}\, a_4)",
                function_in_numbers,
            ),
            stress="function",
        ),
        Part(
            text="One number says how wrong all of it is: the mean of the squared errors over the $N$ points. It depends on "
            "the nine weights and on nothing else that you can move.",
            formula=Formula(r"\mathit{Loss}(\mathbf{w}) = \frac{1}{N} \sum (y - \hat{y})^2", loss_in_numbers),
            stress="loss",
        ),
        Part(
            text="Over each slider stands the loss if <b>this weight alone</b> were moved. Slide to the bottom of a curve, "
            "and the other curves change.",
            stress="curves",
        ),
        Part(
            text="Training moves all nine at once, each a little down its own curve. Press <b>Train</b>: the sliders move by "
            "themselves. Take one in your hand, and it goes on from there.",
            formula=Formula(r"w \leftarrow w - \alpha \frac{\partial \mathit{Loss}}{\partial w}", steps_in_numbers),
            stress="training",
        ),
    ),
    symbols={
        "w": "Any one of the nine weights.",
        **{name: SYMBOLS[name] for name in (r"\hat{y}", "y", "w_{0,5}", "w_{3,5}", "w_{4,5}", "a_3", "a_4", "g_5")},
        "N": "How many points there are.",
        r"\mathbf{w}": "All nine weights together.",
        r"\alpha": "The learning rate: how far one update moves a weight along its slope.",
        r"\frac{\partial \mathit{Loss}}{\partial w}": "The slope of the weight's own curve: how the loss changes with this weight alone.",
    },
    tasks=(
        Task(
            name="by-hand",
            question="By hand alone, bring the loss below 0.18.",
            hint="One unit for each edge of the blue band: first let unit 3 and unit 4 look along its direction.",
            check=lowered_by_hand,
        ),
        Task(
            name="train",
            question="Now train from your weights until the loss is below 0.02.",
            hint="Press Train. If it is slow, the learning rate may be larger.",
            check=lowered_by_training,
        ),
        Task(
            name="twins",
            question="Begin so that 100 updates cannot make units 3 and 4 any different.",
            hint="Two units learn different things only if their gradients differ. When do they not?",
            check=stayed_twins,
        ),
    ),
    remember=(
        "The error is a function of the weights; training looks for weights that make it small.",
        "Each weight has a slope of its own, and moving one changes the slopes of the others.",
    ),
    figures=figures,
    runs=runs,
    speed=40,
    plays=False,
    watch={"plane": {"resolution": 100, "columns": [0, 1]}, "neurons": 24, "weights": True},
    elements=("plane-plot", "network-diagram", "weight-sliders"),
)
