"""Two cores give what one gives that computes both halves, to the last bit."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.arrays import Array
from engine.errors import ShapeError, SpecError
from engine.evaluation import evaluate
from engine.formats import native
from engine.network import Network
from engine.parallel import SecondCore
from engine.specs import Conv2D, Dense, Dropout, MaxPool2D, ReLU, RunSpec, demo_network
from engine.trainer import Trainer
from tests.engine import small

NETWORK = (Conv2D(filters=2, kernel_size=3), ReLU(), MaxPool2D(), Dropout(rate=0.3), Dense(units=10))

DIGITS = Network(demo_network(), (1, 24, 24))


def spec(**changes: object) -> RunSpec:
    return small.spec(**{"network": NETWORK, "cores": 2, "batch_size": 34, **changes})


@pytest.fixture(autouse=True)
def shares_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.network.SMALLEST_SHARE", 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 1024), st.integers(1, 2))
def test_shares_cover_the_batch_evenly(batch_size: int, cores: int) -> None:
    found = DIGITS.shares(batch_size, cores)
    sizes = [share.stop - share.start for share in found]
    assert [i for share in found for i in range(share.start, share.stop)] == list(range(batch_size))
    assert len(found) == min(cores, batch_size)
    assert max(sizes) - min(sizes) <= 1


def test_a_batch_too_small_to_be_faster_in_halves_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [len(DIGITS.shares(batch_size, 2)) for batch_size in (1, 20, 23, 24, 256)] == [1, 1, 1, 2, 2]
    assert len(DIGITS.shares(256, 1)) == 1
    one, two = (Trainer(replace(spec(batch_size=20), cores=cores), small.dataset()) for cores in (1, 2))
    assert one.step() == two.step()
    assert np.array_equal(one.network.parameters, two.network.parameters)


def test_a_second_process_changes_nothing_whenever_it_comes_or_goes() -> None:
    dataset = small.dataset()
    alone, helped = Trainer(spec(), dataset), Trainer(spec(), dataset)
    for _ in range(3):
        assert alone.step() == helped.step()
    with SecondCore(helped):
        for batch_size in (34, 7, 1, 64):
            alone.change(batch_size=batch_size)
            helped.change(batch_size=batch_size)
            assert alone.step() == helped.step()
    assert helped.second_core is None
    assert alone.step() == helped.step()
    assert np.array_equal(alone.network.parameters, helped.network.parameters)
    assert native.dump(alone.state()) == native.dump(helped.state())


def test_two_halves_are_the_batch() -> None:
    plain = tuple(layer for layer in NETWORK if not isinstance(layer, Dropout))
    whole, halves = (Trainer(replace(spec(), network=plain, cores=cores), small.dataset()) for cores in (1, 2))
    for _ in range(2):
        one, two = whole.step(), halves.step()
        assert one.loss == pytest.approx(two.loss, rel=1e-6)
        assert one.correct == two.correct
        np.testing.assert_allclose(halves.network.gradients, whole.network.gradients, atol=1e-5)


def test_weights_of_classes_reach_the_second_half() -> None:
    weighted = spec(class_weights=tuple(float(i) for i in range(10)))
    alone, helped = Trainer(weighted, small.dataset()), Trainer(weighted, small.dataset())
    with SecondCore(helped):
        assert alone.step() == helped.step()


@pytest.mark.parametrize("count", [0, 1, 64, 65, 100, 1000, 1100])
def test_a_second_process_judges_to_the_same_bits(count: int) -> None:
    alone, helped = (Trainer(spec(), small.dataset()) for _ in range(2))
    inputs = np.random.default_rng(0).random((*alone.network.input_shape, count), np.float32)
    expected = alone.logits(inputs)
    with SecondCore(helped):
        assert np.array_equal(helped.logits(inputs), expected)
        assert alone.step() == helped.step()
        assert np.array_equal(helped.logits(inputs), alone.logits(inputs))
    assert evaluate(helped, "test").loss == evaluate(alone, "test").loss


def test_two_cores_share_the_chunks_in_which_they_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(spec(), small.dataset())
    inputs = np.random.default_rng(0).random((*trainer.network.input_shape, 100), np.float32)
    with SecondCore(trainer):
        seen: list[int] = []
        forward = trainer.network._evaluation.forward

        def count(inputs: Array) -> Array:
            seen.append(inputs.shape[-1])
            return forward(inputs)

        monkeypatch.setattr(trainer.network._evaluation, "forward", count)
        monkeypatch.setattr(trainer.network, "chunk", 60)
        trainer.logits(inputs)
    assert seen == [30, 30]


def test_whoever_waits_long_falls_asleep_and_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, helped = (Trainer(spec(), small.dataset()) for _ in range(2))
    with SecondCore(helped):
        monkeypatch.setattr("engine.parallel.WATCH_SECONDS", 0.0)
        for _ in range(3):
            assert alone.step() == helped.step()


def test_a_process_that_ends_while_it_judges_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, helped = (Trainer(spec(), small.dataset()) for _ in range(2))
    inputs = np.random.default_rng(0).random((*alone.network.input_shape, 300), np.float32)
    with SecondCore(helped) as second:
        send = second._send

        def send_and_die(message: bytes) -> bool:
            os.kill(second._process.pid, signal.SIGSTOP)  # so that it cannot have answered
            sent = send(message)
            second._process.kill()
            return sent

        monkeypatch.setattr(second, "_send", send_and_die)
        assert np.array_equal(helped.logits(inputs), alone.logits(inputs))
        assert helped.second_core is None
        assert np.array_equal(helped.logits(inputs), alone.logits(inputs))


def test_inputs_that_do_not_fit_leave_the_second_process_as_it_was() -> None:
    alone, helped = (Trainer(spec(), small.dataset()) for _ in range(2))
    with SecondCore(helped):
        with pytest.raises(ShapeError):
            helped.logits(np.zeros((1, 3, 3, 100), np.float32))
        assert alone.step() == helped.step()
        assert helped.second_core is not None


def test_a_process_that_ends_is_no_deadlock_and_loses_nothing() -> None:
    alone, helped = (Trainer(spec(), small.dataset()) for _ in range(2))
    with SecondCore(helped) as second:
        assert alone.step() == helped.step()
        second._process.kill()
        second._process.wait()
        for _ in range(3):
            assert alone.step() == helped.step()
        assert helped.second_core is None
    assert native.dump(alone.state()) == native.dump(helped.state())


def test_a_process_that_ends_in_the_middle_of_a_batch_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, helped = (Trainer(spec(), small.dataset()) for _ in range(2))
    with SecondCore(helped) as second:
        begin = second.begin

        def begin_and_die(*values: Any, **names: Any) -> bool:
            os.kill(second._process.pid, signal.SIGSTOP)  # so that it cannot have answered
            begun = begin(*values, **names)
            second._process.kill()
            return begun

        monkeypatch.setattr(second, "begin", begin_and_die)
        for _ in range(3):
            assert alone.step() == helped.step()
    assert native.dump(alone.state()) == native.dump(helped.state())


def test_a_run_of_one_core_gets_no_second() -> None:
    with pytest.raises(ValueError, match="cores=2"):
        SecondCore(Trainer(replace(spec(), cores=1), small.dataset()))
    with pytest.raises(SpecError):
        Trainer(replace(spec(), cores=3), small.dataset())
