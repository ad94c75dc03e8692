"""E5: a saved state that is cut, flipped, mixed up or lost. Never a crash, never wrong weights; what was recovered is said."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest

from app.services.changes import RunChanges
from app.workers.saves import Saves
from engine.errors import FormatError
from engine.formats import checkpoint, native
from tests.app.small_runs import Stage, of_points, service, small, until, weights
from tests.faults.figures import note


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, dict[int, bytes]]:
    """The folder of a small run after 20 and 40 updates, and what its state was at each."""
    stage = Stage(tmp_path / "a", of_points())
    documents = {}
    for _ in range(2):
        stage.steps(20)
        documents[stage.run.trainer.steps] = native.dump(stage.run.trainer.state())
    return tmp_path / "a", documents


def read(folder: Path, documents: dict[int, bytes]) -> int:
    """The update that a reader comes to, which must be exactly as it was then."""
    saves = Saves(folder)
    found = saves.read()
    assert found is not None
    state, _ = found
    assert native.dump(state) == documents[state.steps]
    assert saves.torn == (state.steps == 20)
    return state.steps


def cuts(folder: Path, documents: dict[int, bytes], lengths: list[int]) -> None:
    path = folder / "run.checkpoint"
    content = path.read_bytes()
    for length in lengths:
        path.write_bytes(content[:length])
        assert read(folder, documents) == 20, length
    path.write_bytes(content)
    assert read(folder, documents) == 40


def flips(folder: Path, documents: dict[int, bytes], count: int) -> None:
    path, dice = folder / "run.checkpoint", random.Random(5)
    content = path.read_bytes()
    for _ in range(count):
        damaged, bit = bytearray(content), dice.randrange(8 * len(content))
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        assert read(folder, documents) == 20, bit


def test_some_cuts_and_flips_lead_to_the_state_before(saved: tuple[Path, dict[int, bytes]]) -> None:
    folder, documents = saved
    whole = (folder / "run.checkpoint").stat().st_size
    cuts(folder, documents, [0, 1, 7, 8, 47, 48, 49, whole // 2, whole - 1])
    flips(folder, documents, 20)


@pytest.mark.faults
def test_every_cut_and_a_thousand_flips_lead_to_the_state_before(saved: tuple[Path, dict[int, bytes]]) -> None:
    folder, documents = saved
    whole = (folder / "run.checkpoint").stat().st_size
    cuts(folder, documents, list(range(whole)))
    flips(folder, documents, 1_000)
    note(
        "Files",
        f"a checkpoint cut at each of {whole:,} bytes and 1,000 bits flipped: 0 crashes, 0 wrong weights",
        met=True,
    )


def test_when_both_are_damaged_it_is_said_and_nothing_is_made_up(saved: tuple[Path, dict[int, bytes]]) -> None:
    folder, _ = saved
    for path in (folder / "run.checkpoint", checkpoint.previous(folder / "run.checkpoint")):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError, match="is lost"):
        Saves(folder).read()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b'{"seconds": "x"}', b"\xff\xfe"])
def test_a_damaged_recorder_costs_the_window_of_the_curve_alone(
    saved: tuple[Path, dict[int, bytes]], damage: bytes
) -> None:
    folder, documents = saved
    (folder / "recorder-40.json").write_bytes(damage)
    found = Saves(folder).read()
    assert found is not None
    state, recorder = found
    assert native.dump(state) == documents[40]
    stage = Stage(folder, of_points())
    stage.run.go_to(state, recorder)
    stage.run.enter("paused", "")
    stage.steps(10)
    assert stage.run.trainer.steps == 50


def test_a_half_written_checkpoint_beside_the_others_is_ignored(saved: tuple[Path, dict[int, bytes]]) -> None:
    """As a crash leaves it: under another name, and never whole."""
    folder, documents = saved
    content = (folder / "run.checkpoint").read_bytes()
    (folder / "run.checkpoint.new").write_bytes(content[: len(content) // 3])
    assert read(folder, documents) == 40


@pytest.mark.faults
def test_the_checkpoint_of_another_run_is_not_taken_in(tmp_path: Path) -> None:
    """It is whole, but of another network: the run begins from its seed rather than with weights that do not fit."""

    async def scenario() -> None:
        async with service(tmp_path) as runs:
            points = (await runs.create(of_points(), state="paused"))["id"]
            digits = (await runs.create(small(), state="paused"))["id"]
            await runs.step(points, 20)
            await runs.step(digits, 20)
        folder = tmp_path / "checkpoints"
        for path in (folder / points).iterdir():
            shutil.copy(path, folder / digits)
        async with service(tmp_path) as runs:
            assert (await runs.step(digits, 1))["step"] == 1

    asyncio.run(scenario())


def test_what_was_recovered_is_said_and_goes_on_as_it_would_have(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small(), state="paused"))["id"]
            undisturbed = (await runs.create(small(), state="paused"))["id"]
            await runs.step(id, 20)
            await runs.step(id, 20)
            await runs.step(undisturbed, 60)
            expected = await weights(runs, undisturbed)
        newest = tmp_path / "checkpoints" / id / "run.checkpoint"
        newest.write_bytes(newest.read_bytes()[:-100])
        async with service(tmp_path) as runs:
            await weights(runs, id)  # opens it
            run = await runs.get(id)
            assert run["step"] == 20
            assert "damaged" in run["sentence"]
            assert "of update 20." in run["sentence"]
            await runs.step(id, 40)
            assert await weights(runs, id) == expected
            assert (await runs.metrics(id))["step"] == [10, 20, 30, 40, 50, 60]

    asyncio.run(scenario())


def test_a_run_that_diverged_keeps_its_whole_curve_over_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with service(tmp_path) as runs:
            id = (await runs.create(small(), state="paused"))["id"]
            await runs.step(id, 20)
            await runs.change(id, RunChanges(learning_rate=10.0, l2=0.9, state="running"))
            before = await until(runs, id, lambda run: run["state"] == "diverged")
            curve = await runs.metrics(id)
            assert curve["step"][-1] > 20
        async with service(tmp_path) as runs:
            await weights(runs, id)  # opens it: the last good weights
            run = await runs.get(id)
            assert {name: run[name] for name in ("state", "sentence", "step", "metrics")} == {
                name: before[name] for name in ("state", "sentence", "step", "metrics")
            }
            assert await runs.metrics(id) == curve
            await runs.change(id, RunChanges(learning_rate=0.01, l2=0.0, state="running"))
            await until(runs, id, lambda run: run["state"] == "running")
            run = await runs.change(id, RunChanges(state="paused"))
            steps = (await runs.metrics(id))["step"]
            assert steps == list(range(10, run["step"] + 1, 10))

    asyncio.run(scenario())
