"""Lab 6: the squared loss of one example, the likelihood of many against its logarithm, and softmax."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, isfinite, log
from typing import Annotated, TypeAlias

from annotated_types import Interval, doc

from app.figures import SUPERSCRIPTS, fixed, significant
from app.labs.lesson import Formula, Json, Lab, Part, Runs, Task, Verdict
from engine.lessons.loss import (
    SMALLEST,
    Likelihood,
    likelihood,
    probabilities_of_truth,
    softmax_steps,
    squared_loss,
)
from engine.specs import Seed

CLASSES = ("cat", "dog", "fox", "owl", "hen", "elk")
MOST_EXAMPLES = 10_000
REACH = 5.0
"""The parabola is drawn for outputs from −5 to 5."""
PLACES = 200
"""Places at which products and sums are drawn, however many examples there are."""

Input: TypeAlias = Annotated[
    float,
    Interval(ge=-10_000, le=10_000),
    doc("The weighted input of this class's unit, in the output layer. Only its distance from the others counts."),
]
Probability: TypeAlias = Annotated[
    float,
    Interval(ge=0.01, le=1),
    doc("The network gives the true class of each example a probability that is drawn between these two."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One example's truth and output; how many examples, and how sure the network is of them; a layer's inputs."""

    target: Annotated[float, Interval(ge=-2, le=2), doc("y, what the example says the output should be.")] = 1.0
    output: Annotated[float, Interval(ge=-REACH, le=REACH), doc("ŷ, what the network answers.")] = -0.5
    examples: Annotated[
        int, Interval(ge=1, le=MOST_EXAMPLES), doc("N, the number of examples whose probabilities are multiplied.")
    ] = 1_000
    least: Probability = 0.2
    greatest: Probability = 0.95
    seed: Seed = 1
    classes: Annotated[int, Interval(ge=2, le=len(CLASSES)), doc("Units in the output layer, one for each class.")] = 2
    cat: Input = -0.12
    dog: Input = 2.0
    fox: Input = 0.0
    owl: Input = 0.0
    hen: Input = 0.0
    elk: Input = 0.0

    @property
    def inputs(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in CLASSES[: self.classes]}


# ---- Figures -----------------------------------------------------------------------------------------------------------


def figures(settings: Settings, _: Runs) -> Json:
    return {
        "squared": _squared(settings.target, settings.output),
        "likelihood": _likelihood(settings),
        "softmax": _softmax(settings.inputs),
    }


def _squared(target: float, output: float) -> Json:
    """The loss and its slope here, and the parabola around them."""
    loss, slope = squared_loss(target, output)
    outputs = [REACH * (place / 50 - 1) for place in range(101)]
    return {
        "target": target,
        "output": output,
        "loss": loss,
        "slope": slope,
        "outputs": outputs,
        "losses": [squared_loss(target, at)[0] for at in outputs],
    }


def _likelihood(settings: Settings) -> Json:
    """Product and sum after all examples, and on the way there; `power` is the ten's that the product should have."""
    count = settings.examples
    probabilities = probabilities_of_truth(count, settings.least, settings.greatest, settings.seed)
    found = likelihood(probabilities)
    total = float(found.sums[-1])
    places = _places(count, found.vanished)
    products = [float(found.products[place - 1]) for place in places]
    return {
        "examples": count,
        "first": [float(probability) for probability in probabilities[:3]],
        "product": float(found.products[-1]),
        "sum": total,
        "mean": total / count,
        "power": -total / log(10),
        "vanished": found.vanished,
        "smallest": SMALLEST,
        "places": places,
        "products": [product or None for product in products],
        "sums": [float(found.sums[place - 1]) for place in places],
        "table": [
            [place, float(found.products[place - 1]), float(found.sums[place - 1])]
            for place in _told(count, found.vanished)
        ],
        "said": _said(found, count),
    }


def _places(count: int, vanished: int | None) -> list[int]:
    """Evenly from the first example to the last, and the last before the product is 0."""
    even = {1 + (count - 1) * step // (PLACES - 1) for step in range(PLACES)}
    return sorted(even | ({vanished - 1, vanished} - {0} if vanished else set()))


def _told(count: int, vanished: int | None) -> list[int]:
    """1, 2, 5, 10, 20, … examples, and where the product ends."""
    round_numbers = {digit * 10**power for power in range(5) for digit in (1, 2, 5)}
    ends = {vanished - 1, vanished} - {0} if vanished else set()
    return sorted({number for number in round_numbers if number <= count} | ends | {count})


def _said(found: Likelihood, count: int) -> str:
    """What has become of the product, in words."""
    power = -float(found.sums[-1]) / log(10)
    if found.vanished:
        return f"exactly 0 from example {fixed(found.vanished, 0)} on; it should be {power_of_ten(power)}"
    if found.products[-1] == SMALLEST and count > 1:
        return f"stuck at {significant(SMALLEST)}, the smallest float32; it should be {power_of_ten(power)}"
    return f"{significant(float(found.products[-1]))}, and still above 0"


def power_of_ten(power: float) -> str:
    """10^power, however small: 3.1×10⁻²⁷⁰."""
    if power > -4:
        return significant(10**power)
    whole = floor(power)
    return f"{fixed(10 ** (power - whole), 1)}×10{str(whole).translate(SUPERSCRIPTS)}"


def _softmax(inputs: dict[str, float]) -> Json:
    """Every class on its way to its probability; `at_once` is None where the power is too large for float32."""
    steps = softmax_steps(tuple(inputs.values()))
    return {
        "largest": max(inputs.values()),
        "total": sum(step.power for step in steps),
        "together": sum(step.probability for step in steps),
        "rows": [
            {
                "name": name,
                "input": value,
                "at_once": step.at_once if isfinite(step.at_once) else None,
                "shifted": step.shifted,
                "power": step.power,
                "probability": step.probability,
                "loss": step.loss,
            }
            for (name, value), step in zip(inputs.items(), steps, strict=True)
        ],
    }


# ---- Formulas with numbers ---------------------------------------------------------------------------------------------


def _in_brackets(value: float) -> str:
    return f"({fixed(value)})" if value < 0 else fixed(value)


def squared_numbers(f: Json) -> str:
    one = f["squared"]
    difference = f"{fixed(one['target'])} − {_in_brackets(one['output'])}"
    return f"({difference})² = {fixed(one['loss'])}\nslope −2 · ({difference}) = {fixed(one['slope'])}"


def product_numbers(f: Json) -> str:
    many = f["likelihood"]
    factors = " × ".join(fixed(probability, 3) for probability in many["first"])
    return f"{factors}{' × …' if many['examples'] > 3 else ''} = {significant(many['product'])}"


def sum_numbers(f: Json) -> str:
    many = f["likelihood"]
    terms = " + ".join(fixed(-log(probability), 3) for probability in many["first"])
    return (
        f"{terms}{' + …' if many['examples'] > 3 else ''} = {significant(many['sum'])}\n"
        f"the mean of {fixed(many['examples'], 0)}: {significant(many['mean'])}"
    )


def softmax_numbers(f: Json) -> str:
    layer = f["softmax"]
    return "\n".join(
        f"{row['name']}: {significant(row['power'])} / {significant(layer['total'])} = {fixed(row['probability'], 3)}"
        for row in layer["rows"]
    )


# ---- Tasks -------------------------------------------------------------------------------------------------------------


def check_steep(_: Settings, f: Json, __: Runs) -> Verdict:
    one = f["squared"]
    away = abs(one["output"] - one["target"] - 2)
    said = f"Loss {fixed(one['loss'])}, slope {fixed(one['slope'])}."
    return Verdict(abs(one["loss"] - 4) < 0.05 and one["slope"] > 0, max(0.0, 1 - away / 5), said)


def check_edge(_: Settings, f: Json, __: Runs) -> Verdict:
    """The product of true probabilities, and not what float32 has made of it, is between the two."""
    many = f["likelihood"]
    solved = many["product"] > 0 and -45 <= many["power"] <= -40
    away = max(many["power"] + 40, -45 - many["power"], 0)
    return Verdict(solved, 1 / (1 + away / 10), f"With {fixed(many['examples'], 0)} examples it is {many['said']}.")


def check_survive(_: Settings, f: Json, __: Runs) -> Verdict:
    many = f["likelihood"]
    if many["examples"] < 1_000:
        return Verdict(False, 0.0, f"These are {fixed(many['examples'], 0)} examples.")
    return Verdict(
        many["power"] > -38, min(1.0, 38 / -many["power"]) if many["power"] else 1.0, f"It is {many['said']}."
    )


def check_shift(settings: Settings, f: Json, _: Runs) -> Verdict:
    """Both inputs at least 0.5 away from where they began, and the probabilities the same to three digits."""
    rows = f["softmax"]["rows"]
    if len(rows) > 2:
        return Verdict(False, 0.0, "With two classes, cat and dog.")
    moved = min(abs(settings.cat + 0.12), abs(settings.dog - 2)) >= 0.5
    cat, dog = (row["probability"] for row in rows)
    same = round(cat, 3) == 0.107 and round(dog, 3) == 0.893
    nearness = 0.5 * moved + 0.5 * max(0.0, 1 - abs((settings.dog - settings.cat) - 2.12) / 4) if moved else 0.0
    return Verdict(
        moved and same,
        nearness,
        f"{significant(settings.cat)} and {significant(settings.dog)}: {fixed(cat, 3)} and {fixed(dog, 3)}."
        if moved
        else "",
    )


TASKS = (
    Task(
        name="steep",
        question=r"Move $\hat{y}$ until the loss is 4, and grows when $\hat{y}$ grows.",
        hint="Two outputs cost 4. At one of them the slope is positive.",
        check=check_steep,
    ),
    Task(
        name="edge",
        question="Choose $N$ so that the product is between 10⁻⁴⁵ and 10⁻⁴⁰: all but gone.",
        hint="Watch where the line ends on the left.",
        check=check_edge,
    ),
    Task(
        name="survive",
        question="Keep the product of 1,000 examples above 10⁻³⁸.",
        hint="How sure does the network have to be of each?",
        check=check_survive,
    ),
    Task(
        name="shift",
        question="Give both cat and dog another input, and the same probabilities, 0.107 and 0.893.",
        hint="Look at the column after the largest is taken off. Move each input by 0.5 or more.",
        check=check_shift,
    ),
)

LAB = Lab(
    name="loss",
    number=6,
    title="Loss",
    claim="Loss function: measure how much output differs from what we want.",
    chapter="Loss",
    summary="One error squared, many probabilities multiplied, and why we add logarithms.",
    settings=Settings,
    parts=(
        Part(
            text=r"The example says $y$, the network answers $\hat{y}$. The <b>squared loss</b> is 0 where they agree. "
            r"The dashed line is its slope: how fast it grows with $\hat{y}$.",
            formula=Formula(r"\mathit{Loss}(\mathbf{w}) = (y - \hat{y})^2", squared_numbers),
            stress="squared",
        ),
        Part(
            text=r"A classifier answers with probabilities. We want weights $\mathbf{w}$ that make the truth of all $N$ "
            "examples likely: one long product.",
            formula=Formula(
                r"P_{\mathbf{w}}(y^{(1)}|x^{(1)}) \times P_{\mathbf{w}}(y^{(2)}|x^{(2)}) \times \cdots", product_numbers
            ),
            stress="likelihood",
        ),
        Part(
            text="Every factor makes it smaller, until float32 has no number for it and it is <b>exactly 0</b>. In log space "
            "the product becomes a sum, and a sum stays. Minimizing this <b>log loss</b> maximizes the product.",
            formula=Formula(
                r"\mathit{Loss}(\mathbf{w}) = -\sum_{j=1}^{N} \log P_{\mathbf{w}}(y^{(j)}|x^{(j)})", sum_numbers
            ),
            stress="likelihood",
        ),
        Part(
            text="<b>Softmax</b> makes probabilities of a layer’s inputs: none is negative, and they sum to 1. The largest "
            "input is taken off first. That changes no answer, and keeps every power within 1.",
            formula=Formula(
                r"\mathit{softmax}(\mathit{in}_k) = \frac{e^{\mathit{in}_k}}{\sum_{k'}^{d} e^{\mathit{in}_{k'}}}",
                softmax_numbers,
            ),
            stress="softmax",
        ),
    ),
    symbols={
        "k'": "Counts all output units.",
        r"\mathit{in}_{k'}": "The weighted input of each output unit in turn.",
        r"y^{(1)}": "What is true of the first example.",
        r"x^{(1)}": "The inputs of the first example.",
        r"y^{(2)}": "What is true of the second example.",
        r"x^{(2)}": "The inputs of the second example.",
        r"y^{(j)}": "What is true of example j.",
        r"x^{(j)}": "The inputs of example j.",
        r"\mathbf{w}": "The weights: all that training may change.",
        "y": "What the example says the output should be.",
        r"\hat{y}": "What the network answers.",
        "N": "The number of training examples.",
        r"P_{\mathbf{w}}": "The probability that the network with the weights w gives to what is true.",
        "j": "The number of an example, from 1 to N.",
        r"\mathit{in}_k": "The weighted input of unit k in the output layer, before softmax.",
        "k": "The number of an output unit, one for each class.",
        "d": "The number of output units.",
        "e": "2.718…, the base of the natural logarithm.",
    },
    tasks=TASKS,
    remember=(
        "Maximizing a product of probabilities is minimizing the sum of −log P; only the sum can be computed.",
        "Softmax turns any inputs into probabilities; only their differences count.",
    ),
    figures=figures,
    elements=("loss-curves",),
)
