"""Runs that are stopped half-way, and a program that goes on with them: `python -m tests.engine.continuation <folder>`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from engine.formats import checkpoint, native
from engine.specs import (
    LAYER_SPECS,
    OPTIMIZER_SPECS,
    SCHEDULE_SPECS,
    Adam,
    Conv2D,
    Dense,
    LayerSpec,
    RunSpec,
    demo_network,
)
from engine.trainer import Trainer
from tests.engine import small


def around(layer: LayerSpec) -> RunSpec:
    """A run with this layer in the middle of its network."""
    network = (Conv2D(filters=4, kernel_size=5, stride=3), layer, Dense(units=10))
    return small.spec(network=network, optimizer=Adam())


RUNS: Mapping[str, tuple[RunSpec, int]] = {
    **{
        f"optimizer {name}": (small.spec(optimizer=make(), l1=1e-4, clip_norm=0.5), 100)
        for name, make in OPTIMIZER_SPECS.items()
    },
    **{f"layer {name}": (around(make()), 20) for name, make in LAYER_SPECS.items()},
    **{f"schedule {name}": (small.spec(schedule=make()), 20) for name, make in SCHEDULE_SPECS.items()},
    "weights of classes": (small.spec(class_weights=tuple(0.5 + 0.25 * label for label in range(10))), 20),
    "two cores": (small.spec(cores=2), 20),
    "a large batch": (small.spec(network=demo_network(), batch_size=200), 3),
}
"""Each with the updates before and again after the stop. The small run has dropout, random crops and short epochs."""


def train(trainer: Trainer, updates: int) -> None:
    for _ in range(updates):
        trainer.step()


def outcome(trainer: Trainer) -> bytes:
    """The whole state, and what the network makes of the test images."""
    return native.dump(trainer.state()) + trainer.predict(trainer.splits["test"].images / 255).tobytes()


def main(folder: Path) -> None:
    for name, (_, updates) in RUNS.items():
        trainer = Trainer.from_state(checkpoint.read(folder / name), small.dataset())
        train(trainer, updates)
        (folder / f"{name}.outcome").write_bytes(outcome(trainer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
