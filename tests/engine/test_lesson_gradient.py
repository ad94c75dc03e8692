"""The lesson on the gradient: the surface against the engine's own loss, arrows against slopes that are tried, the limit exactly."""

from __future__ import annotations

import numpy as np
import pytest

from engine.differentiation import differentiate
from engine.errors import DivergedError
from engine.lessons.gradient import LONGEST, POINTS, lattice, line, line_dataset, line_table, walked, written
from engine.losses import MeanSquaredError
from engine.network import Network
from engine.specs import SGD, Dense, RunSpec, StopSpec
from engine.trainer import Trainer
from tests.engine.portions import finished

START = (-2.2, 3.1)
PLACES = lattice((-3.5, 3.5), (-1.5, 4.0), 8, 6).reshape(-1, 2)
X, Y = line().inputs[:, 1], line().targets


def trainer(learning_rate: float, batch_size: int = POINTS, seed: int = 1) -> Trainer:
    spec = RunSpec(
        dataset=line_table(),
        network=(Dense(units=1),),
        parameters=written(*START),
        loss="mean_squared_error",
        optimizer=SGD(learning_rate=learning_rate),
        batch_size=batch_size,
        l2=0.0,
        seed=seed,
        stop=StopSpec(steps=80),
    )
    return Trainer(spec, line_dataset())


def engine_at(w0: float, w1: float) -> tuple[float, list[float]]:
    """Loss and gradient of a network of one unit with these weights, in float64, as (∂/∂w0, ∂/∂w1)."""
    network = Network([Dense(units=1)], (1,), np.float64)
    network.parameters[:] = written(w0, w1)
    loss = MeanSquaredError()
    learned = differentiate(
        network, loss, X[None], Y, None, batch_size=POINTS, rng=np.random.default_rng(0), clock=float
    )
    return learned.loss, list(written(*network.gradients.tolist()))


def test_the_surface_is_the_loss_that_a_network_of_one_unit_has() -> None:
    losses = [engine_at(*place)[0] for place in PLACES.tolist()]
    assert line().loss(PLACES) == pytest.approx(losses, rel=1e-12)
    by_hand = [sum((y - w0 - w1 * x) ** 2 for x, y in zip(X, Y, strict=True)) / POINTS for w0, w1 in PLACES.tolist()]
    assert line().loss(PLACES) == pytest.approx(by_hand, rel=1e-12)


def test_each_arrow_is_the_numeric_gradient_and_the_backpropagated_one() -> None:
    step = 1e-3  # of a parabola the central difference is the slope itself
    numeric = np.stack(
        [(line().loss(PLACES + ahead) - line().loss(PLACES - ahead)) / (2 * step) for ahead in step * np.eye(2)],
        axis=-1,
    )
    assert line().gradient(PLACES) == pytest.approx(numeric, abs=1e-8)
    backpropagated = np.array([engine_at(*place)[1] for place in PLACES.tolist()])
    assert line().gradient(PLACES) == pytest.approx(backpropagated, abs=1e-11)


def test_the_curvature_is_how_the_gradient_changes() -> None:
    changes = [line().gradient(PLACES + step) - line().gradient(PLACES) for step in np.eye(2)]
    for column, change in zip(line().curvature.T, changes, strict=True):
        assert change == pytest.approx(np.tile(column, (len(PLACES), 1)), abs=1e-11)
    x = X.mean(), (X**2).mean()
    largest = 1 + x[1] + np.sqrt((1 - x[1]) ** 2 + 4 * x[0] ** 2)  # of 2 [[1, x̄], [x̄, x²‾]], by the quadratic formula
    assert line().limit == pytest.approx(2 / largest, rel=1e-12)


def test_the_minimum_is_least_squares() -> None:
    slope, intercept = np.polyfit(X, Y, 1)
    assert line().minimum == pytest.approx([intercept, slope], abs=1e-12)
    assert line().gradient(line().minimum) == pytest.approx([0, 0], abs=1e-12)


def test_batch_descent_diverges_exactly_when_the_rate_passes_the_limit() -> None:
    below, above = trainer(0.995 * line().limit), trainer(1.005 * line().limit)
    for _ in range(12):
        below.advance(100)
    reached = np.array(written(*below.network.parameters.tolist()))
    assert reached == pytest.approx(line().minimum, abs=1e-4), "just below it comes to the minimum"
    losses = []
    for _ in range(12):
        above.advance(100)
        losses.append(float(line().loss(np.array(written(*above.network.parameters.tolist())))))
    assert losses == sorted(losses), "just above it only goes up"
    assert losses[-1] > 1e6 * losses[0]


@pytest.mark.parametrize("batch_size", [1, 8, POINTS])
def test_a_path_is_where_the_run_has_been(batch_size: int) -> None:
    run = trainer(0.09, batch_size)
    places = [written(*run.network.parameters.tolist())]
    for _ in range(30):
        run.step()
        places.append(written(*run.network.parameters.tolist()))
    assert finished(walked(run.spec, 30)).tolist() == [list(place) for place in places]


def test_a_path_ends_where_the_run_diverges_and_where_nobody_looks_any_more() -> None:
    run = trainer(0.6)
    with pytest.raises(DivergedError):
        run.advance(80)
    lost = finished(walked(run.spec, 80))
    assert len(lost) == run.steps + 1 < 80
    assert lost[-1].tolist() == list(written(*run.network.parameters.tolist()))
    assert len(finished(walked(trainer(0.09).spec, 5_000))) == LONGEST + 1


def test_every_batch_update_is_a_step_against_the_arrow() -> None:
    path = finished(walked(trainer(0.09).spec, 20))
    assert np.diff(path, axis=0) == pytest.approx(-0.09 * line().gradient(path[:-1]), abs=2e-6)
