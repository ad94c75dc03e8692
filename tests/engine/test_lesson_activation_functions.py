"""The lesson on activation functions: against the formulas themselves, and a count of dead units done again by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import atanh, exp, log, sqrt, tanh
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.datasets.points import points_dataset
from engine.lessons.activation_functions import (
    FUNCTIONS,
    FunctionName,
    HiddenLayer,
    curve,
    dead_units,
    hidden_layers,
    slow_regions,
    with_hidden_biases,
)
from engine.specs import SGD, Dense, PlaneSpec, ReLU, RunSpec, Sigmoid
from engine.trainer import Trainer

SPEC = RunSpec(
    dataset=PlaneSpec(kind="circle", points=60),
    network=(Dense(units=6), ReLU(), Dense(units=5), ReLU(), Dense(units=2)),
    optimizer=SGD(learning_rate=0.1),
    batch_size=10,
    l2=0.0,
)


def logistic(z: float) -> float:
    return 1 / (1 + exp(-z))


FORMULAS: dict[FunctionName, Callable[[float], tuple[float, float]]] = {
    "logistic": lambda z: (logistic(z), exp(-z) / (1 + exp(-z)) ** 2),
    "tanh": lambda z: (tanh(z), 1 - tanh(z) ** 2),
    "relu": lambda z: (max(z, 0), float(z > 0)),
    "leaky_relu": lambda z: (z, 1.0) if z > 0 else (0.01 * z, 0.01),
    "softplus": lambda z: (log(1 + exp(z)), logistic(z)),
    "linear": lambda z: (z, 1.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_and_its_slope(name: FunctionName) -> None:
    found = curve(name)
    assert (found.inputs[0], found.inputs[80], found.inputs[-1]) == (-8, 0, 8)
    expected = np.array([FORMULAS[name](z) for z in found.inputs.tolist()])
    np.testing.assert_allclose(found.outputs, expected[:, 0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.slopes, expected[:, 1], rtol=0, atol=1e-12)


def test_the_slope_of_softplus_is_the_logistic_function() -> None:
    np.testing.assert_allclose(curve("softplus").slopes, curve("logistic").outputs, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "regions"),
    [
        ("logistic", [(-8, log(1 / ((1 + sqrt(0.9)) / 2) - 1)), (-log(1 / ((1 + sqrt(0.9)) / 2) - 1), 8)]),
        ("tanh", [(-8, -atanh(sqrt(0.9))), (atanh(sqrt(0.9)), 8)]),
        ("relu", [(-8, 0)]),
        ("leaky_relu", [(-8, 0)]),
        ("softplus", [(-8, -log(9))]),
        ("linear", []),
    ],
)
def test_learning_is_slow_where_the_slope_is_below_a_tenth_of_its_largest(
    name: FunctionName, regions: list[tuple[float, float]]
) -> None:
    np.testing.assert_allclose(np.ravel(slow_regions(curve(name))), np.ravel(regions), rtol=0, atol=1 / 10)


# ---- A network's units -------------------------------------------------------------------------------------------------


def trained(spec: RunSpec, updates: int = 30) -> Trainer:
    trainer = Trainer(spec, points_dataset(spec.dataset))  # type: ignore[arg-type]
    if updates:
        trainer.advance(updates)
    return trainer


def inputs_by_hand(trainer: Trainer, g: Callable[[float], float]) -> list[npt.NDArray[Any]]:
    """The inputs of every dense layer's units (units, N), worked out one sum at a time."""
    values, found = trainer.splits["train"].look(slice(None)).T.tolist(), []
    for layer in trainer.network.layers:
        if layer.weights is None or layer.biases is None:
            continue
        weights, biases = layer.weights.tolist(), layer.biases.tolist()
        sums = [
            [
                bias + sum(w * a for w, a in zip(row, example, strict=True))
                for row, bias in zip(weights, biases, strict=True)
            ]
            for example in values
        ]
        found.append(np.array(sums).T)
        values = [[g(z) for z in example] for example in sums]
    return found


@pytest.mark.parametrize("bias", [0.0, -1.0, -3.0])
def test_dead_units_are_those_that_a_recount_over_the_whole_training_set_finds(bias: float) -> None:
    trainer = trained(with_hidden_biases(SPEC, bias))
    recount = [
        (number, unit)
        for number, inputs in enumerate(inputs_by_hand(trainer, lambda z: max(z, 0))[:-1], 1)
        for unit, of_unit in enumerate(inputs.tolist(), 1)
        if all(z <= 0 for z in of_unit)
    ]
    dead = dead_units(hidden_layers(trainer, "relu"))
    assert dead == recount
    assert bool(dead) == (bias < 0)


def test_a_dead_unit_gets_no_gradient_from_any_example() -> None:
    trainer = trained(with_hidden_biases(SPEC, -3.0))
    dead = dead_units(hidden_layers(trainer, "relu"))
    train, network = trainer.splits["train"], trainer.network
    largest = [np.zeros(6), np.zeros(5)]
    for example in range(len(train)):
        outputs = network.forward(train.look(slice(example, example + 1)))
        _, gradient = trainer.loss.loss_and_gradient(outputs, train.labels[example : example + 1])
        network.backward(gradient)
        for place, layer in enumerate((network.layers[0], network.layers[2])):
            assert layer.bias_gradients is not None
            largest[place] = np.maximum(largest[place], np.abs(layer.bias_gradients))
    assert dead
    assert all(largest[layer - 1][unit - 1] == 0 for layer, unit in dead)
    assert any(value > 0 for value in largest[0])


def test_a_unit_that_is_flat_at_some_examples_is_not_dead() -> None:
    layer = HiddenLayer(counts=np.zeros(40, np.int64), slow=0.5, slope=0.5, flat=np.array([0.0, 0.99, 1.0, 0.5]))
    assert dead_units([layer, layer]) == [(1, 3), (2, 3)]
    found = hidden_layers(trained(SPEC), "relu")[0]
    assert ((found.flat > 0) & (found.flat < 1)).any()
    assert dead_units([found]) == []


def test_where_the_inputs_fall_is_counted_over_all_training_examples() -> None:
    spec = replace(SPEC, network=(Dense(units=6), Sigmoid(), Dense(units=5), Sigmoid(), Dense(units=2)))
    trainer = trained(with_hidden_biases(spec, -4.0), updates=3)
    found = hidden_layers(trainer, "logistic")
    assert len(found) == 2
    for layer, inputs in zip(found, inputs_by_hand(trainer, logistic), strict=False):
        counts = [0] * 40
        for z in inputs.ravel().tolist():
            counts[min(39, max(0, int((z + 8) / 0.4)))] += 1
        assert np.abs(layer.counts - counts).sum() <= 2  # one may lie on an edge
        assert layer.counts.sum() == inputs.size
        slopes = [exp(-z) / (1 + exp(-z)) ** 2 for z in inputs.ravel().tolist()]
        assert layer.slow == pytest.approx(np.mean([slope < 0.025 for slope in slopes]), abs=1e-2)
        assert layer.slope == pytest.approx(np.mean(slopes), rel=1e-4)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_network_that_has_diverged_can_be_looked_at(name: FunctionName) -> None:
    trainer = trained(SPEC, 0)
    trainer.network.parameters[:] = 3e38
    trainer.network.parameters[::2] = -3e38
    found = hidden_layers(trainer, name)
    assert found[0].counts.sum() == 6 * 30
    assert found[1].counts.sum() < 5 * 30  # ∞ − ∞
    assert all(0 <= layer.slope <= 1 for layer in found)


def test_looking_changes_nothing() -> None:
    alone, watched = trained(SPEC, 0), trained(SPEC, 0)
    for _ in range(5):
        alone.advance(3)
        watched.advance(3)
        hidden_layers(watched, "relu")
    assert np.array_equal(alone.network.parameters, watched.network.parameters)


def test_hidden_units_begin_with_the_bias_and_with_the_weights_of_the_seed() -> None:
    plain, moved = trained(SPEC, 0), trained(with_hidden_biases(SPEC, -2.5), 0)
    for index, layer in enumerate(plain.network.layers):
        other = moved.network.layers[index]
        if layer.weights is not None and layer.biases is not None:
            assert np.array_equal(layer.weights, other.weights)  # type: ignore[arg-type]
            assert (layer.biases == 0).all()
            assert (other.biases == (0 if index == 4 else -2.5)).all()  # type: ignore[union-attr]
    assert with_hidden_biases(SPEC, 0.0) is SPEC
