"""The lesson on dense and convolutional networks: what their first layers look for."""

from __future__ import annotations

import numpy as np
import pytest

from engine.lessons.dense_and_convolutional import patterns
from engine.network import Network
from engine.specs import Conv2D, Dense, LayerSpec


@pytest.mark.parametrize(("first", "side"), [(Dense(units=5), 8), (Conv2D(filters=5, kernel_size=3), 3)])
def test_the_first_weights_are_seen_as_squares(first: LayerSpec, side: int) -> None:
    network = Network.build((first, Dense(units=2)), (1, 8, 8), rng=np.random.default_rng(1))
    seen = patterns(network, 3)
    assert np.shape(seen) == (3, side, side)
    weights = network.layers[0].weights
    assert weights is not None
    for unit in range(3):
        row = weights[unit].ravel()[side : 2 * side]
        assert seen[unit][1] == pytest.approx(row.tolist(), abs=0.0005)
