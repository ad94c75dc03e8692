"""Layers, losses, optimizers and networks against PyTorch, in float32: the same within 1e-5.

The ordinary suite compares with what PyTorch answered once (tests/engine/golden/make_pytorch.py); where PyTorch is
installed (`pip install -e '.[peers]'`, `python3 -m tests --peers`) it is asked again.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from engine.arrays import Array
from tests.engine.golden import pytorch_cases as golden

TOLERANCE = 1e-5
"""In parts of the largest number of an array: sums of many terms cancel, and single small numbers then know less."""


@cache
def recorded() -> Mapping[str, Array]:
    with np.load(golden.FILE, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def differences(answers: Mapping[str, Array], name: str) -> dict[str, float]:
    """How far each of the case's arrays is off, in parts of its largest number."""
    ours = golden.CASES[name].ours()
    missing = [f"{name}: {key}" for key in ours if f"{name}: {key}" not in answers]
    assert not missing, f"PyTorch was not asked for {missing}: run tests.engine.golden.make_pytorch"
    off = {}
    for key, values in ours.items():
        theirs = answers[f"{name}: {key}"]
        assert values.shape == theirs.shape, key
        assert values.dtype == theirs.dtype == np.float32, key
        off[key] = float(np.abs(values - theirs).max() / np.abs(theirs).max()) if theirs.size else 0.0
    return off


@pytest.mark.parametrize("name", golden.CASES)
def test_as_pytorch_did(name: str) -> None:
    assert max(differences(recorded(), name).values()) < TOLERANCE


def test_as_pytorch_does(tmp_path: Path) -> None:
    """In a process of its own, so that PyTorch's threads and memory stay out of the other tests."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("needs PyTorch: python3 -m tests --peers, or pip install -e '.[peers]'")
    file = tmp_path / "answers.npz"
    subprocess.run([sys.executable, "-m", "tests.engine.golden.make_pytorch", str(file)], check=True, timeout=110)
    with np.load(file, allow_pickle=False) as answers:
        off = {name: differences(answers, name) for name in golden.CASES}
    assert {name: found for name, found in off.items() if max(found.values()) >= TOLERANCE} == {}


def test_a_small_difference_is_noticed() -> None:
    name = "network digits"
    answers = {key: values.copy() for key, values in recorded().items()}
    answers[f"{name}: gradients"][-1] += 1e-4 * np.abs(answers[f"{name}: gradients"]).max()
    assert differences(answers, name)["gradients"] > TOLERANCE


def test_recorded_answers_stay_small() -> None:
    sizes = {file.name: file.stat().st_size for file in golden.FILE.parent.iterdir() if file.is_file()}
    assert max(sizes.values()) < 300_000, sizes
