"""Runs of points for those who ask from outside: their spec, their points, their plane, and what survives a restart."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import Conflict, Problem, Unprocessable
from app.services.changes import RunChanges
from app.services.datasets import Datasets
from app.workers.messages import WeightChange
from engine.datasets.points import points_dataset
from engine.datasets.table import encode_rows
from engine.specs import Cosine, CurveSpec, Dense, PlaneSpec, StopSpec, TableSpec, Tanh
from engine.validation import read_run_spec, read_value
from tests.app.small_runs import of_points, parse, service, small, until, weights

ROWS = [[0.1, 1, 0], [-1, -1, 0], [1, -1, 1], [-1, 1, 1], [2, 2, 0], [-2, 2, 1]]
TABLE = of_points(dataset=TableSpec(values=encode_rows(ROWS)))
CURVE = of_points(dataset=CurveSpec(), network=(Dense(units=3), Tanh(), Dense(units=1)), loss="half_squared_error")


def test_a_table_travels_with_the_spec_and_with_nothing_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            run = await runs.create(TABLE, state="paused")
            id, values = run["id"], TABLE.dataset.values  # type: ignore[union-attr]
            assert values not in json.dumps(run)
            assert values not in json.dumps(await runs.list())
            stream = await runs.subscribe(id, frozenset({"metrics"}), None, None)
            events = [await anext(stream) for _ in range(2)]
            await stream.aclose()  # type: ignore[attr-defined]
            assert parse(events[1])[0] == "state"
            assert not any(values.encode() in event for event in events)
            spec = await runs.spec(id)
            assert read_run_spec(json.loads(json.dumps(spec))) == TABLE
            assert run["dataset"] | {"digest": ""} == {
                "name": "table",
                "columns": ["x", "y"],
                "class_names": ["A", "B"],
                "target": "class",
                "standardize": False,
                "train_share": 0.5,
                "features": ["x", "y"],
                "seed": 1,
                "task": "classification",
                "classes": ["A", "B"],
                "input_shape": [2],
                "train_examples": 3,
                "validation_examples": 0,
                "test_examples": 3,
                "domain": [[-6.0, 6.0], [-6.0, 6.0]],
                "digest": "",
            }

    asyncio.run(scenario())


@pytest.mark.parametrize("spec", [TABLE, CURVE, of_points(dataset=PlaneSpec(kind="bumps", points=30), loss="huber")])
def test_the_points_of_a_run_are_those_it_learns_from(tmp_path: Path, spec: Any) -> None:
    if not spec.dataset.classes:
        spec = of_points(dataset=spec.dataset, network=(Dense(units=1),), loss="huber")

    async def scenario() -> None:
        async with service(tmp_path) as runs:
            run = await runs.create(spec, state="paused")
            points = await runs.points(run["id"])
            dataset = points_dataset(spec.dataset)
            np.testing.assert_array_equal(np.array(points["values"], np.float32), dataset.positions)
            np.testing.assert_array_equal(np.array(points["labels"], np.float32), dataset.labels)
            assert [split == "train" for split in points["split"]] == dataset.train.tolist()
            assert points["digest"] == run["dataset"]["digest"]
            assert points["domain"] == run["dataset"]["domain"]
            json.dumps(points, allow_nan=False)
            text = (await runs.points_csv(run["id"])).decode()
            again = await Datasets().read_csv(text, None, None)
            assert again["rejected"] == []
            copy = points_dataset(read_value(TableSpec, again["dataset"], ""))
            np.testing.assert_array_equal(copy.positions, dataset.positions)
            np.testing.assert_array_equal(copy.labels, dataset.labels)

    asyncio.run(scenario())


def test_a_run_is_made_into_another_and_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(of_points(), state="paused"))["id"]
            before = await runs.step(id, 30)
            kept = await runs.respec(id, of_points(dataset=TABLE.dataset, name="mine"), keep="weights")
            assert (kept["step"], kept["generation"], kept["name"]) == (30, before["generation"], "mine")
            assert kept["dataset"]["digest"] != before["dataset"]["digest"]
            assert (await runs.metrics(id))["step"] == [10, 20, 30]
            anew = await runs.respec(id, of_points(seed=5))
            assert (anew["step"], anew["generation"], anew["seed"]) == (0, before["generation"] + 1, 5)
            assert (await runs.metrics(id))["step"] == []
            assert (await runs.respec(id, of_points(seed=5)))["generation"] == before["generation"] + 2
            await runs.change(id, RunChanges(state="running"))
            assert (await runs.respec(id, CURVE))["state"] == "running"
            run = await until(runs, id, lambda run: run["step"] > 100)
            assert run["dataset"]["task"] == "regression"
            assert run["metrics"]["test_accuracy"] is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (of_points(dataset=TableSpec(values="AAAA")), "/dataset/values"),
        (of_points(dataset=TableSpec(values="?" * 16)), "/dataset/values"),
        (of_points(dataset=TableSpec(values=b64encode(b"\xff" * 12).decode())), "/dataset/values"),
        (of_points(dataset=TableSpec()), "/dataset/values"),
        (of_points(dataset=CurveSpec()), "/network/2"),
        (of_points(network=(Dense(units=1),), loss="hinge"), "/network/0"),
    ],
)
def test_a_damaged_table_and_an_impossible_network_are_refused_and_change_nothing(
    tmp_path: Path, spec: Any, field: str
) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(of_points(), state="paused"))["id"]
            for refused in (runs.create(spec), runs.respec(id, spec)):
                with pytest.raises(Unprocessable) as problem:
                    await refused
                assert problem.value.field == field
            assert read_run_spec(await runs.spec(id)) == of_points()
            assert len((await runs.list())["items"]) == 1

    asyncio.run(scenario())


def test_what_a_run_of_points_can_be_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(of_points(), state="paused"))["id"]
            await runs.step(id, 20)
            plane = await runs.boundary(id, resolution=10, layer=None, unit=None, columns=(0, 1))
            assert (plane["step"], plane["classes"]) == (20, ["A", "B"])
            assert plane["domain"] == [[-6.0, 6.0], [-6.0, 6.0]]
            assert np.array(plane["probabilities"]).shape == (2, 10, 10)
            np.testing.assert_allclose(np.sum(plane["probabilities"], axis=0), 1, atol=2e-3)
            unit = await runs.boundary(id, resolution=10, layer=0, unit=3, columns=(1, 0))
            assert np.array(unit["response"]).shape == (10, 10)
            judged = await runs.evaluate(id, "test")
            assert (judged["examples"], np.sum(judged["confusion"])) == (30, 30)
            assert "r_squared" not in judged
            await runs.set_weights(id, 0, (WeightChange(3, 0, 0.0), WeightChange(3, 1, 0.0), WeightChange(3, None, 1.0)))
            flat = await runs.boundary(id, resolution=4, layer=0, unit=3, columns=(0, 1))
            np.testing.assert_allclose(flat["response"], np.tanh(1), rtol=1e-3)
            assert (await runs.predict(id, inputs=[[0.5, 0.5], [6, 6]]))["step"] == 20
            for refused in (
                runs.boundary(id, resolution=10, layer=1, unit=0, columns=(0, 1)),
                runs.boundary(id, resolution=10, layer=0, unit=4, columns=(0, 1)),
                runs.boundary(id, resolution=10, layer=None, unit=None, columns=(0, 2)),
                runs.set_weights(id, 1, (WeightChange(0, 0, 1.0),)),
                runs.examples(id, "test"),
                runs.predict(id, ink={"ink": [[0.0] * 28] * 28}),
                runs.evaluate(id, "validation"),
            ):
                with pytest.raises(Unprocessable):
                    await refused

    asyncio.run(scenario())


def test_where_a_number_is_learned_the_answers_are_numbers(tmp_path: Path) -> None:
    bumps = of_points(
        dataset=PlaneSpec(kind="bumps", points=40), network=(Dense(units=1),), loss="mean_squared_error"
    )

    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(bumps, state="paused"))["id"]
            judged = await runs.evaluate(id, "test")
            assert (judged["accuracy"], judged["confusion"], judged["per_class"]) == (None, [], [])
            assert judged["r_squared"] is not None
            assert judged["root_mean_squared_error"] >= judged["mean_absolute_error"] > 0
            plane = await runs.boundary(id, resolution=10, layer=None, unit=None, columns=(0, 1))
            assert np.array(plane["output"]).shape == (10, 10)
            curve = (await runs.create(CURVE, state="paused"))["id"]
            assert (await runs.evaluate(curve, "train"))["r_squared"] < 1
            with pytest.raises(Unprocessable, match="line"):
                await runs.boundary(curve, resolution=10, layer=None, unit=None, columns=(0, 1))

    asyncio.run(scenario())


def test_a_run_of_pictures_has_no_points(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small(), state="paused"))["id"]
            for refused in (
                runs.points(id),
                runs.points_csv(id),
                runs.boundary(id, resolution=10, layer=None, unit=None, columns=(0, 1)),
            ):
                with pytest.raises(Unprocessable, match="pictures"):
                    await refused
            await runs.set_weights(id, 0, (WeightChange(9, 143, 0.5),))

    asyncio.run(scenario())


def test_a_pace_is_kept_over_a_restart_and_a_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    spec = of_points(stop=StopSpec(steps=3_000))

    async def scenario() -> None:
        async with service(tmp_path / "a") as runs:
            straight = (await runs.create(spec))["id"]
            await until(runs, straight, lambda run: run["state"] == "finished")
            expected, curve = await weights(runs, straight), await runs.metrics(straight)
        async with service(tmp_path / "b") as runs:
            id = (await runs.create(spec))["id"]
            await until(runs, id, lambda run: run["step"] > 300)
        async with service(tmp_path / "b") as runs:
            await until(runs, id, lambda run: run["state"] == "finished")
            assert await weights(runs, id) == expected
            points = await runs.metrics(id)
            assert {name: values for name, values in points.items() if name != "seconds"} == {
                name: values for name, values in curve.items() if name != "seconds"
            }
            assert (await runs.reset(id))["updates_per_second"] is None
            run = await runs.change(id, RunChanges(updates_per_second=20.0, state="running"))
            assert (run["updates_per_second"], run["state"]) == (20.0, "running")
        async with service(tmp_path / "b") as runs:
            run = await until(runs, id, lambda run: run["state"] == "running" and run["step"] > 2)
            assert run["updates_per_second"] == 20.0
            assert run["step"] < 200
            with pytest.raises(Conflict, match="running"):
                await runs.step(id, 1)

    asyncio.run(scenario())


def test_schedule_clipping_and_pace_change_while_it_trains_and_can_be_taken_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(of_points()))["id"]
            run = await runs.change(
                id, RunChanges(schedule=Cosine(steps=500), clip_norm=0.5, updates_per_second=50.0, learning_rate=0.1)
            )
            assert (run["schedule"]["name"], run["clip_norm"], run["updates_per_second"]) == ("cosine", 0.5, 50.0)
            assert run["state"] == "running"
            run = await runs.change(id, RunChanges(l1=0.1))
            assert (run["clip_norm"], run["updates_per_second"], run["l1"]) == (0.5, 50.0, 0.1)
            run = await runs.change(id, RunChanges(clip_norm=None, updates_per_second=None, state="paused"))
            assert (run["clip_norm"], run["updates_per_second"], run["state"]) == (None, None, "paused")
            assert (await runs.spec(id))["schedule"]["steps"] == 500

    asyncio.run(scenario())


def test_a_run_changed_right_before_the_end_is_that_run_afterwards(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(of_points(), state="paused"))["id"]
            await runs.step(id, 30)
            learned = await weights(runs, id)
            await runs.respec(id, TABLE, keep="weights")
        async with service(tmp_path) as runs:
            run = await runs.get(id)
            assert (run["dataset"]["name"], run["step"]) == ("table", 30)
            assert await weights(runs, id) == learned
            assert (await runs.step(id, 10))["step"] == 40

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("points", "classes", "expected"),
    [
        ([[0, 0, 0], [1, 1, 1]], None, ["A", "B"]),
        ([[0, 0, 0], [1, 1, 3]], None, ["A", "B", "C", "D"]),
        ([[0, 0, 1.0]], ["red", "blue", "green"], ["red", "blue", "green"]),
        ([[0, 0, 0.5], [1, 1, 1]], None, []),
        ([[0, 0, 6], [1, 1, 1]], None, []),
        ([[0, 0, 0], [1, 1, 1]], [], []),
    ],
)
def test_painted_points_become_a_dataset(points: Any, classes: Any, expected: list[str]) -> None:
    answer = asyncio.run(Datasets().read_points(points, classes))
    spec = read_value(TableSpec, answer["dataset"], "")
    assert list(spec.class_names) == expected
    dataset = points_dataset(spec)
    np.testing.assert_array_equal(dataset.positions, [point[:2] for point in points])
    np.testing.assert_array_equal(dataset.labels, [point[2] for point in points])
    assert answer["rows"] == len(points)


def test_a_csv_table_becomes_a_dataset_and_its_bad_rows_are_told() -> None:
    answer = asyncio.run(Datasets().read_csv("a,b,kind\n1,2,red\nx,2,red\n3,4,blue\n", None, None))
    assert answer["rejected"] == [{"line": 3, "reason": "“a” is no number", "text": "x,2,red"}]
    assert (answer["rows"], answer["columns"], answer["numeric"]) == (2, ["a", "b", "kind"], ["a", "b"])
    with pytest.raises(Problem) as problem:
        asyncio.run(Datasets().read_csv("nothing", None, None))
    assert (problem.value.status, problem.value.code) == (422, "unreadable_table")
