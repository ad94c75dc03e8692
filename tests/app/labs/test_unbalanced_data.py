"""Lab 4: one judgement answers for every threshold, and each of its tasks can be solved by what the networks have learned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.labs.lesson import RunState, Verdict
from app.labs.unbalanced_data import (
    LAB,
    UPDATES,
    Settings,
    accuracy_in_numbers,
    f1_in_numbers,
    figures,
    percent,
    runs,
    shares_in_numbers,
    weights_in_numbers,
)
from engine.lessons.unbalanced_data import THRESHOLDS
from engine.metrics import ScoreCounts

OPENED = Settings()
FRAUDS, HONEST = 1_000, 9_999_000


def seen(centre: float, *, honest: float = -8.5, judged: int = 10_000_000) -> dict[str, Any]:
    """A judgement of scores that are spread evenly: frauds round `centre`, the honest round −8.5."""
    fraud_scores = np.linspace(centre - 5, centre + 5, FRAUDS, dtype=np.float32)
    counts = ScoreCounts(fraud_scores, THRESHOLDS)
    for place in np.linspace(honest - 8, honest + 8, 99):
        counts.add(np.full(101_000, place, np.float32))
    return {
        "of": 10_000_000, "judged": judged, "more": judged < 10_000_000, "step": UPDATES,
        "thresholds": counts.thresholds.tolist(), "found": counts.found.tolist(), "stopped": counts.stopped.tolist(),
        "frauds": counts.positives, "honest": counts.negatives,
        "average_precision": counts.average_precision if judged == 10_000_000 else None,
        "roc_auc": counts.roc_auc if judged == 10_000_000 else None,
    }  # fmt: skip


WHOLE = {
    "plain": RunState(step=UPDATES, state="finished", seen=seen(-10.0)),
    "class_weights": RunState(step=UPDATES, state="finished", seen=seen(4.0)),
    "over_sampling": RunState(step=UPDATES, state="finished", seen=seen(9.0, honest=-6.0)),
}


def verdict(task: str, settings: Settings, states: dict[str, RunState] | None = None) -> Verdict:
    (found,) = (one for one in LAB.tasks if one.name == task)
    runs = WHOLE if states is None else states
    return found.check(settings, figures(settings, runs), runs)


def test_the_three_differ_in_how_often_frauds_count() -> None:
    plain, weighted, over_sampled = runs(replace(OPENED, fraud_weight=50.0, fraud_share=0.2, seed=7)).values()
    assert weighted.class_weights == (1.0, 50.0)
    assert over_sampled.dataset == replace(plain.dataset, fraud_share=0.2)
    assert replace(weighted, class_weights=None, name=plain.name) == plain
    assert replace(over_sampled, dataset=plain.dataset, name=plain.name) == plain


def test_the_threshold_and_what_is_shown_train_nothing_anew() -> None:
    assert runs(replace(OPENED, threshold=3.0, shown="plain")) == runs(OPENED)


def test_the_lectures_two_constant_answers_stand_beside_the_networks() -> None:
    found = figures(OPENED, {})
    assert found["never"]["words"] == {"accuracy": "99.99\u2009%", "recall": "0\u2009%", "precision": "none"}
    assert found["always"]["words"] == {"accuracy": "0.01\u2009%", "recall": "100\u2009%", "precision": "0.01\u2009%"}


def test_figures_follow_the_threshold() -> None:
    low, high = (figures(replace(OPENED, threshold=threshold), WHOLE) for threshold in (-20.0, 20.0))
    everybody, nobody = low["pictured"]["result"], high["pictured"]["result"]
    assert (everybody["tp"], everybody["fp"]) == (FRAUDS, HONEST)
    assert (nobody["tp"], nobody["fp"], nobody["precision"]) == (0, 0, None)
    middle = figures(replace(OPENED, threshold=4.0), WHOLE)
    assert middle["pictured"]["result"]["tp"] == 500
    assert middle["networks"]["class_weights"]["result"] == middle["pictured"]["result"]
    assert middle["networks"]["plain"]["result"]["tp"] == 0


def test_numbers_are_put_in() -> None:
    found = figures(replace(OPENED, threshold=4.0), WHOLE)
    assert shares_in_numbers(found) == "Recall = 500 / (500 + 500) = 50.0\u2009%\nPrecision = 500 / (500 + 0) = 100\u2009%"
    assert f1_in_numbers(found) == "F1 = 1,000 / (1,000 + 0 + 500) = 0.667"
    assert accuracy_in_numbers(found).splitlines()[1] == "shown: (500 + 9,999,000) / 10,000,000 = 99.995\u2009%"
    assert weights_in_numbers(figures(replace(OPENED, fraud_weight=12.5), {})).splitlines()[1:] == [
        "w = 12.5: 12,500 / 10,011,500 = 0.12\u2009%",
        "over-sampling: 50.0\u2009%",
    ]


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.958, "95.8\u2009%"), (0.9986, "99.86\u2009%"), (0.99997, "99.997\u2009%"), (0.00006, "0.01\u2009%"), (0.000011, "0.001\u2009%")],
)
def test_no_share_is_rounded_to_all_or_nothing(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.parametrize(
    ("run", "words", "done"),
    [
        (RunState(), "not trained yet", 0),
        (RunState(step=1_500, state="running", seen={"of": 10, "judged": 0, "more": True}), "update 1,500", 0.5),
        (RunState(step=9, state="paused", seen=seen(0, judged=5_000_000)), "5,000,000 of 10,000,000 judged", 0.5),
        (RunState(step=70, state="diverged", seen=seen(0)), "diverged at update 70", 0),
    ],
)
def test_what_is_not_known_yet_is_said(run: RunState, words: str, done: float) -> None:
    found = figures(OPENED, {"class_weights": run})
    assert found["networks"]["class_weights"] == {"words": words, "done": done, "result": None}
    assert found["pictured"] is None or found["pictured"]["result"] is None
    assert "judged" in shares_in_numbers(found)
    assert not verdict("both", OPENED, {"class_weights": run}).solved


def test_a_month_half_judged_is_drawn() -> None:
    found = figures(OPENED, {"class_weights": RunState(step=9, state="paused", seen=seen(0, judged=5_000_000))})
    assert sum(found["pictured"]["histogram"]["fraud"]) == FRAUDS
    assert found["pictured"]["curves"] is None


@pytest.mark.parametrize(
    ("task", "settings", "note"),
    [
        ("blind", replace(OPENED, shown="plain"), "Accuracy 99.99\u2009%, 0 frauds found. The constant answer is as good."),
        ("blind", replace(OPENED, threshold=20.0), "0 frauds found."),
        ("both", replace(OPENED, threshold=0.5), "with class weights and the threshold at 0.5."),
        ("both", replace(OPENED, shown="over_sampling", threshold=5.0), "with over-sampling and the threshold at 5.0."),
        ("threshold", replace(OPENED, shown="plain", threshold=-10.5), "precision 0.01\u2009%. No threshold helps"),
    ],
)
def test_each_task_can_be_solved(task: str, settings: Settings, note: str) -> None:
    found = verdict(task, settings)
    assert found.solved
    assert note in found.note


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("blind", OPENED),
        ("blind", replace(OPENED, shown="plain", threshold=-8.0)),  # some are found, and many honest people stopped
        ("blind", replace(OPENED, threshold=8.9)),  # accurate, but some are found
        ("both", replace(OPENED, threshold=-5.0)),
        ("both", replace(OPENED, threshold=4.0)),
        ("both", replace(OPENED, shown="plain", threshold=-12.0)),
        ("threshold", replace(OPENED, threshold=-10.5)),
        ("threshold", replace(OPENED, shown="plain", threshold=-6.0)),
    ],
)
def test_ways_round_a_task_do_not_solve_it(task: str, settings: Settings) -> None:
    found = verdict(task, settings)
    assert not found.solved
    assert 0 <= found.nearness < 1
