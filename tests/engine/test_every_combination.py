"""Every layer with every loss and every optimizer's step, in float64, over shapes and settings that hypothesis finds.

All three are read from the engine's own tables, settings from their annotations: whatever is added there is tested here.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from annotated_types import Interval
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine import specs
from engine.arrays import Array, Labels
from engine.errors import SpecError
from engine.gradcheck import STEP, check_gradients, relative_error
from engine.losses import LOSSES, Loss
from engine.network import Network
from engine.optimizers import OPTIMIZERS

LIMIT = 1e-5
CLASSES = 3


def setting(annotation: Any) -> st.SearchStrategy[Any] | None:
    """Small values within the annotated range; None for what is no number, or has no range."""
    kind, *limits = get_args(annotation) or (None,)
    interval = next((limit for limit in limits if isinstance(limit, Interval)), None)
    if interval is None or kind not in (int, float):
        return None
    low = interval.ge if interval.ge is not None else interval.gt
    high = interval.le if interval.le is not None else interval.lt
    if kind is int:
        return st.integers(low, min(high, low + 4))
    # Within the range and not at its ends, where a legal layer may do nothing, or overflow.
    return st.integers(1, 9).map(lambda tenths: low + min(high - low, 2.0) * tenths / 10)


@st.composite
def layers(draw: st.DrawFn, kind: type[specs.LayerSpec]) -> specs.LayerSpec:
    hints = get_type_hints(kind, include_extras=True)
    values = {field.name: setting(hints[field.name]) for field in fields(kind)}
    return kind(**{name: draw(value) for name, value in values.items() if value is not None})


@st.composite
def networks(draw: st.DrawFn, kind: type[specs.LayerSpec]) -> Network:
    """The layer between two others, so that gradients must go through it."""
    before = specs.Conv2D(filters=draw(st.integers(1, 6)), kernel_size=draw(st.integers(1, 2)))
    shape = (draw(st.integers(1, 2)), draw(st.integers(2, 7)), draw(st.integers(2, 7)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    try:
        network = Network.build((before, draw(layers(kind)), specs.Dense(units=CLASSES)), shape, rng=rng, dtype=np.float64)
    except SpecError:
        assume(False)
    network.parameters += rng.normal(scale=0.1, size=network.parameters.size)
    return network


class Slope:
    """The mean loss of a batch, and how it changes when the parameters move in a direction."""

    def __init__(self, network: Network, loss: Loss, inputs: Array, labels: Labels) -> None:
        self.network, self.loss, self.inputs, self.labels = network, loss, inputs, labels
        self.here, gradient = self._run()
        network.backward(gradient)

    def _run(self) -> tuple[float, Array]:
        """Dropout switches off the same units every time."""
        logits = self.network.forward(self.inputs, training=True, rng=np.random.default_rng(0))
        return self.loss.loss_and_gradient(logits, self.labels)

    def along(self, direction: Array) -> Array:
        """To the right and to the left, (2, 1)."""
        parameters, start = self.network.parameters, self.network.parameters.copy()
        parameters += STEP * direction
        right = (self._run()[0] - self.here) / STEP
        parameters[:] = start - STEP * direction
        left = (self.here - self._run()[0]) / STEP
        parameters[:] = start
        return np.array([[right], [left]])


@pytest.mark.parametrize("kind", specs.LAYER_SPECS.values(), ids=lambda kind: kind.__name__)
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data(), st.integers(1, 4))
def test_gradients_and_first_steps(kind: type[specs.LayerSpec], data: st.DataObject, examples: int) -> None:
    network = data.draw(networks(kind))
    rng = np.random.default_rng(examples)
    inputs, labels = rng.normal(size=(*network.input_shape, examples)), rng.integers(0, CLASSES, examples)
    for make_loss in LOSSES.values():
        loss = make_loss()
        assert max(check.error for check in check_gradients(network, loss, inputs, labels, limit=3)) < LIMIT
        slope = Slope(network, loss, inputs, labels)
        gradients = network.gradients.copy()
        if np.linalg.norm(gradients) < 1e-4:
            continue  # nothing to learn from this batch
        for name, make in OPTIMIZERS.items():
            moved = network.parameters.copy()
            make(specs.OPTIMIZER_SPECS[name](), moved.size, np.float64).step(moved, gradients)
            direction = moved - network.parameters
            direction /= np.linalg.norm(direction)
            predicted = gradients @ direction
            assert relative_error(slope.along(direction), np.array([predicted])) < LIMIT, name
            assert predicted < 0, f"{name} climbs"
