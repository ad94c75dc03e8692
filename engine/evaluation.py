"""Judging a network on a whole split, in portions, while its training goes on between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Labels
from engine.augmentation import centre_crop, crop_at, random_offsets
from engine.metrics import ClassScores, Counts, accuracy, confusion_matrix, per_class
from engine.specs import Split
from engine.trainer import Trainer

PORTION = 256
"""Examples judged at a time: some 10 to 30 ms on one core with the default network and one crop."""

TOP = 3

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """How a network did on a split at `step`.

    loss: mean over examples and crops as in training, weights included, None without examples, as is accuracy (a
    share of the examples, all counting the same);
    predictions: int64 (N,); top_classes int64 and top_probabilities (N, 3): the three most probable, first first.
    """

    split: Split
    step: int
    crops: int
    examples: int
    loss: float | None
    accuracy: float | None
    confusion: Counts
    per_class: list[ClassScores]
    predictions: Labels
    top_classes: Labels
    top_probabilities: Array


class Evaluation:
    """An evaluation under way: `advance()` until `done`, then `result()`.

    It judges the weights of the moment it was begun, however far the training has gone meanwhile. One crop means the
    centre of each image, the quick look; with more, the probabilities of that many random crops are averaged. Where
    they lie depends on the run's seed, step and split alone: evaluating never disturbs the training, and evaluating
    again, in whatever portions, gives the same.
    """

    def __init__(self, trainer: Trainer, split: Split, *, crops: int = 1) -> None:
        self.split = split
        self.step = trainer.steps
        self.crops = crops
        self.judged = 0
        self._trainer = trainer
        self._examples = trainer.splits[split]
        self._parameters = trainer.network.parameters.copy()
        self._offsets = self._draw_offsets() if crops > 1 else None
        self._loss_sum = 0.0
        self._top_classes: Labels = np.empty((len(self._examples), TOP), np.int64)
        self._top_probabilities: Array = np.empty((len(self._examples), TOP), np.float32)

    def _draw_offsets(self) -> npt.NDArray[np.int64]:
        """Corners of the crops, int64 (2, crops, examples)."""
        spec = self._trainer.spec
        rng = np.random.default_rng((spec.seed, self.step, _SPLITS.index(self.split)))
        return random_offsets((self.crops, len(self._examples)), self._trainer.dataset.side, spec.dataset.crop, rng)

    @property
    def done(self) -> bool:
        """Whether every example has been judged."""
        return self.judged == len(self._examples)

    def advance(self, count: int = PORTION) -> None:
        """Judge the next `count` examples, or as many as are left."""
        part = slice(self.judged, min(self.judged + count, len(self._examples)))
        if part.start == part.stop:
            return
        parameters = self._trainer.network.parameters
        present = parameters.copy()
        parameters[:] = self._parameters
        try:
            probabilities = self._judge(part)
        finally:
            parameters[:] = present
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
        self._top_classes[part] = order
        self._top_probabilities[part] = np.take_along_axis(probabilities, order, axis=1)
        self.judged = part.stop

    def _judge(self, part: slice) -> Array:
        """Probabilities (n, K), averaged over the crops."""
        network, loss, labels = self._trainer.network, self._trainer.loss, self._examples.labels[part]
        weights = self._trainer.weights(self.split, part)
        total: Array = np.zeros((len(self._trainer.dataset.classes), len(labels)), network.dtype)
        for view in self._views(part):
            logits = network.logits(view)
            self._loss_sum += loss.loss_and_gradient(logits, labels, weights)[0] * len(labels) / self.crops
            total += loss.probabilities(logits)
        return total.T / np.float32(self.crops)

    def _views(self, part: slice) -> Iterator[Array]:
        images, crop = self._examples.images[part], self._trainer.spec.dataset.crop
        if self._offsets is None:
            yield centre_crop(images, crop)
        else:
            for offsets in self._offsets[:, :, part].swapaxes(0, 1):
                yield crop_at(images, offsets, crop)

    def result(self) -> EvaluationResult:
        """The outcome for the examples judged so far."""
        labels, predictions = self._examples.labels[: self.judged], self._top_classes[: self.judged, 0]
        confusion = confusion_matrix(labels, predictions, len(self._trainer.dataset.classes))
        return EvaluationResult(
            split=self.split,
            step=self.step,
            crops=self.crops,
            examples=self.judged,
            loss=self._loss_sum / self.judged if self.judged else None,
            accuracy=accuracy(confusion),
            confusion=confusion,
            per_class=per_class(confusion),
            predictions=predictions,
            top_classes=self._top_classes[: self.judged],
            top_probabilities=self._top_probabilities[: self.judged],
        )


def evaluate(trainer: Trainer, split: Split, *, crops: int = 1) -> EvaluationResult:
    """A whole evaluation at once."""
    evaluation = Evaluation(trainer, split, crops=crops)
    while not evaluation.done:
        evaluation.advance()
    return evaluation.result()
