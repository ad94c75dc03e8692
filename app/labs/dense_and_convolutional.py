"""Lab 12: a dense and a convolutional network race on the same digits."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, doc

from app.figures import figure, fixed
from app.labs.lesson import Formula, Json, Lab, Part, Runs, RunState, Task, Verdict
from engine.lessons.dense_and_convolutional import patterns
from engine.shapes import LayerPlan, plan
from engine.specs import Adam, Dense, LayerSpec, MnistSpec, ReLU, RunSpec, StopSpec, demo_network
from engine.specs.ranges import Seed
from engine.trainer import Trainer

UPDATES, BATCH, SIDE = 1_500, 20, 28
VALIDATION = 2_000
PACE = 200
"""Updates a second, so that both are at the same example while one watches; their own seconds count only their work."""
GOAL = 0.93
FEW = 1_000
SHOWN = {"dense": 4, "convolutional": 8}
"""Units and filters whose weights are pictured."""
WORDS = {"dense": "Dense", "convolutional": "Convolutional"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What both networks learn from and until when; the dense one's size; what they are drawn against."""

    images: Annotated[
        int,
        Interval(ge=200, le=20_000),
        doc("How many training images both networks learn from. Few: they are soon known by heart."),
    ] = 3_000
    units: Annotated[
        int,
        Interval(ge=1, le=300),
        doc("Hidden units of the dense network. Each has a weight for every pixel."),
    ] = 100
    learning_rate: Annotated[
        float, Interval(ge=0.0001, le=0.05), doc("How far one update moves the weights; the same for both.")
    ] = 0.002
    until: Literal["end", "goal"] = "end"
    seed: Seed = 1
    against: Literal["examples", "seconds", "step"] = "examples"


def networks(settings: Settings) -> Mapping[str, tuple[LayerSpec, ...]]:
    return {"convolutional": demo_network(), "dense": (Dense(units=settings.units), ReLU(), Dense(units=10))}


def runs(settings: Settings) -> Mapping[str, RunSpec]:
    """The same but for the network: digits, seed and so their order, optimizer, batch size."""
    to_goal = settings.until == "goal"
    return {
        name: RunSpec(
            name=f"{WORDS[name]}{f', to {percent(GOAL, 0)}' if to_goal else ''}",
            dataset=MnistSpec(train_size=settings.images + VALIDATION, validation_size=VALIDATION, crop=SIDE),
            network=network,
            optimizer=Adam(learning_rate=settings.learning_rate),
            batch_size=BATCH,
            l2=0.0,
            seed=settings.seed,
            stop=StopSpec(steps=UPDATES, accuracy=GOAL if to_goal else None),
        )
        for name, network in networks(settings).items()
    }


def look(trainer: Trainer, _: Settings, name: str) -> Generator[None, None, Json]:
    """What the first layer looks for by now."""
    yield
    return {"patterns": patterns(trainer.network, SHOWN[name])}


# ---- Figures ---------------------------------------------------------------------------------------------------------------


def figures(settings: Settings, runs: Runs) -> Json:
    """Of each network its layers with their parameters, and what it reads by now."""
    return {name: _network(layers, runs.get(name, RunState())) for name, layers in networks(settings).items()}


def _network(layers: tuple[LayerSpec, ...], run: RunState) -> Json:
    planned = plan(layers, (1, SIDE, SIDE))
    return {
        "layers": [_layer(layer) for layer in planned if layer.parameters],
        "parameters": sum(layer.parameters for layer in planned),
        "multiply_adds": sum(layer.multiply_adds for layer in planned),
        "test_accuracy": run.metrics.get("test_accuracy"),
        "examples": run.examples,
        "seconds": run.seconds,
        "ended": run.step >= UPDATES,
        "patterns": run.seen.get("patterns", []),
    }


def _layer(layer: LayerPlan) -> Json:
    return {"name": layer.name, "formula": layer.parameter_formula, "parameters": layer.parameters}


def dense_in_numbers(f: Json) -> str:
    return _lines(f["dense"])


def convolutional_in_numbers(f: Json) -> str:
    return _lines(f["convolutional"])


def _lines(network: Json) -> str:
    rows = [layer["formula"] for layer in network["layers"]]
    return "\n".join([*rows, f"together {network['parameters']:,}"])


# ---- Tasks -----------------------------------------------------------------------------------------------------------------


def as_few_parameters(settings: Settings, f: Json, runs: Runs) -> Verdict:
    dense, other = f["dense"], f["convolutional"]
    if dense["parameters"] > other["parameters"]:
        note = f"The dense network has {dense['parameters']:,} parameters, the other {other['parameters']:,}."
        return Verdict(False, 0.5 * other["parameters"] / dense["parameters"], note)
    if not both_at_the_end(settings, f):
        return Verdict(False, 0.5 + 0.4 * _trained(runs), "Small enough. Now let both train to the end.")
    note = (
        f"Dense, {dense['parameters']:,} parameters: {percent(dense['test_accuracy'])}. "
        f"Convolutional, {other['parameters']:,}: {percent(other['test_accuracy'])}."
    )
    return Verdict(True, 1, note)


def both_reach_the_goal(settings: Settings, _: Json, runs: Runs) -> Verdict:
    if settings.until != "goal":
        return Verdict(False, note=f"Let them train until {percent(GOAL, 0)}.")
    reached = {name: run.metrics.get("validation_accuracy") or 0.0 for name, run in runs.items()}
    if not all(accuracy >= GOAL for accuracy in reached.values()):
        lowest = min(reached, key=lambda name: reached[name])
        return Verdict(False, 0.9 * reached[lowest] / GOAL, f"{WORDS[lowest]} is at {percent(reached[lowest])}.")
    dense, other = runs["dense"].examples, runs["convolutional"].examples
    times = fixed(dense / other, 1)
    return Verdict(True, 1, f"Convolutional after {other:,} examples, dense after {dense:,}: {times} times as many.")


def few_images(settings: Settings, f: Json, runs: Runs) -> Verdict:
    if settings.images > FEW:
        return Verdict(False, 0.5 * FEW / settings.images, f"They learn from {settings.images:,} images.")
    if not both_at_the_end(settings, f):
        return Verdict(False, 0.5 + 0.4 * _trained(runs), "Few enough. Now let both train to the end.")
    accuracy = f["convolutional"]["test_accuracy"] or 0.0
    note = f"From {settings.images:,} images: convolutional {percent(accuracy)}, dense {percent(f['dense']['test_accuracy'])}."
    return Verdict(accuracy >= GOAL, 1 if accuracy >= GOAL else 0.9 * accuracy / GOAL, note)


def both_at_the_end(settings: Settings, f: Json) -> bool:
    return settings.until == "end" and all(network["ended"] for network in f.values())


def _trained(runs: Runs) -> float:
    """How much of the way the slower one has gone."""
    return min((run.step for run in runs.values()), default=0) / UPDATES


def percent(share: float | None, digits: int = 1) -> str:
    return figure(share, "percent", digits)


LAB = Lab(
    name="dense-and-convolutional",
    number=12,
    title="Fewer weights learn faster",
    claim="A fully connected network can learn the same task. CNN will learn faster: less weights.",
    chapter="Structure",
    summary="The same digits in the same order: a dense network against a convolutional one.",
    settings=Settings,
    parts=(
        Part(
            text="Both networks see the same digits in the same order, from the same seed. A unit of the <b>dense</b> one has "
            "a weight for every pixel.",
            formula=Formula(r"h \cdot n + h", dense_in_numbers),
            stress="dense",
        ),
        Part(
            text="A filter of the <b>convolutional</b> one has a few weights, used at every place. What it learns in one "
            "corner it knows in all others.",
            formula=Formula(r"f \cdot k \cdot k \cdot c + f", convolutional_in_numbers),
            stress="convolutional",
        ),
        Part(
            text="Against examples the convolutional network is far ahead. Against seconds less so: its few weights are used "
            "so often that each digit takes more multiplications. See for yourself which wins on your machine.",
            stress="race",
        ),
        Part(
            text="Fewer weights only help because they fit: in a picture neighbours belong together, and a stroke is a stroke "
            "wherever it stands. A dense network with as few weights reads worse.",
        ),
    ),
    symbols={
        "h": "How many units the layer has; each has one bias.",
        "n": "How many inputs the layer has: 28·28 pixels, or the units before it.",
        "f": "How many filters the layer has; each has one bias.",
        "k": "Height and width of a filter.",
        "c": "How many maps the layer looks at: one picture, or one map for each filter before it.",
    },
    tasks=(
        Task(
            name="as-few",
            question="Give the dense network at most as many parameters as the convolutional one, and let both train to the end.",
            hint="The table counts them. How many hidden units are left?",
            check=as_few_parameters,
        ),
        Task(
            name="goal",
            question=f"How many examples does each need to read {percent(GOAL, 0)}? Let both stop there.",
            hint="If the dense network never gets there, give it more images or units.",
            check=both_reach_the_goal,
        ),
        Task(
            name="few-images",
            question=f"Let the convolutional network read {percent(GOAL, 0)} of the test digits after learning from at most {FEW:,} images.",
            hint="Fewer training images, then train to the end.",
            check=few_images,
        ),
    ),
    remember=(
        "Shared weights are fewer weights: each example teaches all places at once.",
        "Against examples a convolutional network is faster by far; each example costs it more arithmetic.",
    ),
    figures=figures,
    runs=runs,
    look=look,
    speed=PACE,
    elements=("race-chart", "weight-tiles"),
)
