"""How good a network is, from what is true and what it predicts."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
"""A confusion matrix, int64 (classes, classes): row = true class, column = predicted class."""


def confusion_matrix(labels: npt.NDArray[np.int64], predictions: npt.NDArray[np.int64], classes: int) -> Counts:
    """How often each true class was taken for each class. labels, predictions: int64 (N,) in [0, classes)."""
    return np.bincount(labels * classes + predictions, minlength=classes * classes).reshape(classes, classes)


def accuracy(confusion: Counts) -> float | None:
    """The share of examples on the diagonal; None when there are no examples."""
    total = int(confusion.sum())
    return int(np.trace(confusion)) / total if total else None


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class against all others. A share whose denominator is zero is None: it was not measured, and is not 0.

    precision: of those taken for the class, the share that is of it; recall: of those of the class, the share found;
    f1: the harmonic mean of both; support: how many examples are of the class.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


def per_class(confusion: Counts) -> list[ClassScores]:
    """Precision, recall, F1 and support of every class."""
    hits, predicted, support = (
        np.diag(confusion).tolist(),
        confusion.sum(axis=0).tolist(),
        confusion.sum(axis=1).tolist(),
    )
    return [
        ClassScores(_share(hit, guess), _share(hit, true), _share(2 * hit, guess + true), true)
        for hit, guess, true in zip(hits, predicted, support, strict=True)
    ]


Scores = npt.NDArray[np.floating[Any]]
"""How strongly each example is taken for the positive class, (N,)."""


class ScoreCounts:
    """How many examples of two classes score at least each of many thresholds; of the negatives, only counts are kept.

    `positives` (P,) are the scores of all examples of the rare class. `thresholds` (T,), distinct and rising, are these
    scores and `others`. Negatives are added in portions, in any order, and the counts stay exact.
    """

    def __init__(self, positives: Scores, others: Scores | None = None) -> None:
        self.positives, self.negatives = len(positives), 0
        self.thresholds = np.unique(positives if others is None else np.concatenate([positives, others]))
        self.found: npt.NDArray[np.int64] = self.positives - np.sort(positives).searchsorted(self.thresholds)
        self._below = np.zeros(len(self.thresholds), np.int64)
        self._tied = np.zeros(len(self.thresholds), np.int64)

    def add(self, negatives: Scores) -> None:
        """Count the scores of some negatives, (n,)."""
        ordered = np.sort(negatives)
        below = ordered.searchsorted(self.thresholds)
        self._below += below
        self._tied += ordered.searchsorted(self.thresholds, side="right") - below
        self.negatives += len(negatives)

    @property
    def stopped(self) -> npt.NDArray[np.int64]:
        """Negatives that score at least each threshold, (T,)."""
        return self.negatives - self._below

    @property
    def average_precision(self) -> float | None:
        """`Σ (recall − recall at the next higher threshold) · precision`: the area under the steps of precision over recall.

        A threshold between the positives' scores finds nobody more, so that it takes no part. As scikit-learn has it.
        """
        hits = self._hits
        precision = self.found[hits > 0] / (self.found + self.stopped)[hits > 0]
        return float(hits[hits > 0] @ precision) / self.positives if self.positives else None

    @property
    def roc_auc(self) -> float | None:
        """The share of pairs of a positive and a negative in which the positive scores higher; a tie counts half.

        It is the area under the curve of recall over the share of negatives that are stopped (Hanley, McNeil 1982,
        https://doi.org/10.1148/radiology.143.1.7063747).
        """
        pairs = self.positives * self.negatives
        return float(self._hits @ (self._below + self._tied / 2)) / pairs if pairs else None

    @property
    def _hits(self) -> npt.NDArray[np.int64]:
        """Positives that score exactly each threshold, (T,)."""
        return -np.diff(self.found, append=0)


def two_by_two(found: int, stopped: int, positives: int, negatives: int) -> Counts:
    """The confusion matrix of a threshold that `found` of the positives and `stopped` of the negatives reach."""
    return np.array([[negatives - stopped, stopped], [positives - found, found]], np.int64)


@dataclass(frozen=True, slots=True)
class RegressionErrors:
    """How far predicted numbers are off, in the numbers' own unit.

    r_squared: `1 − Σ (y − o)² / Σ (y − mean y)²`: 1 is perfect, 0 no better than always saying the mean; None when all
    `y` are the same.
    """

    r_squared: float | None
    mean_absolute_error: float
    root_mean_squared_error: float


def regression_errors(
    targets: npt.NDArray[np.floating[Any]], outputs: npt.NDArray[np.floating[Any]]
) -> RegressionErrors | None:
    """Of targets and outputs (N,); None when there are none, or the outputs are no numbers any more."""
    if not len(targets) or not np.isfinite(outputs).all():
        return None
    errors = outputs.astype(np.float64) - targets
    squares, spread = float(errors @ errors), float(np.var(targets.astype(np.float64))) * len(targets)
    return RegressionErrors(
        r_squared=1 - squares / spread if spread > 0 else None,
        mean_absolute_error=float(np.abs(errors).mean()),
        root_mean_squared_error=sqrt(squares / len(targets)),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
