"""An update that is told to a page: true, bounded, and only of a run that stands still."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import Conflict
from app.services.changes import RunChanges
from app.workers.messages import Answer, Refusal, Status
from app.workers.narration import narrated
from engine.specs import SGD, Adam, Conv2D, CurveSpec, Dense, MaxPool2D, ReLU, RunSpec, Tanh
from tests.app.small_runs import Stage, of_points, service, small, weights


def told(stage: Stage) -> Any:
    """What was answered."""
    stage.run.add_task(7, narrated(stage.run))
    while stage.run.busy and not stage.of(Answer, Refusal):
        stage.run.work()
    return stage.of(Answer, Refusal)[0]


def test_what_is_told_follows_from_what_was_told_before(tmp_path: Path) -> None:
    spec = of_points(network=(Dense(units=3), Tanh(), Dense(units=2)), optimizer=SGD(learning_rate=0.25))
    stage = Stage(tmp_path, spec)
    stage.steps(5)
    value = told(stage).value
    assert (value["step"], value["optimizer"], value["learning_rate"]) == (6, "sgd", 0.25)
    batch, example = value["batch"], value["example"]
    assert (batch["examples"], batch["of"], len(set(batch["places"]))) == (10, 30, 10)
    dataset = stage.run.trainer.dataset
    assert example["label"] == dataset.classes[dataset.labels[batch["places"][0]]]  # type: ignore[attr-defined]

    first, activation, last = value["layers"]
    inputs = np.array(example["input"]["values"])
    expected = np.array(first["weights"]["old"]["values"]) @ inputs + np.array(first["biases"]["old"]["values"])
    np.testing.assert_allclose(first["outputs"]["values"], expected, atol=1e-4)
    np.testing.assert_allclose(activation["outputs"]["values"], np.tanh(expected), atol=1e-4)
    p = example["probabilities"]
    assert sum(p) == pytest.approx(1)
    true = example["classes"].index(example["label"])
    assert example["loss"] == pytest.approx(-np.log(p[true]), rel=1e-4)
    np.testing.assert_allclose(last["gradients"]["values"], np.array(p) - np.eye(2)[true], atol=1e-4)
    assert activation["weights"] is None
    for layer in (first, last):
        for change in (layer["weights"], layer["biases"]):
            old, gradient, new = (np.array(change[name]["values"]) for name in ("old", "gradient", "new"))
            np.testing.assert_allclose(new, old - 0.25 * gradient, atol=1e-5)
            one = change["steepest"]
            assert abs(one["gradient"]) == pytest.approx(np.abs(gradient).max(), rel=1e-4)
            assert one["new"] == pytest.approx(new[tuple(one["place"])], rel=1e-4)
    assert stage.run.trainer.steps == 6


def test_a_number_to_be_met_is_told_as_the_loss_has_it(tmp_path: Path) -> None:
    spec = RunSpec(
        dataset=CurveSpec(), network=(Dense(units=1),), loss="mean_squared_error", batch_size=4, optimizer=Adam()
    )
    value = told(Stage(tmp_path, spec)).value
    example = value["example"]
    assert (example["label"], example["classes"], example["probabilities"]) == (None, [], None)
    (output,) = value["layers"][0]["outputs"]["values"]
    assert example["loss"] == pytest.approx((output - example["target"]) ** 2, rel=1e-3)


def test_a_large_network_is_told_in_ranges_and_pictures(tmp_path: Path) -> None:
    network = (Conv2D(filters=8, kernel_size=5), ReLU(), MaxPool2D(), Dense(units=200), Dense(units=10))
    value = told(Stage(tmp_path, small(network=network))).value
    convolution, *_, wide, last = value["layers"]
    assert convolution["outputs"]["values"] is None
    assert convolution["outputs"]["pack"]["shape"] == convolution["outputs"]["shape"]
    assert wide["weights"]["old"]["pack"] is None, "it has too many numbers even for a picture"
    assert wide["weights"]["old"]["low"] < 0 < wide["weights"]["old"]["high"]
    assert len(wide["weights"]["steepest"]["place"]) == 2
    assert len(last["outputs"]["values"]) == 10
    assert len(json.dumps(value, allow_nan=False)) < 100_000


def test_a_run_that_has_finished_stays_where_it_is(tmp_path: Path) -> None:
    stage, other = Stage(tmp_path / "a", of_points()), Stage(tmp_path / "b", of_points())
    stage.run.enter("finished", "")
    first, again = told(stage).value, told_again(stage)
    assert (first["step"], first["made"]) == (1, False)
    assert first == again
    assert stage.run.trainer.steps == 0
    assert told(other).value == first | {"made": True}


def told_again(stage: Stage) -> Any:
    stage.sent.clear()
    return told(stage).value


def test_only_a_paused_run_is_told(tmp_path: Path) -> None:
    stage = Stage(tmp_path, of_points())
    stage.run.enter("running", "")
    refusal = told(stage)
    assert refusal.kind == "conflict"
    assert "Pause it first." in refusal.message


def test_an_update_that_diverges_is_told_as_one(tmp_path: Path) -> None:
    stage = Stage(tmp_path, of_points(loss="mean_squared_error"))
    stage.run.trainer.network.parameters[:] = 3e38
    refusal = told(stage)
    assert (refusal.kind, stage.of(Status)[-1].snapshot["state"]) == ("conflict", "diverged")


def test_the_run_is_then_where_a_single_step_would_have_brought_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            ids = [(await runs.create(of_points(), state="paused"))["id"] for _ in range(2)]
            value = await runs.narrate(ids[0])
            await runs.step(ids[1], 1)
            assert value["step"] == (await runs.get(ids[0]))["step"] == 1
            assert await weights(runs, ids[0]) == await weights(runs, ids[1])
            await runs.change(ids[0], RunChanges(state="running"))
            with pytest.raises(Conflict):
                await runs.narrate(ids[0])

    asyncio.run(scenario())
