"""What the formats share that take a trained network to other programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from engine.datasets.points import PointDataset, points_dataset
from engine.errors import FormatError
from engine.network import Network
from engine.specs import TRANSACTION_COLUMNS, MnistSpec, RunSpec, TransactionsSpec
from engine.trainer import TrainerState

SIDE = 28
"""Height and width of the images in pixels, before the crop."""


def trained_network(state: TrainerState) -> Network:
    """The network of a state. FormatError when a parameter is not finite: a diverged network is not worth keeping."""
    network = Network(state.spec.network, state.spec.dataset.input_shape)
    network.parameters[:] = state.parameters
    if not np.isfinite(network.parameters).all():
        raise FormatError(
            "This network has values that are no numbers any more. Go back to an earlier state to save it."
        )
    return network


def pictures(spec: RunSpec) -> MnistSpec:
    """The images that a run learns from, where it does not learn from points."""
    assert isinstance(spec.dataset, MnistSpec)
    return spec.dataset


def preprocessing(spec: RunSpec) -> dict[str, Any]:
    """How an image, a transaction or a point becomes the network's input, as plain values."""
    if isinstance(spec.dataset, TransactionsSpec):
        return {"columns": list(TRANSACTION_COLUMNS)}
    if not isinstance(spec.dataset, MnistSpec):
        return _preparation(points_dataset(spec.dataset))
    crop = pictures(spec).crop
    return {
        "images": {"dtype": "uint8", "shape": [SIDE, SIDE], "background": 0, "ink": 255},
        "divide_by": 255,
        "centre_crop": crop,
        "layout": ["channel", "row", "column"],
    }


def _preparation(dataset: PointDataset) -> dict[str, Any]:
    """Rounded, for the mean of a table's column may differ in its last bits from machine to machine."""

    def rounded(values: Iterable[float]) -> list[float]:
        return [float(f"{value:.5g}") for value in values]

    return {
        "columns": list(dataset.columns),
        "subtract": rounded(dataset.centre.tolist()),
        "divide_by": rounded(dataset.spread.tolist()),
        "features": list(dataset.features),
        "target": dict(zip(("mean", "spread"), rounded(dataset.target_scale), strict=True)),
    }


def points_of(program: str, spec: RunSpec) -> PointDataset | None:
    """The points that a run learns from, None for images; FormatError for what cannot be put into another program's file."""
    if isinstance(spec.dataset, TransactionsSpec):
        raise FormatError(
            f"{program} holds the preparation of images and points, and none of transactions. Save the network in Nabla's "
            "own format, or as safetensors."
        )
    return None if isinstance(spec.dataset, MnistSpec) else points_dataset(spec.dataset)


def margin(spec: RunSpec) -> int:
    """Rows above and columns left of the centre crop."""
    return (SIDE - pictures(spec).crop) // 2


def number(parameter: float) -> str:
    """A hyperparameter as a Python literal."""
    return repr(float(parameter))


def cannot(program: str, layer: str) -> NoReturn:
    """Raise the FormatError for a layer that has no counterpart elsewhere."""
    raise FormatError(
        f"{program} cannot hold this network: {layer} has no counterpart there. Save it in Nabla's own format."
    )
