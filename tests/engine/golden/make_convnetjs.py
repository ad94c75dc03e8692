"""Writes the golden files convnetjs_*.json: what convnetjs itself makes of its networks and of ours.

    npm install --prefix <a folder outside> convnetjs@0.3.0
    NODE_PATH=<that folder>/node_modules python -m tests.engine.golden.make_convnetjs
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from engine.formats import convnetjs
from engine.network import Network
from engine.specs import (
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    LocalResponseNormalization,
    Maxout,
    MaxPool2D,
    MnistSpec,
    ReLU,
    RunSpec,
    Sigmoid,
    Tanh,
)
from engine.trainer import TrainerState, fresh_state

FOLDER = Path(__file__).parent

OURS = RunSpec(
    dataset=MnistSpec(crop=14),
    network=(
        Conv2D(filters=3, kernel_size=3, stride=1, padding=1),
        Sigmoid(),
        Dropout(rate=0.4),
        MaxPool2D(pool_size=3, stride=2),
        Conv2D(filters=10, kernel_size=2, l2_multiplier=2.0),
        Maxout(),
        LocalResponseNormalization(k=1.0, n=3, alpha=0.5),
        ReLU(),
        MaxPool2D(),
        Dropout(rate=0.2),
        Flatten(),
        ReLU(),
        Dense(units=12),
        Maxout(group_size=3),
        Tanh(),
        Dropout(rate=0.0),
        Dense(units=10),
    ),
    loss="hinge",
)


def our_state() -> TrainerState:
    """A network of ours with weights that are the same everywhere."""
    size = Network(OURS.network, (1, OURS.dataset.crop, OURS.dataset.crop)).parameters.size
    return fresh_state(OURS, np.sin(np.arange(size, dtype=np.float64) * 1.7).astype(np.float32))


def ask(mode: str, question: Any = None) -> Any:
    """convnetjs's answer."""
    command = ["node", str(FOLDER / "convnetjs.js"), mode]
    answer = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, check=True, timeout=100)
    return json.loads(answer.stdout)


def ask_about_ours() -> dict[str, Any]:
    """Our network as we write it, and what convnetjs predicts with it."""
    snapshot = json.loads(convnetjs.dump(our_state()))
    inputs = np.random.default_rng(1).integers(0, 256, (3, OURS.dataset.crop**2)).tolist()
    return {"snapshot": snapshot, "inputs": inputs, "outputs": ask("predict", {"snapshot": snapshot, "inputs": inputs})}


def main() -> None:
    for name, golden in {**ask("make"), "ours": ask_about_ours()}.items():
        (FOLDER / f"convnetjs_{name}.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
