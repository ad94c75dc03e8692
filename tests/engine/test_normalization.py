"""Normalization: numbers worked by hand, numeric gradients, and what stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import specs
from engine.errors import SpecError
from engine.evaluation import evaluate
from engine.formats import checkpoint, native
from engine.gradcheck import check_gradients
from engine.layers import BatchNormalization, LocalResponseNormalization
from engine.losses import LOSSES, Loss
from engine.network import Network
from engine.shapes import plan
from engine.specs import LocalResponseNormalization as Spec
from engine.trainer import Trainer
from tests.engine import small
from tests.engine.gradients import attach_random, layer_errors
from tests.engine.test_layers import LIMIT, batch
from tests.engine.test_trainer import assert_same

properties = settings(max_examples=25, deadline=None, derandomize=True)


class TestLocalResponse:
    def test_hand_worked(self) -> None:
        layer = LocalResponseNormalization((4,), k=1, n=3, alpha=3, beta=1, dtype=np.float64)
        outputs = layer.forward(batch([1, 2, 0, 3]))
        # s = 1 + 3/3 · (squares of the neighbours and its own): 1+1+4, 1+1+4+0, 1+4+0+9, 1+0+9
        np.testing.assert_allclose(outputs[:, 0], [1 / 6, 2 / 6, 0 / 14, 3 / 10], rtol=1e-15)
        gradients = layer.backward(batch([1, 0, 0, 0]))
        # of 1/6 by its own channel: 1/6 − 2·1·1/36, by its neighbour: −2·2·1/36
        np.testing.assert_allclose(gradients[:, 0], [1 / 6 - 2 / 36, -4 / 36, 0, 0], rtol=1e-15)

    def test_does_nothing_without_strength(self) -> None:
        layer = LocalResponseNormalization((3, 2, 2), k=1, alpha=0, dtype=np.float64)
        maps = np.random.default_rng(0).normal(size=(3, 2, 2, 2))
        assert np.array_equal(layer.forward(maps), maps)
        assert np.array_equal(layer.backward(maps), maps)

    @properties
    @given(
        st.integers(1, 6), st.lists(st.integers(1, 3), max_size=2), st.sampled_from([1, 3, 5, 9]),
        st.floats(0.5, 3), st.floats(0, 5), st.floats(0, 2), st.integers(0, 99),
    )  # fmt: skip
    def test_gradients(
        self, channels: int, places: list[int], n: int, k: float, alpha: float, beta: float, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        shape = (channels, *(places if len(places) == 2 else []))
        layer = LocalResponseNormalization(shape, k, n, alpha, beta, np.float64)
        assert layer_errors(layer, rng.normal(size=(*shape, 2)), rng)["inputs"] < LIMIT

    @properties
    @given(st.integers(1, 7), st.sampled_from([1, 3, 5, 63]), st.integers(0, 99))
    def test_equals_its_definition(self, channels: int, n: int, seed: int) -> None:
        inputs = np.random.default_rng(seed).normal(size=(channels, 2, 2, 2))
        outputs = LocalResponseNormalization((channels, 2, 2), 1.5, n, 0.7, 0.6, np.float64).forward(inputs)
        for c in range(channels):
            near = inputs[max(0, c - n // 2) : c + n // 2 + 1]
            expected = inputs[c] / (1.5 + 0.7 / n * (near**2).sum(axis=0)) ** 0.6
            np.testing.assert_allclose(outputs[c], expected, rtol=1e-13)

    def test_an_even_number_of_neighbours_is_refused(self) -> None:
        with pytest.raises(
            SpecError, match=r"of 4 neighbours none is in the middle\. Choose an odd number, 3 or 5"
        ) as caught:
            plan([Spec(n=4)], (8, 4, 4))
        assert caught.value.field == "/network/0/n"


def batch_normalization(shape: tuple[int, ...], **numbers: float) -> BatchNormalization:
    layer = BatchNormalization(shape, **numbers, dtype=np.float64)
    layer.attach(np.zeros(layer.parameter_count), np.zeros(layer.parameter_count))
    layer.begin()
    return layer


NETWORK = (
    specs.Conv2D(filters=3, kernel_size=3), specs.BatchNormalization(), specs.ReLU(), specs.MaxPool2D(),
    specs.Dense(units=10), specs.BatchNormalization(memory=0.5),
)  # fmt: skip


class TestBatch:
    def test_hand_worked(self) -> None:
        layer = batch_normalization((1,), memory=0.75, epsilon=1.0)
        layer.training = True
        layer.weights[0], layer.biases[0] = 10, 5
        # mean 3, variance ((−2)² + 0 + 2² + 0) / 4 = 2, and 8/3 to remember; √(2 + 1)
        outputs = layer.forward(np.array([[1.0, 3, 5, 3]]))
        np.testing.assert_allclose(outputs, [[5 - 20 / 3**0.5, 5, 5 + 20 / 3**0.5, 5]], rtol=1e-15)
        np.testing.assert_allclose(layer.statistics, [[0.25 * 3], [0.75 + 0.25 * 8 / 3]], rtol=1e-15)
        gradients = layer.backward(np.array([[1.0, 0, 0, 0]]))
        # ẑ = (−2, 0, 2, 0)/√3; mean of g = 1/4, of g·ẑ = −2/(4√3); times 10/√3
        expected = [10 / 3**0.5 * (g - 1 / 4 + z / 3 / 2) for g, z in ((1, -2), (0, 0), (0, 2), (0, 0))]
        np.testing.assert_allclose(gradients[0], expected, rtol=1e-14)
        assert layer.weight_gradients[0] == pytest.approx(-2 / 3**0.5)
        assert layer.bias_gradients[0] == 1

    def test_running_statistics_serve_outside_of_training(self) -> None:
        layer = batch_normalization((2, 1, 1), epsilon=1.0)
        layer.statistics[:] = [[1, 0], [3, 8]]
        assert layer.forward(batch([[[5]], [[6]]])).ravel().tolist() == [2, 2]
        assert layer.backward(batch([[[2]], [[3]]])).ravel().tolist() == [1, 1]
        assert layer.statistics.tolist() == [[1, 0], [3, 8]]

    @pytest.mark.parametrize("training", [True, False])
    @properties
    @given(st.integers(1, 3), st.lists(st.integers(1, 3), max_size=2), st.integers(1, 4), st.integers(0, 99))
    def test_gradients(self, training: bool, channels: int, places: list[int], size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shape = (channels, *(places if len(places) == 2 else []))
        layer = BatchNormalization(shape, epsilon=0.01, dtype=np.float64)
        attach_random(layer, rng)
        layer.training = training
        assert max(layer_errors(layer, rng.normal(size=(*shape, size)), rng).values()) < LIMIT

    def test_a_batch_of_equal_values_becomes_the_shift(self) -> None:
        layer = batch_normalization((2, 2, 2))
        layer.training = True
        layer.biases[:] = 4
        assert (layer.forward(np.full((2, 2, 2, 3), 7.0)) == 4).all()
        assert np.isfinite(layer.backward(np.ones((2, 2, 2, 3)))).all()

    def test_a_batch_that_diverged_is_not_remembered(self) -> None:
        layer = batch_normalization((1,))
        layer.training = True
        with np.errstate(invalid="ignore"):
            layer.forward(np.array([[1.0, np.inf]]))
        assert layer.statistics.tolist() == [[0], [1]]

    @pytest.mark.parametrize("loss", [make() for make in LOSSES.values()], ids=lambda loss: type(loss).__name__)
    def test_gradients_of_a_network(self, loss: Loss) -> None:
        rng = np.random.default_rng(0)
        network = Network.build(NETWORK, (1, 8, 8), rng=rng)
        checks = check_gradients(network, loss, rng.normal(size=(1, 8, 8, 4)), rng.integers(0, 10, 4), limit=20)
        assert [(check.layer, check.group) for check in checks][2:4] == [
            ("Batch normalization 1", "weights"), ("Batch normalization 1", "biases"),
        ]  # fmt: skip
        assert max(check.error for check in checks) < LIMIT

    def test_names_and_counts(self) -> None:
        first, last = (plan(NETWORK, (1, 8, 8))[place] for place in (1, 5))
        assert (first.name, first.parameters, first.parameter_formula) == ("Batch normalization 1", 12, "4·3 = 12")
        assert (last.name, last.parameters, last.multiply_adds) == ("Batch normalization 2", 40, 10)


class TestTrainingWithBatches:
    def test_scales_and_shifts_are_not_decayed_and_statistics_no_gradient_s(self) -> None:
        network = Network.build(NETWORK, (1, 8, 8), rng=np.random.default_rng(0))
        normalization = network.layers[1]
        for mask in (network.l1_mask, network.l2_mask):
            assert mask.sum() == 3 * 9 + 10 * 27
        network.gradients.fill(0)
        network.backward(network.forward(np.random.default_rng(1).random((1, 8, 8, 4)), training=True))
        assert normalization.statistics is not None
        assert (network.gradients != 0).sum() <= network.gradients.size - 2 * normalization.statistics.shape[1]
        start = 3 * 9 + 3
        assert not network.gradients[start + 6 : start + 12].any()

    def test_evaluating_and_looking_on_change_nothing(self) -> None:
        trainer = Trainer(small.spec(network=NETWORK), small.dataset())
        trainer.step()
        before = trainer.state()
        evaluate(trainer, "test")
        trainer.network.trace(np.ones((1, 26, 26, 1), np.float32), 3, trainer.loss)
        trainer.probabilities(np.ones((1, 26, 26, 5), np.float32))
        assert_same(trainer.state(), before)

    def test_one_example_is_judged_alone_as_among_others(self) -> None:
        trainer = Trainer(small.spec(network=NETWORK), small.dataset())
        for _ in range(10):
            trainer.step()
        inputs = np.random.default_rng(0).random((1, 26, 26, 5), dtype=np.float32)
        alone = trainer.probabilities(inputs[..., 2:3])
        np.testing.assert_allclose(trainer.probabilities(inputs)[2:3], alone, rtol=1e-5)
        traced = trainer.network.trace(inputs[..., 2:3], None, trainer.loss)
        np.testing.assert_allclose(traced.probabilities, alone[0], rtol=1e-5)

    @pytest.mark.parametrize("optimizer", specs.OPTIMIZER_SPECS.values(), ids=lambda spec: spec().name)
    def test_saved_and_gone_on_is_the_same_to_the_last_bit(
        self, optimizer: type[specs.OptimizerSpec], tmp_path: Path
    ) -> None:
        spec = small.spec(network=NETWORK, optimizer=optimizer(), l2=0.01)
        undisturbed = Trainer(spec, small.dataset())
        for _ in range(10):
            undisturbed.step()
        file = tmp_path / "run"
        checkpoint.write(file, native.dump(undisturbed.state()))
        other = Trainer.from_state(checkpoint.read(file), small.dataset())
        for trainer in (undisturbed, other):
            for _ in range(10):
                trainer.step()
        assert_same(other.state(), undisturbed.state())
        statistics = other.network.layers[1].statistics
        assert statistics is not None
        assert (statistics[1] != 1).all()
        assert (statistics[1] > 0).all()
