"""What every dataset is to a trainer, and datasets of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from engine.arrays import Array, Images, Labels, Truth
from engine.augmentation import centre_crop, random_crop
from engine.datasets.drawings import drawn_images
from engine.datasets.groups import Groups
from engine.errors import ShapeError, SpecError
from engine.specs import MnistSpec, Split

Chosen = npt.NDArray[np.int64]
"""Places of examples in their split, int64 (n,)."""


class Examples(Protocol):
    """The examples of one split, of whatever kind: inputs on demand, and what is to be learned of each."""

    @property
    def labels(self) -> Truth:
        """(N,)"""

    @property
    def weights(self) -> npt.NDArray[np.float32] | None:
        """(N,), at least 0: how much each example counts in a loss; None: all the same."""

    def __len__(self) -> int: ...

    def batch(self, chosen: Chosen, rng: np.random.Generator, out: Array | None = None) -> Array:
        """The network's inputs (*input_shape, n) for training, `out` if it is given; `rng` draws what varies."""

    def look(self, chosen: Chosen | slice) -> Array:
        """The network's inputs (*input_shape, n) as they are judged: always the same."""


class Order(Protocol):
    """In which order a pass takes the examples: all their places, or those of a part of the pass."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice) -> Chosen: ...


@runtime_checkable
class Ordered(Protocol):
    """Examples that are too many to be shuffled: they say themselves in which random order a pass takes them."""

    def order(self, rng: np.random.Generator) -> Order: ...


def shuffled(examples: Examples, rng: np.random.Generator) -> Order:
    """A new order for one pass over them."""
    return examples.order(rng) if isinstance(examples, Ordered) else rng.permutation(len(examples))


class Dataset(Protocol):
    """Examples for training and for judging, as a spec wants them."""

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; none where a number is learned."""

    @property
    def target_scale(self) -> tuple[float, float]:
        """(mean, spread) that were taken off the numbers to be learned: `own unit = mean + spread · target`."""

    def splits(self, spec: Any) -> Mapping[Split, Examples]:
        """`spec` is the dataset's own. SpecError when it leaves nothing to learn from."""

    def read_inputs(self, spec: Any, values: npt.ArrayLike) -> Array:
        """Examples from outside, in the dataset's own shape, as network inputs (*input_shape, N). ShapeError."""


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """`images` uint8 (N, height, width), usually memory-mapped, with their `labels` int64 (N,).

    `weights` float32 (N,), at least 0: how much each example counts in a loss; None: all the same.
    `crop` is the side of the window through which the network sees each image; None: the whole image.
    """

    images: Images
    labels: Labels
    weights: npt.NDArray[np.float32] | None = None
    crop: int | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> LabelledImages:
        weights = None if self.weights is None else self.weights[part]
        return LabelledImages(self.images[part], self.labels[part], weights, self.crop)

    def chosen(self, places: Chosen) -> LabelledImages:
        """A copy of those at `places`, in that order."""
        weights = None if self.weights is None else self.weights[places]
        return LabelledImages(self.images[places], self.labels[places], weights, self.crop)

    def followed_by(self, others: tuple[Images, Labels]) -> LabelledImages:
        """A copy with `others` behind, which count as much as images without weights do."""
        images, labels = others
        weights = None if self.weights is None else np.append(self.weights, np.ones(len(labels), np.float32))
        return LabelledImages(
            np.concatenate([self.images, images]), np.concatenate([self.labels, labels]), weights, self.crop
        )

    @property
    def side(self) -> int:
        """Of the window, in pixels."""
        return self.crop or int(self.images.shape[1])

    def batch(self, chosen: Chosen, rng: np.random.Generator, out: Array | None = None) -> Array:
        """Each image through its own random window."""
        return random_crop(self.images[chosen], self.side, rng, out)

    def look(self, chosen: Chosen | slice) -> Array:
        """The middle of each image."""
        return centre_crop(self.images[chosen], self.side)


@dataclass(frozen=True, slots=True)
class ImageDataset:
    """A training and a test set of square grey images. `groups` are those of the training images, found when asked for."""

    name: str
    classes: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages
    groups: Groups = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", Groups(self.train.images, self.train.labels))

    @property
    def side(self) -> int:
        """Height and width of the images in pixels."""
        return int(self.train.images.shape[1])

    @property
    def target_scale(self) -> tuple[float, float]:
        return 0.0, 1.0

    def splits(self, spec: MnistSpec) -> Mapping[Split, LabelledImages]:
        """The first `train_size` training images, the last `validation_size` of which are kept for validation.

        The images are not shuffled before: everybody with the same sizes validates on the same ones. No pixel is copied.
        Those of a group are: the first `train_size` of it, dealt digit by digit. Drawings stand behind what is left to
        train on.
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
            raise SpecError(
                f"A crop of {spec.crop} pixels does not fit into images of {self.side}.", field="/dataset/crop"
            )
        known, test = replace(self.train, crop=spec.crop), replace(self.test, crop=spec.crop)
        if spec.group is not None:
            known = known.chosen(self.groups.members(spec.group, available))
        train = known[:training]
        if spec.drawings is not None:
            train = train.followed_by(drawn_images(spec.drawings.values))
        return MappingProxyType({"train": train, "validation": known[training:available], "test": test})

    def read_inputs(self, spec: MnistSpec, values: npt.ArrayLike) -> Array:
        """Images (N, side, side), ink in [0, 1], of which the middle is looked at, or (N, crop, crop) as the network sees them."""
        crop, side = spec.crop, self.side
        try:
            inputs = np.asarray(values, np.float32)
        except (TypeError, ValueError):
            raise ShapeError("Images are a list of square lists of rows of numbers.") from None
        if inputs.ndim != 3 or inputs.shape[1:] not in ((crop, crop), (side, side)):
            raise ShapeError(
                f"Images must have the shape (N, {side}, {side}) or (N, {crop}, {crop}), not {inputs.shape}."
            )
        if inputs.size and not (inputs.min() >= 0 and inputs.max() <= 1):  # written so that NaN fails, too
            raise ShapeError("The ink of an image goes from 0 (background) to 1.")
        margin = (inputs.shape[1] - crop) // 2
        middle = inputs[:, margin : margin + crop, margin : margin + crop]
        return np.ascontiguousarray(middle.transpose(1, 2, 0))[None]
