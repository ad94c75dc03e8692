"""Locks that end with their process, however it ends, and temporary folders that are known by them to be left behind."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

PREFIX = "nabla-"
MARK = ".in-use"
ATTEMPTS = 3
"""To make a folder: between the mark and its lock another process may take it for one that was left behind."""


class TemporaryFolder:
    """A new folder where the system keeps what is temporary, in use until `remove` or the end of this process. Raises OSError."""

    def __init__(self) -> None:
        for _ in range(ATTEMPTS):
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._mark = os.open(self.path / MARK, os.O_RDWR | os.O_CREAT, 0o600)
            if is_locked_now(self._mark) and (self.path / MARK).exists():
                return
            os.close(self._mark)
        raise OSError("A temporary folder could not be kept to oneself.")

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._mark)
        shutil.rmtree(self.path, ignore_errors=True)  # Windows keeps a file that is open


def clear_away() -> list[Path]:
    """Remove the temporary folders of processes that have ended without doing so; which those were."""
    cleared = []
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            mark = os.open(path / MARK, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        except OSError:  # another account's, just being made, or something else
            continue
        try:
            if not is_locked_now(mark):
                continue
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(mark)
        shutil.rmtree(path, ignore_errors=True)
        cleared.append(path)
    return cleared


def is_locked_now(file: int) -> bool:
    """Locks the file, if nobody has."""
    try:
        lock_file(file)
    except OSError:
        return False
    return True


if sys.platform == "win32":
    import msvcrt

    def lock_file(file: int) -> None:
        """Raises OSError where somebody else has locked it."""
        # Beyond the text, which others may then still read: Windows locks are mandatory.
        os.lseek(file, 1024, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
else:
    import fcntl

    def lock_file(file: int) -> None:
        """Raises OSError where somebody else has locked it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
