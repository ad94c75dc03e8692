"""A run's files on their way between the server's folder and a worker's that shares no disk with it.

What is new goes over, what is gone is removed there, and a checkpoint that is replaced stays as the one before. The
newest checkpoint is read before what the recorder wrote, and written after it: so each finds its own beside it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from app.workers.saves import Saves
from engine.formats import checkpoint

CHECKPOINT = "run.checkpoint"
NEW, PREVIOUS = ".new", ".previous"

Stamp: TypeAlias = tuple[int, int, int]
"""What tells a file from the one that was there before: number, time of change and size."""


@dataclass(frozen=True, slots=True)
class Luggage:
    """`names` are all files of the run, but for its previous checkpoint; `files` the contents of those that are new."""

    names: frozenset[str]
    files: dict[str, bytes]


def everything(folder: Path) -> Luggage:
    """All of a run's folder; nothing, where there is none. Raises OSError for what is there and cannot be read."""
    names = [path.name for path in folder.iterdir() if not path.name.endswith(NEW)] if folder.exists() else []
    files = {
        name: (folder / name).read_bytes() for name in sorted(names, key=lambda name: not name.startswith(CHECKPOINT))
    }
    return Luggage(frozenset(name.removesuffix(PREVIOUS) for name in names), files)


def unpack(folder: Path, luggage: Luggage) -> None:
    """Make the folder what the other side has. Raises OSError when the disk does not take it; no file is ever half there."""
    if not luggage.names:
        shutil.rmtree(folder, ignore_errors=True)
        return
    Saves(folder).make_folder(sum(len(content) for content in luggage.files.values()))
    for name, content in sorted(luggage.files.items(), key=lambda file: file[0] == CHECKPOINT):
        put(folder / name, content)
    for path in folder.iterdir():
        if path.name.removesuffix(PREVIOUS) not in luggage.names:
            path.unlink(missing_ok=True)


def put(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + NEW)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.name == CHECKPOINT and path.exists():
            path.replace(checkpoint.previous(path))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class Mirror:
    """On the worker's side: which files of which run the server has already."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, dict[str, Stamp]] = {}

    def pack(self, run: str) -> Luggage | None:
        """What has become of the run's files since the last time; None: nothing."""
        known, files, stamps = self._known.get(run, {}), {}, {}
        for name in sorted(self._names(run), key=lambda name: name != CHECKPOINT):
            path = self._folder / run / name
            try:
                stamp = stamp_of(path)
                if known.get(name) != stamp:
                    files[name] = path.read_bytes()
            except FileNotFoundError:  # replaced or thinned out just now; what comes after it brings it along
                continue
            stamps[name] = stamp
        self._known[run] = stamps
        return None if stamps == known else Luggage(frozenset(stamps), files)

    def unpack(self, run: str, luggage: Luggage) -> None:
        """Take over what the server has, and nothing else."""
        shutil.rmtree(self._folder / run, ignore_errors=True)
        unpack(self._folder / run, luggage)
        self._known[run] = {name: stamp_of(self._folder / run / name) for name in self._names(run)}

    def forget(self, run: str) -> None:
        shutil.rmtree(self._folder / run, ignore_errors=True)
        self._known.pop(run, None)

    def _names(self, run: str) -> list[str]:
        folder = self._folder / run
        names = [path.name for path in folder.iterdir()] if folder.exists() else []
        return [name for name in names if not name.endswith((NEW, PREVIOUS))]


def stamp_of(path: Path) -> Stamp:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
