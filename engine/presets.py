"""Runs to begin with, each made to show something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engine.specs import Adam, Cosine, Dense, MnistSpec, MomentumSGD, ReLU, RunSpec, StopSpec


@dataclass(frozen=True, slots=True)
class Preset:
    """A run to begin with: its title and one sentence on what it shows."""

    name: str
    title: str
    description: str
    spec: RunSpec


_ALL = (
    Preset(
        name="digits",
        title="Handwritten digits",
        description="The convolutional network of convnetjs's MNIST page: 5,994 parameters that read 98 of 100 digits "
        "after one look at each.",
        spec=RunSpec(name="digits", stop=StopSpec(epochs=20)),
    ),
    Preset(
        name="digits-sgd",
        title="Digits with plain momentum",
        description="The same network, trained by stochastic gradient descent with momentum: one learning rate for all "
        "weights, and yours to choose.",
        spec=RunSpec(name="digits-sgd", optimizer=MomentumSGD(learning_rate=0.01, momentum=0.9), stop=StopSpec(epochs=20)),
    ),
    Preset(
        name="digits-quick",
        title="98 % in half a pass",
        description="The same network in a hurry: the learning rate grows for 150 updates, higher than it could stay, and "
        "then falls along a cosine. 98 of 100 test digits are right after 28,000 examples, a few seconds.",
        spec=RunSpec(
            name="digits-quick",
            optimizer=Adam(learning_rate=0.012),
            schedule=Cosine(warm_up=150, steps=1_250, final=0.02),
            stop=StopSpec(steps=1_400),
        ),
    ),
    Preset(
        name="digits-dense",
        title="Digits without convolutions",
        description="Two dense layers with ten times as many parameters: every pixel has weights of its own, so what was "
        "learned in one place is not known in another.",
        spec=RunSpec(
            name="digits-dense",
            network=(Dense(units=100), ReLU(), Dense(units=10)),
            optimizer=Adam(learning_rate=0.001),
            stop=StopSpec(epochs=20),
        ),
    ),
    Preset(
        name="digits-small-data",
        title="Only 500 digits to learn from",
        description="Whole images, no random crops and no weight decay: the training accuracy reaches 100 %, the "
        "validation accuracy does not. That gap is overfitting.",
        spec=RunSpec(
            name="digits-small-data",
            dataset=MnistSpec(train_size=1_500, validation_size=1_000, crop=28, test_crops=1),
            l2=0.0,
            network=(Dense(units=100), ReLU(), Dense(units=10)),
            optimizer=Adam(learning_rate=0.001),
            stop=StopSpec(epochs=100),
        ),
    ),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _ALL})
