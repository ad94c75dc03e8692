"""A month of transactions judged whole: every count exact, in little memory, while the training may go on."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn

from app.labs.unbalanced_data import Settings, runs
from engine.datasets.transactions import Transactions
from engine.lessons.unbalanced_data import (
    CHUNKS_A_LOOK,
    REACH,
    THRESHOLDS,
    Judgement,
    at_threshold,
    constant_answers,
    curves,
    histogram,
    judge,
    shares_of_frauds,
)
from engine.specs import RunSpec, TransactionsSpec
from engine.trainer import Trainer

SMALL = TransactionsSpec(transactions=100_000, seed=2)
LIMIT = 2**30


def trained(updates: int, dataset: TransactionsSpec = SMALL) -> Trainer:
    spec = replace(runs(Settings())["class_weights"], dataset=dataset)
    trainer = Trainer(spec, Transactions(dataset))
    if updates:
        trainer.advance(updates)
    return trainer


def returned(looking: Generator[None, None, dict[str, Any]]) -> dict[str, Any]:
    while True:
        try:
            next(looking)
        except StopIteration as end:
            found: dict[str, Any] = end.value
            return found


def test_the_constant_answers_of_the_lecture() -> None:
    never, always = constant_answers(10_000_000)
    assert never == {
        "tp": 0, "fp": 0, "fn": 1_000, "tn": 9_999_000,
        "accuracy": 0.9999, "recall": 0.0, "precision": None, "f1": 0.0,
    }  # fmt: skip
    assert (always["accuracy"], always["recall"], always["precision"]) == (0.0001, 1.0, 0.0001)
    assert always["f1"] == pytest.approx(2 * 0.0001 / 1.0001)


def test_a_judgement_is_what_scikit_learn_makes_of_all_scores() -> None:
    trainer = trained(300)
    judgement = Judgement(trainer)
    while not judgement.is_over:
        judgement.advance(3)
    seen = judgement.to_json()
    test = trainer.splits["test"]
    honest, fraud = trainer.network.logits(test.look(slice(None)))
    scores, truth = (fraud - honest).astype(np.float64), test.labels
    # A fraud that was judged with others beside it may differ in its last bit.
    assert seen["average_precision"] == pytest.approx(sklearn.average_precision_score(truth, scores), rel=1e-6)
    assert seen["roc_auc"] == pytest.approx(sklearn.roc_auc_score(truth, scores), rel=1e-9)
    for threshold in (-3.1, 0.0, 2.5, 19.9):
        said, found = scores >= np.float32(threshold), at_threshold(seen, threshold)
        assert [found["tn"], found["fp"], found["fn"], found["tp"]] == sklearn.confusion_matrix(truth, said).ravel().tolist()
        assert found["accuracy"] == sklearn.accuracy_score(truth, said)
        assert found["recall"] == sklearn.recall_score(truth, said)
        assert found["f1"] == pytest.approx(sklearn.f1_score(truth, said))
        assert found["precision"] == (pytest.approx(sklearn.precision_score(truth, said)) if said.any() else None)
    precision, recall, _ = sklearn.precision_recall_curve(truth, scores)
    drawn = curves(seen)
    assert drawn["recall"] == sorted(set(recall.tolist()) - {0.0})
    best = {share: precision[recall == share].max() for share in drawn["recall"]}
    assert drawn["precision"] == pytest.approx([best[share] for share in drawn["recall"]], abs=1e-6)
    bars = histogram(seen)
    inner, _ = np.histogram(scores[truth == 0], np.array(bars["edges"][1:-1]))
    assert np.abs(np.array(bars["honest"][1:-1]) - inner).max() <= 1
    assert (sum(bars["honest"]), sum(bars["fraud"])) == (99_990, 10)


def test_weights_that_stand_still_are_judged_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.lessons.unbalanced_data.CHUNKS_A_LOOK", 5)
    trainer = trained(0)
    assert returned(judge(trainer)) == {"of": 100_000, "judged": 0, "more": False}, "nothing has been learned yet"
    trainer.advance(10)
    assert returned(judge(trainer)) == {"of": 100_000, "judged": 0, "more": True}
    trainer.advance(10)
    assert returned(judge(trainer))["judged"] == 0, "they have moved"
    first = returned(judge(trainer))
    assert (first["judged"], first["more"], first["roc_auc"]) == (50_000, True, None)
    second = returned(judge(trainer))
    assert (second["judged"], second["more"], second["honest"]) == (100_000, False, 99_990)
    assert returned(judge(trainer)) == second
    assert second["step"] == 20


def test_training_may_go_on_while_a_month_is_judged() -> None:
    still, moving = trained(50), trained(50)
    returned(judge(still))
    returned(judge(moving))
    looking = judge(moving)
    next(looking)
    moving.advance(20)
    assert returned(looking)["stopped"] == returned(judge(still))["stopped"]
    undisturbed = trained(50)
    undisturbed.advance(20)
    assert np.array_equal(moving.network.parameters, undisturbed.network.parameters)


def test_scores_that_are_no_numbers_are_not_judged() -> None:
    trainer = trained(1)
    trainer.network.parameters[:] = np.inf
    judgement = Judgement(trainer)
    assert judgement.is_over
    assert judgement.to_json()["roc_auc"] is None


def test_how_much_of_the_loss_frauds_are() -> None:
    shares = shares_of_frauds(1_000, 0.3)
    assert shares == {"plain": 0.0001, "class_weights": pytest.approx(1e6 / (1e6 + 9_999_000)), "over_sampling": 0.3}


def test_thresholds_are_those_of_the_slider() -> None:
    assert (THRESHOLDS[0], THRESHOLDS[-1], len(THRESHOLDS)) == (-REACH, REACH, 401)
    assert CHUNKS_A_LOOK * 10_000 == 1_000_000


def learn_and_judge() -> None:
    """Ten million transactions with the lab's own run; prints what the test wants to know."""
    spec: RunSpec = runs(Settings())["class_weights"]
    trainer = trained(spec.stop.steps or 0, spec.dataset)  # type: ignore[arg-type]
    judgement = Judgement(trainer)
    judgement.advance(10_000)
    counts = judgement.counts
    precision = counts.found / np.maximum(1, counts.found + counts.stopped)
    reached = precision[counts.found > 0.8 * counts.positives].max()
    print(counts.positives, counts.negatives, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, reached)


@pytest.mark.long
def test_ten_million_transactions_fit_into_little_memory() -> None:
    """In a process of its own, whose largest size the system knows. What the lab asks for can be reached."""
    code = "from tests.engine.test_lesson_unbalanced_data import learn_and_judge; learn_and_judge()"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    frauds, honest, size, precision = map(float, told.stdout.split())
    assert (frauds, honest) == (1_000, 9_999_000)
    assert size < LIMIT
    assert precision > 0.55, "with a recall above 0.8"
