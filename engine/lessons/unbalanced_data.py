"""Card transactions, one fraud in 10,000: a month judged whole, and what every threshold would make of it.

Source: the lecture's slide on unbalanced data. Score: `z_fraud − z_honest`, the log of the odds that the network gives to
a fraud; “fraud” is said from the threshold on. Frauds are the positive class: recall TP / (TP + FN), precision
TP / (TP + FP), F1 = 2 TP / (2 TP + FP + FN).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from engine.arrays import Array
from engine.datasets.transactions import CHUNK, Month
from engine.metrics import ScoreCounts, accuracy, per_class, two_by_two
from engine.network import Network
from engine.specs import ONE_FRAUD_IN
from engine.trainer import Trainer

REACH = 20
"""Thresholds go from −REACH to REACH."""
STEPS = 10
"""Thresholds of one unit of score."""
THRESHOLDS = (np.arange(-REACH * STEPS, REACH * STEPS + 1) / STEPS).astype(np.float32)
BIN = 0.5
"""Width of a histogram's bins, in units of score."""
CHUNKS_AT_ONCE = 5
"""Of 10,000 transactions each: some 10 ms."""
CHUNKS_A_LOOK = 100


class Judgement:
    """This month's transactions judged by the weights that a trainer had when it was begun.

    Frauds are judged first; of the honest, who follow in portions, no score is kept but only how many reach each of the
    frauds' scores and each of THRESHOLDS. So 10,000,000 transactions take no memory, and every figure is exact.
    """

    def __init__(self, trainer: Trainer) -> None:
        month = trainer.splits["test"]
        assert isinstance(month, Month)
        self.step, self.seconds, self.done = trainer.steps, 0.0, 0
        self._trainer_clock, self._month = trainer.clock, month
        self._network = Network(trainer.spec.network, trainer.spec.dataset.input_shape)
        self._network.parameters[:] = trainer.network.parameters
        scores = self._scores(month.fraud_inputs)
        self.is_finite = bool(np.isfinite(scores).all())
        self.counts = ScoreCounts(np.where(np.isfinite(scores), scores, 0), THRESHOLDS)

    def is_of(self, trainer: Trainer) -> bool:
        """Whether the trainer still has the same weights and transactions."""
        same_month = self._month is trainer.splits["test"]
        return same_month and np.array_equal(self._network.parameters, trainer.network.parameters)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to judge."""
        return not self.is_finite or self.done == self._month.chunks

    def advance(self, chunks: int = CHUNKS_AT_ONCE) -> None:
        """Judge the honest transactions of the next chunks, or of as many as are left."""
        started = self._trainer_clock()
        for number in range(self.done, min(self.done + chunks, self._month.chunks)):
            inputs, frauds = self._month.chunk(number)
            self.counts.add(np.delete(self._scores(inputs), frauds))
            self.done = number + 1
        self.seconds += self._trainer_clock() - started

    @np.errstate(over="ignore", invalid="ignore")
    def _scores(self, inputs: Array) -> Array:
        honest, fraud = self._network.logits(inputs, chunk=inputs.shape[1])
        scores: Array = fraud - honest
        return scores

    def to_json(self) -> dict[str, Any]:
        """`found` and `stopped`: frauds and honest transactions that score at least each of `thresholds`."""
        counts, whole = self.counts, self.is_finite and self.is_over
        return {
            "step": self.step,
            "seconds": self.seconds,
            "judged": self.done * CHUNK,
            "more": not self.is_over,
            "thresholds": counts.thresholds.tolist(),
            "found": counts.found.tolist(),
            "stopped": counts.stopped.tolist(),
            "frauds": counts.positives,
            "honest": counts.negatives,
            "average_precision": counts.average_precision if whole else None,
            "roc_auc": counts.roc_auc if whole else None,
        }


_under_way: WeakKeyDictionary[Trainer, Judgement] = WeakKeyDictionary()


def judge(trainer: Trainer) -> Generator[None, None, dict[str, Any]]:
    """The next part of this month, judged by the present weights; what was judged before, and of them, is known.

    While a network learns it would be another one at each look, so that only weights that stand still from one look to
    the next are judged. Nothing is before the first update. `more` of the answer: another look would tell more.
    """
    transactions = {"of": trainer.spec.dataset.sizes["test"]}
    if trainer.steps == 0:
        return transactions | {"judged": 0, "more": False}
    known = _under_way.get(trainer)
    if known is None or not known.is_of(trainer):
        _under_way[trainer] = Judgement(trainer)
        return transactions | {"judged": 0, "more": True}
    for _ in range(0, CHUNKS_A_LOOK, CHUNKS_AT_ONCE):
        if known.is_over:
            break
        known.advance()
        yield
    return transactions | known.to_json()


# ---- What a threshold makes of it ------------------------------------------------------------------------------------------


def figures_of(found: int, stopped: int, frauds: int, honest: int) -> dict[str, Any]:
    """The confusion matrix's four counts and the four figures; a share that was not measured is None."""
    confusion = two_by_two(found, stopped, frauds, honest)
    (tn, fp), (fn, tp) = confusion.tolist()
    fraud = per_class(confusion)[1]
    shares = {"accuracy": accuracy(confusion), "recall": fraud.recall, "precision": fraud.precision, "f1": fraud.f1}
    return {"tp": tp, "fp": fp, "fn": fn, "tn": tn, **shares}


def constant_answers(transactions: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The figures of who always says “not fraud”, and of who always says “fraud”."""
    frauds = transactions // ONE_FRAUD_IN
    honest = transactions - frauds
    return figures_of(0, 0, frauds, honest), figures_of(frauds, honest, frauds, honest)


def at_threshold(seen: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    """The figures of a judgement for the nearest of THRESHOLDS."""
    (place,) = _places(seen, [threshold])
    return figures_of(seen["found"][place], seen["stopped"][place], seen["frauds"], seen["honest"])


def curves(seen: Mapping[str, Any]) -> dict[str, list[float]]:
    """Recall, precision and the share of honest people stopped at every score of a fraud, from the highest down."""
    found, stopped = np.array(seen["found"]), np.array(seen["stopped"])
    last = np.flatnonzero(np.diff(found, append=0))[::-1]
    found, stopped = found[last], stopped[last]
    return {
        "recall": (found / seen["frauds"]).round(6).tolist(),
        "precision": (found / (found + stopped)).round(6).tolist(),
        "false_positives": (stopped / max(1, seen["honest"])).round(9).tolist(),
    }


def histogram(seen: Mapping[str, Any]) -> dict[str, Any]:
    """How many transactions score from one edge to the next; the first and the last bin have also what lies beyond."""
    edges = np.arange(-REACH, REACH + BIN, BIN)
    places = _places(seen, edges[1:-1].tolist())

    def counted(at_least: list[int], all_of_them: int) -> list[int]:
        reached = np.array([all_of_them, *(at_least[place] for place in places), 0])
        counts: list[int] = (reached[:-1] - reached[1:]).tolist()
        return counts

    return {
        "edges": edges.tolist(),
        "honest": counted(seen["stopped"], seen["honest"]),
        "fraud": counted(seen["found"], seen["frauds"]),
    }


def _places(seen: Mapping[str, Any], thresholds: Sequence[float]) -> npt.NDArray[np.intp]:
    """Where the nearest of THRESHOLDS stand among those of a judgement."""
    steps = np.rint(np.clip(thresholds, -REACH, REACH) * np.float64(STEPS)).astype(int)
    places: npt.NDArray[np.intp] = np.array(seen["thresholds"], np.float32).searchsorted(
        THRESHOLDS[steps + REACH * STEPS]
    )
    return places


def shares_of_frauds(weight: float, fraud_share: float) -> dict[str, float]:
    """Which share of a month's loss the frauds are, were each transaction equally wrong: `w F / (w F + H)`.

    Over-sampled it is what they are said to be: in its place, honest ones are left out.
    """
    honest = ONE_FRAUD_IN - 1
    return {"plain": 1 / (1 + honest), "class_weights": weight / (weight + honest), "over_sampling": fraud_share}
