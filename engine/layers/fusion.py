"""Finds layers that go faster together. What a network computes stays the same, up to rounding."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from engine.layers.activations import Activation, ReLU
from engine.layers.base import Layer
from engine.layers.block_convolution import BlockConvolution, fast_block
from engine.layers.convolution import Convolution
from engine.layers.pooled_convolution import PooledConvolution, fast_product
from engine.layers.pooling import MaximumPool, MaxPool


def fuse(layers: Sequence[Layer]) -> list[Layer]:
    """The same network in fewer, faster steps; `layers` keep their parameters and gradients.

    A non-decreasing activation and a maximum may change places: pooling first leaves a quarter or a ninth of the
    values to be activated. A convolution and the pooling that now follows it are then one step.
    """
    fused: list[Layer] = []
    for layer in _pool_first(layers):
        match fused[-1] if fused else None, layer:
            case Convolution() as convolution, MaxPool() as pool if product := fast_product(convolution, pool):
                fused[-1] = PooledConvolution(convolution, pool, product)
            case _:
                fused.append(layer)
    return _in_place([_alone(layer) for layer in fused])


def _alone(layer: Layer) -> Layer:
    """A convolution that found no partner may still have a faster form."""
    if isinstance(layer, Convolution) and (block := fast_block(layer)):
        return BlockConvolution(layer, block)
    return layer


def _in_place(layers: Sequence[Layer]) -> list[Layer]:
    """Let each ReLU overwrite what nobody reads again, and what is therefore no second array to bring into the cache.

    That is what a layer with weights gave out, and the gradients that another such layer, somewhere behind it, made.
    """
    weighted = [index for index, layer in enumerate(layers) if layer.weights is not None]
    changed = list(layers)
    for index, layer in enumerate(layers):
        if isinstance(layer, ReLU) and index - 1 in weighted and index < weighted[-1]:
            changed[index] = relu = copy(layer)
            relu.in_place = True
    return changed


def _pool_first(layers: Sequence[Layer]) -> list[Layer]:
    ordered: list[Layer] = []
    for layer in layers:
        place = len(ordered)
        while isinstance(layer, MaximumPool) and place > 0 and isinstance(ordered[place - 1], Activation):
            place -= 1
        activations = [a.reshaped(layer.output_shape) for a in ordered[place:] if isinstance(a, Activation)]
        ordered[place:] = [layer, *activations]
    return ordered
