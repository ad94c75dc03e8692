"""Lab 4: a thousand frauds in ten million transactions, learned with plain loss, class weights and over-sampling."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import Interval, doc

from app.figures import figure, fixed
from app.labs.lesson import Formula, Json, Lab, Part, Runs, RunState, Task, Verdict
from engine.lessons.unbalanced_data import (
    REACH,
    at_threshold,
    constant_answers,
    curves,
    histogram,
    judge,
    shares_of_frauds,
)
from engine.specs import SGD, Cosine, Dense, LayerSpec, ReLU, RunSpec, Seed, StopSpec, TransactionsSpec
from engine.trainer import Trainer

UPDATES = 3_000
BATCH = 1_024
UNITS = 16
NETWORK: tuple[LayerSpec, ...] = (Dense(units=UNITS), ReLU(), Dense(units=2))
LEARNING_RATE = 0.2
"""Of the first update; it falls, or the rare jolts of a heavy fraud would show in whatever comes last."""
LAST_RATE = 0.05
"""Share of it that is left in the end."""

Training: TypeAlias = Literal["plain", "class_weights", "over_sampling"]
TITLES: Mapping[Training, str] = {
    "plain": "plain loss",
    "class_weights": "class weights",
    "over_sampling": "over-sampling",
}

ACCURATE = 0.9999
RECALL = 0.8
PRECISION = 0.5
HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which network the pictures show, where the threshold is, and how the two that are not plain see frauds more."""

    shown: Annotated[Training, doc("Which network the pictures show. All three train.")] = "class_weights"
    threshold: Annotated[
        float,
        Interval(ge=-REACH, le=REACH),
        doc("“Fraud” is said from this score on. 0: as likely fraud as not, in the network's own opinion."),
    ] = 0.0
    fraud_weight: Annotated[
        float,
        Interval(ge=1, le=10_000),
        doc("How often the loss counts each fraud. 1: plain loss. Too large: each fraud throws the weights far off."),
    ] = 1_000.0
    fraud_share: Annotated[
        float,
        Interval(ge=0.001, le=0.9),
        doc("Share of frauds among what is trained on; the same 1,000 are taken again and again."),
    ] = 0.5
    seed: Seed = 1


def runs(settings: Settings) -> Mapping[str, RunSpec]:
    def spec(training: Training) -> RunSpec:
        over_sampled = training == "over_sampling"
        return RunSpec(
            name=f"fraud, {TITLES[training]}",
            dataset=TransactionsSpec(seed=settings.seed, fraud_share=settings.fraud_share if over_sampled else None),
            network=NETWORK,
            class_weights=(1.0, settings.fraud_weight) if training == "class_weights" else None,
            optimizer=SGD(learning_rate=LEARNING_RATE),
            schedule=Cosine(steps=UPDATES, final=LAST_RATE),
            batch_size=BATCH,
            l2=0.0,
            seed=settings.seed,
            stop=StopSpec(steps=UPDATES),
        )

    return {training: spec(training) for training in TITLES}


def look(trainer: Trainer, _: Settings, __: str) -> Generator[None, None, Json]:
    """The threshold is no part of it: one judgement answers for all of them."""
    return (yield from judge(trainer))


# ---- Figures ---------------------------------------------------------------------------------------------------------------


def figures(settings: Settings, runs: Runs) -> Json:
    """`networks`: how each stands, with its figures once the whole month is judged; `pictured`: what is drawn of one of them."""
    spec = TransactionsSpec()
    never, always = constant_answers(spec.transactions)
    return {
        "transactions": spec.transactions,
        "frauds": spec.frauds,
        "threshold": settings.threshold,
        "units": UNITS,
        "learned_from": UPDATES * BATCH,
        "never": with_words(never),
        "always": with_words(always),
        "titles": {name: title.capitalize() for name, title in TITLES.items()},
        "networks": {name: _network(settings, runs.get(name, RunState())) for name in TITLES},
        "pictured": _pictured(settings, runs.get(settings.shown, RunState())),
        "weights": {"fraud": settings.fraud_weight, **shares_of_frauds(settings.fraud_weight, settings.fraud_share)},
    }


def _network(settings: Settings, run: RunState) -> Json:
    words, done = _how_far(run)
    return {"words": words, "done": done, "result": _result_of(settings, run)}


def _how_far(run: RunState) -> tuple[str, float]:
    """What the network is doing, and which share of it is done."""
    judged, of = run.seen.get("judged", 0), run.seen.get("of", TransactionsSpec().transactions)
    if run.state == "diverged":
        return f"diverged at update {run.step:,}", 0.0
    if judged:
        return f"{judged:,} of {of:,} judged", judged / of
    return (f"update {run.step:,}", min(1.0, run.step / UPDATES)) if run.step else ("not trained yet", 0.0)


def _pictured(settings: Settings, run: RunState) -> Json | None:
    """None until its first transactions are judged; the curves come when all of them are."""
    if not run.seen.get("judged") or run.state == "diverged":
        return None
    return {
        "judged": run.seen["judged"],
        "histogram": histogram(run.seen),
        "curves": curves(run.seen) if is_whole(run.seen) else None,
        "result": _result_of(settings, run),
        "average_precision": run.seen["average_precision"],
        "roc_auc": run.seen["roc_auc"],
    }


def _result_of(settings: Settings, run: RunState) -> Json | None:
    if not is_whole(run.seen) or run.state == "diverged":
        return None
    return with_words(at_threshold(run.seen, settings.threshold))


def is_whole(seen: Json) -> bool:
    """Whether the whole month is judged."""
    return seen.get("roc_auc") is not None


def with_words(result: Json) -> Json:
    """The figures, and its shares as they are written."""
    return result | {"words": {name: percent(result[name]) for name in ("accuracy", "recall", "precision")}}


# ---- Formulas --------------------------------------------------------------------------------------------------------------

WAITING = "Not judged yet."


def percent(share: float | None) -> str:
    """As many digits as it takes to tell it from 0 and from 1; “none” where nothing was measured."""
    if share is None:
        return "none"
    if share in (0, 1):
        return figure(share, "percent", 0)
    rest = min(share, 1 - share)
    return figure(share, "percent", 1 if rest >= 0.01 else 2 if rest >= 0.00005 else 3)


def accuracy_in_numbers(f: Json) -> str:
    never, total = f["never"], fixed(f["transactions"], 0)
    lines = [f"always “not fraud”: ({never['tp']:,} + {never['tn']:,}) / {total} = {percent(never['accuracy'])}"]
    if mine := _result(f):
        lines.append(f"shown: ({mine['tp']:,} + {mine['tn']:,}) / {total} = {percent(mine['accuracy'])}")
    return "\n".join(lines)


def shares_in_numbers(f: Json) -> str:
    mine = _result(f)
    if mine is None:
        return WAITING
    tp, fp, fn = mine["tp"], mine["fp"], mine["fn"]
    return (
        f"Recall = {tp:,} / ({tp:,} + {fn:,}) = {percent(mine['recall'])}\n"
        f"Precision = {tp:,} / ({tp:,} + {fp:,}) = {percent(mine['precision'])}"
    )


def weights_in_numbers(f: Json) -> str:
    shares, frauds, w = f["weights"], f["frauds"], f["weights"]["fraud"]
    honest = f["transactions"] - frauds

    def line(weight: float, share: float) -> str:
        counted = weight * frauds
        return f"w = {shown(weight)}: {counted:,.0f} / {counted + honest:,.0f} = {percent(share)}"

    return (
        f"{line(1.0, shares['plain'])}\n{line(w, shares['class_weights'])}\n"
        f"over-sampling: {percent(shares['over_sampling'])}"
    )


def shown(weight: float) -> str:
    """As beside its slider."""
    return fixed(weight, 0) if weight.is_integer() else figure(weight)


def f1_in_numbers(f: Json) -> str:
    mine = _result(f)
    if mine is None:
        return WAITING
    twice = 2 * mine["tp"]
    return f"F1 = {twice:,} / ({twice:,} + {mine['fp']:,} + {mine['fn']:,}) = {figure(mine['f1'])}"


def _result(f: Json) -> Json | None:
    result: Json | None = f["pictured"] and f["pictured"]["result"]
    return result


# ---- Tasks -----------------------------------------------------------------------------------------------------------------

Judged: TypeAlias = Callable[[Settings, Json], Verdict]


def judged(check: Judged) -> Callable[[Settings, Json, Runs], Verdict]:
    """A check of the shown network's figures; until they are there it waits."""

    def checked(settings: Settings, f: Json, _: Runs) -> Verdict:
        result = _result(f)
        return (
            Verdict(False, note="Wait until the whole month is judged.") if result is None else check(settings, result)
        )

    return checked


def blind(_: Settings, mine: Json) -> Verdict:
    accurate = mine["accuracy"] >= ACCURATE
    words = f"Accuracy {percent(mine['accuracy'])}, {mine['tp']:,} frauds found."
    if accurate and mine["tp"] == 0:
        return Verdict(True, 1, f"{words} The constant answer is as good.")
    return Verdict(False, 0.5 * accurate + 0.5 * mine["fn"] / (mine["fn"] + mine["tp"]) * 0.99, words)


def caught(settings: Settings, mine: Json) -> Verdict:
    recall, precision = mine["recall"], mine["precision"] or 0.0
    words = f"Recall {percent(recall)}, precision {percent(mine['precision'])}"
    if recall > RECALL and precision > PRECISION:
        how = f"with {TITLES[settings.shown]} and the threshold at {score(settings.threshold)}"
        return Verdict(True, 1, f"{words}, {how}.")
    return Verdict(False, 0.99 * (min(1, recall / RECALL) + min(1, precision / PRECISION)) / 2, f"{words}.")


def stopped_all(settings: Settings, mine: Json) -> Verdict:
    if settings.shown != "plain":
        return Verdict(False, note="Choose the network with plain loss.")
    words = (
        f"{mine['tp']:,} frauds found, {mine['fp']:,} honest people stopped: precision {percent(mine['precision'])}."
    )
    if mine["recall"] >= HALF:
        return Verdict(True, 1, f"{words} No threshold helps where the scores know nothing.")
    return Verdict(False, mine["recall"] / HALF * 0.99, words)


def score(value: float) -> str:
    return fixed(value, 1)


# ---- The lab ---------------------------------------------------------------------------------------------------------------

LAB = Lab(
    name="unbalanced-data",
    number=4,
    title="Unbalanced data",
    claim="10,000,000 card transactions, 1,000 fraudulent. A model rewarded by accuracy learns to say “not fraud”.",
    chapter="Training and its screw-ups",
    summary="Right in 99.99 % of cases, and not one fraud found.",
    settings=Settings,
    parts=(
        Part(
            text="Who always says “not fraud” is right in 99.99 % of cases, and finds nothing. The network trained with plain "
            "loss has learned just that.",
            formula=Formula(r"\text{Accuracy} = \frac{{TP} + {TN}}{N}", accuracy_in_numbers),
            stress="predictors",
        ),
        Part(
            text="So measure what you care about. <b>Recall</b>: of the frauds, how many are found? <b>Precision</b>: of those "
            "who are stopped, how many are frauds?",
            formula=Formula(r"\frac{TP}{{TP} + {FN}} \quad \text{and} \quad \frac{TP}{{TP} + {FP}}", shares_in_numbers),
            stress="confusion",
        ),
        Part(
            text="Under plain loss, all frauds of last month together are a ten-thousandth of what is learned. Count each of "
            "them $w$ times, or take them more often.",
            formula=Formula(r"\text{share of frauds} = \frac{w F}{w F + H}", weights_in_numbers),
            stress="training",
        ),
        Part(
            text="Each transaction gets a score, the logarithm of its odds for fraud. The <b>threshold</b> decides which mistake "
            "you make: frauds missed, or honest people stopped.",
            formula=Formula(r"F_1 = \frac{2\,{TP}}{2\,{TP} + {FP} + {FN}}", f1_in_numbers),
            stress="scores",
        ),
        Part(
            text="Every figure is of <b>this</b> month: 10,000,000 transactions that no network has learned from, each of them "
            "judged. The ROC curve hugs its corner because the honest are so many: 1 % of them are 100,000 people.",
            stress="curves",
        ),
    ),
    symbols={
        "TP": "True positives: frauds that are found.",
        "FN": "False negatives: frauds that are missed.",
        "FP": "False positives: honest people who are stopped.",
        "TN": "True negatives: honest people who are let through.",
        "N": "All transactions of a month, 10,000,000.",
        "F_1": "The harmonic mean of recall and precision: near the lower of the two.",
        "w": "How often the loss counts each fraud; each honest transaction counts once.",
        "F": "The frauds of a month, 1,000.",
        "H": "The honest transactions of a month, 9,999,000.",
    },
    tasks=(
        Task(
            name="blind",
            question="Show a network that is right in 99.99 % of cases and finds no fraud at all.",
            hint="One of the three has learned to be so; any is, with the threshold high enough.",
            check=judged(blind),
        ),
        Task(
            name="both",
            question="Make recall exceed 80 % while precision stays above 50 %.",
            hint="Choose a network that has learned what frauds look like, then move the threshold.",
            check=judged(caught),
        ),
        Task(
            name="threshold",
            question="Show the network with plain loss, and lower the threshold until half of the frauds are found.",
            hint="Its scores are all low: look where its frauds are.",
            check=judged(stopped_all),
        ),
    ),
    remember=(
        "Accuracy says nothing when one class is rare.",
        "Choose the metric by the cost of each mistake, then the threshold.",
    ),
    figures=figures,
    runs=runs,
    look=look,
    elements=("score-curves",),
)
