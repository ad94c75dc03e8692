from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import SpecError
from engine.memory import LARGEST_CHUNK
from engine.network import Network
from engine.shapes import LayerPlan, LayerProblem, check_run, estimate_bytes, plan, preview
from engine.specs import (
    LAYER_SPECS,
    AveragePool2D,
    BatchNormalization,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    GlobalAveragePool2D,
    LayerSpec,
    Maxout,
    MaxPool1D,
    MaxPool2D,
    ReLU,
    RunSpec,
    demo_network,
)
from tests.engine.test_gradcheck import networks

DIGITS = (1, 24, 24)


def test_the_digits_network() -> None:
    layers = plan(demo_network(), DIGITS)
    assert [layer.name for layer in layers] == [
        "Convolution 1", "ReLU", "Max pooling 2×2", "Convolution 2", "ReLU", "Max pooling 3×3", "Dense",
    ]  # fmt: skip
    assert [layer.output_shape for layer in layers] == [
        (8, 24, 24), (8, 24, 24), (8, 12, 12), (16, 12, 12), (16, 12, 12), (16, 4, 4), (10,),
    ]  # fmt: skip
    assert [layer.parameter_formula for layer in layers if layer.parameters] == [
        "8·5·5·1 + 8 = 208", "16·5·5·8 + 16 = 3,216", "10·256 + 10 = 2,570",
    ]  # fmt: skip
    assert sum(layer.parameters for layer in layers) == 5994
    assert [layer.multiply_adds for layer in layers if layer.multiply_adds] == [115_200, 460_800, 2_560]
    check_run(RunSpec())


@pytest.mark.parametrize(
    ("layers", "field", "words"),
    [
        ([Conv2D(kernel_size=28)], "/network/0/kernel_size", "Layer 1, Convolution: a 28×28 kernel does not fit into a 24×24 map"),
        ([Conv2D(), MaxPool2D(pool_size=21)], "/network/1/pool_size", "at most 20"),
        ([Dense(), Conv2D()], "/network/1", "gets 10 single values"),
        ([ReLU(), Dense(units=9), MaxPool2D()], "/network/2", "before the first dense"),
        ([Conv2D(filters=0)], "/network/0/filters", "Filters of layer 1 must be at least 1"),
        ([Dropout(rate=1.0)], "/network/0/rate", "below 1"),
        ([Dense(units=2.5)], "/network/0/units", "whole number"),  # type: ignore[arg-type]
        ([Conv2D(filters=3), Maxout()], "/network/1/group_size", "3 channels cannot be split into groups of 2"),
        ([Dense(units=9), Maxout(group_size=2)], "/network/1/group_size", "9 units cannot"),
        ([Dense(), GlobalAveragePool2D()], "/network/1", "gets 10 single values"),
        ([AveragePool2D(pool_size=25)], "/network/0/pool_size", "at most 24"),
        ([Conv1D(kernel_size=28)], "/network/0/kernel_size", "a kernel of 28 does not fit into a sequence of 24 with padding 0"),
        ([MaxPool1D(pool_size=25)], "/network/0/pool_size", "at most 24"),
        ([Dense(), Conv1D()], "/network/1", "gets 10 single values"),
        ([], "/network", "1 to 32 layers"),
        ([ReLU()] * 33, "/network", "1 to 32 layers"),
    ],
)  # fmt: skip
def test_a_layer_that_cannot_be_is_named(layers: list[LayerSpec], field: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        plan(layers, DIGITS)
    assert caught.value.field == field
    assert words in str(caught.value)
    with pytest.raises(SpecError):
        Network.build(layers, DIGITS, rng=np.random.default_rng(0))


def test_a_preview_shows_the_problem_in_its_place() -> None:
    layers = preview([Conv2D(), MaxPool2D(pool_size=28), ReLU(), Dense()], DIGITS)
    first, second, third, fourth = layers
    assert isinstance(first, LayerPlan)
    assert isinstance(second, LayerProblem)
    assert "28×28 window does not fit into a 20×20 map" in second.message
    assert third == LayerProblem(2, ReLU(), "", None)
    assert fourth == LayerProblem(3, Dense(), "", None)


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"network": (Dense(units=9),)}, "/network/0", "output_count"),
        ({"network": (Dense(units=2048), Dense(units=2048), Dense())}, "/network/1", "too_many_parameters"),
        ({"network": (*[Conv2D(filters=512, kernel_size=1)] * 4, Dense()), "batch_size": 1024}, "/network/4", "too_many_parameters"),
        ({"network": (Conv2D(filters=64, padding=2), Conv2D(filters=64, padding=2), MaxPool2D(), Dense()), "batch_size": 1021}, "/batch_size", "too_much_memory"),
        ({"network": (BatchNormalization(), Dense()), "cores": 2}, "/cores", "batch_in_shares"),
        ({"batch_size": 0}, "/batch_size", "impossible_spec"),
        ({"l2": float("nan")}, "/l2", "impossible_spec"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_is_refused(changes: dict[str, object], field: str, code: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_run(replace(RunSpec(), **changes))
    assert (caught.value.field, caught.value.code) == (field, code)


def test_absurd_sizes_are_refused_without_allocating() -> None:
    tracemalloc.start()
    network = (*[Conv2D(filters=512, kernel_size=12, padding=14)] * 31, Dense(units=10))
    with pytest.raises(SpecError, match="parameters; the limit is 2,000,000"):
        check_run(RunSpec(network=network, batch_size=1024))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(list(LAYER_SPECS.values())), max_size=6), st.integers(1, 12), st.integers(1, 12))
def test_plan_agrees_with_the_network_that_is_built(types: list[type], height: int, width: int) -> None:
    layers: list[LayerSpec] = [make() for make in types] + [Dense(units=3)]
    try:
        network = Network(layers, (2, height, width))
    except SpecError:
        return
    inputs = np.zeros((2, height, width, 2), np.float32)
    for layer, planned in zip(network.layers, plan(layers, (2, height, width)), strict=True):
        inputs = layer.forward(inputs)
        assert inputs.shape == (*planned.output_shape, 2)
        assert layer.parameter_count == planned.parameters


def memory_used(layers: Sequence[LayerSpec], shape: tuple[int, int, int], batch_size: int) -> int:
    """Bytes held after a training step and an evaluation."""
    tracemalloc.start()
    network = Network.build(layers, shape, rng=np.random.default_rng(0))
    inputs = np.zeros((*shape, batch_size), np.float32)
    for part in network.parts(batch_size):
        logits = network.forward(inputs[..., part], training=True, rng=np.random.default_rng(0))
        network.backward(logits)
    network.logits(np.zeros((*shape, LARGEST_CHUNK), np.float32))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used - 300_000  # Python objects and views, which do not grow with the network


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks(), st.integers(1, 40))
def test_the_estimate_of_memory_is_never_too_small(layers: list[LayerSpec], batch_size: int) -> None:
    shape = (4, 14, 14)
    try:
        estimate = estimate_bytes(layers, shape, batch_size)
    except SpecError:
        return
    assert memory_used(layers, shape, batch_size) <= estimate


@pytest.mark.parametrize("filters", [8, 64])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("pool", [(), (MaxPool2D(pool_size=3, stride=3),)])
def test_the_estimate_of_memory_holds_for_fast_forms(
    filters: int, kernel_size: int, pool: tuple[LayerSpec, ...]
) -> None:
    first = Conv2D(filters=filters, kernel_size=3, padding=1)
    layers = (first, ReLU(), Conv2D(filters=8, kernel_size=kernel_size, padding=1), *pool, Dense(units=3))
    assert memory_used(layers, (1, 14, 14), 20) <= estimate_bytes(layers, (1, 14, 14), 20)


@pytest.mark.parametrize("units", [8.0, True, "8", [8]])
def test_a_plan_that_is_remembered_is_not_anothers(units: Any) -> None:
    """8.0 and 8 are equal, and so are 1 and True; only one of each is a number of units."""
    for count in (8, 1):
        assert plan((Dense(units=count),), (2,))[0].parameters == 3 * count
    with pytest.raises(SpecError, match="whole number"):
        plan((Dense(units=units),), (2,))
