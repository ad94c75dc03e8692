"""What is measured while a run trains: always at the same steps, so that the same run draws the same curves.

A point is the mean over the updates since the last one: every 10 updates at first, then every 100, then every 1,000, so
that a curve of any length has a few thousand points a decade. Now and then a portion of the validation and of the test
set is judged, in turns through the whole split; what is shown is the mean over the last 2,000 examples, a rolling
estimate that costs about a fifteenth of the training time. Each split is walked in one shuffled order: in the order of
MNIST's files the curves would rise and fall with the walk, because easy and hard writers come in long stretches.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import asdict, dataclass, field
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from app.wire.points import Points, no_points
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

METRICS = (
    "train_loss",
    "l1_loss",
    "l2_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_accuracy",
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


@dataclass(slots=True)
class Rotation:
    """The walk through one split: where the next portion begins, and the last portions' sums."""

    position: int = 0
    losses: list[float] = field(default_factory=list)
    correct: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def judge(self, trainer: Trainer, split: Split) -> None:
        examples = trainer.splits[split]
        portion = walk(len(examples))[self.position : self.position + PORTION]
        self.position = (self.position + len(portion)) % len(examples)
        labels = examples.labels[portion]
        logits = trainer.network.logits(examples.look(portion), chunk=PORTION // 2)
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


class Recorder:
    """Fed with every update; collects points until `take` hands them over.

    `seconds` is the time this run has trained; `unimproved` counts the measurements of the validation loss since the
    best one.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.unimproved = 0
        self.latest: dict[str, float | None] = dict.fromkeys(METRICS)
        self._best = math.inf
        self._window = Window()
        self._rotations: dict[Split, Rotation] = {"validation": Rotation(), "test": Rotation()}
        self._judged_at = 0
        self._pending = no_points()
        self._pace: deque[tuple[float, int]] = deque()

    def add(self, trainer: Trainer, result: StepResult, started: float) -> None:
        """Take note of an update that began at `started` (perf_counter), and of its time up to now."""
        self._window.add(result)
        due = trainer.steps % point_interval(trainer.steps) == 0
        judged = due and self._is_time_to_judge(trainer)
        if judged:
            self._judge(trainer)
        self.seconds += perf_counter() - started
        if due:
            self._make_point(trainer, judged)

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
                if split == "validation":
                    self.latest["validation_loss"] = finite(rotation.loss)
                    self.unimproved += 1
                    if rotation.loss < self._best:
                        self._best, self.unimproved = rotation.loss, 0
                self.latest[f"{split}_accuracy"] = rotation.accuracy

    def _make_point(self, trainer: Trainer, judged: bool) -> None:
        self.latest |= self._window.means()
        self._window = Window()
        point: dict[str, float | int | None] = {
            "step": trainer.steps,
            "examples": trainer.examples,
            "seconds": self.seconds,
            **{name: self.latest[name] for name in ("train_loss", "l1_loss", "l2_loss", "train_accuracy")},
            **{
                name: self.latest[name] if judged else None
                for name in ("validation_loss", "validation_accuracy", "test_accuracy")
            },
        }
        for column, values in self._pending.items():
            values.append(point[column])

    def note_single_step(self, result: StepResult) -> None:
        """While a person takes single updates, each one's own numbers are the latest."""
        alone = Window()
        alone.add(result)
        self.latest |= alone.means()

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

    # ---- Saving and going on ---------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that later points depend on, as JSON values. Points not yet taken are not part of it."""
        return {
            "seconds": self.seconds,
            "unimproved": self.unimproved,
            "best": finite(self._best),
            "latest": self.latest,
            "window": asdict(self._window),
            "rotations": {split: asdict(rotation) for split, rotation in self._rotations.items()},
            "judged_at": self._judged_at,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Recorder:
        recorder = cls()
        recorder.seconds, recorder.unimproved = state["seconds"], state["unimproved"]
        recorder._best = math.inf if state["best"] is None else state["best"]
        recorder.latest |= state["latest"]
        recorder._window = Window(**state["window"])
        recorder._rotations = {
            "validation": Rotation(**state["rotations"]["validation"]),
            "test": Rotation(**state["rotations"]["test"]),
        }
        recorder._judged_at = state["judged_at"]
        recorder.rest()
        return recorder


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
