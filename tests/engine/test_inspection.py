"""What is seen of a network: the same as asking it about each place alone, and without disturbing it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from engine.datasets.points import points_dataset
from engine.datasets.table import encode_rows
from engine.errors import ShapeError
from engine.inspection import (
    INPUTS,
    Inspection,
    Observer,
    boundary,
    curve,
    hidden_space,
    histograms,
    least_squares,
    response,
    responses,
    unit_curves,
)
from engine.inspection.hidden import principal_components
from engine.inspection.histograms import dead_units, histogram
from engine.inspection.places import grid, line, mesh
from engine.network import Network
from engine.specs import (
    GELU,
    SGD,
    CurveSpec,
    Dense,
    Dropout,
    LayerSpec,
    LeakyReLU,
    Maxout,
    PlaneSpec,
    PointsSpec,
    ReLU,
    RunSpec,
    Sigmoid,
    Softplus,
    TableSpec,
    Tanh,
)
from engine.trainer import Trainer

Numbers = npt.NDArray[np.float64]

TWO_LAYERS: tuple[LayerSpec, ...] = (Dense(units=5), Tanh(), Dropout(rate=0.5), Dense(units=4), ReLU(), Dense(units=2))
DENSE = (0, 3, 5)


def trained(
    dataset: PointsSpec, network: tuple[LayerSpec, ...] = TWO_LAYERS, *, updates: int = 20, **changes: object
) -> Trainer:
    spec = RunSpec(dataset=dataset, network=network, batch_size=10, optimizer=SGD(learning_rate=0.1), l2=0)
    trainer = Trainer(replace(spec, **changes), points_dataset(dataset))  # type: ignore[arg-type]
    for _ in range(updates):
        trainer.step()
    return trainer


def inspect(trainer: Trainer) -> Inspection:
    return Inspection(trainer.network, trainer.loss, trainer.dataset)  # type: ignore[arg-type]


def layer_by_layer(network: Network, inputs: Numbers) -> list[Numbers]:
    """The outputs of every layer in float64, written anew."""
    values = []
    for layer in network.layers:
        match type(layer).__name__:
            case "Dense":
                assert layer.weights is not None
                assert layer.biases is not None
                inputs = layer.weights.astype(np.float64) @ inputs + layer.biases[:, None]
            case "Tanh":
                inputs = np.tanh(inputs)
            case "ReLU":
                inputs = np.where(inputs > 0, inputs, 0)
            case "Maxout":
                inputs = inputs.reshape(-1, 2, inputs.shape[1]).max(axis=1)
            case "Dropout":
                pass
        values.append(inputs)
    return values


def cells(side: int, reach: float = 6.0) -> Numbers:
    """Centres of cells, (2, side, side), row 0 = largest y, written out."""
    step = 2 * reach / side
    x = [-reach + step * (column + 0.5) for column in range(side)]
    y = [reach - step * (row + 0.5) for row in range(side)]
    return np.array([[[x[column] for column in range(side)] for _ in range(side)], [[v] * side for v in y]])


def assert_close(found: npt.ArrayLike, expected: npt.ArrayLike) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def softmax(outputs: Numbers) -> Numbers:
    powers = np.exp(outputs)
    shares: Numbers = powers / powers.sum(axis=0)
    return shares


# ---- Places --------------------------------------------------------------------------------------------------------------


def test_a_grid_is_painted_from_the_top_left() -> None:
    assert grid(((0, 4), (10, 12)), 2).tolist() == [[1, 11.5], [3, 11.5], [1, 10.5], [3, 10.5]]
    assert mesh(((0, 4), (10, 12)), 3).tolist()[:4] == [[0, 12], [2, 12], [4, 12], [0, 11]]
    assert line((-1, 1), 3).tolist() == [[-1], [0], [1]]


# ---- Maps ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", [20, 60])  # one chunk, and two that overlap
def test_the_boundary_is_what_the_network_says_at_each_cell(resolution: int) -> None:
    trainer = trained(PlaneSpec(features=("y", "x_squared", "sin_x")))
    x, y = cells(resolution)
    inputs = np.stack([y.ravel(), x.ravel() ** 2, np.sin(x.ravel())])
    expected = softmax(layer_by_layer(trainer.network, inputs)[-1])
    found = boundary(inspect(trainer), resolution)
    assert found.shape == (2, resolution, resolution)
    assert found.dtype == np.float32
    assert_close(found.reshape(2, -1), expected)
    assert np.ptp(expected) > 0.1


def test_every_unit_is_seen_after_its_activation() -> None:
    trainer = trained(PlaneSpec())
    inspection = inspect(trainer)
    places = cells(50).reshape(2, -1)
    values = layer_by_layer(trainer.network, places)
    expected = {INPUTS: places, 0: values[1], 3: values[4], 5: softmax(values[5])}
    found = {unit_maps.layer: unit_maps.maps for unit_maps in responses(inspection, 50)}
    assert list(found) == [INPUTS, *DENSE]
    for layer, maps in found.items():
        assert_close(maps.reshape(len(maps), -1), expected[layer])
        for unit in range(len(maps)):
            assert np.array_equal(response(inspection, layer, unit, 50), maps[unit])


def test_units_that_compete_are_seen_after_it() -> None:
    trainer = trained(PlaneSpec(), (Dense(units=6), Maxout(group_size=2), Dense(units=2)))
    first = responses(inspect(trainer), 8)[1]
    expected = layer_by_layer(trainer.network, cells(8).reshape(2, -1))[1]
    assert_close(first.maps.reshape(3, -1), expected)


def test_looking_changes_nothing() -> None:
    network: tuple[LayerSpec, ...] = (Dense(units=8), ReLU(), Dropout(rate=0.3), Dense(units=2))
    alone, watched = (trained(PlaneSpec(), network, updates=0) for _ in range(2))
    inspection = inspect(watched)
    for _ in range(30):
        alone.step()
        watched.step()
        boundary(inspection, 30)
        responses(inspection, 10)
        hidden_space(inspection, 0, (0, 1), 5)
        histograms(inspection)
        inspection.predictions()
    assert np.array_equal(alone.network.parameters, watched.network.parameters)
    assert alone.state().generators == watched.state().generators


def test_what_is_seen_moves_with_the_weights() -> None:
    trainer = trained(PlaneSpec(), updates=0)
    inspection = inspect(trainer)
    before = boundary(inspection, 20)
    trainer.step()
    after = boundary(inspection, 20)
    assert not np.array_equal(before, after)
    assert np.array_equal(after, boundary(inspect(trainer), 20))


def test_one_output_for_two_classes_is_the_probability_of_the_first() -> None:
    network: tuple[LayerSpec, ...] = (Dense(units=3), Tanh(), Dense(units=1), Tanh())
    trainer = trained(PlaneSpec(), network, loss="half_squared_error")
    (outputs,) = layer_by_layer(trainer.network, cells(20).reshape(2, -1))[-1]
    inspection = inspect(trainer)
    first, second = boundary(inspection, 20)
    assert_close(first.ravel(), (1 + outputs) / 2)
    assert first + second == pytest.approx(1)
    last = responses(inspection, 20)[-1]
    assert last.layer == 2
    assert last.maps.shape == (1, 20, 20)
    assert np.array_equal(last.maps[0], first)


def test_numbers_are_seen_in_their_own_unit_and_other_columns_at_their_mean() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal([5, -20, 1000, 300], [1, 2, 50, 40], (60, 4)).astype(np.float32)
    table = TableSpec(
        columns=("a", "b", "c"), class_names=(), values=encode_rows(rows), standardize=True, train_share=0.5
    )
    trainer = trained(table, (Dense(units=3), Tanh(), Dense(units=1)), loss="mean_squared_error")
    train = trainer.dataset.train  # type: ignore[attr-defined]
    mean, spread = rows[train].mean(axis=0, dtype=float), rows[train].std(axis=0, dtype=float)
    (a_low, a_high), (c_low, c_high) = (
        (v.min() - 0.1 * np.ptp(v), v.max() + 0.1 * np.ptp(v)) for v in (rows[:, 0], rows[:, 2])
    )
    inspection = inspect(trainer)
    assert np.array(inspection.domain((2, 0))) == pytest.approx(np.array([[c_low, c_high], [a_low, a_high]]), rel=1e-5)
    x, y = (cells(10, 0.5) + 0.5).reshape(2, -1)
    places = np.stack([a_low + (a_high - a_low) * y, np.full(100, mean[1]), c_low + (c_high - c_low) * x])
    inputs = (places - mean[:3, None]) / spread[:3, None]
    (outputs,) = layer_by_layer(trainer.network, inputs)[-1]
    assert boundary(inspection, 10).shape == (1, 10, 10)  # over the first two columns, which the next is not
    found = boundary(inspection, 10, (2, 0))
    assert found.shape == (1, 10, 10)
    assert found.ravel() == pytest.approx(mean[3] + spread[3] * outputs, rel=1e-4)
    assert np.array_equal(responses(inspection, 10, (2, 0))[-1].maps, found)


def test_with_one_column_maps_are_stripes() -> None:
    trainer = trained(CurveSpec(), (Dense(units=3), Tanh(), Dense(units=1)), loss="mean_squared_error")
    inputs, hidden, last = responses(inspect(trainer), 9)
    x = np.linspace(-5, 5, 9)
    values = layer_by_layer(trainer.network, x[None])
    for unit_maps, expected in ((inputs, x[None]), (hidden, values[1]), (last, values[2])):
        assert_close(unit_maps.maps, np.repeat(expected[:, None], 9, axis=1))


def test_predictions_are_those_of_the_evaluation() -> None:
    trainer = trained(PlaneSpec(kind="gaussians", class_count=4, noise=0.3), (*TWO_LAYERS[:-1], Dense(units=4)))
    inputs = trainer.dataset.positions.T.astype(float)  # type: ignore[attr-defined]
    expected = layer_by_layer(trainer.network, inputs)[-1].argmax(axis=0)
    assert np.array_equal(inspect(trainer).predictions(), expected)


# ---- Hidden space ----------------------------------------------------------------------------------------------------------


def test_hidden_space_is_where_two_units_put_the_mesh_and_the_points() -> None:
    trainer = trained(PlaneSpec())
    places = np.array([[x, y] for y in (6, 0, -6) for x in (-6, 0, 6)]).T
    points = trainer.dataset.positions.T.astype(float)  # type: ignore[attr-defined]
    space = hidden_space(inspect(trainer), 3, (2, 0), 3)
    for found, inputs in ((space.mesh, places), (space.points, points)):
        assert_close(found, layer_by_layer(trainer.network, inputs)[4][[2, 0]])
    assert space.explained is None


def test_principal_components_are_the_directions_of_most_variance() -> None:
    rng = np.random.default_rng(1)
    directions, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    spreads = np.array([3.0, 2.0, 0.5, 0.1, 0])
    values = directions @ (spreads[:, None] * rng.normal(size=(5, 20_000))) + 7
    mean, found, explained = principal_components(values)
    assert mean == pytest.approx(np.full((5, 1), 7), abs=0.1)
    assert np.abs(found @ directions[:, :2]) == pytest.approx(np.eye(2), abs=0.03)
    assert explained == pytest.approx(spreads[:2] ** 2 / np.sum(spreads**2), abs=0.01)
    assert found @ found.T == pytest.approx(np.eye(2))
    for direction in found:
        assert direction[np.abs(direction).argmax()] > 0
    assert np.var(found @ (values - mean), axis=1) / values.var(axis=1).sum() == pytest.approx(explained)


def test_components_of_points_that_are_all_the_same_explain_nothing() -> None:
    _, _, explained = principal_components(np.ones((3, 10)))
    assert explained == (0, 0)
    _, directions, _ = principal_components(np.array([[1, np.inf], [0, 1], [2, 2]]))
    assert np.isnan(directions).all()


def test_hidden_space_by_components_turns_mesh_and_points_alike() -> None:
    trainer = trained(PlaneSpec())
    inspection = inspect(trainer)
    space = hidden_space(inspection, 0, None, 4)
    values = inspection.units(inspection.point_inputs(), [0])[0]
    mean, directions, explained = principal_components(values)
    assert space.points == pytest.approx(directions @ (values - mean))
    assert space.mesh == pytest.approx(directions @ (inspection.units(inspection.mesh_inputs(4), [0])[0] - mean))
    assert space.explained == explained


# ---- Curves --------------------------------------------------------------------------------------------------------------


def test_a_curve_its_units_and_how_far_the_points_lie_above_it() -> None:
    trainer = trained(CurveSpec(), (Dense(units=4), Tanh(), Dense(units=1)), loss="mean_squared_error")
    inspection = inspect(trainer)
    values = layer_by_layer(trainer.network, np.linspace(-5, 5, 50)[None])
    found = curve(inspection, 50)
    assert found.x == (-5, 5)
    assert_close(found.output, values[2][0])
    assert_close(unit_curves(inspection, 0, 50), values[1])
    assert unit_curves(inspection, 2, 50)[0] == pytest.approx(found.output)
    x = trainer.dataset.positions[:, 0].astype(float)  # type: ignore[attr-defined]
    (answers,) = layer_by_layer(trainer.network, x[None])[-1]
    assert found.residuals == pytest.approx(x * np.sin(x) - answers, abs=1e-4)
    assert least_squares(inspection, 50) is None


@pytest.mark.parametrize("standardize", [False, True])
def test_least_squares_is_the_line_that_no_linear_network_beats(standardize: bool) -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(-4, 4, 40)
    y = 2.5 * x - 1 + rng.normal(size=40)
    rows = np.column_stack([x, y]).astype(np.float32)
    table = TableSpec(
        columns=("x",), class_names=(), values=encode_rows(rows), standardize=standardize, train_share=0.5
    )
    linear: tuple[LayerSpec, ...] = (Dense(units=3), Dropout(rate=0), Dense(units=1))
    trainer = trained(table, linear, loss="mean_squared_error", updates=0, optimizer=SGD(learning_rate=0.01))
    inspection = inspect(trainer)
    train = trainer.dataset.train  # type: ignore[attr-defined]
    slope, height = np.polyfit(rows[train, 0].astype(float), rows[train, 1].astype(float), 1)
    best = least_squares(inspection, 50)
    assert best is not None
    low, high = inspection.domain()[0]
    assert best.output == pytest.approx(height + slope * np.linspace(low, high, 50), abs=1e-3)
    error = np.mean((height + slope * rows[train, 0] - rows[train, 1]) ** 2)
    scale = rows[train, 1].astype(float).var() if standardize else 1
    assert best.loss == pytest.approx(error / scale, rel=1e-4)
    for _ in range(1_000):
        trainer.step()
    outputs = trainer.network.logits(trainer.splits["train"].look(slice(None)))
    loss, _ = trainer.loss.loss_and_gradient(outputs, trainer.splits["train"].labels)
    assert best.loss <= loss < 1.1 * best.loss


# ---- Histograms --------------------------------------------------------------------------------------------------------------


def test_histograms_count_every_weight_and_every_activation_on_the_training_points() -> None:
    trainer = trained(PlaneSpec(points=100, train_share=0.7))
    inputs = trainer.dataset.positions[trainer.dataset.train].T.astype(float)  # type: ignore[attr-defined]
    values = layer_by_layer(trainer.network, inputs)
    found = histograms(inspect(trainer))
    assert [layer.layer for layer in found] == list(DENSE)
    for layer, after in zip(found, (1, 4, 5), strict=True):
        weights = trainer.network.layers[layer.layer].weights
        assert weights is not None
        for part, expected in ((layer.weights, weights), (layer.activations, values[after])):
            assert part is not None
            counts, edges = np.histogram(expected, 20)
            assert part.counts.sum() == expected.size
            assert np.abs(part.counts - counts).sum() <= 4  # float32 may fall on the other side of an edge
            assert_close((part.low, part.high), (edges[0], edges[-1]))
    assert [layer.units for layer in found] == [5, 4, 2]


def test_a_histogram_of_equal_or_no_numbers() -> None:
    same = histogram(np.full((2, 3), 4.0, np.float32))
    assert same is not None
    assert (same.low, same.high, same.counts.sum()) == (3.5, 4.5, 6)
    assert histogram(np.array([1, np.nan])) is None
    assert histogram(np.zeros(0)) is None
    huge = histogram(np.array([-3e38, 3e38], np.float32))
    assert huge is not None
    assert huge.counts[[0, -1]].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("activation", "values", "dead"),
    [
        (ReLU(), [[0, 0], [0, 0.1], [0, 0]], 2),
        (GELU(), [[0, -0.1], [0, 0.1]], 1),
        (Softplus(), [[0.001, 0.009], [0.001, 0.02]], 1),
        (Tanh(), [[0.995, 0.999], [-0.995, 0.999], [-0.5, 0.999]], 2),
        (Sigmoid(), [[0.995, 0.001], [0.001, 0.001], [0.5, 0.001]], 2),
        (LeakyReLU(), [[0, 0]], 0),
    ],
)
def test_dead_units_have_no_slope_anywhere(activation: LayerSpec, values: list[list[float]], dead: int) -> None:
    assert dead_units(np.array(values, np.float32), [Dropout(), activation]) == dead
    assert dead_units(np.array(values, np.float32), []) == 0


def test_outputs_are_never_counted_as_dead() -> None:
    network: tuple[LayerSpec, ...] = (Dense(units=3), ReLU(), Dense(units=1), Tanh())
    trainer = trained(PlaneSpec(), network, loss="half_squared_error", updates=0)
    for layer in trainer.network.layers:
        if layer.biases is not None and layer.weights is not None:
            layer.weights[...] = 0
            layer.biases[...] = -50
    hidden, output = histograms(inspect(trainer))
    assert (hidden.dead, output.dead) == (3, 0)


# ---- The observer ----------------------------------------------------------------------------------------------------------


def test_an_observer_splits_a_network_into_dense_layers_and_what_follows() -> None:
    network = Network(TWO_LAYERS, (2,))
    observer = Observer(network)
    assert observer.dense == DENSE
    assert [observer.units(layer) for layer in DENSE] == [5, 4, 2]
    assert observer.following(0) == [Tanh(), Dropout(rate=0.5)]
    assert observer.following(5) == []
    weights, biases = observer.parameters(3)
    assert (weights.shape, biases.shape) == ((4, 5), (4,))
    assert np.shares_memory(weights, network.parameters)
    assert not observer.is_linear
    assert Observer(Network((Dense(units=3), Dropout(), Dense(units=1)), (2,))).is_linear


@pytest.mark.parametrize("count", [0, 1, 2048, 2049, 5000])
def test_any_number_of_places_goes_through(count: int) -> None:
    trainer = trained(PlaneSpec())
    inputs = np.random.default_rng(1).uniform(-6, 6, (2, count)).astype(np.float32)
    observer = Observer(trainer.network)
    expected = layer_by_layer(trainer.network, inputs.astype(float))
    assert_close(observer.outputs(inputs), expected[-1])
    found = observer.activations(inputs, [0, 3])
    assert_close(found[0], expected[1])
    assert_close(found[3], expected[4])


def test_a_network_that_left_all_numbers_behind_is_seen_so() -> None:
    trainer = trained(PlaneSpec(), (Dense(units=2), Dense(units=2), Dense(units=2)), updates=0)
    trainer.network.parameters[:] = 1e20
    inspection = inspect(trainer)
    assert not np.isfinite(boundary(inspection, 20)).all()
    hidden, *_ = histograms(inspection)[1:]
    assert hidden.activations is None
    assert not np.isfinite(hidden_space(inspection, 1, None, 3).points).any()


# ---- Refusals ----------------------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_refused() -> None:
    plane, on_a_line = (
        inspect(trained(PlaneSpec(), updates=0)),
        inspect(trained(CurveSpec(), (Dense(units=1),), loss="mean_squared_error", updates=0)),
    )
    for layer, unit in ((1, 0), (0, 5), (0, -1), (5, 2), (9, 0), (INPUTS, 2)):
        with pytest.raises(ShapeError):
            response(plane, layer, unit, 20)
    for columns in ((0, 0), (0, 2), (-1, 0)):
        with pytest.raises(ShapeError):
            plane.check_columns(columns)
    with pytest.raises(ShapeError, match="on a line"):
        boundary(on_a_line, 20)
    with pytest.raises(ShapeError, match="on a line"):
        response(on_a_line, 0, 0, 20)
    with pytest.raises(ShapeError, match="curve"):
        curve(plane, 50)
    with pytest.raises(ShapeError, match="components"):
        hidden_space(inspect(trained(PlaneSpec(), (Dense(units=1), Tanh(), Dense(units=2)), updates=0)), 0, None, 5)
    with pytest.raises(ShapeError, match="on a line"):
        hidden_space(on_a_line, 0, (0, 0), 5)


def test_few_sets_of_inputs_are_kept() -> None:
    inspection = inspect(trained(PlaneSpec(), updates=0))
    kept = [inspection.grid_inputs(20 + step) for step in range(20)]
    assert all(a.shape != b.shape for a, b in pairwise(kept))
    assert inspection.grid_inputs(39) is kept[-1]
    assert inspection.grid_inputs(20) is not kept[0]
