"""`<network-diagram>`: pictures, lines, and weights by pointer and by keyboard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from app.wire.arrays import pack
from tests.browser.elements.conftest import Bench

pytestmark = pytest.mark.browser

FEATURES = {"x": "x", "y": "y", "x_squared": "x²", "y_squared": "y²", "xy": "xy", "sin_x": "sin x"}
SIDE = 24


def diagram(*widths: int, inputs: int = 2, outputs: str = "AB") -> str:
    """The page's markup: hidden layers of these widths, `inputs` features in use, an output for each class."""
    used = [
        f'<label class="neuron{"" if k < inputs else " off"}" data-feature="{name}" data-label="{label}"'
        f'{f" data-layer=-1 data-unit={k}" if k < inputs else ""}><input class="visually-hidden" type="checkbox"'
        f' aria-label="{label}"><canvas class="map"></canvas></label>'
        for k, (name, label) in enumerate(FEATURES.items())
    ]
    hidden = [
        [
            f'<button class="neuron" type="button" data-layer="{2 * k}" data-unit="{unit}" aria-pressed="false">'
            '<canvas class="map"></canvas></button>'
            for unit in range(width)
        ]
        for k, width in enumerate(widths)
    ]
    last = [
        f'<button class="neuron last" type="button" data-layer="{2 * len(widths)}" data-unit="{k}" data-label="{name}"'
        ' aria-pressed="false"><canvas class="map"></canvas></button>'
        for k, name in enumerate(outputs)
    ]
    columns = "".join(
        f'<div class="layer-column"><header><b>{len(column)}</b></header><div>{"".join(column)}</div></div>'
        for column in (used, *hidden, last)
    )
    return (
        '<form id="experiment"><network-diagram><div class="scroller"><div class="diagram">'
        f"{columns}</div></div></network-diagram></form><p><button id=after>After</button></p>"
    )


def plane_frame(*widths: int, inputs: int = 2, outputs: int = 2, seed: int = 1, scale: float = 1.5) -> dict[str, Any]:
    """A frame of a tanh network with random weights, its maps from a forward pass."""
    rng = np.random.default_rng(seed)
    axis = (np.arange(SIDE) + 0.5) / SIDE * 12 - 6
    x, y = np.meshgrid(axis, -axis)
    maps = np.stack([x, y, x * x, y * y, x * y, np.sin(x)])[:inputs].reshape(inputs, -1)
    neurons = [{"layer": -1, "maps": pack(maps.reshape(-1, SIDE, SIDE))}]
    weights = []
    for k, width in enumerate((*widths, outputs)):
        matrix = scale * rng.normal(size=(width, len(maps)))
        biases = rng.normal(size=width)
        maps = matrix @ (maps / (3 if k == 0 else 1)) + biases[:, None]
        maps = np.tanh(maps) if k < len(widths) else np.exp(maps) / np.exp(maps).sum(axis=0)
        neurons.append({"layer": 2 * k, "maps": pack(maps.reshape(-1, SIDE, SIDE))})
        rounded = {"weights": np.round(matrix, 3).tolist(), "biases": np.round(biases, 3).tolist()}
        weights.append({"layer": 2 * k} | rounded)
    return {
        "view": "plane", "watch": "w", "step": seed, "domain": [[-6, 6], [-6, 6]], "outputs": None, "neuron": None,
        "neurons": neurons, "weights": weights, "hidden": None, "mistakes": None, "curve": None, "histograms": None,
    }  # fmt: skip
