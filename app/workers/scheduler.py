"""The worker's main loop: one slice of a few milliseconds for each busy run in turn, commands between the slices.

A slice ends early when a command arrives, so a prediction or a pause is served between two updates. The pulse tells the
server which run is being worked on, and how long that may take.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic, perf_counter
from typing import Any

from app.workers import files, readings
from app.workers.errand import Errand
from app.workers.live_run import LiveRun, fits
from app.workers.messages import (
    Answer,
    Boundary,
    Change,
    Command,
    Compute,
    Discard,
    EndWatch,
    Evaluate,
    Export,
    Import,
    Lend,
    ListExamples,
    Look,
    Narrate,
    Notification,
    Open,
    Predict,
    ReadLayer,
    Ready,
    Release,
    Request,
    Reset,
    Respec,
    Restored,
    SetWatch,
    SetWeights,
    Shutdown,
    Step,
)
from app.workers.narration import narrated
from app.workers.pace import Pace
from app.workers.process import Pulse
from app.workers.refusals import ConflictError, refusal_for
from app.workers.saves import Saves
from app.workers.states import SENTENCES
from engine.datasets.base import Dataset, ImageDataset
from engine.datasets.mnist import load_mnist
from engine.datasets.points import points_dataset
from engine.datasets.transactions import Transactions
from engine.specs import MnistSpec, RunSpec, TransactionsSpec
from engine.trainer import Trainer

log = logging.getLogger(__name__)

SLICE_SECONDS = 0.03
IDLE_SECONDS = 1.0
USUAL_ALLOWANCE = 10.0
SLOWEST_MULTIPLY_ADDS = 5e7
"""A second, on a machine far slower than any: how long one update may take before the worker counts as hung."""


NEXT_STEP = "Run it on from the last saved state, or reset it."
START_ALLOWANCE = 30.0
"""Seconds for one command: opening or saving the largest run."""
SAVES_AT_ONCE = 8


class Scheduler:
    """`inbox` holds requests as they arrive, `send` passes notifications on, from any thread."""

    def __init__(
        self, inbox: SimpleQueue[object], send: Callable[[Notification], None], pulse: Pulse, folder: Path
    ) -> None:
        self._inbox, self._send, self._pulse, self._folder = inbox, send, pulse, folder
        self._runs: dict[str, LiveRun] = {}
        self._turns: list[LiveRun | Errand] = []
        self._errands: list[Errand] = []
        self._images: ImageDataset | None = None

    def run(self) -> None:
        """Until a Shutdown arrives."""
        self._send(Ready())
        while True:
            self._beat("")
            if not self._turns:
                self._turns = [*(run for run in self._runs.values() if run.busy), *self._errands]
            message = self._next_message(wait=0.0 if self._turns else self._rest())
            if isinstance(message, Shutdown):
                self._save_all()
                return
            if isinstance(message, Request):
                self._serve(message)
            elif self._turns:
                turn = self._turns.pop(0)
                if isinstance(turn, Errand):
                    self._go_on_with(turn)
                else:
                    self._give_slice(turn)

    def _rest(self) -> float:
        """Seconds until the next run has something to do; a sign of life comes sooner than the server misses one."""
        return min([IDLE_SECONDS, *(run.rest() for run in self._runs.values())])

    def _next_message(self, wait: float) -> object | None:
        try:
            return self._inbox.get(timeout=wait) if wait else self._inbox.get_nowait()
        except Empty:
            return None

    def _beat(self, run: str, allowance: float = USUAL_ALLOWANCE) -> None:
        self._pulse.run = run.encode()
        self._pulse.allowance = allowance
        self._pulse.beat += 1

    # ---- Slices ------------------------------------------------------------------------------------------------------------

    def _give_slice(self, run: LiveRun) -> None:
        if self._runs.get(run.id) is not run:
            return
        allowance = allowed_seconds(run.trainer)
        end = monotonic() + SLICE_SECONDS
        try:
            while run.busy and self._inbox.empty():
                self._beat(run.id, allowance)
                run.work()
                if monotonic() >= end:
                    break
            run.after_slice()
        except Exception as error:
            self._give_up(run, error)

    def _go_on_with(self, errand: Errand) -> None:
        """One portion of it; when it is done, or cannot be done, whoever asked is told."""
        self._beat("", START_ALLOWANCE)
        message = errand.go_on(until=monotonic() + SLICE_SECONDS, interrupted=lambda: not self._inbox.empty())
        if message is not None:
            self._errands.remove(errand)
            self._send(message)

    def _give_up(self, run: LiveRun, error: Exception) -> None:
        """A fault of the program in one run stops that run; the others go on."""
        log.error("run %s failed", run.id, exc_info=error)
        run.drop_tasks("The run was interrupted.")
        run.enter(
            "interrupted", f"Training was interrupted by a fault of the program ({type(error).__name__}). {NEXT_STEP}"
        )
        run.tell()

    def _save_all(self) -> None:
        """A save is mostly waiting for the disk, so several wait at once."""
        with ThreadPoolExecutor(SAVES_AT_ONCE) as threads:
            for saved in [threads.submit(say_farewell, run) for run in self._runs.values()]:
                saved.result()

    # ---- Commands ------------------------------------------------------------------------------------------------------------

    def _serve(self, request: Request) -> None:
        """Carry it out and answer, or refuse in words."""
        command, number = request.command, request.number
        self._beat(command.run, START_ALLOWANCE)
        try:
            finished, value = self._carry_out(number, command)
        except Exception as error:
            run = self._runs.get(command.run)
            refusal = refusal_for(number, error, None if run is None else run.state)
            if refusal.kind == "fault":
                log.error("a command failed", exc_info=error)
            self._beat("")
            self._send(refusal)
        else:
            self._beat("")
            if finished:
                self._send(Answer(number, value))

    def _carry_out(self, number: int, command: Command) -> tuple[bool, Any]:
        """Whether it is done, and with what answer; a task is answered when it ends."""
        match command:
            case Open():
                self._open(command)
                return True, None
            case Import():
                return True, self._import(command)
            case Discard():
                if (gone := self._runs.pop(command.run, None)) is not None:
                    gone.lend(False)
                    gone.drop_tasks("The run was deleted.")
                Saves(self._folder / command.run).remove()
                return True, None
            case Compute(function=function, arguments=arguments):
                self._errands.append(Errand(number, function, arguments))
                return False, None
        if command.run not in self._runs:
            raise ConflictError("The run is being put away; ask again.")
        run = self._runs[command.run]
        match command:
            case Release():
                run.lend(False)
                run.drop_tasks("The run was put away.")
                run.save()
                run.flush()
                del self._runs[command.run]
            case Change(values=values, state=state):
                run.change(values, state)
            case Respec(spec=spec, keep=keep):
                same = run.trainer.spec.dataset == spec.dataset
                run.respec(spec, run.trainer.dataset if same else self._dataset(spec), keep)
            case SetWeights(index=index, changes=changes):
                run.set_weights(index, changes)
            case Reset(seed=seed):
                run.reset(seed)
            case Step(count=count):
                run.add_task(number, run.single_steps(count))
                return False, None
            case Narrate():
                run.add_task(number, narrated(run))
                return False, None
            case Evaluate():
                run.add_task(number, readings.evaluate(run, command))
                return False, None
            case ListExamples():
                run.add_task(number, readings.list_examples(run, command))
                return False, None
            case Predict():
                return True, readings.predict(run, command)
            case ReadLayer():
                return True, readings.read_layer(run, command)
            case Boundary():
                return True, readings.boundary(run, command)
            case Look():
                run.add_task(number, readings.look(run, command))
                return False, None
            case Export(format=format):
                return True, files.export(run.trainer.state(), format)
            case SetWatch(watch=watch, value=value):
                run.set_watch(watch, value)
            case Lend(yes=yes):
                run.lend(yes)
            case EndWatch(watch=watch):
                run.end_watch(watch)
        return True, None

    def _open(self, command: Open) -> None:
        """Raises FormatError when there is a checkpoint that cannot be read."""
        saves = Saves(self._folder / command.run)
        if command.fresh:
            saves.remove_progress()
        saved = saves.read()
        if saved is not None and not fits(saved[0].spec, command.spec):
            saved = None  # it is of what the run was before
        trainer = Trainer(command.spec, self._dataset(command.spec), clock=perf_counter)
        run = LiveRun(command.run, trainer, saves, self._send)
        if saved is not None:
            run.go_to(*saved)
            run.adopt(command.spec)
        run.pace = Pace(command.updates_per_second)
        run.enter(command.state, command.sentence)
        self._runs[command.run] = run
        self._send(Restored(run.id, run.snapshot()))
        if saved is None:
            run.save()

    def _import(self, command: Import) -> Any:
        state = files.read(command.body, command.filename)
        trainer = Trainer(state.spec, self._dataset(state.spec), clock=perf_counter)
        trainer.restore(state)
        saves = Saves(self._folder / command.run)
        saves.keep_beginning(state)
        run = LiveRun(command.run, trainer, saves, self._send)
        run.enter("paused", SENTENCES["paused"])
        self._runs[command.run] = run
        run.save()
        return state.spec, run.snapshot()

    def _dataset(self, spec: RunSpec) -> Dataset:
        """What a run learns from; the pictures are read once for all runs."""
        if isinstance(spec.dataset, TransactionsSpec):
            return Transactions(spec.dataset)
        if not isinstance(spec.dataset, MnistSpec):
            return points_dataset(spec.dataset)
        if self._images is None:
            self._images = load_mnist()
        return self._images


def say_farewell(run: LiveRun) -> None:
    run.save()
    run.flush()


def allowed_seconds(trainer: Trainer) -> float:
    """How long one update of this network may take: a legal but huge one is slow, not hung."""
    multiply_adds = sum(layer.multiply_adds for layer in trainer.network.plan)
    return max(USUAL_ALLOWANCE, 3 * multiply_adds * trainer.spec.batch_size / SLOWEST_MULTIPLY_ADDS)
