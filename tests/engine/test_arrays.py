"""Where arrays begin in memory, on which half the speed of some NumPy functions depends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.arrays import CACHE_LINE, aligned_empty, aligned_zeros
from engine.layers.base import Layer
from engine.layers.fusion import fuse
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.specs import Adam
from tests.benchmarks.networks import NETWORKS

BATCH = 64  # floats of so many examples are whole cache lines, and so is every view along the batch
WORTH_IT = 4096
"""Bytes; below it the call takes longer than the fetching."""


@given(
    shape=st.lists(st.integers(1, 7), max_size=4).map(tuple), dtype=st.sampled_from([np.float32, np.float64, np.bool_])
)
def test_arrays_begin_where_a_cache_line_begins(shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    for array in (aligned_empty(shape, dtype), aligned_zeros(shape, dtype)):
        assert array.ctypes.data % CACHE_LINE == 0
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        assert array.flags.c_contiguous
        assert array.flags.writeable
    assert not aligned_zeros(shape, dtype).any()


@pytest.mark.parametrize("name", NETWORKS)
def test_what_layers_write_into_begins_where_a_cache_line_begins(name: str) -> None:
    shape, specs = NETWORKS[name]
    network = Network.build(specs, shape, rng=np.random.default_rng(0))
    inputs = aligned_zeros((*shape, BATCH), np.float32)
    for layers in (network.layers, fuse(network.layers)):
        for layer in layers:
            outputs = layer.forward(inputs)
            layer.backward(aligned_zeros(outputs.shape, np.float32))
            inputs = outputs
        found = dict(buffers(layers, "layers"))
        assert found
        assert [name for name, array in found.items() if array.ctypes.data % CACHE_LINE] == []
        inputs = aligned_zeros((*shape, BATCH), np.float32)


def test_parameters_gradients_and_what_an_optimizer_keeps_begin_where_a_cache_line_begins() -> None:
    shape, specs = NETWORKS["digits"]
    network = Network.build(specs, shape, rng=np.random.default_rng(0))
    optimizer = OPTIMIZERS["adam"](Adam(), network.parameters.size)
    kept = [array for array in vars(optimizer).values() if isinstance(array, np.ndarray)]
    arrays = [network.parameters, network.gradients, *optimizer.state.values(), *kept]
    assert [array.ctypes.data % CACHE_LINE for array in arrays] == [0] * len(arrays)
    assert len(arrays) > 4


def buffers(owner: Any, name: str, depth: int = 0) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """All large arrays that something owns, by name; those of parameters lie one behind the other, wherever that is."""
    if isinstance(owner, np.ndarray):
        if owner.nbytes >= WORTH_IT:
            yield name, owner
    elif isinstance(owner, (list, tuple)):
        for place, each in enumerate(owner):
            yield from buffers(each, f"{name}[{place}]", depth)
    elif type(owner).__module__.startswith("engine.layers"):
        for key, value in vars(owner).items():
            if key not in ("weights", "weight_gradients") and not (depth and isinstance(value, Layer)):
                yield from buffers(value, f"{name}.{key}", depth + 1)
