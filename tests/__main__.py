"""`python3 -m tests`: sets itself up on a fresh machine, then runs the whole suite on both cores.

Arguments go on to pytest; `--long` runs only the minutes-long trainings that the ordinary suite leaves out, `--shots`
only makes the pictures of the README anew, `--peers` installs PyTorch and asks it again what is otherwise compared with
recorded answers. `--faults` kills, cuts, corrupts and floods; `--load` is a class of 300, then hundreds of visits one
after the other (`--load --full`: for 30 minutes, and for two hours). These two end with a table of what they measured,
and fail where a figure does not meet its goal. `--cluster` installs Ray and runs what is about workers on several
machines, which `--faults` otherwise skips.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if not __package__:
    sys.path[0] = str(ROOT)

MEASURED = {"--faults": "faults or fault_model", "--load": "load"}
"""One test after the other, with nothing beside it that would spoil its figures."""


def run(selection: list[str], arguments: list[str]) -> int:
    """All tests, unless the arguments name a file or a folder of them."""
    import pytest

    named = any(Path(argument.partition("::")[0]).exists() for argument in arguments)
    where = [] if named else [str(ROOT / "tests")]
    return int(
        pytest.main(["--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), *selection, *arguments, *where])
    )


def measure(selection: str, arguments: list[str]) -> int:
    """The tests of a selection, then the table of the figures they noted."""
    from tests.faults import figures

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures"
        file.touch()
        os.environ[figures.FILE] = str(file)
        code = run(["-m", selection, "--timeout", "14400"], arguments)
        notes = figures.read(file)
    print("\n" + figures.table(notes))
    return code or int(not all(each["met"] for each in notes))


def taken(flag: str) -> bool:
    """Whether the flag was among the arguments, where it then is no more."""
    if found := flag in arguments:
        arguments.remove(flag)
    return found


if __name__ == "__main__":
    from app._bootstrap import ensure

    arguments = sys.argv[1:]
    ensure("tests", extras=["test", *(flag[2:] for flag in ("--peers", "--cluster") if flag in arguments)])
    taken("--peers")
    if taken("--full"):
        os.environ["NABLA_LOAD"] = "full"
    if taken("--cluster"):
        sys.exit(measure("faults", [*arguments, str(ROOT / "tests/faults/test_cluster.py")]))
    for flag, marks in MEASURED.items():
        if taken(flag):
            sys.exit(measure(marks, arguments))
    if taken("--shots"):
        os.environ["NABLA_SHOTS"] = "1"
        sys.exit(run([], [*arguments, str(ROOT / "tests/browser/test_shots.py"), str(ROOT / "tests/browser/labs")]))
    if taken("--long"):
        sys.exit(run(["-m", "long", "--timeout", "1800"], arguments))
    sys.exit(run(["-m", "not long and not faults and not load", "-n", "2", "--dist", "loadfile"], arguments))
