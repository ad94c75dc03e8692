"""The lecture's network of five units as settings of a lab: inputs 1 and 2, hidden units 3 and 4, output 5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from annotated_types import Interval, doc

from engine.lessons.backpropagation import WEIGHTS

REACH = 12.0
"""How far from zero a weight can be set by hand."""

Weight: TypeAlias = Annotated[
    float, Interval(ge=-REACH, le=REACH), doc("A weight, from −12 to 12. Unit 0 is the bias.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """`w13` goes from unit 1 to unit 3; `w03` is the bias of unit 3."""

    w13: Weight = 0.5
    w23: Weight = -0.4
    w03: Weight = 0.1
    w14: Weight = 0.3
    w24: Weight = 0.8
    w04: Weight = -0.2
    w35: Weight = 0.6
    w45: Weight = 0.9
    w05: Weight = -0.8


def in_order(settings: Weights) -> tuple[float, ...]:
    """As `Network.parameters` has them."""
    values: dict[str, Any] = {name: getattr(settings, name) for name in WEIGHTS}
    return tuple(values.values())


def subscripted(weight: str) -> str:
    """`w13` as it stands in a line of text: w₁₃."""
    return weight[0] + weight[1:].translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


SYMBOLS = {
    r"\hat{y}": "What the network answers: the output of unit 5.",
    "y": "What the network should answer.",
    "x_1": "The first input: the output of unit 1.",
    "x_2": "The second input: the output of unit 2.",
    "a_3": "The output of unit 3.",
    "a_4": "The output of unit 4.",
    "w_{1,3}": "The weight from unit 1 to unit 3.",
    "w_{2,3}": "The weight from unit 2 to unit 3.",
    "w_{0,3}": "The bias of unit 3: what it takes in without any input.",
    "w_{1,4}": "The weight from unit 1 to unit 4.",
    "w_{2,4}": "The weight from unit 2 to unit 4.",
    "w_{0,4}": "The bias of unit 4.",
    "w_{3,5}": "The weight from unit 3 to unit 5.",
    "w_{4,5}": "The weight from unit 4 to unit 5.",
    "w_{0,5}": "The bias of unit 5.",
    "g_3": "The activation function of unit 3.",
    "g_4": "The activation function of unit 4.",
    "g_5": "The activation function of unit 5.",
}
