"""Numeric gradients of a single layer, for the tests of layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.arrays import Array
from engine.gradcheck import STEP, relative_error
from engine.layers import Layer


def attach_random(layer: Layer, rng: np.random.Generator) -> None:
    layer.attach(rng.normal(size=layer.parameter_count), np.full(layer.parameter_count, np.nan))


def layer_errors(layer: Layer, inputs: Array, rng: np.random.Generator) -> dict[str, float]:
    """Relative errors of the gradients of `Σ outputs · weighting` with respect to inputs, weights and biases."""
    weighting = rng.normal(size=(*layer.output_shape, inputs.shape[-1]))

    def value() -> float:
        return float(np.vdot(layer.forward(inputs), weighting))

    layer.forward(inputs)
    found = {"inputs": (inputs, layer.backward(weighting.copy()).copy())}
    if layer.weights is not None:
        found["weights"] = (layer.weights, layer.weight_gradients)
        found["biases"] = (layer.biases, layer.bias_gradients)
    return {
        name: relative_error(_slopes(value, array), gradients.ravel()) for name, (array, gradients) in found.items()
    }


def _slopes(value: Callable[[], float], array: Array) -> Array:
    slopes = np.empty((2, array.size))
    flat = array.reshape(-1)
    here = value()
    for place in range(flat.size):
        before = flat[place]
        flat[place] = before + STEP
        slopes[0, place] = (value() - here) / STEP
        flat[place] = before - STEP
        slopes[1, place] = (here - value()) / STEP
        flat[place] = before
    return slopes
