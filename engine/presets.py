"""Runs to begin with, each made to show something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engine.specs import (
    SGD,
    Adam,
    Cosine,
    CurveSpec,
    Dense,
    LayerSpec,
    LossName,
    MnistSpec,
    MomentumSGD,
    PlaneSpec,
    PointsSpec,
    ReLU,
    RunSpec,
    Sigmoid,
    StopSpec,
    Tanh,
)


@dataclass(frozen=True, slots=True)
class Preset:
    """A run to begin with: its title and one sentence on what it shows."""

    name: str
    title: str
    description: str
    spec: RunSpec


def _points(
    name: str,
    dataset: PointsSpec,
    hidden: tuple[LayerSpec, ...],
    *,
    rate: float,
    steps: int,
    l2: float = 0.0,
    loss: LossName = "softmax_cross_entropy",
) -> RunSpec:
    """Adam with a learning rate that falls to nothing until the run ends."""
    return RunSpec(
        name=name,
        dataset=dataset,
        network=(*hidden, Dense(units=max(1, len(dataset.classes)))),
        loss=loss,
        optimizer=Adam(learning_rate=rate),
        schedule=Cosine(steps=steps),
        batch_size=10,
        l2=l2,
        stop=StopSpec(steps=steps),
    )


_SPIRALING = (Dense(units=8), Tanh(), Dense(units=8), Tanh())

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
    Preset(
        name="circle",
        title="A disc and the ring around it",
        description="No straight line parts them, so a network without hidden units cannot: four of them lay as many "
        "lines around the disc.",
        spec=_points(
            "circle",
            PlaneSpec(kind="circle"),
            (Dense(units=4), Tanh(), Dense(units=2), Tanh()),
            rate=0.03,
            steps=2_000,
        ),
    ),
    Preset(
        name="xor",
        title="Opposite corners",
        description="The famous set that one layer cannot learn. Eight ReLUs fold the plane until it can be cut.",
        spec=_points("xor", PlaneSpec(kind="xor"), (Dense(units=8), ReLU()), rate=0.03, steps=3_000),
    ),
    Preset(
        name="gaussians",
        title="Two clouds",
        description="Almost any line between them will do: learned after a few dozen updates.",
        spec=_points("gaussians", PlaneSpec(kind="gaussians"), (Dense(units=4), Tanh()), rate=0.03, steps=1_000),
    ),
    Preset(
        name="spiral",
        title="Two arms of a spiral",
        description="The hardest of the classic sets. Told sin x and sin y beside x and y, sixteen hidden units follow both "
        "arms; a learning rate that falls to nothing settles them.",
        spec=_points(
            "spiral",
            PlaneSpec(kind="spiral", features=("x", "y", "sin_x", "sin_y")),
            _SPIRALING,
            rate=0.02,
            steps=6_000,
            l2=0.0003,
        ),
    ),
    Preset(
        name="spiral-three",
        title="Three arms of a spiral",
        description="The same network with one output more: a softmax over three classes.",
        spec=_points(
            "spiral-three",
            PlaneSpec(kind="spiral", class_count=3, features=("x", "y", "sin_x", "sin_y")),
            _SPIRALING,
            rate=0.02,
            steps=6_000,
            l2=0.0003,
        ),
    ),
    Preset(
        name="moons",
        title="Two moons",
        description="Each has one end inside the other. One hidden layer bends the border between them.",
        spec=_points("moons", PlaneSpec(kind="moons"), (Dense(units=8), Tanh()), rate=0.03, steps=2_000),
    ),
    Preset(
        name="plane",
        title="A tilted plane",
        description="A number is learned at each place, and it is a tenth of x + y: two weights and a bias are all it takes.",
        spec=RunSpec(
            name="plane",
            dataset=PlaneSpec(kind="plane"),
            network=(Dense(units=1),),
            loss="mean_squared_error",
            optimizer=SGD(learning_rate=0.003),
            batch_size=10,
            l2=0.0,
            stop=StopSpec(steps=1_000),
        ),
    ),
    Preset(
        name="bumps",
        title="Six bumps",
        description="Three up and three down, as cones with sharp tips, which a smooth network can only round off.",
        spec=_points(
            "bumps",
            PlaneSpec(kind="bumps", features=("x", "y", "sin_x", "sin_y", "cos_x", "cos_y")),
            (Dense(units=16), Tanh(), Dense(units=16), Tanh()),
            rate=0.02,
            steps=8_000,
            loss="mean_squared_error",
        ),
    ),
    Preset(
        name="x-sin-x",
        title="x · sin x through twenty points",
        description="The curve of convnetjs's regression page, and its network: twenty ReLUs, then twenty sigmoids.",
        spec=_points(
            "x-sin-x",
            CurveSpec(kind="x_sin_x"),
            (Dense(units=20), ReLU(), Dense(units=20), Sigmoid()),
            rate=0.03,
            steps=3_000,
            loss="mean_squared_error",
        ),
    ),
    Preset(
        name="line",
        title="A straight line through noisy points",
        description="One weight and one bias: what gradient descent finds is what least squares gives at once.",
        spec=RunSpec(
            name="line",
            dataset=CurveSpec(kind="line", noise=0.05),
            network=(Dense(units=1),),
            loss="mean_squared_error",
            optimizer=SGD(learning_rate=0.002),
            batch_size=10,
            l2=0.0,
            stop=StopSpec(steps=1_000),
        ),
    ),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _ALL})
