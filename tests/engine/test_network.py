from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from engine import specs
from engine.arrays import Array
from engine.errors import ShapeError
from engine.layers import WeightedLayer
from engine.losses import MeanSquaredError, SoftmaxCrossEntropy
from engine.network import Network
from engine.optimizers import OPTIMIZERS

DIGITS = (1, 24, 24)
SMALL = (specs.Conv2D(filters=2, kernel_size=3), specs.Tanh(), specs.Dense(units=3))


def digits(seed: int = 0) -> Network:
    return Network.build(specs.demo_network(), DIGITS, rng=np.random.default_rng(seed))


def examples(count: int, shape: tuple[int, ...] = DIGITS) -> Array:
    return np.random.default_rng(1).random((*shape, count), dtype=np.float32)


def gradients_of(network: Network, inputs: Array, labels: Array) -> Array:
    _, gradient = SoftmaxCrossEntropy().loss_and_gradient(network.forward(inputs, training=True), labels)
    network.backward(gradient)
    return network.gradients.copy()


def test_parameters_and_gradients_are_one_vector_each() -> None:
    network = digits()
    assert network.parameters.shape == network.gradients.shape == (5994,)
    assert network.parameters.dtype == np.float32
    convolution = network.layers[0]
    assert isinstance(convolution, WeightedLayer)
    assert convolution.weights.shape == (8, 1, 5, 5)
    network.parameters[0] = 42
    assert convolution.weights[0, 0, 0, 0] == 42
    dense = network.layers[-1]
    assert isinstance(dense, WeightedLayer)
    assert dense.weights.shape == (10, 256)
    dense.biases[:] = 7
    assert network.parameters[-10:].tolist() == [7] * 10
    gradients_of(network, examples(4), np.arange(4))
    assert np.array_equal(network.gradients[-10:], dense.bias_gradients)
    assert np.array_equal(network.gradients[:200], convolution.weight_gradients.ravel())


def test_biases_begin_at_zero_and_are_not_decayed() -> None:
    network = digits()
    for layer in network.layers:
        if isinstance(layer, WeightedLayer):
            assert not layer.biases.any()
    assert network.l2_mask.sum() == 5994 - 8 - 16 - 10
    assert not network.l2_mask[200:208].any()
    assert network.l2_mask[:200].all()


def test_weights_before_a_relu_are_drawn_wider() -> None:
    layers = (specs.Dense(units=300), specs.ReLU(), specs.Dense(units=300), specs.Tanh(), specs.Dense(units=300))
    network = Network.build(layers, (1, 10, 10), rng=np.random.default_rng(0))
    he, glorot, last = (layer.weights for layer in network.layers if layer.weights is not None)
    assert he.std() == pytest.approx((2 / 100) ** 0.5, rel=0.02)
    assert glorot.std() == pytest.approx((2 / 600) ** 0.5, rel=0.02)
    assert np.abs(glorot).max() <= (6 / 600) ** 0.5
    assert last.std() == pytest.approx(glorot.std(), rel=0.02)


def test_the_same_seed_gives_the_same_weights() -> None:
    assert np.array_equal(digits(5).parameters, digits(5).parameters)
    assert not np.array_equal(digits(5).parameters, digits(6).parameters)
    with pytest.raises(TypeError, match="rng"):
        Network.build(specs.demo_network(), DIGITS)  # type: ignore[call-arg]


def test_hand_worked() -> None:
    """One 2×2 filter on a 2×2 image, then two units: every number can be followed."""
    layers = (specs.Conv2D(filters=1, kernel_size=2), specs.ReLU(), specs.Dense(units=2))
    network = Network(layers, (1, 2, 2), np.float64)
    network.parameters[:] = [1, 0, 0, 1, 0.5, 2, -1, 0, 3]  # filter, its bias, weights, biases
    inputs = np.array([[[1.0, 2], [3, 4]]])[..., np.newaxis]
    assert network.forward(inputs)[:, 0].tolist() == [2 * 5.5, -1 * 5.5 + 3]  # 1·1 + 1·4 + 0.5 = 5.5
    network.backward(np.array([[1.0], [1.0]]))
    assert network.gradients.tolist() == [1, 2, 3, 4, 1, 5.5, 5.5, 1, 1]  # 2 − 1 = 1 arrives at the filter


def test_loss_gradients_do_not_depend_on_the_batch_being_one_or_many() -> None:
    network = Network.build(SMALL, (1, 5, 5), rng=np.random.default_rng(0), dtype=np.float64)
    inputs, labels = examples(6, (1, 5, 5)).astype(float), np.array([0, 1, 2, 0, 1, 2])
    together = gradients_of(network, inputs, labels)
    alone = [gradients_of(network, inputs[..., i : i + 1], labels[i : i + 1]) for i in range(6)]
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-15)


def test_the_batch_size_may_change_at_any_time() -> None:
    network, fresh = digits(), digits()
    inputs, labels = examples(30), np.arange(30) % 10
    for size in (20, 30, 7, 20):
        found = gradients_of(network, inputs[..., :size], labels[:size])
        expected = gradients_of(digits(), inputs[..., :size], labels[:size])
        assert np.array_equal(found, expected)
    assert np.array_equal(network.parameters, fresh.parameters)


def test_logits_of_any_number_of_examples() -> None:
    network = digits()
    inputs = examples(50)
    expected = network.forward(inputs).copy()
    for chunk in (1, 7, 16, 50, 64):
        np.testing.assert_allclose(network.logits(inputs, chunk=chunk), expected, rtol=1e-4, atol=1e-5)
    assert network.logits(inputs[..., :0]).shape == (10, 0)


def test_evaluating_and_tracing_between_forward_and_backward_disturbs_nothing() -> None:
    inputs, labels, loss = examples(20), np.arange(20) % 10, SoftmaxCrossEntropy()
    expected = gradients_of(digits(), inputs, labels)
    network = digits()
    logits = network.forward(inputs, training=True)
    network.logits(examples(33))
    network.gradients.fill(9)
    trace = network.trace(examples(1), 3, SoftmaxCrossEntropy())
    assert (network.gradients == 9).all()
    network.backward(loss.loss_and_gradient(logits, labels)[1])
    assert np.array_equal(network.gradients, expected)
    kept = trace.layers[0].activations.copy()
    network.trace(examples(1) * 0.5, 3, SoftmaxCrossEntropy())
    assert np.array_equal(trace.layers[0].activations, kept)


def test_a_trace_shows_every_layer() -> None:
    network, loss = digits(), SoftmaxCrossEntropy()
    inputs = examples(1)
    trace = network.trace(inputs, 4, loss)
    assert [layer.activations.shape for layer in trace.layers] == [layer.output_shape for layer in network.plan]
    assert trace.input.shape == DIGITS
    assert np.array_equal(trace.layers[1].activations, np.maximum(trace.layers[0].activations, 0))
    assert trace.probabilities.sum() == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(trace.layers[-1].activations, network.forward(inputs)[:, 0], rtol=1e-4, atol=1e-5)
    expected = gradients_of(network, inputs, np.array([4]))
    np.testing.assert_allclose(trace.layers[0].weight_gradients.ravel(), expected[:200], rtol=1e-3, atol=1e-6)
    assert trace.loss == pytest.approx(-np.log(trace.probabilities[4]), rel=1e-5)
    onehot = np.arange(10) == 4
    np.testing.assert_allclose(trace.layers[-1].gradients, trace.probabilities - onehot, atol=1e-6)
    for before, after in zip(trace.layers, trace.layers[1:], strict=False):
        assert before.gradients is not None
        assert after.gradients is not None
    relu, pool = trace.layers[1], trace.layers[2]
    assert np.count_nonzero(relu.gradients) <= pool.gradients.size


def test_a_trace_without_a_target_has_no_gradients() -> None:
    trace = digits().trace(examples(1), None, SoftmaxCrossEntropy())
    assert trace.loss is None
    assert all(layer.gradients is None and layer.weight_gradients is None for layer in trace.layers)
    assert trace.layers[0].weights is not None


def test_a_network_may_end_in_maps() -> None:
    layers = (specs.Conv2D(filters=3, kernel_size=3), specs.MaxPool2D(pool_size=3, stride=3))
    network = Network.build(layers, (1, 5, 5), rng=np.random.default_rng(0), dtype=np.float64)
    inputs = examples(2, (1, 5, 5)).astype(float)
    assert network.forward(inputs).shape == (3, 2)
    found = gradients_of(network, inputs, np.array([0, 2]))
    assert np.abs(found).max() > 0
    trace = network.trace(inputs[..., :1], 0, MeanSquaredError())
    assert trace.layers[1].gradients.shape == (3, 1, 1)


def test_a_network_without_parameters_only_looks() -> None:
    network = Network((specs.Flatten(),), (1, 2, 2))
    network.backward(network.forward(examples(3, (1, 2, 2))))
    assert network.parameters.size == 0


def test_dropout_needs_a_generator_to_train_and_none_to_predict() -> None:
    layers = (specs.Dropout(rate=0.5), specs.Dense(units=2))
    network = Network.build(layers, (1, 8, 8), rng=np.random.default_rng(0))
    inputs = examples(3, (1, 8, 8))
    with pytest.raises(TypeError, match="rng"):
        network.forward(inputs, training=True)
    first = network.forward(inputs, training=True, rng=np.random.default_rng(1)).copy()
    again = network.forward(inputs, training=True, rng=np.random.default_rng(1)).copy()
    assert np.array_equal(first, again)
    idle = network.forward(inputs).copy()
    assert not np.array_equal(first, idle)
    np.testing.assert_allclose(network.logits(inputs), idle, rtol=1e-5)
    np.testing.assert_allclose(
        network.trace(inputs[..., :1], None, SoftmaxCrossEntropy()).layers[-1].activations, idle[:, 0], rtol=1e-5
    )


def test_inputs_of_another_shape_are_refused() -> None:
    network = digits()
    with pytest.raises(ShapeError, match=r"Inputs: expected an array of shape \(1, 24, 24, N\), got \(20, 24, 24, 1\)"):
        network.forward(np.zeros((20, 24, 24, 1), np.float32))
    with pytest.raises(ShapeError, match="to trace"):
        network.trace(examples(2), 0, SoftmaxCrossEntropy())
    network.forward(examples(2))
    with pytest.raises(ShapeError, match="Gradients"):
        network.backward(np.zeros((10, 3), np.float32))
    with pytest.raises(ShapeError, match="Gradients of the logits"):
        network.backward(np.zeros((9, 2), np.float32))


def test_every_way_back_needs_a_way_there() -> None:
    network, gradient = digits(), np.ones((10, 2), np.float32)
    with pytest.raises(RuntimeError, match="a forward"):
        network.backward(gradient)
    network.forward(examples(2))
    network.backward(gradient)
    found = network.gradients.copy()
    with pytest.raises(RuntimeError, match="a forward"):
        network.backward(gradient)
    assert np.array_equal(network.gradients, found)


def test_infinite_weights_make_a_loss_that_is_not_a_number_without_warnings() -> None:
    network = digits()
    network.parameters.fill(np.float32(3e38))
    value, gradient = SoftmaxCrossEntropy().loss_and_gradient(network.forward(examples(2), training=True), np.arange(2))
    network.backward(gradient)
    assert not np.isfinite(value)
    assert network.trace(examples(1), 1, SoftmaxCrossEntropy()).loss is not None


def test_a_training_step_allocates_no_arrays() -> None:
    network, loss = digits(), SoftmaxCrossEntropy()
    optimizer = OPTIMIZERS["adadelta"](specs.Adadelta(), network.parameters.size)
    inputs, labels = examples(20), np.arange(20) % 10

    def step() -> None:
        _, gradient = loss.loss_and_gradient(network.forward(inputs, training=True), labels)
        network.backward(gradient)
        optimizer.step(network.parameters, network.gradients)

    step()
    tracemalloc.start()
    step()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    step()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 2_000
    # NumPy casts booleans through a buffer of 8,192 elements; the smallest array of a layer would be larger.
    assert peak - before < 100_000
