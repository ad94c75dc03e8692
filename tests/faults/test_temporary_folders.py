"""What a killed process leaves among the system's temporary files goes away at the next start; what is in use stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest

from app.folders import MARK, TemporaryFolder, clear_away
from tests.browser.server import ROOT, Server, start_server
from tests.faults.figures import note

HOLDER = "import sys; from app.folders import TemporaryFolder; print(TemporaryFolder().path, flush=True); sys.stdin.read()"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that this process, and those it starts, take for the system's."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_the_folder_of_a_killed_process_is_cleared_away_and_no_other(temporary: Path) -> None:
    mine = TemporaryFolder()
    (mine.path / "file").touch()
    (temporary / "nabla-unmarked").mkdir()
    (temporary / "of-another-program").mkdir()
    (temporary / "of-another-program" / MARK).touch()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        theirs = Path(holder.stdout.readline().strip())
        (theirs / "checkpoints").mkdir()
        before = set(temporary.iterdir())
        assert {mine.path, theirs} <= before
        assert clear_away() == []
        assert set(temporary.iterdir()) == before
        holder.kill()
        holder.wait()
        assert clear_away() == [theirs]
        assert set(temporary.iterdir()) == before - {theirs}
    mine.remove()
    assert not mine.path.exists()
    assert clear_away() == []


@pytest.mark.faults
def test_the_folder_of_a_killed_server_goes_away_at_the_next_start(tmp_path: Path, temporary: Path) -> None:
    """Of servers that could not use their data folder; the next one need not be such a one."""
    nowhere = tmp_path / "file"
    nowhere.touch()

    def begin(data: Path) -> Server:
        server = start_server(data, "--workers", "1")
        body = {"preset": "circle", "stop": {"steps": 10}}
        httpx.post(f"{server.url}/api/runs", json=body, timeout=60).raise_for_status()
        return server

    killed = begin(nowhere / "data")
    [left] = temporary.glob("nabla-*")
    living = begin(nowhere / "data")
    [own] = set(temporary.glob("nabla-*")) - {left}
    killed.stop(signal.SIGKILL)
    assert left.is_dir()
    following = begin(tmp_path / "data")
    assert set(temporary.glob("nabla-*")) == {own}
    assert any(str(left) in line for line in following.lines), "it is told"
    for server in (following, living):
        assert server.stop() == 0
    assert list(temporary.glob("nabla-*")) == []
    note("Server kills", "the temporary folder of a killed server is gone at the next start, that of a living one stays", met=True)
