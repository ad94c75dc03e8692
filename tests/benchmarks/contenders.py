"""Who runs against whom: our training and inference, PyTorch's, and programs in node, each as a turn of some seconds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from engine import specs
from engine.arrays import Array
from engine.datasets.base import Chosen, ImageDataset, LabelledImages
from engine.datasets.points import points_dataset
from engine.differentiation import differentiate
from engine.losses import SoftmaxCrossEntropy
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.parallel import SecondCore
from engine.shapes import plan
from engine.specs import MnistSpec, RunSpec
from engine.trainer import Trainer
from tests.benchmarks.networks import NETWORKS

try:
    import torch
except ModuleNotFoundError:
    torch = None

L2 = 0.001
OPTIMIZER_SPECS: dict[str, specs.OptimizerSpec] = {
    "adadelta": specs.Adadelta(), "sgd": specs.MomentumSGD(), "adam": specs.Adam(),
}  # fmt: skip
Step = Callable[[], object]
Turn = Callable[[float], float]
"""Runs for about so many seconds and says how many examples (or steps) it did in one."""


clock = perf_counter
"""`process_time` counts only the time that the processor gave us: on a busy machine, for contenders of one thread."""


def turns(step: Step, count: int) -> Turn:
    """A step over `count` examples as a turn."""

    def turn(seconds: float) -> float:
        start, steps = clock(), 0
        while clock() - start < seconds:
            step()
            steps += 1
        return steps * count / (clock() - start)

    step()
    return turn


def interleaved(contenders: dict[str, Turn], rounds: int, seconds: float) -> dict[str, list[float]]:
    """All in turn, round after round, so that a noisy machine disturbs them alike."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, turn in contenders.items():
            rates[name].append(turn(seconds))
    return rates


def best(rates: dict[str, list[float]], prefix: str) -> str | None:
    """The contender of that prefix with the highest median."""
    names = [name for name in rates if name.startswith(prefix)]
    return max(names, key=lambda name: median(rates[name]), default=None)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median over the rounds."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))


# ---- Ours --------------------------------------------------------------------------------------------------------------


def our_training(name: str, batch_size: int, optimizer_name: str = "adadelta") -> Turn:
    """Forward, backward and update, weight decay included, on a fixed batch of random numbers."""
    shape, layers = NETWORKS[name]
    rng = np.random.default_rng(0)
    network = Network.build(layers, shape, rng=rng)
    spec = OPTIMIZER_SPECS[optimizer_name]
    optimizer = OPTIMIZERS[spec.name](spec, network.parameters.size)
    loss = SoftmaxCrossEntropy()
    inputs, labels = rng.random((*shape, batch_size), dtype=np.float32), rng.integers(0, 10, batch_size)
    decay = network.l2_mask * np.float32(L2)
    penalty = np.empty_like(decay)

    def step() -> None:
        differentiate(network, loss, inputs, labels, None, batch_size=batch_size, rng=None)
        np.multiply(network.parameters, decay, out=penalty)
        network.gradients += penalty
        optimizer.step(network.parameters, network.gradients)

    return turns(step, batch_size)


def random_trainer(batch_size: int, optimizer_name: str, cores: int) -> Trainer:
    """Of the digits network, on random images."""
    rng = np.random.default_rng(0)
    images = LabelledImages(rng.integers(0, 256, (2000, 28, 28), dtype=np.uint8), rng.integers(0, 10, 2000))
    dataset = ImageDataset("random", tuple("0123456789"), images, images)
    spec = RunSpec(
        dataset=MnistSpec(train_size=2000, validation_size=0),
        optimizer=OPTIMIZER_SPECS[optimizer_name],
        batch_size=batch_size,
        l2=L2,
        cores=cores,
    )
    return Trainer(spec, dataset)


def our_trainer(batch_size: int, optimizer_name: str, cores: int) -> tuple[Turn, Callable[[], None]]:
    """`Trainer.step` as a run does it, choosing and cropping images included; and its end."""
    trainer = random_trainer(batch_size, optimizer_name, cores)
    if cores == 1:
        return turns(trainer.step, batch_size), lambda: None
    second = SecondCore(trainer).__enter__()
    return turns(trainer.step, batch_size), second.close


@dataclass(frozen=True, slots=True)
class OneBatch(LabelledImages):
    """Images that go into every batch as the same numbers, ready-made."""

    inputs: Array | None = None

    def batch(self, chosen: Chosen, rng: np.random.Generator, out: Array | None = None) -> Array:  # noqa: ARG002
        assert self.inputs is not None
        return self.inputs


def our_training_on_two_cores(batch_size: int) -> tuple[Turn, Callable[[], None]]:
    """`Trainer.step` with both cores on a fixed batch of random numbers, as `our_training` has it; and its end."""
    trainer = random_trainer(batch_size, "adadelta", cores=2)
    images, inputs = trainer.splits["train"], np.random.default_rng(0).random((1, 24, 24, batch_size), np.float32)
    assert isinstance(images, LabelledImages)
    trainer.splits = {"train": OneBatch(images.images, images.labels, inputs=inputs)}
    second = SecondCore(trainer).__enter__()
    return turns(trainer.step, batch_size), second.close


def our_inference(batch_size: int) -> Turn:
    shape, layers = NETWORKS["digits"]
    rng = np.random.default_rng(0)
    network, inputs = Network.build(layers, shape, rng=rng), rng.random((*shape, batch_size), dtype=np.float32)
    return turns(lambda: network.logits(inputs), batch_size)


def our_inference_on_two_cores(batch_size: int) -> tuple[Turn, Callable[[], None]]:
    trainer = random_trainer(64, "adadelta", cores=2)
    inputs = np.random.default_rng(0).random((1, 24, 24, batch_size), np.float32)
    second = SecondCore(trainer).__enter__()
    return turns(lambda: trainer.logits(inputs), batch_size), second.close


def our_points(spec: RunSpec) -> Turn:
    """`Trainer.advance` as a run does it, shuffling and choosing points included, steps per second."""
    assert not isinstance(spec.dataset, MnistSpec)
    trainer = Trainer(spec, points_dataset(spec.dataset))
    return turns(lambda: trainer.advance(200), 200)


# ---- PyTorch -----------------------------------------------------------------------------------------------------------


def torch_model(name: str) -> Any:
    shape, layers = NETWORKS[name]
    nn, modules = torch.nn, []
    for layer in plan(layers, shape):
        channels = layer.input_shape[0]
        match layer.spec:
            case specs.Conv2D() as s:
                modules.append(nn.Conv2d(channels, s.filters, s.kernel_size, s.stride, s.padding))
            case specs.Conv1D() as s:
                modules.append(nn.Conv1d(channels, s.filters, s.kernel_size, s.stride, s.padding))
            case specs.MaxPool2D() as s:
                modules.append(nn.MaxPool2d(s.pool_size, s.stride))
            case specs.MaxPool1D() as s:
                modules.append(nn.MaxPool1d(s.pool_size, s.stride))
            case specs.ReLU():
                modules.append(nn.ReLU())
            case specs.Dense() as s:
                modules += [nn.Flatten(), nn.Linear(int(np.prod(layer.input_shape)), s.units)]
    return nn.Sequential(*modules)


def torch_settings(name: str, batch_size: int) -> list[tuple[str, int, Any, Any]]:
    """(label, threads, model, inputs): one thread or two, channels last or not where there are images."""
    shape, _ = NETWORKS[name]
    sequences = shape[1] == 1
    found = []
    for threads in (1, 2) if clock is perf_counter else (1,):
        for layout in (torch.contiguous_format, *([] if sequences else [torch.channels_last])):
            inputs = torch.rand(batch_size, *((shape[0], shape[2]) if sequences else shape))
            model = torch_model(name)
            if not sequences:
                model, inputs = model.to(memory_format=layout), inputs.contiguous(memory_format=layout)
            last = ", channels last" * (layout is torch.channels_last)
            found.append((f"PyTorch, {threads} thread{'s' * (threads > 1)}{last}", threads, model, inputs))
    return found


def torch_training(name: str, batch_size: int, optimizer_name: str = "adadelta") -> dict[str, Turn]:
    """Eager, with its fused optimizers where there are any."""
    if torch is None:
        return {}

    def training(threads: int, model: Any, inputs: Any) -> Turn:
        optimizer = {
            "adadelta": lambda p: torch.optim.Adadelta(p, lr=1.0, rho=0.95, eps=1e-6, weight_decay=L2),
            "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=L2, fused=True),
            "adam": lambda p: torch.optim.Adam(p, weight_decay=L2, fused=True),
        }[optimizer_name](model.parameters())
        criterion, labels = torch.nn.CrossEntropyLoss(), torch.randint(0, 10, (batch_size,))

        def step() -> None:
            torch.set_num_threads(threads)
            optimizer.zero_grad()
            criterion(model(inputs), labels).backward()
            optimizer.step()

        return turns(step, batch_size)

    return {label: training(*rest) for label, *rest in torch_settings(name, batch_size)}


def torch_inference(batch_size: int) -> dict[str, Turn]:
    if torch is None:
        return {}

    def inference(threads: int, model: Any, inputs: Any) -> Turn:
        def step() -> None:
            torch.set_num_threads(threads)
            with torch.inference_mode():
                model(inputs)

        return turns(step, batch_size)

    return {label: inference(*rest) for label, *rest in torch_settings("digits", batch_size)}


def torch_points(spec: RunSpec) -> dict[str, Turn]:
    """Dense layers and tanh, plain descent, on one batch of points again and again, steps per second."""
    if torch is None:
        return {}
    modules, inputs = [], spec.dataset.input_shape[0]
    for layer in spec.network:
        if isinstance(layer, specs.Dense):
            modules.append(torch.nn.Linear(inputs, layer.units))
            inputs = layer.units
        else:
            modules.append(torch.nn.Tanh())
    model = torch.nn.Sequential(*modules)
    optimizer = torch.optim.SGD(model.parameters(), lr=spec.optimizer.learning_rate)
    points = torch.rand(spec.batch_size, spec.dataset.input_shape[0]) * 2 - 1
    first = points[:, :1] * points[:, 1:] > 0
    if spec.loss == "softmax_cross_entropy":
        criterion, targets = torch.nn.CrossEntropyLoss(), (~first[:, 0]).long()
    else:
        criterion, targets = torch.nn.MSELoss(), torch.where(first, 1.0, -1.0)

    def step() -> None:
        torch.set_num_threads(1)
        optimizer.zero_grad()
        criterion(model(points), targets).backward()
        optimizer.step()

    return {"PyTorch": turns(step, 1)}


# ---- The machine ---------------------------------------------------------------------------------------------------------

MULTIPLY = """
import sys, time, numpy as np
a = np.random.default_rng(0).random((192, 192), dtype=np.float32)
c = np.empty_like(a)
for line in sys.stdin:
    end, products = float(line) + (start := time.perf_counter()), 0
    while time.perf_counter() < end:
        np.matmul(a, a, out=c)
        products += 1
    print(products / (time.perf_counter() - start), flush=True)
"""


def both_cores() -> tuple[Turn, Callable[[], None]]:
    """How many times as much two processes multiply at once as one of them does alone; and its end.

    Two cores of a virtual machine may be two threads of one real core, now and not a second later: then it is 1.1.
    """
    processes = [
        subprocess.Popen([sys.executable, "-c", MULTIPLY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    pipes = [(process.stdin, process.stdout) for process in processes]

    def multiply(which: int) -> float:
        for write, _ in pipes[:which]:
            assert write is not None
            print(0.01, file=write, flush=True)
        return sum(float(read.readline()) for _, read in pipes[:which] if read is not None)

    def turn(_: float) -> float:
        alone = multiply(1)
        return multiply(2) / alone

    def end() -> None:
        for process in processes:
            process.communicate()

    turn(0)
    return turn, end


# ---- In node -------------------------------------------------------------------------------------------------------------


def node(script: str, *arguments: str) -> tuple[Turn, Callable[[], None]]:
    """A program beside this file that trains for as many seconds as each line of its input says; and its end."""
    process = subprocess.Popen(
        ["node", str(Path(__file__).with_name(script)), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    write, read = process.stdin, process.stdout

    def turn(seconds: float) -> float:
        print(seconds, file=write, flush=True)
        return float(read.readline())

    def end() -> None:
        write.close()
        process.wait()
        read.close()

    return turn, end
