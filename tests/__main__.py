"""`python3 -m tests`: sets itself up on a fresh machine, then runs the whole suite on both cores.

Arguments go on to pytest; `--long` runs only the minutes-long trainings that the ordinary suite leaves out, `--shots`
only makes the pictures of the README anew, `--peers` installs PyTorch and asks it again what is otherwise compared with
recorded answers.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if not __package__:
    sys.path[0] = str(ROOT)

if __name__ == "__main__":
    from app._bootstrap import ensure

    arguments = sys.argv[1:]
    ensure("tests", extras=["test", "peers"] if "--peers" in arguments else ["test"])
    import pytest

    if "--peers" in arguments:
        arguments.remove("--peers")
    if "--shots" in arguments:
        os.environ["NABLA_SHOTS"] = "1"
        arguments = [str(ROOT / "tests/browser/test_shots.py"), str(ROOT / "tests/browser/labs")]
        selection = []
    elif "--long" in arguments:
        arguments.remove("--long")
        selection = ["-m", "long", "--timeout", "1800"]
    else:
        selection = ["-m", "not long", "-n", "2", "--dist", "loadfile"]
    sys.exit(pytest.main(["--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), *selection, *(arguments or [str(ROOT / "tests")])]))
