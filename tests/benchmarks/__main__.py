"""Every table at once, to be pasted into a README: `python -m tests.benchmarks`.

    pip install -e '.[peers]'                                # PyTorch; without it only our own numbers
    npm install --prefix <a folder outside> convnetjs@0.3.0  # only if its row is wanted
    python -m tests.benchmarks --convnetjs <that folder>/node_modules/convnetjs

All contenders of a row are ready before its first round and then take turns; a ratio is the median over the rounds. Of
PyTorch, eager, the best of its settings counts: one thread or two, channels last or not. Ours is one core, where it
does not say two. The machine should have nothing else to do: the load at the beginning and the end is printed. If it
has, `--processor-time` still tells how one core of ours compares with one of PyTorch's: seconds are then those that the
processor gave to this process.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is imported

import argparse
import platform
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time

import numpy as np

from engine.losses import SoftmaxCrossEntropy
from engine.network import Chain, Network
from tests.benchmarks import contenders, tiny
from tests.benchmarks.contenders import Turn, best, interleaved, ratio
from tests.benchmarks.networks import NETWORKS

TWO_CORES = 1.6
"""Two processes multiply at least so many times as much as one where both cores are cores, see `contenders.both_cores`."""


class Table:
    """Rows of rates and ratios in Markdown, each printed as soon as it is measured."""

    def __init__(self, title: str, rounds: int, seconds: float) -> None:
        self._rounds, self._seconds = rounds, seconds
        print(f"\n**{title}**\n\n| | ours | best rival | ratio | which |\n|---|---:|---:|---:|---|", flush=True)

    def row(self, label: str, ours: Turn, rivals: dict[str, Turn]) -> None:
        rates = interleaved({"ours": ours, **rivals}, self._rounds, self._seconds)
        name = best({name: rates[name] for name in rivals}, "")
        mine = median(rates["ours"])
        if name is None:
            print(f"| {label} | {mine:,.0f} | | | |", flush=True)
            return
        times = ratio(rates["ours"], rates[name])
        print(f"| {label} | {mine:,.0f} | {median(rates[name]):,.0f} | {times:.2f} × | {name} |", flush=True)

    def row_of_two_cores(self, label: str, ours: Turn, rivals: dict[str, Turn]) -> None:
        """As `row`, but of the rounds in which the machine had two whole cores; of all, too, in brackets."""
        cores, end = contenders.both_cores()
        rates = interleaved({"ours": ours, **rivals, "cores": cores}, self._rounds, self._seconds)
        end()
        whole = [number for number, worth in enumerate(rates["cores"]) if worth > TWO_CORES]
        name = best({name: rates[name] for name in rivals}, "")
        if name is None:
            print(f"| {label} | {median(rates['ours']):,.0f} | | | |", flush=True)
            return
        mine, theirs = ([rates[which][number] for number in whole] or rates[which] for which in ("ours", name))
        print(
            f"| {label} | {median(mine):,.0f} | {median(theirs):,.0f} | {ratio(mine, theirs):.2f} × "
            f"({ratio(rates['ours'], rates[name]):.2f} ×; {len(whole)} of {self._rounds} rounds) | {name} |",
            flush=True,
        )


def profile(batch_size: int) -> None:
    """Microseconds an example, best of many steps, for each step of the digits network in its fast form."""
    shape, layers = NETWORKS["digits"]
    rng = np.random.default_rng(0)
    network, loss = Network.build(layers, shape, rng=rng), SoftmaxCrossEntropy()
    chain = network._training
    assert isinstance(chain, Chain)
    inputs, labels = rng.random((*shape, batch_size), dtype=np.float32), rng.integers(0, 10, batch_size)
    times: dict[tuple[str, str], float] = {}

    def timed(where: str, what: str, step: Callable[[], np.ndarray | None]) -> np.ndarray | None:
        started = perf_counter()
        result = step()
        times[where, what] = min(times.get((where, what), 1.0), perf_counter() - started)
        return result

    names = [f"{index + 1}. {type(layer).__name__}" for index, layer in enumerate(chain.layers)]
    for _ in range(300):
        values = inputs
        for name, layer in zip(names, chain.layers, strict=True):
            values = timed(name, "forward", lambda layer=layer, values=values: layer.forward(values))
        gradients = timed("loss", "forward", lambda values=values: loss.loss_and_gradient(values, labels)[1])
        for name, layer in zip(names[:0:-1], chain.layers[:0:-1], strict=True):
            gradients = timed(name, "backward", lambda layer=layer, g=gradients: layer.backward(g))
        timed(names[0], "backward", lambda g=gradients: chain.layers[0].backward_to_parameters(g))
    total = sum(times.values())
    print(
        f"\n**Where the time goes, batch {batch_size}, µs an example**\n\n| | forward | backward | share |\n|---|---:|---:|---:|"
    )
    for name in (*names, "loss"):
        forward, backward = (times.get((name, what), 0.0) for what in ("forward", "backward"))
        scale = 1e6 / batch_size
        print(f"| {name} | {scale * forward:.1f} | {scale * backward:.1f} | {(forward + backward) / total:.0%} |")
    print(f"| all | {1e6 / batch_size * total:.1f} | | |", flush=True)


def gemm_peak() -> float:
    """GFLOP/s of the best of many products of 1024×1024 matrices, float32, one thread."""
    a, b = (np.random.default_rng(i).random((1024, 1024), dtype=np.float32) for i in (0, 1))
    c, fastest = np.empty_like(a), 1.0
    for _ in range(20):
        started = perf_counter()
        np.matmul(a, b, out=c)
        fastest = min(fastest, perf_counter() - started)
    return 2 * 1024**3 / fastest / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.2, help="of each turn")
    parser.add_argument("--convnetjs", metavar="FOLDER", help="the npm package, to be measured in node")
    parser.add_argument("--processor-time", action="store_true", help="for a busy machine; no second core, no node")
    options = parser.parse_args()
    if options.processor_time:
        contenders.clock = process_time
        print("Seconds of processor time, everybody on one thread")
    rounds, seconds = options.rounds, options.seconds
    # Of a training step 1,620,480 multiply-adds an example are unavoidable without Winograd's transforms.
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}, load {os.getloadavg()[0]:.1f}"
    )
    peak = gemm_peak()
    print(
        f"Matrix products, one thread: {peak:.0f} GFLOP/s, a limit of {peak * 1e9 / (2 * 1_620_480):,.0f} digits per second for direct convolutions."
    )

    table = Table("Training the digits network, examples per second, one core", rounds, seconds)
    for optimizer, batches in (("adadelta", (20, 64, 128, 256)), ("sgd", (20,)), ("adam", (20,))):
        for batch in batches:
            rivals = contenders.torch_training("digits", batch, optimizer)
            table.row(f"{optimizer}, batch {batch}", contenders.our_training("digits", batch, optimizer), rivals)

    if not options.processor_time:
        table = Table("The same with both cores, in rounds that had two (and in all)", rounds, seconds)
        for batch in (20, 64, 128, 256):
            ours, end = contenders.our_training_on_two_cores(batch)
            table.row_of_two_cores(f"adadelta, batch {batch}", ours, contenders.torch_training("digits", batch))
            end()

    table = Table("Other networks, adadelta, one core", rounds, seconds)
    for name in list(NETWORKS)[1:]:
        for batch in (20, 128):
            rivals = contenders.torch_training(name, batch)
            table.row(f"{name}, batch {batch}", contenders.our_training(name, batch), rivals)

    table = Table("Predicting with the digits network, examples per second", rounds, seconds)
    for batch in (1, 64):
        table.row(f"{batch} at a time", contenders.our_inference(batch), contenders.torch_inference(batch))
    if not options.processor_time:
        ours, end = contenders.our_inference_on_two_cores(64)
        table.row_of_two_cores("64 at a time, both cores", ours, contenders.torch_inference(64))
        end()

    if options.convnetjs and not options.processor_time:
        table = Table("convnetjs in node, the digits network, adadelta, examples per second", rounds, max(seconds, 0.5))
        for batch, cores in ((20, 1), (64, 2)):
            turn, end = contenders.node("convnetjs.js", options.convnetjs, str(batch))
            turn(seconds)
            ours, end_ours = contenders.our_trainer(batch, "adadelta", cores)
            table.row(f"batch {batch}, {cores} core{'s' * (cores > 1)}", ours, {"convnetjs": turn})
            end()
            end_ours()

    tiny.table(rounds, seconds, options.convnetjs)
    profile(20)
    profile(32)
    print(f"\nLoad at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
