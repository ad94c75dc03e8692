"""Runs that are stopped half-way, and a program that goes on with them: `python -m tests.engine.continuation <folder>`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.datasets.base import Dataset
from engine.datasets.points import points_dataset
from engine.formats import checkpoint, native
from engine.specs import (
    LAYER_SPECS,
    OPTIMIZER_SPECS,
    SCHEDULE_SPECS,
    Adam,
    Conv2D,
    Cosine,
    CurveSpec,
    Dense,
    Dropout,
    LayerSpec,
    MnistSpec,
    PlaneSpec,
    ReLU,
    RunSpec,
    Tanh,
    demo_network,
)
from engine.trainer import Trainer
from tests.engine import small


def around(layer: LayerSpec) -> RunSpec:
    """A run with this layer in the middle of its network."""
    network = (Conv2D(filters=4, kernel_size=5, stride=3), layer, Dense(units=10))
    return small.spec(network=network, optimizer=Adam())


def points(**changes: Any) -> RunSpec:
    """A run on points in the plane, whose batches do not divide their number."""
    values: dict[str, Any] = {
        "dataset": PlaneSpec(kind="spiral", points=90, noise=0.1),
        "network": (Dense(units=4), Tanh(), Dense(units=3), Tanh(), Dense(units=2)),
        "batch_size": 7,
        "l1": 1e-4,
    }
    return RunSpec(**{**values, **changes})


RUNS: Mapping[str, tuple[RunSpec, int]] = {
    **{
        f"optimizer {name}": (small.spec(optimizer=make(), l1=1e-4, clip_norm=0.5), 100)
        for name, make in OPTIMIZER_SPECS.items()
    },
    **{f"layer {name}": (around(make()), 20) for name, make in LAYER_SPECS.items()},
    **{f"schedule {name}": (small.spec(schedule=make()), 20) for name, make in SCHEDULE_SPECS.items()},
    "weights of classes": (small.spec(class_weights=tuple(0.5 + 0.25 * label for label in range(10))), 20),
    "two cores": (small.spec(network=demo_network(), cores=2, batch_size=50), 5),
    "a large batch": (small.spec(network=demo_network(), batch_size=200), 3),
    **{f"points, {name}": (points(optimizer=make(), clip_norm=0.5), 110) for name, make in OPTIMIZER_SPECS.items()},
    "points, schedule": (points(schedule=Cosine(warm_up=30, steps=150)), 100),
    "points, dropout": (points(network=(Dense(units=8), ReLU(), Dropout(), Dense(units=2))), 40),
    "a curve": (points(dataset=CurveSpec(), network=(Dense(units=3), Tanh(), Dense(units=1)), loss="huber"), 50),
}
"""Each with the updates before and again after the stop. The small run has dropout, random crops and short epochs."""


def dataset(spec: RunSpec) -> Dataset:
    return small.dataset() if isinstance(spec.dataset, MnistSpec) else points_dataset(spec.dataset)


def outcome(trainer: Trainer) -> bytes:
    """The whole state, and what the network makes of the test examples."""
    examples = trainer.splits["test"].look(slice(None))
    return native.dump(trainer.state()) + trainer.probabilities(examples).tobytes()


def main(folder: Path) -> None:
    for name, (spec, updates) in RUNS.items():
        trainer = Trainer.from_state(checkpoint.read(folder / name), dataset(spec))
        trainer.advance(updates)
        (folder / f"{name}.outcome").write_bytes(outcome(trainer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
