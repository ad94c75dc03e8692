"""What the scripts of a trained network have in common: words, weights as text, and how they are asked for an accuracy."""

from __future__ import annotations

import base64
import textwrap

from engine.arrays import Array
from engine.formats.trained import SIDE, pictures
from engine.trainer import TrainerState

LINE = 100
"""Letters of encoded weights in a line."""

PREDICT = f'''def predict(images):
    """Probabilities (N, 10) of images, uint8 (N, {SIDE}, {SIDE}): 0 is background, 255 full ink."""
    if tuple(images.shape[1:]) != ({SIDE}, {SIDE}) or images.dtype != UINT8:
        raise ValueError("Images must be uint8 (N, {SIDE}, {SIDE}), 0 for the background and 255 for full ink.")
'''

MAIN = """
def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: python3 {sys.argv[0]} t10k-images-idx3-ubyte t10k-labels-idx1-ubyte")
    images, labels = read_idx(sys.argv[1]), read_idx(sys.argv[2])
    right = int((predict(images).argmax(1) == labels).sum())
    print(f"{NAME}: accuracy {right / len(labels):.4f} ({right:,} of {len(labels):,})")


if __name__ == "__main__":
    main()
"""


def heading(state: TrainerState, library: str) -> str:
    """The script's docstring. Nothing that a person typed stands in it, for it is code."""
    crop = pictures(state.spec).crop
    words = (
        f"Inside: the network with its {state.parameters.size:,} weights and biases as they were after {state.steps:,} "
        f"updates, and the preparation of images: bytes divided by 255, the centre {crop}×{crop} of {SIDE}×{SIDE}. Not "
        "inside: the optimizer's state and the training. Dropout is idle when predicting."
    )
    return "\n".join(
        [
            f'"""A network for handwritten digits, trained with Nabla, in {library}.',
            "",
            *textwrap.wrap(words, 116),
            "",
            "    python3 THIS_FILE t10k-images-idx3-ubyte t10k-labels-idx1-ubyte",
            "",
            "prints its accuracy on MNIST's test set; `predict(images)` gives probabilities.",
            '"""',
            "",
        ]
    )


def name(state: TrainerState) -> str:
    """The run's name as a Python literal: whatever a person typed stays a text."""
    return ascii(state.spec.name)


def encoded(parameters: Array) -> str:
    """A Python literal: float32, little-endian, as base64 in lines."""
    text = base64.b64encode(parameters.astype("<f4").tobytes()).decode()
    lines = [text[start : start + LINE] for start in range(0, len(text), LINE)]
    return "\n".join(['"""', *lines, '"""'])
