"""What the small picture of each stop of the lecture is drawn from; carried out in worker processes.

Most are a lab's own figures, as it opens or after a little training. So a picture shows what the lab shows.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict

from app.labs.catalogue import LABS
from app.labs.five_units import Weights
from app.labs.lesson import Json, RunState
from engine.lessons import miniatures
from engine.presets import PRESETS

UPDATES: Mapping[str, int] = {"gradient": 60, "minibatches": 5_000, "dense-and-convolutional": 200}
"""So many, or as many as a run may, before the picture is drawn; of other labs none."""
SIDE = 40
SHOWN_DIGIT = 0
DIGITS = range(15)


def lab(name: str) -> Generator[None, None, Json]:
    """The figures of a lab as it opens, after its `UPDATES`."""
    found = LABS[name]
    settings = found.settings()
    states = {run: RunState() for run in found.runs(settings)}
    if name in UPDATES:
        for run, spec in found.runs(settings).items():
            trainer = yield from miniatures.trained(spec, UPDATES[name])
            seen = (yield from found.look(trainer, settings, run)) if found.look else {}
            states[run] = RunState(step=trainer.steps, examples=trainer.examples, seen=seen)
    outcome = found.figures(settings, states)
    figures: Json = (yield from outcome) if isinstance(outcome, Generator) else outcome
    return figures


def weights() -> Generator[None, None, Json]:
    """The lab's network over its plane, once it has learned."""
    found = LABS["weights"]
    (spec,) = found.runs(found.settings()).values()
    return (yield from miniatures.plane(spec, 400, SIDE))


def five_units() -> Json:
    """The lecture's network as its lab opens."""
    return {"weights": asdict(Weights())}


def kernels() -> Generator[None, None, Json]:
    """The filters that the convolutional network has by then, and what they see in a digit."""
    figures = yield from lab("dense-and-convolutional")
    patterns = figures["convolutional"]["patterns"]
    return {"patterns": patterns, "maps": miniatures.seen_through(patterns, SHOWN_DIGIT)}


def demo() -> Json:
    return {"digits": miniatures.digits(DIGITS)}


def plane() -> Generator[None, None, Json]:
    """Two arms of a spiral, learned."""
    return (yield from miniatures.plane(PRESETS["spiral"].spec, 4_000, SIDE))
