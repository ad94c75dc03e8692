"""Networks that learn numbers, and those that answer with one output."""

from __future__ import annotations

import numpy as np
import pytest

from engine.datasets.points import points_dataset
from engine.errors import SpecError
from engine.evaluation import evaluate
from engine.losses import HalfSquaredError, MeanSquaredError
from engine.network import Network
from engine.shapes import check_run
from engine.specs import Adam, CurveSpec, Dense, InitializerName, LayerSpec, PlaneSpec, RunSpec, Tanh
from engine.trainer import Trainer

NETWORK: tuple[LayerSpec, ...] = (Dense(units=8), Tanh(), Dense(units=1))


def trainer_of(**changes: object) -> Trainer:
    values: dict[str, object] = {
        "dataset": CurveSpec(kind="sine", points=40, train_share=0.5),
        "network": NETWORK,
        "loss": "mean_squared_error",
        "optimizer": Adam(learning_rate=0.02),
        "batch_size": 5,
        "l2": 0.0,
    }
    spec = RunSpec(**{**values, **changes})  # type: ignore[arg-type]
    assert isinstance(spec.dataset, CurveSpec)
    return Trainer(spec, points_dataset(spec.dataset))


def test_a_number_is_compared_as_it_is() -> None:
    value, gradient = MeanSquaredError().loss_and_gradient(np.array([[3.0, -1.0]]), np.array([1.0, 0.5]))
    assert value == (4 + 2.25) / 2
    assert gradient.tolist() == [[2.0, -1.5]]  # 2 (z − y) / N


def test_one_output_of_two_classes_says_1_for_the_first_and_minus_1_for_the_second() -> None:
    loss, outputs = HalfSquaredError(), np.array([[0.5, 0.5, -2.0]])
    value, gradient = loss.loss_and_gradient(outputs, np.array([0, 1, 1]))
    assert value == pytest.approx((0.125 + 1.125 + 0.5) / 3)
    assert np.allclose(gradient, [[-0.5 / 3, 1.5 / 3, -1 / 3]])
    assert loss.predicted(outputs).tolist() == [0, 0, 1]
    assert loss.probabilities(outputs).tolist() == [[0.75, 0.75, 0.0], [0.25, 0.25, 1.0]]


def test_several_outputs_want_1_for_their_own_class() -> None:
    loss = HalfSquaredError()
    value, gradient = loss.loss_and_gradient(np.array([[1.0], [0.0], [-1.0]]), np.array([2]))
    assert value == pytest.approx((4 + 1 + 4) / 6)
    assert np.allclose(gradient.ravel(), [2 / 3, 1 / 3, -2 / 3])
    assert loss.probabilities(np.array([[1.0], [0.0], [-1.0]])).ravel().tolist() == pytest.approx([2 / 3, 1 / 3, 0])


def test_a_curve_is_learned_and_its_errors_are_those_of_the_formulas() -> None:
    trainer = trainer_of()
    for _ in range(1500):
        result = trainer.step()
    assert result.correct == 0
    judged = evaluate(trainer, "test", crops=4)
    test = trainer.splits["test"]
    outputs = trainer.network.logits(test.look(slice(None)))[0]
    assert judged.predictions == pytest.approx(outputs)
    assert (judged.accuracy, judged.per_class, judged.confusion.size) == (None, [], 0)
    assert judged.loss == pytest.approx(float(np.mean((outputs - test.labels) ** 2)), rel=1e-5)
    assert judged.errors is not None
    spread = float(np.sum((test.labels - test.labels.mean()) ** 2))
    assert judged.errors.r_squared == pytest.approx(1 - judged.loss * len(test) / spread, rel=1e-4)
    assert judged.errors.r_squared > 0.95
    assert judged.errors.mean_absolute_error == pytest.approx(float(np.abs(outputs - test.labels).mean()), rel=1e-5)
    assert judged.errors.root_mean_squared_error == pytest.approx(judged.loss**0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"loss": "softmax_cross_entropy"}, "/loss", "compares classes"),
        ({"network": (Dense(units=2),)}, "/network/0", "one number is to be learned: let the network end with a dense layer of 1 unit"),
        ({"dataset": PlaneSpec(), "network": (Dense(units=1),)}, "/network/0", "has 1 output, but there are 2 classes"),
        ({"dataset": PlaneSpec(), "network": (Dense(units=2),), "loss": "half_squared_error"}, "/network/0", "layer of 1 unit"),
        ({"cores": 2}, "/cores", "one core is enough"),
        ({"dataset": PlaneSpec(features=("x", "x")), "network": (Dense(units=2),)}, "/dataset/features", "told once"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_words(changes: dict[str, object], field: str, words: str) -> None:
    values: dict[str, object] = {"dataset": CurveSpec(), "network": NETWORK, "loss": "mean_squared_error"}
    with pytest.raises(SpecError, match=words) as caught:
        check_run(RunSpec(**{**values, **changes}))  # type: ignore[arg-type]
    assert caught.value.field == field


def network(initializer: InitializerName) -> Network:
    return Network.build(NETWORK, (1,), rng=np.random.default_rng(1), initializer=initializer)


def test_playground_begins_with_small_weights_and_biases_of_a_tenth() -> None:
    first = network("playground").layers[0]
    assert first.weights is not None
    assert 0.3 < np.abs(first.weights).max() <= 0.5
    assert first.biases is not None
    assert np.all(first.biases == np.float32(0.1))


def test_units_that_begin_alike_stay_alike() -> None:
    trainer = trainer_of(initializer="zeros")
    for _ in range(50):
        trainer.step()
    first, last = trainer.network.layers[0], trainer.network.layers[2]
    assert first.weights is not None
    assert last.weights is not None
    assert np.ptp(first.weights) == 0
    assert np.ptp(last.weights) == 0
    assert last.biases is not None
    assert last.biases[0] != 0


def test_each_initializer_draws_its_own_weights() -> None:
    names: list[InitializerName] = ["he_normal", "glorot_uniform", "playground", "zeros"]
    drawn = {name: network(name).parameters.tobytes() for name in names}
    assert len(set(drawn.values())) == 4
    assert network("automatic").parameters.tobytes() == drawn["glorot_uniform"]
