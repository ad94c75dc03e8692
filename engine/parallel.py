"""One run on two cores: a second process takes the second half of every batch.

    with SecondCore(trainer):           # the spec of its run says cores=2
        for _ in range(1000):
            trainer.step()
        evaluate(trainer, "test")

With `cores=2` a batch's gradients are the sum of two halves, each summed up by itself, if the batch is large enough for
that to be faster (`Network.shares`). Who computes the second half changes nothing, not in the last bit: a trainer
without a second core computes both, one after the other. So a run may get the other core and give it back between any
two steps.

So it is with the chunks in which a network is judged (`Trainer.logits`).

Both processes see one piece of memory with the parameters, the second half of the examples and their gradients or logits. A
byte through a pipe says what there is to do, another that it is done (`Ear`). When one process ends, the pipe of the other
does: the trainer then goes on by itself, from that very half.
"""

from __future__ import annotations

import mmap
import os
import pickle
import select
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Shape, Truth
from engine.differentiation import Learned, differentiate
from engine.errors import EngineError
from engine.losses import make_loss
from engine.network import Network
from engine.specs import MAX_BATCH_SIZE, RunSpec

if TYPE_CHECKING:
    from engine.trainer import Trainer

HALF = -(-MAX_BATCH_SIZE // 2)
"""As many examples as are handed over at a time, at most."""

LEARN, JUDGE = b"L", b"J"
"""What there is to do for the second process."""

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""There are two processes already."""

WATCH_SECONDS = 0.0003
"""How long whoever waits stays awake: about as long as the trainer takes between two batches."""


@dataclass(frozen=True, slots=True)
class Task:
    """What the second process has to know before the first batch."""

    spec: RunSpec
    input_shape: Shape
    dtype: str


class Shared:
    """The memory that both processes see, as arrays."""

    def __init__(self, task: Task, network: Network, file: int) -> None:
        dtype, parameters = network.dtype, network.parameters.size
        wanted: list[tuple[str, tuple[int, ...], npt.DTypeLike]] = [
            ("parameters", (parameters,), dtype),
            ("gradients", (parameters,), dtype),
            ("inputs", (int(np.prod(task.input_shape)) * HALF,), dtype),
            ("labels", (HALF,), np.int64),
            ("weights", (HALF,), dtype),
            ("logits", (int(np.prod(network.output_shape)) * HALF,), dtype),
            # Examples in this half, and in the batch or a chunk, whether they have weights, seed; loss and number of right answers.
            ("numbers", (4,), np.int64),
            ("results", (2,), np.float64),
        ]
        sizes = [-(-int(np.prod(shape)) * np.dtype(kind).itemsize // 64) * 64 for _, shape, kind in wanted]
        os.ftruncate(file, sum(sizes))
        memory = mmap.mmap(file, sum(sizes))
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        start = 0
        for (name, shape, kind), size in zip(wanted, sizes, strict=True):
            self._arrays[name] = np.frombuffer(memory, kind, int(np.prod(shape)), start)
            start += size

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._arrays[name]

    def examples(self, name: str, shape: Shape, count: int) -> Array:
        """So many inputs or logits of a shape, (*shape, count)."""
        return self[name][: int(np.prod(shape)) * count].reshape(*shape, count)


class Ear:
    """The end of a pipe at which one process waits for a byte of the other.

    It looks again and again for WATCH_SECONDS before it sleeps, for waking up takes longer than many a layer; but only if it
    did not have to wait longer the last time, as it has where others use the cores: looking would keep them from it.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._poll = select.poll()
        self._poll.register(pipe, select.POLLIN)
        self._looks = True

    def hear(self) -> bytes:
        """The byte. Empty: whoever would have sent it has ended."""
        until = perf_counter() + WATCH_SECONDS
        while self._looks and not self._poll.poll(0) and perf_counter() < until:
            pass
        message = os.read(self._pipe, 1)
        self._looks = perf_counter() < until
        return message


class SecondCore:
    """A process that computes the second half of a trainer's batches, from `with` to the end of its block."""

    def __init__(self, trainer: Trainer) -> None:
        """ValueError unless the trainer's spec says `cores=2`."""
        if trainer.spec.cores != 2:
            raise ValueError("A second core is for a run whose spec says cores=2: the order of sums depends on it.")
        self._trainer = trainer
        network = trainer.network
        task = Task(trainer.spec, network.input_shape, network.dtype.name)
        with tempfile.TemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as file:
            self._shared = Shared(task, network, file.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-m", "engine.parallel", str(file.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # nothing is left unsent, so that closing a pipe whose reader has died is no error
                pass_fds=[file.fileno()],
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            assert self._process.stdout is not None
            self._ear = Ear(self._process.stdout.fileno())
            if not self._send(pickle.dumps(task)) or not self._wait():  # until it has built its network
                self.close()
                raise EngineError("The process on the second core did not start.")

    def __enter__(self) -> SecondCore:
        self._trainer.second_core = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; the trainer goes on alone."""
        self._trainer.second_core = None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def begin(
        self, parameters: Array, inputs: Array, labels: Truth, weights: Array | None, *, batch_size: int, seed: int
    ) -> bool:
        """Hand over the second half of a batch: `inputs` (C, H, W, n) out of `batch_size` examples. False: it has ended."""
        shared, count = self._shared, len(labels)
        shared["labels"][:count] = labels
        if weights is not None:
            shared["weights"][:count] = weights
        shared["numbers"][:] = count, batch_size, weights is not None, seed
        return self._hand_over(LEARN, parameters, inputs)

    def finish(self, gradients: Array) -> Learned | None:
        """Wait for that half, and add its gradients to `gradients`. None: it has ended, and they are as they were."""
        if not self._wait():
            return None
        gradients += self._shared["gradients"]
        loss, correct = self._shared["results"]
        return Learned(float(loss), int(correct), 0.0, 0.0)

    def logits(self, inputs: Array, chunk: int) -> Array | None:
        """`Network.logits` of the trainer, half of the chunks computed here and half there.

        None when there is one chunk only, or too many for the memory in between, or when the process has ended.
        """
        network = self._trainer.network
        inputs = network.as_inputs(inputs)
        count = inputs.shape[-1]
        chunks = network.chunks(count, chunk)
        half = -(-len(chunks) // 2)
        mine, theirs = chunks[:half], chunks[half:]
        if not theirs or count - theirs[0].start > HALF:
            return None
        first = theirs[0].start
        self._shared["numbers"][:2] = count - first, chunk
        if not self._hand_over(JUDGE, network.parameters, inputs[..., first:]):
            return None
        own = network.logits(inputs[..., : mine[-1].stop], chunk=chunk)
        if not self._wait():
            return None
        others = self._shared.examples("logits", own.shape[:1], count - first)
        return np.concatenate([own[:, :first], others], axis=1)

    def _hand_over(self, message: bytes, parameters: Array, inputs: Array) -> bool:
        self._shared["parameters"][:] = parameters
        np.copyto(self._shared.examples("inputs", inputs.shape[:-1], inputs.shape[-1]), inputs)
        return self._send(message)

    def _send(self, message: bytes) -> bool:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(message)
        except BrokenPipeError:
            return self._has_ended()
        return True

    def _wait(self) -> bool:
        return bool(self._ear.hear()) or self._has_ended()

    def _has_ended(self) -> bool:
        """The trainer goes on alone, and nothing is lost: it computes that half itself."""
        self._trainer.second_core = None
        return False


def serve(file: int) -> None:
    """The second process: take halves until nobody is there to ask."""
    task: Task = pickle.load(sys.stdin.buffer)  # of the process that started this one, which says no more before the answer
    network = Network(task.spec.network, task.input_shape, task.dtype)
    loss = make_loss(task.spec)
    shared = Shared(task, network, file)
    _answer()
    ear = Ear(sys.stdin.fileno())
    while message := ear.hear():
        count, whole, weighted, seed = (int(number) for number in shared["numbers"])
        inputs = shared.examples("inputs", task.input_shape, count)
        network.parameters[:] = shared["parameters"]
        if message == JUDGE:
            logits = network.logits(inputs, chunk=whole)
            np.copyto(shared.examples("logits", logits.shape[:1], count), logits)
        else:
            weights = shared["weights"][:count] if weighted else None
            rng = np.random.default_rng(seed)
            learned = differentiate(
                network, loss, inputs, shared["labels"][:count], weights, batch_size=whole, rng=rng
            )
            shared["gradients"][:] = network.gradients
            shared["results"][:] = learned.loss, learned.correct
        _answer()


def _answer() -> None:
    sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
