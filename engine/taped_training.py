"""Whole updates of a small dense network as lists of calls: batches, gradients, decay, clipping and the optimizer's step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np

from engine.arrays import Array
from engine.calls import Call
from engine.datasets.base import Chosen, Examples
from engine.losses import Loss
from engine.network import Network
from engine.optimizers import OPTIMIZERS, AnyOptimizer
from engine.schedules import learning_rate_share
from engine.shapes import plan
from engine.specs import SGD, Constant, MnistSpec, RunSpec, TransactionsSpec
from engine.tape import MAX_PARAMETERS, CompiledTape, Tape, is_plain
from engine.tape_losses import TAPED_LOSSES, taped_loss

BLOCKS = 32
"""Batches that are made at a time. More of them save little and take memory."""

BLOCK_NUMBERS = 2**16
"""What all blocks together may hold, so that they stay near the processor."""


def can_be_taped(spec: RunSpec) -> bool:
    """Whether a run trains on a tape. Its spec alone decides, so that the same spec gives the same numbers."""
    return (
        not isinstance(spec.dataset, MnistSpec | TransactionsSpec)
        and spec.loss in TAPED_LOSSES
        and spec.class_weights is None
        and spec.cores == 1
        and is_plain(spec.network)
        and sum(layer.parameters for layer in plan(spec.network, spec.dataset.input_shape)) <= MAX_PARAMETERS
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """How the last of several updates found the network; the names are those of `engine.trainer.StepResult`."""

    loss: float
    l1_loss: float
    l2_loss: float
    correct: int


class TapedTraining:
    """Trains the network of a spec that `can_be_taped` on `examples`, by the trainer's `optimizer`.

    Between two calls of `train` everything is where it always is: weights in `network.parameters`, memory in
    `optimizer.state`. Within one, weights and memory are rows of one array, in the order of the tape.
    """

    def __init__(
        self, spec: RunSpec, network: Network, optimizer: AnyOptimizer, loss: Loss, examples: Examples
    ) -> None:
        self._spec, self._network, self._optimizer, self._loss = spec, network, optimizer, loss
        dtype = network.dtype
        # Plain descent at one learning rate needs no gradient but the step, so that the rate is in it from the beginning.
        self._plain = isinstance(spec.optimizer, SGD) and spec.schedule == Constant() and spec.clip_norm is None
        self._factor = spec.optimizer.learning_rate if self._plain else 1.0
        taped = taped_loss(spec, network.output_shape[0], dtype, factor=self._factor)
        rows = sum(int(np.prod(layer.output_shape)) + 1 for layer in network.layers) + taped.rows
        blocks = max(1, min(BLOCKS, BLOCK_NUMBERS // (rows * spec.batch_size)))
        kind = CompiledTape if spec.compiled else Tape
        self._tape = tape = kind(network.layers, taped, dtype, spec.batch_size, blocks)
        self._back = np.argsort(tape.places)
        self._labels = examples.labels
        self._inputs = examples.look(slice(None)).astype(dtype, copy=False)
        self._targets = taped.encode(examples.labels)

        own = OPTIMIZERS[spec.optimizer.name]
        self._own = own(spec.optimizer, len(tape.places), dtype, decay_mask=network.l2_mask[tape.places])
        self._memory = [tape.weights, *self._own.state.values()]
        step: list[Call] = [(np.subtract, (tape.weights, tape.weight_gradients, tape.weights))]
        if not self._plain:
            step = [*self._clip(), *self._own.calls(tape.weights, tape.weight_gradients)]
        self._after = [*self._decay(), *step]
        self._varies = own.counts_steps or spec.schedule != Constant()
        self._before: list[Call] = [(self._prepare, ())] if self._varies else []
        self._updates: list[list[Call]] = []
        self._descend: Callable[[int], None] | None = None
        if self._plain and isinstance(tape, CompiledTape):
            self._descend = tape.descents(*self._pulls())

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def train(self, first: int, count: int, choose: Callable[[int], Chosen]) -> Measured | None:
        """`count` updates after `first` others, on examples that `choose` gives, so many at a time.

        None when some weight, or something that the optimizer remembers, has stopped being a finite number, which it
        then stays: nothing is changed.
        """
        self._load(first)
        batch, done = self._spec.batch_size, 0
        while done < count:
            updates = self._first_updates(count - done)
            chosen = choose(len(updates) * batch)
            self._fill(chosen, len(updates))
            if self._descend is not None:
                self._descend(len(updates) - 1)
            else:
                for calls in updates[:-1]:
                    for function, arguments in calls:
                        function(*arguments)
            done += len(updates)
            if done == count:
                penalties = self._penalties()
            for function, arguments in updates[-1]:
                function(*arguments)
        if not all(np.isfinite(values).all() for values in self._memory):
            return None
        outputs, labels = self._tape.outputs[len(updates) - 1], self._labels[chosen[-batch:]]
        self._store(count)
        loss, _ = self._loss.loss_and_gradient(outputs, labels)
        return Measured(loss, *penalties, self._loss.correct(outputs, labels))

    def _first_updates(self, count: int) -> list[list[Call]]:
        """Of so many blocks, or of all there are. Written down when first needed: a class opens hundreds of runs at once."""
        for block in range(len(self._updates), min(count, self._tape.blocks)):
            self._updates.append([*self._before, *self._tape.calls(block), *self._after])
        return self._updates[:count]

    def _load(self, first: int) -> None:
        network, optimizer = self._network, self._optimizer
        for values, own in zip([network.parameters, *optimizer.state.values()], self._memory, strict=True):
            values.take(self._tape.places, out=own, mode="clip")  # the only mode that needs no second buffer
        self._own.steps = optimizer.steps
        self._step = first
        if not self._varies:
            self._own.prepare()

    def _store(self, count: int) -> None:
        network, optimizer = self._network, self._optimizer
        for values, own in zip([network.parameters, *optimizer.state.values()], self._memory, strict=True):
            own.take(self._back, out=values, mode="clip")
        optimizer.steps += count

    def _fill(self, chosen: Chosen, count: int) -> None:
        """Put the examples into the first `count` blocks, one batch after the other."""
        for values, blocks in ((self._inputs, self._tape.inputs), (self._targets, self._tape.targets)):
            taken = values.take(chosen, axis=1, mode="clip")
            np.copyto(blocks[:count], taken.reshape(len(values), count, -1).transpose(1, 0, 2))

    def _prepare(self) -> None:
        """Set the numbers of the optimizer's next step."""
        self._own.prepare(learning_rate_share(self._spec.schedule, self._step))
        self._step += 1

    def _decay(self) -> list[Call]:
        """The gradients of `l1 Σ|w|` and `½ l2 Σw²` on top of the loss's, as `Trainer` adds them."""
        spec, (l1, l2) = self._spec, self._pulls()
        w, g, pull = self._tape.weights, self._tape.weight_gradients, np.zeros_like(self._tape.weights)
        calls: list[Call] = []
        if spec.l2:
            calls += [(np.multiply, (w, l2, pull)), (np.add, (g, pull, g))]
        if spec.l1:
            calls += [(np.sign, (w, pull)), (np.multiply, (pull, l1, pull)), (np.add, (g, pull, g))]
        return calls

    def _pulls(self) -> tuple[Array, Array]:
        """`l1` and `l2` of each weight, with the learning rate where the gradients have it, too."""
        spec, network, places = self._spec, self._network, self._tape.places
        return (self._factor * spec.l1) * network.l1_mask[places], (self._factor * spec.l2) * network.l2_mask[places]

    def _penalties(self) -> tuple[float, float]:
        """`l1 Σ|w|` and `½ l2 Σw²` of the weights as they are now."""
        spec, network, w, places = self._spec, self._network, self._tape.weights, self._tape.places
        l1_loss = spec.l1 * float(np.abs(w) @ network.l1_mask[places]) if spec.l1 else 0.0
        l2_loss = 0.5 * spec.l2 * float((w * w) @ network.l2_mask[places]) if spec.l2 else 0.0
        return l1_loss, l2_loss

    def _clip(self) -> list[Call]:
        """Shorten a gradient that is longer than `clip_norm`; one too long to be measured makes the weights no numbers."""
        gradients, limit = self._tape.weight_gradients, self._spec.clip_norm
        if limit is None:
            return []
        square_limit = limit**2

        def clip() -> None:
            square = float(gradients.dot(gradients))
            if not square <= square_limit:
                np.multiply(gradients, limit / sqrt(square) if isfinite(square) else nan, gradients)

        return [(clip, ())]
