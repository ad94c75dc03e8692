"""Whether a run's cost grows with its training set: examples per second from 1,000 to 60,000 training images.

    python -m tests.benchmarks.scaling

The digits network trains as a run does, on MNIST with random crops. Runs of all sizes take turns of a fifth of a second,
so that a noisy machine disturbs them alike; a ratio is the median over the rounds. Nothing here should depend on the
size but the order that is drawn anew for every epoch, and how much of the images lies in the cache.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported

import argparse
from statistics import median
from time import perf_counter

from engine.datasets.mnist import load_mnist
from engine.specs import MnistSpec, RunSpec
from engine.trainer import Trainer

SIZES = (1_000, 5_000, 20_000, 60_000)
TURN = 0.2


def examples_per_second(trainer: Trainer) -> float:
    start, before = perf_counter(), trainer.examples
    while perf_counter() - start < TURN:
        trainer.step()
    return (trainer.examples - before) / (perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--batch", type=int, default=20)
    options = parser.parse_args()
    dataset = load_mnist()
    trainers = {
        size: Trainer(
            RunSpec(dataset=MnistSpec(train_size=size, validation_size=0), batch_size=options.batch), dataset
        )
        for size in SIZES
    }
    for trainer in trainers.values():
        trainer.step()
    rounds: dict[int, list[float]] = {size: [] for size in SIZES}
    end = perf_counter() + options.seconds
    while perf_counter() < end:
        for size, trainer in trainers.items():
            rounds[size].append(examples_per_second(trainer))
    print("training images  examples/s (median)  of the smallest")
    for size, found in rounds.items():
        ratio = median(here / smallest for here, smallest in zip(found, rounds[SIZES[0]], strict=True))
        print(f"{size:15,} {median(found):20,.0f} {ratio:16.2f}")


if __name__ == "__main__":
    main()
