"""Layers that run as one give what they give one by one, to twelve digits in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import specs
from engine.arrays import Array
from engine.gradcheck import check_gradients
from engine.layers import Convolution, Layer, MaxPool, ReLU, Tanh, make_layer
from engine.layers.block_convolution import BlockConvolution
from engine.layers.fusion import fuse
from engine.layers.pooled_convolution import PooledConvolution, fast_product
from engine.layers.tiled import TiledProduct
from engine.layers.winograd import POINTS, WinogradProduct, transforms
from engine.losses import SoftmaxCrossEntropy
from engine.network import Network
from engine.specs.layers import LAYER_SPECS
from tests.engine.gradients import attach_random

properties = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def pooled_convolutions(draw: st.DrawFn) -> tuple[Convolution, MaxPool]:
    """Convolutions of stride 1, followed by windows that do not overlap; maps need not be multiples of the window."""
    kernel, window = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    padding = draw(st.integers(0, kernel - 1))
    smallest = max(1, kernel + window - 1 - 2 * padding)
    shape = (draw(st.integers(1, 5)), *(draw(st.integers(smallest, smallest + 7)) for _ in range(2)))
    convolution = Convolution(shape, draw(st.integers(1, 3)), kernel, 1, padding, np.float64)
    return convolution, MaxPool(convolution.output_shape, window, window, np.float64)


def run(layers: Sequence[Layer], inputs: Array, gradients: Array) -> tuple[Array, Array]:
    for layer in layers:
        inputs = layer.forward(inputs)
    for layer in reversed(layers):
        gradients = layer.backward(gradients)
    return inputs.copy(), gradients.copy()


@properties
@given(pooled_convolutions(), st.sampled_from([ReLU, Tanh]), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_fused_layers_equal_plain_ones(
    layers: tuple[Convolution, MaxPool], activation: type[ReLU | Tanh], size: int, before: bool, seed: int
) -> None:
    convolution, pool = layers
    middle = activation(convolution.output_shape if before else pool.output_shape, np.float64)
    plain: list[Layer] = [convolution, middle, pool] if before else [convolution, pool, middle]
    rng = np.random.default_rng(seed)
    attach_random(convolution, rng)
    inputs = rng.normal(size=(*convolution.input_shape, size))
    gradients = rng.normal(size=(*pool.output_shape, size))
    expected = run(plain, inputs, gradients)
    expected_weights, expected_biases = convolution.weight_gradients.copy(), convolution.bias_gradients.copy()
    convolution.weight_gradients.fill(np.nan)
    convolution.bias_gradients.fill(np.nan)

    fused = fuse(plain)
    found = run(fused, inputs, gradients)

    assert isinstance(fused[0], PooledConvolution) == (fast_product(convolution, pool) is not None)
    for one, other in zip(
        (*expected, expected_weights, expected_biases),
        (*found, convolution.weight_gradients, convolution.bias_gradients),
        strict=True,
    ):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-12 * max(1.0, float(np.abs(one).max())))


@properties
@given(
    st.integers(3, 7),  # a kernel of 8 has blocks of 2 only
    st.sampled_from([6, 8, 9, 10, 12]),
    st.sampled_from([8, 9, 12]),
    st.integers(0, 2),
    st.integers(0, 99),
)
def test_convolutions_alone_equal_plain_ones(kernel: int, rows: int, columns: int, padding: int, seed: int) -> None:
    shape = (8, rows + kernel - 1 - 2 * padding, columns + kernel - 1 - 2 * padding)
    convolution = Convolution(shape, 2, kernel, 1, padding, np.float64)
    rng = np.random.default_rng(seed)
    attach_random(convolution, rng)
    inputs, gradients = rng.normal(size=(*shape, 2)), rng.normal(size=(*convolution.output_shape, 2))
    expected = run([convolution], inputs, gradients)
    expected_weights, expected_biases = convolution.weight_gradients.copy(), convolution.bias_gradients.copy()
    convolution.weight_gradients.fill(np.nan)
    fused = fuse([convolution])
    blocks = (rows % 2 == 0 and columns % 2 == 0) or (rows % 3 == 0 and columns % 3 == 0)
    assert isinstance(fused[0], BlockConvolution) == blocks
    found = run(fused, inputs, gradients)
    for one, other in zip(
        (*expected, expected_weights, expected_biases),
        (*found, convolution.weight_gradients, convolution.bias_gradients),
        strict=True,
    ):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-12 * max(1.0, float(np.abs(one).max())))


def test_a_large_kernel_before_a_large_window_goes_in_blocks() -> None:
    convolution = Convolution((8, 13, 13), 16, 8, 1, 3)
    pool = MaxPool(convolution.output_shape, 3, 3)
    assert [type(layer) for layer in fuse([convolution, ReLU(convolution.output_shape), pool])] == [
        BlockConvolution, MaxPool, ReLU,
    ]  # fmt: skip


@properties
@given(st.integers(0, 99))
def test_equal_values_in_a_window_win_in_the_same_order(seed: int) -> None:
    """Small whole numbers leave no rounding, so ties are ties: the first place of each window takes the gradient."""
    rng = np.random.default_rng(seed)
    convolution = Convolution((1, 6, 6), 2, 3, 1, 1, np.float64)
    pool = MaxPool((2, 6, 6), 2, 2, np.float64)
    convolution.attach(rng.integers(-1, 2, convolution.parameter_count).astype(float), np.empty(20))
    inputs = rng.integers(0, 2, (1, 6, 6, 2)).astype(float)
    gradients = rng.integers(1, 9, (*pool.output_shape, 2)).astype(float)
    plain, fused = [convolution, pool], fuse([convolution, pool])
    assert np.array_equal(run(fused, inputs, gradients)[1], run(plain, inputs, gradients)[1])


def test_the_digits_network_runs_in_its_fast_form() -> None:
    layers = fuse(Network(specs.demo_network(), (1, 24, 24)).layers)
    assert [type(layer).__name__ for layer in layers] == [
        "PooledConvolution", "ReLU", "PooledConvolution", "ReLU", "Dense",
    ]  # fmt: skip
    assert layers[1].input_shape == (8, 12, 12)


@pytest.mark.parametrize(
    ("convolution", "pool", "expected"),
    [
        (specs.Conv2D(padding=2), specs.MaxPool2D(), TiledProduct),
        (specs.Conv2D(padding=0), specs.MaxPool2D(), TiledProduct),
        (specs.Conv2D(padding=2), specs.MaxPool2D(pool_size=3, stride=3), TiledProduct),
        (specs.Conv2D(stride=2), specs.MaxPool2D(), None),
        (specs.Conv2D(), specs.MaxPool2D(pool_size=3, stride=2), None),
        (specs.Conv2D(kernel_size=3, padding=3), specs.MaxPool2D(), None),
        (specs.Conv2D(), specs.MaxPool2D(pool_size=5, stride=5), None),
    ],
)
def test_which_pairs_of_layers_have_a_fast_form(
    convolution: specs.Conv2D, pool: specs.MaxPool2D, expected: type | None
) -> None:
    first = make_layer(convolution, (1, 24, 24))
    second = make_layer(pool, first.output_shape)
    assert isinstance(first, Convolution)
    assert isinstance(second, MaxPool)
    product = fast_product(first, second)
    assert (None if product is None else type(product)) is expected
    if expected is not None:
        several = Convolution((4, 24, 24), 2, 5, 1, 2)
        assert isinstance(
            fast_product(several, MaxPool(several.output_shape, pool.pool_size, pool.stride)), WinogradProduct
        )


@pytest.mark.parametrize("outputs", [2, 3])
@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_winograds_transforms_give_the_correlation(outputs: int, kernel: int) -> None:
    a, g, b = transforms(outputs, kernel)
    rng = np.random.default_rng(0)
    weights, piece = rng.normal(size=kernel), rng.normal(size=outputs + kernel - 1)
    assert len(b) <= len(POINTS) + 1
    np.testing.assert_allclose(a @ ((g @ weights) * (b @ piece)), np.correlate(piece, weights), atol=1e-13)


@pytest.mark.parametrize(("kernel", "limit"), [(3, 2e-6), (5, 3e-6), (7, 6e-6)])
def test_rounding_of_the_fast_form_in_float32_is_that_of_float32(kernel: int, limit: float) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(8, 12, 12, 20))
    results = []
    for dtype in (np.float32, np.float64):
        convolution = Convolution((8, 12, 12), 16, kernel, 1, kernel // 2, dtype)
        pool = MaxPool(convolution.output_shape, 3, 3, dtype)
        convolution.attach(
            np.random.default_rng(1).normal(size=convolution.parameter_count).astype(dtype),
            np.empty(convolution.parameter_count, dtype),
        )
        results.append(fuse([convolution, pool])[0].forward(inputs.astype(dtype)))
    assert np.abs(results[0] - results[1]).max() / np.abs(results[1]).max() < limit


def test_gradients_of_the_digits_network_in_its_fast_form() -> None:
    rng = np.random.default_rng(3)
    network = Network.build(specs.demo_network(), (1, 24, 24), rng=rng)
    network.parameters += rng.normal(scale=0.01, size=network.parameters.size).astype(np.float32)
    checks = check_gradients(
        network, SoftmaxCrossEntropy(), rng.random((1, 24, 24, 3)), rng.integers(0, 10, 3), limit=40
    )
    assert [(check.layer, check.group) for check in checks] == [
        ("Convolution 1", "weights"), ("Convolution 1", "biases"), ("Convolution 2", "weights"),
        ("Convolution 2", "biases"), ("Dense", "weights"), ("Dense", "biases"),
    ]  # fmt: skip
    assert max(check.error for check in checks) < 1e-5


def test_gradients_of_a_network_with_a_convolution_alone() -> None:
    rng = np.random.default_rng(3)
    layers = (
        specs.Conv2D(filters=8, kernel_size=3, padding=1), specs.ReLU(),
        specs.Conv2D(filters=4, kernel_size=3, padding=1), specs.ReLU(), specs.Dense(units=3),
    )  # fmt: skip
    network = Network.build(layers, (1, 8, 8), rng=rng)
    assert "BlockConvolution" in [type(layer).__name__ for layer in fuse(network.layers)]
    checks = check_gradients(network, SoftmaxCrossEntropy(), rng.random((1, 8, 8, 3)), rng.integers(0, 3, 3), limit=30)
    assert max(check.error for check in checks) < 1e-5


@pytest.mark.parametrize("name", LAYER_SPECS)
def test_a_relu_may_overwrite_whatever_comes_behind_it(name: str) -> None:
    behind = specs.Dense(units=5) if name == "dense" else LAYER_SPECS[name]()
    layers = (specs.Conv2D(filters=4, kernel_size=3, padding=1), specs.ReLU(), behind, specs.Dense(units=3))
    network = Network.build(layers, (1, 16, 16), rng=np.random.default_rng(0), dtype=np.float64)
    inputs, gradients = np.random.default_rng(1).normal(size=(1, 16, 16, 4)), np.random.default_rng(2).normal(size=(3, 4))
    for _ in range(2):
        network.forward(inputs, training=True, rng=np.random.default_rng(3))
        network.backward(gradients)
    found = network.gradients.copy()
    network.begin(training=True, rng=np.random.default_rng(3))
    run(network.layers, inputs, gradients)
    np.testing.assert_allclose(found, network.gradients, rtol=0, atol=1e-12)


def test_a_relu_overwrites_only_what_nobody_reads_again() -> None:
    layers = (
        specs.Conv2D(filters=2, kernel_size=3),
        specs.ReLU(),  # its inputs are those of a convolution, its outputs' gradients those of a convolution
        specs.Conv2D(filters=2, kernel_size=3),
        specs.Tanh(),
        specs.ReLU(),  # the tanh reads its own outputs again
        specs.Dense(units=4),
        specs.ReLU(),  # its gradients are the caller's
    )
    network = Network.build(layers, (1, 8, 8), rng=np.random.default_rng(0), dtype=np.float64)
    fused = fuse(network.layers)
    assert [layer.in_place for layer in fused if isinstance(layer, ReLU)] == [True, False, False]
    assert not any(layer.in_place for layer in network.layers if isinstance(layer, ReLU))
    inputs, gradients = np.random.default_rng(1).normal(size=(1, 8, 8, 3)), np.random.default_rng(2).normal(size=(4, 3))
    given, outputs = gradients.copy(), network.forward(inputs)
    kept = outputs.copy()
    network.backward(gradients)
    assert np.array_equal(gradients, given)
    assert np.array_equal(outputs, kept)
    found = network.gradients.copy()
    expected, _ = run(network.layers, inputs, given)
    np.testing.assert_allclose(kept, expected, atol=1e-12)
    np.testing.assert_allclose(found, network.gradients, atol=1e-12)
