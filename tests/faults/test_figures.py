"""Figures come together from several processes, and stand in the table beside their goal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.figures import FILE, GOALS, note, read, table

ROOT = Path(__file__).resolve().parents[2]


def test_notes_of_every_process_stand_in_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "figures"
    monkeypatch.setenv(FILE, str(file))
    note("Leaks", "100 visits: nothing", met=True)
    code = "from tests.faults.figures import note; note('Start burst', '300 in 3 s', met=False)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    note("Leaks", "two hours: nothing", met=True)
    lines = table(read(file)).splitlines()
    assert lines[2] == f"| Start burst | {GOALS['Start burst']} | 300 in 3 s | **no** |"
    assert lines[3] == f"| Leaks | {GOALS['Leaks']} | 100 visits: nothing<br>two hours: nothing | yes<br>yes |"
    assert len(lines) == 4, "areas of which nothing was measured are left out"


def test_a_figure_of_no_area_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="none of the areas"):
        note("Start-burst", "300 in 3 s", met=True)
