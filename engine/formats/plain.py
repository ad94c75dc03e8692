"""The forward pass as one would write it down first: a short function for each layer, examples first.

Slow beside `engine.layers`, and meant for reading: `numpy_script` writes those that a network needs, as they stand here,
into its file. Arrays are float32, maps (N, channels, height, width) and columns (N, units).
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float32]
Images = NDArray[np.uint8]
Pair = tuple[int, int]  # downwards, along the row


def centre_crop(images: Images, side: int) -> Array:
    """The middle of each image, uint8 (N, height, width), as ink in [0, 1], float32 (N, 1, side, side)."""
    top, left = (images.shape[1] - side) // 2, (images.shape[2] - side) // 2
    middle = images[:, None, top : top + side, left : left + side]
    return middle.astype(np.float32) / np.float32(255)


def dense(a: Array, weights: Array, biases: Array) -> Array:
    """`z = W a + b`; maps are read as one long column in the order channel, row, column."""
    return a.reshape(-1, weights.shape[1]) @ weights.T + biases


def convolution(a: Array, weights: Array, biases: Array, stride: Pair, padding: Pair) -> Array:
    """`z[o, y, x] = b[o] + Σ w[o, c, i, j] · a[c, y·stride + i − padding, x·stride + j − padding]`, zeros outside."""
    a = np.pad(a, ((0, 0), (0, 0), (padding[0], padding[0]), (padding[1], padding[1])))
    windows = sliding_window_view(a, weights.shape[2:], axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    z = np.tensordot(windows, weights, axes=((1, 4, 5), (1, 2, 3)))  # (N, y, x, o)
    return np.moveaxis(z + biases, 3, 1)


def max_pooling(a: Array, size: Pair, stride: Pair) -> Array:
    """The largest value of each window."""
    windows = sliding_window_view(a, size, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    z: Array = windows.max(axis=(4, 5))
    return z


def average_pooling(a: Array, size: Pair, stride: Pair) -> Array:
    """The mean of each window."""
    windows = sliding_window_view(a, size, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    z: Array = windows.mean(axis=(4, 5))
    return z


def global_average_pooling(a: Array) -> Array:
    """The mean of each map."""
    z: Array = a.mean(axis=(2, 3))
    return z


def maxout(a: Array, group_size: int) -> Array:
    """The largest of each group of neighbouring channels or units."""
    count, channels, *place = a.shape
    z: Array = a.reshape(count, channels // group_size, group_size, *place).max(axis=2)
    return z


def local_response_normalization(a: Array, k: float, n: int, alpha: float, beta: float) -> Array:
    """`z[c] = a[c] / (k + α/n · Σ a[c']²)^β`, the sum over the `n` channels c' around c, as far as there are any."""
    ends = [(0, 0)] * (a.ndim - 2)
    squares = np.pad(a * a, ((0, 0), (n // 2, n // 2), *ends))
    sums = sliding_window_view(squares, n, axis=1).sum(axis=-1)
    z: Array = a / (k + alpha / n * sums) ** beta
    return z


def batch_normalization(a: Array, weights: Array, biases: Array, statistics: Array, epsilon: float) -> Array:
    """`z[c] = γ (a[c] − μ) / √(σ² + ε) + β`, the statistics being the running means μ and variances σ² of each channel."""
    scales = weights / np.sqrt(np.maximum(statistics[1], 0) + epsilon)
    channels = (-1, *[1] * (a.ndim - 2))
    z: Array = (a - statistics[0].reshape(channels)) * scales.reshape(channels) + biases.reshape(channels)
    return z


def relu(a: Array) -> Array:
    """`max(a, 0)`."""
    return np.maximum(a, 0)


def leaky_relu(a: Array, slope: float) -> Array:
    """`a` above zero, `slope · a` below."""
    return np.where(a > 0, a, np.float32(slope) * a)


def sigmoid(a: Array) -> Array:
    """`1 / (1 + e^−a)`, by way of tanh, which cannot overflow."""
    half = np.float32(0.5)
    t: Array = np.tanh(half * a)
    return half * t + half


def softplus(a: Array) -> Array:
    """`log(1 + e^a)`."""
    return np.logaddexp(np.float32(0), a)


def gelu(a: Array) -> Array:
    """`½ a (1 + tanh(√(2/π) (a + 0.044715 a³)))`."""
    t: Array = np.tanh(np.float32(0.7978845608) * (a + np.float32(0.044715) * a * a * a))  # √(2/π) = 0.797…
    return np.float32(0.5) * a * (np.float32(1) + t)


def softmax(z: Array) -> Array:
    """`e^z / Σ e^z` for each example; the largest logit is taken off first, which changes nothing but cannot overflow."""
    powers: Array = np.exp(z - z.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def shares_above_zero(z: Array) -> Array:
    """What is above zero, scaled to sum to 1; all alike where nothing is."""
    positive: Array = np.maximum(z, 0)
    positive[positive.sum(axis=1) == 0] = 1
    positive /= positive.sum(axis=1, keepdims=True)
    return positive


def halves_from_minus_one(z: Array) -> Array:
    """`(z + 1) / 2`, as far as it is above zero, scaled to sum to 1: for outputs that mean no at −1 and yes at 1.

    One output alone speaks for the first of two classes.
    """
    halves: Array = (z + np.float32(1)) / np.float32(2)
    if z.shape[1] > 1:
        return shares_above_zero(halves)
    first = np.clip(halves, 0, 1)
    return np.concatenate([first, 1 - first], axis=1)


def one_against_all(z: Array) -> Array:
    """`σ(z)`, scaled to sum to 1: the softmax of `log σ(z) = −log(1 + e^−z)`."""
    return softmax(-np.logaddexp(np.float32(0), -z))


def read_idx(path: str) -> Images:
    """The bytes in an IDX file, as MNIST comes in, shaped as its header says."""
    content = Path(path).read_bytes()
    dimensions = content[3]
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
