"""Judging a network on a whole split, in portions, while its training goes on between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.arrays import Array, Labels, Truth
from engine.augmentation import crop_at, random_offsets
from engine.datasets.base import ImageDataset, LabelledImages, Ordered
from engine.metrics import (
    ClassScores,
    Counts,
    RegressionErrors,
    accuracy,
    confusion_matrix,
    per_class,
    regression_errors,
)
from engine.specs import Split
from engine.trainer import Trainer

PORTION = 256
"""Examples judged at a time: some 10 to 30 ms on one core with the default network and one crop."""
PORTION_OF_MANY = 10_000
"""Of millions, which only small networks learn from."""

TOP = 3

_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """How a network did on a split at `step`.

    Where a number is learned, `predictions` are the outputs, float (N,), and `errors` say how far off they are, both in
    the number's own unit; there is then no accuracy, the confusion is (0, 0), and there are no most probable classes.

    loss: mean over examples and crops as in training, weights included, None without examples, as is accuracy (a
    share of the examples, all counting the same);
    predictions: int64 (N,), the most probable classes; top_classes int64 and top_probabilities (N, at most 3): the three
    most probable, first first. Of examples that are too many to be shuffled (`Ordered`) these are not kept: N is 0.
    """

    split: Split
    step: int
    crops: int
    examples: int
    loss: float | None
    accuracy: float | None
    errors: RegressionErrors | None
    confusion: Counts
    per_class: list[ClassScores]
    predictions: Truth
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
        self.crops = crops if isinstance(trainer.dataset, ImageDataset) else 1
        self.judged = 0
        self._trainer = trainer
        self._examples = trainer.splits[split]
        self._parameters = trainer.network.parameters.copy()
        self._views = self._random_views() if self.crops > 1 else None
        self._loss_sum = 0.0
        classes = len(trainer.dataset.classes)
        self._confusion = np.zeros((classes, classes), np.int64)
        self._many = isinstance(self._examples, Ordered)
        self._portion = PORTION_OF_MANY if self._many else PORTION
        kept = 0 if self._many else len(self._examples)
        self._top_classes: Labels = np.empty((kept, min(TOP, classes)), np.int64)
        self._top_probabilities: Array = np.empty((kept, min(TOP, classes)), np.float32)
        self._outputs: Array = np.empty(0 if classes else kept, np.float32)

    def _random_views(self) -> Callable[[slice], Iterator[Array]]:
        """What gives some images through all their random windows, one after the other."""
        images = self._examples
        assert isinstance(images, LabelledImages)
        rng = np.random.default_rng((self._trainer.spec.seed, self.step, _SPLITS.index(self.split)))
        offsets = random_offsets((self.crops, len(images)), int(images.images.shape[1]), images.side, rng)

        def views(part: slice) -> Iterator[Array]:
            for corners in offsets[:, :, part].swapaxes(0, 1):
                yield crop_at(images.images[part], corners, images.side)

        return views

    @property
    def done(self) -> bool:
        """Whether every example has been judged."""
        return self.judged == len(self._examples)

    def advance(self, count: int | None = None) -> None:
        """Judge the next `count` examples, by default a portion, or as many as are left."""
        part = slice(self.judged, min(self.judged + (count or self._portion), len(self._examples)))
        if part.start == part.stop:
            return
        parameters = self._trainer.network.parameters
        present = parameters.copy()
        parameters[:] = self._parameters
        try:
            judged = self._judge(part)
        finally:
            parameters[:] = present
        self._keep(part, judged)
        self.judged = part.stop

    def _keep(self, part: slice, judged: Array) -> None:
        """`judged` (n, K) are probabilities, or (n, 1) outputs where a number is learned."""
        if not self._trainer.dataset.classes:
            self._outputs[part] = judged[:, 0]
            return
        order = np.argsort(-judged, axis=1, kind="stable")[:, :TOP]
        labels = self._examples.labels[part].astype(np.int64, copy=False)
        self._confusion += confusion_matrix(labels, order[:, 0], len(self._confusion))
        if self._many:
            return
        self._top_classes[part] = order
        self._top_probabilities[part] = np.take_along_axis(judged, order, axis=1)

    def _judge(self, part: slice) -> Array:
        """Probabilities (n, K), averaged over the crops; outputs (n, 1) where a number is learned."""
        network, loss, labels = self._trainer.network, self._trainer.loss, self._examples.labels[part]
        classes = len(self._trainer.dataset.classes)
        weights = self._trainer.weights(self.split, part)
        total: Array = np.zeros((max(1, classes), len(labels)), network.dtype)
        for view in [self._examples.look(part)] if self._views is None else self._views(part):
            outputs = self._trainer.logits(view)
            self._loss_sum += loss.loss_and_gradient(outputs, labels, weights)[0] * len(labels) / self.crops
            total += loss.probabilities(outputs) if classes else outputs
        return total.T / np.float32(self.crops)

    def result(self) -> EvaluationResult:
        """The outcome for the examples judged so far."""
        labels = self._examples.labels[: self.judged]
        predictions: Truth
        if self._trainer.dataset.classes:
            predictions, errors = self._top_classes[: self.judged, 0], None
        else:
            mean, spread = self._trainer.dataset.target_scale
            predictions = mean + spread * self._outputs[: self.judged]
            errors = regression_errors(mean + spread * labels, predictions)
        confusion = self._confusion.copy()
        return EvaluationResult(
            split=self.split,
            step=self.step,
            crops=self.crops,
            examples=self.judged,
            loss=self._loss_sum / self.judged if self.judged else None,
            accuracy=accuracy(confusion),
            errors=errors,
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
