"""The program in the README does what the README says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.browser.server import ROOT, running_server


def test_the_example_trains_follows_and_predicts(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 1
    with running_server(tmp_path, "--workers", "1") as server:
        program = blocks[0].replace("http://127.0.0.1:8000", server.url)
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=100)
    *followed, verdict = result.stdout.splitlines()
    steps = [int(line.split()[0]) for line in followed]
    assert steps == sorted(steps)
    assert steps[-1] == 500
    assert verdict == "A 7; the network says 7."
