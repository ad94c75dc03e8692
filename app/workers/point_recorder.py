"""What is measured while a run of points trains: they are few, so all of them are judged at every point of the curve.

A tiny network makes tens of thousands of updates a second, so points grow sparser with the updates: a few thousand for
a run of any length, and judging stays little beside training.
"""

from __future__ import annotations

import math
from time import perf_counter

import numpy as np

from app.workers.recorder import HOPELESS, Recorder, finite
from engine.losses import make_loss
from engine.metrics import regression_errors
from engine.specs import Split
from engine.trainer import StepResult, Trainer

SPLITS: tuple[Split, ...] = ("train", "test")


def point_interval(step: int) -> int:
    """Updates from one point to the next around `step`."""
    return 10 if step <= 1_000 else 100 if step <= 100_000 else 1_000 if step <= 10_000_000 else 10_000


class PointRecorder(Recorder):
    """Losses, accuracies and R² are those of whole splits, with the weights of the very update at which a point stands."""

    def add(self, trainer: Trainer, result: StepResult, started: float) -> None:  # noqa: ARG002
        due = trainer.steps % point_interval(trainer.steps) == 0
        if due:
            self._measure(trainer)
            self._judged_by(trainer)
        self.seconds += perf_counter() - started
        if due:
            self._append(
                {
                    **self.latest,
                    "step": trainer.steps,
                    "examples": trainer.examples,
                    "seconds": self.seconds,
                }
            )

    def note_single_step(self, trainer: Trainer, result: StepResult) -> None:  # noqa: ARG002
        self._measure(trainer)

    def note_change(self, trainer: Trainer) -> None:
        self._measure(trainer)

    def updates_until_point(self, step: int) -> int:
        interval = point_interval(step + 1)
        return interval - step % interval

    def is_healthy(self, trainer: Trainer) -> bool:
        """Numbers to be learned may be of any size; a loss of less than 10 is harmless."""
        train = trainer.splits["train"]
        guess = np.zeros((trainer.spec.output_count, len(train)), trainer.network.dtype)
        loss = make_loss(trainer.spec)
        of_guessing = loss.loss_and_gradient(guess, train.labels)[0]
        present = loss.loss_and_gradient(trainer.network.logits(train.look(slice(None))), train.labels)[0]
        return present < HOPELESS * max(1.0, of_guessing)

    def _judged_by(self, trainer: Trainer) -> None:
        """A run without points for testing is judged by nothing."""
        loss = self.latest["test_loss"]
        if len(trainer.splits["test"]):
            self._judged(self.latest["test_accuracy"], math.inf if loss is None else loss)

    def _measure(self, trainer: Trainer) -> None:
        loss, classes = make_loss(trainer.spec), trainer.dataset.classes
        for split in SPLITS:
            examples = trainer.splits[split]
            if not len(examples):
                continue
            everything = slice(None)
            outputs = trainer.network.logits(examples.look(everything))
            weights = trainer.weights(split, everything)
            self.latest[f"{split}_loss"] = finite(loss.loss_and_gradient(outputs, examples.labels, weights)[0])
            if classes:
                self.latest[f"{split}_accuracy"] = loss.correct(outputs, examples.labels) / len(examples)
            elif split == "test":
                errors = regression_errors(np.asarray(examples.labels, outputs.dtype), outputs[0])
                self.latest["test_r_squared"] = None if errors is None else errors.r_squared
        self.latest |= self._penalties(trainer)

    @np.errstate(over="ignore", invalid="ignore")
    def _penalties(self, trainer: Trainer) -> dict[str, float | None]:
        """`l1 Σ|w|` and `½ l2 Σw²` with the present weights."""
        network, spec = trainer.network, trainer.spec
        parameters = network.parameters
        return {
            "l1_loss": finite(spec.l1 * float(np.abs(parameters) @ network.l1_mask)),
            "l2_loss": finite(0.5 * spec.l2 * float((parameters * network.l2_mask) @ parameters)),
        }
