"""Lab 9: the same network learns from all examples an update, from one, and from a few, and each sees as many of them."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from time import thread_time
from typing import Annotated, Literal

from annotated_types import Interval, doc

from app.figures import figure
from app.labs.lesson import Formula, Json, Lab, Part, RunState, Task, Verdict
from engine.lessons.minibatches import EXAMPLES, PASSES, Curve, final_loss, measured, racer, seconds_an_update, updates
from engine.specs import RunSpec
from engine.specs.ranges import Seed
from engine.trainer import Trainer

RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Columns of the table."""
GUESSING = 0.693147
"""Loss of a network that gives both classes one half: log 2."""
LEVELS = (0.08, 0.12, 0.25, 0.5, GUESSING)
"""Where one shade of the table ends and the next begins."""
GOOD = 0.15

BATCH_LOSS = 0.45
BOTH_LOSS = 0.1
FEW, FEW_LOSS = 100, 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One learning rate for all three, the size of a minibatch, one seed, and what the race is drawn against."""

    learning_rate: Annotated[
        float,
        Interval(ge=0.001, le=10),
        doc("How far one update moves the weights, in all three runs. Too small: slow. Too large: the loss jumps."),
    ] = 0.3
    minibatch: Annotated[
        int,
        Interval(ge=2, le=200),
        doc("How many random examples a minibatch averages. Few: more updates, but noisy. Many: the other way round."),
    ] = 16
    seed: Seed = 1
    against: Literal["step", "examples", "seconds"] = "examples"


def sizes(settings: Settings) -> Mapping[str, int]:
    """Examples an update, for each run."""
    return {"batch": EXAMPLES, "stochastic": 1, "minibatch": settings.minibatch}


def runs(settings: Settings) -> Mapping[str, RunSpec]:
    return {name: racer(size, settings.learning_rate, settings.seed) for name, size in sizes(settings).items()}


def look(trainer: Trainer, _: Settings, __: str) -> Generator[None, None, Json]:
    """How long an update takes on this machine."""
    yield
    return {"seconds_an_update": seconds_an_update(trainer.spec, thread_time)}


# ---- Figures -----------------------------------------------------------------------------------------------------------------


def figures(settings: Settings, states: Mapping[str, RunState]) -> Generator[None, None, Json]:
    """`curves` as a chart takes them; `table`: where each race ends at each rate, None where it diverges."""
    table = []
    for name, size in sizes(settings).items():
        losses = []
        for rate in RATES:
            loss = yield from final_loss(racer(size, rate, settings.seed))
            losses.append(loss)
        table.append(
            {"name": name, "losses": losses, "levels": [_level(loss) for loss in losses], "good": _good(losses)}
        )
    found = sizes(settings)
    curves, ends = {}, {}
    for name, spec in runs(settings).items():
        state = states.get(name, RunState())
        curve = yield from measured(spec, state.step, None if state.state == "diverged" else state.parameters)
        curves[name] = _curve(curve, found[name], state)
        ends[name] = yield from _end(spec, state)
    return {
        "sizes": found,
        "updates": {name: updates(size) for name, size in found.items()},
        "rate": settings.learning_rate,
        "rates": RATES,
        "passes": PASSES,
        "good": GOOD,
        "table": table,
        "curves": curves,
        "ends": ends,
    }


def _level(loss: float | None) -> int:
    return len(LEVELS) if loss is None else bisect(LEVELS, loss)


def _good(losses: list[float | None]) -> int:
    return sum(loss is not None and loss < GOOD for loss in losses)


def _curve(curve: Curve, size: int, state: RunState) -> Json:
    each = state.seen.get("seconds_an_update", 0.0)
    return {
        "step": curve.steps,
        "examples": [size * step for step in curve.steps],
        "seconds": [each * step for step in curve.steps],
        "train_loss": curve.losses,
    }


def _end(spec: RunSpec, state: RunState) -> Generator[None, None, Json]:
    """The loss at the end of a race, and how long it took; None as long as it goes on, and a loss of None if it diverged.

    What a run learns that is trained on after its race does not count.
    """
    each, count = state.seen.get("seconds_an_update", 0.0), updates(spec.batch_size)
    if state.state == "diverged":
        return {"loss": None, "seconds": each * state.step}
    if state.step < count:
        return {"loss": None, "seconds": None}
    loss = yield from final_loss(spec)
    return {"loss": loss, "seconds": each * count}


# ---- Formulas with numbers -------------------------------------------------------------------------------------------------------


def update_in_numbers(f: Json) -> str:
    return f"w ← w − {figure(f['rate'])} · ∇Loss(w)"


def updates_in_numbers(f: Json) -> str:
    return "\n".join(
        f"{name}: {PASSES} · {EXAMPLES} / {size} = {f['updates'][name]:,}" for name, size in f["sizes"].items()
    )


def balance_in_numbers(f: Json) -> str:
    return "\n".join(
        f"{name}: {'on its way' if end['seconds'] is None else ended_in_words(end)}" for name, end in f["ends"].items()
    )


def ended_in_words(end: Json) -> str:
    loss = "diverged" if end["loss"] is None else figure(end["loss"])
    return f"{loss} after {figure(1000 * end['seconds'])} ms"


# ---- Tasks -----------------------------------------------------------------------------------------------------------------------


def batch_arrives(settings: Settings, f: Json, _: Mapping[str, RunState]) -> Verdict:
    loss = f["ends"]["batch"]["loss"]
    if loss is None:
        return Verdict(False)
    said = (
        f"With α = {figure(settings.learning_rate)} it ended at {figure(loss)} after {f['updates']['batch']} updates."
    )
    return Verdict(loss < BATCH_LOSS, nearness(loss, BATCH_LOSS), said)


def both_arrive(settings: Settings, f: Json, _: Mapping[str, RunState]) -> Verdict:
    losses = [f["ends"][name]["loss"] for name in ("stochastic", "minibatch")]
    if None in losses:
        return Verdict(False)
    said = f"With α = {figure(settings.learning_rate)} the stochastic path ended at {figure(losses[0])}, the minibatch path at {figure(losses[1])}."
    return Verdict(max(losses) < BOTH_LOSS, nearness(max(losses), BOTH_LOSS), said)


def few_updates(_: Settings, f: Json, __: Mapping[str, RunState]) -> Verdict:
    loss, count = f["ends"]["minibatch"]["loss"], f["updates"]["minibatch"]
    if loss is None:
        return Verdict(False)
    said = f"The minibatch path made {count} updates and ended at {figure(loss)}."
    if count > FEW:
        return Verdict(False, 0.5 * FEW / count, said)
    return Verdict(loss < FEW_LOSS, 0.5 + 0.5 * nearness(loss, FEW_LOSS), said)


def nearness(loss: float, wanted: float) -> float:
    """1 when it is reached, 0 where guessing would be as good."""
    return 1 if loss < wanted else max(0, min(0.99, (GUESSING - loss) / (GUESSING - wanted)))


LAB = Lab(
    name="minibatches",
    number=9,
    title="Minibatches",
    claim="Compute loss over all training examples, over one random example, or over $m$ random examples.",
    chapter="Gradient",
    summary="All examples, one or a few an update: who gets how far.",
    settings=Settings,
    parts=(
        Part(
            text="Every update steps against the gradient of the loss. But the loss over which examples?",
            formula=Formula(
                r"\mathbf{w} \leftarrow \mathbf{w} - \alpha \nabla_{\mathbf{w}} \mathit{Loss}(\mathbf{w})", update_in_numbers
            ),
            stress="race",
        ),
        Part(
            text=f"Here all {EXAMPLES} (<b>batch</b>), one at random (<b>stochastic</b>) or $m$ at random (<b>minibatch</b>). "
            f"Each sees every example {PASSES} times; the fewer at once, the more updates that makes.",
            formula=Formula(rf"\text{{updates}} = {PASSES} \cdot \frac{{n}}{{m}}", updates_in_numbers),
            stress="race",
        ),
        Part(
            text=r"Batch descent is <b>slow</b>: it has looked at everything before it moves at all. And it is <b>sensitive to "
            r"$\alpha$</b>: its few steps must be long, and long steps overshoot. Look along its row.",
            stress="table",
        ),
        Part(
            text="One example is mostly noise, and takes almost as long as many. A <b>minibatch</b> averages the noise out and "
            "still moves often: the best balance in practice.",
            formula=Formula(r"\mathit{Loss}(\mathbf{w}) = \frac{1}{m} \sum L_j(\mathbf{w})", balance_in_numbers),
            stress="balance",
        ),
    ),
    symbols={
        r"\mathbf{w}": "All weights and biases of the network.",
        r"\alpha": "The learning rate: how far one update moves the weights.",
        r"\nabla_{\mathbf{w}}": "The gradient: how the loss grows with each weight.",
        "n": f"How many examples there are to learn from, here {EXAMPLES}.",
        "m": "How many examples one update averages over.",
        "L_j": "The loss on example j alone.",
    },
    tasks=(
        Task(
            name="batch",
            question=rf"Find an $\alpha$ with which batch descent ends below {BATCH_LOSS}.",
            hint="Two columns of the table lie on either side.",
            check=batch_arrives,
        ),
        Task(
            name="both",
            question=rf"With one and the same $\alpha$, bring the stochastic and the minibatch path below {BOTH_LOSS}.",
            hint="Begin with an α that suits single examples; then let the minibatch move more often.",
            check=both_arrive,
        ),
        Task(
            name="few",
            question=f"Let the minibatch path end below {FEW_LOSS} after at most {FEW} updates.",
            hint="Larger minibatches make fewer updates, and bear longer steps.",
            check=few_updates,
        ),
    ),
    remember=(
        "All examples an update: slow, and sensitive to α. One: quick to move, but noisy.",
        "A few at random average the noise and still move often: the best balance in practice.",
    ),
    figures=figures,
    runs=runs,
    look=look,
    speed=1200.0,
    watch={"plane": {"resolution": 60}},
    elements=("race-chart", "plane-plot"),
)
