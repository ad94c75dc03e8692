"""Getting at a data folder and its SQLite file: the lock, the checks, and what is done with a file that fails them.

A file that is no database any more, or another program's, is put aside under another name and a new one begun. One that
cannot be used now, but is not broken, stays where it is: of a newer version, another account's, held by another program.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from app import clock
from app.folders import lock_file
from app.store.migrations import APPLICATION_ID, MIGRATIONS

STATES = "checkpoints"
"""The folder beside the history where workers save to."""
WRITE_PATIENCE = 2.0
"""Seconds that a transaction waits for another program to let go of the file."""
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""Primary result codes of a file whose content is not what it should be."""


class StartupError(Exception):
    """Another server has the data folder; the message is one line for the person at the terminal."""


class UnusableError(Exception):
    """The folder or the file cannot be used, though it may be sound; the message is a sentence."""


class ForeignFileError(sqlite3.DatabaseError):
    """It is a database, but not ours."""


def open_folder(folder: Path) -> FolderLock:
    """The folder, made if need be, for this process alone. Raises UnusableError, or StartupError where a server has it."""
    if not folder.is_absolute() and folder.parts[:1] == ("~",):
        raise UnusableError("This account has no home folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return FolderLock(folder / "nabla.lock")
    except OSError as error:
        raise UnusableError(f"The data folder {folder} cannot be used: {reason(error, folder)}.") from error


def open_file(path: Path) -> tuple[sqlite3.Connection, str | None]:
    """A checked connection with the present schema, and the name under which an unreadable history was put aside, if one was.

    So are the saved states of a history that is not there any more. Raises UnusableError when the file has to stay as it is.
    """
    if path.is_file() and not os.access(path, os.R_OK | os.W_OK):
        raise UnusableError(f"The history {path} may not be read and written by this account{owner(path)}.")
    try:
        try:
            lost = not (path.exists() and path.stat().st_size) and has_states(path.parent)
            kept = move_aside(path).name if lost else None
            return connect(path), kept
        except sqlite3.DatabaseError as error:
            if not (path.is_dir() or isinstance(error, ForeignFileError) or error.sqlite_errorcode & 0xFF in DAMAGE):
                raise
            kept = move_aside(path).name
            return connect(path), kept
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise UnusableError(
                f"The history {path} is in use by another program. Close that, then start again."
            ) from error
        raise UnusableError(f"The history {path} cannot be opened: {error}.") from error
    except OSError as error:
        raise UnusableError(f"The history {path} cannot be put aside: {reason(error, path)}.") from error


def connect(path: Path | str) -> sqlite3.Connection:
    """Raises sqlite3.DatabaseError when the file cannot be used, UnusableError when it is of a newer version."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=WRITE_PATIENCE)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and application != APPLICATION_ID:
            raise ForeignFileError("the file belongs to another program")
        if version > len(MIGRATIONS):
            raise UnusableError(
                f"The history {path} was written by a newer version of this program (schema {version}, this one knows "
                f"{len(MIGRATIONS)}) and is left as it is. Install that version to see it."
            )
        if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise damaged(found)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA foreign_keys = ON")
        for number, migration in enumerate(MIGRATIONS[version:], version + 1):
            connection.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; {migration} PRAGMA user_version = {number}; COMMIT;"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def damaged(found: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(found)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def has_states(folder: Path) -> bool:
    states = folder / STATES
    return states.is_dir() and any(states.iterdir())


def move_aside(path: Path) -> Path:
    """Rename the file, its companions and the states of its runs, so that nothing is lost and nothing stale is read again."""
    stamp = clock.now().strftime("%Y%m%d-%H%M%S-%f")
    kept = path.with_name(f"nabla.unreadable-{stamp}.sqlite3")
    for suffix in ("", "-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(kept.with_name(kept.name + suffix))
    if has_states(path.parent):
        states = kept.with_suffix(f".{STATES}")
        (path.parent / STATES).rename(states)
        return kept if kept.exists() else states
    return kept


def reason(error: OSError, path: Path) -> str:
    """In words, with whom the place belongs to where this account has no right to it."""
    there = next(place for place in (path, *path.parents) if place.exists())
    whose = owner(there) if isinstance(error, PermissionError) else ""
    return f"{error.strerror or error}{whose}"


def owner(path: Path) -> str:
    """` (it belongs to anna)` where it is somebody else's."""
    if os.name != "posix" or path.stat().st_uid == os.geteuid():
        return ""
    try:
        return f" ({path} belongs to {path.owner()})"
    except KeyError:
        return f" ({path} belongs to account {path.stat().st_uid})"


class FolderLock:
    """Held by one server; the system lets go of it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            lock_file(self._file)
        except OSError:
            holder = os.read(self._file, 32).decode("ascii", "replace").strip()
            os.close(self._file)
            raise StartupError(
                f"The data folder {path.parent} is already in use by process {holder or 'unknown'}. "
                "Use that server, or choose another folder with --data."
            ) from None
        try:
            os.ftruncate(self._file, 0)
            os.write(self._file, f"{os.getpid()}\n".encode())
        except OSError:  # a full disk: the lock holds all the same, without a name in it
            pass

    def release(self) -> None:
        os.close(self._file)
