"""What a network that has seen one group of digits makes of that group, of everyone, and of one's own handwriting.

The lecture: "99.99 % on training set" says nothing about "does it work in my application?"; who else does it have to serve
("include other people?")? Everyone is the 10,000 test digits; a map of them, five parts of thickness by five of slant,
shows where the network fails.
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from functools import cache
from typing import Any

import numpy as np

from engine.arrays import Labels
from engine.datasets.base import ImageDataset
from engine.datasets.drawings import drawn_images
from engine.datasets.groups import PARTS, Groups
from engine.datasets.mnist import load_mnist
from engine.evaluation import Evaluation, EvaluationResult
from engine.specs import GroupSpec, Split
from engine.trainer import Trainer

SIDE = 5
"""Parts of the map in each direction, two tenths each."""

TENTHS = PARTS // SIDE


@cache
def mnist() -> ImageDataset:
    return load_mnist()


@cache
def everyone() -> Groups:
    """The test digits, ranked among themselves as the training digits are."""
    test = mnist().test
    return Groups(test.images, test.labels)


def judge(trainer: Trainer, drawings: str) -> Generator[None, None, dict[str, Any]]:
    """How many are right on each split and, where there are any, on one's own `drawings` (packed as in a spec).

    On "train" drawings that are trained on do not count. `map` are shares of everyone, rows from the thinnest to the
    thickest, columns from what leans to the left to what leans to the right: (5, 5). `read` says which digit each drawing
    is read as and how sure the network is.
    """
    splits: tuple[Split, ...] = ("train", "validation", "test")
    answer: dict[str, Any] = {"drawings": None, "read": []}
    taught = getattr(trainer.spec.dataset, "drawings", None)
    for split in splits:
        evaluation = Evaluation(trainer, split)
        while not evaluation.done:
            evaluation.advance()
            yield
        examples = len(trainer.splits[split]) - (taught.count if split == "train" and taught else 0)
        right = _right(evaluation.result(), trainer.splits[split].labels)[:examples]
        answer[split] = {"right": int(right.sum()), "examples": examples}
    answer["map"] = _mapped(right)
    if drawings:
        images, digits = drawn_images(drawings)
        probabilities = trainer.predict(images / np.float32(255))
        read = probabilities.argmax(axis=1)
        answer["drawings"] = {"right": int((read == digits).sum()), "examples": len(digits)}
        answer["read"] = [[int(digit), float(row[digit])] for digit, row in zip(read, probabilities, strict=True)]
    return answer


def _right(result: EvaluationResult, labels: Any) -> Labels:
    return np.asarray(result.predictions == labels, np.int64)


def _mapped(right: Labels) -> list[list[float]]:
    """Share of the test digits that are right, by their parts of thickness and slant."""
    thick, leaning = (everyone().tenths // TENTHS).T
    counts = np.zeros((2, SIDE, SIDE))
    np.add.at(counts[0], (thick, leaning), right)
    np.add.at(counts[1], (thick, leaning), 1)
    shares: list[list[float]] = np.round(counts[0] / counts[1], 4).tolist()
    return shares


@cache
def pictures(digit: int) -> list[list[str]]:
    """One training image of the digit for each place of the map, 28×28 bytes in base64 each, as (5, 5) texts."""
    dataset = mnist()

    def picture(thick: int, leaning: int) -> str:
        """The first of the lower tenths of its place."""
        group = GroupSpec(
            digits=(digit,),
            thickness=(TENTHS * thick, TENTHS * thick + 1),
            slant=(TENTHS * leaning, TENTHS * leaning + 1),
        )
        (place,) = dataset.groups.members(group, 1)
        return base64.b64encode(dataset.train.images[place].tobytes()).decode()

    return [[picture(thick, leaning) for leaning in range(SIDE)] for thick in range(SIDE)]


def drawn(drawings: str) -> list[dict[str, Any]]:
    """The drawings of a packed text, to be shown: which digit each is said to be, and its 784 bytes in base64."""
    if not drawings:
        return []
    images, digits = drawn_images(drawings)
    return [
        {"label": int(digit), "image": base64.b64encode(image.tobytes()).decode()}
        for image, digit in zip(images, digits, strict=True)
    ]


def measured(digit: int, thick: int, leaning: int) -> dict[str, float]:
    """Thickness, slant and the moments that it is made of, of a picture of the map; as `engine.datasets.groups` has them."""
    image = np.frombuffer(base64.b64decode(pictures(digit)[thick][leaning]), np.uint8).reshape(28, 28) / 255
    ink = float(image.sum())
    y, x = np.mgrid[:28, :28]
    middle_x, middle_y = float((image * x).sum()) / ink, float((image * y).sum()) / ink
    lean = float((image * (x - middle_x) * (y - middle_y)).sum()) / ink
    height = float((image * (y - middle_y) ** 2).sum()) / ink
    return {"ink": ink, "thickness": ink / image.size, "lean": lean, "height": height, "slant": -lean / height}
