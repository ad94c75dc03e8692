"""What convnetjs computes and how it trains, in float64, against the engine in float64: the same to nine digits.

The golden file was made by convnetjs 0.3.0 itself (tests/engine/golden/make_convnetjs_training.py). Two conventions
differ on purpose, and are translated here rather than copied into the engine:

* convnetjs divides weight decay by the batch size.
* Its Adagrad and windowgrad divide by √(h + ε), ours, like PyTorch's, by √h + ε. The first is the second without ε if
  the memory h starts at ε, and windowgrad's is given back before each update the share of ε that it is about to forget.

A run read from a file of convnetjs starts with an empty memory, and a few updates later ε plays no part in either form:
an optimizer of its own for that would be one to explain and none to learn from.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

from engine import specs
from engine.arrays import Array
from engine.losses import LOSSES
from engine.optimizers import OPTIMIZERS, AnyOptimizer
from tests.engine.golden import make_convnetjs_training as golden

TOLERANCE = 1e-9
NO_EPSILON = 1e-300

ANSWERS: dict[str, Any] = json.loads(golden.FILE.read_text())


def flat(arrays: list[Array]) -> Array:
    return np.concatenate([array.ravel() for array in arrays])


def assert_same(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("name", golden.CASES)
def test_outputs_and_gradients(name: str) -> None:
    """In the fast forms of training and layer by layer, which alone knows the gradients of the inputs."""
    case, answer = golden.CASES[name], ANSWERS[name]
    network = case.weighted()
    inputs, labels = (array[..., : golden.COMPUTED] for array in case.examples())
    logits = network.forward(inputs, training=True)
    losses = {"softmax": "softmax_cross_entropy", "regression": "mean_squared_error", "svm": "hinge"}
    loss = LOSSES[losses[case.ends]]()
    cost, gradient = loss.loss_and_gradient(logits, labels)
    gradient = gradient * len(labels)  # ours is of the mean over examples
    match case.ends:
        case "softmax":
            assert_same(loss.probabilities(logits).T, answer["outputs"])
            assert_same(cost * len(labels), sum(answer["costs"]))
        case "svm":  # theirs counts the true class, which is always 1 short of leading itself by 1
            assert_same(logits.T, answer["outputs"])
            assert_same(cost * len(labels) + len(labels), sum(answer["costs"]))
        case _:  # theirs is 2 Σ (z − y)², with a quarter of its slope; ours the mean over outputs
            assert_same(logits.T, answer["outputs"])
            assert_same(cost * 2 * logits.size, sum(answer["costs"]))
            gradient *= len(logits) / 2

    network.backward(gradient)
    same = np.allclose(flat(golden.as_theirs(network.layers, gradients=True)), answer["gradients"], TOLERANCE, TOLERANCE)
    assert same == case.right
    if not case.right:
        return

    outputs, network.gradients[:] = inputs, 0
    for layer in network.layers:
        outputs = layer.forward(outputs)
    gradient = gradient.reshape(outputs.shape)
    for layer in reversed(network.layers):
        gradient = layer.backward(gradient)
    assert_same(flat(golden.as_theirs(network.layers, gradients=True)), answer["gradients"])
    assert_same(golden.examples_as_theirs(gradient), answer["inputGradients"])


@pytest.mark.parametrize("name", golden.TRAINERS)
def test_fifty_updates(name: str) -> None:
    case, answer, options = golden.CASES["convolutions"], ANSWERS[name], golden.TRAINERS[name]
    network, loss = case.weighted(), LOSSES["softmax_cross_entropy"]()
    optimizer = our_optimizer(options, network.parameters.size)
    inputs, labels = case.examples()
    decay = golden.DECAY["l2_decay"] / golden.BATCH_SIZE * network.l2_mask
    costs = []
    for step in range(golden.UPDATES):
        here = np.arange(golden.BATCH_SIZE) + step * golden.BATCH_SIZE
        here %= golden.EXAMPLES
        value, gradient = loss.loss_and_gradient(network.forward(inputs[..., here], training=True), labels[here])
        network.backward(gradient)
        network.gradients += decay * network.parameters
        remember_epsilon(optimizer, options)
        optimizer.step(network.parameters, network.gradients)
        costs.append(value * golden.BATCH_SIZE)
    assert_same(costs, answer["costs"])
    assert_same(flat(golden.as_theirs(network.layers)), answer["parameters"])
    assert np.abs(network.parameters - case.weighted().parameters).max() > 0.05, "it did move"


def our_optimizer(options: dict[str, Any], size: int) -> AnyOptimizer:
    """Ours for convnetjs's options, its memory filled as theirs would be."""
    rate, momentum, epsilon = (options.get(name, 0.0) for name in ("learning_rate", "momentum", "eps"))
    spec: specs.OptimizerSpec
    match options["method"]:
        case "sgd" if momentum == 0:
            spec = specs.SGD(learning_rate=rate)
        case "sgd":
            spec = specs.MomentumSGD(learning_rate=rate, momentum=momentum)
        case "nesterov":
            spec = specs.Nesterov(learning_rate=rate, momentum=momentum)
        case "adadelta":
            spec = specs.Adadelta(learning_rate=1.0, rho=options["ro"], epsilon=epsilon)
        case "adagrad":
            spec = specs.Adagrad(learning_rate=rate, epsilon=NO_EPSILON)
        case _:
            spec = specs.RMSProp(learning_rate=rate, rho=options["ro"], epsilon=NO_EPSILON)
    optimizer = OPTIMIZERS[spec.name](spec, size, np.float64)
    if spec.name in ("adagrad", "rmsprop"):
        optimizer.state["squared_gradients"].fill(epsilon)
    return optimizer


def remember_epsilon(optimizer: AnyOptimizer, options: dict[str, Any]) -> None:
    """h stands for their h + ε; of that ε the next update keeps only the share ρ."""
    if isinstance(optimizer.spec, specs.RMSProp):
        optimizer.state["squared_gradients"] += options["eps"] * (1 / optimizer.spec.rho - 1)


def test_convnetjs_itself_agrees() -> None:
    """The golden file once more, made on the spot."""
    node = shutil.which("node")
    found = node and subprocess.run([node, "-e", "require.resolve('convnetjs')"], capture_output=True, check=False, timeout=60)
    if not found or found.returncode != 0:
        pytest.skip("needs node, and the npm package convnetjs in NODE_PATH")
    made = golden.ask()
    assert made.keys() == ANSWERS.keys()
    for name, answer in made.items():
        for key, values in answer.items():
            np.testing.assert_allclose(values, ANSWERS[name][key], rtol=1e-12, atol=1e-12)
