"""The SQLite file of a data folder: one connection, owned by one thread, behind a queue.

Why one: SQLite before 3.51.3 can damage a database in WAL mode when two connections write or checkpoint at the same
time, and Python ships such versions. Workers never open the file. Reads take the same way: they are short.

Work that comes in while a transaction is being written is put into the next one, so many runs cost few transactions.

Whatever becomes of the file, work is done: a file that takes no writes (full disk, foreign lock) is covered in memory until
it does again (app.store.overlay); without a usable file or folder the whole database is in memory, and what workers save
goes to a temporary folder. `notice` says so in words for the person.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from app.folders import TemporaryFolder
from app.store import overlay
from app.store.opening import (
    DAMAGE,
    STATES,
    WRITE_PATIENCE,
    FolderLock,
    UnusableError,
    connect,
    open_file,
    open_folder,
)

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY_SECONDS = 30.0

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
        self.checkpoints = folder / STATES
        """Where workers save to; a temporary folder when the database is in memory."""
        self.in_memory = False
        self._beginning: str | None = None
        self._trouble: str | None = None
        self._temporary: TemporaryFolder | None = None
        self._retry_seconds = retry_seconds
        self._retry_at = 0.0
        self._queue: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self._lock: FolderLock | None = None
        self._connection: sqlite3.Connection | None = None
        self._thread: threading.Thread | None = None

    @property
    def notice(self) -> str | None:
        """What the person should know about the history, if anything: what is wrong now, or else was at the start."""
        return self._trouble or self._beginning

    def open(self) -> None:
        """Lock the folder, check the file and bring it up to date; what cannot be used is done without.

        Raises StartupError, with a line to print, only where another server has the folder.
        """
        try:
            self._lock = open_folder(self.folder)
            self._connection, kept = open_file(self.path)
        except UnusableError as error:
            self._go_without_folder(str(error))
        else:
            if kept is not None:
                self._beginning = (
                    "The history of earlier runs could not be read, so a new one was begun. "
                    f"The old one is kept as {kept} in the data folder."
                )
        if self._beginning is not None:
            log.warning("%s", self._beginning)
        self._thread = threading.Thread(target=self._serve, name="database", daemon=True)
        self._thread.start()

    def _go_without_folder(self, why: str) -> None:
        self.in_memory = True
        self._connection = connect(":memory:")
        where = "in memory only"
        try:
            self._temporary = TemporaryFolder()
        except OSError:
            log.warning("there is no folder for temporary files either: runs cannot be saved")
        else:
            self.checkpoints = self._temporary.path / STATES
            where = f"in memory and in the temporary folder {self._temporary.path}"
        self._beginning = (
            f"{why} Runs of now are kept {where}, and are gone when this server stops. "
            "To keep them, start it with --data and a folder of your own."
        )

    async def call(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, ...)` in a transaction and wait for its value; its errors are raised here."""
        self._check_open()
        outcome: Future[T] = Future()
        outcome.set_running_or_notify_cancel()  # whoever gives up waiting must not take the database's thread along
        self._queue.put(Piece(lambda connection: work(connection, *args, **kwargs), outcome))
        return await asyncio.wrap_future(outcome)

    def post(self, work: Callable[Concatenate[sqlite3.Connection, P], Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run `work(connection, ...)` soon, in order; nobody waits."""
        self._check_open()
        self._queue.put(Piece(lambda connection: work(connection, *args, **kwargs), None))

    def close(self) -> None:
        """Write what is left and let the folder go. Blocks: call it from a thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self._temporary is not None:
            self._temporary.remove()
            self._temporary = None

    def _check_open(self) -> None:
        if self._thread is None:
            raise DatabaseClosedError("The database is closed.")

    # ---- In the database's thread ----------------------------------------------------------------------------------------

    def _serve(self) -> None:
        assert self._connection is not None
        open_for_more = True
        while open_for_more:
            pieces, open_for_more = self._next_pieces()
            if self._trouble is not None and (time.monotonic() >= self._retry_at or not open_for_more):
                self._write_back()
            if pieces:
                self._work_off(pieces)
        if self._trouble is not None:
            self._write_back()
        if self._trouble is not None:
            log.error("what happened since is lost: %s", self._trouble)
        self._connection.close()

    def _next_pieces(self) -> tuple[list[Piece], bool]:
        """All that waits, and whether more may come; waits for the first piece, or until it is time to try again."""
        pieces: list[Piece] = []
        try:
            piece = self._queue.get(timeout=self._retry_seconds if self._trouble is not None else None)
            while piece is not None:
                pieces.append(piece)
                piece = self._queue.get_nowait()
            return pieces, False
        except queue.Empty:
            return pieces, True

    def _work_off(self, pieces: list[Piece]) -> None:
        """All in one transaction; when the file refuses that, over it, and when it cannot even be read, without it."""
        while True:
            try:
                self._transaction(pieces)
            except sqlite3.DatabaseError as error:
                if self.in_memory:
                    log.error("the history in memory fails", exc_info=error)
                    for piece in pieces:
                        if piece.outcome is not None:
                            piece.outcome.set_exception(error)
                    return
                self._go_to_memory(error)
            else:
                return

    def _transaction(self, pieces: list[Piece]) -> None:
        """Each piece inside its own savepoint, so that one that fails does not take the others along.

        Outcomes are told after the commit. Raises sqlite3.DatabaseError, with nothing written, when the file is the matter.
        """
        connection = self._connection
        assert connection is not None
        results: list[tuple[Piece, Any, Exception | None]] = []
        try:
            connection.execute("BEGIN")
            for piece in pieces:
                connection.execute("SAVEPOINT piece")
                try:
                    results.append((piece, piece.work(connection), None))
                except Exception as error:
                    if isinstance(error, sqlite3.DatabaseError) and code(error) in DISK_TROUBLE | DAMAGE:
                        raise
                    connection.execute("ROLLBACK TO piece")
                    results.append((piece, None, error))
                connection.execute("RELEASE piece")
            connection.execute("COMMIT")
        except sqlite3.DatabaseError:
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

    def _go_to_memory(self, error: sqlite3.DatabaseError) -> None:
        """Cover the file until it takes writes again; one that cannot even be read is left for good."""
        assert self._connection is not None
        try:
            if code(error) in DAMAGE or self._trouble is not None:
                raise error
            overlay.cover(self._connection)
        except sqlite3.DatabaseError as reason:
            self._connection.close()
            self._connection, self.in_memory, self._trouble = connect(":memory:"), True, None
            self._beginning = (
                f"The history of earlier runs can no longer be read ({reason}). Runs of now are kept in memory only. "
                "Start the server again: it puts a damaged history aside and begins a new one."
            )
            log.error("%s", self._beginning)
            return
        self._connection.execute("PRAGMA busy_timeout = 100")  # while covered, nobody shall wait for the next attempt
        self._retry_at = time.monotonic() + self._retry_seconds
        self._trouble = {
            sqlite3.SQLITE_FULL: "The disk is full",
            sqlite3.SQLITE_BUSY: "Another program holds the history",
            sqlite3.SQLITE_READONLY: "The history may only be read",
        }.get(code(error), f"The history cannot be written ({error})") + (
            ": training goes on, but what happens now is kept in memory only. It is saved as soon as that is possible again."
        )
        log.warning("%s", self._trouble)

    def _write_back(self) -> None:
        assert self._connection is not None
        try:
            overlay.write_back(self._connection)
        except sqlite3.DatabaseError as error:
            log.info("the history cannot be written yet: %s", error)
            self._retry_at = time.monotonic() + self._retry_seconds
        else:
            self._connection.execute(f"PRAGMA busy_timeout = {round(1000 * WRITE_PATIENCE)}")
            self._trouble = None


def code(error: sqlite3.DatabaseError) -> int:
    """The primary result code."""
    return error.sqlite_errorcode & 0xFF if hasattr(error, "sqlite_errorcode") else sqlite3.SQLITE_ERROR
