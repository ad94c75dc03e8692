"""The server as a process of its own: started on a folder, asked over HTTP, killed at any moment."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
LIBC = ctypes.CDLL(None)
MAIN = "import sys; from app.__main__ import main; sys.exit(main())"


@dataclass(slots=True)
class Served:
    """`seconds` is how long it took until it said where it listens; what it says otherwise goes into `errors`."""

    process: subprocess.Popen[str]
    address: str
    seconds: float
    errors: Path

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=60)

    def workers(self) -> list[int]:
        """Process ids of all that it started."""
        found = [
            int(id)
            for task in Path(f"/proc/{self.process.pid}/task").glob("*/children")
            for id in task.read_text().split()
        ]
        return found

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)


@contextmanager
def serving(
    *arguments: str,
    errors: Path,
    powerless: bool = False,
    environment: Mapping[str, str] | None = None,
    folder: Path = ROOT,
) -> Iterator[Served]:
    """`powerless`: root's rights over others' files are given up; `errors` is a file for what it prints to stderr."""
    started = time.monotonic()
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=folder,
            env={**(os.environ if environment is None else environment), "PYTHONPATH": str(ROOT)},
            preexec_fn=give_up_rights if powerless else None,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, errors.read_text()
        yield Served(process, found[0], time.monotonic() - started, errors)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


PR_CAPBSET_DROP = 24
OVER_OTHERS = range(4)
"""CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER."""


def give_up_rights() -> None:
    """In the child, before it becomes the server: even root is then bound by who owns a file, and so is all it starts."""
    for right in OVER_OTHERS:
        LIBC.prctl(PR_CAPBSET_DROP, right, 0, 0, 0)


def is_alive(id: int) -> bool:
    """A process that is there and not merely waiting to be buried."""
    try:
        return Path(f"/proc/{id}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
