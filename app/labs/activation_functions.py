"""Lab 10: activation functions with their slopes, a deep logistic network against one of ReLUs, and dead units."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Annotated, Literal

from annotated_types import Interval, doc

from app.figures import figure, fixed, significant
from app.labs.lesson import Formula, Json, Lab, Part, Runs, Task, Verdict
from engine.lessons import activation_functions as lesson
from engine.specs import SGD, Dense, LayerSpec, PlaneSpec, RunSpec, Seed, StopSpec
from engine.trainer import Trainer

UNITS = 8
UPDATES = 1_500
TWIN = 1e-6
"""Two functions that differ by less than this everywhere are one."""

NAMES: Mapping[lesson.FunctionName, str] = MappingProxyType(
    {
        "logistic": "logistic",
        "tanh": "tanh",
        "relu": "ReLU",
        "leaky_relu": "leaky ReLU",
        "softplus": "softplus",
        "linear": "linear",
    }
)
LATEX: Mapping[lesson.FunctionName, str] = MappingProxyType(
    {
        "logistic": r"g(\mathit{in}_j) = \frac{1}{1 + e^{-\mathit{in}_j}}",
        "tanh": r"g(\mathit{in}_j) = \tanh(\mathit{in}_j)",
        "relu": r"g(\mathit{in}_j) = \max(0, \mathit{in}_j)",
        "leaky_relu": r"g(\mathit{in}_j) = \max(0.01\,\mathit{in}_j, \mathit{in}_j)",
        "softplus": r"g(\mathit{in}_j) = \log(1 + e^{\mathit{in}_j})",
        "linear": r"g(\mathit{in}_j) = \mathit{in}_j",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which function is looked at, and what the networks that race are like."""

    function: Annotated[
        Literal["logistic", "tanh", "relu", "leaky_relu", "softplus", "linear"],
        doc("The activation function that is drawn, over the inputs of the network that has it."),
    ] = "logistic"
    layers: Annotated[
        int,
        Interval(ge=1, le=7),
        doc("Hidden layers of 8 units each. The deeper, the more slopes are multiplied on the way back."),
    ] = 4
    learning_rate: Annotated[
        float,
        Interval(ge=0.001, le=10),
        doc("How far one update moves the weights. Too large: it throws units where they are flat for all inputs."),
    ] = 0.05
    bias: Annotated[
        float,
        Interval(ge=-10, le=2),
        doc("The bias that every hidden unit begins with. Far below zero, its inputs fall where it is flat."),
    ] = 0.0
    seed: Seed = 1


# ---- Runs --------------------------------------------------------------------------------------------------------------


def racers(settings: Settings) -> dict[str, lesson.FunctionName]:
    """The function of each run: the third has the one that is looked at, unless it is in the race already."""
    others: lesson.FunctionName = "tanh" if settings.function in ("logistic", "relu") else settings.function
    return {"logistic": "logistic", "relu": "relu", "third": others}


def runs(settings: Settings) -> Mapping[str, RunSpec]:
    """The same points, depth, seed and learning rate; only the function between the layers differs."""
    return {run: _spec(settings, function) for run, function in racers(settings).items()}


def _spec(settings: Settings, function: lesson.FunctionName) -> RunSpec:
    hidden: tuple[LayerSpec, ...] = (Dense(units=UNITS),)
    if function in lesson.LAYERS:
        hidden += (lesson.LAYERS[function],)
    spec = RunSpec(
        name=f"{settings.layers} × {NAMES[function]}",
        dataset=PlaneSpec(kind="circle", points=400),
        network=(*(hidden * settings.layers), Dense(units=2)),
        optimizer=SGD(learning_rate=settings.learning_rate),
        batch_size=10,
        l2=0.0,
        seed=settings.seed,
        stop=StopSpec(steps=UPDATES),
    )
    return lesson.with_hidden_biases(spec, settings.bias)


def look(trainer: Trainer, settings: Settings, run: str) -> Generator[None, None, Json]:
    """How the inputs of the hidden units fall, layer by layer, over all training points."""
    layers = lesson.hidden_layers(trainer, racers(settings)[run])
    yield
    return {
        "layers": [
            {
                "counts": layer.counts.tolist(),
                "slow": layer.slow,
                "slope": layer.slope,
                "flat": [round(share, 4) for share in layer.flat.tolist()],
            }
            for layer in layers
        ],
        "dead": lesson.dead_units(layers),
    }


# ---- Figures -----------------------------------------------------------------------------------------------------------


def figures(settings: Settings, runs: Runs) -> Json:
    racing = racers(settings)
    run = next(run for run, function in racing.items() if function == settings.function)
    shape = lesson.curve(settings.function)
    inputs, outputs, slopes = (values.tolist() for values in (shape.inputs, shape.outputs, shape.slopes))
    relu = _seen(runs, "relu")
    return {
        "function": settings.function,
        "layer": lesson.LAYERS[settings.function].type if settings.function in lesson.LAYERS else None,
        "title": NAMES[settings.function],
        "latex": LATEX[settings.function],
        "inputs": _rounded(inputs),
        "outputs": _rounded(outputs),
        "slopes": _rounded(slopes),
        "table": list(zip(inputs, outputs, slopes, strict=True))[:: lesson.PLACES // 8],
        "regions": lesson.slow_regions(shape),
        "share": lesson.SLOW,
        "away": float(abs(shape.slopes - lesson.curve("logistic").outputs).max()),
        "layers": _seen(runs, run)["layers"],
        "titles": {run: NAMES[function] for run, function in racing.items()},
        "slopes_of": {
            NAMES[function]: [layer["slope"] for layer in _seen(runs, run)["layers"]]
            for run, function in racing.items()
        },
        "slow_of_logistic": [layer["slow"] for layer in _seen(runs, "logistic")["layers"]],
        "units": [layer["flat"] for layer in relu["layers"]],
        "dead": relu["dead"],
        "dead_names": [f"layer {layer}, unit {unit}" for layer, unit in relu["dead"]],
        "flattest": _flattest(relu),
        "losses": {run: state.metrics.get("train_loss") for run, state in runs.items()},
    }


def _seen(runs: Runs, run: str) -> Json:
    """What was seen of a run; nothing, before it begins."""
    return (runs[run].seen if run in runs else {}) or {"layers": [], "dead": []}


def _rounded(values: list[float]) -> list[float]:
    """As fine as a picture needs it."""
    return [round(value, 5) for value in values]


def _flattest(relu: Json) -> Json | None:
    """The unit that is flat at the most points, and yet learns from the others."""
    units = [
        {"layer": number, "unit": unit, "share": share}
        for number, layer in enumerate(relu["layers"], 1)
        for unit, share in enumerate(layer["flat"], 1)
        if 0 < share < 1
    ]
    return max(units, key=lambda unit: unit["share"], default=None)


# ---- Formulas with numbers ---------------------------------------------------------------------------------------------


def curve_numbers(f: Json) -> str:
    """The function and its slope in the middle and to one side."""
    rows = [row for row in f["table"] if row[0] in (0, 4)]
    return "\n".join(
        f"in = {fixed(at, 0)}: g = {significant(value)}, g′ = {significant(slope)}" for at, value, slope in rows
    )


def product_numbers(f: Json) -> str:
    """The mean slopes of each network's layers, multiplied."""
    return "\n".join(
        f"{name}: {'·'.join(fixed(slope) for slope in slopes)} = {significant(prod(slopes))}"
        for name, slopes in f["slopes_of"].items()
        if slopes
    )


def dead_numbers(f: Json) -> str:
    units = sum(len(layer) for layer in f["units"])
    return f"{len(f['dead'])} of {units} ReLU units are dead"


# ---- Tasks -------------------------------------------------------------------------------------------------------------


def check_twin(_: Settings, f: Json, __: Runs) -> Verdict:
    found = f["away"] < TWIN
    said = f"The slope of {f['title']} is away from it by up to {significant(f['away'])}."
    return Verdict(found, 1.0 if found else 1 / (2 + f["away"]), f"The slope of {f['title']}." if found else said)


def check_saturate(_: Settings, f: Json, __: Runs) -> Verdict:
    shares = f["slow_of_logistic"]
    if not shares:
        return Verdict(False)
    most = max(shares)
    return Verdict(
        most > 0.9, min(1.0, most / 0.9), f"Layer {shares.index(most) + 1} has {figure(most, 'percent')} of them there."
    )


def check_revive(settings: Settings, f: Json, _: Runs) -> Verdict:
    loss = f["losses"].get("logistic")
    if loss is None or settings.layers < 2:
        return Verdict(False, 0.0, "" if loss is None else "That is one hidden layer.")
    nearness = max(0.0, min(1.0, (0.69 - loss) / 0.39))
    return Verdict(loss < 0.3, nearness, f"{significant(loss)} with {settings.layers} hidden layers.")


def check_kill(_: Settings, f: Json, __: Runs) -> Verdict:
    dead = len(f["dead"])
    return Verdict(dead >= UNITS, min(1.0, dead / UNITS), f"{dead} of them {'is' if dead == 1 else 'are'} dead.")


TASKS = (
    Task(
        name="twin",
        question="The slope of one of these functions is the logistic function itself. Find it.",
        hint="The logistic function goes from 0 to 1. Whose slope does?",
        check=check_twin,
    ),
    Task(
        name="saturate",
        question="Push more than 90 % of the inputs of one logistic layer into the shaded regions.",
        hint="What moves all inputs of a unit to one side?",
        check=check_saturate,
    ),
    Task(
        name="revive",
        question="Bring the logistic network’s loss below 0.3, with two hidden layers or more.",
        hint="Fewer slopes to multiply, or longer steps.",
        check=check_revive,
    ),
    Task(
        name="kill",
        question="Kill 8 ReLU units or more.",
        hint="There are two ways: where they begin, and how far one update throws them.",
        check=check_kill,
    ),
)

LAB = Lab(
    name="activation-functions",
    number=10,
    title="Activation functions",
    claim="Slow learning (small gradient) in marked directions.",
    chapter="Activation functions",
    summary="Where a unit learns, where it hardly does, and how it dies.",
    settings=Settings,
    parts=(
        Part(
            text=r"The weights of unit j learn in proportion to the slope $g'(\mathit{in}_j)$. Where it is below a tenth of its "
            "largest, learning is slow: the shaded regions. Under the curve: where the inputs of each layer fall.",
            formula=Formula(
                r"\frac{\partial \mathit{Loss}}{\partial w_{i,j}} = \Delta_j \, a_i, \quad \Delta_j \propto g'(\mathit{in}_j)",
                curve_numbers,
            ),
            stress="curve",
        ),
        Part(
            text="Three networks begin with the same seed. On the way back each layer multiplies by its slopes. Those of the "
            "logistic function are at most ¼: the first layers hear next to nothing.",
            formula=Formula(r"\Delta_i = g'(\mathit{in}_i) \sum_j w_{i,j} \Delta_j", product_numbers),
            stress="race",
        ),
        Part(
            text="<b>ReLU</b> has slope 1 or 0. A unit that is flat at some points learns from the others. One that is flat at "
            "<b>all</b> of them gets no gradient, and cannot help itself: it is dead.",
            formula=Formula(r"g'(\mathit{in}_j) = 0 \text{ for all examples}", dead_numbers),
            stress="units",
        ),
        Part(
            text="For the output layer: <b>softmax</b> in classifiers. It uses the inputs of the entire layer, so it has no "
            "curve of its own. <b>Linear</b> in regression, to predict any number.",
            formula=Formula(
                r"\mathit{softmax}(\mathit{in}_k) = \frac{e^{\mathit{in}_k}}{\sum_{k'}^{d} e^{\mathit{in}_{k'}}}"
            ),
            stress="curve",
        ),
    ),
    symbols={
        "k": "The number of an output unit.",
        "k'": "Counts all output units.",
        r"\mathit{in}_{k'}": "The weighted input of each output unit in turn.",
        r"\Delta_i": "The error term of unit i, one layer nearer to the inputs.",
        r"\mathit{in}_i": "The weighted input of unit i.",
        "j": "Counts the units of the next layer.",
        "e": "2.718…, the base of the natural logarithm.",
        r"\mathit{in}_j": "The weighted input of unit j: its bias, and its inputs times their weights.",
        "g'": "The slope of the activation function: how much the output changes with the input.",
        "g": "The activation function: what a unit makes of its weighted input.",
        r"\Delta_j": "The error term of unit j: how the loss changes with its weighted input.",
        "a_i": "The output of unit i, which is an input of unit j.",
        "w_{i,j}": "The weight of the connection from unit i to unit j.",
        r"\mathit{in}_k": "The weighted input of unit k of the output layer.",
        "d": "The number of output units.",
    },
    tasks=TASKS,
    remember=(
        "A unit learns where its activation has a slope; through many flat layers hardly anything comes back.",
        "A ReLU unit is dead when it is flat for every example, and only then.",
    ),
    figures=figures,
    runs=runs,
    look=look,
    speed=150.0,
    elements=("activation-curves", "race-chart"),
)
