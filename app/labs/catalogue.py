"""All labs, in the lecture's own order, and the chapters that they stand in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from app.labs import (
    activation_functions,
    backpropagation,
    convolution,
    dense_and_convolutional,
    gradient,
    loss,
    minibatches,
    outliers,
    overfitting,
    representative_data,
    unbalanced_data,
    weights,
)
from app.labs.lesson import Lab

COMMON_SYMBOLS = {
    r"\mathit{Loss}": "How wrong the answers are, as one number; training makes it small.",
    r"\mathit{softmax}": "What makes probabilities of the inputs of a whole layer.",
}
"""Words of the lecture that mean the same in every lab."""


def with_common_symbols(lab: Lab) -> Lab:
    """The lab, which explains the common symbols too where it uses them."""
    written = "".join(part.text + (part.formula.latex if part.formula else "") for part in lab.parts)
    common = {symbol: meaning for symbol, meaning in COMMON_SYMBOLS.items() if symbol in written}
    return replace(lab, symbols={**lab.symbols, **common})


ALL: tuple[Lab, ...] = tuple(
    with_common_symbols(lab)
    for lab in sorted(
        (
            activation_functions.LAB,
            backpropagation.LAB,
            convolution.LAB,
            dense_and_convolutional.LAB,
            gradient.LAB,
            loss.LAB,
            minibatches.LAB,
            outliers.LAB,
            overfitting.LAB,
            representative_data.LAB,
            unbalanced_data.LAB,
            weights.LAB,
        ),
        key=lambda lab: lab.number,
    )
)
LABS: Mapping[str, Lab] = MappingProxyType({lab.name: lab for lab in ALL})


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter of the lecture with one sentence about it."""

    title: str
    sentence: str


CHAPTERS = (
    Chapter(
        "Training and its screw-ups",
        "Weights decide the output. Change weights to reduce the error, on examples that deserve it.",
    ),
    Chapter("Loss", "We train by minimizing loss, not by maximizing accuracy."),
    Chapter("Gradient", "Which way is down, for every weight at once."),
    Chapter("Activation functions", "What a unit does with its input, and where it stops learning."),
    Chapter("Structure", "Fiddling with the connections to learn with fewer weights."),
)


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop of the map that is a page of its own and no lab."""

    number: int | None
    title: str
    summary: str
    address: str
    miniature: str


STOPS = (
    Stop(13, "Kernels at work", "Eight 5×5 filters and what they see in a digit, live.", "/", "kernels"),
    Stop(14, "The demo itself", "The convnetjs MNIST demo, everything it shows, and more.", "/", "demo"),
)
PLANE = Stop(None, "The plane", "Any points, any network: watch the boundary bend.", "/plane", "plane")
LAST = 14
