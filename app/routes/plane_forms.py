"""What the bench of `/plane` and `/curve` shows: sliders, fields, layers and words, all of one experiment.

The fields go by the names of the address (app.routes.experiment), so that the form is read as an address is. A control
that a lesson's link hides is absent and one that it locks rests; both travel as hidden fields.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from app.figures import figure
from app.routes.experiment import (
    KINDS,
    LOSSES,
    RUN_NUMBERS,
    STOP_NUMBERS,
    Experiment,
    hidden_part,
    kind_numbers,
    numbers_of,
    texts_of,
    write,
)
from app.routes.experiment_texts import ACTIVATIONS, MOST_HIDDEN, MOST_UNITS, unpacked
from app.routes.forms import OPTIMIZER_TITLES, Field
from engine.specs import (
    LIVE_FIELDS,
    MANY_CLASSES,
    OPTIMIZER_SPECS,
    DatasetSpec,
    Dense,
    Dropout,
    PlaneSpec,
    RunSpec,
    StopSpec,
    TableSpec,
)
from engine.specs.datasets import FEATURE_LABELS

SET_TITLES = {
    "circle": "Circle",
    "xor": "Xor",
    "gaussians": "Gauss",
    "spiral": "Spiral",
    "moons": "Moons",
    "convnetjs_simple": "Simple",
    "convnetjs_circle": "Rings",
    "convnetjs_spiral": "Coil",
    "convnetjs_random": "Random",
    "plane": "Plane",
    "bumps": "Bumps",
    "x_sin_x": "x sin x",
    "sine": "Sine",
    "line": "Line",
    "parabola": "Parabola",
    "step": "Step",
    "bump": "Bump",
    "own": "Own",
}
ACTIVATION_TITLES = {
    "tanh": "tanh",
    "relu": "ReLU",
    "sigmoid": "logistic",
    "softplus": "softplus",
    "leaky_relu": "leaky ReLU",
    "linear": "linear",
}
LOSS_TITLES = {
    "softmax_cross_entropy": "Softmax, cross-entropy",
    "half_squared_error": "Squared, as in Playground",
    "mean_squared_error": "Mean squared error",
    "huber": "Huber",
    "absolute_error": "Absolute error",
}
INITIALIZER_TITLES = {
    "automatic": "Automatic",
    "he_normal": "He",
    "glorot_uniform": "Glorot",
    "playground": "As in Playground",
    "zeros": "All zero",
}
SCHEDULE_TITLES = {"constant": "Constant", "step": "In steps", "cosine": "Along a cosine"}
TITLES = {
    "lr": "Learning rate",
    "batch": "Batch size",
    "l1": "L1 decay",
    "l2": "L2 decay",
    "huber_delta": "Huber’s δ",
    "clip": "Longest gradient",
    "seed": "Seed",
    "dataseed": "Seed of the points",
    "stop_epochs": "Stop after epochs",
    "stop_steps": "Stop after updates",
    "stop_loss": "Stop at test loss",
    "stop_accuracy": "Stop at accuracy, %",
    "stop_patience": "Patience",
    "stop_seconds": "Stop after seconds",
    "every": "Falls every",
    "factor": "To this share",
    "warm_up": "Warm-up updates",
    "steps": "Falls for updates",
    "final": "Share at the end",
}
RATES = ("0.00001", "0.0001", "0.001", "0.003", "0.01", "0.03", "0.1", "0.3", "1", "3", "10")
"""Offered for the learning rate and the decays, as in Playground."""
SPEEDS = (
    ("", "as fast as it goes"),
    ("1", "1 update a second"),
    ("10", "10 updates a second"),
    ("100", "100 updates a second"),
)
RESOLUTIONS = (50, 100, 200)
"""Places across the picture of the plane that are offered; an address may say any number between 20 and 200."""

CONTROL_TITLES = {
    "data": "Data set", "noise": "Noise", "points": "Number of points", "classes": "Number of classes",
    "train": "Share for training", "new_points": "New points", "paint": "Painting", "own": "Own data (CSV)",
    "features": "Inputs", "layers": "Layers and neurons", "activation": "Activations", "dropout": "Dropout",
    "lr": "Learning rate", "optimizer": "Optimizer", "batch": "Batch size", "decay": "L1 and L2 decay", "loss": "Loss",
    "init": "Initial weights", "schedule": "Schedule", "clip": "Longest gradient", "stop": "Stopping", "seed": "Seeds",
    "regions": "Regions and their resolution", "show": "Test points, mistakes", "play": "Train and pause", "step": "Single updates",
    "reset": "Reset", "speed": "Speed", "text": "Introduction",
}  # fmt: skip
UNLOCKABLE = frozenset({"play", "step", "reset", "text"})
"""These can be hidden; there is nothing in them to lock."""
PLANE_ONLY = frozenset({"classes", "features", "regions"})

CONTROL_FIELDS: Mapping[str, tuple[str, ...]] = {
    "data": ("data",),
    "noise": ("noise",),
    "points": ("points",),
    "classes": ("classes",),
    "train": ("train",),
    "features": ("features",),
    "layers": ("layers", "units-"),
    "activation": ("activation-",),
    "dropout": ("dropout-",),
    "optimizer": ("optimizer",),
    "lr": ("lr",),
    "batch": ("batch",),
    "decay": ("l1", "l2"),
    "loss": ("loss", "huber_delta"),
    "init": ("init",),
    "schedule": ("schedule", "every", "factor", "warm_up", "steps", "final"),
    "clip": ("clip",),
    "stop": tuple(STOP_NUMBERS),
    "seed": ("seed", "dataseed"),
    "regions": ("regions", "resolution"),
    "show": ("show",),
    "speed": ("speed",),
}
"""The fields of each control; a hyphen at the end stands for one field of each layer."""


@dataclass(frozen=True, slots=True)
class Slider:
    """A number to drag, and the words beside it."""

    name: str
    label: str
    value: str
    low: float
    high: float
    step: float
    shown: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class HiddenLayer:
    """One hidden layer of the diagram; `place` is that of its dense layer in the network."""

    index: int
    place: int
    units: int
    activation: str
    dropout: str


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that `_bench.html` shows."""

    experiment: Experiment
    address: str
    texts: Mapping[str, str]
    errors: Mapping[str, str]
    problem: str
    number: bool
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    sets: list[tuple[str, str]]
    sliders: list[Slider]
    class_counts: range | None
    inputs: list[dict[str, Any]]
    layers: list[HiddenLayer]
    output: dict[str, Any]
    optimizer_doc: str
    main: list[Field]
    optimizer_numbers: list[Field]
    schedule_numbers: list[Field]
    more: dict[str, list[Field]]
    losses: list[tuple[str, str]]
    kept: list[tuple[str, str]]
    own: list[tuple[str, str]]
    speeds: list[tuple[str, str]]
    resolutions: list[int]
    notice: str = ""

    @property
    def page(self) -> str:
        return self.experiment.page

    @property
    def view(self) -> Any:
        return self.experiment.view

    @property
    def spec(self) -> RunSpec:
        return self.experiment.spec

    @property
    def is_wrong_inside(self) -> bool:
        """Whether a field with an error stands in the disclosure, which is opened then."""
        shown = [self.schedule_numbers, self.optimizer_numbers, *self.more.values()]
        return any(field.error for fields in shown for field in fields)


def bench_of(
    experiment: Experiment,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    *,
    problem: str = "",
    notice: str = "",
) -> Bench:
    """The bench of `experiment`; with `errors`, those fields keep what was `typed` and say why it cannot be."""
    typed, errors = typed or {}, errors or {}
    spec, dataset = experiment.spec, experiment.spec.dataset
    texts = texts_of(experiment)
    if "own" in typed and "own" not in texts:
        texts["own"] = typed["own"]  # points that were painted are still there when another set has been looked at

    def shown(of: type, names: Mapping[str, str], values: Any) -> list[Field]:
        found = []
        for name, field in numbers_of(of, names).items():
            field = replace(field.showing(getattr(values, names[name])), label=TITLES.get(name, field.label))
            if name in errors:
                field = replace(field, value=typed.get(name, "")[:40], error=errors[name])
            found.append(field)
        return found

    own = {field.name: field for field in shown(RunSpec, RUN_NUMBERS, spec)}
    optimizer = shown(type(spec.optimizer), kind_numbers(type(spec.optimizer)), spec.optimizer)
    stops = [replace(field, placeholder="never") for field in shown(StopSpec, STOP_NUMBERS, spec.stop)]
    number = not dataset.classes
    return Bench(
        experiment=experiment,
        address=write(experiment),
        texts=texts,
        errors=errors,
        problem=problem or errors.get("network", "") or errors.get("features", "") or errors.get("data", ""),
        number=number,
        classes=dataset.classes,
        columns=_columns(dataset),
        sets=[(kind, SET_TITLES[kind]) for kind in KINDS[experiment.page]],
        sliders=_sliders(dataset, experiment.page, errors),
        class_counts=range(2, 7) if getattr(dataset, "kind", "") in MANY_CLASSES else None,
        inputs=_inputs(dataset),
        layers=_layers(spec),
        output=_output(spec),
        optimizer_doc=(OPTIMIZER_SPECS[spec.optimizer.name].__doc__ or "").replace("`", ""),
        main=[*(field for field in optimizer if field.name == "lr"), own["batch"], own["l1"], own["l2"]],
        optimizer_numbers=[field for field in optimizer if field.name != "lr"],
        schedule_numbers=shown(type(spec.schedule), kind_numbers(type(spec.schedule)), spec.schedule),
        more={
            "loss": [own["huber_delta"]] if spec.loss == "huber" else [],
            "clip": [replace(own["clip"], placeholder="any")],
            "stop": [field for field in stops if not number or field.name != "stop_accuracy"],
            "seed": [own["seed"], *_data_seed(dataset, typed, errors)],
        },
        losses=[(name, LOSS_TITLES[name]) for name in LOSSES[number]],
        kept=_kept(experiment, texts),
        own=_own(texts),
        speeds=_speeds(experiment),
        resolutions=sorted({*RESOLUTIONS, experiment.view.resolution}),
        notice=notice,
    )


def _columns(dataset: Any) -> tuple[str, ...]:
    return dataset.columns if isinstance(dataset, TableSpec) else ("x", "y")


def _sliders(dataset: Any, page: str, errors: Mapping[str, str]) -> list[Slider]:
    share = dataset.train_share
    found = [Slider("train", "For training", f"{share:g}", 0.1, 1, 0.01, figure(share, "percent", 0))]
    if not isinstance(dataset, TableSpec):
        low, high, step = (5, 200, 1) if page == "curve" else (20, 2000, 10)
        noise, count = dataset.noise, dataset.points
        found = [
            Slider("noise", "Noise", f"{noise:g}", 0, max(0.5, noise), 0.01, figure(noise, "percent", 0)),
            Slider("points", "Points", str(count), min(low, count), max(high, count), step, figure(count, "integer")),
            *found,
        ]
    return [replace(slider, error=errors.get(slider.name, "")) for slider in found]


def _inputs(dataset: Any) -> list[dict[str, Any]]:
    """The column of inputs: features that can be chosen, or the columns as they are."""
    columns = _columns(dataset)
    if len(columns) == 2 and hasattr(dataset, "features"):
        return [
            {"name": name, "label": label, "unit": dataset.features.index(name) if name in dataset.features else None}
            for name, label in FEATURE_LABELS.items()
        ]
    names = columns if isinstance(dataset, TableSpec) else ("x",)
    return [{"name": "", "label": name, "unit": unit} for unit, name in enumerate(names)]


def _layers(spec: RunSpec) -> list[HiddenLayer]:
    names = {kind: name for name, kind in ACTIVATIONS.items()}
    found: list[HiddenLayer] = []
    for place, layer in enumerate(hidden_part(spec)):
        if isinstance(layer, Dense):
            found.append(HiddenLayer(len(found), place, layer.units, "linear", ""))
        elif isinstance(layer, Dropout):
            found[-1] = replace(found[-1], dropout=f"{layer.rate:g}")
        else:
            found[-1] = replace(found[-1], activation=names[type(layer)])
    return found


def _output(spec: RunSpec) -> dict[str, Any]:
    """The last column: what its neurons are called and what stands above them."""
    classes = spec.dataset.classes
    labels: tuple[str, ...] = classes
    if not classes:
        target = spec.dataset.target if isinstance(spec.dataset, TableSpec) else "y"
        title, note, labels = "Output", "a number", (target,)
    elif spec.output_count == 1:
        title, note, labels = "tanh", f"{classes[0]} or {classes[1]}", (classes[0],)
    else:
        squared = spec.loss == "half_squared_error"
        title, note = "tanh" if squared else "Softmax", f"{len(classes)} classes"
    return {"title": title, "note": note, "labels": labels, "place": len(hidden_part(spec))}


def _data_seed(dataset: Any, typed: Mapping[str, str], errors: Mapping[str, str]) -> list[Field]:
    field = numbers_of(type(dataset), {"dataseed": "seed"})["dataseed"]
    field = replace(field.showing(dataset.seed), label=TITLES["dataseed"])
    if "dataseed" in errors:
        field = replace(field, value=typed.get("dataseed", "")[:40], error=errors["dataseed"])
    return [field]


def _speeds(experiment: Experiment) -> list[tuple[str, str]]:
    spec, speed = experiment.spec, texts_of(experiment)["speed"]
    epoch = math.ceil(spec.dataset.sizes["train"] / spec.batch_size)
    offered = [*SPEEDS]
    if 1 < epoch <= 1000 and str(epoch) not in dict(offered):
        offered.append((str(epoch), "1 epoch a second"))
    if speed not in dict(offered):
        offered.append((speed, f"{speed} updates a second"))
    return offered


def _kept(experiment: Experiment, texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Hidden fields: how the page shows things, and what controls hold that are hidden or locked."""
    view = experiment.view
    wanted = {name for control in (*view.hide, *view.lock) for name in CONTROL_FIELDS.get(control, ())}
    if "optimizer" in (*view.hide, *view.lock):
        wanted |= set(kind_numbers(type(experiment.spec.optimizer))) - {"lr"}
    kept = [
        (name, texts[name])
        for name in ("name", *(() if experiment.page == "plane" else ("resolution",)), "hidden", "neuron", "axes", "hide", "lock", "play")
        if texts.get(name)
    ]
    layers = _layers(experiment.spec)
    each = {"units-": "units", "activation-": "activation", "dropout-": "dropout"}
    for name in sorted(wanted):
        if name == "layers":
            kept.append((name, str(len(layers))))
        elif name in each:
            kept += [(f"{name}{layer.index}", str(getattr(layer, each[name]))) for layer in layers]
        elif name in texts:
            kept.append((name, texts[name]))
    return kept


def _own(texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Points of one's own as the fields that static/js/lib/plane-points.js writes."""
    if not texts.get("own"):
        return []
    table = unpacked(texts["own"])
    return [
        ("own_values", table.values),
        ("own_columns", json.dumps(table.columns)),
        ("own_class_names", json.dumps(table.class_names)),
        ("own_target", table.target),
        ("own_standardize", "1" if table.standardize else "0"),
    ]


# ---- What a button does ------------------------------------------------------------------------------------------------------


def act(texts: dict[str, str], action: str) -> None:
    """Carries out a button of the form on its texts; one that means nothing changes nothing."""
    verb, _, what = action.partition(":")
    layers = [part for part in texts.get("network", "").split(",") if part]
    match verb, what:
        case "layer", "more" if len(layers) < MOST_HIDDEN:
            layers.append(layers[-1] if layers else "4.tanh")
        case "layer", "fewer" if layers:
            layers.pop()
        case "more" | "fewer", index if index.isascii() and index.isdigit() and int(index[:3]) < len(layers):
            units, _, rest = layers[int(index)].partition(".")
            if units.isascii() and units.isdigit():
                count = int(units[:4]) + (1 if verb == "more" else -1)
                layers[int(index)] = f"{min(MOST_UNITS, max(1, count))}.{rest}"
        case "new", ("points" | "seed") as which:
            texts["dataseed" if which == "points" else "seed"] = str(secrets.randbelow(1_000_000))
        case "rate", rate:
            texts["lr"] = rate
        case "own", word:
            texts |= {"data": "own", "own": word}
    if verb in ("layer", "more", "fewer"):
        texts["network"] = ",".join(layers)


def settle(texts: dict[str, str], before: RunSpec) -> str:
    """Another optimizer or schedule begins with its own usual numbers; the sentence that says so, if there is one."""
    notice = ""
    if texts.get("schedule", before.schedule.name) != before.schedule.name:
        for name in kind_numbers(type(before.schedule)):
            texts.pop(name, None)
    chosen = texts.get("optimizer", before.optimizer.name)
    if chosen != before.optimizer.name and chosen in OPTIMIZER_SPECS:
        for name in {*kind_numbers(type(before.optimizer)), *kind_numbers(OPTIMIZER_SPECS[chosen])}:
            texts.pop(name, None)
        notice = f"The learning rate is now as is usual for {OPTIMIZER_TITLES[chosen]}."
    return notice


# ---- What a change means for the run ---------------------------------------------------------------------------------------------


def kept_weights(before: RunSpec, after: RunSpec) -> Literal["weights", "nothing"]:
    """Whether a run goes on with its weights: when nothing but the points is another, and they are of the same kind."""
    same_kind = isinstance(after.dataset, TableSpec) or (
        getattr(before.dataset, "kind", None) == getattr(after.dataset, "kind", None)
    )
    told = [(dataset.input_shape, dataset.classes, features_of(dataset)) for dataset in (before.dataset, after.dataset)]
    if same_kind and told[0] == told[1] and replace(after, dataset=before.dataset) == before:
        return "weights"
    return "nothing"


def features_of(dataset: DatasetSpec) -> tuple[str, ...]:
    """What a network is told of two columns; one column, or more than two, go to it as they are."""
    if isinstance(dataset, PlaneSpec) or (isinstance(dataset, TableSpec) and len(dataset.columns) == 2):
        return dataset.features
    return ()


def live_changes(before: RunSpec, after: RunSpec) -> dict[str, Any] | None:
    """The hyperparameters that differ, if nothing else does: what a run takes over while it goes on. None: it cannot."""
    changed = {name: getattr(after, name) for name in LIVE_FIELDS if getattr(before, name) != getattr(after, name)}
    return changed if replace(before, **changed) == after else None
