"""The learning rate over the updates; the formulas stand in engine.schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from engine.specs.ranges import FallEvery, FallFactor, FallSteps, FinalShare, WarmUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """The learning rate stays what it is."""

    warm_up: WarmUp = 0
    name: Literal["constant"] = "constant"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDecay:
    """The learning rate falls at regular intervals, each time to the same share."""

    every: FallEvery = 2_000
    factor: FallFactor = 0.5
    warm_up: WarmUp = 0
    name: Literal["step"] = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine:
    """The learning rate falls along half a wave of the cosine and stays at its end (Loshchilov and Hutter, 2017)."""

    steps: FallSteps = 10_000
    final: FinalShare = 0.0
    warm_up: WarmUp = 0
    name: Literal["cosine"] = "cosine"


ScheduleSpec: TypeAlias = Constant | StepDecay | Cosine
SCHEDULE_SPECS: Mapping[str, type[ScheduleSpec]] = MappingProxyType(
    {"constant": Constant, "step": StepDecay, "cosine": Cosine}
)
