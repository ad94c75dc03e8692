"""A run's saved state on disk: written whole or not at all, and never believed when damaged.

One file is an 8-byte mark with the version, the length of the document (8 bytes, little-endian), its SHA-256 (32 bytes)
and the native document itself. Beside the newest checkpoint the one before is kept, for the day the newest is torn.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

from engine.errors import FormatError
from engine.formats import native
from engine.trainer import TrainerState

MARK = b"NABLA\x00\x00\x01"
_HEADER = struct.Struct("<8sQ32s")


def previous(path: Path) -> Path:
    """Where the checkpoint before the newest lies."""
    return path.with_name(path.name + ".previous")


def write(path: Path, document: bytes) -> None:
    """Make `document` the newest checkpoint at `path`.

    It is complete and on the disk under another name before it takes its place, so that a crash or a full disk
    (OSError) at any moment leaves at least one intact checkpoint. One that is damaged is not kept as the previous.
    """
    temporary = path.with_name(path.name + ".new")
    try:
        with temporary.open("wb") as file:
            file.write(_HEADER.pack(MARK, len(document), hashlib.sha256(document).digest()))
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        if _is_intact(path):
            path.replace(previous(path))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def recover(path: Path) -> tuple[TrainerState, bool]:
    """The newest intact state, and whether that is another than the newest written because that one is damaged.

    FormatError when there is none.
    """
    try:
        return native.load(_document(path)), False
    except (FormatError, OSError) as newest:
        try:
            return native.load(_document(previous(path))), not isinstance(newest, FileNotFoundError)
        except (FormatError, OSError):
            reason = str(newest) if isinstance(newest, FormatError) else "It cannot be read."
            raise FormatError(f"The saved state of this run is lost. {reason}") from newest


def read(path: Path) -> TrainerState:
    """The newest intact state. FormatError when there is none."""
    return recover(path)[0]


def delete(path: Path) -> None:
    """Remove a run's checkpoints."""
    for file in (path, previous(path)):
        file.unlink(missing_ok=True)


def _document(path: Path) -> bytes:
    """The document in a checkpoint, if it is exactly the one that was written."""
    largest = _HEADER.size + native.MAX_BYTES
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) < _HEADER.size:
        raise FormatError("The checkpoint is cut short.")
    mark, length, checksum = _HEADER.unpack_from(content)
    document = content[_HEADER.size :]
    if mark != MARK:
        raise FormatError("This is not a checkpoint, or one of another version.")
    if len(document) != length:
        raise FormatError(f"The checkpoint is damaged: expected {length:,} bytes, found {len(document):,}.")
    if hashlib.sha256(document).digest() != checksum:
        raise FormatError("The checkpoint is damaged: its checksum does not match.")
    return document


def _is_intact(path: Path) -> bool:
    try:
        _document(path)
    except (FormatError, OSError):
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Put the new names on the disk as well, where the system can do that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
