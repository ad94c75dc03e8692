"""How a run ends by itself, in words, and what makes it go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.workers.recorder import Recorder
from engine.specs import StopSpec
from engine.trainer import Trainer

REASONS = {
    "epochs": "all epochs are trained",
    "steps": "all updates are done",
    "seconds": "the time is over",
    "accuracy": "the accuracy is reached",
    "loss": "the loss is low enough",
    "patience": "the loss improves no more",
}


def finished(ends: Sequence[str], trainer: Trainer, recorder: Recorder) -> str:
    """The sentence of a run that one or more of its stop conditions ended."""
    reason = " and ".join(REASONS[name] for name in ends)
    accuracy, judged = recorder.accuracy, trainer.spec.judged
    measured = "" if accuracy is None else f", {accuracy:.1%} right on the {judged} examples"
    return f"Finished after {trainer.epoch:.4g} epochs: {reason}{measured}. Run it on for as much again, or reset it."


def at_the_limit(seconds: float) -> str:
    return (
        f"It has trained for {in_words(seconds)} without a word from anybody, which is the limit. "
        "Its weights are kept: run it on for as long again, or reset it."
    )


def in_words(seconds: float) -> str:
    return f"{seconds / 60:.4g} minutes" if seconds >= 120 else f"{seconds:.4g} seconds"


def extended(stop: StopSpec, ends: list[str]) -> StopSpec:
    """As much again of what ended the run; an accuracy that is reached is no aim any more, and patience begins anew."""
    return replace(
        stop,
        epochs=2 * stop.epochs if "epochs" in ends and stop.epochs is not None else stop.epochs,
        steps=2 * stop.steps if "steps" in ends and stop.steps is not None else stop.steps,
        seconds=2 * stop.seconds if "seconds" in ends and stop.seconds is not None else stop.seconds,
        accuracy=None if "accuracy" in ends else stop.accuracy,
        loss=None if "loss" in ends else stop.loss,
    )
