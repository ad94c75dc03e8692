"""How fast the engine trains the digits network on one core, beside PyTorch: single rows of the whole table.

    python -m tests.benchmarks.training                          # needs PyTorch for the comparison, else only ours
    python -m tests.benchmarks.training --batch 20 --optimizer sgd --seconds 20

`python -m tests.benchmarks` prints everything that is measured, and says how.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported

import argparse

from tests.benchmarks import contenders
from tests.benchmarks.__main__ import Table

TURN = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[20, 64, 128, 256])
    names = contenders.OPTIMIZER_SPECS
    parser.add_argument("--optimizer", nargs="+", choices=names, default=list(names))
    parser.add_argument("--seconds", type=float, default=10, help="for each line of the table")
    arguments = parser.parse_args()
    rounds = max(1, round(arguments.seconds / TURN / (1 if contenders.torch is None else 5)))
    table = Table("Training the digits network, examples per second, one core", rounds, TURN)
    for optimizer in arguments.optimizer:
        for batch in arguments.batch:
            rivals = contenders.torch_training("digits", batch, optimizer)
            table.row(f"{optimizer}, batch {batch}", contenders.our_training("digits", batch, optimizer), rivals)


if __name__ == "__main__":
    main()
