"""What the presets of points learn, with five seeds each, as a table in Markdown: `python -m tests.benchmarks.plane`.

The seed makes the points, chooses those that are trained on, the first weights and the order. Seconds are those that the
processor gave to the whole training, on one core.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported

from dataclasses import replace
from statistics import median
from time import process_time

from engine.datasets.points import points_dataset
from engine.evaluation import evaluate
from engine.presets import PRESETS
from engine.specs import Dense, MnistSpec, PlaneSpec, RunSpec
from engine.specs.datasets import FEATURE_LABELS
from engine.trainer import Trainer
from engine.training import train

SEEDS = (1, 2, 3, 4, 5)


def with_seed(spec: RunSpec, seed: int) -> RunSpec:
    return replace(spec, seed=seed, dataset=replace(spec.dataset, seed=seed))


def five_seeds(spec: RunSpec) -> list[tuple[float, float]]:
    """Of each run the share of right answers on the points not trained on, and its seconds."""
    results = []
    for seed in SEEDS:
        run = with_seed(spec, seed)
        assert not isinstance(run.dataset, MnistSpec)
        trainer = Trainer(run, points_dataset(run.dataset))
        started = process_time()
        list(train(trainer, every=run.stop.steps))
        seconds = process_time() - started
        accuracy = evaluate(trainer, "test").accuracy
        assert accuracy is not None
        results.append((accuracy, seconds))
    return results


def described(spec: RunSpec) -> str:
    """The network: how many inputs, units and outputs, and what stands between them."""
    sizes = [layer.units for layer in spec.network if isinstance(layer, Dense)]
    text = "-".join(map(str, [*spec.dataset.input_shape, *sizes])) + " " + spec.network[1].type
    if isinstance(spec.dataset, PlaneSpec) and len(spec.dataset.features) > 2:
        text += " of " + ", ".join(FEATURE_LABELS[feature] for feature in spec.dataset.features)
    return text


def main() -> None:
    print("| preset | network | updates | seconds | test accuracy, seeds 1 to 5 |\n|---|---|---:|---:|---|")
    for name, preset in PRESETS.items():
        spec = preset.spec
        if isinstance(spec.dataset, MnistSpec) or not spec.dataset.classes:
            continue
        results = five_seeds(spec)
        accuracies = ", ".join(f"{100 * accuracy:.4g}" for accuracy, _ in results)
        seconds = median(seconds for _, seconds in results)
        print(f"| `{name}` | {described(spec)} | {spec.stop.steps:,} | {seconds:.2f} | {accuracies} % |", flush=True)


if __name__ == "__main__":
    main()
