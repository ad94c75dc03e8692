"""The use cases of runs against real workers and a real store."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from app.errors import BadRequest, Busy, Conflict, NotFound, Problem, Unprocessable
from app.services.changes import RunChanges
from app.services.runs import Runs
from app.settings import Settings
from app.store.database import Database
from app.workers.pool import Pool
from engine.specs import Conv2D, Dense, StopSpec
from tests.app.small_runs import of_points, parse, service, small, until, weights

BLANK = {"ink_base64": b64encode(bytes(28 * 28)).decode(), "size": 28}
STROKE = {"ink": [[1.0 if 12 <= x <= 15 and 4 <= y <= 24 else 0.0 for x in range(28)] for y in range(28)]}


def test_the_life_of_a_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small(), state="paused"))["id"]
            run = await until(runs, id, lambda run: run["state"] != "queued")
            assert (run["state"], run["step"], run["parameters"]) == ("paused", 0, 1450)
            assert run["dataset"]["input_shape"] == [12, 12, 1]
            assert run["dataset"]["train_examples"] == 500
            assert (await runs.step(id, 3))["step"] == 3
            assert (await runs.step(id, 1))["step"] == 4
            assert (await runs.change(id, RunChanges(state="running")))["state"] == "running"
            with pytest.raises(Conflict) as conflict:
                await runs.step(id, 1)
            assert conflict.value.extra == {"state": "running"}
            await until(runs, id, lambda run: run["step"] > 200)
            run = await runs.change(id, RunChanges(state="paused", learning_rate=0.5, name="renamed"))
            assert (run["state"], run["name"], run["optimizer"]["learning_rate"]) == ("paused", "renamed", 0.5)
            points = await runs.metrics(id)
            assert points["step"] == list(range(10, run["step"] + 1, 10))
            assert (await runs.current("mnist")) == run
            run = await runs.change(id, RunChanges(state="stopped"))
            assert (await runs.change(id, RunChanges(state="stopped")))["state"] == "stopped"
            with pytest.raises(Conflict, match="stopped"):
                await runs.change(id, RunChanges(state="running"))
            before = run["generation"]
            run = await runs.reset(id)
            assert (run["state"], run["step"]) == ("paused", 0)
            assert run["generation"] > before
            assert (await runs.metrics(id))["step"] == []
            await runs.delete(id)
            with pytest.raises(NotFound):
                await runs.get(id)
            assert not list((tmp_path / "checkpoints").iterdir())

    asyncio.run(scenario())


def test_pausing_is_exact_and_steps_are_the_run_itself(tmp_path: Path) -> None:
    """Running, pausing anywhere and stepping to 400 gives the very weights of 400 updates in one go."""

    async def scenario() -> None:
        async with service(tmp_path, workers=2) as runs:
            straight = await runs.create(small(stop=StopSpec(steps=400)))
            await until(runs, straight["id"], lambda run: run["state"] == "finished")
            broken = await runs.create(small(), state="paused")
            id, step = broken["id"], 0
            while step < 300:
                await runs.change(id, RunChanges(state="running"))
                run = await runs.change(id, RunChanges(state="paused"))
                step = run["step"]
                assert step == (await runs.get(id))["step"]
            if step < 400:
                await runs.step(id, 400 - step)
                assert await weights(runs, id) == await weights(runs, straight["id"])

    asyncio.run(scenario())


def test_the_same_idempotency_key_makes_one_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            created = await asyncio.gather(
                *(runs.create(small(), state="paused", idempotency_key="k") for _ in range(5))
            )
            assert len({run["id"] for run in created}) == 1
            with pytest.raises(Unprocessable, match="another request"):
                await runs.create(small(seed=2), state="paused", idempotency_key="k")
            assert (await runs.create(small(), state="paused"))["id"] != created[0]["id"]
            assert len((await runs.list())["items"]) == 2

    asyncio.run(scenario())


def test_a_run_that_never_got_to_a_worker_is_what_was_asked_for_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        settings = Settings(data=tmp_path, workers=1)
        runs = Runs(Pool(settings), Database(tmp_path), settings)
        await runs.start()
        asked = [asyncio.ensure_future(runs.create(small(), state=state)) for state in ("paused", "running")]
        while len((await runs.list())["items"]) < 2:
            await asyncio.sleep(0)
        ids = [run["id"] for run in (await runs.list())["items"]]
        await runs.close()  # the worker is still starting
        await asyncio.gather(*asked, return_exceptions=True)
        async with service(tmp_path) as runs:
            states = [(await until(runs, id, lambda run: run["state"] != "queued"))["state"] for id in ids]
            assert sorted(states) == ["paused", "running"]

    asyncio.run(scenario())


def test_two_first_visits_at_once_make_one_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            visits = await asyncio.gather(*(runs.first(small()) for _ in range(5)))
            assert len({run["id"] for run in visits}) == 1
            assert len((await runs.list())["items"]) == 1
            await runs.delete(visits[0]["id"])
            assert (await runs.first(small()))["id"] != visits[0]["id"]

    asyncio.run(scenario())


def test_lists_are_paged_newest_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            ids = [(await runs.create(small(), state="paused"))["id"] for _ in range(5)]
            first = await runs.list(2)
            second = await runs.list(2, first["next"])
            third = await runs.list(2, second["next"])
            listed = [run["id"] for page in (first, second, third) for run in page["items"]]
            assert listed == ids[::-1]
            assert third["next"] is None
            with pytest.raises(BadRequest):
                await runs.list(2, "no cursor")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (small(network=(Dense(units=9),)), "/network/0"),
        (small(network=(Conv2D(filters=2, kernel_size=20), Dense(units=10))), "/network/0/kernel_size"),
    ],
)
def test_what_cannot_be_built_is_refused_before_it_is_stored(tmp_path: Path, spec: Any, field: str) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            with pytest.raises(Unprocessable) as refused:
                await runs.create(spec)
            assert refused.value.field == field
            assert (await runs.list())["items"] == []

    asyncio.run(scenario())


def test_what_a_run_can_be_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small(), state="paused"))["id"]
            await runs.step(id, 200)

            answer = await runs.predict(id, ink=STROKE)
            assert sum(answer["predictions"][0]["probabilities"]) == pytest.approx(1, abs=1e-5)
            assert len(answer["preprocessed"]) == 28
            assert (await runs.predict(id, ink=BLANK))["predictions"][0]["class"] is None
            batch = await runs.predict(id, inputs=[[[0.0] * 12] * 12] * 3)
            assert len(batch["predictions"]) == 3
            with pytest.raises(Unprocessable):
                await runs.predict(id, inputs=[[[2.0] * 12] * 12])
            with pytest.raises(Unprocessable):
                await runs.predict(id, ink={"ink": [[1.0]]})

            evaluation = await runs.evaluate(id, "validation")
            assert (evaluation["examples"], evaluation["crops"], evaluation["step"]) == (100, 1, 200)
            assert sum(map(sum, evaluation["confusion"])) == 100
            assert (await runs.evaluate(id, "validation", crops=3))["crops"] == 3

            mistakes = await runs.examples(id, "validation", which="mistakes", limit=100)
            assert mistakes["total"] == len(mistakes["items"])
            assert not any(item["right"] for item in mistakes["items"])
            cell = await runs.examples(id, "validation", truth=4, predicted=9, limit=100)
            assert cell["total"] == (await runs.evaluate(id, "validation"))["confusion"][4][9] or cell["step"] == 200
            some = await runs.examples(id, "test", limit=5, seed=3)
            assert [item["index"] for item in some["items"]] == [
                item["index"] for item in (await runs.examples(id, "test", limit=5, seed=3))["items"]
            ]
            assert some["total"] == 10_000
            assert (await runs.examples(id, "test", offset=10_000))["items"] == []

            layers = await runs.layers(id)
            assert [(layer["type"], layer["output_shape"], layer["parameters"]) for layer in layers] == [
                ("dense", [10], 1450)
            ]
            layer = await runs.layer(id, 0, {"weights", "activations", "gradients"}, {"source": "test", "index": 1})
            assert layer["weights"]["shape"] == [10, 144]
            assert layer["activations"]["shape"] == [10]
            assert layer["gradients"]["low"] < 0 < layer["gradients"]["high"]
            with pytest.raises(NotFound):
                await runs.layer(id, 1, {"weights"}, None)
            with pytest.raises(Unprocessable):
                await runs.layer(id, 0, {"activations"}, {"source": "test", "index": 99_999})
            with pytest.raises(NotFound):
                await runs.predict("nosuchrun", ink=STROKE)

    asyncio.run(scenario())


def test_an_exported_run_comes_back_as_the_same_network(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small(), state="paused"))["id"]
            await runs.step(id, 30)
            filename, media_type, body = await runs.export(id, "native")
            assert (filename, media_type) == ("small-30.nabla.json", "application/json")
            copy = await runs.import_model(body, filename)
            assert (copy["state"], copy["step"]) == ("paused", 30)
            assert await weights(runs, copy["id"]) == await weights(runs, id)
            await runs.step(copy["id"], 1)
            filename, _, body = await runs.export(id, "convnetjs")
            assert filename == "small-30.convnetjs.json"
            foreign = await runs.import_model(body, filename)
            assert (foreign["name"], foreign["step"]) == ("small-30", 0)
            assert await weights(runs, foreign["id"]) == await weights(runs, id)
            await runs.step(foreign["id"], 1)
            with pytest.raises(Unprocessable):
                await runs.import_model(b'{"format": "nabla"}', "broken.json")
            assert len((await runs.list())["items"]) == 3

    asyncio.run(scenario())


def test_an_imported_network_is_reset_to_what_was_imported(tmp_path: Path) -> None:
    """Also after a restart of the server; another seed draws new weights, which are then what a reset goes back to."""

    async def scenario() -> None:
        async with service(tmp_path) as runs:
            origin = (await runs.create(small(), state="paused"))["id"]
            await runs.step(origin, 30)
            known = await weights(runs, origin)
            ids = []
            for format in ("native", "convnetjs", "safetensors"):
                filename, _, body = await runs.export(origin, format)  # type: ignore[arg-type]
                ids.append((await runs.import_model(body, filename))["id"])
            native, *foreign = ids
            for id, first in ((native, 30), *((id, 0) for id in foreign)):
                await runs.step(id, 5)
                await runs.change(id, RunChanges(learning_rate=0.2))
                run = await runs.reset(id)
                assert (run["step"], run["state"], run["optimizer"]["learning_rate"]) == (first, "paused", 0.2)
                assert await weights(runs, id) == known
                await runs.step(id, 3)
        async with service(tmp_path) as runs:
            for id in ids:
                await runs.reset(id)
                assert await weights(runs, id) == known
            for file in (tmp_path / "checkpoints" / native).glob("run.checkpoint*"):
                file.write_bytes(b"torn")
        async with service(tmp_path) as runs:
            with pytest.raises(Unprocessable):
                await runs.step(native, 1)
            await runs.reset(native)
            assert await weights(runs, native) == known, "the beginning outlives the checkpoints"
            drawn = (await runs.create(small(seed=5), state="paused"))["id"]
            assert (await runs.reset(native, seed=5))["step"] == 0
            assert await weights(runs, native) == await weights(runs, drawn)
            await runs.step(native, 2)
            await runs.reset(native)
            assert await weights(runs, native) == await weights(runs, drawn)

    asyncio.run(scenario())


def test_places_in_workers_go_to_who_needs_them(tmp_path: Path) -> None:
    """Two places for three runs: the one untouched for longest is put away, and comes back when it is wanted."""

    async def scenario() -> None:
        async with service(tmp_path, runs_live=2) as runs:
            first, second, third = [(await runs.create(small(), state="paused"))["id"] for _ in range(3)]
            assert sorted(runs._pool.settled) == sorted([second, third])
            await runs.step(first, 2)
            assert first in runs._pool.settled
            await runs.change(first, RunChanges(state="running"))
            await runs.change(third, RunChanges(state="running"))
            with pytest.raises(Busy):
                await runs.step(second, 1)
            assert (await runs.create(small(), state="paused"))["state"] == "queued"
            await runs.change(third, RunChanges(state="paused"))
            assert (await runs.step(second, 1))["step"] == 1

    asyncio.run(scenario())


def test_a_watch_shows_frames_while_somebody_looks(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small(), state="paused"))["id"]
            stream = await runs.subscribe(id, frozenset({"layers", "tiles"}), "mine", None)
            frames: dict[str, Any] = {}
            await runs.watch(
                id, "mine", {"example": {"source": "test", "index": 7}, "gradients": True, "tiles": [1, 2]}
            )
            async with asyncio.timeout(10):
                async for chunk in stream:
                    name, _, data = parse(chunk)
                    if name == "frame":
                        frames[data["view"]] = data
                    if len(frames) == 2:
                        break
            assert frames["layers"]["example"]["index"] == 7
            with pytest.raises(Unprocessable):
                await runs.watch(id, "mine", {"example": {"source": "test", "index": -1}})
            await runs.change(id, RunChanges(state="running"))
            async with asyncio.timeout(10):
                async for chunk in stream:
                    name, _, data = parse(chunk)
                    if name == "frame" and data["step"] > 0:
                        break
            await stream.aclose()  # type: ignore[attr-defined]
            with pytest.raises(Unprocessable):
                await runs.watch(id, "mine", {"tiles": list(range(61))})

    asyncio.run(scenario())


def test_one_stream_shows_frames_of_several_runs_until_each_is_deleted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            ids = [(await runs.create(of_points(name=name), state="paused"))["id"] for name in "ab"]
            stream = await runs.subscribe_together([*ids, ids[0]], frozenset({"metrics", "plane"}), "mine")
            for id in ids:
                await runs.watch(id, "mine", {"plane": {"resolution": 20, "columns": (0, 1)}})
            names: list[str] = []

            async def until(wanted: str) -> None:
                async with asyncio.timeout(10):
                    async for chunk in stream:
                        if (name := parse(chunk)[0]) is not None:
                            names.append(name)
                        if name == wanted:
                            return

            for id in ids:
                await until(f"frame@{id}") if f"frame@{id}" not in names else None
            await runs.delete(ids[0])
            await until(f"close@{ids[0]}")
            await runs.change(ids[1], RunChanges(state="running"))
            await until(f"frame@{ids[1]}")
            await stream.aclose()  # type: ignore[attr-defined]
            assert not (await runs._live.find(ids[1])).channel.readers

    asyncio.run(scenario())


def test_watches_are_limited_and_forgotten(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, watches_per_run=2, watch_grace=0.01) as runs:
            id = (await runs.create(small(), state="paused"))["id"]
            for name in ("one", "two"):
                await runs.watch(id, name, {"tiles": [1]})
            held = await runs._live.find(id)
            async with asyncio.timeout(5):
                while held.watches:
                    await runs.watch(id, "one", {"tiles": [1]}) if len(held.watches) == 2 else await runs.health()
                    await asyncio.sleep(0)
        async with service(tmp_path / "other", watches_per_run=1) as runs:
            id = (await runs.create(small(), state="paused"))["id"]
            await runs.watch(id, "one", {"tiles": [1]})
            with pytest.raises(Busy):
                await runs.watch(id, "two", {"tiles": [1]})

    asyncio.run(scenario())


def test_streams_end_when_the_server_stops_or_the_run_is_deleted(tmp_path: Path) -> None:
    async def last(stream: Any) -> Any:
        async with asyncio.timeout(10):
            return [parse(chunk) async for chunk in stream][-1]

    async def scenario() -> None:
        async with service(tmp_path) as runs:
            doomed, other = [(await runs.create(small()))["id"] for _ in range(2)]
            ends = [
                asyncio.ensure_future(last(await runs.subscribe(id, frozenset({"metrics"}), None, None)))
                for id in (doomed, other)
            ]
            await asyncio.sleep(0)
            await runs.delete(doomed)
            assert (await ends[0])[::2] == ("close", {"reason": "The run was deleted."})
            runs.end_streams()
            assert (await ends[1])[::2] == ("close", {"reason": "The server is stopping."})

    asyncio.run(scenario())


def test_limits_hold(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path, runs_stored=1, steps=5) as runs:
            id = (await runs.create(small(), state="paused", named=True))["id"]
            with pytest.raises(Conflict, match="room"):
                await runs.create(small())
            for count in (0, 6):
                with pytest.raises(Unprocessable):
                    await runs.step(id, count)
            await runs.delete(id)
            await runs.create(small(), state="paused")

    asyncio.run(scenario())


def test_two_changes_at_once_both_hold(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small(), state="paused"))["id"]
            await asyncio.gather(
                runs.change(id, RunChanges(learning_rate=0.25)),
                runs.change(id, RunChanges(l2=0.5)),
                runs.change(id, RunChanges(batch_size=7)),
            )
            run = await runs.get(id)
            assert (run["optimizer"]["learning_rate"], run["l2"], run["batch_size"]) == (0.25, 0.5, 7)
            with pytest.raises(Unprocessable) as refused:
                await runs.change(id, RunChanges(momentum=0.5, l2=0.1))
            assert refused.value.field == "/optimizer/momentum"
            assert (await runs.get(id))["l2"] == 0.5

    asyncio.run(scenario())


def test_a_missing_dataset_is_said_and_leaves_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker cannot be given another folder, so its refusal is played."""

    async def scenario() -> None:
        async with service(tmp_path) as runs:

            async def refuse(_: object) -> None:
                raise Problem(
                    503, "dataset_unavailable", "The dataset is not there", "train-images-idx3-ubyte is missing."
                )

            monkeypatch.setattr(runs._live, "command", refuse)
            with pytest.raises(Problem, match="missing"):
                await runs.create(small())
            monkeypatch.undo()
            assert (await runs.list())["items"] == []

    asyncio.run(scenario())


def test_an_evaluation_begins_anew_when_the_run_is_reset_on_the_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            run = await runs.create(small(), state="paused")
            await runs.step(run["id"], 5)
            asked = asyncio.create_task(runs.evaluate(run["id"], "test", crops=16))
            async with asyncio.timeout(10):
                while not runs._live.peek(run["id"]).commands:  # type: ignore[union-attr]
                    await asyncio.sleep(0)
            await runs.reset(run["id"])
            answer = await asked
            assert (answer["step"], answer["examples"]) == (0, 10_000)

    asyncio.run(scenario())
