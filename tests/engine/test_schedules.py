"""Learning-rate schedules: worked by hand, as PyTorch's documentation states them, and in a run."""

from __future__ import annotations

from math import cos, pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SpecError
from engine.formats import native
from engine.schedules import learning_rate_share
from engine.specs import (
    SCHEDULE_SPECS,
    SGD,
    Adam,
    Constant,
    Cosine,
    Dense,
    MomentumSGD,
    RunSpec,
    ScheduleSpec,
    StepDecay,
)
from engine.trainer import Trainer
from engine.validation import read_run_spec
from tests.engine import small
from tests.engine.test_trainer import assert_same, trained


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        (Constant(), [1, 1, 1, 1]),
        (Constant(warm_up=4), [0.25, 0.5, 0.75, 1, 1, 1]),
        (StepDecay(every=2, factor=0.5), [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]),
        (StepDecay(every=2, factor=0.5, warm_up=2), [0.5, 1, 1, 1, 0.5, 0.5, 0.25]),
        # cos 0, π/4, π/2, 3π/4 and π: half of 1 + 1, 1 + √½, 1, 1 − √½ and 0
        (Cosine(steps=4), [1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2, 0, 0, 0]),
        (Cosine(steps=2, final=0.2, warm_up=1), [1, 1, 0.6, 0.2, 0.2]),
    ],
    ids=str,
)
def test_hand_worked(schedule: ScheduleSpec, shares: list[float]) -> None:
    found = [learning_rate_share(schedule, step) for step in range(len(shares))]
    assert found == pytest.approx(shares, abs=1e-15)


# ---- torch.optim.lr_scheduler, as its documentation states each ------------------------------------------------------------


def torch_linear(t: int, start_factor: float, total: int) -> float:
    """LinearLR with end_factor 1."""
    return start_factor + (1 - start_factor) * min(t, total) / total


def torch_step(t: int, step_size: int, gamma: float) -> float:
    """StepLR: every step_size, the rate is multiplied by gamma."""
    rate = 1.0
    for past in range(1, t + 1):
        if past % step_size == 0:
            rate *= gamma
    return rate


def torch_cosine(t: int, t_max: int, eta_min: float) -> float:
    """CosineAnnealingLR: η_min + ½ (η_max − η_min) (1 + cos(T_cur π / T_max))."""
    return eta_min + 0.5 * (1 - eta_min) * (1 + cos(t * pi / t_max))


def test_as_pytorch_defines_them() -> None:
    for t in range(50):
        assert learning_rate_share(Constant(warm_up=40), t) == pytest.approx(torch_linear(t, 1 / 40, 39), rel=1e-12)
        assert learning_rate_share(StepDecay(every=7, factor=0.3), t) == pytest.approx(torch_step(t, 7, 0.3), rel=1e-12)
        assert learning_rate_share(Cosine(steps=49, final=0.1), t) == pytest.approx(torch_cosine(t, 49, 0.1), rel=1e-12)


@given(
    st.one_of(
        st.builds(Constant, warm_up=st.integers(0, 50)),
        st.builds(StepDecay, every=st.integers(1, 50), factor=st.floats(0.01, 1), warm_up=st.integers(0, 50)),
        st.builds(Cosine, steps=st.integers(1, 50), final=st.floats(0, 1), warm_up=st.integers(0, 50)),
    )
)
def test_a_share_rises_to_one_and_then_never_rises(schedule: ScheduleSpec) -> None:
    shares = [learning_rate_share(schedule, step) for step in range(150)]
    assert all(0 <= share <= 1 for share in shares)
    assert shares[schedule.warm_up] == 1
    assert (np.diff(shares[: schedule.warm_up + 1]) >= 0).all()
    assert (np.diff(shares[schedule.warm_up :]) <= 1e-15).all()


# ---- In a run ----------------------------------------------------------------------------------------------------------------


def test_an_update_uses_its_share() -> None:
    """Plain SGD: two runs from the same weights move by the same gradient, times the shares of their learning rates."""
    network = (Dense(units=10),)
    full = Trainer(small.spec(network=network, optimizer=SGD(learning_rate=0.5), l2=0.0), small.dataset())
    fifth = Trainer(
        small.spec(network=network, optimizer=SGD(learning_rate=0.5), l2=0.0, schedule=Constant(warm_up=5)),
        small.dataset(),
    )
    before = full.network.parameters.copy()
    assert fifth.learning_rate == pytest.approx(0.1)
    full.step()
    fifth.step()
    np.testing.assert_allclose((fifth.network.parameters - before) * 5, full.network.parameters - before, atol=1e-6)
    assert fifth.learning_rate == pytest.approx(0.2)


def test_a_learning_rate_that_is_changed_live_follows_the_same_curve() -> None:
    trainer = trained(2, optimizer=MomentumSGD(learning_rate=1.0), schedule=StepDecay(every=2, factor=0.5))
    assert trainer.learning_rate == 0.5
    trainer.change(learning_rate=0.1)
    assert trainer.learning_rate == pytest.approx(0.05)


@pytest.mark.parametrize("schedule", [StepDecay(every=3, factor=0.1, warm_up=2), Cosine(steps=9, warm_up=3)], ids=str)
def test_going_on_after_a_stop_follows_the_same_curve(schedule: ScheduleSpec) -> None:
    undisturbed = trained(14, optimizer=Adam(), schedule=schedule)
    resumed = Trainer.from_state(
        native.load(native.dump(trained(6, optimizer=Adam(), schedule=schedule).state())), small.dataset()
    )
    for _ in range(8):
        resumed.step()
    assert_same(resumed.state(), undisturbed.state())


@pytest.mark.parametrize("schedule", SCHEDULE_SPECS.values())
def test_what_is_written_is_read(schedule: type[ScheduleSpec]) -> None:
    spec = RunSpec(schedule=schedule(warm_up=3))
    assert read_run_spec(spec.to_dict()) == spec
    assert next(iter(spec.to_dict()["schedule"].items())) == ("name", schedule().name)


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(SpecError, match="one of: constant, step, cosine"):
        read_run_spec({"schedule": {"name": "cyclic"}})
