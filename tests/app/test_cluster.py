"""What the cluster needs without Ray: a run's files go both ways whole, and an install without Ray knows nothing of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.workers.luggage import Luggage, Mirror, everything, unpack
from app.workers.saves import Saves
from engine.trainer import Trainer
from tests.app.small_runs import dataset_of, small

RUN = "a"


class Sides:
    """The server's folder, a worker's that shares nothing with it, and a run that is saved in the second."""

    def __init__(self, folder: Path) -> None:
        self.here, self.there = folder / "here" / RUN, folder / "there" / RUN
        self.mirror = Mirror(folder / "there")
        self.trainer = Trainer(small(), dataset_of(small()))
        self.saves = Saves(self.there)

    def save(self) -> Luggage | None:
        self.trainer.step()
        self.saves.write(self.trainer, {"steps": self.trainer.steps})
        return self.over()

    def over(self) -> Luggage | None:
        """What is new there comes here."""
        if (luggage := self.mirror.pack(RUN)) is not None:
            unpack(self.here, luggage)
        return luggage

    def files(self, side: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in side.iterdir()}


def test_what_is_saved_there_lies_here_with_its_past(tmp_path: Path) -> None:
    sides = Sides(tmp_path)
    sides.saves.keep_beginning(sides.trainer.state())
    for _ in range(6):
        sides.save()
        assert sides.files(sides.here) == sides.files(sides.there)
    assert "run.checkpoint.previous" in sides.files(sides.here)
    state, recorder = Saves(sides.here).read() or (None, None)
    assert state is not None
    assert (state.steps, recorder) == (6, {"steps": 6})


def test_only_what_is_new_travels(tmp_path: Path) -> None:
    sides = Sides(tmp_path)
    sides.saves.keep_beginning(sides.trainer.state())
    sides.save()
    luggage = sides.save()
    assert luggage is not None
    assert sorted(luggage.files) == ["recorder-2.json", "run.checkpoint"]
    assert sides.over() is None


def test_what_is_gone_there_goes_here(tmp_path: Path) -> None:
    sides = Sides(tmp_path)
    sides.saves.keep_beginning(sides.trainer.state())
    sides.save()
    sides.save()
    sides.saves.remove_progress()
    sides.over()
    assert list(sides.files(sides.here)) == ["beginning.checkpoint"]
    sides.saves.remove()
    sides.over()
    assert not sides.here.exists()


def test_a_run_that_is_opened_elsewhere_brings_all_it_has_and_nothing_comes_back_at_once(tmp_path: Path) -> None:
    sides = Sides(tmp_path)
    sides.save()
    sides.save()
    elsewhere = tmp_path / "elsewhere"
    other = Mirror(elsewhere)
    (elsewhere / RUN).mkdir(parents=True)
    (elsewhere / RUN / "run.checkpoint").write_bytes(b"of long ago")
    other.unpack(RUN, everything(sides.here))
    assert sides.files(elsewhere / RUN) == sides.files(sides.here)
    assert other.pack(RUN) is None
    other.unpack(RUN, everything(tmp_path / "never saved"))
    assert not (elsewhere / RUN).exists()


def test_a_disk_that_takes_nothing_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = Sides(tmp_path)
    sides.save()
    before = sides.files(sides.here)

    def full(descriptor: int) -> None:  # noqa: ARG001
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        sides.trainer.step()
        sides.saves.write(sides.trainer, {})
        luggage = sides.mirror.pack(RUN)
        assert luggage is not None
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            unpack(sides.here, luggage)
    assert sides.files(sides.here) == before


def test_the_app_needs_no_ray_and_says_what_to_install_for_a_cluster(tmp_path: Path) -> None:
    code = "import sys; sys.modules['ray'] = None; from app.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "--port", "0", "--data", str(tmp_path), "--cluster", "local"]
    result = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=100
    )
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "pip install -e '.[cluster]'" in result.stderr
