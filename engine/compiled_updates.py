"""The loops of `engine.tape`, for numba to compile; nothing imports this but a run that says `compiled`.

A block (rows, N) holds each layer's rows for N examples and below them one row of ones; below the last one's, the targets.
`net` is (sizes, kinds, slopes): inputs, then units of each layer; each layer's activation by its number; slopes below zero.
`loss` is (kind, targets, share, limit) as of `engine.compiled`, with the row of the first target.

Every number has the arrays' own type: one of another would make all arithmetic around it double.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from engine.compiled import CLIPPED, DIFFERENCE, LEAKY_RELU, RELU, SIGMOID, SIGN, SOFTMAX, SOFTPLUS, TANH


@njit(cache=True)
def activate(z: Any, kind: int, slope: Any) -> None:
    """`z ← f(z)`."""
    number = z.dtype.type
    zero, half, one = number(0), number(0.5), number(1)
    for n in range(len(z)):
        if kind == TANH:
            z[n] = np.tanh(z[n])
        elif kind == RELU:
            z[n] = max(z[n], zero)
        elif kind == SIGMOID:
            z[n] = half * (one + np.tanh(half * z[n]))
        elif kind == SOFTPLUS:
            z[n] = max(z[n], zero) + np.log1p(np.exp(-abs(z[n])))
        elif kind == LEAKY_RELU:
            z[n] = max(z[n], slope * z[n])


@njit(cache=True)
def descend_activation(a: Any, delta: Any, kind: int, slope: Any) -> None:
    """`∂L/∂z = f'(z) ∂L/∂a`, from `a = f(z)`."""
    number = a.dtype.type
    zero, one = number(0), number(1)
    for n in range(len(a)):
        if kind == TANH:
            delta[n] *= one - a[n] * a[n]
        elif kind == RELU:
            delta[n] *= one if a[n] > zero else zero
        elif kind == SIGMOID:
            delta[n] *= a[n] * (one - a[n])
        elif kind == SOFTPLUS:
            delta[n] *= -np.expm1(-a[n])
        elif kind == LEAKY_RELU:
            delta[n] *= one if a[n] > zero else slope


@njit(cache=True)
def lose(block: Any, deltas: Any, first: int, outputs: int, loss: Any) -> None:
    """`∂L/∂a` of the last layer, whose rows begin at `first`."""
    kind, targets, share, limit = loss
    for n in range(block.shape[1]):
        largest, total = block[first, n], share - share
        if kind == SOFTMAX:
            for k in range(1, outputs):
                largest = max(largest, block[first + k, n])
            for k in range(outputs):
                deltas[first + k, n] = np.exp(block[first + k, n] - largest)
                total += deltas[first + k, n]
        for k in range(outputs):
            guess, target = block[first + k, n], block[targets + k, n]
            if kind == SOFTMAX:
                deltas[first + k, n] = share * (deltas[first + k, n] / total - target)
            elif kind == DIFFERENCE:
                deltas[first + k, n] = share * (guess - target)
            elif kind == CLIPPED:
                deltas[first + k, n] = share * max(-limit, min(limit, guess - target))
            elif kind == SIGN:
                deltas[first + k, n] = share * np.sign(guess - target)


@njit(cache=True)
def gradient(block: Any, deltas: Any, weights: Any, gradients: Any, net: Any, loss: Any) -> None:
    """From a block's inputs and targets to its outputs and the gradients of the weights.

    `weights` and `gradients` (P,) hold the rows of each layer, every row with its bias at the end.
    """
    sizes, kinds, slopes = net
    examples, place, first = block.shape[1], 0, 0
    for layer in range(1, len(sizes)):  # a = f(W a + b)
        inputs, below, first = sizes[layer - 1], first, first + sizes[layer - 1] + 1
        for row in range(first, first + sizes[layer]):
            for n in range(examples):
                block[row, n] = weights[place + inputs]
            for k in range(inputs):
                weight = weights[place + k]
                for n in range(examples):
                    block[row, n] += weight * block[below + k, n]
            activate(block[row], kinds[layer - 1], slopes[layer - 1])
            place += inputs + 1
    lose(block, deltas, first, sizes[-1], loss)
    for layer in range(len(sizes) - 1, 0, -1):  # ∂L/∂W = ∂L/∂z aᵀ, and for the layer below ∂L/∂a = Wᵀ ∂L/∂z
        inputs = sizes[layer - 1]
        below = first - inputs - 1
        place -= sizes[layer] * (inputs + 1)
        for row in range(below, below + inputs):
            for n in range(examples):
                deltas[row, n] = deltas.dtype.type(0)
        for unit in range(sizes[layer]):
            a, delta, start = block[first + unit], deltas[first + unit], place + unit * (inputs + 1)
            descend_activation(a, delta, kinds[layer - 1], slopes[layer - 1])
            for k in range(inputs):
                total, weight = deltas.dtype.type(0), weights[start + k]
                for n in range(examples):
                    total += delta[n] * block[below + k, n]
                    deltas[below + k, n] += weight * delta[n]
                gradients[start + k] = total
            total = deltas.dtype.type(0)
            for n in range(examples):
                total += delta[n]
            gradients[start + inputs] = total
        first = below


@njit(cache=True)
def descend(blocks: Any, deltas: Any, weights: Any, gradients: Any, l1: Any, l2: Any, net: Any, loss: Any) -> None:
    """One update by plain descent for each block; the learning rate is in the loss's share, and in `l1` and `l2` (P,)."""
    for block in range(len(blocks)):
        gradient(blocks[block], deltas, weights, gradients, net, loss)
        for p in range(len(weights)):
            weights[p] -= gradients[p] + l2[p] * weights[p] + l1[p] * np.sign(weights[p])
