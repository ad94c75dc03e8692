"""A run trains as the textbook says, diverges politely, and goes on after a stop as if there had been none."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from engine.datasets.base import LabelledImages
from engine.datasets.points import points_dataset
from engine.errors import DivergedError, ShapeError, SpecError
from engine.evaluation import Evaluation, EvaluationResult, evaluate
from engine.shapes import check_run
from engine.specs import (
    OPTIMIZER_SPECS,
    SGD,
    Adam,
    CurveSpec,
    Dense,
    MnistSpec,
    MomentumSGD,
    ReLU,
    RunSpec,
    StopSpec,
    Tanh,
)
from engine.trainer import Trainer, TrainerState, fresh_state
from tests.engine import small

LINEAR = (Dense(units=10),)


def trained(steps: int, **changes: Any) -> Trainer:
    trainer = Trainer(small.spec(**changes), small.dataset())
    for _ in range(steps):
        trainer.step()
    return trainer


def assert_same(one: TrainerState, other: TrainerState) -> None:
    """Equal to the last bit, in every field."""
    for field in fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, np.ndarray):
            assert left.tobytes() == right.tobytes(), field.name
        elif field.name == "accumulators":
            assert {name: array.tobytes() for name, array in left.items()} == {name: array.tobytes() for name, array in right.items()}
        else:
            assert left == right, field.name


# ---- A step ------------------------------------------------------------------------------------------------------------


def test_a_step_worked_by_hand() -> None:
    """Softmax regression, plain SGD: the gradient is written out here and compared with what the update did."""
    trainer = Trainer(small.spec(network=LINEAR, optimizer=SGD(learning_rate=0.5), l1=0.01, l2=0.1, batch_size=4), small.dataset())
    layer = trainer.network.layers[0]
    assert layer.weights is not None
    assert layer.biases is not None
    before, biases = layer.weights.astype(float), layer.biases.astype(float)
    twin = Trainer(trainer.spec, small.dataset())
    inputs, labels, _ = twin._next_batch()
    pixels = inputs.reshape(-1, 4).astype(float)

    result = trainer.step()

    logits = before @ pixels + biases[:, None]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=0)
    onehot = np.eye(10)[labels].T
    slope = (probabilities - onehot) / 4
    gradient = slope @ pixels.T + 0.1 * before + 0.01 * np.sign(before)
    np.testing.assert_allclose(layer.weights, before - 0.5 * gradient, atol=2e-6)
    np.testing.assert_allclose(layer.biases, biases - 0.5 * slope.sum(axis=1), atol=2e-6)
    assert result.loss == pytest.approx(-np.log(probabilities[labels, range(4)]).mean(), rel=1e-5)
    assert result.l1_loss == pytest.approx(0.01 * np.abs(before).sum(), rel=1e-5)
    assert result.l2_loss == pytest.approx(0.5 * 0.1 * (before**2).sum(), rel=1e-5)
    assert result.correct == (logits.argmax(axis=0) == labels).sum()
    assert result.examples == 4


def test_a_long_gradient_is_shortened_and_a_short_one_is_not() -> None:
    """Plain SGD with a learning rate of 1: what the weights moved by is the gradient."""

    def moved(clip_norm: float | None) -> np.ndarray:
        trainer = trained(0, network=LINEAR, optimizer=SGD(learning_rate=1), l2=0.1, clip_norm=clip_norm)
        before = trainer.network.parameters.astype(float)
        trainer.step()
        return before - trainer.network.parameters

    free = moved(None)
    length = float(np.linalg.norm(free))
    np.testing.assert_allclose(moved(length / 4), free / 4, atol=1e-6)
    np.testing.assert_array_equal(moved(length * 1.01), free)


def test_clipping_keeps_a_run_that_would_diverge() -> None:
    wild = {"network": (Dense(units=30), ReLU(), Dense(units=10)), "optimizer": SGD(learning_rate=3.0), "l2": 1.0}
    with pytest.raises(DivergedError):
        trained(400, **wild)
    assert trained(400, **wild, clip_norm=0.1).steps == 400


def test_class_weights_and_the_examples_own_weights_multiply() -> None:
    data = small.dataset()
    own = np.linspace(0.5, 2, 70, dtype=np.float32)
    weighted = replace(data, train=LabelledImages(data.train.images, data.train.labels, own))
    of_classes = tuple(float(k) for k in range(10))
    spec = small.spec(network=LINEAR, optimizer=SGD(learning_rate=0.5), l2=0.0, class_weights=of_classes)
    trainer, twin = Trainer(spec, weighted), Trainer(spec, weighted)
    inputs, labels, weights = twin._next_batch()
    chosen = twin._order[:8]
    assert weights is not None
    np.testing.assert_allclose(weights, own[:60][chosen] * labels, rtol=1e-6)

    layer = trainer.network.layers[0]
    assert layer.weights is not None
    before, pixels = layer.weights.astype(float), inputs.reshape(-1, 8).astype(float)
    result = trainer.step()
    powers = np.exp(before @ pixels)
    probabilities = powers / powers.sum(axis=0)
    slope = (probabilities - np.eye(10)[labels].T) * weights / 8
    np.testing.assert_allclose(layer.weights, before - 0.5 * slope @ pixels.T, atol=5e-6)
    assert result.loss == pytest.approx((weights * -np.log(probabilities[labels, range(8)])).mean(), rel=1e-5)


def test_a_class_of_weight_zero_is_not_learned() -> None:
    accuracy = [scores.recall for scores in evaluate(trained(150, class_weights=(0.0,) + (1.0,) * 9, optimizer=Adam()), "test").per_class]
    assert accuracy[0] == 0
    assert min(accuracy[1:]) > 0.5


def test_an_evaluation_weighs_as_the_training_does() -> None:
    of_classes = tuple(float(k) for k in range(10))
    trainer = trained(30, class_weights=of_classes)
    result = in_portions(trainer, 1, 7)
    probabilities, labels = trainer.predict(trainer.splits["test"].images / 255), trainer.splits["test"].labels
    costs = -np.log(probabilities[range(40), labels])
    assert result.loss == pytest.approx((labels * costs).mean(), rel=1e-4)
    assert result.accuracy == (probabilities.argmax(axis=1) == labels).mean()


def test_class_weights_are_one_for_each_class() -> None:
    with pytest.raises(SpecError, match="10 classes and 3 class weights") as caught:
        trained(0, class_weights=(1.0, 2.0, 3.0))
    assert caught.value.field == "/class_weights"


def test_decay_works_on_each_layer_as_its_multipliers_say() -> None:
    """Dead inputs: with all images black a first layer's weights move by decay alone, here by all, half and none of it."""
    data = small.dataset()
    data.train.images[:] = 0

    def moved(**multipliers: float) -> np.ndarray:
        network = (Dense(units=10, **multipliers),)
        trainer = Trainer(small.spec(network=network, optimizer=SGD(learning_rate=1), l1=0.25, l2=0.5), data)
        weights = trainer.network.layers[0].weights
        assert weights is not None
        before = weights.copy()
        result = trainer.step()
        l1_multiplier, l2_multiplier = multipliers.get("l1_multiplier", 1), multipliers.get("l2_multiplier", 1)
        assert result.l1_loss == pytest.approx(l1_multiplier * 0.25 * np.abs(before).sum(), rel=1e-5)
        assert result.l2_loss == pytest.approx(l2_multiplier * 0.25 * (before**2).sum(), rel=1e-5)
        np.testing.assert_allclose(
            before - weights, l1_multiplier * 0.25 * np.sign(before) + l2_multiplier * 0.5 * before, atol=1e-6
        )
        return before - weights

    assert np.abs(moved()).max() > 0.25
    moved(l1_multiplier=0.5)
    moved(l2_multiplier=0.5)
    assert not moved(l1_multiplier=0, l2_multiplier=0).any()


def test_every_epoch_takes_every_example_once_in_a_new_order() -> None:
    data = small.dataset()
    data.train.images[:] = np.arange(70, dtype=np.uint8)[:, None, None]  # an image's brightness is its number
    trainer = Trainer(small.spec(batch_size=7), data)
    batches = [trainer._next_batch()[0].copy() for _ in range(18)]  # 60 examples: some end one epoch and begin the next
    taken = np.concatenate([np.round(batch[0, 0, 0] * 255) for batch in batches]).astype(int).tolist()
    first, second = taken[:60], taken[60:120]
    assert sorted(first) == sorted(second) == list(range(60))
    assert first != second


def test_a_batch_larger_than_the_training_set() -> None:
    trainer = trained(2, batch_size=150)
    assert trainer.examples == 300
    assert trainer.epoch == 5.0


def test_the_clock_is_only_reported() -> None:
    ticks = count()
    trainer = Trainer(small.spec(), small.dataset(), clock=lambda: float(next(ticks)))
    result = trainer.step()
    assert (result.forward_seconds, result.backward_seconds) == (1.0, 2.0)
    assert_same(trainer.state(), trained(1).state())


@pytest.mark.parametrize("optimizer", OPTIMIZER_SPECS)
def test_every_optimizer_learns(optimizer: str) -> None:
    rates = {"sgd": 0.05, "momentum": 0.02, "nesterov": 0.02, "adagrad": 0.02, "rmsprop": 0.005, "adadelta": 1.0, "adam": 0.01, "adamw": 0.01}
    spec = replace(OPTIMIZER_SPECS[optimizer](), learning_rate=rates[optimizer])
    trainer = trained(150, optimizer=spec, l2=0.0)
    assert evaluate(trainer, "test").accuracy == pytest.approx(1, abs=0.1)


def test_the_same_seed_is_the_same_run() -> None:
    assert_same(trained(10).state(), trained(10).state())
    assert trained(10, seed=2).state().parameters.tobytes() != trained(10).state().parameters.tobytes()


def test_one_use_of_randomness_does_not_shift_another() -> None:
    plain = tuple(layer for layer in small.NETWORK if layer.type != "dropout")
    with_dropout, without = trained(9), trained(9, network=plain)
    assert with_dropout.state().generators["order"] == without.state().generators["order"]
    assert with_dropout.state().generators["crops"] == without.state().generators["crops"]


# ---- Changing and resetting ----------------------------------------------------------------------------------------------


def test_hyperparameters_change_while_it_runs() -> None:
    trainer = trained(3, optimizer=MomentumSGD())
    velocity = trainer.optimizer.state["velocity"].copy()
    trainer.change(learning_rate=0.5, momentum=0.1, batch_size=5, l1=0.1, l2=0.2, stop=StopSpec(steps=9), name="new")
    assert trainer.spec == small.spec(
        optimizer=MomentumSGD(learning_rate=0.5, momentum=0.1), batch_size=5, l1=0.1, l2=0.2, stop=StopSpec(steps=9), name="new"
    )
    assert np.array_equal(trainer.optimizer.state["velocity"], velocity)
    assert trainer.step().examples == 5
    trainer.change(optimizer=Adam())
    assert set(trainer.optimizer.state) == {"first_moment", "second_moment"}
    trainer.step()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"learning_rate": -1.0}, "/optimizer/learning_rate"),
        ({"learning_rate": float("nan")}, "/optimizer/learning_rate"),
        ({"momentum": 0.5}, "/optimizer/momentum"),
        ({"batch_size": 0}, "/batch_size"),
        ({"l2": 11.0, "l1": 0.1}, "/l2"),
        ({"network": LINEAR}, "/network"),
        ({"seed": 3}, "/seed"),
    ],
)
def test_an_impossible_change_changes_nothing(changes: dict[str, Any], field: str) -> None:
    trainer = trained(2)
    before = trainer.state()
    with pytest.raises(SpecError) as caught:
        trainer.change(**changes)
    assert caught.value.field == field
    assert_same(trainer.state(), before)


def test_reset_begins_again_with_the_same_weights() -> None:
    trainer = trained(5)
    trainer.reset()
    assert_same(trainer.state(), trained(0).state())
    trainer.reset(seed=9)
    assert_same(trainer.state(), trained(0, seed=9).state())


LINE = RunSpec(
    dataset=CurveSpec(kind="line"),
    network=(Dense(units=2), Tanh(), Dense(units=1)),
    parameters=(0.5, -1.5, 0.25, 2.0, -3.0, 1.0, 0.125),
    loss="mean_squared_error",
    optimizer=SGD(learning_rate=0.01),
    batch_size=5,
)


def test_weights_that_are_written_out_are_those_of_update_0() -> None:
    """Layer by layer, weights unit by unit and then biases, as `Network.parameters` has them."""
    trainer = Trainer(LINE, points_dataset(LINE.dataset))  # type: ignore[arg-type]
    np.testing.assert_array_equal(trainer.network.parameters, np.float32(LINE.parameters))
    first, _, last = trainer.network.layers
    np.testing.assert_array_equal(first.weights, [[0.5], [-1.5]])
    np.testing.assert_array_equal(first.biases, [0.25, 2.0])
    np.testing.assert_array_equal(last.weights, [[-3.0, 1.0]])
    np.testing.assert_array_equal(last.biases, [0.125])
    assert_same(fresh_state(LINE), trainer.state())


def test_a_reset_comes_back_to_written_weights_with_any_seed() -> None:
    trainer = Trainer(LINE, points_dataset(LINE.dataset))  # type: ignore[arg-type]
    order = trainer.state().generators["order"]
    trainer.advance(20)
    assert not np.array_equal(trainer.network.parameters, np.float32(LINE.parameters))
    trainer.reset(seed=9)
    np.testing.assert_array_equal(trainer.network.parameters, np.float32(LINE.parameters))
    assert trainer.state().generators["order"] != order


def test_only_the_initial_weights_are_others_when_they_are_written_out() -> None:
    """Drawn or written, the same weights make the same run."""
    drawn = Trainer(replace(LINE, parameters=None), points_dataset(LINE.dataset))  # type: ignore[arg-type]
    copied = tuple(float(value) for value in drawn.network.parameters)
    written = Trainer(replace(LINE, parameters=copied), drawn.dataset)
    drawn.advance(30)
    written.advance(30)
    np.testing.assert_array_equal(written.network.parameters, drawn.network.parameters)


@pytest.mark.parametrize("count", [6, 8])
def test_as_many_weights_are_written_out_as_the_network_has(count: int) -> None:
    with pytest.raises(SpecError, match=f"has 7 weights and biases, but {count} are written out") as caught:
        check_run(replace(LINE, parameters=(0.5,) * count))
    assert (caught.value.field, caught.value.code) == ("/parameters", "parameter_count")


# ---- Going on exactly ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZER_SPECS)
def test_stopping_and_going_on_leaves_no_trace(optimizer: str) -> None:
    """With dropout, L1 and L2, across an epoch's border, and with the batch size changed live on both sides."""

    def first(trainer: Trainer) -> None:
        for _ in range(3):
            trainer.step()
        trainer.change(batch_size=5)
        for _ in range(4):
            trainer.step()

    def second(trainer: Trainer) -> None:
        for _ in range(3):
            trainer.step()
        trainer.change(batch_size=13)
        for _ in range(3):
            trainer.step()

    spec = small.spec(optimizer=OPTIMIZER_SPECS[optimizer](), l1=1e-4)
    undisturbed = Trainer(spec, small.dataset())
    first(undisturbed)
    saved = undisturbed.state()
    second(undisturbed)
    assert undisturbed.epoch > 1

    resumed = Trainer.from_state(saved, small.dataset())
    assert_same(resumed.state(), saved)
    second(resumed)
    assert_same(resumed.state(), undisturbed.state())


def test_a_state_is_a_copy() -> None:
    trainer = trained(3)
    saved = trainer.state()
    reference = trained(3).state()
    trainer.step()
    assert_same(saved, reference)


def test_going_back_to_an_earlier_state() -> None:
    trainer = trained(3)
    saved = trainer.state()
    trainer.change(learning_rate=2.0, batch_size=3, optimizer=Adam())
    trainer.step()
    trainer.restore(saved)
    assert_same(trainer.state(), saved)
    other = trained(4, loss="hinge", class_weights=tuple(float(k) for k in range(10)))
    trainer.restore(other.state())
    trainer.step()
    other.step()
    assert_same(trainer.state(), other.state())
    with pytest.raises(SpecError, match="another network"):
        trainer.restore(trained(0, network=LINEAR).state())


# ---- Diverging -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [SGD(learning_rate=100), MomentumSGD(learning_rate=100)])
def test_divergence_is_named_before_the_weights_move(optimizer: Any) -> None:
    trainer = trained(0, optimizer=optimizer, l2=10.0)
    before = trainer.state()

    def train() -> None:
        nonlocal before
        for _ in range(10_000):
            before = trainer.state()
            trainer.step()

    with pytest.raises(DivergedError) as caught:
        train()
    assert caught.value.step == trainer.steps + 1 == before.steps + 1
    assert trainer.network.parameters.tobytes() == before.parameters.tobytes()


def test_labels_of_one_class_and_dead_units_are_no_accident() -> None:
    data = small.dataset()
    data.train.labels[:] = 3
    trainer = Trainer(small.spec(network=(ReLU(), Dense(units=10)), optimizer=SGD(learning_rate=0.1)), data)
    for _ in range(60):
        trainer.step()
    assert evaluate(trainer, "validation").accuracy == 1
    assert evaluate(trainer, "validation").per_class[0].recall is None


# ---- Evaluating ------------------------------------------------------------------------------------------------------------


def in_portions(trainer: Trainer, crops: int, portion: int) -> EvaluationResult:
    evaluation = Evaluation(trainer, "test", crops=crops)
    while not evaluation.done:
        evaluation.advance(portion)
    return evaluation.result()


@pytest.mark.parametrize("crops", [1, 3])
def test_portions_do_not_matter(crops: int) -> None:
    trainer = trained(40)
    whole, pieces = in_portions(trainer, crops, 40), in_portions(trainer, crops, 7)
    assert whole.examples == pieces.examples == 40
    assert whole.loss == pytest.approx(pieces.loss, rel=1e-5)
    np.testing.assert_array_equal(whole.predictions, pieces.predictions)
    np.testing.assert_allclose(whole.top_probabilities, pieces.top_probabilities, atol=1e-6)


def test_an_evaluation_agrees_with_predictions() -> None:
    trainer = trained(60)
    result = evaluate(trainer, "test")
    probabilities = trainer.predict(trainer.splits["test"].images / 255)
    labels = trainer.splits["test"].labels
    np.testing.assert_array_equal(result.predictions, probabilities.argmax(axis=1))
    np.testing.assert_allclose(result.top_probabilities[:, 0], probabilities.max(axis=1), rtol=1e-5)
    assert result.loss == pytest.approx(-np.log(probabilities[range(40), labels]).mean(), rel=1e-4)
    assert result.accuracy == (result.predictions == labels).mean()
    assert result.confusion.sum() == 40
    assert (np.diff(result.top_probabilities, axis=1) <= 0).all()


def test_training_between_two_portions_changes_nothing_of_either() -> None:
    trainer, alone = trained(20), trained(20)
    reference = in_portions(alone, 3, 10)
    evaluation = Evaluation(trainer, "test", crops=3)
    while not evaluation.done:
        evaluation.advance(10)
        trainer.step()
        alone.step()
    result = evaluation.result()
    assert result.step == 20
    assert result.loss == reference.loss
    np.testing.assert_array_equal(result.top_probabilities, reference.top_probabilities)
    assert_same(trainer.state(), alone.state())


def test_a_split_without_examples() -> None:
    trainer = Trainer(small.spec(dataset=MnistSpec(train_size=70, validation_size=0, crop=26)), small.dataset())
    evaluation = Evaluation(trainer, "validation", crops=4)
    assert evaluation.done
    evaluation.advance()
    result = evaluation.result()
    assert (result.examples, result.loss, result.accuracy) == (0, None, None)


# ---- Predicting ------------------------------------------------------------------------------------------------------------


def test_predictions_are_probabilities() -> None:
    trainer = trained(5)
    probabilities = trainer.predict(np.zeros((3, 26, 26)))
    assert probabilities.shape == (3, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert trainer.predict(np.zeros((0, 28, 28))).shape == (0, 10)


@pytest.mark.parametrize("images", [np.zeros((28, 28)), np.zeros((1, 27, 27)), np.full((1, 28, 28), 2), np.full((1, 26, 26), np.nan), "ink", [[1, [2]]]])
def test_what_is_no_image_is_refused(images: Any) -> None:
    with pytest.raises(ShapeError):
        trained(0).predict(images)


def test_a_drawing_is_predicted_and_an_empty_one_is_not() -> None:
    trainer = trained(5)
    assert trainer.predict_ink(np.zeros((100, 100))) is None
    answer = trainer.predict_ink(np.tri(100))
    assert answer is not None
    ink, probabilities = answer
    np.testing.assert_allclose(probabilities, trainer.predict(ink.image28[None])[0], rtol=1e-5)


def test_a_spec_that_does_not_fit_the_dataset() -> None:
    with pytest.raises(SpecError, match="10 classes"):
        Trainer(small.spec(network=(Dense(units=9),)), small.dataset())
