"""Workers in a Ray cluster: the same links to workers that run wherever the cluster has a core to spare.

Machines share no disk. So a run's files go with the message that opens it, and come back with every checkpoint, into
the server's own folder; a run whose machine is lost goes on elsewhere from what came last. Ray places workers and tells
when one ends. A machine that is merely cut off does not end for Ray; who is silent for long is lost all the same, and
nothing that it says later is heard.

Ray is an extra (`cluster`): only what `--cluster` asks for imports this module.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any

from app import __version__
from app.settings import Settings, SettingsError
from app.workers.exits import WorkerExit, classify
from app.workers.links import Ended, Link
from app.workers.luggage import Luggage, everything, unpack
from app.workers.messages import Answer, Discard, NotSaved, Open, Request, Saved, Shutdown
from app.workers.process import Bounds, Pulse
from app.workers.refusals import refusal_for
from app.workers.remote import Heard, Last, Parcel, Pulsed, RemoteWorker

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_IGNORE_UNHANDLED_ERRORS": "1", "RAY_ENABLE_AUTO_CONNECT": "0"}
"""Ray reports to nobody, and starts no cluster of its own when it is asked something after the end."""
os.environ |= QUIET  # read when Ray is imported
try:
    import ray
    import ray._private.worker
except ImportError:
    raise SettingsError(
        "--cluster needs Ray, which is not installed. Install it: pip install -e '.[cluster]'"
    ) from None

log = logging.getLogger(__name__)

SILENCE_SECONDS = 5.0
"""A worker says something four times a second; after this long its machine counts as lost."""
CALLS_AHEAD = 2
"""One call is being answered while the next is under way."""
MOST_TOGETHER = 64
"""Messages in one call."""
CONNECT_SECONDS = 3.0
OBJECT_STORE_BYTES = 256 * 2**20
"""For a cluster that is started here: checkpoints on their way."""


class Cluster:
    """Where workers come from: `open`, then a `link` for each slot; `close` when all have ended.

    There may be more workers than cores: those that have none wait for a machine that comes later.
    """

    cores = 0

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError when nobody answers at the address; Ray itself would try for a quarter of an hour."""
        assert settings.cluster is not None
        self._address = settings.cluster
        self._wanted = settings.workers
        if self._address != "local":
            knock(self._address)

    async def open(self) -> int:
        """How many workers there are to be: as many as cores. Raises SettingsError with a line to print."""
        await asyncio.to_thread(self._connect)
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGTERM)
            signal.signal(signal.SIGTERM, handler)  # Ray's, beneath Python's own, prints a stack of addresses
        self.cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        return self._wanted or self.cores

    def _connect(self) -> None:
        options: dict[str, Any] = {}
        if self._address == "local":
            cores = self._wanted or os.cpu_count() or 1
            options = {"num_cpus": cores, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        try:
            ray.init(self._address, log_to_driver=False, logging_level=logging.ERROR, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise SettingsError(f"The Ray cluster at {self._address} cannot be used: {reason}") from error
        ray._private.worker.print_to_stdstream = note_down

    def link(self, slot: int, folder: Path, bounds: Bounds) -> Link:
        return ClusterLink(slot, folder, bounds)

    async def close(self) -> None:
        await asyncio.to_thread(ray.shutdown)


def knock(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError):
        raise SettingsError(
            f"There is no Ray cluster at {address}. It is an address such as 10.0.0.5:6379, as `ray start --head` "
            "prints it; --cluster local starts one here."
        ) from None


def note_down(data: dict[str, Any], ignore_prefix: bool) -> None:  # noqa: ARG001
    """What Ray would print to the terminal, with the last twenty lines of some log."""
    log.debug("Ray: %s", "\n".join(data["lines"]))


class ClusterLink(Link):
    """A worker somewhere in the cluster. Calls to it are made by one thread, what it says is waited for in another."""

    def __init__(self, slot: int, folder: Path, bounds: Bounds) -> None:
        super().__init__(slot)
        self.pulse = Pulse()
        self._folder = folder
        self._discards: dict[int, str] = {}
        self._placed = False
        self._exit = LOST
        options = {"num_cpus": 1, "scheduling_strategy": "SPREAD", "concurrency_groups": {"down": 1, "up": 1}}
        self._worker = ray.remote(**options)(RemoteWorker).remote(__version__, bounds)

    def begin(self, deliver: Callable[[object], bool]) -> None:
        threading.Thread(target=self._read, args=(deliver,), name=f"from-worker-{self.slot}", daemon=True).start()
        threading.Thread(target=self._write, args=(deliver,), name=f"to-worker-{self.slot}", daemon=True).start()

    @property
    def is_placed(self) -> bool:
        return self._placed

    def kill(self) -> None:
        ray.kill(self._worker)

    @property
    def exit(self) -> WorkerExit:
        return classify(None, hung=True) if self.hung else self._exit

    # ---- What it says ------------------------------------------------------------------------------------------------------

    def _read(self, deliver: Callable[[object], bool]) -> None:
        try:
            self._listen(deliver)
            ray.kill(self._worker)  # what is left of it, so that its core is free
        except ray.exceptions.RayError as error:
            self._exit = LOST if self._placed else not_started(error)
        deliver(Ended())

    def _listen(self, deliver: Callable[[object], bool]) -> None:
        """Until it ends, is silent for too long, or nobody is left to be told. Raises RayError when Ray says that it ended."""
        calls = deque(self._call("listen", "up") for _ in range(CALLS_AHEAD))
        silent = 0
        while silent < 2:  # a server that was itself held up finds the answer when it looks again
            try:
                answer: tuple[Pulsed, list[Heard]] = pickle.loads(ray.get(calls[0], timeout=SILENCE_SECONDS / 2))
            except ray.exceptions.GetTimeoutError:
                silent += self._placed  # before that it only waits for a core
                continue
            calls.popleft()
            calls.append(self._call("listen", "up"))
            silent, self._placed = 0, True
            (self.pulse.beat, self.pulse.allowance, self.pulse.run), said = answer
            for notification, run, luggage in said:
                if isinstance(notification, Last):
                    self._exit = notification.exit
                    return
                if not deliver(self._taken_in(notification, run, luggage)):
                    return

    def _taken_in(self, notification: object, run: str, luggage: Luggage | None) -> object:
        """The files that came along are on the server's disk before anybody hears of them."""
        if luggage is not None:
            try:
                unpack(self._folder / run, luggage)
            except OSError as error:
                log.warning("the files of run %s: %s", run, error)
                if isinstance(notification, Saved):
                    return NotSaved(run, f"The run could not be saved: {error.strerror}.")
        if isinstance(notification, Answer) and notification.number in self._discards:
            unpack(self._folder / self._discards.pop(notification.number), Luggage(frozenset(), {}))
        return notification

    # ---- What it is told ----------------------------------------------------------------------------------------------------

    def _write(self, deliver: Callable[[object], bool]) -> None:
        under_way: deque[Any] = deque()
        while (message := self._outbox.get()) is not None:
            messages = [message, *self._waiting_messages()]
            parcels = [parcel for each in messages if (parcel := self._parcel(each, deliver)) is not None]
            try:
                under_way.append(self._call("carry", "down", pickle.dumps(parcels)))
                if len(under_way) >= CALLS_AHEAD:
                    ray.get(under_way.popleft())
            except ray.exceptions.RayError:  # it is dead; its reader knows
                return

    def _waiting_messages(self) -> list[Request | Shutdown]:
        messages: list[Request | Shutdown] = []
        try:
            while len(messages) < MOST_TOGETHER:
                if (message := self._outbox.get_nowait()) is None:
                    self._outbox.put(None)
                    break
                messages.append(message)
        except Empty:
            pass
        return messages

    def _parcel(self, message: Request | Shutdown, deliver: Callable[[object], bool]) -> Parcel | None:
        """With the files of a run that is to be opened; if these cannot be read, whoever asked is told."""
        match message:
            case Request(command=Discard(run=run)):
                self._discards[message.number] = run
            case Request(command=Open(run=run)):
                try:
                    return message, everything(self._folder / run)
                except OSError as error:
                    deliver(refusal_for(message.number, error, None))
                    return None
        return message, None

    def _call(self, method: str, group: str, *values: object) -> Any:
        return getattr(self._worker, method).options(concurrency_group=group).remote(*values)


LOST = WorkerExit(None, "lost", "The worker was lost: its machine, or the way to it, failed.")


def not_started(error: Exception) -> WorkerExit:
    """The last line says why; before it stands a page of Ray's."""
    why = str(error).strip().rpartition("\n")[2]
    return WorkerExit(None, "lost", f"The worker could not be started in the cluster: {why}")
