"""How fast the smallest networks train, beside PyTorch and two programs that run in a browser.

    python -m tests.benchmarks.tiny --convnetjs <a folder outside>/node_modules/convnetjs

Ours is a whole run's `Trainer.advance` on 250 points, in batches of 10, by plain descent. All contenders of a row take
turns, on one thread each; seconds are those that the processor gave them, so that other programs disturb little, and a
ratio is the median over the rounds. TensorFlow Playground's nn.ts, of which playground.js is a
stand-in, has one output and a squared error, so beside two classes it trains a network with one output less.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from statistics import median
from time import process_time

from engine.specs import SGD, Dense, LayerSpec, LossName, PlaneSpec, RunSpec, Tanh
from tests.benchmarks import contenders
from tests.benchmarks.contenders import interleaved, ratio

RIVALS = ("PyTorch", "nn.ts", "convnetjs")
"""Beside "compiled", ours with the extra `fast`."""


def run(hidden: Sequence[int], loss: LossName) -> RunSpec:
    """Tanh everywhere but before a softmax."""
    layers: list[LayerSpec] = [layer for units in hidden for layer in (Dense(units=units), Tanh())]
    layers += [Dense(units=2)] if loss == "softmax_cross_entropy" else [Dense(units=1), Tanh()]
    return RunSpec(
        dataset=PlaneSpec(kind="xor"),
        network=tuple(layers),
        loss=loss,
        optimizer=SGD(learning_rate=0.03),
        batch_size=10,
        l2=0.0,
    )


ROWS: tuple[tuple[str, tuple[int, ...], LossName], ...] = (
    ("2-4-2, cross-entropy", (4,), "softmax_cross_entropy"),
    ("2-4-2-1, squared error", (4, 2), "half_squared_error"),
    ("2-4-2-2, cross-entropy", (4, 2), "softmax_cross_entropy"),
    ("2-8-8-8-1, squared error", (8, 8, 8), "half_squared_error"),
)


def table(rounds: int, seconds: float, convnetjs: str | None) -> None:
    """Steps per second as a table in Markdown. From here on seconds are those of the processor."""
    contenders.clock = process_time
    print("\n**Tiny networks of tanh, batches of 10, steps per second of processor time**\n")
    ours = "ours · compiled" if find_spec("numba") else "ours"
    print(f"| | {ours} | {' | '.join(RIVALS)} |")
    print("|---|---:|" + "---:|" * len(RIVALS), flush=True)
    for label, hidden, loss in ROWS:
        spec, ends = run(hidden, loss), []
        turns = {"ours": contenders.our_points(spec), **contenders.torch_points(spec)}
        if find_spec("numba"):
            turns["compiled"] = contenders.our_points(replace(spec, compiled=True))
        programs = {"nn.ts": ("playground.js", "2", *map(str, hidden), "1")}
        if convnetjs and loss == "softmax_cross_entropy":
            programs["convnetjs"] = ("convnetjs_points.js", convnetjs, *map(str, hidden))
        if shutil.which("node"):
            for name, (script, *arguments) in programs.items():
                turns[name], end = contenders.node(script, *arguments)
                turns[name](seconds)  # until it is compiled
                ends.append(end)
        rates = interleaved(turns, rounds, seconds)
        ours = [name for name in ("ours", "compiled") if name in rates]
        cells = [
            f"{median(rates[name]):,.0f} ({' · '.join(f'{ratio(rates[own], rates[name]):.1f} ×' for own in ours)})"
            if name in rates
            else ""
            for name in RIVALS
        ]
        rate = " · ".join(f"{median(rates[own]):,.0f}" for own in ours)
        print(f"| {label} | {rate} | {' | '.join(cells)} |", flush=True)
        for end in ends:
            end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.2, help="of each turn")
    parser.add_argument("--convnetjs", metavar="FOLDER", help="the npm package, to be measured in node")
    options = parser.parse_args()
    table(options.rounds, options.seconds, options.convnetjs)
    print(f"\nLoad at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
