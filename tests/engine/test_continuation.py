"""Training 200 updates is training 100, a checkpoint, another process, and 100 more: the same to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.formats import checkpoint, native
from engine.trainer import Trainer
from tests.engine.continuation import RUNS, dataset, outcome


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every run's checkpoint from the middle, and how it ended in a process that began there."""
    folder = tmp_path_factory.mktemp("runs")
    for name, (spec, updates) in RUNS.items():
        trainer = Trainer(spec, dataset(spec))
        trainer.advance(updates)
        checkpoint.write(folder / name, native.dump(trainer.state()))
    subprocess.run([sys.executable, "-m", "tests.engine.continuation", str(folder)], check=True, timeout=100)
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_the_same_to_the_last_bit(folder: Path, name: str) -> None:
    spec, updates = RUNS[name]
    undisturbed = Trainer(spec, dataset(spec))
    for _ in range(2 * updates):
        undisturbed.step()
    assert (folder / f"{name}.outcome").read_bytes() == outcome(undisturbed)
