"""One update told to a page: in full for the first example of its batch, and of large layers as much as can be shown."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.wire.arrays import pack, significant
from app.workers.frames import numbers
from app.workers.live_run import LiveRun
from app.workers.recorder import finite
from app.workers.tasks import Task
from engine.arrays import Array
from engine.datasets.points import PointExamples
from engine.layers import Layer, make_layer
from engine.narration import Narration, narrate
from engine.trainer import StepResult, Trainer

MOST_NUMBERS = 64
"""Values of an array that are told one by one."""
MOST_PACKED = 6_500
"""Values of one that is still told as a picture."""
DIGITS = 6


def narrated(run: LiveRun) -> Task:
    """One update of a paused run, as a single step makes it; the answer is what was done in it.

    One that has come to its end stays there: what the next update would do is told, and not done.
    """
    if run.state == "finished":
        return telling(run.trainer, narrate(Trainer.from_state(run.trainer.state(), run.trainer.dataset)), made=False)
    told: list[Narration] = []

    def step() -> StepResult:
        told.append(narrate(run.trainer))
        return told[0].result

    yield from run.single_steps(1, step)
    return telling(run.trainer, told[0])


def telling(trainer: Trainer, told: Narration, *, made: bool = True) -> dict[str, Any]:
    """The narration as JSON. `example` and the layers' outputs and gradients are those of the batch's first example."""
    train, count = trainer.splits["train"], len(told.places)
    places = train.indices[told.places] if isinstance(train, PointExamples) else told.places
    answer = trainer.loss.probabilities(told.layers[-1].outputs.reshape(-1, count)[:, :1])[:, 0]
    classes = list(trainer.dataset.classes)
    return {
        "step": told.step,
        "made": made,
        "optimizer": trainer.spec.optimizer.name,
        "learning_rate": told.learning_rate,
        "batch": {"examples": count, "of": len(train), "places": places.tolist()},
        "example": {
            "input": array(told.inputs[..., 0]),
            "label": classes[int(told.labels[0])] if classes else None,
            "target": None if classes else float(told.labels[0]),
            "classes": classes,
            "probabilities": numbers(answer) if classes else None,
            "loss": finite(float(told.losses[0])),
        },
        "loss": finite(float(told.losses.mean())),
        "penalty": finite(told.result.l1_loss + told.result.l2_loss),
        "layers": layers(trainer, told),
    }


def layers(trainer: Trainer, told: Narration) -> list[dict[str, Any]]:
    count = len(told.places)
    before, after, gradients = (parts(trainer, flat) for flat in (told.before, told.after, told.gradients))
    return [
        {
            "index": plan.index,
            "type": plan.spec.type,
            "name": plan.name,
            "outputs": array(layer.outputs[..., 0]),
            "gradients": array(count * layer.gradients[..., 0]),
            "weights": change(before[plan.index].weights, gradients[plan.index].weights, after[plan.index].weights),
            "biases": change(before[plan.index].biases, gradients[plan.index].biases, after[plan.index].biases),
        }
        for plan, layer in zip(trainer.network.plan, told.layers, strict=True)
    ]


def parts(trainer: Trainer, flat: Array) -> list[Layer]:
    """Layers whose parameters are the numbers in `flat` (P,): so each knows which of them are its weights and biases."""
    made, start = [], 0
    for plan in trainer.network.plan:
        layer = make_layer(plan.spec, plan.input_shape, flat.dtype)
        own = flat[start : start + layer.parameter_count]
        layer.attach(own, own)
        made.append(layer)
        start += layer.parameter_count
    return made


def change(before: Array | None, gradient: Array | None, after: Array | None) -> dict[str, Any] | None:
    """What the update did to some parameters, and to the one with the steepest slope by itself."""
    if before is None or gradient is None or after is None:
        return None
    place = np.unravel_index(int(np.abs(np.nan_to_num(gradient)).argmax()), gradient.shape)
    steepest = {"old": before[place], "gradient": gradient[place], "new": after[place]}
    return {
        "old": array(before),
        "gradient": array(gradient),
        "new": array(after),
        "steepest": {
            "place": [int(axis) for axis in place],
            **{name: finite(float(value)) for name, value in steepest.items()},
        },
    }


def array(values: Array) -> dict[str, Any]:
    """An array in figures: all of a small one, the range and mean of any, a picture of one that is not too large."""
    known = bool(values.size and np.isfinite(values).all())
    return {
        "shape": list(values.shape),
        "low": float(values.min()) if known else None,
        "high": float(values.max()) if known else None,
        "mean": finite(float(values.mean())) if known else None,
        "values": significant(values, DIGITS) if known and values.size <= MOST_NUMBERS else None,
        "pack": pack(values) if known and MOST_NUMBERS < values.size <= MOST_PACKED else None,
    }
