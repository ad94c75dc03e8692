"""The worker's main loop: fair turns of a few milliseconds for all that trains, and what a person waits for before them.

Turns are shared out by owner (app.workers.turns). A turn ends early when a command arrives, so a prediction or a pause
is served between two updates. So is the beginning of every task; one that takes long goes on in the ordinary turns of
its run. What comes first gets half of the time at most, and each owner a tenth, as long as anybody else wants something:
neither can starve the other. The pulse tells the server which run is being worked on, and how long that may take.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic, thread_time

from app.workers.desk import Desk
from app.workers.errand import Errand
from app.workers.live_run import LiveRun
from app.workers.messages import (
    Answer,
    Command,
    Compute,
    Discard,
    Import,
    Notification,
    Open,
    Ready,
    Release,
    Request,
    Shutdown,
)
from app.workers.process import Bounds, Pulse
from app.workers.refusals import refusal_for
from app.workers.turns import Credit, Line, Overdue, Turn, Turns
from engine.trainer import Trainer

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
PORTION_SECONDS = 0.01
"""Of a task that comes first, before anything else is looked at."""
AHEAD_SECONDS, MOST_AHEAD = 0.03, 0.1
"""So much more than the ordinary turns may that have which comes first; and so much of it is remembered."""
USUAL_ALLOWANCE = 10.0
SLOWEST_MULTIPLY_ADDS = 5e7
"""A second, on a machine far slower than any: how long one update may take before the worker counts as hung."""
START_ALLOWANCE = 30.0
"""Seconds for one command: opening or saving the largest run."""
SAVES_AT_ONCE = 8

FAULT = "Training was interrupted by a fault of the program ({}). Run it on from the last saved state, or reset it."
NO_MEMORY = (
    "There was not enough memory to train this run on, so it was stopped; all others go on. "
    "Stop or delete another run and run it on from its last saved state, or make its network smaller."
)


class Scheduler:
    """`inbox` holds requests as they arrive, `send` passes notifications on, from any thread."""

    def __init__(
        self,
        inbox: SimpleQueue[object],
        send: Callable[[Notification], None],
        pulse: Pulse,
        folder: Path,
        bounds: Bounds,
    ) -> None:
        self._inbox, self._send, self._pulse = inbox, send, pulse
        self.desk = Desk(send, folder, bounds)
        self._owners: dict[str, str] = {}
        self._asked: dict[str, deque[Request]] = {}
        self._urgent: dict[str, str] = {}  # ids, and whose they are
        self._turns, self._overdue, self._first, self._credit = Turns(), Overdue(), Line(), Credit()
        self._ahead = 0.0

    def run(self) -> None:
        """Until a Shutdown arrives, and all that was asked before it is done."""
        self._send(Ready())
        while not self._sort_in(0.0):
            self._beat("")
            asking = self._asked.keys() | set(self._urgent.values())
            if asking and (hasty := self._hasty(asking)):
                self._serve_first(hasty)
            elif wanting := self._wanting():
                alone = len(wanting.keys() | asking) == 1
                if alone and self._asked:  # it is their own training that waits
                    self._serve_first(asking)
                else:
                    self._give(self._overdue.next(wanting, monotonic()) or self._turns.next(wanting), wanting)
            elif asking:
                self._serve_first(asking)
            elif self._sort_in(self._rest()):
                break
        for asked in self._asked.values():
            while asked:
                self._serve(asked.popleft())
        self._save_all()

    def _hasty(self, asking: set[str]) -> list[str]:
        """Those who are served before all ordinary turns."""
        now = monotonic()
        return [] if self._is_ahead else [owner for owner in asking if self._credit.left(owner, now) > 0]

    @property
    def _is_ahead(self) -> bool:
        return self._ahead >= AHEAD_SECONDS

    def _wanting(self) -> dict[str, dict[str, LiveRun | Errand]]:
        """All that has something to do, by owner and id."""
        wanting: dict[str, dict[str, LiveRun | Errand]] = {}
        for run in self.desk.runs.values():
            if run.busy:
                wanting.setdefault(run.owner, {})[run.id] = run
        for errand in self.desk.errands.values():
            wanting.setdefault(errand.owner, {})[errand.id] = errand
        return wanting

    def _rest(self) -> float:
        """Seconds until the next run has something to do; a sign of life comes sooner than the server misses one."""
        return min([IDLE_SECONDS, *(run.rest() for run in self.desk.runs.values())])

    def _beat(self, run: str, allowance: float = USUAL_ALLOWANCE) -> None:
        self._pulse.run = run.encode()
        self._pulse.allowance = allowance
        self._pulse.beat += 1

    # ---- What comes in -----------------------------------------------------------------------------------------------------

    def _sort_in(self, wait: float) -> bool:
        """What has arrived, each to the end of its owner's queue; wait so long if there is nothing yet. Whether it is the end."""
        message = self._next_message(wait)
        while message is not None:
            if isinstance(message, Shutdown):
                return True
            if isinstance(message, Request):
                self._asked.setdefault(self._owner(message.command), deque()).append(message)
            message = self._next_message(0.0)
        return False

    def _next_message(self, wait: float) -> object | None:
        try:
            return self._inbox.get(timeout=wait) if wait else self._inbox.get_nowait()
        except Empty:
            return None

    def _owner(self, command: Command) -> str:
        """Whose a command is: its run's, whoever has asked."""
        match command:
            case Open() | Import():
                self._owners[command.run] = command.owner
                return command.owner
            case Compute():
                return command.owner
        return self._owners.get(command.run, "")

    # ---- Turns ---------------------------------------------------------------------------------------------------------------

    def _give(self, turn: Turn, wanting: dict[str, dict[str, LiveRun | Errand]]) -> None:
        """An ordinary turn, for as long as nothing comes in that goes first."""
        member = wanting[turn.owner][turn.member]
        started, end = thread_time(), monotonic() + turn.seconds
        if isinstance(member, Errand):
            self._go_on_with(member, end)
        else:
            self._work_on(member, lambda: self._train(member, turn.seconds, end))
        spent = thread_time() - started
        self._turns.charge(turn, spent)
        self._overdue.had(turn, spent, monotonic())
        self._ahead = max(0.0, self._ahead - spent)

    def _serve_first(self, owners: set[str] | list[str]) -> None:
        """One command of the owner who has had the least of this, or else a portion of a task."""
        owner, started, opens = self._first.next(owners), thread_time(), False
        if owner in self._asked:
            request = self._asked[owner].popleft()
            opens = isinstance(request.command, Open)
            if not self._asked[owner]:
                del self._asked[owner]
            self._serve(request)
        else:
            self._hurry(next(id for id, whose in self._urgent.items() if whose == owner))
        spent = thread_time() - started
        self._first.charge(owner, spent)
        self._credit.spend(owner, monotonic(), spent)
        if not opens:  # after the death of a worker, and when a class begins, nobody trains before all are there
            self._ahead = min(MOST_AHEAD, self._ahead + spent)

    def _hurry(self, id: str) -> None:
        """A portion of what somebody waits for; then it is the last of these, or none of them any more if it takes long."""
        owner, member, end = self._urgent.pop(id), self.desk.find(id), monotonic() + PORTION_SECONDS
        if isinstance(member, Errand):
            self._go_on_with(member, end)
        elif (run := member) is not None:
            self._work_on(run, lambda: self._work_on_tasks(run, end))
        if (member := self.desk.find(id)) is not None and member.is_urgent:
            self._urgent[id] = owner

    def _work_on(self, run: LiveRun, work: Callable[[], None]) -> None:
        """What goes wrong in one run stops that run; the others go on."""
        try:
            work()
            run.after_slice()
        except MemoryError:
            log.error("run %s ran out of memory", run.id)
            self.desk.abandon(run, "out-of-memory", NO_MEMORY)
        except Exception as error:
            log.error("run %s failed", run.id, exc_info=error)
            self.desk.abandon(run, "interrupted", FAULT.format(type(error).__name__))

    def _train(self, run: LiveRun, seconds: float, end: float) -> None:
        allowance = allowed_seconds(run.trainer)
        while run.busy:
            self._beat(run.id, allowance)
            run.work(seconds)
            if self._is_time_up(end):
                break

    def _work_on_tasks(self, run: LiveRun, end: float) -> None:
        allowance = allowed_seconds(run.trainer)
        while run.is_urgent:
            self._beat(run.id, allowance)
            run.work_on_task()
            if self._is_time_up(end):
                break

    def _is_time_up(self, end: float) -> bool:
        return monotonic() >= end or (not self._inbox.empty() and not self._is_ahead)

    def _go_on_with(self, errand: Errand, end: float) -> None:
        """A portion of it; when it is done, or cannot be done, whoever asked is told."""
        self._beat("", START_ALLOWANCE)
        message = errand.go_on(interrupted=lambda: self._is_time_up(end))
        if message is not None:
            del self.desk.errands[errand.id]
            self._send(message)

    def _save_all(self) -> None:
        """A save is mostly waiting for the disk, so several wait at once."""
        with ThreadPoolExecutor(SAVES_AT_ONCE) as threads:
            for saved in [threads.submit(say_farewell, run) for run in self.desk.runs.values()]:
                saved.result()

    # ---- Commands ------------------------------------------------------------------------------------------------------------

    def _serve(self, request: Request) -> None:
        """Carry it out and answer, or refuse in words."""
        command, number = request.command, request.number
        self._beat(command.run, START_ALLOWANCE)
        try:
            outcome = self.desk.carry_out(request)
        except Exception as error:
            run = self.desk.runs.get(command.run)
            refusal = refusal_for(number, error, None if run is None else run.state)
            if refusal.kind == "fault":
                log.error("a command failed", exc_info=error)
            self._beat("")
            self._send(refusal)
            return
        self._beat("")
        if isinstance(outcome, Answer):
            self._send(outcome)
        else:
            self._urgent[outcome] = self._owner(command)
        if isinstance(command, Release | Discard):
            self._owners.pop(command.run, None)


def say_farewell(run: LiveRun) -> None:
    run.save()
    run.flush()


def allowed_seconds(trainer: Trainer) -> float:
    """How long one update of this network may take: a legal but huge one is slow, not hung."""
    multiply_adds = sum(layer.multiply_adds for layer in trainer.network.plan)
    return max(USUAL_ALLOWANCE, 3 * multiply_adds * trainer.spec.batch_size / SLOWEST_MULTIPLY_ADDS)
