"""What a network's arrays take, before it is built; and in what portions examples go through it, so that they fit the cache.

All figures are bounds: layers that turn out to have a faster form need other arrays than these, but no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from engine.specs import (
    AveragePool2D,
    BatchNormalization,
    Conv1D,
    Conv2D,
    Dense,
    GlobalAveragePool2D,
    Maxout,
    MaxPool1D,
    MaxPool2D,
)

if TYPE_CHECKING:
    from engine.shapes import LayerPlan

VALUE_BYTES = 4
"""Of a float32."""

PART_BYTES = 70 * 2**20
"""What the arrays of a batch's part may take. As the bound of an example is generous, that is some 120 digits, or 30 MB."""

CHUNK_BYTES = 52 * 2**20
"""Of a chunk that is judged: that takes a third of the calls, so that smaller portions are no slower."""

SMALLEST_PART = 16
"""Of a batch. With fewer examples the calls themselves take the time."""

LARGEST_CHUNK = 128
"""Examples that are judged at a time, at most: enough for full speed."""

OBJECTS_BYTES = 2**20
"""What a run's objects take beside its arrays; of a small network on a tape they are most of it."""


def part_size(layers: Sequence[LayerPlan], batch_size: int) -> int:
    """How many examples of a batch go forward and backward at a time, in parts of one size: as many as fit.

    If none of these sizes fits the smallest comes nearest. A layer that looks at its whole batch gets it whole.
    """
    if batch_size < SMALLEST_PART or any(isinstance(layer.spec, BatchNormalization) for layer in layers):
        return batch_size
    fitting = PART_BYTES // _example_bytes(layers)
    sizes = [batch_size // count for count in range(1, batch_size // SMALLEST_PART + 1) if batch_size % count == 0]
    return next((size for size in sizes if size <= fitting), sizes[-1])


def chunk_size(layers: Sequence[LayerPlan]) -> int:
    """How many examples are judged at a time: a power of two, as batches often are."""
    fitting = max(SMALLEST_PART, min(LARGEST_CHUNK, CHUNK_BYTES // _example_bytes(layers)))
    return 1 << (fitting.bit_length() - 1)


def run_bytes(layers: Sequence[LayerPlan], batch_size: int) -> int:
    """An upper bound of the memory that training and evaluating this network takes."""
    # Half a batch, as a second core takes it, may have no parts of one size where the whole has them.
    part = max(part_size(layers, size) for size in {batch_size, -(-batch_size // 2), max(1, batch_size // 2)})
    examples = part + chunk_size(layers) + 1  # training, judging and tracing have buffers of their own
    batch = 2 * prod(layers[0].input_shape) * batch_size  # with what its examples are cut out of
    # Parameters, gradients, a trace's gradients, the decay mask, two accumulators and two scratch vectors; the weights
    # once more as a fast convolution arranges them, at most nine times as many, with their gradients.
    parameters = 30 * sum(layer.parameters for layer in layers)
    return OBJECTS_BYTES + _example_bytes(layers) * examples + VALUE_BYTES * (batch + parameters)


def _example_bytes(layers: Sequence[LayerPlan]) -> int:
    return VALUE_BYTES * (sum(_buffer_values(layer) for layer in layers) + prod(layers[0].input_shape))


def _buffer_values(layer: LayerPlan) -> int:
    """How many numbers `layer` keeps for each example, outputs, gradients and work space together; never too few."""
    inputs, outputs = prod(layer.input_shape), prod(layer.output_shape)
    match layer.spec:
        case Conv2D() as spec:
            channels, height, width = layer.input_shape
            columns = layer.output_shape[2]
            size, rows = spec.kernel_size, height + 2 * spec.padding
            padded = channels * rows * (width + 2 * spec.padding + size)
            # Pixels once for every column of the kernel, and the gradients of every patch; tiles have one column more.
            by_patch = 2 * channels * rows * (size + 1) * columns + channels * size**2 * prod(layer.output_shape[1:])
            # Winograd's form keeps t / m ≤ (k + 1) / 2 numbers for each pixel, and for each product as many rows more
            # as the kernel is high, twice.
            spread = spec.filters * (2 * layer.output_shape[1] + 2 * size) * columns
            winograd = (size + 1) * (4 * padded + spread) // 2 if spec.stride == 1 and channels >= 3 else 0
            return 3 * padded + max(by_patch, winograd) + 2 * outputs
        case Conv1D() as spec:
            channels, height, width = layer.input_shape
            padded = channels * height * (width + 2 * spec.padding)
            columns = channels * height * spec.kernel_size * layer.output_shape[2]
            return 3 * padded + 3 * columns + 3 * outputs
        case Dense():
            return inputs + outputs
        case MaxPool2D() | MaxPool1D():
            return inputs + 4 * outputs
        case AveragePool2D() | GlobalAveragePool2D():
            return inputs + 2 * outputs
        case Maxout():
            return 2 * inputs + 4 * outputs
        case _:
            return 5 * outputs
