"""The networks that are measured, by name, each with the shape of its inputs."""

from __future__ import annotations

from engine.arrays import Shape
from engine.specs import Conv1D, Conv2D, Dense, LayerSpec, MaxPool1D, MaxPool2D, ReLU, demo_network

Description = tuple[Shape, tuple[LayerSpec, ...]]


def two_convolutions(kernel: int) -> tuple[LayerSpec, ...]:
    """convnetjs's MNIST network with another kernel."""
    return (
        Conv2D(filters=8, kernel_size=kernel, padding=kernel // 2),
        ReLU(),
        MaxPool2D(),
        Conv2D(filters=16, kernel_size=kernel, padding=kernel // 2),
        ReLU(),
        MaxPool2D(pool_size=3, stride=3),
        Dense(),
    )


NETWORKS: dict[str, Description] = {
    "digits": ((1, 24, 24), demo_network()),
    "kernels of 3": ((1, 24, 24), two_convolutions(3)),
    "kernels of 7": ((1, 24, 24), two_convolutions(7)),
    "stride 2": (
        (1, 24, 24),
        (
            Conv2D(filters=8, stride=2, padding=2),
            ReLU(),
            Conv2D(filters=16, stride=2, padding=2),
            ReLU(),
            Dense(),
        ),
    ),
    "three convolutions": (
        (1, 24, 24),
        (
            Conv2D(filters=8, kernel_size=3, padding=1),
            ReLU(),
            MaxPool2D(),
            Conv2D(filters=16, kernel_size=3, padding=1),
            ReLU(),
            MaxPool2D(),
            Conv2D(filters=32, kernel_size=3, padding=1),
            ReLU(),
            Dense(),
        ),
    ),
    "dense 784-128-10": ((1, 28, 28), (Dense(units=128), ReLU(), Dense())),
    "sequences of 128": (
        (9, 1, 128),
        (
            Conv1D(filters=16, kernel_size=5, padding=2),
            ReLU(),
            MaxPool1D(),
            Conv1D(filters=32, kernel_size=5, padding=2),
            ReLU(),
            MaxPool1D(),
            Dense(),
        ),
    ),
}
