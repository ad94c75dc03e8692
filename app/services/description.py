"""The Run JSON of the API, made of a run's spec and what is stored of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from app.store.runs import StoredRun
from app.workers.recorder import METRICS
from engine.arrays import Shape
from engine.datasets.points import drawn_in
from engine.shapes import plan
from engine.specs import (
    TRANSACTION_COLUMNS,
    CurveSpec,
    DatasetSpec,
    LayerSpec,
    MnistSpec,
    PlaneSpec,
    PointsSpec,
    RunSpec,
    TableSpec,
    TransactionsSpec,
    tagged,
)

SNAPSHOT = ("step", "examples", "epoch", "seconds", "metrics", "updates_per_second")
SPECS_KEPT = 64
"""Descriptions of specs in memory; a spec with a table of one's own takes up to a third of a megabyte."""


def nothing_yet() -> dict[str, Any]:
    """The snapshot of a run that has not begun."""
    return {
        "step": 0,
        "examples": 0,
        "epoch": 0.0,
        "seconds": 0.0,
        "metrics": dict.fromkeys(METRICS),
        "updates_per_second": None,
    }


def describe(stored: StoredRun, spec: RunSpec) -> dict[str, Any]:
    """The whole Run JSON; `spec` is the stored one, read."""
    return {
        **describe_spec(spec),
        "id": stored.id,
        "state": stored.state,
        "sentence": stored.sentence,
        **nothing_yet(),
        **stored.snapshot,
        "metrics": dict.fromkeys(METRICS) | stored.snapshot["metrics"],  # older ones lack some
        "created": stored.created,
        "owner": stored.owner,
        "kind": stored.kind,
        "shared": stored.shared,
        "named": stored.named,
        "waiting": None,
        "generation": stored.generation,
        "links": links(stored.id),
    }


@lru_cache(maxsize=SPECS_KEPT)
def describe_spec(spec: RunSpec) -> Mapping[str, Any]:
    """The part of the Run JSON that follows from the spec alone; a class of 300 asks for the same few again and again."""
    return {
        **values_of(spec),
        "version": version(spec),
        "dataset": describe_dataset(spec.dataset),
        **describe_size(spec.network, spec.dataset.input_shape),
    }


@lru_cache(maxsize=SPECS_KEPT)
def describe_size(network: tuple[LayerSpec, ...], input_shape: Shape) -> Mapping[str, int]:
    layers = plan(network, input_shape)
    return {
        "parameters": sum(layer.parameters for layer in layers),
        "multiply_adds": sum(layer.multiply_adds for layer in layers),
    }


def describe_dataset(spec: DatasetSpec) -> dict[str, Any]:
    """A table's values stay where they are: a page asks for the points when their digest is another. So do drawings."""
    values = tagged(spec)
    if isinstance(spec, MnistSpec) and spec.drawings is not None:
        values["drawings"] = {**values["drawings"], "count": spec.drawings.count}
        del values["drawings"]["values"]
    described = {
        **{name: value for name, value in values.items() if name != "values"},
        "task": "classification" if spec.classes else "regression",
        "classes": list(spec.classes),
        "input_shape": channels_last(spec.input_shape),
        **{f"{split}_examples": size for split, size in spec.sizes.items()},
    }
    match spec:
        case PlaneSpec() | CurveSpec() | TableSpec():
            return {**described, **describe_points(spec)}
        case TransactionsSpec():
            return {**described, "columns": list(TRANSACTION_COLUMNS)}
    return described


@lru_cache(maxsize=SPECS_KEPT)
def describe_points(spec: PointsSpec) -> Mapping[str, Any]:
    """What the points are measured by, where they are drawn, and how to know that they are others."""
    columns, domain = drawn_in(spec)
    return {"columns": list(columns), "domain": [list(range) for range in domain], "digest": digest(spec)}


def digest(spec: PointsSpec) -> str:
    """Twelve characters that differ where the points do."""
    return hashlib.sha256(json.dumps(tagged(spec), sort_keys=True).encode()).hexdigest()[:12]


def version(spec: RunSpec) -> str:
    """Twelve characters that differ where what a run is made of, or its name, does."""
    return hashlib.sha256(json.dumps(values_of(spec), sort_keys=True).encode()).hexdigest()[:12]


@lru_cache(maxsize=SPECS_KEPT)
def values_of(spec: RunSpec) -> dict[str, Any]:
    """The spec as JSON values, made once: it is stored with every change of state. Not to be changed."""
    return spec.to_dict()


def describe_layers(spec: RunSpec) -> list[dict[str, Any]]:
    """What each layer is and costs; shapes are height, width, channels, as a page writes them."""
    return [
        {
            "index": layer.index,
            "type": layer.spec.type,
            "name": layer.name,
            "input_shape": channels_last(layer.input_shape),
            "output_shape": channels_last(layer.output_shape),
            "parameters": layer.parameters,
            "parameter_formula": layer.parameter_formula,
            "multiply_adds": layer.multiply_adds,
        }
        for layer in plan(spec.network, spec.dataset.input_shape)
    ]


def channels_last(shape: tuple[int, ...]) -> list[int]:
    return [*shape[1:], shape[0]] if len(shape) == 3 else list(shape)


def to_store(run: dict[str, Any], spec: RunSpec) -> StoredRun:
    """What of a Run JSON is kept on the disk."""
    return StoredRun(
        id=run["id"],
        created=run["created"],
        owner=run["owner"],
        spec=values_of(spec),
        state=run["state"],
        sentence=run["sentence"],
        generation=run["generation"],
        snapshot={name: run[name] for name in SNAPSHOT},
        kind=run["kind"],
        shared=run["shared"],
        named=run["named"],
    )


def links(id: str) -> dict[str, str]:
    base = f"/api/runs/{id}"
    parts = ("spec", "events", "metrics", "points", "boundary", "layers", "predictions", "evaluation", "examples", "model")
    return {"self": base, "page": f"/runs/{id}", **{part: f"{base}/{part}" for part in parts}}
