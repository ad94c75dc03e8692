"""The SQLite file of a data folder: one connection, owned by one thread, behind a queue.

Why one: SQLite before 3.51.3 can damage a database in WAL mode when two connections write or checkpoint at the same
time, and Python ships such versions. Workers never open the file. Reads take the same way: they are short.

Work that comes in while a transaction is being written is put into the next one, so many runs cost few transactions.
Where nobody waits for the outcome (`post`), a full disk or a foreign lock costs nothing but time: the work is kept in
memory and tried again, and `notice` says so.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from app.store.migrations import APPLICATION_ID, MIGRATIONS

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY_SECONDS = 30.0
BACKLOG = 20_000
"""Pieces of work kept in memory while the disk takes none; the oldest go first."""


DISK_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    }
)
"""Primary result codes that say nothing about the work itself: it may succeed later."""


class StartupError(Exception):
    """The data folder cannot be used; the message is one line for the person at the terminal."""


class StoreUnavailableError(Exception):
    """The disk is full, read-only or locked by another program; nothing was written."""


class DatabaseClosedError(Exception):
    """Work was handed in after `close`."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Work for the connection, and who waits for its outcome, if anybody."""

    work: Callable[[sqlite3.Connection], Any]
    outcome: Future[Any] | None


class Database:
    """`open()` first; then `call` and `post` from the event loop; `close()` writes what is left and may be repeated."""

    def __init__(self, folder: Path, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self.folder = folder
        self.path = folder / "nabla.sqlite3"
        self.notice: str | None = None
        """What the person should know about the history, if anything."""
        self._retry_seconds = retry_seconds
        self._retry_at = 0.0
        self._queue: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self._backlog: deque[Piece] = deque(maxlen=BACKLOG)
        self._lock: FolderLock | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Lock the folder, check the file and bring it up to date. Raises StartupError with a line to print."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self.folder / "nabla.lock")
            connection = self._open_file()
        except OSError as error:
            self._unlock()
            raise StartupError(f"The data folder {self.folder} cannot be used: {error.strerror}.") from error
        except BaseException:
            self._unlock()
            raise
        self._thread = threading.Thread(target=self._serve, args=(connection,), name="database", daemon=True)
        self._thread.start()

    async def call(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, ...)` in a transaction and wait for its value.

        Its errors are raised here; StoreUnavailableError when the disk takes nothing.
        """
        self._check_open()
        outcome: Future[T] = Future()
        outcome.set_running_or_notify_cancel()  # whoever gives up waiting must not take the database's thread along
        self._queue.put(Piece(lambda connection: work(connection, *args, **kwargs), outcome))
        return await asyncio.wrap_future(outcome)

    def post(self, work: Callable[Concatenate[sqlite3.Connection, P], Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run `work(connection, ...)` soon, in order, and again until the disk takes it; nobody waits."""
        self._check_open()
        self._queue.put(Piece(lambda connection: work(connection, *args, **kwargs), None))

    def close(self) -> None:
        """Write what is left and let the folder go. Blocks: call it from a thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        self._unlock()

    # ---- In the database's thread ----------------------------------------------------------------------------------------

    def _serve(self, connection: sqlite3.Connection) -> None:
        open_for_more = True
        while open_for_more:
            pieces, open_for_more = self._next_pieces()
            if self._backlog and open_for_more and time.monotonic() < self._retry_at:
                self._backlog.extend(piece for piece in pieces if piece.outcome is None)
                pieces = [piece for piece in pieces if piece.outcome is not None]
            else:
                pieces = [*self._backlog, *pieces]
            self._work_off(connection, pieces)
        if self._backlog:
            log.error("%d pieces of history could not be written", len(self._backlog))
        connection.close()

    def _next_pieces(self) -> tuple[list[Piece], bool]:
        """All that waits, and whether more may come; waits for the first piece, or until it is time to try again."""
        pieces: list[Piece] = []
        try:
            piece = self._queue.get(timeout=self._retry_seconds if self._backlog else None)
            while piece is not None:
                pieces.append(piece)
                piece = self._queue.get_nowait()
            return pieces, False
        except queue.Empty:
            return pieces, True

    def _work_off(self, connection: sqlite3.Connection, pieces: list[Piece]) -> None:
        """All in one transaction; when the disk refuses that, what is awaited alone, and the rest is kept for later."""
        try:
            self._transaction(connection, pieces)
        except sqlite3.OperationalError as error:
            self._keep([piece for piece in pieces if piece.outcome is None], error)
            for piece in pieces:
                if piece.outcome is not None:
                    try:
                        self._transaction(connection, [piece])
                    except sqlite3.OperationalError as refusal:
                        piece.outcome.set_exception(StoreUnavailableError(str(refusal)))
        else:
            if any(piece.outcome is None for piece in pieces) and self._backlog:
                self._backlog.clear()
                self.notice = None

    def _transaction(self, connection: sqlite3.Connection, pieces: list[Piece]) -> None:
        """Each piece inside its own savepoint, so that one that fails does not take the others along.

        Outcomes are told after the commit. Raises sqlite3.OperationalError, with nothing written, when the disk takes nothing.
        """
        results: list[tuple[Piece, Any, Exception | None]] = []
        try:
            connection.execute("BEGIN")
            for piece in pieces:
                connection.execute("SAVEPOINT piece")
                try:
                    results.append((piece, piece.work(connection), None))
                except Exception as error:
                    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in DISK_TROUBLE:
                        raise
                    connection.execute("ROLLBACK TO piece")
                    results.append((piece, None, error))
                connection.execute("RELEASE piece")
            connection.execute("COMMIT")
        except sqlite3.OperationalError:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        for piece, value, failure in results:
            if piece.outcome is None:
                if failure is not None:
                    log.error("a piece of history could not be written", exc_info=failure)
            elif failure is None:
                piece.outcome.set_result(value)
            else:
                piece.outcome.set_exception(failure)

    def _keep(self, pieces: list[Piece], error: sqlite3.OperationalError) -> None:
        if pieces:
            self._backlog = deque(pieces, maxlen=BACKLOG)
            self._retry_at = time.monotonic() + self._retry_seconds
            self.notice = (
                "The disk is full: training goes on, but its history is not being saved. Make room; it saves again by itself."
                if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL
                else f"The history is not being saved at the moment ({error}). Training goes on; it saves again by itself."
            )
            log.warning("%s", self.notice)

    # ---- Opening ----------------------------------------------------------------------------------------------------------

    def _open_file(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode != sqlite3.SQLITE_CANTOPEN:
                raise StartupError(f"The history in {self.path} cannot be opened: {error}.") from error
            kept = self._move_aside()
            self.notice = (
                f"The history of earlier runs could not be read. It is kept as {kept.name} in the data folder."
            )
            log.warning("%s (%s)", self.notice, error)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        """A checked connection with the present schema. Raises sqlite3.DatabaseError when the file is not usable."""
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if tables and application != APPLICATION_ID:
                raise sqlite3.DatabaseError("the file belongs to another program")
            if version > len(MIGRATIONS):
                raise StartupError(
                    f"The data folder {self.folder} was written by a newer version of this program "
                    f"(schema {version}, this one knows {len(MIGRATIONS)}). Install that version, or choose another folder with --data."
                )
            if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(found)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            for number, migration in enumerate(MIGRATIONS[version:], version + 1):
                connection.executescript(
                    f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; {migration} PRAGMA user_version = {number}; COMMIT;"
                )
        except BaseException:
            connection.close()
            raise
        return connection

    def _move_aside(self) -> Path:
        """Rename the file and its companions, so that nothing is lost and nothing stale is read again."""
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        kept = self.path.with_name(f"nabla.unreadable-{stamp}.sqlite3")
        for suffix in ("", "-wal", "-shm"):
            companion = self.path.with_name(self.path.name + suffix)
            if companion.exists():
                companion.rename(kept.with_name(kept.name + suffix))
        return kept

    def _check_open(self) -> None:
        if self._thread is None:
            raise DatabaseClosedError("The database is closed.")

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


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
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        os.close(self._file)


if sys.platform == "win32":
    import msvcrt

    def lock_file(file: int) -> None:
        # Beyond the text, which others may then still read: Windows locks are mandatory.
        os.lseek(file, 1024, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
else:
    import fcntl

    def lock_file(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
