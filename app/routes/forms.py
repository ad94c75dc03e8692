"""Numbers that a person types: what the field says, what is legal, and the sentence when it is not.

Range and help text stand once, in the annotations of `engine.specs`; a Field carries them to the template, and
`Field.read` holds what was typed against them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from annotated_types import DocInfo, Interval

from app.services.changes import RunChanges
from app.templating import plain_number
from engine.specs import OPTIMIZER_SPECS, OptimizerSpec, RunSpec, StopSpec

LABELS = {
    "learning_rate": "Learning rate",
    "momentum": "Momentum",
    "batch_size": "Batch size",
    "l1": "L1 decay",
    "l2": "Weight decay",
    "rho": "Memory ρ",
    "beta1": "Memory β₁",
    "beta2": "Memory β₂",
    "epsilon": "Epsilon ε",
    "weight_decay": "AdamW's own decay",
    "l1_multiplier": "L1 ×",
    "l2_multiplier": "L2 ×",
    "epochs": "Stop after epochs",
    "seconds": "Stop after seconds",
    "accuracy": "Stop at accuracy, %",
    "filters": "filters",
    "kernel_size": "size",
    "pool_size": "size",
    "stride": "stride",
    "padding": "padding",
    "units": "units",
    "rate": "rate",
    "slope": "slope",
    "group_size": "group",
    "memory": "memory",
    "k": "k",
    "n": "channels n",
    "alpha": "α",
    "beta": "β",
    "train_size": "Images used",
    "validation_size": "Of them for validation",
    "crop": "Crop, pixels",
    "seed": "Seed",
    "cores": "Cores",
}
OPTIMIZER_TITLES = {
    "sgd": "SGD",
    "momentum": "Momentum",
    "nesterov": "Nesterov",
    "adagrad": "Adagrad",
    "rmsprop": "RMSProp",
    "adadelta": "Adadelta",
    "adam": "Adam",
    "adamw": "AdamW",
}
PERCENT = frozenset({"accuracy"})  # shares in the spec, per cent on the page
RARE = frozenset({"l1_multiplier", "l2_multiplier"})  # worth a place on the page only where they are not 1


class FieldError(Exception):
    """What was typed cannot be used; the message is the sentence under the field."""


@dataclass(frozen=True, slots=True)
class Field:
    """One input: its name and words, its legal range, and what stands in it."""

    name: str
    label: str
    doc: str
    whole: bool
    optional: bool
    interval: Interval
    scale: float = 1.0
    value: str = ""
    placeholder: str = ""
    error: str = ""
    disabled: str = ""

    def showing(self, value: float | None) -> Field:
        """The field with a value of the spec in it."""
        return replace(self, value="" if value is None else plain_number(round(value * self.scale, 12)), error="")

    def read(self, text: str) -> float | None:
        """The value that was typed, as the spec has it. Raises FieldError."""
        text = text.strip().replace("−", "-").removesuffix("%").strip()
        if not text and self.optional:
            return None
        text = text.replace(",", "") if self.whole else text.replace(",", ".") if text.count(",") == 1 else text
        try:
            value = float(text)
        except ValueError:
            raise FieldError(f"A {'whole ' if self.whole else ''}number is needed here, {self.range()}.") from None
        if not math.isfinite(value):
            raise FieldError(f"A number is needed here, {self.range()}.")
        if self.whole and not value.is_integer():
            raise FieldError(f"A whole number is needed here, {self.range()}.")
        value /= self.scale
        limit = self.interval
        if (limit.ge is not None and value < limit.ge) or (limit.gt is not None and value <= limit.gt):  # type: ignore[operator]
            raise FieldError(f"{_upper(self.lowest())}.")
        if (limit.le is not None and value > limit.le) or (limit.lt is not None and value >= limit.lt):  # type: ignore[operator]
            raise FieldError(f"{_upper(self.highest())}.")
        return int(value) if self.whole else value

    def range(self) -> str:
        return f"{self.lowest()} and {self.highest()}"

    @property
    def hidden(self) -> bool:
        """Whether it goes along with the form without being shown."""
        return self.name in RARE and self.value == "1"

    def lowest(self) -> str:
        limit = self.interval
        return f"at least {self._bound(limit.ge)}" if limit.ge is not None else f"more than {self._bound(limit.gt)}"

    def highest(self) -> str:
        limit = self.interval
        return f"at most {self._bound(limit.le)}" if limit.le is not None else f"less than {self._bound(limit.lt)}"

    def _bound(self, bound: Any) -> str:
        return f"{bound * self.scale:,.10g}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def fields_of(spec: type) -> Mapping[str, Field]:
    """Every number of a spec class as an empty Field, in the order in which the class has them."""
    return _fields_of(spec)


@cache
def _fields_of(spec: Any) -> Mapping[str, Field]:
    found = {}
    hints = get_type_hints(spec, include_extras=True)
    for name in (item.name for item in fields(spec)):
        hint, optional = hints[name], False
        if NoneType in get_args(hint):
            hint, optional = get_args(hint)[0], True
        if get_origin(hint) is not Annotated or get_args(hint)[0] not in (int, float):
            continue
        kind, *metadata = get_args(hint)
        interval = next(item for item in metadata if isinstance(item, Interval))
        doc = next((item.documentation for item in metadata if isinstance(item, DocInfo)), "")
        scale = 100.0 if name in PERCENT else 1.0
        found[name] = Field(name, LABELS.get(name, name), doc, kind is int, optional, interval, scale)
    return found


# ---- The trainer form ------------------------------------------------------------------------------------------------------

STOPS = ("epochs", "accuracy", "seconds")


@dataclass(frozen=True, slots=True)
class TrainerForm:
    """What the trainer form shows."""

    main: list[Field]
    more: list[Field]
    optimizers: list[tuple[str, str]]
    optimizer_doc: str
    notice: str = ""


def trainer_form(run: Mapping[str, Any], typed: Mapping[str, str] | None = None, notice: str = "") -> TrainerForm:
    """The form for `run`; with `typed`, fields that could not be read keep their text and say why."""
    shown = [_kept(field, value, typed) for field, value in _trainer_values(run)]
    by_name = {field.name: field for field in shown}
    if "momentum" not in by_name:
        name = OPTIMIZER_TITLES[run["optimizer"]["name"]]
        template = fields_of(OPTIMIZER_SPECS["momentum"])["momentum"]
        by_name["momentum"] = replace(template, value="—", disabled=f"{name} has none. Choose Momentum or Nesterov.")
    main = [by_name.pop(name) for name in ("learning_rate", "batch_size", "l2", "momentum")]
    more = [field for name, field in by_name.items()]
    doc = (OPTIMIZER_SPECS[run["optimizer"]["name"]].__doc__ or "").replace("`", "")
    return TrainerForm(main, more, list(OPTIMIZER_TITLES.items()), doc, notice)


def _trainer_values(run: Mapping[str, Any]) -> list[tuple[Field, float | None]]:
    """Every field of the form with the run's present value, those of the optimizer first."""
    own, stop = fields_of(RunSpec), fields_of(StopSpec)
    optimizer = fields_of(OPTIMIZER_SPECS[run["optimizer"]["name"]])
    return [
        *((field, run["optimizer"][name]) for name, field in optimizer.items()),
        *((own[name], run[name]) for name in ("batch_size", "l2", "l1")),
        *((replace(stop[name], placeholder="never"), run["stop"][name]) for name in STOPS),
    ]


def _kept(field: Field, value: float | None, typed: Mapping[str, str] | None) -> Field:
    shown = field.showing(value)
    if typed is None or field.name not in typed:
        return shown
    try:
        field.read(typed[field.name])
    except FieldError as error:
        left = f" It was left at {shown.value}." if shown.value else " It was left empty."
        return replace(shown, value=typed[field.name][:40], error=f"{error}{left}")
    return shown


def trainer_changes(run: Mapping[str, Any], typed: Mapping[str, str]) -> RunChanges | None:
    """What of `typed` is legal and differs from the run; None when nothing does.

    Another optimizer starts with its own usual values: a learning rate means something else to each of them.
    """
    name = typed.get("optimizer", run["optimizer"]["name"])
    optimizer = OPTIMIZER_SPECS.get(name)
    if optimizer is None:
        return None
    if name != run["optimizer"]["name"]:
        return RunChanges(optimizer=optimizer())
    changed: dict[str, Any] = {}
    for field, value in _trainer_values(run):
        if field.name in typed:
            try:
                new = field.read(typed[field.name])
            except FieldError:
                continue
            if new != value:
                changed[field.name] = new
    return _as_changes(run, changed) if changed else None


def _as_changes(run: Mapping[str, Any], changed: dict[str, Any]) -> RunChanges:
    stop: dict[str, Any] = {key: changed.pop(key) for key in STOPS if key in changed}
    inner: dict[str, Any] = {
        key: changed.pop(key) for key in ("rho", "epsilon", "beta1", "beta2", "weight_decay") if key in changed
    }
    if stop:
        changed["stop"] = StopSpec(**{**run["stop"], **stop})
    if inner:
        rates: dict[str, Any] = {key: changed.pop(key) for key in ("learning_rate", "momentum") if key in changed}
        changed["optimizer"] = optimizer_from({**run["optimizer"], **inner, **rates})
    return RunChanges(**changed)


def optimizer_from(values: Mapping[str, Any]) -> OptimizerSpec:
    """The OptimizerSpec in the `optimizer` of a Run document."""
    return OPTIMIZER_SPECS[values["name"]](**{key: value for key, value in values.items() if key != "name"})
