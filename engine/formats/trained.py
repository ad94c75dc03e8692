"""What the formats share that take a trained network to other programs."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from engine.arrays import Shape
from engine.errors import FormatError
from engine.network import Network
from engine.specs import RunSpec
from engine.trainer import TrainerState

SIDE = 28
"""Height and width of the images in pixels, before the crop."""


def trained_network(state: TrainerState) -> Network:
    """The network of a state. FormatError when a parameter is not finite: a diverged network is not worth keeping."""
    network = Network(state.spec.network, input_shape(state.spec))
    network.parameters[:] = state.parameters
    if not np.isfinite(network.parameters).all():
        raise FormatError("This network has values that are no numbers any more. Go back to an earlier state to save it.")
    return network


def input_shape(spec: RunSpec) -> Shape:
    """(C, H, W) of what the network sees of an image."""
    return (1, spec.dataset.crop, spec.dataset.crop)


def preprocessing(spec: RunSpec) -> dict[str, Any]:
    """How an image becomes the network's input, as plain values."""
    crop = spec.dataset.crop
    return {
        "images": {"dtype": "uint8", "shape": [SIDE, SIDE], "background": 0, "ink": 255},
        "divide_by": 255,
        "centre_crop": crop,
        "layout": ["channel", "row", "column"],
    }


def margin(spec: RunSpec) -> int:
    """Rows above and columns left of the centre crop."""
    return (SIDE - spec.dataset.crop) // 2


def number(parameter: float) -> str:
    """A hyperparameter as a Python literal."""
    return repr(float(parameter))


def cannot(program: str, layer: str) -> NoReturn:
    """Raise the FormatError for a layer that has no counterpart elsewhere."""
    raise FormatError(f"{program} cannot hold this network: {layer} has no counterpart there. Save it in Nabla's own format.")
