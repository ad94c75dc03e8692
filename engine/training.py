"""Training to an end: what may end a run, and the loop that a notebook writes.

for report in train(trainer, StopSpec(epochs=5, patience=2)):
    print(f"{report.epoch:.1f} epochs: loss {report.loss:.3f}, {report.validation.accuracy:.2%} of validation right")
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, inf

from engine.errors import SpecError
from engine.evaluation import EvaluationResult, evaluate
from engine.specs import StopSpec
from engine.trainer import Trainer, no_clock

AT_ONCE = 1_000
"""Updates of which the trainer is asked for one result."""


def reached(
    stop: StopSpec, trainer: Trainer, *, seconds: float, accuracy: float | None, loss: float | None, unimproved: int
) -> list[str]:
    """The conditions of `stop`, by the names of its fields, that hold now.

    seconds: time trained; accuracy, loss: the latest on the split by which the run is judged, None without one;
    unimproved: measurements of that loss since its lowest.
    """
    held = {
        "epochs": stop.epochs is not None and trainer.examples >= stop.epochs * len(trainer.splits["train"]),
        "steps": stop.steps is not None and trainer.steps >= stop.steps,
        "seconds": stop.seconds is not None and seconds >= stop.seconds,
        "accuracy": stop.accuracy is not None and accuracy is not None and accuracy >= stop.accuracy,
        "loss": stop.loss is not None and loss is not None and loss <= stop.loss,
        "patience": stop.patience is not None and unimproved >= stop.patience,
    }
    return [name for name, holds in held.items() if holds]


@dataclass(frozen=True, slots=True)
class Report:
    """How a training stands after `step` updates.

    loss, accuracy: of the training batches since the last report, each seen before its update, as far as they were
    measured (see `engine.trainer.StepResult`); seconds: time trained
    in this call, by the trainer's clock, evaluations left out; validation: of the split by which the run is judged, None
    when it is empty;
    stopped: the conditions that end the training now, empty while it goes on.
    """

    step: int
    epoch: float
    seconds: float
    loss: float
    accuracy: float
    validation: EvaluationResult | None
    stopped: list[str]


def train(trainer: Trainer, stop: StopSpec | None = None, *, every: int | None = None) -> Iterator[Report]:
    """Train until a condition of `stop`, by default the run's own, holds; a report after `every` updates and at the end.

    `every` is by default one pass over the training examples. Accuracy, loss and patience are judged at the reports, on
    all examples of the split that decides (`RunSpec.judged`), images by their centres. Raises SpecError when the training would never end: nothing is asked for,
    seconds without a clock, or accuracy or patience without validation examples. DivergedError as in `Trainer.step`.
    """
    stop = trainer.spec.stop if stop is None else stop
    _check_ends(stop, trainer)
    return _train(
        trainer, stop, -(-len(trainer.splits["train"]) // trainer.spec.batch_size) if every is None else every
    )


def _train(trainer: Trainer, stop: StopSpec, every: int) -> Iterator[Report]:
    seconds, best, unimproved = 0.0, inf, 0
    accuracy: float | None = None
    judged: float | None = None
    stopped = reached(stop, trainer, seconds=seconds, accuracy=accuracy, loss=judged, unimproved=unimproved)
    while not stopped:
        loss, correct, examples, steps = 0.0, 0, 0, 0
        while steps < every and not stopped:
            started, count = trainer.clock(), _ahead(stop, trainer, every - steps)
            result = trainer.advance(count)
            seconds += trainer.clock() - started
            loss, correct, examples, steps = (
                loss + count * result.loss,
                correct + result.correct,
                examples + result.examples,
                steps + count,
            )
            stopped = reached(stop, trainer, seconds=seconds, accuracy=accuracy, loss=judged, unimproved=unimproved)
        split = trainer.spec.judged
        validation = evaluate(trainer, split) if len(trainer.splits[split]) else None
        if validation is not None and validation.loss is not None:
            accuracy, judged, unimproved = validation.accuracy, validation.loss, unimproved + 1
            if validation.loss < best:
                best, unimproved = validation.loss, 0
            stopped = reached(stop, trainer, seconds=seconds, accuracy=accuracy, loss=judged, unimproved=unimproved)
        yield Report(trainer.steps, trainer.epoch, seconds, loss / steps, correct / examples, validation, stopped)


def _ahead(stop: StopSpec, trainer: Trainer, most: int) -> int:
    """How many updates may be done at once, at most `most`, so that none is done after the end."""
    if stop.seconds is not None:
        return 1
    if stop.steps is not None:
        most = min(most, stop.steps - trainer.steps)
    if stop.epochs is not None:
        missing = stop.epochs * len(trainer.splits["train"]) - trainer.examples
        most = min(most, ceil(missing / trainer.spec.batch_size))
    return min(most, AT_ONCE)


def _check_ends(stop: StopSpec, trainer: Trainer) -> None:
    if stop.seconds is not None and trainer.clock is no_clock:
        raise SpecError(
            "Time is counted by the trainer's clock: make it with clock=time.perf_counter.", field="/stop/seconds"
        )
    judged = stop.accuracy is not None or stop.loss is not None or stop.patience is not None
    if judged and not len(trainer.splits[trainer.spec.judged]):
        raise SpecError(
            "Accuracy, loss and patience are judged on examples that are not trained on, and none are kept: keep some.",
            field="/stop",
        )
    if stop == StopSpec():
        raise SpecError(
            "Nothing would end this training: give it epochs, steps, seconds, accuracy or patience.", field="/stop"
        )
