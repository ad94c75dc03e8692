"""One run inside its worker: the trainer, what is measured of it, its checkpoints and its life."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from math import ceil, inf
from time import monotonic, perf_counter, thread_time
from typing import Any, Literal

from app.workers.ends import at_the_limit, extended, finished
from app.workers.messages import (
    Answer,
    Changed,
    Drawn,
    Notification,
    NotSaved,
    Progress,
    Refusal,
    Restored,
    Saved,
    Status,
    WeightChange,
)
from app.workers.pace import Pace
from app.workers.point_recorder import PointRecorder
from app.workers.recorder import PortionRecorder, Recorder
from app.workers.refusals import ConflictError, refusal_for
from app.workers.saves import Saves, carried_over, fits
from app.workers.saving import SaveTimes
from app.workers.states import MAY_BECOME, SENTENCES, STEPPABLE, refusal
from app.workers.tasks import Task, Tasks
from app.workers.watches import Watches
from engine.datasets.base import Dataset
from engine.errors import DivergedError, EngineError, FormatError, ShapeError
from engine.evaluation import EvaluationResult
from engine.parallel import SecondCore
from engine.specs import LIVE_FIELDS, Dense, MnistSpec, RunSpec, Split, TransactionsSpec
from engine.trainer import StepResult, Trainer, TrainerState
from engine.training import reached

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.1
TOGETHER_SECONDS = 0.002
"""Processor time of the updates that are made at once, so that commands and other runs need not wait."""


class LiveRun:
    """Driven by the scheduler: `work()` does a few milliseconds of what there is to do, `after_slice()` tells of it.

    After `run_seconds` of training without a word from anybody it rests.
    """

    def __init__(
        self,
        id: str,
        trainer: Trainer,
        saves: Saves,
        send: Callable[[Notification], None],
        *,
        owner: str = "local",
        run_seconds: float = inf,
    ) -> None:
        self.id = id
        self.owner = owner
        self.trainer = trainer
        self.recorder = new_recorder(trainer)
        self.saves = saves
        self.pace = Pace()
        self.state = "paused"
        self.sentence = SENTENCES["paused"]
        self.evaluations: dict[Split, EvaluationResult] = {}
        self._send = send
        self._run_seconds = run_seconds
        self._diverged: dict[str, Any] | None = None
        self._tasks = Tasks()
        self._watches = Watches(lambda watch, view, frame: send(Drawn(id, watch, view, frame)))
        self._flushed = monotonic()
        self._save_times = SaveTimes()
        self._unsaved = ""
        self._together = 1
        self._lent = False
        self._second_core: SecondCore | None = None

    def snapshot(self) -> dict[str, Any]:
        """Where the run stands, as part of the Run JSON; while diverged, where it did."""
        stands = self._diverged or {
            "state": self.state,
            "sentence": f"{self.sentence} {self._unsaved}".strip(),
            "step": self.trainer.steps,
            "examples": self.trainer.examples,
            "epoch": self.trainer.epoch,
            "seconds": self.recorder.seconds,
            "metrics": dict(self.recorder.latest),
        }
        return stands | {"updates_per_second": self.pace.per_second}

    # ---- Work ------------------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self.rest() == 0

    def rest(self) -> float:
        """Seconds until there is something to do, if nothing comes in between; infinite while the run stands still."""
        if self._tasks:
            return 0.0
        return self.pace.pause(monotonic()) if self.state == "running" else inf

    def work(self, seconds: float = inf) -> None:
        """One portion of a task, and some updates if the run is running and they are due: no more of them than take `seconds`, or one."""
        if self._tasks:
            self.work_on_task()
        if self.state == "running" and self.pace.pause(monotonic()) == 0:
            self._train(seconds)

    def _train(self, seconds: float) -> None:
        if self._save_times.is_due(self.recorder.seconds) and self._is_healthy():
            self.save()
        count = self.pace.take(monotonic(), self._updates_at_once(seconds))
        started, cost = perf_counter(), thread_time()
        try:
            result = self.trainer.advance(count)
        except DivergedError as error:
            self._diverge(error)
            return
        self._together = fitting(count, thread_time() - cost)
        self.recorder.add(self.trainer, result, started)
        if self.pace.per_second is not None:
            self.recorder.note_single_step(self.trainer, result)
        if ends := self.reached():
            self._finish(ends)
        elif self.recorder.seconds - self.recorder.heard >= self._run_seconds:
            self._come_to_its_limit()

    def _updates_at_once(self, seconds: float) -> int:
        """As many as take little time, but none beyond the next point of the curve or the end of the run."""
        trainer, stop = self.trainer, self.trainer.spec.stop
        few = self._together if seconds >= TOGETHER_SECONDS else int(self._together * seconds / TOGETHER_SECONDS)
        count = min(few, self.recorder.updates_until_point(trainer.steps))
        if stop.steps is not None:
            count = min(count, stop.steps - trainer.steps)
        if stop.epochs is not None:
            left = stop.epochs * len(trainer.splits["train"]) - trainer.examples
            count = min(count, ceil(left / trainer.spec.batch_size))
        return max(1, count)

    def lend(self, yes: bool) -> None:
        """May this run use a second core, or must it give it back? The sums are the same either way (engine.parallel)."""
        self._lent = yes
        self._use_cores()

    def _use_cores(self) -> None:
        process, wanted = self._second_core, self._lent and len(self.trainer.shares) == 2
        if process is not None and not (wanted and self.trainer.second_core is process):
            process.close()
            self._second_core = process = None
        if wanted and process is None:
            try:
                self._second_core = SecondCore(self.trainer).__enter__()
            except (OSError, EngineError) as error:
                log.warning("run %s trains on one core: %s", self.id, error)

    def add_task(self, number: int, task: Task) -> None:
        self._tasks.add(number, task)

    @property
    def is_urgent(self) -> bool:
        """Whether somebody waits for something that may be short."""
        return self._tasks.are_urgent

    def work_on_task(self) -> None:
        """A portion of one of them; whoever asked is told when that was the last."""
        if (ended := self._tasks.work()) is None:
            return
        if isinstance(ended.outcome, EngineError):
            self._send(refusal_for(ended.number, ended.outcome, self.state))
        else:
            self.flush()
            self._send(Answer(ended.number, ended.outcome))

    def drop_tasks(self, why: str) -> None:
        for number in self._tasks.drop():
            self._send(Refusal(number, "conflict", why, state=self.state))

    def single_steps(self, count: int, step: Callable[[], StepResult] | None = None) -> Task:
        """Exactly `count` updates, whatever the stop says; `step` makes one, as the trainer itself would."""
        if self.state not in STEPPABLE:
            raise ConflictError(refusal("Taking single updates", self.state))
        for _ in range(count):
            started = perf_counter()
            try:
                result = (step or self.trainer.step)()
            except DivergedError as error:
                self._diverge(error)
                raise ConflictError(str(error)) from None
            self.recorder.add(self.trainer, result, started)
            yield
            if self.state not in STEPPABLE:
                raise ConflictError(refusal("Taking further single updates", self.state))
        self.recorder.note_single_step(self.trainer, result)  # measuring takes longer than a small network's update
        self.save()
        self.flush()
        self.draw_all()

    # ---- Life ------------------------------------------------------------------------------------------------------------

    def change(self, values: dict[str, Any], state: str | None) -> None:
        """New hyperparameters or pace, then a new state. Raises ConflictError or SpecError, and then nothing was changed."""
        values = dict(values)
        pace = Pace(values.pop("updates_per_second")) if "updates_per_second" in values else self.pace
        if state is not None and self.state not in MAY_BECOME[state]:
            wish = {"running": "Running", "paused": "Pausing", "stopped": "Stopping"}[state]
            raise ConflictError(refusal(wish, self.state))
        if values:
            self.trainer.change(**values)
            self._use_cores()  # whose use depends on the batch size
            self._send(Changed(self.id, self.trainer.spec))
            self._save_times.hurry(self.recorder.seconds)  # so that a restored run takes the same path
        if pace is not self.pace:
            self.pace = pace
            self.flush()
        self.recorder.heard = self.recorder.seconds
        if state == "running" and self.state != "running":
            self._run_on()
        elif state is not None and state != self.state:
            self._stand_still(state, SENTENCES[state])

    def adopt(self, spec: RunSpec) -> None:
        """The live hyperparameters of `spec`."""
        mine = self.trainer.spec
        changes = {name: getattr(spec, name) for name in LIVE_FIELDS if getattr(spec, name) != getattr(mine, name)}
        if changes:
            self.trainer.change(**changes)
            self._use_cores()

    def enter(self, state: str, sentence: str) -> None:
        self.state, self.sentence, self._diverged = state, sentence, None

    def show_as_it_stood(self, snapshot: dict[str, Any]) -> None:
        """A run that diverged is looked at as it was then, whatever its weights were restored to."""
        self._diverged = self.snapshot() | snapshot

    def tell(self) -> None:
        """Tell what state the run is in, after all that was measured before."""
        self.flush()
        self._send(Status(self.id, self.snapshot()))

    def _run_on(self) -> None:
        if self.state == "diverged":
            self._diverged = None
            self._send(Restored(self.id, self.snapshot()))
        if self.state == "time-limit":
            self._save_times.hurry(self.recorder.seconds)  # one that is restored must not come to its limit again at once
        if ends := self.reached():
            self.recorder.begin_patience()
            self.trainer.change(stop=extended(self.trainer.spec.stop, ends))
            self._send(Changed(self.id, self.trainer.spec))
        self.pace = Pace(self.pace.per_second)  # the first update is due at once
        self.enter("running", SENTENCES["running"])
        self.tell()

    def _stand_still(self, state: str, sentence: str) -> None:
        self.recorder.rest()
        self.enter(state, sentence)
        self.save()
        self.tell()
        self.draw_all()

    def _finish(self, ends: list[str]) -> None:
        self._stand_still("finished", finished(ends, self.trainer, self.recorder))

    def _come_to_its_limit(self) -> None:
        self._stand_still("time-limit", at_the_limit(self._run_seconds))

    def _diverge(self, error: DivergedError) -> None:
        """The curve stays as it is, for that is what there is to see; the weights go back to the last good ones."""
        self.recorder.rest()
        self.enter("diverged", str(error))
        self.tell()
        self._diverged = self.snapshot()
        try:
            saved = self.saves.read()
        except (FormatError, OSError):
            return  # the weights of before this update are still numbers
        spec = self.trainer.spec
        if saved is not None:
            self.go_to(*saved)
            self.adopt(spec)
        else:  # weights that are nearly infinite are nothing to go on with
            self.trainer.reset()
            self.recorder = new_recorder(self.trainer)

    def go_to(self, state: TrainerState, recorder: dict[str, Any] | None) -> None:
        self.trainer.restore(carried_over(state, self.trainer))
        self.recorder = new_recorder(self.trainer)
        if recorder is not None:
            self.recorder.go_on(recorder)
        self._save_times.restored(state.steps, self.recorder.seconds)

    def reset(self, seed: int | None) -> None:
        """Where it began, paused unless it was running; a new seed draws another beginning. FormatError if that is lost."""
        beginning = self.saves.beginning() if seed is None else None
        self.drop_tasks("The run was reset.")
        spec = self.trainer.spec
        self.trainer.reset(seed=seed)
        if beginning is None:
            self.saves.remove()
        else:
            self.saves.remove_progress()
            self.trainer.restore(carried_over(beginning, self.trainer))
            self.adopt(spec)
        self.recorder = new_recorder(self.trainer)
        self.evaluations.clear()
        self._save_times.begin()
        state = "running" if self.state == "running" else "paused"
        self.enter(state, SENTENCES[state])
        self.save()
        if seed is not None:
            self._send(Changed(self.id, self.trainer.spec))
        self._send(Restored(self.id, self.snapshot()))
        self._send(Status(self.id, self.snapshot()))
        self.draw_all()

    def respec(self, spec: RunSpec, dataset: Dataset, keep: Literal["weights", "nothing"]) -> None:
        """Go on as a run of another spec, paused unless it was running. Raises SpecError, and then nothing was changed.

        The weights stay where they are to be kept and fit, and so does what was saved: it is carried over when it is read.
        """
        trainer = Trainer(spec, dataset, clock=perf_counter)
        same_optimizer = self.trainer.spec.optimizer.name == spec.optimizer.name
        kept = keep == "weights" and same_optimizer and fits(self.trainer.spec, spec)
        if kept:
            trainer.restore(replace(carried_over(self.trainer.state(), trainer), spec=spec))
        self.drop_tasks("The run was changed.")
        self.trainer, self._together = trainer, 1
        self._use_cores()
        self.evaluations.clear()
        if kept:
            self.recorder.heard = self.recorder.seconds
            self.recorder.begin_patience()
            self.recorder.note_change(trainer)
        else:
            self.saves.remove()
            self.recorder = new_recorder(trainer)
            self._save_times.begin()
        state = "running" if self.state == "running" else "paused"
        self.enter(state, SENTENCES[state])
        self.flush()
        self._send(Changed(self.id, spec))
        self._send(Restored(self.id, self.snapshot(), anew=not kept))
        self._send(Status(self.id, self.snapshot()))
        self.draw_all()

    def set_weights(self, index: int, changes: tuple[WeightChange, ...]) -> None:
        """Weights and biases of a dense layer by hand. Raises ShapeError, and then nothing was changed."""
        layers = self.trainer.network.layers
        if not 0 <= index < len(layers) or not isinstance(self.trainer.spec.network[index], Dense):
            raise ShapeError(
                f"Layer {index} is not a dense layer of this network: it has no weights to be set by hand."
            )
        weights, biases = layers[index].weights, layers[index].biases
        assert weights is not None
        assert biases is not None
        units, inputs = weights.shape
        for change in changes:
            if change.unit >= units or (change.input is not None and change.input >= inputs):
                raise ShapeError(
                    f"Layer {index} has {units:,} units with {inputs:,} inputs each, both numbered from 0."
                )
        for change in changes:
            if change.input is None:
                biases[change.unit] = change.value
            else:
                weights[change.unit, change.input] = change.value
        self.evaluations.clear()
        self.recorder.heard = self.recorder.seconds
        self.recorder.note_change(self.trainer)
        self._save_times.hurry(self.recorder.seconds)
        if self.state != "running":
            self.save()
        self.flush()
        self.draw_all()

    def reached(self) -> list[str]:
        """The stop conditions that hold now."""
        return reached(
            self.trainer.spec.stop,
            self.trainer,
            seconds=self.recorder.seconds,
            accuracy=self.recorder.accuracy,
            loss=self.recorder.loss,
            unimproved=self.recorder.unimproved,
        )

    # ---- Telling and saving ------------------------------------------------------------------------------------------------

    def after_slice(self) -> None:
        if monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()
        self._watches.draw_due(self.trainer)

    def flush(self) -> None:
        self._flushed = monotonic()
        if self.state == "running":
            self.recorder.measure_pace(self.trainer.examples)
        self._send(Progress(self.id, self.snapshot(), self.recorder.take()))

    def save(self) -> None:
        """Write a checkpoint, unless this very step is on the disk already. A disk that takes none stops nothing."""
        if self._save_times.is_done(self.trainer.steps, self.recorder.seconds):
            return
        started = monotonic()
        self.flush()  # what was measured before a checkpoint must be known before it
        try:
            size = self.saves.write(self.trainer, self.recorder.state())
        except (OSError, FormatError) as error:
            self._save_times.refused()
            reason = error.strerror if isinstance(error, OSError) else error
            message = f"The run could not be saved: {reason}."
            self._send(NotSaved(self.id, message))
            self._say_of_saving(f"{message} Training goes on in memory and saves again as soon as it can.")
            return
        self._save_times.done(self.trainer.steps, self.recorder.seconds, cost=monotonic() - started)
        self._send(Saved(self.id, self.trainer.steps, size))
        self._say_of_saving("")

    def _say_of_saving(self, words: str) -> None:
        """Behind every sentence, until it is otherwise."""
        if words != self._unsaved:
            self._unsaved = words
            self._send(Status(self.id, self.snapshot()))

    def _is_healthy(self) -> bool:
        if self.recorder.is_healthy(self.trainer):
            return True
        self._save_times.postpone(self.recorder.seconds)
        return False

    # ---- Watches -------------------------------------------------------------------------------------------------------------

    def set_watch(self, name: str, value: dict[str, Any]) -> None:
        """Look at something else from now on, and draw it at once. Raises ShapeError when there is no such example."""
        self._watches.set(name, value, self.trainer)

    def end_watch(self, name: str) -> None:
        self._watches.end(name)

    def draw_all(self) -> None:
        """Every view through every watch, as after an update that a person asked for."""
        self._watches.draw_all(self.trainer)


def new_recorder(trainer: Trainer) -> Recorder:
    """One that measures what the run is made of."""
    few = not isinstance(trainer.spec.dataset, MnistSpec | TransactionsSpec)
    recorder = PointRecorder() if few else PortionRecorder()
    recorder.note_change(trainer)
    return recorder


def fitting(count: int, seconds: float) -> int:
    """How many updates to make at once, after `count` of them took so long; growing step by step."""
    return max(1, min(2 * count, int(count * TOGETHER_SECONDS / max(seconds, 1e-9))))
