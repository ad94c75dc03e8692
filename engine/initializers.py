"""How weights begin. Each draws from the generator it is given; biases begin at zero.

The spread is chosen so that signals neither die out nor blow up from layer to layer: the variance of a weight is about
one over the number of inputs that are summed. Two do not care: one for comparison, one to show why it matters.
"""

from __future__ import annotations

from math import prod, sqrt

import numpy as np

from engine.arrays import Array, Shape


def playground(shape: Shape, rng: np.random.Generator) -> Array:
    """Uniform between −0.5 and 0.5 whatever the layer's size, as TensorFlow Playground begins (its biases are 0.1)."""
    return rng.uniform(-0.5, 0.5, shape)


def zeros(shape: Shape, _rng: np.random.Generator) -> Array:
    """All the same: the units of a layer then get the same gradients and never become different from each other."""
    return np.zeros(shape)


def he_normal(shape: Shape, rng: np.random.Generator) -> Array:
    """Normal with variance 2 / fan-in, for layers followed by a ReLU, which lets half of the signal through.

    `shape` is (outputs, inputs, ...window); He et al. (2015), https://arxiv.org/abs/1502.01852.
    """
    return rng.standard_normal(shape) * sqrt(2 / prod(shape[1:]))


def glorot_uniform(shape: Shape, rng: np.random.Generator) -> Array:
    """Uniform with variance 2 / (fan-in + fan-out), for tanh, sigmoid and linear outputs.

    `shape` is (outputs, inputs, ...window); Glorot and Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html.
    """
    window = prod(shape[2:])
    limit = sqrt(6 / ((shape[0] + shape[1]) * window))
    return rng.uniform(-limit, limit, shape)
