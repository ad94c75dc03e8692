"""A whole experiment as a readable query: what `/plane?data=spiral&network=8.tanh,8.tanh&lr=0.01` stands for, and back.

    /plane?<name>=<text>&…          names that are left out have the values of the page's base
    data        a set of the page, or `own` with own=<base64url of zlib of JSON>: columns, class_names, target,
                standardize and values as a TableSpec has them
    network     hidden layers with commas: units.activation, and .d0.2 where a share is dropped; empty: none
                very many points stand behind a #, as #own=…
    lr batch …  numbers as a person types them; a limit that is not set is left out
    regions …   how the page shows it (View)

Forms send the same names, with a network as fields of each layer and an own table as one field each; `flat` makes one
of the other. All texts are read against the annotations of `engine.specs`, so that a wrong one has its sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import quote

from annotated_types import Interval

from app.errors import Unprocessable
from app.names import clean_name
from app.routes.experiment_texts import hidden_of, hidden_text, packed, unpacked
from app.routes.forms import Field, FieldError, fields_of
from app.templating import plain_number
from engine.errors import SpecError
from engine.presets import PRESETS
from engine.specs import (
    OPTIMIZER_SPECS,
    SCHEDULE_SPECS,
    Adam,
    CurveKind,
    CurveSpec,
    DatasetSpec,
    Dense,
    Feature,
    InitializerName,
    LayerSpec,
    PlaneKind,
    PlaneSpec,
    RunSpec,
    StopSpec,
    TableSpec,
    Tanh,
)

PageName: TypeAlias = Literal["plane", "curve"]

KINDS: Mapping[PageName, tuple[str, ...]] = {
    "plane": (*get_args(PlaneKind), "own"),
    "curve": (*get_args(CurveKind), "own"),
}
LOSSES: Mapping[bool, tuple[str, ...]] = {  # whether a number is learned -> what may be minimised, the usual one first
    False: ("softmax_cross_entropy", "half_squared_error"),
    True: ("mean_squared_error", "huber", "absolute_error", "half_squared_error"),
}
BASES: Mapping[PageName, RunSpec] = {
    "plane": RunSpec(
        name="plane",
        dataset=PlaneSpec(),
        network=(Dense(units=4), Tanh(), Dense(units=2), Tanh(), Dense(units=2)),
        optimizer=Adam(learning_rate=0.03),
        batch_size=10,
        l2=0.0,
    ),
    "curve": RunSpec(
        name="curve",
        dataset=CurveSpec(),
        network=(Dense(units=8), Tanh(), Dense(units=8), Tanh(), Dense(units=1)),
        loss="mean_squared_error",
        optimizer=Adam(learning_rate=0.01),
        batch_size=10,
        l2=0.0,
    ),
}
"""What an address means that says nothing."""

CONTROLS = (
    "data", "noise", "points", "classes", "train", "new_points", "paint", "own", "features", "layers", "activation",
    "dropout", "lr", "optimizer", "batch", "decay", "loss", "init", "schedule", "clip", "stop", "seed", "regions", "show",
    "play", "step", "reset", "speed", "text",
)  # fmt: skip
"""What a lesson's link may hide or lock."""


SHOWN = ("test", "mistakes", "residuals")
"""What is drawn beside the training points and the network's answer; the plane has no residuals, the curve no mistakes."""
SPEED = Interval(gt=0, le=1000)
RESOLUTION = Interval(ge=20, le=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the page shows a run; nothing here changes what is learned."""

    speed: float | None = None  # updates a second
    regions: str = "soft"
    resolution: int = 100
    show: tuple[str, ...] = SHOWN
    plot: str = "loss"
    hidden: str = ""  # layer.a.b or layer.components; the layer's place in the network
    neuron: str = ""  # layer.unit, enlarged
    units: str = ""  # place of the layer whose neurons are drawn as curves
    axes: str = ""  # the two columns that are drawn, where there are more
    hide: tuple[str, ...] = ()
    lock: tuple[str, ...] = ()
    play: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A run to be, and the page it is on."""

    page: PageName
    spec: RunSpec
    view: View = View()
    strangers: tuple[str, ...] = ()  # controls that the address hides or locks and no page has


class ExperimentError(Unprocessable):
    """Texts that cannot be read: a sentence for each name. As a problem it tells the first."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        name, sentence = next(iter(errors.items()))
        super().__init__(f"{name}: {sentence}", field=f"/{name}", code="bad_experiment")
        self.errors = dict(errors)


# ---- Numbers: the name in the address -> the field of the spec ---------------------------------------------------------

DATASET_NUMBERS = {
    "noise": "noise",
    "points": "points",
    "classes": "class_count",
    "train": "train_share",
    "dataseed": "seed",
}
RUN_NUMBERS = {
    "huber_delta": "huber_delta",
    "batch": "batch_size",
    "l1": "l1",
    "l2": "l2",
    "clip": "clip_norm",
    "seed": "seed",
}
STOP_NUMBERS = {f"stop_{name}": name for name in ("epochs", "steps", "loss", "accuracy", "patience", "seconds")}


def numbers_of(spec: type, names: Mapping[str, str]) -> dict[str, Field]:
    """Those of `names` that the spec has: name in the address -> its Field, under that name."""
    own = fields_of(spec)
    return {name: replace(own[inner], name=name) for name, inner in names.items() if inner in own}


def kind_numbers(spec: type) -> dict[str, str]:
    """The numbers of an optimizer or a schedule; the learning rate is `lr`, the others go by their own names."""
    return {{"learning_rate": "lr"}.get(name, name): name for name in fields_of(spec)}


# ---- Reading -------------------------------------------------------------------------------------------------------------


def read(texts: Mapping[str, str], page: PageName = "plane") -> Experiment:
    """The experiment that an address or a form tells of. Raises ExperimentError with a sentence for each wrong name."""
    reader = _Reader(texts)
    experiment = Experiment(page=page, spec=reader.spec(page), view=reader.view(), strangers=reader.strangers())
    if reader.errors:
        raise ExperimentError(reader.errors)
    return experiment


def view_of(texts: Mapping[str, str]) -> View:
    """How a form shows its run; what is wrong in it is as usual."""
    return _Reader(texts).view()


class _Reader:
    """Reads text by text; what is wrong is noted and has the value of the base."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.errors: dict[str, str] = {}

    def spec(self, page: PageName) -> RunSpec:
        base = self.base(page)
        dataset = self.dataset(page, base.dataset)
        number = not dataset.classes
        loss = self.choice("loss", (*LOSSES[False], *LOSSES[True]), base.loss)
        spec = replace(
            base,
            name=self.name(base.name),
            dataset=dataset,
            loss=loss if loss in LOSSES[number] else LOSSES[number][0],  # type: ignore[arg-type]
            initializer=self.choice("init", get_args(InitializerName.__origin__), base.initializer),  # type: ignore[attr-defined]
            optimizer=self.kind("optimizer", OPTIMIZER_SPECS, base.optimizer),
            schedule=self.kind("schedule", SCHEDULE_SPECS, base.schedule),
            stop=replace(base.stop, **self.numbers(StopSpec, STOP_NUMBERS)),
            **self.numbers(RunSpec, RUN_NUMBERS),
        )
        hidden = self.hidden_layers(hidden_text(hidden_part(base)) or "")
        return replace(spec, network=(*hidden, *output_layers(spec)))

    def base(self, page: PageName) -> RunSpec:
        if "preset" not in self.texts:
            return BASES[page]
        preset = PRESETS.get(self.texts["preset"])
        if preset is None or page_of(preset.spec.dataset) != page:
            names = [name for name, found in PRESETS.items() if page_of(found.spec.dataset) == page]
            self.errors["preset"] = f"There is no such preset. There are: {', '.join(names)}."
            return BASES[page]
        return preset.spec

    def dataset(self, page: PageName, base: DatasetSpec) -> DatasetSpec:
        kind = self.choice("data", KINDS[page], getattr(base, "kind", "own"))
        features = self.features(getattr(base, "features", ("x", "y")))
        if kind == "own":
            table = self.table(base if isinstance(base, TableSpec) else None, page)
            return replace(table, features=features, **self.numbers(TableSpec, DATASET_NUMBERS))
        if page == "curve":
            curve = base if isinstance(base, CurveSpec) else CurveSpec()
            return replace(curve, kind=kind, **self.numbers(CurveSpec, DATASET_NUMBERS))
        plane = base if isinstance(base, PlaneSpec) else PlaneSpec()
        return replace(plane, kind=kind, features=features, **self.numbers(PlaneSpec, DATASET_NUMBERS))

    def table(self, base: TableSpec | None, page: PageName) -> TableSpec:
        if "own" not in self.texts:
            if base is None:
                self.errors["data"] = "There are no points of your own yet: paint some, or open a CSV file."
            return base or TableSpec()
        try:
            table = unpacked(self.texts["own"])
        except SpecError as error:
            self.errors["data"] = str(error)
            return TableSpec()
        if (reason := misfit(table, page)) is not None:
            self.errors["data"] = reason
        return table

    def features(self, base: Sequence[Feature]) -> tuple[Feature, ...]:
        if "features" not in self.texts:
            return tuple(base)
        wanted = self.several("features", get_args(Feature), base)
        if not wanted and "features" not in self.errors:
            self.errors["features"] = "The network needs at least one input."
        return wanted or tuple(base)

    def hidden_layers(self, base: str) -> tuple[LayerSpec, ...]:
        try:
            return hidden_of(self.texts.get("network", base))
        except FieldError as error:
            self.errors["network"] = str(error)
            return hidden_of(base)

    def name(self, base: str) -> str:
        try:
            return clean_name(self.texts.get("name", base))
        except ValueError as error:
            self.errors["name"] = str(error)
            return base

    def kind(self, name: str, kinds: Mapping[str, type], base: Any) -> Any:
        """An optimizer or a schedule: that of the base where it is of the same kind, else one with its usual values."""
        chosen = kinds[self.choice(name, tuple(kinds), base.name)]
        usual: Any = base if isinstance(base, chosen) else chosen()
        return replace(usual, **self.numbers(chosen, kind_numbers(chosen)))

    def numbers(self, spec: type, names: Mapping[str, str]) -> dict[str, Any]:
        """The numbers that are given, under their names in the spec."""
        found: dict[str, Any] = {}
        for name, field in numbers_of(spec, names).items():
            if name in self.texts:
                try:
                    found[names[name]] = field.read(self.texts[name])
                except FieldError as error:
                    self.errors[name] = str(error)
        return found

    def choice(self, name: str, options: Sequence[str], base: str) -> Any:
        chosen = self.texts.get(name, base)
        if chosen in options:
            return chosen
        self.errors[name] = f"One of these is needed: {', '.join(dict.fromkeys(options))}."
        return base

    def several(self, name: str, options: Sequence[str], base: Sequence[str]) -> tuple[Any, ...]:
        """Those that are named, each once, in the order of `options`."""
        if name not in self.texts:
            return tuple(base)
        wanted = {text for text in self.texts[name].split(",") if text}
        if not wanted <= set(options):
            self.errors[name] = f"Some of these are needed, with commas: {', '.join(options)}."
        return tuple(option for option in options if option in wanted)

    def view(self) -> View:
        usual = View()
        speed = self.number("speed", Field("speed", "Speed", "", False, True, SPEED), None)
        resolution = self.number("resolution", Field("resolution", "Resolution", "", True, False, RESOLUTION), 100)
        return View(
            speed=speed,
            regions=self.choice("regions", ("soft", "hard", "lines"), usual.regions),
            resolution=int(resolution or usual.resolution),
            show=self.several("show", SHOWN, usual.show),
            plot=self.choice("plot", ("loss", "accuracy"), usual.plot),
            hidden=self.places("hidden"),
            neuron=self.places("neuron"),
            units=self.places("units"),
            axes=self.places("axes"),
            hide=tuple(name for name in CONTROLS if name in self.controls("hide")),
            lock=tuple(name for name in CONTROLS if name in self.controls("lock")),
            play=self.choice("play", ("0", "1"), "1") == "1",
        )

    def controls(self, name: str) -> set[str]:
        return {text for text in self.texts.get(name, "").split(",") if text}

    def strangers(self) -> tuple[str, ...]:
        """A lesson's link outlives the controls that it names: it still opens, and the page says what is not there."""
        return tuple(sorted(name[:40] for name in (self.controls("hide") | self.controls("lock")) - set(CONTROLS)))[:10]

    def number(self, name: str, field: Field, base: float | None) -> float | None:
        if name not in self.texts:
            return base
        try:
            return field.read(self.texts[name])
        except FieldError as error:
            self.errors[name] = str(error)
            return base

    def places(self, name: str) -> str:
        """Places with points between them: 2.0.1 or 2.components."""
        text = self.texts.get(name, "")
        parts = text.split(".")
        if text and not all((part.isdigit() and len(part) < 3) or part == "components" for part in parts):
            self.errors[name] = "Numbers with points between them are needed here, as in 2.0.1."
            return ""
        return text


def output_layers(spec: RunSpec) -> tuple[LayerSpec, ...]:
    """What the network ends with: one output for each class or for the number; Playground's ends in a tanh."""
    squashed = spec.loss == "half_squared_error" and len(spec.dataset.classes) > 0
    return (Dense(units=spec.output_count), *((Tanh(),) if squashed else ()))


def hidden_part(spec: RunSpec) -> tuple[LayerSpec, ...]:
    """The network without what it ends with."""
    return spec.network[: -len(output_layers(spec))]


def misfit(table: TableSpec, page: PageName) -> str | None:
    """Why these points cannot be drawn on this page, if they cannot."""
    if page == "plane" and len(table.columns) < 2:
        return "These points have one column, and a plane has two: they belong on the page of the curve."
    if page == "curve" and len(table.columns) > 1:
        return "These points have more than one column, and a curve has one: they belong on the page of the plane."
    if page == "curve" and table.class_names:
        return "A curve goes through numbers; these points have classes."
    return None


def page_of(dataset: DatasetSpec) -> PageName | None:
    """The page that shows such points, or None for images."""
    match dataset:
        case PlaneSpec():
            return "plane"
        case CurveSpec():
            return "curve"
        case TableSpec():
            return "curve" if len(dataset.columns) == 1 else "plane"
    return None


def experiment_of(spec: RunSpec, view: View | None = None) -> Experiment | None:
    """The experiment that a run is, or None if the pages of points cannot tell it in their words."""
    page = page_of(spec.dataset)
    if page is None:
        return None
    if hidden_text(hidden_part(spec)) is None:
        return None
    experiment = Experiment(page=page, spec=spec, view=view or View())
    try:
        return experiment if read(texts_of(experiment), page).spec == spec else None
    except ExperimentError:
        return None


# ---- Writing -------------------------------------------------------------------------------------------------------------


def texts_of(experiment: Experiment) -> dict[str, str]:
    """Every name with its text, also those that say what the base says."""
    spec, view = experiment.spec, experiment.view
    dataset = spec.dataset
    texts = {"data": getattr(dataset, "kind", "own")}
    if isinstance(dataset, TableSpec):
        texts["own"] = packed(dataset)
    texts |= _numbers(dataset, DATASET_NUMBERS)
    if hasattr(dataset, "features"):
        texts["features"] = ",".join(dataset.features)
    texts |= {
        "network": hidden_text(hidden_part(spec)) or "",
        "init": spec.initializer,
        "loss": spec.loss,
        "optimizer": spec.optimizer.name,
        **_numbers(spec.optimizer, kind_numbers(type(spec.optimizer))),
        "schedule": spec.schedule.name,
        **_numbers(spec.schedule, kind_numbers(type(spec.schedule))),
        **_numbers(spec, RUN_NUMBERS),
        "name": spec.name,
        **_numbers(spec.stop, STOP_NUMBERS),
    }
    for field in fields(View):
        value = getattr(view, field.name)
        texts[field.name] = (
            ",".join(value)
            if isinstance(value, tuple)
            else ("1" if value else "0")
            if isinstance(value, bool)
            else plain_number(value)
            if isinstance(value, int | float)
            else value or ""
        )
    return texts


def _numbers(spec: Any, names: Mapping[str, str]) -> dict[str, str]:
    return {
        name: field.showing(getattr(spec, names[name])).value for name, field in numbers_of(type(spec), names).items()
    }


ALWAYS = frozenset({"data", "network", "optimizer", "lr", "batch", "seed", "dataseed"})
"""In every address, so that it says the most important things by itself."""
STRUCTURE = ("data", "own", "optimizer", "schedule", "loss")
"""What decides which other names there are, and with which usual values."""
LONGEST_OWN = 32_000
"""Characters of own points in a query; more of them stand behind a #, which no server has to read as one line."""


def write(experiment: Experiment) -> str:
    """The query of the experiment, without a question mark: what differs from the base, and what stands in every address."""
    texts = texts_of(experiment)
    kept = {name: texts[name] for name in STRUCTURE if name in texts}
    usual = texts_of(read(kept, experiment.page))
    base = texts_of(Experiment(page=experiment.page, spec=BASES[experiment.page]))
    reference = usual | {name: base.get(name, "") for name in STRUCTURE}
    said = {name: text for name, text in texts.items() if name in ALWAYS or text != reference.get(name, "")}
    behind = f"#own={said.pop('own')}" if len(said.get("own", "")) > LONGEST_OWN else ""
    return "&".join(f"{name}={quote(text, safe=',.')}" for name, text in said.items()) + behind
