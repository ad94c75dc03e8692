"""Labelled images and the splits a run makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engine.arrays import Labels
from engine.errors import SpecError
from engine.specs import MnistSpec, Split

Images: TypeAlias = npt.NDArray[np.uint8]
"""Grey images, uint8 (N, height, width): 0 is background, 255 full ink."""


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """`images` uint8 (N, height, width), usually memory-mapped, with their `labels` int64 (N,).

    `weights` float32 (N,), at least 0: how much each example counts in a loss; None: all the same.
    """

    images: Images
    labels: Labels
    weights: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> LabelledImages:
        weights = None if self.weights is None else self.weights[part]
        return LabelledImages(self.images[part], self.labels[part], weights)


@dataclass(frozen=True, slots=True)
class ImageDataset:
    """A training and a test set of square grey images."""

    name: str
    classes: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages

    @property
    def side(self) -> int:
        """Height and width of the images in pixels."""
        return int(self.train.images.shape[1])

    def splits(self, spec: MnistSpec) -> Mapping[Split, LabelledImages]:
        """The first `train_size` training images, the last `validation_size` of which are kept for validation.

        The images are not shuffled before: everybody with the same sizes validates on the same ones. No pixel is copied.
        """
        available = min(spec.train_size, len(self.train))
        training = available - spec.validation_size
        if training < 1:
            raise SpecError(
                f"{spec.validation_size:,} of {available:,} training images are kept for validation, so none is left to "
                "learn from. Keep fewer for validation or use more training images.",
                field="/dataset/validation_size",
            )
        if spec.crop > self.side:
            raise SpecError(f"A crop of {spec.crop} pixels does not fit into images of {self.side}.", field="/dataset/crop")
        return MappingProxyType(
            {"train": self.train[:training], "validation": self.train[training:available], "test": self.test}
        )
