"""Optimizers against updates worked by hand, against PyTorch's published algorithms, and at learning something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt

import numpy as np
import pytest

from engine import specs
from engine.errors import ShapeError
from engine.losses import SoftmaxCrossEntropy
from engine.network import Network
from engine.optimizers import OPTIMIZERS, AnyOptimizer

names = pytest.mark.parametrize("name", list(OPTIMIZERS))


def make(spec: specs.OptimizerSpec, size: int = 1, dtype: type = np.float64) -> AnyOptimizer:
    return OPTIMIZERS[spec.name](spec, size, dtype)


# ---- By hand: one parameter at 1, the gradients 2 and then 1 ----------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "after_one", "after_two"),
    [
        (specs.SGD(learning_rate=0.1), 1 - 0.2, 1 - 0.2 - 0.1),
        # v: −0.2, then 0.5 · −0.2 − 0.1 = −0.2
        (specs.MomentumSGD(learning_rate=0.1, momentum=0.5), 0.8, 0.6),
        # v as above; w moves by 0.5 v − 0.1 g: −0.1 − 0.2, then −0.1 − 0.1
        (specs.Nesterov(learning_rate=0.1, momentum=0.5), 0.7, 0.5),
        # h: 4, then 5
        (specs.Adagrad(learning_rate=0.1, epsilon=0.5), 1 - 0.1 * 2 / 2.5, 0.92 - 0.1 / (sqrt(5) + 0.5)),
        # h: 0.75 · 0 + 0.25 · 4 = 1, then 0.75 · 1 + 0.25 · 1 = 1
        (specs.RMSProp(learning_rate=0.1, rho=0.75, epsilon=1.0), 1 - 0.1 * 2 / 2, 0.9 - 0.1 / 2),
        # h: 2, then 1.5. d: 2 √(1 / 3), u = 0.5 · 4/3 = 2/3; then d = √((2/3 + 1) / 2.5)
        (specs.Adadelta(rho=0.5, epsilon=1.0), 1 - 2 / sqrt(3), 1 - 2 / sqrt(3) - sqrt(5 / 3 / 2.5)),
        # m: 1, then 1; v: 1, then 1 (β = 0.5, 0.75). Divided by 0.5 and 0.25: 2 / √4; then by 0.75 and 0.4375.
        (
            specs.Adam(learning_rate=0.1, beta1=0.5, beta2=0.75, epsilon=1.0),
            1 - 0.1 * 2 / (2 + 1),
            1 - 0.1 * 2 / 3 - 0.1 * (1 / 0.75) / (sqrt(1 / 0.4375) + 1),
        ),
        # Adam's steps, each after w has lost 0.1 · 0.5 of itself.
        (
            specs.AdamW(learning_rate=0.1, beta1=0.5, beta2=0.75, epsilon=1.0, weight_decay=0.5),
            0.95 - 0.1 * 2 / 3,
            0.95 * (0.95 - 0.1 * 2 / 3) - 0.1 * (1 / 0.75) / (sqrt(1 / 0.4375) + 1),
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_hand_worked(spec: specs.OptimizerSpec, after_one: float, after_two: float) -> None:
    optimizer, parameters = make(spec), np.array([1.0])
    optimizer.step(parameters, np.array([2.0]))
    assert parameters[0] == pytest.approx(after_one, rel=1e-14)
    optimizer.step(parameters, np.array([1.0]))
    assert parameters[0] == pytest.approx(after_two, rel=1e-14)
    assert optimizer.steps == 2


# ---- PyTorch's algorithms, as its documentation of torch.optim states them, written for one number ------------------------


def torch_sgd(lr: float, momentum: float, nesterov: bool) -> Callable[[float, float], float]:
    buffer: list[float] = []

    def step(p: float, g: float) -> float:
        buffer[:] = [momentum * buffer[0] + g] if buffer else [g]
        return p - lr * (g + momentum * buffer[0] if nesterov else buffer[0])

    return step


def torch_adagrad(lr: float, eps: float) -> Callable[[float, float], float]:
    state_sum = [0.0]

    def step(p: float, g: float) -> float:
        state_sum[0] += g * g
        return p - lr * g / (sqrt(state_sum[0]) + eps)

    return step


def torch_rmsprop(lr: float, alpha: float, eps: float) -> Callable[[float, float], float]:
    square_avg = [0.0]

    def step(p: float, g: float) -> float:
        square_avg[0] = alpha * square_avg[0] + (1 - alpha) * g * g
        return p - lr * g / (sqrt(square_avg[0]) + eps)

    return step


def torch_adadelta(lr: float, rho: float, eps: float) -> Callable[[float, float], float]:
    square_avg, acc_delta = [0.0], [0.0]

    def step(p: float, g: float) -> float:
        square_avg[0] = square_avg[0] * rho + g * g * (1 - rho)
        delta = sqrt(acc_delta[0] + eps) / sqrt(square_avg[0] + eps) * g
        acc_delta[0] = acc_delta[0] * rho + delta * delta * (1 - rho)
        return p - lr * delta

    return step


def torch_adam(lr: float, beta1: float, beta2: float, eps: float) -> Callable[[float, float], float]:
    m, v, t = [0.0], [0.0], [0]

    def step(p: float, g: float) -> float:
        t[0] += 1
        m[0] = beta1 * m[0] + (1 - beta1) * g
        v[0] = beta2 * v[0] + (1 - beta2) * g * g
        return p - lr * (m[0] / (1 - beta1 ** t[0])) / (sqrt(v[0] / (1 - beta2 ** t[0])) + eps)

    return step


def torch_adamw(lr: float, beta1: float, beta2: float, eps: float, weight_decay: float) -> Callable[[float, float], float]:
    adam = torch_adam(lr, beta1, beta2, eps)
    return lambda p, g: adam(p - lr * weight_decay * p, g)


@pytest.mark.parametrize(
    ("spec", "reference"),
    [
        (specs.SGD(learning_rate=0.1), lambda: torch_sgd(0.1, 0, False)),
        (specs.MomentumSGD(learning_rate=0.1, momentum=0.9), lambda: torch_sgd(0.1, 0.9, False)),
        (specs.Nesterov(learning_rate=0.1, momentum=0.9), lambda: torch_sgd(0.1, 0.9, True)),
        (specs.Adagrad(learning_rate=0.1, epsilon=1e-10), lambda: torch_adagrad(0.1, 1e-10)),
        (specs.RMSProp(learning_rate=0.01, rho=0.99, epsilon=1e-8), lambda: torch_rmsprop(0.01, 0.99, 1e-8)),
        (specs.Adadelta(learning_rate=1.0, rho=0.9, epsilon=1e-6), lambda: torch_adadelta(1.0, 0.9, 1e-6)),
        (specs.Adam(learning_rate=0.001), lambda: torch_adam(0.001, 0.9, 0.999, 1e-8)),
        (specs.AdamW(learning_rate=0.01, weight_decay=0.1), lambda: torch_adamw(0.01, 0.9, 0.999, 1e-8, 0.1)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_two_hundred_steps_as_pytorch_defines_them(
    spec: specs.OptimizerSpec, reference: Callable[[], Callable[[float, float], float]]
) -> None:
    gradients = np.random.default_rng(0).normal(size=(200, 5)) * [1e-3, 0.1, 1, 10, 1000]
    optimizer, parameters = make(spec, 5), np.arange(5.0)
    expected, steps = np.arange(5.0), [reference() for _ in range(5)]
    for gradient in gradients:
        optimizer.step(parameters, gradient)
        expected = np.array([step(p, g) for step, p, g in zip(steps, expected, gradient, strict=True)])
    np.testing.assert_allclose(parameters, expected, rtol=1e-11)


def test_adamw_decays_where_its_mask_says() -> None:
    """Without gradients Adam stands still, so that only the decay is left."""
    mask, parameters = np.array([1.0, 0.0, 0.5]), np.array([8.0, 8.0, 8.0])
    OPTIMIZERS["adamw"](specs.AdamW(learning_rate=0.5, weight_decay=0.5), 3, np.float64, decay_mask=mask).step(
        parameters, np.zeros(3)
    )
    assert parameters.tolist() == [6, 8, 7]


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_share_of_the_learning_rate(name: str) -> None:
    """A schedule's share is as good as a smaller learning rate."""
    rng = np.random.default_rng(0)
    one, other = np.ones(5), np.ones(5)
    usual = make(specs.OPTIMIZER_SPECS[name](learning_rate=0.5), 5)
    smaller = make(specs.OPTIMIZER_SPECS[name](learning_rate=0.125), 5)
    for _ in range(3):
        gradients = rng.normal(size=5)
        usual.step(one, gradients, 0.25)
        smaller.step(other, gradients)
    assert np.array_equal(one, other)


# ---- What holds for all -------------------------------------------------------------------------------------------------


def batches(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Two features; the class is the quadrant."""
    while True:
        points = rng.uniform(-1, 1, (2, 1, 1, 32))
        yield points, (points[0, 0, 0] > 0) * 2 + (points[1, 0, 0] > 0)


@names
def test_learns_the_quadrants(name: str) -> None:
    rates = {
        "sgd": 0.5,
        "momentum": 0.1,
        "nesterov": 0.1,
        "adagrad": 0.1,
        "rmsprop": 0.01,
        "adadelta": 1.0,
        "adam": 0.01,
        "adamw": 0.01,
    }
    spec = specs.OPTIMIZER_SPECS[name](learning_rate=rates[name])
    rng = np.random.default_rng(0)
    network = Network.build((specs.Dense(units=16), specs.ReLU(), specs.Dense(units=4)), (2, 1, 1), rng=rng)
    optimizer, loss = make(spec, network.parameters.size, np.float32), SoftmaxCrossEntropy()
    examples = batches(rng)
    for _ in range(400):
        inputs, labels = next(examples)
        _, gradient = loss.loss_and_gradient(network.forward(inputs, training=True), labels)
        network.backward(gradient)
        optimizer.step(network.parameters, network.gradients)
    points = [next(examples) for _ in range(10)]
    right = np.mean([network.logits(inputs).argmax(axis=0) == labels for inputs, labels in points])
    assert right > 0.95


@names
def test_gradients_stay_as_they_are_and_nothing_else_is_remembered(name: str) -> None:
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=7).astype(np.float32)
    one = make(specs.OPTIMIZER_SPECS[name](), 7, np.float32)
    two = make(specs.OPTIMIZER_SPECS[name](), 7, np.float32)
    parameters = np.ones(7, np.float32)
    for _ in range(3):
        before = gradients.copy()
        one.step(parameters, gradients)
        assert np.array_equal(gradients, before)
    # `state` and `steps` are all there is: a second optimizer that takes them over goes on to the last bit.
    for key, values in one.state.items():
        two.state[key][:] = values
    two.steps = one.steps
    copy = parameters.copy()
    one.step(parameters, gradients)
    two.step(copy, gradients)
    assert np.array_equal(copy, parameters)
    assert parameters.dtype == np.float32


def test_the_learning_rate_changes_between_steps() -> None:
    optimizer, parameters = make(specs.MomentumSGD(learning_rate=1.0, momentum=0.5)), np.array([0.0])
    optimizer.step(parameters, np.array([1.0]))
    optimizer.spec = specs.MomentumSGD(learning_rate=2.0, momentum=0.25)
    optimizer.step(parameters, np.array([1.0]))
    assert parameters[0] == -1 + (0.25 * -1 - 2)


@names
def test_vectors_of_another_length_are_refused(name: str) -> None:
    optimizer = make(specs.OPTIMIZER_SPECS[name](), 3)
    with pytest.raises(ShapeError, match="Gradients"):
        optimizer.step(np.zeros(3), np.zeros(4))
    with pytest.raises(ShapeError, match="Parameters"):
        optimizer.step(np.zeros(2), np.zeros(3))
    assert optimizer.steps == 0


def test_every_optimizer_spec_has_its_optimizer() -> None:
    assert list(OPTIMIZERS) == list(specs.OPTIMIZER_SPECS)
