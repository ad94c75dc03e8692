"""A checkpoint is read whole or not at all; the one before it steps in."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from engine.errors import FormatError
from engine.formats import checkpoint, native
from engine.specs import Dense, MaxPool2D
from engine.trainer import Trainer, TrainerState
from tests.engine import small
from tests.engine.test_trainer import assert_same

TINY = (MaxPool2D(pool_size=13, stride=13), Dense(units=10))


@pytest.fixture(scope="module")
def states() -> list[TrainerState]:
    """The states of a run after 0, 1 and 2 updates."""
    trainer = Trainer(small.spec(network=TINY), small.dataset())
    result = [trainer.state()]
    for _ in range(2):
        trainer.step()
        result.append(trainer.state())
    return result


@pytest.fixture
def path(tmp_path: Path, states: list[TrainerState]) -> Path:
    """A checkpoint after 1 update, and beside it the one before."""
    path = tmp_path / "run.checkpoint"
    for state in states[:2]:
        checkpoint.write(path, native.dump(state))
    return path


def test_the_newest_is_read(path: Path, states: list[TrainerState]) -> None:
    assert_same(checkpoint.read(path), states[1])
    checkpoint.write(path, native.dump(states[2]))
    assert_same(checkpoint.read(path), states[2])
    assert sorted(file.name for file in path.parent.iterdir()) == ["run.checkpoint", "run.checkpoint.previous"]


def test_cut_short_at_any_byte_the_one_before_is_read(path: Path) -> None:
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert checkpoint.read(path).steps == 0, length


def test_with_any_bit_flipped_the_one_before_is_read(path: Path) -> None:
    content, rng = path.read_bytes(), random.Random(2)
    header = range(8 * 48)
    for bit in [*header, *(rng.randrange(8 * len(content)) for _ in range(1_000))]:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        assert checkpoint.read(path).steps == 0, bit


@pytest.mark.parametrize("tail", [b"\x00", b"x" * 1_000])
def test_a_longer_file_is_not_believed(path: Path, tail: bytes) -> None:
    path.write_bytes(path.read_bytes() + tail)
    assert checkpoint.read(path).steps == 0


def test_a_damaged_checkpoint_does_not_replace_the_intact_one(path: Path, states: list[TrainerState]) -> None:
    path.write_bytes(path.read_bytes()[:-9])
    checkpoint.write(path, native.dump(states[2]))
    assert checkpoint.read(path).steps == 2
    path.write_bytes(b"")
    assert checkpoint.read(path).steps == 0


def test_without_an_intact_one_it_says_so(path: Path) -> None:
    path.write_bytes(b"torn")
    checkpoint.previous(path).write_bytes(b"too")
    with pytest.raises(FormatError, match=r"is lost\. The checkpoint is cut short"):
        checkpoint.read(path)
    checkpoint.delete(path)
    with pytest.raises(FormatError, match=r"is lost\. It cannot be read"):
        checkpoint.read(path)
    checkpoint.delete(path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("fails_at", [0, 1])
def test_a_disk_that_fails_leaves_what_was_there(
    call: str, fails_at: int, path: Path, states: list[TrainerState], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    real: Any = getattr(os, call)

    def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > fails_at:
            raise OSError(28, "No space left on device")
        return real(*arguments, **options)

    monkeypatch.setattr(os, call, failing)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.write(path, native.dump(states[2]))
    monkeypatch.undo()
    expected = 2 if call == "fsync" and fails_at == 1 else 1  # only the folder was not synced
    assert checkpoint.read(path).steps == expected
    assert not path.with_name(path.name + ".new").exists()


def test_a_crash_between_the_two_renames(path: Path) -> None:
    path.replace(checkpoint.previous(path))
    assert checkpoint.read(path).steps == 1
