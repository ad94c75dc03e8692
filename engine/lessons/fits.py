"""What a network of one input answers along a line, worked out from its spec and its flat parameters alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.datasets.points import points_dataset
from engine.inspection import Inspection
from engine.losses import make_loss
from engine.network import Network
from engine.specs import CurveSpec, RunSpec, TableSpec

Numbers = npt.NDArray[np.float64]


def answers(spec: RunSpec, parameters: Sequence[float], places: npt.ArrayLike) -> Numbers:
    """ŷ (n,) at `places` (n,), in the units of the points that the run learns from."""
    assert isinstance(spec.dataset, CurveSpec | TableSpec)
    network = Network(spec.network, spec.dataset.input_shape)
    network.parameters[:] = parameters
    inspection = Inspection(network, make_loss(spec), points_dataset(spec.dataset))
    inputs = inspection.dataset.to_inputs(np.asarray(places, np.float64)[:, None])
    found: Numbers = inspection.answers(inspection.observer.outputs(inputs))[0].astype(np.float64)
    return found
