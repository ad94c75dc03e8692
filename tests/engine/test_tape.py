"""Small dense networks give on a tape the gradients that they give layer by layer."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine import compiled
from engine.arrays import Truth
from engine.datasets.mnist import load_mnist
from engine.datasets.points import points_dataset
from engine.errors import SpecError
from engine.losses import make_loss
from engine.network import Network
from engine.specs import (
    SGD,
    Adam,
    CurveSpec,
    Dense,
    Dropout,
    LayerSpec,
    LeakyReLU,
    LossName,
    PlaneSpec,
    ReLU,
    RunSpec,
    Sigmoid,
    Softplus,
    Tanh,
)
from engine.tape import CompiledTape, Tape
from engine.tape_losses import TAPED_LOSSES, taped_loss
from engine.taped_training import can_be_taped
from engine.trainer import Trainer

ACTIVATIONS = (None, Tanh(), ReLU(), Sigmoid(), Softplus(), LeakyReLU(slope=0.1), LeakyReLU(slope=0.3))


@st.composite
def dense_networks(draw: st.DrawFn, outputs: int) -> tuple[LayerSpec, ...]:
    layers: list[LayerSpec] = []
    for units in [*draw(st.lists(st.integers(1, 6), max_size=4)), outputs]:
        layers.append(Dense(units=units))
        activation = draw(st.sampled_from(ACTIVATIONS))
        layers += [] if activation is None else [activation]
    return tuple(layers)


@st.composite
def runs(draw: st.DrawFn) -> RunSpec:
    classes = draw(st.sampled_from([0, 2, 3, 5]))
    losses: tuple[LossName, ...] = TAPED_LOSSES if classes else TAPED_LOSSES[1:]
    spec = RunSpec(
        dataset=PlaneSpec(kind="spiral", class_count=classes) if classes else PlaneSpec(kind="plane"),
        loss=draw(st.sampled_from(losses)),
        huber_delta=0.5,
        batch_size=draw(st.integers(1, 12)),
    )
    return replace(spec, network=draw(dense_networks(spec.output_count)))


needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed (the extra `fast`)")

SLOPES = RunSpec(
    dataset=PlaneSpec(),
    network=(
        *(layer for slope in (0.1, 0.3, 0.3, 0.1) for layer in (Dense(units=4), LeakyReLU(slope=slope))),
        Dense(units=2),
    ),
    batch_size=5,
)
"""Neighbours with the same activation, but not the same slopes."""


@settings(deadline=None, derandomize=True, max_examples=100)
@example(SLOPES, 0, 0.1)
@given(runs(), st.integers(0, 99), st.sampled_from([0.1, 30.0]))
def test_a_tape_equals_the_plain_layers_and_the_plain_loss(spec: RunSpec, seed: int, size: float) -> None:
    """Two batches in two blocks, one after the other, with small and with very large numbers."""
    compare(Tape, spec, seed, size)


@needs_numba
@settings(deadline=None, derandomize=True, max_examples=50)
@example(SLOPES, 0, 0.1)
@given(runs(), st.integers(0, 99), st.sampled_from([0.1, 30.0]))
def test_compiled_code_computes_the_same(spec: RunSpec, seed: int, size: float) -> None:
    compare(CompiledTape, replace(spec, compiled=True), seed, size)


def compare(kind: type[Tape], spec: RunSpec, seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    network = Network.build(spec.network, (3,), rng=rng, dtype=np.float64)
    network.parameters += rng.normal(scale=size, size=network.parameters.size)
    encoded = taped_loss(spec, spec.output_count, np.float64)
    tape = kind(network.layers, encoded, np.float64, spec.batch_size, blocks=2)
    loss = make_loss(spec)
    for block in (0, 1, 0):
        inputs = rng.normal(size=(3, spec.batch_size))
        truth: Truth = rng.normal(size=spec.batch_size)
        if spec.dataset.classes:
            truth = rng.integers(0, len(spec.dataset.classes), spec.batch_size)
        outputs = network.forward(inputs, training=True)
        network.backward(loss.loss_and_gradient(outputs, truth)[1])

        tape.weights[:] = network.parameters[tape.places]
        tape.inputs[block], tape.targets[block] = inputs, encoded.encode(truth)
        tape.weight_gradients.fill(np.nan)
        for function, arguments in tape.calls(block):
            function(*arguments)
        np.testing.assert_allclose(tape.outputs[block], outputs, rtol=1e-11, atol=1e-12)
        expected = network.gradients[tape.places]
        np.testing.assert_allclose(tape.weight_gradients, expected, rtol=0, atol=1e-12 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("kind", [Tape, pytest.param(CompiledTape, marks=needs_numba)])
@pytest.mark.parametrize("activation", ACTIVATIONS[1:], ids=str)
def test_slopes_at_exactly_zero(activation: LayerSpec, kind: type[Tape]) -> None:
    """With all weights zero, as the lesson on symmetry has them, every unit stands where ReLUs have their corner."""
    network_spec = (Dense(units=3), activation, Dense(units=2))
    spec = RunSpec(dataset=PlaneSpec(), network=network_spec, batch_size=4, compiled=kind is CompiledTape)
    network = Network(spec.network, (2,), np.float64)
    encoded = taped_loss(spec, 2, np.float64)
    tape = kind(network.layers, encoded, np.float64, 4, blocks=1)
    network.parameters[9:15] = np.arange(6)  # those of the outputs: something comes back
    inputs, labels = np.ones((2, 4)), np.array([0, 1, 0, 0])
    network.backward(make_loss(spec).loss_and_gradient(network.forward(inputs, training=True), labels)[1])
    tape.weights[:] = network.parameters[tape.places]
    tape.inputs[0], tape.targets[0] = inputs, encoded.encode(labels)
    for function, arguments in tape.calls(0):
        function(*arguments)
    np.testing.assert_allclose(tape.weight_gradients, network.gradients[tape.places], rtol=0, atol=1e-15)


def test_logits_far_apart_overflow_nothing() -> None:
    for classes in (2, 3):
        spec = RunSpec(
            dataset=PlaneSpec(kind="spiral", class_count=classes), network=(Dense(units=classes),), batch_size=2
        )
        network = Network(spec.network, (2,))
        encoded = taped_loss(spec, classes, np.float32)
        tape = Tape(network.layers, encoded, np.float32, 2, blocks=1)
        tape.weights[:] = np.linspace(-500, 500, tape.weights.size)
        tape.inputs[0], tape.targets[0] = 1, encoded.encode(np.array([0, 1]))
        for function, arguments in tape.calls(0):
            function(*arguments)
        assert np.isfinite(tape.weight_gradients).all()


def test_which_runs_are_taped() -> None:
    """The spec alone decides."""

    def taped(*network: LayerSpec, **changes: object) -> bool:
        return can_be_taped(RunSpec(**{"dataset": PlaneSpec(), "network": network, **changes}))  # type: ignore[arg-type]

    assert taped(Dense(units=4), Tanh(), Dense(units=2))
    assert taped(Dense(units=4), Softplus(), Dense(units=4), ReLU(), Dense(units=2))
    assert taped(*[layer for _ in range(8) for layer in (Dense(units=16), Tanh())], Dense(units=6))
    assert taped(Dense(units=1), dataset=CurveSpec(), loss="huber")
    assert not taped(Dense(units=4), Tanh(), Dropout(), Dense(units=2))
    assert not taped(Dense(units=4), Tanh(), Sigmoid(), Dense(units=2))
    assert not taped(Tanh(), Dense(units=2))
    assert not taped(Dense(units=1000), Tanh(), Dense(units=2))
    assert not taped(Dense(units=2), loss="hinge")
    assert not taped(Dense(units=2), class_weights=(1.0, 2.0))
    assert not taped(Dense(units=2), cores=2)
    assert not can_be_taped(RunSpec(network=(Dense(units=2), Dense(units=10))))


@needs_numba
def test_a_compiled_run_learns_what_the_other_does_and_is_the_same_every_time() -> None:
    plain_descent = SGD(learning_rate=0.01)
    spec = replace(SLOPES, dataset=PlaneSpec(points=100), compiled=True, l1=1e-3, l2=1e-3, optimizer=plain_descent)
    trainers = [Trainer(each, points_dataset(each.dataset)) for each in (spec, spec, replace(spec, compiled=False))]
    for trainer, pieces in zip(trainers, ((300,), (100, 7, 193), (300,)), strict=True):
        for count in pieces:
            trainer.advance(count)
    first, again, plain = (trainer.network.parameters for trainer in trainers)
    assert np.array_equal(first, again)
    np.testing.assert_allclose(first, plain, rtol=0, atol=1e-3)
    with_memory = replace(spec, optimizer=Adam())
    other, others = (Trainer(each, points_dataset(each.dataset)) for each in (with_memory, replace(with_memory, compiled=False)))
    other.advance(200)
    others.advance(200)
    np.testing.assert_allclose(other.network.parameters, others.network.parameters, rtol=0, atol=1e-3)


def test_what_cannot_be_compiled_says_so() -> None:
    with pytest.raises(SpecError, match="4,000 parameters") as refused:
        Trainer(RunSpec(compiled=True), load_mnist())
    assert refused.value.field == "/compiled"


def test_without_numba_a_compiled_run_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "find_spec", lambda _: None)
    spec = replace(SLOPES, compiled=True)
    with pytest.raises(SpecError, match="pip install"):
        Trainer(spec, points_dataset(spec.dataset))
