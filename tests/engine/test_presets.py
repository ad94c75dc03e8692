"""Every preset can be built on MNIST and learns; the default run reaches the accuracy that is promised."""

from __future__ import annotations

from dataclasses import replace
from time import process_time

import pytest

from engine.datasets.mnist import load_mnist
from engine.evaluation import evaluate
from engine.presets import PRESETS
from engine.specs import Adadelta, RunSpec
from engine.trainer import Trainer
from engine.training import train
from engine.validation import read_run_spec


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_legal_and_learns(name: str) -> None:
    preset = PRESETS[name]
    assert preset.name == name == preset.spec.name
    assert read_run_spec(preset.spec.to_dict()) == preset.spec
    trainer = Trainer(preset.spec, load_mnist())
    losses = [trainer.step().loss for _ in range(200)]
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])


def test_digits_is_the_page_of_convnetjs() -> None:
    spec = PRESETS["digits"].spec
    trainer = Trainer(spec, load_mnist())
    assert trainer.network.parameters.size == 5_994
    assert spec.optimizer == Adadelta(learning_rate=1, rho=0.95, epsilon=1e-6)
    assert (spec.batch_size, spec.dataset.crop, spec.dataset.test_crops) == (20, 24, 4)
    assert spec.l2 * spec.batch_size == pytest.approx(0.001)  # convnetjs divides its 0.001 by the batch size
    assert spec == RunSpec(stop=spec.stop)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in (2, 3, 4, 5))])
def test_98_percent_in_half_a_pass(seed: int) -> None:
    """Test accuracy on the centres of all 10,000 images; measured 98.4 to 98.6 %, in 3 s of one core."""
    trainer = Trainer(replace(PRESETS["digits-quick"].spec, seed=seed), load_mnist())
    started = process_time()
    reports = list(train(trainer))
    seconds = process_time() - started
    accuracy = evaluate(trainer, "test").accuracy
    print(f"\nseed {seed}: {accuracy:.2%} after {trainer.examples:,} examples, {seconds:.1f} s of processor time")
    assert reports[-1].stopped == ["steps"]
    assert trainer.examples == 28_000
    assert accuracy is not None
    assert accuracy >= 0.98


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_default_run_reaches_its_accuracy(seed: int) -> None:
    """Test accuracy on all 10,000 images, four crops each: 97.8 % after one epoch, 98.6 % after three."""
    trainer = Trainer(RunSpec(seed=seed), load_mnist())
    accuracies = []
    for _ in range(3):
        while trainer.examples < (len(accuracies) + 1) * 54_000:
            trainer.step()
        accuracies.append(evaluate(trainer, "test", crops=trainer.spec.dataset.test_crops).accuracy)
    print(f"\nseed {seed}: " + ", ".join(f"{accuracy:.2%}" for accuracy in accuracies if accuracy is not None))
    assert accuracies[0] is not None
    assert accuracies[2] is not None
    assert accuracies[0] >= 0.978
    assert accuracies[2] >= 0.986
