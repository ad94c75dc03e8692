"""Ten million transactions of which a thousand are frauds: exactly so many, always the same ones, never all in memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from engine.datasets.base import Ordered
from engine.datasets.transactions import CHUNK, FAR, Inputs, Month, Transactions, fraud_centres, log_odds
from engine.errors import FormatError, ShapeError, SpecError
from engine.evaluation import evaluate
from engine.formats import native, onnx, pytorch_script, safetensors
from engine.metrics import confusion_matrix
from engine.shapes import check_run
from engine.specs import SGD, Dense, ReLU, RunSpec, TransactionsSpec
from engine.taped_training import can_be_taped
from engine.trainer import Trainer

SMALL = TransactionsSpec(transactions=200_000, seed=3)


def month(spec: TransactionsSpec = SMALL, split: str = "train") -> Month:
    return Transactions(spec).splits(spec)[split]  # type: ignore[index]


def honest(ours: Month, number: int) -> Inputs:
    inputs, frauds = ours.chunk(number)
    return np.delete(inputs, frauds, axis=1)


def run(**changes: object) -> RunSpec:
    values: dict[str, object] = {
        "dataset": SMALL,
        "network": (Dense(units=4), ReLU(), Dense(units=2)),
        "optimizer": SGD(learning_rate=0.1),
        "class_weights": (1.0, 100.0),
        "batch_size": 96,
        "l2": 0.0,
    }
    return RunSpec(**{**values, **changes})  # type: ignore[arg-type]


def test_a_month_is_ten_million_transactions_with_a_thousand_frauds() -> None:
    spec = TransactionsSpec()
    for split in ("train", "test"):
        whole = month(spec, split)
        assert len(whole) == spec.sizes[split] == 10_000_000
        assert np.count_nonzero(whole.labels) == len(whole.frauds) == spec.frauds == 1_000
        assert sum(honest(whole, number).shape[1] for number in (0, 1, 2)) == 3 * CHUNK - np.count_nonzero(
            whole.labels[: 3 * CHUNK]
        )
    assert len(month(spec, "validation")) == 0


def test_a_transaction_is_the_same_however_it_is_asked_for() -> None:
    ours, rng = month(), np.random.default_rng(0)
    chosen = np.concatenate([rng.integers(len(ours), size=40), ours.frauds[:5]])
    together = ours.look(chosen)
    alone = np.concatenate([ours.look(slice(place, place + 1)) for place in chosen.tolist()], axis=1)
    assert together.dtype == np.float32
    assert np.array_equal(together, alone)
    out = np.empty_like(together)
    assert ours.batch(chosen, rng, out) is out
    assert np.array_equal(out, together)
    chunk = ours.look(slice(3 * CHUNK, 4 * CHUNK))
    assert np.array_equal(chunk[:, ours.labels[3 * CHUNK : 4 * CHUNK] == 0], honest(ours, 3))
    assert np.array_equal(month(replace(SMALL)).look(chosen), together)


def test_other_months_and_other_seeds_are_others() -> None:
    first, place = month(), np.arange(50)
    for other in (month(split="test"), month(replace(SMALL, seed=4))):
        assert not np.isin(first.look(place), other.look(place)).any()
        assert not np.array_equal(first.frauds, other.frauds)


def test_a_pass_takes_each_transaction_once_and_no_matter_in_which_parts() -> None:
    ours = month()
    assert isinstance(ours, Ordered)
    order = ours.order(np.random.default_rng(1))
    whole = order[0:200_000]
    assert np.array_equal(np.sort(whole), np.arange(len(order)))
    ends = [0, 1, 7, 9_999, 10_000, 30_001, 200_000]
    parts = [order[start:stop] for start, stop in pairwise(ends)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert len(order[200_000:200_050]) == 0
    assert not np.array_equal(ours.order(np.random.default_rng(2))[0:50], whole[:50])


def test_over_sampling_takes_frauds_as_often_as_is_said() -> None:
    ours = month(replace(SMALL, fraud_share=0.3))
    taken = ours.order(np.random.default_rng(1))[0:100_000]
    assert abs(ours.labels[taken].mean() - 0.3) < 0.01
    assert set(ours.frauds) <= set(taken)
    others = taken[ours.labels[taken] == 0]
    assert len(np.unique(others)) == len(others)


def test_columns_are_standard_and_frauds_stand_apart() -> None:
    usual = np.concatenate([honest(month(), number) for number in range(10)], axis=1)
    assert np.abs(usual.mean(axis=1)).max() < 0.015
    assert np.abs(np.cov(usual) - np.eye(6)).max() < 0.015
    centres = fraud_centres()
    assert np.linalg.norm(centres, axis=1) == pytest.approx([FAR, FAR])
    frauds = month(TransactionsSpec()).fraud_inputs
    distances = np.linalg.norm(frauds[None] - centres[:, :, None], axis=1)
    kinds = distances.argmin(axis=0)
    assert 440 < kinds.sum() < 560
    for kind in (0, 1):
        assert np.abs(frauds[:, kinds == kind].mean(axis=1) - centres[kind]).max() < 0.2
    assert distances.min(axis=0).mean() == pytest.approx(2.35, abs=0.1)  # of six standard normal numbers


def test_the_odds_are_the_ratio_of_the_densities() -> None:
    inputs = np.random.default_rng(0).normal(1, 2, (6, 30))

    def density(centre: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * ((inputs - centre[:, None]) ** 2).sum(axis=0)) / (2 * np.pi) ** 3

    fraud, usual = (density(fraud_centres()[0]) + density(fraud_centres()[1])) / 2, density(np.zeros(6))
    assert log_odds(inputs) == pytest.approx(np.log(0.0001 * fraud / (0.9999 * usual)))


@pytest.mark.parametrize("share", [None, 0.4])
def test_training_goes_on_where_it_was_saved(share: float | None) -> None:
    spec = run(dataset=replace(SMALL, transactions=20_000, fraud_share=share))
    whole, half = (Trainer(spec, Transactions(spec.dataset)) for _ in range(2))  # type: ignore[arg-type]
    assert not can_be_taped(spec)
    whole.advance(300)  # more than one pass
    half.advance(150)
    restored = Trainer.from_state(native.load(native.dump(half.state())), half.dataset)
    restored.advance(150)
    assert np.array_equal(restored.network.parameters, whole.network.parameters)
    assert native.dump(restored.state()) == native.dump(whole.state())


def test_a_whole_month_is_evaluated_and_not_kept() -> None:
    trainer = Trainer(run(class_weights=None), Transactions(SMALL))
    trainer.advance(20)
    result = evaluate(trainer, "test")
    test = trainer.splits["test"]
    predicted = trainer.probabilities(test.look(slice(None))).argmax(axis=1)
    assert np.array_equal(result.confusion, confusion_matrix(test.labels.astype(np.int64), predicted, 2))
    assert result.per_class[1].support == 20
    assert len(result.predictions) == len(result.top_probabilities) == 0


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(SpecError, match="multiple") as refused:
        check_run(run(dataset=TransactionsSpec(transactions=123_456)))
    assert refused.value.field == "/dataset/transactions"
    with pytest.raises(SpecError, match="another spec"):
        Transactions(SMALL).splits(replace(SMALL, seed=4))
    ours = Transactions(SMALL)
    assert ours.read_inputs(SMALL, [[0, 1, 2, 3, 4, 5]]).shape == (6, 1)
    for values in ([[1, 2]], [1, 2, 3, 4, 5, 6], "no", [[float("nan")] * 6], [[1e9] * 6]):
        with pytest.raises(ShapeError, match="ransaction"):
            ours.read_inputs(SMALL, values)


def test_files_hold_the_network_where_they_can() -> None:
    state = Trainer(run(), Transactions(SMALL)).state()
    assert native.load(native.dump(state)).spec == state.spec
    assert np.array_equal(safetensors.load(safetensors.dump(state)).parameters, state.parameters)
    for other in (onnx, pytorch_script):
        with pytest.raises(FormatError, match="none of transactions"):
            other.dump(state)
