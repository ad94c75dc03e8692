"""Where commands are carried out: the runs of one worker, and what is worked out beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from app.workers import files, readings
from app.workers.errand import Errand
from app.workers.live_run import LiveRun
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
    Gone,
    Import,
    Lend,
    ListExamples,
    Look,
    Narrate,
    Notification,
    Open,
    Predict,
    ReadLayer,
    Release,
    Request,
    Reset,
    Respec,
    Restored,
    SetWatch,
    SetWeights,
    Step,
)
from app.workers.narration import narrated
from app.workers.pace import Pace
from app.workers.process import Bounds
from app.workers.refusals import ConflictError
from app.workers.saves import Saves, fits
from app.workers.states import SENTENCES
from app.workers.tasks import Task
from engine.datasets.base import Dataset, ImageDataset
from engine.datasets.mnist import load_mnist
from engine.datasets.points import points_dataset
from engine.datasets.transactions import Transactions
from engine.specs import MnistSpec, RunSpec, TransactionsSpec
from engine.trainer import Trainer

DAMAGED = "The newest saved state was damaged."


class Desk:
    """`runs` and `errands` by their ids, as the scheduler gives them their turns."""

    def __init__(self, send: Callable[[Notification], None], folder: Path, bounds: Bounds) -> None:
        self.runs: dict[str, LiveRun] = {}
        self.errands: dict[str, Errand] = {}
        self._send, self._folder, self._bounds = send, folder, bounds
        self._images: ImageDataset | None = None

    def find(self, id: str) -> LiveRun | Errand | None:
        return self.runs.get(id) or self.errands.get(id)

    def carry_out(self, request: Request) -> Answer | str:
        """The answer; or, of what is worked out in portions, the id under which it goes on until it is answered."""
        command, number = request.command, request.number
        match command:
            case Open():
                self._open(command)
                return Answer(number)
            case Import():
                return Answer(number, self._import(command))
            case Discard():
                if (gone := self.runs.pop(command.run, None)) is not None:
                    gone.lend(False)
                    gone.drop_tasks("The run was deleted.")
                Saves(self._folder / command.run).remove()
                return Answer(number)
            case Compute(function=function, arguments=arguments, owner=owner):
                errand = Errand(number, owner, function, arguments)
                self.errands[errand.id] = errand
                return errand.id
        if command.run not in self.runs:
            raise ConflictError("The run is being put away; ask again.")
        run = self.runs[command.run]
        if (task := task_of(run, command)) is not None:
            run.add_task(number, task)
            return run.id
        return Answer(number, self._answer(run, command))

    def _answer(self, run: LiveRun, command: Command) -> Any:
        match command:
            case Release():
                run.lend(False)
                run.drop_tasks("The run was put away.")
                run.save()
                run.flush()
                del self.runs[command.run]
            case Change(values=values, state=state):
                run.change(values, state)
            case Respec(spec=spec, keep=keep):
                same = run.trainer.spec.dataset == spec.dataset
                run.respec(spec, run.trainer.dataset if same else self._dataset(spec), keep)
            case SetWeights(index=index, changes=changes):
                run.set_weights(index, changes)
            case Reset(seed=seed):
                run.reset(seed)
            case Predict():
                return readings.predict(run, command)
            case ReadLayer():
                return readings.read_layer(run, command)
            case Boundary():
                return readings.boundary(run, command)
            case Export(format=format):
                return files.export(run.trainer.state(), format)
            case SetWatch(watch=watch, value=value):
                run.set_watch(watch, value)
            case Lend(yes=yes):
                run.lend(yes)
            case EndWatch(watch=watch):
                run.end_watch(watch)
        return None

    def abandon(self, run: LiveRun, state: str, sentence: str) -> None:
        """It failed in the midst of something, so its weights cannot be trusted, and what it holds is let go of."""
        run.lend(False)
        run.enter(state, sentence)
        del self.runs[run.id]
        self._send(Gone(run.id))  # first of all, so that nobody who hears of it finds it still here
        run.tell()
        run.drop_tasks(sentence)

    def _open(self, command: Open) -> None:
        """Raises FormatError when there is a checkpoint that cannot be read."""
        saves = Saves(self._folder / command.run)
        if command.fresh:
            saves.remove_progress()
        saved = saves.read()
        if saved is not None and not fits(saved[0].spec, command.spec):
            saved = None  # it is of what the run was before
        run = self._take_in(command, Trainer(command.spec, self._dataset(command.spec), clock=perf_counter), saves)
        if saved is not None:
            run.go_to(*saved)
            run.adopt(command.spec)
        run.pace = Pace(command.updates_per_second)
        run.enter(command.state, command.sentence)
        if saved is not None and saves.torn and DAMAGED not in run.sentence:
            run.sentence += f" {DAMAGED} This is the one before, of update {run.trainer.steps:,}."
        if command.stood is not None:
            run.show_as_it_stood(command.stood)
        self.runs[command.run] = run
        self._send(Restored(run.id, run.snapshot()))

    def _import(self, command: Import) -> Any:
        state = files.read(command.body, command.filename)
        trainer = Trainer(state.spec, self._dataset(state.spec), clock=perf_counter)
        trainer.restore(state)
        saves = Saves(self._folder / command.run)
        saves.keep_beginning(state)
        run = self._take_in(command, trainer, saves)
        run.enter("paused", SENTENCES["paused"])
        self.runs[command.run] = run
        run.save()
        return state.spec, run.snapshot()

    def _take_in(self, command: Open | Import, trainer: Trainer, saves: Saves) -> LiveRun:
        seconds = self._bounds.run_seconds
        return LiveRun(command.run, trainer, saves, self._send, owner=command.owner, run_seconds=seconds)

    def _dataset(self, spec: RunSpec) -> Dataset:
        """What a run learns from; the pictures are read once for all runs."""
        if isinstance(spec.dataset, TransactionsSpec):
            return Transactions(spec.dataset)
        if not isinstance(spec.dataset, MnistSpec):
            return points_dataset(spec.dataset)
        if self._images is None:
            self._images = load_mnist()
        return self._images


def task_of(run: LiveRun, command: Command) -> Task | None:
    """What is to be worked out in portions; None for what is done at once."""
    match command:
        case Step(count=count):
            return run.single_steps(count)
        case Narrate():
            return narrated(run)
        case Evaluate():
            return readings.evaluate(run, command)
        case ListExamples():
            return readings.list_examples(run, command)
        case Look():
            return readings.look(run, command)
    return None
