"""A small lab with two runs, for tests of what all labs share."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from weakref import WeakKeyDictionary

from annotated_types import Interval, Len, doc

from app.labs.lesson import Formula, Json, Lab, Part, Runs, Task, Verdict
from engine.specs import SGD, CurveSpec, Dense, RunSpec, StopSpec
from engine.trainer import Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    learning_rate: Annotated[float, Interval(gt=0, le=1), doc("How far one update moves.")] = 0.05
    batch: Annotated[int, Interval(ge=1, le=20), doc("Examples of a batch.")] = 5
    view: Literal["map", "table"] = "map"
    arrows: bool = True
    start: Annotated[tuple[Annotated[float, Interval(ge=-5, le=5)], ...], Len(0, 2)] = (0.5, -1.0)


def runs(settings: Settings) -> Mapping[str, RunSpec]:
    def spec(size: int) -> RunSpec:
        return RunSpec(
            name="example",
            dataset=CurveSpec(kind="line"),
            network=(Dense(units=1),),
            loss="mean_squared_error",
            optimizer=SGD(learning_rate=settings.learning_rate),
            batch_size=size,
            l2=0.0,
            parameters=settings.start or None,
            stop=StopSpec(steps=500),
        )

    return {"all": spec(20), "some": spec(settings.batch)}


def look(trainer: Trainer, settings: Settings, name: str) -> Generator[None, None, Json]:
    yield
    return {"name": name, "steps": trainer.steps, "batch": settings.batch}


_looks: WeakKeyDictionary[Trainer, int] = WeakKeyDictionary()


def look_in_parts(trainer: Trainer, settings: Settings, name: str) -> Generator[None, None, Json]:  # noqa: ARG001
    """Three looks tell all."""
    _looks[trainer] = _looks.get(trainer, 0) + 1
    yield
    return {"looks": _looks[trainer], "more": _looks[trainer] < 3}


def figures(settings: Settings, runs: Runs) -> Json:
    return {
        "weights": {name: run.parameters for name, run in runs.items()},
        "seen": {name: run.seen for name, run in runs.items()},
        "rate": settings.learning_rate,
    }


def long_figures(settings: Settings, runs: Runs) -> Generator[None, None, Json]:
    """The same, in portions."""
    for _ in range(3):
        yield
    return figures(settings, runs)


def far_enough(_settings: Settings, found: Json, runs: Runs) -> Verdict:
    steps = runs["all"].step
    return Verdict(steps >= 20, steps / 20, f"{steps} updates at {found['rate']}.")


def _numbers(found: Json) -> str:
    return f"α = {found['rate']}"


def lab(**changes: Any) -> Lab:
    values: dict[str, Any] = {
        "name": "example",
        "number": 1,
        "title": "Example",
        "claim": "Claimed.",
        "chapter": "Loss",
        "summary": "In one line.",
        "settings": Settings,
        "parts": (Part(text="Words, $w_0$.", formula=Formula(r"w_0 + \alpha", _numbers)),),
        "symbols": {"w_0": "The bias.", r"\alpha": "The rate."},
        "tasks": (Task(name="far", question="Go to update 20.", hint="Train.", check=far_enough),),
        "remember": ("One.", "Two."),
        "figures": figures,
        "runs": runs,
        "look": look,
    }
    return Lab(**{**values, **changes})
