"""What a button of the bench does to its texts, and what a changed experiment means for the run."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, Literal

from app.routes.experiment import kind_numbers
from app.routes.experiment_texts import MOST_HIDDEN, MOST_UNITS
from app.routes.forms import OPTIMIZER_TITLES
from engine.specs import LIVE_FIELDS, OPTIMIZER_SPECS, DatasetSpec, PlaneSpec, RunSpec, TableSpec

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
