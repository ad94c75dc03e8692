"""Lab 7: the loss surface of a line through forty points, and three ways down it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Interval, doc

from app.figures import figure, fixed
from app.labs.lesson import Formula, Json, Lab, Part, RunState, Task, Verdict
from app.wire.arrays import significant
from engine.lessons.gradient import POINTS, lattice, line, line_table, walked, written
from engine.specs import SGD, Dense, RunSpec, StopSpec
from engine.specs.ranges import Seed

UPDATES = 80
W0, W1 = (-3.5, 3.5), (-1.5, 4.0)
"""What the map shows of the two weights."""
LEVELS = (0.2, 0.4, 0.7, 1.2, 2, 3.5, 6, 10, 17, 30, 50)
"""Losses at which contours are drawn."""
ARROWS = ((-3.25, 3.25, 14), (-1.25, 3.75, 11))
"""Lowest, highest and how many, for each weight."""

NEAR_LIMIT = 1.05
GROWING = 10
"""Updates over which a descent that diverges must have grown, twice."""
HIGH, LOW, SOON = 3, 0.25, 40
CALM, LAST, RATE = 0.05, 10, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One start and one learning rate for all three; the order of the examples; and how one looks at it."""

    learning_rate: Annotated[
        float,
        Interval(ge=0.001, le=0.6),
        doc("How far one update moves along the gradient. Too small: slow. Beyond the mark batch descent diverges."),
    ] = 0.09
    minibatch: Annotated[
        int,
        Interval(ge=1, le=POINTS),
        doc("How many random examples the third path averages before each step. Few: quick and noisy."),
    ] = 8
    w0: Annotated[float, Interval(ge=W0[0], le=W0[1]), doc("Where the paths start: the intercept.")] = -2.2
    w1: Annotated[float, Interval(ge=W1[0], le=W1[1]), doc("Where the paths start: the slope.")] = 3.1
    seed: Seed = 1
    view: Literal["map", "bowl"] = "map"
    arrows: Literal["arrows", "none"] = "arrows"
    turn: Annotated[float, Interval(ge=-180, le=180), doc("From which side the bowl is seen, in degrees.")] = -30.0
    against: Literal["step", "examples", "seconds"] = "step"


def sizes(settings: Settings) -> Mapping[str, int]:
    """Examples an update, for each run."""
    return {"batch": POINTS, "stochastic": 1, "minibatch": settings.minibatch}


def runs(settings: Settings) -> Mapping[str, RunSpec]:
    return {
        name: RunSpec(
            name=f"Gradient, {name}",
            dataset=line_table(),
            network=(Dense(units=1),),
            parameters=written(settings.w0, settings.w1),
            loss="mean_squared_error",
            optimizer=SGD(learning_rate=settings.learning_rate),
            batch_size=size,
            l2=0.0,
            seed=settings.seed,
            stop=StopSpec(steps=UPDATES),
        )
        for name, size in sizes(settings).items()
    }


# ---- Figures -----------------------------------------------------------------------------------------------------------------


def figures(settings: Settings, states: Mapping[str, RunState]) -> Generator[None, None, Json]:
    """`surface`: losses row by row, the largest w1 first. `arrows`: [w0, w1, ∂Loss/∂w0, ∂Loss/∂w1]."""
    found, counts = line(), sizes(settings)
    paths, curves, now = {}, {}, {}
    for name, spec in runs(settings).items():
        state = states.get(name, RunState())
        path = yield from walked(spec, state.step)
        losses = significant(found.loss(path), 6)
        paths[name] = {"w0": significant(path[:, 0], 6), "w1": significant(path[:, 1], 6)}
        curves[name] = _curve(losses, counts[name], state)
        now[name] = _now(settings, path[-1], losses)
    grid = lattice(W0, W1, 57, 45)
    surface = {"w0": W0, "w1": W1, "shape": grid.shape[:2], "loss": significant(found.loss(grid)), "levels": LEVELS}
    return {
        "points": {"x": significant(found.inputs[:, 1]), "y": significant(found.targets)},
        "surface": surface,
        "arrows": _arrows(),
        "minimum": found.minimum.tolist(),
        "lowest": float(found.loss(found.minimum)),
        "curvature": found.curvature.tolist(),
        "steepest": found.steepest,
        "limit": found.limit,
        "rate": settings.learning_rate,
        "sizes": counts,
        "paths": paths,
        "curves": curves,
        "now": now,
    }


def _arrows() -> list[list[float]]:
    (left, right, columns), (low, high, rows) = ARROWS
    places = lattice((left, right), (low, high), columns, rows).reshape(-1, 2)
    slopes = significant(line().gradient(places))
    return [[*place, *slope] for place, slope in zip(places.tolist(), slopes, strict=True)]


def _curve(losses: list[float], size: int, state: RunState) -> Json:
    """The loss over all examples after each update; an update takes as long as this run's do on average."""
    steps = range(len(losses))
    each = state.seconds / max(1, state.step)
    return {
        "step": list(steps),
        "examples": [size * step for step in steps],
        "seconds": [each * step for step in steps],
        "train_loss": losses,
    }


def _now(settings: Settings, w: Any, losses: list[float]) -> Json:
    """Where a path ends (2,), the gradient there, and where an update on all examples would lead from there."""
    slopes = line().gradient(w)
    inside = W0[0] <= w[0] <= W0[1] and W1[0] <= w[1] <= W1[1]
    return {
        "w": w.tolist(),
        "slopes": slopes.tolist(),
        "next": (w - settings.learning_rate * slopes).tolist(),
        "loss": losses[-1],
        "updates": len(losses) - 1,
        "inside": bool(inside),
    }


# ---- Formulas with numbers -------------------------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Three digits after the point; of what has gone far astray three significant ones."""
    return fixed(value, 3) if abs(value) < 1000 else figure(value)


def factor(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def loss_in_numbers(f: Json) -> str:
    w0, w1 = f["now"]["batch"]["w"]
    return f"after {f['now']['batch']['updates']} batch updates\nŷ = {number(w0)} {'−' if w1 < 0 else '+'} {number(abs(w1))} · x\nLoss = {number(f['now']['batch']['loss'])}"


def gradient_in_numbers(f: Json) -> str:
    first, second = f["now"]["batch"]["slopes"]
    return f"∂Loss/∂w₀ = {number(first)}\n∂Loss/∂w₁ = {number(second)}"


def update_in_numbers(f: Json) -> str:
    now, rate = f["now"]["batch"], f["rate"]
    return "\n".join(
        f"{name} ← {number(w)} − {fixed(rate, 3)}·{factor(slope)} = {number(after)}"
        for name, w, slope, after in zip(("w₀", "w₁"), now["w"], now["slopes"], now["next"], strict=True)
    )


def limit_in_numbers(f: Json) -> str:
    sign = "<" if f["rate"] < f["limit"] else ">"
    outcome = "it converges" if f["rate"] < f["limit"] else "it diverges"
    return (
        f"2 / {fixed(f['steepest'], 3)} = {fixed(f['limit'], 3)}\n"
        f"α = {fixed(f['rate'], 3)} {sign} {fixed(f['limit'], 3)}: {outcome}"
    )


# ---- Tasks -----------------------------------------------------------------------------------------------------------------------


def diverges(settings: Settings, f: Json, _: Mapping[str, RunState]) -> Verdict:
    losses = f["curves"]["batch"]["train_loss"]
    if len(losses) <= 2 * GROWING:
        return Verdict(False, note=f"Let batch descent make {2 * GROWING} updates or more.")
    earlier, before, last = losses[-1 - 2 * GROWING], losses[-1 - GROWING], losses[-1]
    said = f"With α = {fixed(settings.learning_rate, 3)} the batch loss went from {figure(before)} to {figure(last)} in the last {GROWING} updates."
    if not earlier < before < last:
        return Verdict(False, 0.8 * min(1, settings.learning_rate / f["limit"]), f"{said} It falls: no divergence yet.")
    beyond = settings.learning_rate / f["limit"]
    if beyond > NEAR_LIMIT:
        return Verdict(False, 0.9 * NEAR_LIMIT / beyond, f"{said} It diverges; a smaller α does, too.")
    return Verdict(True, 1, said)


def soon_low(_: Settings, f: Json, __: Mapping[str, RunState]) -> Verdict:
    reached = {
        name: next((step for step, loss in enumerate(curve["train_loss"][: SOON + 1]) if loss < LOW), None)
        for name, curve in f["curves"].items()
    }
    begun = f["curves"]["batch"]["train_loss"][0]
    if begun < HIGH:
        return Verdict(False, note=f"This start has a loss of {figure(begun)} already: begin higher up.")
    count = sum(step is not None for step in reached.values())
    said = ", ".join(f"{name} {'not yet' if step is None else f'at update {step}'}" for name, step in reached.items())
    return Verdict(count == 3, count / 3, f"Below {LOW}: {said}.")


def calm(settings: Settings, f: Json, _: Mapping[str, RunState]) -> Verdict:
    losses = f["curves"]["minibatch"]["train_loss"]
    if len(losses) <= SOON:
        return Verdict(False, note=f"Let the minibatch path make more than {SOON} updates.")
    varies = max(losses[-LAST:]) - min(losses[-LAST:])
    said = f"Over its last {LAST} updates the loss varied by {figure(varies)}, with m = {settings.minibatch}."
    if settings.learning_rate < RATE:
        return Verdict(False, note=f"{said} But α is below {RATE}.")
    return Verdict(varies < CALM, 1 if varies < CALM else CALM / varies, said)


LAB = Lab(
    name="gradient",
    number=7,
    title="Gradient",
    claim="For each point on the loss surface: in which direction does the loss increase?",
    chapter="Gradient",
    summary="A loss surface with one dimension a weight, and three ways down it.",
    settings=Settings,
    parts=(
        Part(
            text=r"The model is a line, $\hat{y} = w_0 + w_1 x$. Every choice of the two weights is one point of the map. "
            "Its shade is the loss over all forty examples.",
            formula=Formula(r"\mathit{Loss}(\mathbf{w}) = \frac{1}{n} \sum (y - \hat{y})^2", loss_in_numbers),
            stress="surface",
        ),
        Part(
            text=r"The gradient says for each weight how the loss grows with it; $x_0$ is 1 and $x_1$ is $x$. The arrows point the "
            "other way: downhill.",
            formula=Formula(
                r"\frac{\partial \mathit{Loss}}{\partial w_j} = -\frac{2}{n} \sum (y - \hat{y}) \, x_j", gradient_in_numbers
            ),
            stress="arrows",
        ),
        Part(
            text=r"Three paths start from the same place with the same $\alpha$. They differ only in how many examples they "
            r"average before each step: all forty (batch), one at random (stochastic), $m$ at random (minibatch).",
            formula=Formula(
                r"\mathbf{w} \leftarrow \mathbf{w} - \alpha \nabla_{\mathbf{w}} \mathit{Loss}(\mathbf{w})", update_in_numbers
            ),
            stress="paths",
        ),
        Part(
            text=r"Across its valley the loss bends most, by $\lambda_{\max}$. Where $\alpha$ passes $2 / \lambda_{\max}$, "
            "each batch step lands higher up on the other side.",
            formula=Formula(r"\alpha < \frac{2}{\lambda_{\max}}", limit_in_numbers),
            stress="rate",
        ),
    ),
    symbols={
        "w_j": "One of the two weights: w₀ or w₁.",
        "w_0": "The intercept: where the line crosses x = 0. A weight without an input, also called bias.",
        "w_1": "The weight of x: the slope of the line.",
        r"\mathbf{w}": "All weights together, here w₀ and w₁: one point of the map.",
        r"\hat{y}": "What the line says for x.",
        "y": "What was measured at x.",
        "x_j": "What weight j is multiplied by: 1 for w₀, x for w₁.",
        "n": "How many examples the loss is averaged over.",
        "m": "How many random examples a minibatch has.",
        r"\alpha": "The learning rate: how far one update moves along the gradient.",
        r"\nabla_{\mathbf{w}}": "The gradient: the slope of the loss in each weight, one number a weight.",
        r"\lambda_{\max}": "The largest eigenvalue of 2/n XᵀX: how strongly the loss bends in its steepest direction.",
    },
    tasks=(
        Task(
            name="diverge",
            question=r"Find the $\alpha$ at which batch descent begins to diverge, to within 5 %.",
            hint="Move α past the mark 2/λmax, only just, and watch the solid path.",
            check=diverges,
        ),
        Task(
            name="soon",
            question=f"From a start with a loss of {HIGH} or more, bring every path below {LOW} within {SOON} updates.",
            hint="How long a step do all three bear?",
            check=soon_low,
        ),
        Task(
            name="calm",
            question=rf"With $\alpha$ at {RATE} or more, let the minibatch’s loss vary by less than {CALM} over its last {LAST} updates.",
            hint="One of the settings averages.",
            check=calm,
        ),
    ),
    remember=(
        "The gradient points uphill, one component for each weight; we step against it.",
        "A step that is too long climbs the other side: batch descent needs α < 2/λmax.",
    ),
    figures=figures,
    runs=runs,
    speed=12.0,
    watch={"weights": True},
    elements=("loss-landscape", "race-chart"),
)
