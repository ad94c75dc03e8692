"""A run on transactions by way of the API: trained, measured, evaluated whole; what only pictures or points have is refused in words."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import Unprocessable
from app.routes.views import page_address
from app.services.runs import Runs
from app.workers.recorder import PORTION, next_portion
from engine.datasets.transactions import Transactions
from engine.specs import SGD, Dense, ReLU, RunSpec, StopSpec, TransactionsSpec
from tests.app.small_runs import service, until

SPEC = RunSpec(
    name="frauds",
    dataset=TransactionsSpec(transactions=200_000, fraud_share=0.3),
    network=(Dense(units=8), ReLU(), Dense(units=2)),
    optimizer=SGD(learning_rate=0.2),
    batch_size=256,
    l2=0.0,
    stop=StopSpec(steps=300),
)


def test_a_run_on_transactions(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            await trained(runs)

    asyncio.run(scenario())


def test_neighbours_are_measured_together() -> None:
    """They are made together; a portion from all over the month would take a second."""
    test = Transactions(SPEC.dataset).splits(SPEC.dataset)["test"]  # type: ignore[arg-type]
    assert next_portion(test, 400).tolist() == list(range(400, 400 + PORTION))
    assert next_portion(test, 199_900).tolist() == list(range(199_900, 200_000))


async def trained(runs: Runs) -> None:
    id = (await runs.create(SPEC, state="running"))["id"]
    run = await until(runs, id, lambda run: run["state"] == "finished")
    assert run["dataset"] == {
        "name": "transactions",
        "transactions": 200_000,
        "fraud_share": 0.3,
        "seed": 1,
        "task": "classification",
        "classes": ["honest", "fraud"],
        "input_shape": [6],
        "train_examples": 200_000,
        "validation_examples": 0,
        "test_examples": 200_000,
        "columns": ["amount", "unusual hour", "distance", "haste", "merchant risk", "abroad"],
    }
    assert page_address(run) == "/labs/unbalanced-data"
    assert run["metrics"]["train_accuracy"] > 0.9
    assert run["metrics"]["test_accuracy"] > 0.9
    assert run["metrics"]["validation_loss"] is None

    evaluation = await runs.evaluate(id, "test")
    (tn, fp), (fn, tp) = evaluation["confusion"]
    assert (tn + fp, fn + tp) == (199_980, 20)
    assert tp > 15
    usual = (await runs.predict(id, inputs=[[0.0] * 6]))["predictions"][0]
    fraud = (await runs.predict(id, inputs=[[3.0, 3.0, 1.0, 3.0, 1.0, 1.0]]))["predictions"][0]
    assert (usual["label"], fraud["label"]) == ("honest", "fraud")

    for ask in (runs.points(id), runs.examples(id, "test"), runs.boundary(id, resolution=10, layer=None, unit=None, columns=(0, 1))):
        with pytest.raises(Unprocessable, match=r"transactions|pictures"):
            await ask
    with pytest.raises(Unprocessable, match="multiple of"):
        await runs.create(replace(SPEC, dataset=TransactionsSpec(transactions=12_345)))
