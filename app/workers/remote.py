"""A worker in a cluster, on its own machine: the same process with the same pipe, and both ends of the pipe's other side.

It is an actor of Ray that does nothing but pass on: messages come by `carry`, what the worker says is fetched by
`listen`, which waits for it. The process apart from the actor keeps what it is on the server's own machine: its pulse
tells the run that was being worked on after any end, and its training never holds up a message.
"""

from __future__ import annotations

import fcntl
import pickle
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import TypeAlias

from app import __version__
from app.workers.exits import WorkerExit
from app.workers.links import Ended, ProcessLink
from app.workers.luggage import Luggage, Mirror
from app.workers.messages import Answer, Discard, Notification, Refusal, Release, Request, Restored, Saved, Shutdown
from app.workers.process import Bounds
from app.workers.refusals import refusal_for

QUIET_SECONDS = 0.25
"""How long a `listen` waits for something to tell; then it tells the pulse alone."""
MOST_WAITING = 1_000
MOST_BYTES = 32 * 2**20
"""In one answer, but for its last part."""
PREFIX = "nabla-worker-"


@dataclass(frozen=True, slots=True)
class Last:
    """The worker's process has ended."""

    exit: WorkerExit


Parcel: TypeAlias = tuple[Request | Shutdown, Luggage | None]
Heard: TypeAlias = tuple[Notification | Last, str, Luggage | None]
"""A notification, and the files of a run that came to be before it."""
Pulsed: TypeAlias = tuple[int, float, bytes]
"""Beat, allowance and run, as in `Pulse`."""


class RemoteWorker:
    """`carry` and `listen` each run in a thread of their own, so both keep their order."""

    def __init__(self, version: str, bounds: Bounds) -> None:
        if version != __version__:
            raise RuntimeError(f"this machine has Nabla {__version__}, the server has {version}")
        # Ray's own start script, which a spawned process would import once more.
        vars(sys.modules["__main__"]).pop("__file__", None)
        sweep(Path(tempfile.gettempdir()))
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._claim = claim(self._folder)
        self._mirror = Mirror(self._folder)
        self._leaving: dict[int, str] = {}
        self._heard: Queue[Heard] = Queue(MOST_WAITING)
        self._link = ProcessLink(0, self._folder, bounds)
        self._link.begin(self._hear)

    def carry(self, parcels: bytes) -> None:
        """Messages to the worker, in order; the files of a run before the message that opens it."""
        try:
            arrived: list[Parcel] = pickle.loads(parcels)
            for message, luggage in arrived:
                self._pass_on(message, luggage)
        except BaseException:
            self._link.kill()  # a worker that misses a message is as good as dead
            raise

    def _pass_on(self, message: Request | Shutdown, luggage: Luggage | None) -> None:
        if isinstance(message, Request):
            if isinstance(message.command, Release | Discard):
                self._leaving[message.number] = message.command.run
            if luggage is not None:
                try:
                    self._mirror.unpack(message.command.run, luggage)
                except OSError as error:
                    self._heard.put((refusal_for(message.number, error, None), "", None))
                    return
        while self._link.backlog > MOST_WAITING:
            time.sleep(QUIET_SECONDS)
        self._link.send(message)

    def listen(self) -> bytes:
        """The pulse and what was said since; a long poll."""
        said: list[Heard] = []
        size = 0
        try:
            said.append(self._heard.get(timeout=QUIET_SECONDS))
            while size < MOST_BYTES:
                luggage = said[-1][2]
                size += 0 if luggage is None else sum(len(content) for content in luggage.files.values())
                said.append(self._heard.get_nowait())
        except Empty:
            pass
        if said and isinstance(said[-1][0], Last):
            shutil.rmtree(self._folder, ignore_errors=True)
        pulse = self._link.pulse
        return pickle.dumps(((pulse.beat, pulse.allowance, pulse.run), said))

    def _hear(self, notification: object) -> bool:
        """In the thread that reads the pipe; when nobody listens, the pipe fills."""
        run, luggage = "", None
        match notification:
            case Ended():
                self._heard.put((Last(self._link.exit), "", None))
                return True
            case Saved(run=run) | Restored(run=run):
                luggage = self._mirror.pack(run)
            case Answer(number=number) if number in self._leaving:
                self._mirror.forget(self._leaving.pop(number))
            case Refusal(number=number):
                self._leaving.pop(number, None)
        self._heard.put((notification, run, luggage))  # type: ignore[arg-type]
        return True


def claim(folder: Path) -> object:
    """A mark that the folder is in use, which ends with this process."""
    mark = (folder / ".in-use").open("w")
    fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return mark


def sweep(temporary: Path) -> None:
    """Remove the folders of workers that were ended before they could do so."""
    for folder in temporary.glob(f"{PREFIX}*"):
        try:
            with (folder / ".in-use").open("r+") as mark:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # in use, or just being made
            continue
