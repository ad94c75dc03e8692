"""What is measured while a run trains: always at the same steps, so that the same run draws the same curves.

This module measures runs of pictures and of transactions; app.workers.point_recorder those of points, of which all can be
judged every time.
A point of the curve is the mean over the updates since the last one: every 10 updates at first, then every 100, then every 1,000, so
that a curve of any length has a few thousand points a decade. Now and then a portion of the validation and of the test
set is judged, in turns through the whole split; what is shown is the mean over the last 2,000 examples, a rolling
estimate that costs about a fifteenth of the training time. Each split is walked in one shuffled order: in the order of
MNIST's files the curves would rise and fall with the walk, because easy and hard writers come in long stretches. Transactions
are in random order as they are, and neighbours are made together.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import asdict, dataclass, field
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from app.wire.points import Points, no_points
from engine.datasets.base import Examples, Ordered
from engine.losses import make_loss
from engine.specs import Split
from engine.trainer import StepResult, Trainer

PORTION = 200
"""Examples judged at a time."""
PORTIONS_SHOWN = 10
WALK_SEED = 1
"""The same for every run, whatever its own seed, so that the curves of two runs compare."""
STEPS_BETWEEN_PORTIONS = 100
EXAMPLES_BETWEEN_PORTIONS = 2_000
"""With small batches 100 updates are little work; judging must stay little beside it."""
SPEED_SECONDS = 1.0
HOPELESS = 10
"""A loss this many times that of guessing is on its way to diverging: such a state is not worth keeping."""

METRICS = (
    "train_loss",
    "l1_loss",
    "l2_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
    "test_r_squared",
    "examples_per_second",
    "forward_ms",
    "backward_ms",
)


def point_interval(step: int) -> int:
    """Updates from one point to the next around `step`."""
    return 10 if step <= 60_000 else 100 if step <= 1_000_000 else 1_000


@dataclass(slots=True)
class Window:
    """Sums over the updates since the last point."""

    steps: int = 0
    loss: float = 0.0
    l1_loss: float = 0.0
    l2_loss: float = 0.0
    correct: int = 0
    examples: int = 0
    forward_seconds: float = 0.0
    backward_seconds: float = 0.0

    def add(self, result: StepResult) -> None:
        self.steps += 1
        self.loss += result.loss
        self.l1_loss += result.l1_loss
        self.l2_loss += result.l2_loss
        self.correct += result.correct
        self.examples += result.examples
        self.forward_seconds += result.forward_seconds
        self.backward_seconds += result.backward_seconds

    def means(self) -> dict[str, float]:
        return {
            "train_loss": self.loss / self.steps,
            "l1_loss": self.l1_loss / self.steps,
            "l2_loss": self.l2_loss / self.steps,
            "train_accuracy": self.correct / self.examples,
            "forward_ms": 1000 * self.forward_seconds / self.examples,
            "backward_ms": 1000 * self.backward_seconds / self.examples,
        }


@cache
def walk(count: int) -> npt.NDArray[np.int64]:
    """The order in which a split of `count` examples is judged."""
    return np.random.default_rng(WALK_SEED).permutation(count)


def next_portion(examples: Examples, start: int) -> npt.NDArray[np.int64]:
    """Places of the examples that are judged together."""
    if isinstance(examples, Ordered):
        return np.arange(start, min(start + PORTION, len(examples)))
    return walk(len(examples))[start : start + PORTION]


@dataclass(slots=True)
class Rotation:
    """The walk through one split: where the next portion begins, and the last portions' sums."""

    position: int = 0
    losses: list[float] = field(default_factory=list)
    correct: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def judge(self, trainer: Trainer, split: Split) -> None:
        examples = trainer.splits[split]
        portion = next_portion(examples, self.position)
        self.position = (self.position + len(portion)) % len(examples)
        labels = examples.labels[portion]
        logits = trainer.logits(examples.look(portion))
        loss = make_loss(trainer.spec).loss_and_gradient(logits, labels, trainer.weights(split, portion))[0]
        self._keep(loss * len(portion), trainer.loss.correct(logits, labels), len(portion))

    def _keep(self, loss: float, correct: int, count: int) -> None:
        self.losses = [*self.losses, loss][-PORTIONS_SHOWN:]
        self.correct = [*self.correct, correct][-PORTIONS_SHOWN:]
        self.counts = [*self.counts, count][-PORTIONS_SHOWN:]

    @property
    def loss(self) -> float:
        return sum(self.losses) / sum(self.counts)

    @property
    def accuracy(self) -> float:
        return sum(self.correct) / sum(self.counts)


class Recorder(ABC):
    """Fed with every update; collects points until `take` hands them over.

    `seconds` is the time this run has trained; `accuracy` and `loss` are the last of the split by which the run is
    judged, `unimproved` counts its measurements since the lowest loss, `heard` is when somebody last steered the run.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.heard = 0.0
        self.unimproved = 0
        self.accuracy: float | None = None
        self.loss: float | None = None
        self.latest: dict[str, float | None] = dict.fromkeys(METRICS)
        self._best = math.inf
        self._pending = no_points()
        self._pace: deque[tuple[float, int]] = deque()

    @abstractmethod
    def add(self, trainer: Trainer, result: StepResult, started: float) -> None:
        """Take note of updates that began at `started` (perf_counter), and of their time up to now."""

    @abstractmethod
    def note_single_step(self, trainer: Trainer, result: StepResult) -> None:
        """While a person takes single updates, each one's own numbers are the latest."""

    @abstractmethod
    def note_change(self, trainer: Trainer) -> None:
        """The weights are others without an update."""

    @abstractmethod
    def updates_until_point(self, step: int) -> int:
        """How many updates may be added at once after `step`."""

    @abstractmethod
    def is_healthy(self, trainer: Trainer) -> bool:
        """Whether the present weights are worth keeping; the loss of the last update was measured before it."""

    def begin_patience(self) -> None:
        """What was best so far is no measure any more."""
        self.unimproved, self._best = 0, math.inf

    def measure_pace(self, examples: int) -> None:
        """Examples per second of the wall clock over about the last second; call it a few times a second."""
        now = perf_counter()
        self._pace.append((now, examples))
        while len(self._pace) > 2 and now - self._pace[1][0] >= SPEED_SECONDS:
            self._pace.popleft()
        began, before = self._pace[0]
        if now > began:
            self.latest["examples_per_second"] = (examples - before) / (now - began)

    def rest(self) -> None:
        """The run stands still: a pause is no part of its pace."""
        self._pace.clear()
        self.latest["examples_per_second"] = None

    def take(self) -> Points:
        """The points since the last call."""
        points, self._pending = self._pending, no_points()
        return points

    def _judged(self, accuracy: float | None, loss: float) -> None:
        self.accuracy, self.loss = accuracy, finite(loss)
        self.unimproved += 1
        if loss < self._best:
            self._best, self.unimproved = loss, 0

    def _append(self, point: dict[str, float | int | None]) -> None:
        for column, values in self._pending.items():
            values.append(point.get(column))

    # ---- Saving and going on ---------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that later points depend on, as JSON values. Points not yet taken are not part of it."""
        return {
            "seconds": self.seconds,
            "heard": self.heard,
            "unimproved": self.unimproved,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "best": finite(self._best),
            "latest": self.latest,
        }

    def go_on(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.seconds, self.unimproved = state["seconds"], state["unimproved"]
        self.heard = state.get("heard", self.seconds)  # older files do not have it, nor these
        self.accuracy, self.loss = state.get("accuracy"), state.get("loss")
        self._best = math.inf if state["best"] is None else state["best"]
        self.latest |= state["latest"]
        self.rest()


class PortionRecorder(Recorder):
    """Means over the updates since the last point, and rolling estimates of the other splits."""

    def __init__(self) -> None:
        super().__init__()
        self._window = Window()
        self._rotations: dict[Split, Rotation] = {"validation": Rotation(), "test": Rotation()}
        self._judged_at = 0

    def add(self, trainer: Trainer, result: StepResult, started: float) -> None:
        self._window.add(result)
        due = trainer.steps % point_interval(trainer.steps) == 0
        judged = due and self._is_time_to_judge(trainer)
        if judged:
            self._judge(trainer)
        self.seconds += perf_counter() - started
        if due:
            self._make_point(trainer, judged)

    def note_single_step(self, trainer: Trainer, result: StepResult) -> None:  # noqa: ARG002
        alone = Window()
        alone.add(result)
        self.latest |= alone.means()

    def note_change(self, trainer: Trainer) -> None:
        """The next portion tells."""

    def updates_until_point(self, step: int) -> int:  # noqa: ARG002
        """Each update's own numbers are wanted."""
        return 1

    def is_healthy(self, trainer: Trainer) -> bool:
        portion = Rotation()
        portion.judge(trainer, "train")
        return portion.loss < HOPELESS * math.log(len(trainer.dataset.classes))

    def _is_time_to_judge(self, trainer: Trainer) -> bool:
        return (
            trainer.steps % STEPS_BETWEEN_PORTIONS == 0
            and trainer.examples - self._judged_at >= EXAMPLES_BETWEEN_PORTIONS
        )

    def _judge(self, trainer: Trainer) -> None:
        self._judged_at = trainer.examples
        for split, rotation in self._rotations.items():
            if len(trainer.splits[split]):
                rotation.judge(trainer, split)
                self.latest[f"{split}_loss"] = finite(rotation.loss)
                self.latest[f"{split}_accuracy"] = rotation.accuracy
                if split == trainer.spec.judged:
                    self._judged(rotation.accuracy, rotation.loss)

    def _make_point(self, trainer: Trainer, judged: bool) -> None:
        self.latest |= self._window.means()
        self._window = Window()
        measured = ["train_loss", "l1_loss", "l2_loss", "train_accuracy"]
        if judged:
            measured += ["validation_loss", "validation_accuracy", "test_loss", "test_accuracy"]
        self._append(
            {
                "step": trainer.steps,
                "examples": trainer.examples,
                "seconds": self.seconds,
                **{name: self.latest[name] for name in measured},
            }
        )

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "window": asdict(self._window),
            "rotations": {split: asdict(rotation) for split, rotation in self._rotations.items()},
            "judged_at": self._judged_at,
        }

    def go_on(self, state: dict[str, Any]) -> None:
        super().go_on(state)
        self._window = Window(**state["window"])
        self._rotations = {
            "validation": Rotation(**state["rotations"]["validation"]),
            "test": Rotation(**state["rotations"]["test"]),
        }
        self._judged_at = state["judged_at"]


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
