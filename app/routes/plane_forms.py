"""What the bench of `/plane` and `/curve` shows: sliders, fields, layers and words, all of one experiment.

The fields go by the names of the address (app.routes.experiment), so that the form is read as an address is. A control
that a lesson's link hides is absent and one that it locks rests; both travel as hidden fields.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

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
from app.routes.experiment_texts import ACTIVATIONS, unpacked
from app.routes.forms import Field
from app.routes.plane_titles import CONTROL_FIELDS, LOSS_TITLES, RESOLUTIONS, SET_TITLES, SPEEDS, TITLES
from engine.specs import (
    MANY_CLASSES,
    OPTIMIZER_SPECS,
    Dense,
    Dropout,
    RunSpec,
    StopSpec,
    TableSpec,
)
from engine.specs.datasets import FEATURE_LABELS


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
