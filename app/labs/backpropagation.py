"""Lab 8: one example through the lecture's network and back, every number worked out; and any weight of any other run."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, Len, doc

from app.figures import significant
from app.labs.five_units import SYMBOLS, Weights, in_order, subscripted
from app.labs.lesson import Formula, Json, Lab, Part, Runs, RunState, Task, Verdict
from engine.lessons.backpropagation import (
    WEIGHTS,
    Example,
    layers,
    one_example,
    remembered,
    symbol,
    updates,
    worked,
)
from engine.lessons.by_hand import shortest, written
from engine.optimizers import OPTIMIZERS
from engine.specs import OPTIMIZER_SPECS, RunSpec, StopSpec
from engine.trainer import Trainer

FORWARD, BACKWARD = 7, 15
"""Lines there and back."""
UPDATES = 1_000
ZERO = 1e-12
TENTH = 0.1
LARGEST = 1e9
"""Weights beyond this have diverged, and one update more would leave what any number can hold: update 0 is shown instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Weights):
    """The network before its first update, its one example, its optimizer; what is looked at; and a weight elsewhere."""

    x1: Annotated[float, Interval(ge=-5, le=5), doc("The first input.")] = 1.0
    x2: Annotated[float, Interval(ge=-5, le=5), doc("The second input.")] = -2.0
    y: Annotated[float, Interval(ge=-5, le=5), doc("What the network should answer.")] = 1.0
    hidden: Literal["sigmoid", "tanh", "relu", "linear"] = "sigmoid"
    output: Literal["sigmoid", "tanh", "relu", "linear"] = "sigmoid"
    optimizer: Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw"] = "sgd"
    learning_rate: Annotated[
        float,
        Interval(ge=0.001, le=100),
        doc("How far one update moves the weights. Too small: slow. Too large: the loss grows."),
    ] = 0.5
    line: Annotated[int, Interval(ge=0, le=FORWARD + BACKWARD), doc("Which line lights up; 0 is none.")] = 0
    weight: Literal["w13", "w23", "w03", "w14", "w24", "w04", "w35", "w45", "w05"] = "w35"
    run: Annotated[str, Len(0, 16), doc("Another run, of which a weight is explained.")] = ""
    layer: Annotated[int, Interval(ge=0, le=31), doc("The weight's layer, by its place in the network.")] = 0
    unit: Annotated[int, Interval(ge=0, le=2047), doc("The unit, or the filter, that the weight leads to.")] = 0
    input: Annotated[
        int, Interval(ge=-1, le=10**6), doc("Which of the unit's inputs it comes from; −1 is the bias.")
    ] = 0
    example: Annotated[int, Interval(ge=0, le=10**7), doc("Which training example goes through.")] = 0


def runs(settings: Settings) -> Mapping[str, RunSpec]:
    return {
        "network": RunSpec(
            name="Backpropagation",
            dataset=one_example(example_of(settings)),
            network=layers(settings.hidden, settings.output),
            parameters=in_order(settings),
            loss="mean_squared_error",
            optimizer=OPTIMIZER_SPECS[settings.optimizer](learning_rate=settings.learning_rate),
            batch_size=1,
            l2=0.0,
            stop=StopSpec(steps=UPDATES),
        )
    }


def example_of(settings: Settings) -> Example:
    return Example(x1=settings.x1, x2=settings.x2, y=settings.y)


def look(trainer: Trainer, _: Settings, __: str) -> Generator[None, None, Json]:
    return (yield from remembered(trainer))


def figures(settings: Settings, runs: Runs) -> Json:
    run = runs.get("network", RunState())
    lost = run.parameters is not None and max(map(abs, run.parameters)) > LARGEST
    if lost:
        run = RunState()
    now = in_order(settings) if run.parameters is None else tuple(map(shortest, run.parameters))
    weights = dict(zip(WEIGHTS, now, strict=True))
    example, hidden, output = example_of(settings), settings.hidden, settings.output
    there = worked(weights, example, hidden, output)
    spec = OPTIMIZER_SPECS[settings.optimizer](learning_rate=settings.learning_rate)
    memory = run.seen or {name: [0.0] * len(WEIGHTS) for name in OPTIMIZERS[settings.optimizer].accumulators}
    changed = updates(weights, there.gradients, spec, memory, steps=run.step)
    moved = {name: update.weight for name, update in changed.items()}
    after = worked(moved, example, hidden, output)
    lines = [line.plain() for line in (*there.forward, *there.backward)]
    lit = lines[settings.line - 1]["about"] if settings.line else ""
    return {
        "step": run.step,
        "lost": lost,
        "forward": lines[:FORWARD],
        "backward": lines[FORWARD:],
        "lit": lit,
        "named": {line["name"]: line["value"] for line in lines},
        "weights": weights,
        "gradients": dict(there.gradients),
        "moved": moved,
        "memory": [
            {"name": name, "latex": latex, "before": dict(zip(WEIGHTS, memory[name], strict=True))}
            for name, latex in MEMORY[settings.optimizer].items()
        ],
        "remembered": {name: dict(update.memory) for name, update in changed.items()},
        "spelled_out": [line.plain() for line in changed[settings.weight].lines],
        "after": [line.plain() for line in after.forward],
        "loss": there.loss,
        "loss_after": after.loss,
        "weight": settings.weight,
        "symbols": {name: symbol(name) for name in WEIGHTS},
    }


MEMORY: Mapping[str, Mapping[str, str]] = {
    "sgd": {},
    "momentum": {"velocity": "v"},
    "nesterov": {"velocity": "v"},
    "adagrad": {"squared_gradients": "h"},
    "rmsprop": {"squared_gradients": "h"},
    "adadelta": {"squared_gradients": "h", "squared_updates": "u"},
    "adam": {"first_moment": "m", "second_moment": "v"},
    "adamw": {"first_moment": "m", "second_moment": "v"},
}
"""What each optimizer remembers of a weight, by the letter that its formula has for it."""


# ---- Numbers put in --------------------------------------------------------------------------------------------------------


def _of(f: Json, *names: str) -> str:
    found = {line["name"]: line for line in (*f["forward"], *f["backward"])}
    return "\n".join(f"{TEXT.get(name, name)} = {found[name]['numbers']} = {found[name]['result']}" for name in names)


TEXT = {
    "a5": "ŷ",
    "loss": "Loss",
    "in3": "in₃",
    "delta5": "Δ₅",
    "delta3": "Δ₃",
    "dw35": "∂Loss/∂w₃₅",
    "dw13": "∂Loss/∂w₁₃",
}


def forward_in_numbers(f: Json) -> str:
    return _of(f, "in3", "loss")


def delta_in_numbers(f: Json) -> str:
    return _of(f, "delta5", "dw35")


def back_in_numbers(f: Json) -> str:
    return _of(f, "delta3", "dw13")


def update_in_numbers(f: Json) -> str:
    """The last line of the chosen weight's update; what leads to it stands in the figure."""
    last = f["spelled_out"][-1]
    return (
        f"{subscripted(f['weight'])} ← {last['numbers']} = {last['result']}\n"
        f"Loss: {written(f['loss'])} → {written(f['loss_after'])}"
    )


# ---- Tasks -----------------------------------------------------------------------------------------------------------------


def error_points_down(_: Settings, f: Json, __: Runs) -> Verdict:
    delta, answer = f["named"]["delta5"], f["named"]["a5"]
    note = f"ŷ = {significant(answer)} and Δ₅ = {significant(delta)}."
    return Verdict(delta > ZERO, 0, note)


def nothing_comes_back(_: Settings, f: Json, __: Runs) -> Verdict:
    slope, delta = f["gradients"]["w13"], f["named"]["delta5"]
    note = f"∂Loss/∂w₁₃ = {significant(slope)}, Δ₅ = {significant(delta)}."
    solved = slope == 0 and abs(delta) > ZERO
    return Verdict(solved, 1 if solved else 0, note)


def too_far(_: Settings, f: Json, __: Runs) -> Verdict:
    before, after = f["loss"], f["loss_after"]
    note = f"This update takes the loss from {significant(before)} to {significant(after)}."
    return Verdict(after > before, 0, note)


def far_enough(settings: Settings, f: Json, __: Runs) -> Verdict:
    before, after = f["loss"], f["loss_after"]
    if settings.optimizer == "sgd":
        return Verdict(False, note="Choose an optimizer that remembers.")
    if not f["step"]:
        return Verdict(False, note="Make an update first, so that there is something to remember.")
    note = f"After {f['step']:,} updates the next takes the loss from {significant(before)} to {significant(after)}."
    share = after / before if before > ZERO else 0.0
    return Verdict(share < TENTH, min(1.0, max(0.0, (1 - share) / (1 - TENTH))), note)


LAB = Lab(
    name="backpropagation",
    number=8,
    title="Backpropagation",
    claim="Modern NN implementations can do this automatically, backwards from outputs.",
    chapter="Gradient",
    summary="Five units, forwards and backwards, with every number put in.",
    settings=Settings,
    parts=(
        Part(
            text="<b>Forwards.</b> Each unit adds up what comes in and bends it: $a_3 = g_3(\\mathit{in}_3)$. The output $\\hat{y}$ is "
            "compared with $y$. Point at a line, and its unit lights up.",
            formula=Formula(r"\mathit{in}_3 = w_{0,3} + w_{1,3}\, x_1 + w_{2,3}\, x_2", forward_in_numbers),
            stress="forward",
        ),
        Part(
            text="<b>Backwards.</b> $\\Delta_5$ says how the loss changes with what unit 5 takes in. One slide leaves out its "
            "minus; here it is always there.",
            formula=Formula(r"\Delta_5 = -2 (y - \hat{y})\, g_5'(\mathit{in}_5)", delta_in_numbers),
            stress="backward",
        ),
        Part(
            text="<b>One layer further.</b> Unit 3 gets its share of $\\Delta_5$ through $w_{3,5}$, times its own slope. A "
            "gradient is the $\\Delta$ where the weight ends, times what came in.",
            formula=Formula(r"\Delta_3 = \Delta_5\, w_{3,5}\, g_3'(\mathit{in}_3)", back_in_numbers),
            stress="backward",
        ),
        Part(
            text="<b>The update</b> moves every weight against its gradient. An optimizer with a memory has more lines; choose "
            "one, and press <b>1</b> to let it remember.",
            formula=Formula(
                r"\mathbf{w} \leftarrow \mathbf{w} - \alpha \nabla \mathit{Loss}(\mathbf{w})", update_in_numbers
            ),
            stress="update",
        ),
    ),
    symbols={
        "g_5'": "The slope of unit 5’s activation function where it stands.",
        "g_3'": "The slope of unit 3’s activation function where it stands.",
        r"\mathit{in}_5": "What unit 5 takes in: its bias and the weighted outputs of units 3 and 4.",
        **{
            name: SYMBOLS[name]
            for name in (
                r"\hat{y}",
                "y",
                "x_1",
                "x_2",
                "w_{1,3}",
                "w_{2,3}",
                "w_{0,3}",
                "w_{3,5}",
                "a_3",
                "g_3",
            )
        },
        r"\mathit{in}_3": "What unit 3 takes in: its bias and the weighted outputs of units 1 and 2.",
        r"\Delta_5": "The error term of unit 5: how the loss changes with what it takes in.",
        r"\Delta_3": "The error term of unit 3: how the loss changes with what it takes in.",
        r"\Delta": "The error term of a unit: how the loss changes with what it takes in.",
        r"\mathbf{w}": "All nine weights together.",
        r"\alpha": "The learning rate: how far one update moves the weights.",
        r"\nabla": "The gradient: all nine slopes of the loss together.",
    },
    tasks=(
        Task(
            name="sign",
            question=r"Change the example so that $\Delta_5$ is above 0: more of $\mathit{in}_5$ would make the loss larger.",
            hint="On which side of y must ŷ be?",
            check=error_points_down,
        ),
        Task(
            name="nothing-back",
            question=r"Let the gradient of $w_{1,3}$ be exactly 0 while $\Delta_5$ is not.",
            hint="It is a product of four numbers. Each of them can be 0, one of them by a choice of activation.",
            check=nothing_comes_back,
        ),
        Task(
            name="too-far",
            question="Find a learning rate at which the update makes the loss larger.",
            hint="A logistic output cannot go beyond 1. Where must y lie, or what must g₅ be, so that a step can go too far?",
            check=too_far,
        ),
        Task(
            name="memory",
            question="With an optimizer that remembers, let one update take the loss to less than a tenth.",
            hint="Choose one, give it a few updates with the button 1, and look for the right learning rate.",
            check=far_enough,
        ),
    ),
    remember=(
        "Forwards keep what every unit gives out; backwards carry one Δ for each unit.",
        "A gradient is the Δ where a weight ends, times what came in where it begins.",
    ),
    figures=figures,
    runs=runs,
    look=look,
    speed=2,
    plays=False,
    elements=("unit-lights",),
)
