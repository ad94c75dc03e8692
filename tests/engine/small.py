"""A dataset and a network small enough that a test can train them in milliseconds."""

from __future__ import annotations

import numpy as np

from engine.datasets.base import ImageDataset, LabelledImages
from engine.specs import Conv2D, Dense, Dropout, LayerSpec, MaxPool2D, MnistSpec, ReLU, RunSpec

NETWORK: tuple[LayerSpec, ...] = (
    Conv2D(filters=3, kernel_size=3),
    ReLU(),
    MaxPool2D(),
    Dropout(rate=0.3),
    Dense(units=10),
)


def dataset(train: int = 70, test: int = 40) -> ImageDataset:
    """Images of noise with a bright bar, whose place tells the class."""
    rng = np.random.default_rng(7)

    def images(count: int) -> LabelledImages:
        labels = np.arange(count, dtype=np.int64) % 10
        pixels = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
        for image, label in zip(pixels, labels, strict=True):
            image[4 + 2 * label : 6 + 2 * label, 5:23] = 255
        return LabelledImages(pixels, labels)

    return ImageDataset("bars", tuple("0123456789"), images(train), images(test))


def spec(**changes: object) -> RunSpec:
    """A run on `dataset`: 60 training examples, 10 for validation, 26×26 crops, batches of 8."""
    values: dict[str, object] = {
        "dataset": MnistSpec(train_size=70, validation_size=10, crop=26),
        "network": NETWORK,
        "batch_size": 8,
    }
    return RunSpec(**{**values, **changes})  # type: ignore[arg-type]
