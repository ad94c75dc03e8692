"""What the first layers of two networks for pictures look for: a whole picture each, or a small pattern anywhere.

Slide "Efficiency in CNNs".
"""

from __future__ import annotations

from math import isqrt

import numpy as np

from engine.network import Network

DIGITS = 3
"""After the point; more could not be seen."""


def patterns(network: Network, most: int) -> list[list[list[float]]]:
    """The weights of the first layer's first `most` units or filters, each as a square, for pictures of one channel."""
    weights = network.layers[0].weights
    assert weights is not None
    side = isqrt(weights[0].size)
    squares: list[list[list[float]]] = (
        np.round(weights[:most].astype(np.float64), DIGITS).reshape(-1, side, side).tolist()
    )
    return squares
