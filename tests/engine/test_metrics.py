"""Metrics worked by hand, and what they say when there is nothing to measure."""

from __future__ import annotations

import numpy as np
import pytest

from engine.metrics import ClassScores, accuracy, confusion_matrix, per_class

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
