"""What a lab's template needs for the fields of its form: value, range, help and what was wrong, by the setting's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.labs.settings import base_of as kind_of
from app.labs.settings import hints, interval, meaning, options, text, texts


@dataclass(frozen=True, slots=True)
class Control:
    """One setting as a field. `low` and `high` are None where it is no number; `whole`: without a fraction."""

    name: str
    value: Any
    text: str
    low: float | None
    high: float | None
    whole: bool
    doc: str
    options: tuple[str, ...]
    error: str


class Controls:
    """`controls.learning_rate` is the Control of that setting."""

    def __init__(self, settings: Any, errors: Mapping[str, str]) -> None:
        kind = type(settings)
        written = texts(settings)
        self._controls = {}
        for name, hint in hints(kind).items():
            limits = interval(kind, name)
            low = high = None
            if limits is not None:
                low = limits.ge if limits.ge is not None else limits.gt
                high = limits.le if limits.le is not None else limits.lt
            self._controls[name] = Control(
                name,
                getattr(settings, name),
                written[name],
                low,  # type: ignore[arg-type]  # an Interval holds whatever can be compared; ours hold numbers
                high,  # type: ignore[arg-type]
                kind_of(hint) is int,
                meaning(kind, name),
                options(kind, name),
                errors.get(name, ""),
            )

    def __getitem__(self, name: str) -> Control:
        return self._controls[name]

    @property
    def problems(self) -> str:
        """What could not be used, and that the lab is there as it opens; empty where there is nothing to say."""
        said = " ".join(control.error for control in self._controls.values() if control.error)
        return f"{said} The lab opens with its usual value instead." if said else ""

    @property
    def hidden(self) -> Mapping[str, str]:
        """Every setting's text; the form carries those that no visible field has."""
        return {name: control.text for name, control in self._controls.items()}


def several(values: Mapping[str, Any]) -> str:
    """What a button sets, as the text of its value: names and texts, read by `act`."""
    return "&".join(f"{name}={text(value)}" for name, value in values.items())
