"""What the scripts of a trained network have in common: words, weights as text, and how they are asked for an accuracy."""

from __future__ import annotations

import base64
import textwrap
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from engine.arrays import Array
from engine.datasets.points import PointDataset
from engine.formats.trained import SIDE, pictures, points_of
from engine.specs import Feature
from engine.trainer import TrainerState

LINE = 100
"""Letters of encoded weights in a line."""

END = """

if __name__ == "__main__":
    main()
"""


class Script(ABC):
    """The parts of a script that depend on what its network reads, pictures or points; `given` is the word for these."""

    given: str
    imports: str
    """Modules beside base64 that `main` needs."""

    def __init__(self, state: TrainerState) -> None:
        self.state = state

    def heading(self, library: str) -> str:
        """The script's docstring. Nothing that a person typed stands in it, for it is code."""
        words = (
            f"Inside: the network with its {self.state.parameters.size:,} weights and biases as they were after "
            f"{self.state.steps:,} updates, and {self._preparation()}. Not inside: the optimizer's state and the training. "
            "Dropout is idle when predicting."
        )
        return "\n".join([f'"""{self._title()}, trained with Nabla, in {library}.', "", *textwrap.wrap(words, 116), "", *self._usage(), '"""', ""])

    @abstractmethod
    def _title(self) -> str: ...

    @abstractmethod
    def _preparation(self) -> str: ...

    @abstractmethod
    def _usage(self) -> list[str]: ...

    @abstractmethod
    def predict(self, as_tensor: str = "") -> str:
        """The head of the function `predict`: its docstring, and the refusal of what does not fit."""

    @abstractmethod
    def main(self) -> str:
        """The function `main` and its call."""


class PictureScript(Script):
    """For a network that reads digits: it is asked with MNIST's files."""

    given = "images"
    imports = "import struct\nimport sys\nfrom pathlib import Path\n"

    def _title(self) -> str:
        return "A network for handwritten digits"

    def _preparation(self) -> str:
        crop = pictures(self.state.spec).crop
        return f"the preparation of images: bytes divided by 255, the centre {crop}×{crop} of {SIDE}×{SIDE}"

    def _usage(self) -> list[str]:
        return [
            "    python3 THIS_FILE t10k-images-idx3-ubyte t10k-labels-idx1-ubyte",
            "",
            "prints its accuracy on MNIST's test set; `predict(images)` gives probabilities.",
        ]

    def predict(self, as_tensor: str = "") -> str:
        return f'''def predict(images):
    """Probabilities (N, 10) of images, uint8 (N, {SIDE}, {SIDE}): 0 is background, 255 full ink."""
{as_tensor}    if tuple(images.shape[1:]) != ({SIDE}, {SIDE}) or images.dtype != UINT8:
        raise ValueError("Images must be uint8 (N, {SIDE}, {SIDE}), 0 for the background and 255 for full ink.")
'''

    def main(self) -> str:
        return (
            """
def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: python3 {sys.argv[0]} t10k-images-idx3-ubyte t10k-labels-idx1-ubyte")
    images, labels = read_idx(sys.argv[1]), read_idx(sys.argv[2])
    right = int((predict(images).argmax(1) == labels).sum())
    print(f"{NAME}: accuracy {right / len(labels):.4f} ({right:,} of {len(labels):,})")
"""
            + END
        )


class PointScript(Script):
    """For a network that reads points: the ones it is tested with stand in the script."""

    given = "points"
    imports = ""

    def __init__(self, state: TrainerState, dataset: PointDataset) -> None:
        super().__init__(state)
        self.dataset = dataset

    @property
    def names(self) -> str:
        """Of the columns, as Python literals; a person typed them."""
        return ", ".join(map(ascii, self.dataset.columns))

    @property
    def split(self) -> str:
        """Which points stand in the script: all, where none are kept for testing."""
        return "training" if self.dataset.train.all() else "test"

    def _title(self) -> str:
        return "A network for points in the plane" if len(self.dataset.columns) == 2 else "A network for rows of numbers"

    def _preparation(self) -> str:
        return "the preparation of points: each column less its centre, in spreads, and what is made of two columns"

    def _usage(self) -> list[str]:
        answer = "probabilities" if self.dataset.classes else "the number"
        return [
            "    python3 THIS_FILE",
            "",
            f"prints how well it does on its {self.split} points; `predict(points)` gives {answer}.",
        ]

    def constants(self) -> str:
        """What the preparation needs, and the points to be asked, as assignments that plain Python understands."""
        mean, spread = self.dataset.target_scale
        lines = [
            f"COLUMNS = [{self.names}]",
            f"CENTRE, SPREAD = {self.dataset.centre.tolist()}, {self.dataset.spread.tolist()}",
        ]
        if self.dataset.classes:
            lines.append(f"CLASSES = [{', '.join(map(ascii, self.dataset.classes))}]")
        else:
            lines.append(f"TARGET_MEAN, TARGET_SPREAD = {mean!r}, {spread!r}")
        return "\n".join(lines) + "\n"

    def asked(self) -> npt.NDArray[np.float32]:
        """The points that `main` asks, with class or number last, (n, C + 1)."""
        chosen = self.dataset.train if self.split == "training" else ~self.dataset.train
        return np.column_stack([self.dataset.positions[chosen], self.dataset.labels[chosen]]).astype(np.float32)

    def predict(self, as_tensor: str = "") -> str:
        width = len(self.dataset.columns)
        answer = f"Probabilities (N, {len(self.dataset.classes)})" if self.dataset.classes else "The number (N,)"
        return f'''def predict(points):
    """{answer} of points (N, {width}), one column for each of COLUMNS."""
{as_tensor}    if tuple(points.shape[1:]) != ({width},):
        raise ValueError("Points must be (N, {width}): one column for each of COLUMNS.")
'''

    def main(self) -> str:
        if self.dataset.classes:
            body = f"""    right = int((predict(points).argmax(1) == labels).sum())
    print(f"{{NAME}}: accuracy {{right / len(labels):.4f}} ({{right:,}} of {{len(labels):,}} {self.split} points)")
"""
        else:
            body = f"""    errors = predict(points) - labels
    spread = ((labels - labels.mean()) ** 2).sum()
    print(f"{{NAME}}: R² {{1 - float((errors ** 2).sum() / spread):.4f}} over {{len(labels):,}} {self.split} points")
"""
        return "\ndef main():\n    points, labels = TESTED[:, :-1], TESTED[:, -1]\n" + body + END


def script_of(state: TrainerState) -> PictureScript | PointScript:
    """The script for what this network reads."""
    points = points_of("A script", state.spec)
    return PictureScript(state) if points is None else PointScript(state, points)


def features(dataset: PointDataset, library: str) -> str:
    """What the network is told of columns x and y, as expressions with functions of `library`."""
    return ", ".join(_FEATURES[feature].replace("np.", f"{library}.") for feature in dataset.features)


_FEATURES: dict[Feature, str] = {
    "x": "x",
    "y": "y",
    "x_squared": "x * x",
    "y_squared": "y * y",
    "xy": "x * y",
    "sin_x": "np.sin(x)",
    "sin_y": "np.sin(y)",
    "cos_x": "np.cos(x)",
    "cos_y": "np.cos(y)",
}


def name(state: TrainerState) -> str:
    """The run's name as a Python literal: whatever a person typed stays a text."""
    return ascii(state.spec.name)


def encoded(numbers: Array) -> str:
    """A Python literal: float32, little-endian, as base64 in lines."""
    text = base64.b64encode(numbers.astype("<f4").tobytes()).decode()
    lines = [text[start : start + LINE] for start in range(0, len(text), LINE)]
    return "\n".join(['"""', *lines, '"""'])
