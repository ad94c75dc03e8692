"""The network builder as a form: what was typed, what follows from it, and the RunSpec that it stands for.

Nothing is kept between two requests; the form carries every layer as `layer-<i>-type`, `layer-<i>-<field>`. Shapes,
counts and reasons come from `engine.shapes`, legal ranges from `engine.specs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from app.errors import Unprocessable
from app.figures import figure
from app.routes.forms import LABELS, OPTIMIZER_TITLES, RARE, Field, FieldError, fields_of
from app.routes.network_text import write_network
from app.templating import shape
from engine.errors import SpecError
from engine.shapes import LayerPlan, LayerProblem, check_run, preview
from engine.specs import LAYER_SPECS, MAX_LAYERS, OPTIMIZER_SPECS, LayerSpec, MnistSpec, RunSpec

LAYER_TITLES = {
    "conv2d": "Convolution",
    "max_pool2d": "Max pooling",
    "avg_pool2d": "Average pooling",
    "global_avg_pool2d": "Global average pooling",
    "conv1d": "1-D convolution",
    "max_pool1d": "1-D max pooling",
    "dense": "Dense",
    "relu": "ReLU",
    "leaky_relu": "Leaky ReLU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
    "gelu": "GELU",
    "maxout": "Maxout",
    "local_response_normalization": "Local response normalization",
    "batch_normalization": "Batch normalization",
    "dropout": "Dropout",
    "flatten": "Flatten",
}
LOSS_TITLES = {
    "softmax_cross_entropy": "Softmax, cross-entropy",
    "mean_squared_error": "Mean squared error",
    "half_squared_error": "Half squared error, of 1 and −1",
    "hinge": "Hinge (support vector machine)",
    "huber": "Huber",
    "absolute_error": "Absolute error",
    "binary_cross_entropy": "Binary cross-entropy, each class alone",
}
SETTINGS: Mapping[str, Field] = {
    **{name: fields_of(MnistSpec)[name] for name in ("train_size", "validation_size", "crop")},
    "seed": fields_of(RunSpec)["seed"],
    "cores": fields_of(RunSpec)["cores"],
}


@dataclass(slots=True)
class Draft:
    """A network as it was typed: texts, legal or not."""

    layers: list[tuple[str, dict[str, str]]]
    settings: dict[str, str]
    name: str = "digits"
    loss: str = "softmax_cross_entropy"
    format: str = "nabla"
    add_type: str = "conv2d"
    trainer: dict[str, str] = field(default_factory=dict)  # of a pasted text; empty: that of the page


@dataclass(frozen=True, slots=True)
class Row:
    """One layer as the table shows it."""

    index: int
    type: str
    title: str
    fields: list[Field]
    output: str = ""
    parameters: str = ""
    multiply_adds: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Builder:
    """Everything that `_builder.html` shows."""

    draft: Draft
    rows: list[Row]
    settings: list[Field]
    parameters: str
    multiply_adds: str
    problem: str
    text: str
    text_error: str = ""
    text_notice: str = ""
    layer_types: list[tuple[str, str]] = field(default_factory=lambda: list(LAYER_TITLES.items()))
    losses: list[tuple[str, str]] = field(default_factory=lambda: list(LOSS_TITLES.items()))

    @property
    def trainer_words(self) -> str:
        """The trainer of a pasted text in words: Adadelta, batch size 20, weight decay 0.001."""
        typed = self.draft.trainer
        names = [name for name in typed if name in LABELS and typed[name] != "0"]
        return ", ".join(
            [OPTIMIZER_TITLES.get(typed["optimizer"], ""), *(f"{_lower(LABELS[name])} {typed[name]}" for name in names)]
        )

    @property
    def settings_wrong(self) -> bool:
        return any(f.error for f in self.settings)

    @property
    def full(self) -> str:
        return f"A network has at most {MAX_LAYERS} layers." if len(self.rows) >= MAX_LAYERS else ""


# ---- Form and run -> draft -------------------------------------------------------------------------------------------------


def draft_of_form(form: Mapping[str, str]) -> Draft:
    """The draft that a posted form holds; layers of an unknown kind are left out."""
    layers = []
    for index in range(MAX_LAYERS + 1):
        kind = form.get(f"layer-{index}-type", "")
        if kind in LAYER_SPECS:
            names = fields_of(LAYER_SPECS[kind])
            layers.append(
                (kind, {name: form.get(f"layer-{index}-{name}", "1" if name in RARE else "") for name in names})
            )
    return Draft(
        layers,
        {name: form.get(name, usual) for name, usual in usual_settings().items()},
        name=form.get("name", "").strip()[:80] or "digits",
        loss=form.get("loss", "") if form.get("loss") in LOSS_TITLES else "softmax_cross_entropy",
        format=form.get("format", "") if form.get("format") in ("nabla", "convnetjs", "python") else "nabla",
        add_type=form.get("add_type", "") if form.get("add_type") in LAYER_SPECS else "conv2d",
        trainer={name[8:]: text for name, text in form.items() if name.startswith("trainer-")},
    )


def usual_settings() -> dict[str, str]:
    """The settings as a person would have typed them who wants nothing special."""
    usual: dict[str, Any] = {field.name: field.default for spec in (MnistSpec, RunSpec) for field in fields(spec)}
    return {name: f.showing(usual[name]).value for name, f in SETTINGS.items()}


def draft_of_run(run: Mapping[str, Any]) -> Draft:
    """The draft of a run's own network, seed and images."""
    values = {**run["dataset"], "seed": run["seed"], "cores": run["cores"]}
    draft = Draft([], {name: f.showing(values[name]).value for name, f in SETTINGS.items()}, run["name"], run["loss"])
    draft.layers = typed_layers([layer_of(layer) for layer in run["network"]])
    return draft


def typed_layers(network: Sequence[LayerSpec]) -> list[tuple[str, dict[str, str]]]:
    """Specs as a person would have typed them."""
    return [
        (spec.type, {name: f.showing(getattr(spec, name)).value for name, f in fields_of(type(spec)).items()})
        for spec in network
    ]


def layer_of(values: Mapping[str, Any]) -> LayerSpec:
    """The LayerSpec in the `network` of a Run document."""
    return LAYER_SPECS[values["type"]](**{key: value for key, value in values.items() if key != "type"})


def adopt(draft: Draft, spec: RunSpec, *, trainer: bool) -> None:
    """Takes over what a pasted text says beside the layers: crop and loss, and its trainer if it has one."""
    if isinstance(spec.dataset, MnistSpec):
        draft.settings["crop"] = str(spec.dataset.crop)
    draft.loss = spec.loss
    if trainer:
        own = fields_of(RunSpec)
        optimizer = {
            name: f.showing(getattr(spec.optimizer, name)).value for name, f in fields_of(type(spec.optimizer)).items()
        }
        rest = {name: own[name].showing(getattr(spec, name)).value for name in ("batch_size", "l1", "l2")}
        draft.trainer = {"optimizer": spec.optimizer.name, **optimizer, **rest}


def act(draft: Draft, action: str) -> None:
    """Carries out a button of the form: `add`, `up:3`, `down:3`, `remove:3`, `forget`; anything else changes nothing."""
    verb, _, place = action.partition(":")
    index = int(place) if place.isdigit() and len(place) < 4 else -1
    layers = draft.layers
    if verb == "add" and len(layers) < MAX_LAYERS:
        # Before a last dense layer, which gives the answer: that is where one adds.
        at = len(layers) - 1 if layers and layers[-1][0] == "dense" else len(layers)
        layers.insert(at, typed_layers([LAYER_SPECS[draft.add_type]()])[0])
    elif verb == "forget":
        draft.trainer = {}
    elif 0 <= index < len(layers):
        if verb == "remove" and len(layers) > 1:
            del layers[index]
        elif verb == "up" and index > 0:
            layers[index - 1 : index + 1] = reversed(layers[index - 1 : index + 1])
        elif verb == "down" and index < len(layers) - 1:
            layers[index : index + 2] = reversed(layers[index : index + 2])


# ---- Draft -> what the page shows ---------------------------------------------------------------------------------------------


def read_fields(fields: Mapping[str, Field], typed: Mapping[str, str]) -> tuple[list[Field], dict[str, Any]]:
    """The fields with their texts and errors, and the values of those that could be read."""
    shown, values = [], {}
    for name, f in fields.items():
        try:
            values[name] = f.read(typed[name])
            shown.append(replace(f, value=typed[name].strip()[:40]))
        except FieldError as error:
            shown.append(replace(f, value=typed[name][:40], error=str(error)))
    return shown, values


def build(draft: Draft) -> Builder:
    """Shapes, counts and reasons of a draft. The first layer that cannot be says why; those after it stay blank."""
    settings, values = read_fields(SETTINGS, draft.settings)
    rows: list[Row] = []
    specs: list[LayerSpec] = []
    readable = True
    for index, (kind, typed) in enumerate(draft.layers):
        shown, read = read_fields(fields_of(LAYER_SPECS[kind]), typed)
        wrong = next((f"{f.label.capitalize()}: {_lower(f.error)}" for f in shown if f.error), "")
        rows.append(Row(index, kind, LAYER_TITLES[kind], shown, error=wrong))
        readable = readable and not wrong
        if readable:
            specs.append(LAYER_SPECS[kind](**read))

    crop = values.get("crop", MnistSpec().crop)
    layers = preview(specs, (1, crop, crop))
    for index, layer in enumerate(layers):
        rows[index] = _filled(rows[index], layer)
    plans = [layer for layer in layers if isinstance(layer, LayerPlan)]
    problem = next((f"Layer {row.index + 1}: {_lower(row.error)}" for row in rows if row.error), "")
    problem = problem or next((f"{f.label}: {_lower(f.error)}" for f in settings if f.error), "")
    if not problem:
        try:
            check_run(_spec(draft, specs, values))
        except SpecError as error:
            problem = str(error)
            place = (error.field or "").split("/")
            if len(place) > 2 and place[1] == "network":
                rows[int(place[2])] = replace(rows[int(place[2])], error=problem)
    return Builder(
        draft,
        rows,
        settings,
        figure(sum(layer.parameters for layer in plans), "integer") if len(plans) == len(rows) else "–",
        figure(sum(layer.multiply_adds for layer in plans), "integer") if len(plans) == len(rows) else "–",
        problem,
        write_network(specs, draft.format, crop, draft.loss) if readable else "",
    )


def _filled(row: Row, layer: LayerPlan | LayerProblem) -> Row:
    if isinstance(layer, LayerProblem):
        return replace(row, error=_upper(layer.message.partition(": ")[2] or layer.message))
    return replace(
        row,
        output=shape(layer.output_shape),
        parameters=figure(layer.parameters, "integer") if layer.parameters else "—",
        multiply_adds=figure(layer.multiply_adds, "integer") if layer.multiply_adds else "—",
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---- Draft -> RunSpec -----------------------------------------------------------------------------------------------------------


def run_spec(draft: Draft, trainer: Mapping[str, str]) -> RunSpec:
    """The run that the form asks for, trained as a pasted text said or else as `trainer`, the page's form. Raises Unprocessable."""
    builder = build(draft)
    if builder.problem:
        raise Unprocessable(builder.problem, code="impossible_spec")
    _, values = read_fields(SETTINGS, draft.settings)
    specs = [LAYER_SPECS[kind](**read_fields(fields_of(LAYER_SPECS[kind]), typed)[1]) for kind, typed in draft.layers]
    return replace(_spec(draft, specs, values), **_trained_by(draft.trainer or trainer))


def _spec(draft: Draft, specs: Sequence[LayerSpec], values: Mapping[str, Any]) -> RunSpec:
    dataset = MnistSpec(**{name: values[name] for name in ("train_size", "validation_size", "crop")})
    return RunSpec(
        name=draft.name,
        dataset=dataset,
        network=tuple(specs),
        loss=draft.loss,  # type: ignore[arg-type]  # one of LOSS_TITLES
        seed=values["seed"],
        cores=values["cores"],
    )


def _trained_by(typed: Mapping[str, str]) -> dict[str, Any]:
    """Optimizer, batch size and decay out of the trainer form; what is not there or wrong keeps its usual value."""
    cls = OPTIMIZER_SPECS.get(typed.get("optimizer", ""), OPTIMIZER_SPECS["adadelta"])
    own = fields_of(RunSpec)
    wanted = {**fields_of(cls), **{name: own[name] for name in ("batch_size", "l1", "l2")}}
    _, values = read_fields(
        {name: f for name, f in wanted.items() if name in typed}, {name: typed.get(name, "") for name in wanted}
    )
    optimizer = cls(**{name: value for name, value in values.items() if name in fields_of(cls)})
    rest = {name: value for name, value in values.items() if name not in fields_of(cls)}
    return {"optimizer": optimizer, **rest}
