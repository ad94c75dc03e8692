"""Lab 5: what fits the seen points best says least of the others; in curves of timber sales, and in a training."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval, doc

from app.figures import figure, fixed, significant
from app.labs.lesson import Formula, Json, Lab, Part, Runs, RunState, Task, Verdict
from engine.lessons import fits, overfitting, timber
from engine.lessons.overfitting import LOWEST_POSSIBLE, UPDATES
from engine.lessons.timber import HIGHEST_DEGREE, NEXT, QUARTERS
from engine.specs import RunSpec, Seed
from engine.trainer import Trainer

TIMBER_SEED = 1
HIGHEST_SALES = 1500.0
QUARTERLY = [1 + (NEXT - 1) * place / 240 for place in range(241)]
"""Places along the quarters at which curves are drawn."""
PLACES = [-5 + place / 20 for place in range(201)]
YIELD_EVERY = 200
"""Updates that are caught up with at a time; they take some milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The curve through the timber sales; the networks; how the second of them is kept from learning by heart."""

    degree: Annotated[
        int,
        Interval(ge=1, le=HIGHEST_DEGREE),
        doc("Of the curve B. 1 is a straight line; 11 goes through all twelve quarters."),
    ] = 9
    units: Annotated[
        int, Interval(ge=1, le=100), doc("Hidden units of both networks. Few: stiff. Many: they can learn by heart.")
    ] = 30
    points: Annotated[
        int, Interval(ge=10, le=200), doc("How many points the network learns from. Few are easily learned by heart.")
    ] = 15
    l2: Annotated[
        float,
        Interval(ge=0, le=0.05),
        doc("λ, L2 weight decay: pulls every weight towards zero. 0: not at all. Too much: the curve goes flat."),
    ] = 0.0
    patience: Annotated[
        int,
        Interval(ge=0, le=100),
        doc("Early stopping: ends the training after so many measurements without a lower held-out loss. 0: never."),
    ] = 0
    seed: Seed = 6


def runs(settings: Settings) -> Mapping[str, RunSpec]:
    return {
        "network": overfitting.run(settings.points, settings.units, settings.l2, settings.patience, settings.seed),
        "timber": timber.run(settings.units, TIMBER_SEED),
    }


def look(trainer: Trainer, _: Settings, name: str) -> Generator[None, None, Json]:
    """Where the network's loss on the points held out was lowest so far."""
    if name != "network":
        return {}
    beside = overfitting.beside(trainer.spec)
    while beside.next <= trainer.steps:
        beside.advance()
        if beside.reached % YIELD_EVERY == 0:
            yield
    lowest = beside.lowest(trainer.steps)
    return {"step": lowest.step, "loss": lowest.loss, "parameters": list(lowest.parameters)}


# ---- Figures ---------------------------------------------------------------------------------------------------------------


def figures(settings: Settings, states: Runs) -> Json:
    specs = runs(settings)
    sales, sales_plot = _timber(settings, specs["timber"], states.get("timber", RunState()))
    network, network_plot = _network(settings, specs["network"], states.get("network", RunState()))
    return {"timber": sales, "timber_plot": sales_plot, "network": network, "network_plot": network_plot}


def _timber(settings: Settings, spec: RunSpec, run: RunState) -> tuple[Json, Json]:
    """What is said of the next quarter, and the picture of it."""
    trend, curve = timber.fit(1), timber.fit(settings.degree)
    rows = [_row("A", "linear trend", trend), _row("B", f"curve of degree {settings.degree}", curve)]
    plot = _timber_plot()
    plot["curves"] = [
        _curve("A", "A, linear trend", "series-1", [1, NEXT], trend.at([1, NEXT]).tolist()),
        _curve("B", f"B, degree {settings.degree}", "series-2", [1, NEXT], curve.at(QUARTERLY).tolist()),
    ]
    if run.parameters is not None:
        rows.append(_network_row(settings, spec, run.parameters))
        answers = fits.answers(spec, run.parameters, QUARTERLY).tolist()
        plot["curves"].append(
            _curve("C", "C, network", "series-3", [1, NEXT], answers) | {"run": "timber", "learns": QUARTERS}
        )
    looks = ("series-1", "series-2", "series-3")
    plot["marks"] = [
        {"x": NEXT, "y": row["sales"], "words": f"{row['name']} {fixed(row['sales'], 0)}", "look": look}
        for row, look in zip(rows, looks, strict=False)
    ]
    plot["said"] = "Timber sales of twelve quarters, and what is said of the next Q1: " + ", ".join(
        f"{row['name']}, the {row['words']}, {fixed(row['sales'], 0)}" for row in rows
    )
    degrees = [timber.fit(degree) for degree in range(1, HIGHEST_DEGREE + 1)]
    return {
        "rows": rows,
        "degrees": [_row(str(fit.degree), "", fit) for fit in degrees],
        "lowest_degree": next(fit.degree for fit in degrees if fit.sales == 0),
    }, plot


def _row(name: str, words: str, fit: timber.Fit) -> Json:
    return {"name": name, "words": words, "error": fit.error, "forecast": fit.forecast, "sales": fit.sales}


def _network_row(settings: Settings, spec: RunSpec, parameters: tuple[float, ...]) -> Json:
    answers = fits.answers(spec, parameters, range(1, NEXT + 1)).tolist()
    forecast = answers[-1]
    return {
        "name": "C",
        "words": f"network with {settings.units} units",
        "error": timber.error(answers[:-1]),
        "forecast": forecast,
        "sales": max(0.0, forecast),
    }


def _curve(name: str, words: str, look: str, x: list[float], values: list[float]) -> Json:
    return {"name": name, "words": words, "look": look, "x": x, "values": values}


def _timber_plot() -> Json:
    sales = timber.sales().tolist()
    made_up = QUARTERS - len(timber.LAST_FOUR)
    return {
        "x": {
            "name": "quarter",
            "range": [0.5, NEXT],
            "ticks": [[quarter, f"Q{(quarter - 1) % 4 + 1}"] for quarter in range(1, NEXT + 1)],
        },
        "y": {"name": "sales", "range": [0, HIGHEST_SALES]},
        "points": [
            {"x": place + 1, "y": value, "kind": "open" if place < made_up else "filled"}
            for place, value in enumerate(sales)
        ],
        "kinds": {"filled": "the lecture’s four quarters", "open": "made up"},
    }


def _network(settings: Settings, spec: RunSpec, run: RunState) -> tuple[Json, Json]:
    """How the network does on points that it has seen and on others, and the picture of it."""
    x, y = overfitting.training_points(spec)
    curves = [_curve("truth", "the truth, sin x", "train", [-5, 5], overfitting.truth(PLACES).tolist())]
    if run.seen:
        best = fits.answers(spec, run.seen["parameters"], PLACES).tolist()
        curves.append(_curve("lowest", "network at its lowest held-out loss", "series-3", [-5, 5], best))
    if run.parameters is not None:
        now = fits.answers(spec, run.parameters, PLACES).tolist()
        curves.append(_curve("now", "network now", "series-2", [-5, 5], now) | {"run": "network", "learns": len(x)})
    train, held_out = run.metrics.get("train_loss"), run.metrics.get("test_loss")
    lowest = run.seen.get("loss")
    plot = {
        "x": {"name": "x", "range": [-5, 5]},
        "y": {"name": "y", "range": [-2.2, 2.2]},
        "points": [{"x": each, "y": other, "kind": "filled"} for each, other in zip(x, y, strict=True)],
        "kinds": {"filled": "points to train on"},
        "curves": curves,
        "said": f"{settings.points} points about sin x, and the curve of a network after {run.step} updates: "
        f"its training loss is {figure(train)}, its loss on points held out {figure(held_out)}.",
    }
    return {
        "train": train,
        "held_out": held_out,
        "points": settings.points,
        "l2": settings.l2,
        "patience": settings.patience,
        "lowest": lowest,
        "lowest_step": run.seen.get("step"),
        "waited": waited(run),
        "worse": held_out / lowest if held_out is not None and lowest and held_out > lowest else None,
        "chance": LOWEST_POSSIBLE,
    }, plot


def waited(run: RunState) -> int:
    """Measurements without a lower loss on the points held out."""
    lowest = run.seen.get("step", run.step)
    return overfitting.measurements(run.step) - overfitting.measurements(lowest)


# ---- Words -----------------------------------------------------------------------------------------------------------------


def curve_numbers(f: Json) -> str:
    return "\n".join(
        f"{row['name']}: error {significant(row['error'])}, forecast {_forecast(row)}"
        for row in f["timber"]["rows"][:2]
    )


def _forecast(row: Json) -> str:
    return fixed(row["forecast"], 0) + (" → 0" if row["forecast"] < 0 else "")


def network_numbers(f: Json) -> str:
    rows = f["timber"]["rows"][2:]
    return "\n".join(f"C: error {significant(row['error'])}, forecast {_forecast(row)}" for row in rows)


def training_numbers(f: Json) -> str:
    network = f["network"]
    rows = [f"training {figure(network['train'])}, held out {figure(network['held_out'])}"]
    if network["lowest"] is not None:
        rows.append(f"lowest {figure(network['lowest'])}, at update {fixed(network['lowest_step'], 0)}")
    return "\n".join(rows)


def brake_numbers(f: Json) -> str:
    network = f["network"]
    return (
        f"points {network['points']}, λ = {figure(network['l2'])}, patience {network['patience']}\n"
        f"held out {figure(network['held_out'])}, by chance {figure(network['chance'], digits=2)}"
    )


# ---- Tasks -----------------------------------------------------------------------------------------------------------------

ENOUGH_UNITS = 20
FEW_POINTS = 15
GOOD = 2 * LOWEST_POSSIBLE
"""A held-out loss below twice what chance alone costs."""


def check_degree(settings: Settings, f: Json, _: Runs) -> Verdict:
    fit = timber.fit(settings.degree)
    if fit.sales > 0:
        return Verdict(False, 0.3, f"Degree {fit.degree} says {fixed(fit.forecast, 0)}.")
    lowest = f["timber"]["lowest_degree"]
    if fit.degree > lowest:
        return Verdict(False, 0.6, f"Degree {fit.degree} says 0, and so does a lower one.")
    return Verdict(True, 1.0, f"Degree {fit.degree} says {fixed(fit.forecast, 0)}.")


def check_stop(settings: Settings, f: Json, runs: Runs) -> Verdict:
    if settings.units < ENOUGH_UNITS or settings.points != FEW_POINTS or settings.l2:
        return Verdict(False, 0.0, f"Keep {FEW_POINTS} points, {ENOUGH_UNITS} units or more, and no decay.")
    if not settings.patience:
        return Verdict(False, 0.1, "It trains to the last update; give it a patience.")
    return _judged(f, runs, f["network"]["waited"] == settings.patience)


def check_brake(settings: Settings, f: Json, runs: Runs) -> Verdict:
    if settings.units < ENOUGH_UNITS or settings.patience:
        return Verdict(False, 0.0, f"Keep {ENOUGH_UNITS} units or more, and a patience of 0.")
    return _judged(f, runs, "network" in runs and runs["network"].step >= UPDATES)


def _judged(f: Json, runs: Runs, ended: bool) -> Verdict:
    """Of a network that has come to its end, early or not."""
    loss = f["network"]["held_out"]
    if not ended or loss is None:
        return Verdict(False, 0.2, "Let it train to its end.")
    said = f"It ended at update {fixed(runs['network'].step, 0)} with a held-out loss of {significant(loss)}."
    return Verdict(loss < GOOD, min(1.0, GOOD / loss), said)


LAB = Lab(
    name="overfitting",
    number=5,
    title="Overfitting",
    claim="Better fit for seen data, useless prediction for unseen data.",
    chapter="Training and its screw-ups",
    summary="Quarterly timber sales: a line says 1,007 of the next quarter, a better fit says 0.",
    settings=Settings,
    parts=(
        Part(
            text="Quarterly timber sales: what will the next Q1 sell? A is a straight line over all quarters $t$, B a "
            "curve of degree $d$. The last four quarters are the lecture’s; those before are made up.",
            formula=Formula(r"\hat{y} = c_0 + c_1 t + \dots + c_d t^d", curve_numbers),
            stress="timber",
        ),
        Part(
            text="Each degree more fits the seen quarters better, and 11 goes through all twelve. C is a network; with "
            "enough units it learns them by heart, too, and beyond them it knows no more.",
            formula=Formula(r"\hat{y} = w_0 + \sum_k w_k a_k", network_numbers),
            stress="degrees",
        ),
        Part(
            text="The same happens within one training. The network learns from few noisy points; many others are held "
            "out. Training loss goes on falling. The held-out loss falls, then <b>rises</b>.",
            formula=Formula(
                r"\mathit{Loss} = \frac{1}{N} \sum_j \left( y^{(j)} - \hat{y}^{(j)} \right)^2", training_numbers
            ),
            stress="network",
        ),
        Part(
            text="Three brakes. <b>Early stopping</b> ends the training when the held-out loss no longer falls. <b>L2</b> "
            "adds a price for large weights. <b>More points</b> leave less to learn by heart.",
            formula=Formula(r"\mathit{Loss} + \frac{\lambda}{2} \sum_i w_i^2", brake_numbers),
            stress="network",
        ),
    ),
    symbols={
        "c_0": "Where the curve crosses t = 0.",
        "c_1": "How strongly the quarter itself counts.",
        "c_d": "How strongly its highest power counts.",
        "w_0": "The bias of the output.",
        "w_k": "The weight from hidden unit k to the output.",
        "w_i^2": "The square of one weight; biases do not count.",
        r"y^{(j)}": "What point j says.",
        r"\hat{y}^{(j)}": "What the network answers for point j.",
        "i": "Counts the weights.",
        "j": "Counts the points.",
        "k": "Counts the hidden units.",
        r"\hat{y}": "What the model answers.",
        "t": "The quarter, counted from the first one as 1; the next Q1 is 13.",
        "d": "The degree of the curve: how often it may bend, and one more.",
        "a_k": "What hidden unit k answers: the tanh of its weighted input.",
        "N": "The number of points over which the loss is the mean.",
        r"\lambda": "The strength of the L2 weight decay.",
    },
    tasks=(
        Task(
            name="lowest-degree",
            question="Find the lowest degree whose forecast is 0 or less.",
            hint="The table says what each degree forecasts; sales below zero are sold as 0.",
            check=check_degree,
        ),
        Task(
            name="early-stopping",
            question=f"With {FEW_POINTS} points and no decay, let early stopping end with a held-out loss below "
            f"{GOOD:.2f}.",
            hint="Patience counts measurements; there is one every 10 updates, and from update 1,000 every 100.",
            check=check_stop,
        ),
        Task(
            name="brake",
            question=f"With a patience of 0, end all {UPDATES:,} updates with a held-out loss below {GOOD:.2f}.",
            hint="Two brakes are left.",
            check=check_brake,
        ),
    ),
    remember=(
        "A better fit of the seen points is no better prediction of the others.",
        "Judge by points that were held out, and stop, decay or collect more.",
    ),
    figures=figures,
    runs=runs,
    look=look,
    speed=300,
    watch={"curve": {"resolution": 200}},
    elements=("fit-plot", "loss-chart"),
)
