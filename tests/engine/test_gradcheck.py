"""Whole networks against numeric gradients: every layer with every loss; and the check itself can fail."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import specs
from engine.arrays import Array
from engine.datasets.points import points_dataset
from engine.errors import ShapeError, SpecError
from engine.gradcheck import check_gradients, of_run, relative_error
from engine.layers import Convolution, Dense, Tanh
from engine.layers.convolution import SlidingFilters
from engine.losses import LOSSES, Loss
from engine.network import Network
from engine.specs import CurveSpec
from engine.trainer import Trainer
from tests.engine import small
from tests.engine.portions import finished_in_portions
from tests.engine.test_trainer import assert_same

every_loss = pytest.mark.parametrize(
    "loss", [make() for make in LOSSES.values()], ids=lambda loss: type(loss).__name__
)


def worst(network: Network, loss: Loss, seed: int, examples: int = 3) -> float:
    rng = np.random.default_rng(seed)
    network.parameters += rng.normal(scale=0.1, size=network.parameters.size).astype(network.dtype)
    inputs = rng.normal(size=(*network.input_shape, examples))
    labels = rng.integers(0, np.prod(network.output_shape), examples)
    return max(check.error for check in check_gradients(network, loss, inputs, labels, limit=20))


@every_loss
@pytest.mark.parametrize("spec", [cls() for cls in specs.LAYER_SPECS.values()], ids=lambda spec: spec.type)
def test_every_layer_with_every_loss(spec: specs.LayerSpec, loss: Loss) -> None:
    """Between two layers with parameters, so that gradients must go through it."""
    around = (specs.Conv2D(filters=4, kernel_size=3, padding=1), spec, specs.Dense(units=4))
    network = Network.build(around, (2, 7, 7), rng=np.random.default_rng(0))
    assert worst(network, loss, seed=1) < 1e-5


@st.composite
def networks(draw: st.DrawFn) -> list[specs.LayerSpec]:
    """Any layers in any order, most of them possible."""
    convolution = st.builds(
        specs.Conv2D,
        filters=st.integers(1, 5),
        kernel_size=st.integers(1, 5),
        stride=st.integers(1, 3),
        padding=st.integers(0, 3),
    )
    pool = st.builds(specs.MaxPool2D, pool_size=st.integers(1, 3), stride=st.integers(1, 3))
    other = st.sampled_from([cls() for name, cls in specs.LAYER_SPECS.items() if name not in ("conv2d", "max_pool2d")])
    return [*draw(st.lists(st.one_of(convolution, convolution, pool, pool, other), max_size=5)), specs.Dense(units=3)]


@every_loss
@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks(), st.integers(0, 999))
def test_layers_in_any_order(loss: Loss, layers: list[specs.LayerSpec], seed: int) -> None:
    try:
        network = Network.build(layers, (2, 8, 7), rng=np.random.default_rng(seed))
    except SpecError:
        return
    assert worst(network, loss, seed, examples=2) < 1e-5


def wrong_bias(self: Dense, gradients: Array) -> None:
    np.matmul(gradients, self._columns.T, out=self.weight_gradients)
    np.sum(gradients[:, 1:], axis=1, out=self.bias_gradients)


def wrong_kernel(self: Convolution, gradients: Array) -> None:
    SlidingFilters._parameter_gradients(self, gradients)
    self.weight_gradients[...] = self.weight_gradients.swapaxes(2, 3).copy()


def wrong_slope(self: Tanh, gradients: Array) -> Array:
    return np.multiply(gradients, 1 - self._outputs, out=self._slopes)


@pytest.mark.parametrize(
    ("layer", "method", "mistake", "noticed"),
    [
        (Dense, "_parameter_gradients", wrong_bias, [(2, "biases")]),
        (Convolution, "_parameter_gradients", wrong_kernel, [(0, "weights")]),
        (Tanh, "_input_gradients", wrong_slope, [(0, "weights"), (0, "biases")]),
    ],
)
def test_a_mistake_is_noticed_where_it_is(
    monkeypatch: pytest.MonkeyPatch, layer: type, method: str, mistake: object, noticed: list[tuple[int, str]]
) -> None:
    monkeypatch.setattr(layer, method, mistake)
    layers = (specs.Conv2D(filters=3, kernel_size=3), specs.Tanh(), specs.Dense(units=4))
    network = Network.build(layers, (1, 6, 6), rng=np.random.default_rng(0))
    rng = np.random.default_rng(1)
    checks = check_gradients(network, LOSSES["softmax_cross_entropy"](), rng.normal(size=(1, 6, 6, 3)), np.arange(3))
    assert [(check.index, check.group) for check in checks if check.error > 1e-3] == noticed


def test_a_slope_between_the_two_sides_of_a_kink_is_right() -> None:
    slopes = np.array([[1.0, 2.0], [0.0, 2.0]])
    assert relative_error(slopes, np.array([0.3, 2.0])) == 0
    assert relative_error(slopes, np.array([1.3, 2.0])) > 0.05


def test_the_network_stays_as_it_is() -> None:
    network = Network.build((specs.Dropout(), specs.Dense(units=3)), (1, 2, 2), rng=np.random.default_rng(0))
    network.gradients.fill(7)
    before = network.parameters.copy()
    check_gradients(network, LOSSES["softmax_cross_entropy"](), np.ones((1, 2, 2, 1)), np.zeros(1, np.int64))
    assert np.array_equal(network.parameters, before)
    assert (network.gradients == 7).all()


def test_a_run_is_checked_on_its_own_examples() -> None:
    """Images and points, classes and numbers, with and without kinks; every group of parameters is named with its size."""
    curve = CurveSpec(points=10)
    of_numbers = specs.RunSpec(
        dataset=curve, network=(specs.Dense(units=5), specs.Sigmoid(), specs.Dense(units=1)), loss="mean_squared_error"
    )
    trainers = (
        Trainer(small.spec(), small.dataset()),
        Trainer(of_numbers, points_dataset(curve)),
    )
    for trainer in trainers:
        for _ in range(5):
            trainer.step()
        before = trainer.state()
        found = finished_in_portions(of_run(trainer))
        assert found["worst"] < 1e-5
        assert all(0 < group["difference"] < 1e-5 for group in found["groups"])
        assert sum(group["size"] for group in found["groups"]) == trainer.network.parameters.size
        assert all(0 < group["checked"] <= group["size"] for group in found["groups"])
        assert (found["step"], found["examples"]) == (5, 4)
        assert_same(trainer.state(), before)
    assert [(group["index"], group["group"]) for group in found["groups"]] == [
        (0, "weights"), (0, "biases"), (2, "weights"), (2, "biases"),
    ]  # fmt: skip


def test_a_run_with_a_wrong_layer_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dense, "_parameter_gradients", wrong_bias)
    assert finished_in_portions(of_run(Trainer(small.spec(), small.dataset())))["worst"] > 0.1


def test_a_diverged_run_has_nothing_to_check() -> None:
    trainer = Trainer(small.spec(), small.dataset())
    trainer.network.parameters[0] = np.inf
    with pytest.raises(ShapeError, match="no numbers any more"):
        finished_in_portions(of_run(trainer))
