"""Learning-rate schedules: how much of the learning rate an update uses, from its number alone.

A schedule remembers nothing. A run that was stopped, saved and loaded goes on where it was, and a learning rate that is
changed live keeps following the same curve. The warm-up comes first and takes `warm_up` updates; t counts those after it.

    warm-up    (step + 1) / warm_up
    constant   1
    step       factor^⌊t / every⌋
    cosine     final + (1 − final) · ½ (1 + cos(π t / steps)), and `final` from t = steps on
"""

from __future__ import annotations

from math import cos, pi

from engine.specs import Constant, Cosine, ScheduleSpec, StepDecay


def learning_rate_share(schedule: ScheduleSpec, step: int) -> float:
    """The share of the learning rate, from 0 to 1, that the update after `step` others uses."""
    if step < schedule.warm_up:
        return (step + 1) / schedule.warm_up
    t = step - schedule.warm_up
    match schedule:
        case Constant():
            return 1.0
        case StepDecay(every=every, factor=factor):
            return float(factor ** (t // every))
        case Cosine(steps=steps, final=final):
            return final + (1 - final) * (1 + cos(pi * min(t / steps, 1))) / 2
