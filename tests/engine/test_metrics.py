"""Metrics worked by hand, and what they say when there is nothing to measure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics as sklearn

from engine.metrics import ClassScores, ScoreCounts, accuracy, confusion_matrix, per_class, two_by_two

LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTIONS = np.array([0, 0, 1, 1, 0, 1])


def test_rows_are_the_truth_and_columns_the_predictions() -> None:
    assert confusion_matrix(LABELS, PREDICTIONS, 3).tolist() == [[2, 1, 0], [1, 1, 0], [0, 1, 0]]


def test_accuracy_is_the_share_on_the_diagonal() -> None:
    assert accuracy(confusion_matrix(LABELS, PREDICTIONS, 3)) == 0.5


def test_each_class_against_all_others() -> None:
    zero, one, two = per_class(confusion_matrix(LABELS, PREDICTIONS, 3))
    assert zero == ClassScores(precision=2 / 3, recall=2 / 3, f1=2 / 3, support=3)
    assert one == ClassScores(precision=1 / 3, recall=1 / 2, f1=pytest.approx(0.4), support=2)
    assert two == ClassScores(precision=None, recall=0.0, f1=0.0, support=1)


def test_nothing_measured_is_not_zero() -> None:
    empty = confusion_matrix(np.array([], np.int64), np.array([], np.int64), 2)
    assert accuracy(empty) is None
    assert per_class(empty) == [ClassScores(None, None, None, 0)] * 2


def test_one_class_only() -> None:
    scores = per_class(confusion_matrix(np.zeros(5, np.int64), np.zeros(5, np.int64), 2))
    assert scores == [ClassScores(1.0, 1.0, 1.0, 5), ClassScores(None, None, None, 0)]


Scores = npt.NDArray[np.float32]


def scored(*, digits: int) -> tuple[Scores, Scores]:
    """80 positives and 3,000 negatives; rounded to few digits, many of them score the same."""
    rng = np.random.default_rng(digits)
    positives, negatives = rng.normal(1.5, 1, 80), rng.normal(0, 1, 3_000)
    return positives.round(digits).astype(np.float32), negatives.round(digits).astype(np.float32)


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_counts_of_scores_agree_with_scikit_learn(digits: int) -> None:
    positives, negatives = scored(digits=digits)
    counts = ScoreCounts(positives, np.array([-9, 0.55, 0.5, 9], np.float32))
    for portion in np.array_split(negatives, 7):
        counts.add(portion)
    truth = np.repeat([1, 0], [len(positives), len(negatives)])
    scores = np.concatenate([positives, negatives])

    assert counts.average_precision == pytest.approx(sklearn.average_precision_score(truth, scores), rel=1e-12)
    assert counts.roc_auc == pytest.approx(sklearn.roc_auc_score(truth, scores), rel=1e-12)
    false_positives, recalls, thresholds = sklearn.roc_curve(truth, scores, drop_intermediate=False)
    ours = np.isin(counts.thresholds, thresholds)
    assert ours.sum() >= len(np.unique(positives))
    theirs = np.searchsorted(-thresholds, -counts.thresholds[ours])
    assert counts.found[ours] / 80 == pytest.approx(recalls[theirs])
    assert counts.stopped[ours] / 3_000 == pytest.approx(false_positives[theirs])
    for threshold, found, stopped in list(zip(counts.thresholds, counts.found, counts.stopped, strict=True))[::4]:
        said = scores >= threshold
        confusion = two_by_two(int(found), int(stopped), 80, 3_000)
        assert confusion.tolist() == sklearn.confusion_matrix(truth, said).tolist()
        fraud = per_class(confusion)[1]
        assert accuracy(confusion) == sklearn.accuracy_score(truth, said)
        assert (fraud.recall, fraud.f1) == pytest.approx(
            (sklearn.recall_score(truth, said), sklearn.f1_score(truth, said))
        )
        if said.any():
            assert fraud.precision == pytest.approx(sklearn.precision_score(truth, said))
        else:
            assert fraud.precision is None


def test_scores_of_nobody_have_no_areas() -> None:
    empty = ScoreCounts(np.zeros(0, np.float32))
    assert (empty.average_precision, empty.roc_auc) == (None, None)
    assert ScoreCounts(np.ones(3, np.float32)).roc_auc is None
