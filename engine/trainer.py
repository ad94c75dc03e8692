"""One run: a network, a dataset and an optimizer, advanced one update at a time.

The trainer owns all randomness of its run. Every use draws from its own child of the run's seed (initial weights, order
of the examples, crops, dropout), so that one does not shift another. `state()` and `from_state()` carry them along:
training 200 updates is the same, to the last bit, as training 100, saving, loading and training 100 more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Truth, aligned_empty, check_shape
from engine.datasets.base import Chosen, Dataset, shuffled
from engine.differentiation import Learned, differentiate
from engine.errors import DivergedError, ShapeError, SpecError
from engine.ink import Ink, preprocess
from engine.losses import make_loss
from engine.network import Network
from engine.optimizers import OPTIMIZERS, AnyOptimizer
from engine.schedules import learning_rate_share
from engine.shapes import check_run
from engine.specs import MnistSpec, OptimizerSpec, RunSpec, Split
from engine.tape import MAX_PARAMETERS as MAX_TAPED_PARAMETERS
from engine.taped_training import TapedTraining, can_be_taped
from engine.validation import changed, checked

if TYPE_CHECKING:
    from engine.parallel import SecondCore

GENERATORS = ("order", "crops", "dropout")
"""The random generators of a training that goes on; the initial weights have another, used up at once."""


def no_clock() -> float:
    """For a trainer whose times nobody asks for."""
    return 0.0


@dataclass(frozen=True, slots=True)
class StepResult:
    """What an update reports, measured before the weights moved.

    loss: mean loss of the batch, in nats where it is an entropy; l1_loss, l2_loss: the penalties `l1 Σ|w|` and
    `½ l2 Σw²`, a layer's weights counting as often as its multipliers say;
    correct of `examples` were classified right; seconds are 0 without a clock.

    Of several updates it has the mean of the losses, the penalties at the last one, and sums of all else. On a tape,
    where measuring takes longer than an update, loss and right answers are those of the last one's batch, and all of the
    time counts as backward.
    """

    loss: float
    l1_loss: float
    l2_loss: float
    correct: int
    examples: int
    forward_seconds: float
    backward_seconds: float


@dataclass(frozen=True, slots=True)
class TrainerState:
    """Everything a run needs to go on as if nothing had happened; the formats write and read it.

    parameters: float32 (P,); accumulators: what the optimizer remembers, by name, float32 (P,) each; optimizer_steps:
    how many steps it remembers; position: examples taken from the present pass over the training examples;
    generators: by name, NumPy's `bit_generator.state`; that of "order" is from before the present pass was shuffled.
    """

    spec: RunSpec
    steps: int
    examples: int
    position: int
    parameters: Array
    optimizer_steps: int
    accumulators: dict[str, Array]
    generators: dict[str, dict[str, Any]]


class Trainer:
    """Trains the network of a spec on a dataset.

    clock: seconds as a float (`time.perf_counter`), only ever reported; without one the reported times are 0.
    Raises SpecError when the spec is impossible or does not fit the dataset.
    """

    def __init__(self, spec: RunSpec, dataset: Dataset, *, clock: Callable[[], float] = no_clock) -> None:
        self.dataset = dataset
        self.clock = clock
        self.second_core: SecondCore | None = None
        self._check(spec)
        self.spec = spec
        self.splits = dataset.splits(spec.dataset)
        self._start()

    def _check(self, spec: RunSpec) -> None:
        check_run(spec)
        if len(spec.dataset.classes) != len(self.dataset.classes):
            raise SpecError(
                f"The dataset has {len(self.dataset.classes)} classes, and the run's spec {len(spec.dataset.classes)}.",
                field="/dataset",
            )

    def _start(self) -> None:
        spec = self.spec
        initial, generators = _spawn(spec.seed)
        self.network = _initial_network(spec, initial)
        self.optimizer = self._new_optimizer(spec.optimizer)
        self._choose_loss()
        self.steps = 0
        self.examples = 0
        self._rngs = generators
        self._batch = self._new_batch()
        self._shuffle()
        self._choose_tape()

    def _new_optimizer(self, spec: OptimizerSpec) -> AnyOptimizer:
        network = self.network
        return OPTIMIZERS[spec.name](spec, network.parameters.size, network.dtype, decay_mask=network.l2_mask)

    def _choose_loss(self) -> None:
        weights = self.spec.class_weights
        self.loss = make_loss(self.spec)
        self._class_weights = None if weights is None else np.array(weights, self.network.dtype)

    def _choose_tape(self) -> None:
        train = self.splits["train"]
        self._tape: TapedTraining | None = None
        if can_be_taped(self.spec):
            self._tape = TapedTraining(self.spec, self.network, self.optimizer, self.loss, train)
        elif self.spec.compiled:
            raise SpecError(
                f"Only dense networks of points with at most {MAX_TAPED_PARAMETERS:,} parameters train by compiled code. "
                "Leave “compiled” out.",
                field="/compiled",
                code="not_compilable",
            )

    def _new_batch(self) -> Array:
        return aligned_empty((*self.network.input_shape, self.spec.batch_size), self.network.dtype)

    def _shuffle(self, diet: slice | None = None) -> None:
        """Begin a pass over `diet`, by default what is trained on now."""
        rng, train = self._rngs["order"], self.splits["train"]
        self._order_state = rng.bit_generator.state
        diet = diet or self._diet(self.steps)
        whole = diet == slice(0, len(train))
        self._order = shuffled(train, rng) if whole else diet.start + rng.permutation(diet.stop - diet.start)
        self._position = 0

    def _diet(self, steps: int) -> slice:
        """Which of the training examples are trained on after `steps` updates: drawings, the last of them, may come later."""
        everything, dataset = len(self.splits["train"]), self.spec.dataset
        drawings = dataset.drawings if isinstance(dataset, MnistSpec) else None
        if drawings is None:
            return slice(0, everything)
        others = everything - drawings.count
        if steps < drawings.after:
            return slice(0, others)
        return slice(0 if drawings.mixed else others, everything)

    @property
    def learning_rate(self) -> float:
        """That of the next update, after its schedule."""
        return learning_rate_share(self.spec.schedule, self.steps) * self.spec.optimizer.learning_rate

    @property
    def shares(self) -> list[slice]:
        """The shares in which each batch is summed up: one, or two that two cores can compute."""
        return self.network.shares(self.spec.batch_size, self.spec.cores)

    @property
    def epoch(self) -> float:
        """Passes over the training examples so far."""
        return self.examples / len(self.splits["train"])

    # ---- Training ------------------------------------------------------------------------------------------------

    def step(self) -> StepResult:
        """One update: `advance(1)`."""
        return self.advance(1)

    def advance(self, count: int) -> StepResult:
        """`count` updates, at least one: as if one by one, to the last bit, but small dense networks go much faster.

        Raises DivergedError at the first update that makes no sense; those before it are done, and the weights are as
        they left them. It is the one whose loss or gradient is not finite; on a tape, the one after which a weight or
        something that the optimizer remembers would not be.
        """
        if self._tape is not None:
            return self._advance_on_tape(self._tape, count)
        results = [self._update() for _ in range(count)]
        return StepResult(
            sum(result.loss for result in results) / count,
            results[-1].l1_loss,
            results[-1].l2_loss,
            sum(result.correct for result in results),
            sum(result.examples for result in results),
            sum(result.forward_seconds for result in results),
            sum(result.backward_seconds for result in results),
        )

    def _advance_on_tape(self, tape: TapedTraining, count: int) -> StepResult:
        started, batch_size = self.clock(), self.spec.batch_size
        order, position = self._order_state, self._position
        last = tape.train(self.steps, count, self._choose)
        if last is None:
            self._rngs["order"].bit_generator.state = order
            self._shuffle()
            self._position = position
            if count == 1:
                raise DivergedError(self.steps + 1)
            return [self._advance_on_tape(tape, 1) for _ in range(count)][-1]  # one of them diverges
        self.steps += count
        self.examples += count * batch_size
        seconds = self.clock() - started
        return StepResult(last.loss, last.l1_loss, last.l2_loss, last.correct, batch_size, 0.0, seconds)

    def _update(self) -> StepResult:
        """One update, layer by layer."""
        learned = self._differentiate(*self._next_batch())
        started = self.clock()
        l1_loss, l2_loss = self._decay()
        self._clip(learned.loss + l1_loss + l2_loss)
        share = learning_rate_share(self.spec.schedule, self.steps)
        self.optimizer.step(self.network.parameters, self.network.gradients, share)
        updated = self.clock() - started

        self.steps += 1
        self.examples += self.spec.batch_size
        return StepResult(
            learned.loss,
            l1_loss,
            l2_loss,
            learned.correct,
            self.spec.batch_size,
            learned.forward_seconds,
            learned.backward_seconds + updated,
        )

    def _differentiate(self, inputs: Array, labels: Truth, weights: Array | None) -> Learned:
        """The batch's mean loss; the network's gradients are then those of it.

        With two cores they are the sum of two halves, unless those were too small. The first is computed here; so is the
        second, and in the same way, unless there is a process for it.
        """
        batch_size, dropout = len(labels), self._rngs["dropout"]
        first, *others = self.shares

        def learn(share: slice, rng: np.random.Generator) -> Learned:
            own = None if weights is None else weights[share]
            return differentiate(
                self.network, self.loss, inputs[..., share], labels[share], own,
                batch_size=batch_size, rng=rng, clock=self.clock,
            )  # fmt: skip

        if not others:
            return learn(first, dropout)
        (second,) = others
        seed = int(dropout.integers(2**63))
        process = self.second_core
        if process is not None and not process.begin(
            self.network.parameters, inputs[..., second], labels[second],
            None if weights is None else weights[second], batch_size=batch_size, seed=seed,
        ):  # fmt: skip
            process = None
        learned = learn(first, dropout)
        if process is not None and (theirs := process.finish(self.network.gradients)) is not None:
            return theirs + learned
        gradients = self.network.gradients.copy()
        learned = learn(second, np.random.default_rng(seed)) + learned
        self.network.gradients += gradients
        return learned

    def _next_batch(self) -> tuple[Array, Truth, Array | None]:
        """The next `batch_size` examples as they are trained on, with labels and weights.

        Every pass over the training examples takes each of them once, in a new order. A batch may end one pass and
        begin the next, so that every update averages over the same number of examples. Where others are trained on from
        now on, a pass begins.
        """
        if self.steps and self._diet(self.steps) != self._diet(self.steps - 1):
            self._shuffle()
        chosen = self._choose(self.spec.batch_size)
        train = self.splits["train"]
        inputs = train.batch(chosen, self._rngs["crops"], out=self._batch)
        return inputs, train.labels[chosen], self.weights("train", chosen)

    def _choose(self, count: int) -> Chosen:
        """The next `count` examples, through as many passes as that takes."""
        taken = [self._take(count)]
        missing = count - len(taken[0])
        while missing:
            self._shuffle()
            taken.append(self._take(missing))
            missing -= len(taken[-1])
        return np.concatenate(taken)

    def _take(self, count: int) -> Chosen:
        """At most `count` of what is left of the present pass."""
        taken = self._order[self._position : self._position + count]
        self._position += len(taken)
        return taken

    def weights(self, split: Split, chosen: slice | Chosen) -> Array | None:
        """How much each `chosen` example of a split counts in the loss: its own weight times that of its class.

        None when all count the same.
        """
        examples = self.splits[split]
        own = None if examples.weights is None else examples.weights[chosen]
        if self._class_weights is None:
            return own
        of_class = self._class_weights[examples.labels[chosen].astype(np.int64, copy=False)]
        return of_class if own is None else own * of_class

    @np.errstate(over="ignore", invalid="ignore")
    def _decay(self) -> tuple[float, float]:
        """Add the gradients of `l1 Σ|w|` and `½ l2 Σw²`, over weights and not biases, and return both penalties.

        A layer's l1_multiplier and l2_multiplier say how strongly its weights take part. convnetjs divides these
        gradients by the batch size; here `l1` and `l2` mean the same at every batch size.
        """
        l1, l2 = self.spec.l1, self.spec.l2
        gradients, parameters = self.network.gradients, self.network.parameters
        l1_loss = l2_loss = 0.0
        if l2:
            pull = parameters * self.network.l2_mask
            l2_loss = 0.5 * l2 * float(pull @ parameters)
            gradients += l2 * pull
        if l1:
            pull = np.sign(parameters) * self.network.l1_mask
            l1_loss = l1 * float(pull @ parameters)
            gradients += l1 * pull
        return l1_loss, l2_loss

    @np.errstate(over="ignore", invalid="ignore")
    def _clip(self, loss: float) -> None:
        """Shorten the gradient, decay included, to `clip_norm` if it is longer: `g ← g · clip_norm / |g|`.

        Pascanu et al. (2013), https://proceedings.mlr.press/v28/pascanu13.html. DivergedError when the loss or the
        gradient is not finite.
        """
        gradients, limit = self.network.gradients, self.spec.clip_norm
        square = float(gradients @ gradients)
        if not isfinite(loss + square):
            raise DivergedError(self.steps + 1)
        if limit is not None and square > limit**2:
            gradients *= limit / sqrt(square)

    def change(self, **hyperparameters: Any) -> RunSpec:
        """Go on with what `changed` makes of the spec; a new optimizer of the same name keeps its memory.

        Raises SpecError, and changes nothing, when a value is out of its range too.
        """
        self._adopt(changed(self.spec, **hyperparameters))
        return self.spec

    def _adopt(self, spec: RunSpec) -> None:
        """Go on with another spec of the same network."""
        self._check(spec)
        before, self.spec = self.spec, spec
        self._choose_loss()
        if spec.optimizer.name == before.optimizer.name:
            self.optimizer.spec = spec.optimizer
        else:
            self.optimizer = self._new_optimizer(spec.optimizer)
        if spec.batch_size != before.batch_size:
            self._batch = self._new_batch()
        self._choose_tape()

    def reset(self, *, seed: int | None = None) -> None:
        """Back to step 0: the same initial weights and order as at first, or those of another seed.

        Weights that are written out in the spec are the same with any seed.
        """
        if seed is not None:
            self.spec = checked(replace(self.spec, seed=seed))
        self._start()

    # ---- Saving and going on ---------------------------------------------------------------------------------------

    def state(self) -> TrainerState:
        """A copy of everything that later steps depend on."""
        generators = {name: dict(rng.bit_generator.state) for name, rng in self._rngs.items()}
        generators["order"] = dict(self._order_state)
        return TrainerState(
            spec=self.spec,
            steps=self.steps,
            examples=self.examples,
            position=self._position,
            parameters=self.network.parameters.copy(),
            optimizer_steps=self.optimizer.steps,
            accumulators={name: array.copy() for name, array in self.optimizer.state.items()},
            generators=generators,
        )

    @classmethod
    def from_state(cls, state: TrainerState, dataset: Dataset, *, clock: Callable[[], float] = no_clock) -> Self:
        """A trainer that goes on exactly where the one of `state` was."""
        trainer = cls(state.spec, dataset, clock=clock)
        trainer.restore(state)
        return trainer

    def restore(self, state: TrainerState) -> None:
        """Go back (or on) to a state of this run, hyperparameters included. SpecError if it is of another."""
        if state.spec.network != self.spec.network or state.spec.dataset != self.spec.dataset:
            raise SpecError("This state belongs to another network or dataset.", field="/network")
        check_shape("Parameters", state.parameters, self.network.parameters.shape)
        diet = self._diet(max(0, state.steps - 1))  # of the last update, whose pass goes on
        if state.position > diet.stop - diet.start:
            raise SpecError(
                f"This state is {state.position:,} examples into a pass over {diet.stop - diet.start:,}: it belongs to a larger "
                "dataset.",
                field="/dataset",
            )
        self._adopt(state.spec)
        self.network.parameters[:] = state.parameters
        self.optimizer.steps = state.optimizer_steps
        for name, array in self.optimizer.state.items():
            array[:] = state.accumulators[name]
        for name, rng in self._rngs.items():
            rng.bit_generator.state = state.generators[name]
        self._shuffle(diet)
        self._position = state.position
        self.steps = state.steps
        self.examples = state.examples

    # ---- Predicting ------------------------------------------------------------------------------------------------

    def predict(self, values: npt.ArrayLike) -> Array:
        """Probabilities (N, K) of examples in the dataset's own shape; where a number is learned, the outputs (N, 1).

        ShapeError when they are of another shape or out of range.
        """
        return self.probabilities(self.dataset.read_inputs(self.spec.dataset, values))

    def predict_ink(self, ink: npt.ArrayLike) -> tuple[Ink, Array] | None:
        """A drawing (see `engine.ink.preprocess`) as the network sees it, with the probabilities (K,); None if empty."""
        if not isinstance(self.spec.dataset, MnistSpec):
            raise ShapeError("This network has not learned from pictures: it cannot read a drawing.")
        drawing = preprocess(ink)
        if drawing is None:
            return None
        return drawing, self.probabilities(drawing.network_input(self.spec.dataset.crop))[0]

    def logits(self, inputs: Array) -> Array:
        """The logits (K, N) of network inputs (*input_shape, N).

        With two cores the chunks are half as large as with one, and a second core computes half of them. ShapeError when
        the inputs do not fit.
        """
        chunk = self.network.chunk // self.spec.cores
        shared = None if self.second_core is None else self.second_core.logits(inputs, chunk)
        return self.network.logits(inputs, chunk=chunk) if shared is None else shared

    def probabilities(self, inputs: Array) -> Array:
        """Probabilities (N, K) of network inputs (*input_shape, N); where a number is learned, the outputs (N, 1)."""
        outputs = self.logits(inputs)
        if self.dataset.classes:
            outputs = self.loss.probabilities(outputs)
        return np.ascontiguousarray(outputs.T)


def fresh_state(spec: RunSpec, parameters: Array | None = None) -> TrainerState:
    """The state of a run at step 0, as `Trainer` makes it, or with other initial `parameters` (P,)."""
    initial, generators = _spawn(spec.seed)
    if parameters is None:
        parameters = _initial_network(spec, initial).parameters
    optimizer = OPTIMIZERS[spec.optimizer.name](spec.optimizer, parameters.size, parameters.dtype)
    return TrainerState(
        spec=spec,
        steps=0,
        examples=0,
        position=0,
        parameters=parameters,
        optimizer_steps=0,
        accumulators=optimizer.state,
        generators={name: dict(rng.bit_generator.state) for name, rng in generators.items()},
    )


def _initial_network(spec: RunSpec, rng: np.random.Generator) -> Network:
    """The network at step 0: with the parameters that the spec writes out, else drawn from `rng`."""
    network = Network.build(spec.network, spec.dataset.input_shape, rng=rng, initializer=spec.initializer)
    if spec.parameters is not None:
        network.parameters[:] = spec.parameters
    return network


def _spawn(seed: int) -> tuple[np.random.Generator, dict[str, np.random.Generator]]:
    """The generator of the initial weights, and those that go on."""
    initial, *others = np.random.default_rng(seed).spawn(1 + len(GENERATORS))
    return initial, dict(zip(GENERATORS, others, strict=True))
