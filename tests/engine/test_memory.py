"""Memory of runs, as the system counts it: no more than is promised before they are built, and the digits only once."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from engine.datasets.mnist import load_mnist
from engine.datasets.points import points_dataset
from engine.evaluation import evaluate
from engine.shapes import estimate_bytes
from engine.specs import Adam, Conv2D, Dense, MnistSpec, PlaneSpec, ReLU, RunSpec, Tanh
from engine.taped_training import BLOCKS
from engine.trainer import Trainer

TRAINERS = 10
IMAGES = MnistSpec(validation_size=256)
SPECS = {
    "digits": RunSpec(dataset=IMAGES),
    "dense": RunSpec(
        dataset=IMAGES, network=(Dense(units=100), ReLU(), Dense(units=10)), optimizer=Adam(), batch_size=128
    ),
    "large batches": RunSpec(
        network=(Conv2D(filters=8, kernel_size=3), ReLU(), Conv2D(filters=8, kernel_size=3, stride=2), Dense(units=10)),
        dataset=MnistSpec(validation_size=256, crop=20),
        batch_size=256,
    ),
    "parts": RunSpec(dataset=IMAGES, batch_size=1024),
    "points": RunSpec(
        dataset=PlaneSpec(), network=(Dense(units=4), Tanh(), Dense(units=2)), optimizer=Adam(), batch_size=10
    ),
    "points, deep": RunSpec(
        dataset=PlaneSpec(),
        network=(*(layer for _ in range(8) for layer in (Dense(units=16), Tanh())), Dense(units=2)),
        optimizer=Adam(),
        batch_size=1,
    ),
}
KEPT_FOR_EACH_EXAMPLE = 8
"""Beside the network a trainer keeps the order of its training examples, an int64 for each."""


def private_bytes() -> int:
    """What this process has for itself; the memory-mapped digits, which all share, are not in it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def grown(spec: RunSpec) -> list[int]:
    """Private bytes after each of `TRAINERS` trainers that train and judge, since the first was there.

    The first pays for what all share, such as the work space of the linear algebra.
    """
    dataset = load_mnist() if isinstance(spec.dataset, MnistSpec) else points_dataset(spec.dataset)
    trainers = []
    sizes = []
    for number in range(TRAINERS + 1):
        trainers.append(Trainer(spec, dataset))
        trainers[-1].advance(3 if isinstance(spec.dataset, MnistSpec) else BLOCKS)
        evaluate(trainers[-1], spec.judged)
        if isinstance(spec.dataset, MnistSpec):
            assert np.shares_memory(trainers[-1].splits["train"].images, dataset.train.images)
        if number == 0:
            first = private_bytes()
        sizes.append(private_bytes() - first)
    return sizes[1:]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("name", SPECS)
def test_ten_trainers_take_no_more_than_was_promised(name: str) -> None:
    spec = SPECS[name]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        sizes = fresh.submit(grown, spec).result()
    kept = KEPT_FOR_EACH_EXAMPLE * sum(spec.dataset.sizes.values())
    promised = estimate_bytes(spec.network, spec.dataset.input_shape, spec.batch_size) + kept
    print(f"{name}: {sizes[-1] / TRAINERS / 2**20:.1f} MB a run, promised {promised / 2**20:.1f} MB")
    assert sizes[-1] <= TRAINERS * promised
    assert promised < 10 * sizes[-1] / TRAINERS, "a promise that says something"
