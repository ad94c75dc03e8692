"""A worker in a cluster, on its own machine: the same process with the same pipe, and both ends of the pipe's other side.

It is an actor of Ray that does nothing but pass on: messages come by `carry`, what the worker says is fetched by
`listen`, which waits for it. The process apart from the actor keeps what it is on the server's own machine: its pulse
tells the run that was being worked on after any end, and its training never holds up a message.
"""

from __future__ import annotations

import pickle
import sys
import time
from dataclasses import dataclass
from queue import Empty, Queue
from typing import TypeAlias

from app import __version__
from app.folders import TemporaryFolder, clear_away
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
        clear_away()
        self._folder = TemporaryFolder()
        self._mirror = Mirror(self._folder.path)
        self._leaving: dict[int, str] = {}
        self._heard: Queue[Heard] = Queue(MOST_WAITING)
        self._link = ProcessLink(0, self._folder.path, bounds)
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
            self._folder.remove()
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
