"""How fast the engine trains the digits network on one core, beside PyTorch on two.

    python -m tests.benchmarks.training                          # needs PyTorch for the comparison, else only ours
    python -m tests.benchmarks.training --batch 20 --optimizer sgd --seconds 20

A contender takes a fixed batch of random images through forward, backward and update, weight decay included; nothing
is loaded. PyTorch runs eagerly, with its fused optimizers, in four ways: one thread or two, channels last or not; the
best of the four counts. All take turns of a fifth of a second, so that a noisy machine disturbs them alike,
and the ratio is the median over the rounds.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

from engine import specs
from engine.losses import SoftmaxCrossEntropy
from engine.network import Network
from engine.optimizers import OPTIMIZERS

try:
    import torch
except ModuleNotFoundError:
    torch = None

L2 = 0.001
TURN = 0.2
OPTIMIZER_SPECS = {"adadelta": specs.Adadelta(), "sgd": specs.MomentumSGD(), "adam": specs.Adam()}
Step = Callable[[], object]


def our_step(batch_size: int, optimizer_name: str) -> Step:
    rng = np.random.default_rng(0)
    network = Network.build(specs.demo_network(), (1, 24, 24), rng=rng)
    spec = OPTIMIZER_SPECS[optimizer_name]
    optimizer = OPTIMIZERS[spec.name](spec, network.parameters.size)
    loss = SoftmaxCrossEntropy()
    inputs, labels = rng.random((1, 24, 24, batch_size), dtype=np.float32), rng.integers(0, 10, batch_size)
    decay = network.l2_mask * np.float32(L2)
    penalty = np.empty_like(decay)

    def step() -> None:
        _, gradient = loss.loss_and_gradient(network.forward(inputs, training=True), labels)
        network.backward(gradient)
        np.multiply(network.parameters, decay, out=penalty)
        network.gradients += penalty
        optimizer.step(network.parameters, network.gradients)

    return step


def torch_step(batch_size: int, optimizer_name: str, threads: int, channels_last: bool) -> Step:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 5, padding=2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(8, 16, 5, padding=2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(3),
        torch.nn.Flatten(),
        torch.nn.Linear(256, 10),
    ).to(memory_format=layout)
    optimizer = {
        "adadelta": lambda p: torch.optim.Adadelta(p, lr=1.0, rho=0.95, eps=1e-6, weight_decay=L2),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=L2, fused=True),
        "adam": lambda p: torch.optim.Adam(p, weight_decay=L2, fused=True),
    }[optimizer_name](model.parameters())
    criterion = torch.nn.CrossEntropyLoss()
    inputs = torch.rand(batch_size, 1, 24, 24).contiguous(memory_format=layout)
    labels = torch.randint(0, 10, (batch_size,))

    def step() -> None:
        optimizer.zero_grad()
        criterion(model(inputs), labels).backward()
        optimizer.step()

    def turn() -> None:
        torch.set_num_threads(threads)
        step()

    return turn


def examples_per_second(step: Step, batch_size: int) -> float:
    start, steps = perf_counter(), 0
    while perf_counter() - start < TURN:
        step()
        steps += 1
    return steps * batch_size / (perf_counter() - start)


def compare(batch_size: int, optimizer_name: str, seconds: float) -> str:
    """One line of the table."""
    ours = our_step(batch_size, optimizer_name)
    theirs = {}
    if torch is not None:
        for threads in (1, 2):
            for channels_last in (False, True):
                name = f"{threads} thread{'s' * (threads > 1)}{', channels last' * channels_last}"
                theirs[name] = torch_step(batch_size, optimizer_name, threads, channels_last)
    for step in (ours, *theirs.values()):
        step()
    rounds: list[float] = []
    their_rounds: dict[str, list[float]] = {name: [] for name in theirs}
    end = perf_counter() + seconds
    while perf_counter() < end:
        rounds.append(examples_per_second(ours, batch_size))
        for name, step in theirs.items():
            their_rounds[name].append(examples_per_second(step, batch_size))
    line = f"{optimizer_name:9} {batch_size:5} {median(rounds):8,.0f}"
    if not theirs:
        return line
    best = max(their_rounds, key=lambda name: median(their_rounds[name]))
    ratio = median(our / their for our, their in zip(rounds, their_rounds[best], strict=True))
    return f"{line} {median(their_rounds[best]):8,.0f} {ratio:6.2f}×  ({best})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[20, 64, 128, 256])
    parser.add_argument("--optimizer", nargs="+", choices=OPTIMIZER_SPECS, default=list(OPTIMIZER_SPECS))
    parser.add_argument("--seconds", type=float, default=10, help="for each line of the table")
    arguments = parser.parse_args()
    print("Examples per second, median")
    print("optimizer batch     ours" + ("  PyTorch   ratio" if torch else "   (PyTorch is not installed)"))
    for optimizer_name in arguments.optimizer:
        for batch_size in arguments.batch:
            print(compare(batch_size, optimizer_name, arguments.seconds), flush=True)


if __name__ == "__main__":
    main()
