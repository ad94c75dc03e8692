"""Frames of points: everything that was asked for, in one snapshot, and never what is no number."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

from app.schemas import WatchBody
from app.wire.arrays import numbers, significant
from app.workers import watches
from app.workers.plane_frames import plane_frame
from app.workers.watches import FRAME_SHARE, Watches
from engine.datasets.points import points_dataset
from engine.errors import ShapeError
from engine.inspection import (
    INPUTS,
    Inspection,
    boundary,
    curve,
    hidden_space,
    histograms,
    least_squares,
    response,
    responses,
    unit_curves,
)
from engine.losses import make_loss
from engine.specs import SGD, CurveSpec, Dense, LayerSpec, PlaneSpec, PointsSpec, RunSpec, Tanh
from engine.trainer import Trainer
from tests.app.small_runs import parse
from tests.engine import small

NETWORK: tuple[LayerSpec, ...] = (Dense(units=4), Tanh(), Dense(units=3), Tanh(), Dense(units=2))
PLANE = {"resolution": 20, "columns": [0, 1]}
EVERYTHING = {
    "plane": PLANE | {"neuron": [2, 1]},
    "neurons": 8,
    "weights": True,
    "hidden": {"layer": 2, "units": [0, 2], "grid": 5},
    "histograms": True,
}


def trainer_of(
    dataset: PointsSpec, network: tuple[LayerSpec, ...] = NETWORK, updates: int = 5, **changes: Any
) -> Trainer:
    spec = RunSpec(dataset=dataset, network=network, batch_size=10, optimizer=SGD(learning_rate=0.05), **changes)
    trainer = Trainer(spec, points_dataset(dataset))
    for _ in range(updates):
        trainer.step()
    return trainer


def on_a_curve(*hidden: LayerSpec) -> Trainer:
    return trainer_of(CurveSpec(), (*hidden, Dense(units=1)), loss="mean_squared_error")


def inspect(trainer: Trainer) -> Inspection:
    return Inspection(trainer.network, trainer.loss, trainer.dataset)  # type: ignore[arg-type]


def frame_of(trainer: Trainer, wish: dict[str, Any]) -> dict[str, Any]:
    name, id, value = parse(plane_frame(inspect(trainer), "w", trainer.steps, wish))
    assert (name, id) == ("frame", None)
    found: dict[str, Any] = value
    return found


def unpacked(pack: dict[str, Any]) -> npt.NDArray[np.float64]:
    levels = np.frombuffer(b64decode(pack["data"]), np.uint8).reshape(pack["shape"])
    return pack["low"] + (pack["high"] - pack["low"]) / 255 * levels.astype(float)


def assert_packed(pack: dict[str, Any], expected: npt.NDArray[Any]) -> None:
    assert tuple(pack["shape"]) == expected.shape
    np.testing.assert_allclose(unpacked(pack), expected, rtol=0, atol=np.ptp(expected) / 509 + 1e-6)


# ---- Wishes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "comes_through"),
    [
        (EVERYTHING, EVERYTHING),
        ({"plane": {}}, {"plane": {"resolution": 100, "columns": [0, 1]}}),
        ({"hidden": {"layer": 0, "units": "components"}}, {"hidden": {"layer": 0, "units": "components", "grid": 21}}),
        ({"curve": {"layer": 2}}, {"curve": {"resolution": 200, "layer": 2}}),
        ({"plane": None, "neurons": None, "hidden": None, "curve": None}, {}),
    ],
)
def test_a_wish_comes_through(body: dict[str, Any], comes_through: dict[str, Any]) -> None:
    always = {"gradients": False, "tiles": [], "weights": False, "histograms": False}
    assert WatchBody.model_validate(body).watch() == always | comes_through


@pytest.mark.parametrize(
    "body",
    [
        {"plane": {"resolution": 19}},
        {"plane": {"resolution": 201}},
        {"plane": {"resolution": 20.0}},
        {"plane": {"neuron": [0]}},
        {"plane": {"neuron": [-2, 0]}},
        {"plane": {"neuron": [True, 0]}},
        {"plane": {"columns": [0, 1, 2]}},
        {"plane": {"columns": [0, 20]}},
        {"neurons": 7},
        {"neurons": 41},
        {"weights": 1},
        {"hidden": {"layer": 0}},
        {"hidden": {"layer": -1, "units": [0, 1]}},
        {"hidden": {"layer": 0, "units": [0, 1, 2]}},
        {"hidden": {"layer": 0, "units": "all"}},
        {"hidden": {"layer": 0, "units": [0, 1], "grid": 42}},
        {"curve": {"resolution": 49}},
        {"curve": {"resolution": 401}},
        {"histograms": "yes"},
        {"boundary": {}},
    ],
)
def test_a_wish_out_of_range_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WatchBody.model_validate(body)


# ---- Frames ----------------------------------------------------------------------------------------------------------------


def test_a_frame_holds_all_that_was_asked_for() -> None:
    trainer = trainer_of(PlaneSpec())
    inspection, frame = inspect(trainer), frame_of(trainer, EVERYTHING)
    assert (frame["view"], frame["watch"], frame["step"], frame["domain"]) == ("plane", "w", 5, [[-6, 6], [-6, 6]])
    assert_packed(frame["outputs"], boundary(inspection, 20)[:1])
    assert (frame["neuron"]["layer"], frame["neuron"]["unit"]) == (2, 1)
    assert_packed(frame["neuron"]["map"], response(inspection, 2, 1, 20))
    assert [unit_maps["layer"] for unit_maps in frame["neurons"]] == [INPUTS, 0, 2, 4]
    for found, expected in zip(frame["neurons"], responses(inspection, 8), strict=True):
        assert_packed(found["maps"], expected.maps)
    for layer in frame["weights"]:
        weights, biases = inspection.observer.parameters(layer["layer"])
        assert np.array(layer["weights"]) == pytest.approx(weights, rel=1e-3)
        assert np.array(layer["biases"]) == pytest.approx(biases, rel=1e-3)
    assert [layer["layer"] for layer in frame["weights"]] == [0, 2, 4]
    space, hidden = hidden_space(inspection, 2, (0, 2), 5), frame["hidden"]
    assert (hidden["layer"], hidden["units"], hidden["explained"]) == (2, [0, 2], None)
    assert np.array(hidden["grid"]) == pytest.approx(space.mesh, abs=1e-3)
    assert np.array(hidden["points"]) == pytest.approx(space.points, abs=1e-3)
    both = np.hstack([space.mesh, space.points])
    assert hidden["low"] == pytest.approx(both.min(axis=1))
    assert hidden["high"] == pytest.approx(both.max(axis=1))
    wrong = inspection.predictions() != trainer.dataset.labels  # type: ignore[attr-defined]
    assert frame["predictions"] == inspection.predictions().tolist()
    assert frame["mistakes"] == np.flatnonzero(wrong).tolist()
    assert 0 < len(frame["mistakes"]) < 500
    for layer, spread in zip(frame["histograms"], histograms(inspection), strict=True):
        assert (layer["layer"], layer["units"], layer["dead"]) == (spread.layer, spread.units, 0)
        assert spread.weights is not None
        assert spread.activations is not None
        assert layer["weights"]["counts"] == spread.weights.counts.tolist()
        assert layer["activations"]["low"] == spread.activations.low
    assert frame["curve"] is None


@pytest.mark.parametrize("part", [*EVERYTHING, "curve"])
def test_a_frame_holds_nothing_that_was_not_asked_for(part: str) -> None:
    trainer = on_a_curve(Dense(units=3), Tanh()) if part == "curve" else trainer_of(PlaneSpec())
    wish = (EVERYTHING | {"curve": {"resolution": 50}})[part]
    frame = frame_of(trainer, {part: wish})
    of_plane = {"outputs", "neuron", "predictions", "mistakes"}
    shown = of_plane if part == "plane" else {part}
    for name in (*of_plane, "neurons", "weights", "hidden", "curve", "histograms"):
        assert (frame[name] is not None) == (name in shown), name


@pytest.mark.parametrize(("spec", "maps"), [({"class_count": 2}, 1), ({"class_count": 3}, 3), ({"kind": "plane"}, 1)])
def test_of_two_classes_one_map_is_enough(spec: dict[str, Any], maps: int) -> None:
    dataset = PlaneSpec(**({"kind": "gaussians"} | spec))
    outputs = len(dataset.classes) or 1
    loss = {} if dataset.classes else {"loss": "mean_squared_error"}
    trainer = trainer_of(dataset, (Dense(units=3), Tanh(), Dense(units=outputs)), **loss)
    frame = frame_of(trainer, {"plane": PLANE, "neurons": 8})
    assert_packed(frame["outputs"], boundary(inspect(trainer), 20)[:maps])
    assert frame["neurons"][-1]["maps"]["shape"] == [outputs, 8, 8]
    assert (frame["mistakes"] is None) == (not dataset.classes)
    assert (frame["predictions"] is None) == (not dataset.classes)


def test_principal_components_say_how_much_they_explain() -> None:
    hidden = frame_of(trainer_of(PlaneSpec()), {"hidden": {"layer": 0, "units": "components", "grid": 5}})["hidden"]
    first, second = hidden["explained"]
    assert 0.5 <= first + second <= 1 + 1e-9
    assert first >= second
    assert hidden["units"] == "components"


def test_a_frame_of_a_curve() -> None:
    trainer = on_a_curve(Dense(units=3), Tanh())
    inspection, found = inspect(trainer), frame_of(trainer, {"curve": {"resolution": 50, "layer": 0}})["curve"]
    expected = curve(inspection, 50)
    assert found["x"] == [-5, 5]
    assert found["output"] == pytest.approx(expected.output.tolist(), abs=1e-3)
    assert found["residuals"] == pytest.approx(expected.residuals.tolist(), abs=1e-3)
    assert found["units"]["layer"] == 0
    assert np.array(found["units"]["curves"]) == pytest.approx(unit_curves(inspection, 0, 50), abs=1e-3)
    assert found["least_squares"] is None
    linear = on_a_curve()
    found, best = frame_of(linear, {"curve": {"resolution": 50}})["curve"], least_squares(inspect(linear), 50)
    assert best is not None
    assert found["least_squares"]["output"] == pytest.approx(best.output.tolist(), abs=1e-3)
    assert found["least_squares"]["loss"] == best.loss
    assert found["units"] is None


def test_what_is_no_number_is_left_out() -> None:
    trainer = trainer_of(PlaneSpec(), (Dense(units=2), Dense(units=2), Dense(units=2)))
    wish = {
        "plane": PLANE | {"neuron": [1, 1]},
        "neurons": 8,
        "weights": True,
        "hidden": {"layer": 1, "units": "components", "grid": 5},
        "histograms": True,
    }
    assert None not in frame_of(trainer, wish | {"curve": {"resolution": 50}})["neurons"]
    trainer.network.parameters[:] = 1e20
    frame = frame_of(trainer, wish)
    assert (frame["outputs"], frame["neuron"], frame["hidden"]) == (None, None, None)
    assert [unit_maps["layer"] for unit_maps in frame["neurons"]] == [INPUTS, 0]
    assert [layer["activations"] is None for layer in frame["histograms"]] == [False, True, True]
    assert frame["weights"][0]["weights"] == [[1e20, 1e20]] * 2
    trainer.network.parameters[0] = np.nan
    frame = frame_of(trainer, wish)
    assert [layer["layer"] for layer in frame["weights"]] == [1, 2]
    assert [layer["layer"] for layer in frame["histograms"]] == [1, 2]

    bent = on_a_curve()
    bent.network.parameters[:] = 3e38
    found = frame_of(bent, {"curve": {"resolution": 51, "layer": 0}})["curve"]
    assert found["output"][0] is None
    assert found["output"][25] == pytest.approx(3e38, rel=1e-3)
    assert found["units"]["curves"][0][0] is None
    assert None in found["residuals"]


def test_layers_too_large_for_a_frame_are_left_out() -> None:
    trainer = trainer_of(PlaneSpec(), (Dense(units=200), Tanh(), Dense(units=100), Tanh(), Dense(units=2)))
    frame = frame_of(trainer, {"neurons": 20, "weights": True})
    assert [layer["layer"] for layer in frame["neurons"]] == [INPUTS, 2, 4]
    assert [layer["layer"] for layer in frame["weights"]] == [0, 4]
    wide = on_a_curve(Dense(units=200), Tanh())
    assert frame_of(wide, {"curve": {"resolution": 50, "layer": 0}})["curve"]["units"] is not None
    assert frame_of(wide, {"curve": {"resolution": 100, "layer": 0}})["curve"]["units"] is None


# ---- Numbers as text -----------------------------------------------------------------------------------------------------------


def test_numbers_are_short() -> None:
    values = np.array([0, 1.23456, -0.000123456, 123_456, 1e-30, 1e30, 0.70001, 9_999.9], np.float32)
    assert significant(values) == [0, 1.235, -0.0001235, 123_500, 1e-30, 1e30, 0.7, 10_000]
    assert significant(np.zeros((2, 0))) == [[], []]


def test_numbers_are_as_exact_as_what_they_span() -> None:
    assert numbers(np.array([[2000.123456, 2000.2], [2000.3, np.nan]])) == [[2000.12346, 2000.2], [2000.3, None]]
    assert numbers(np.array([1e6, 3e6, 123456.7])) == [1e6, 3e6, 123500]
    assert numbers(np.array([np.inf])) == [None]
    assert numbers(np.array([0.1, 0.1])) == [0.1, 0.1]


# ---- Watches ---------------------------------------------------------------------------------------------------------------------


class Room:
    """The watches of one run, with a clock that is moved by hand and frames that cost what they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.spent, self.cost = 100.0, 0.0, 0.0
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.watches = Watches(self.take)
        monkeypatch.setattr(watches, "monotonic", lambda: self.now)
        monkeypatch.setattr(watches, "thread_time", lambda: self.spent)

    def take(self, watch: str, view: str, event: bytes) -> None:
        self.sent.append((watch, view, parse(event)[2]))
        self.spent += self.cost

    def train(self, trainer: Trainer, seconds: float, slice_seconds: float = 0.03) -> int:
        """How many frames came meanwhile."""
        before, end = len(self.sent), self.now + seconds
        while self.now < end:
            trainer.step()
            self.now += slice_seconds
            self.watches.draw_due(trainer)
        return len(self.sent) - before


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(monkeypatch)


def test_frames_come_ten_a_second_though_slices_do_not_fit_into_that(room: Room) -> None:
    trainer = trainer_of(PlaneSpec())
    room.watches.set("w", {"plane": PLANE}, trainer)
    assert len(room.sent) == 1
    assert 48 <= room.train(trainer, 5) <= 50
    assert [frame["step"] for _, _, frame in room.sent] == sorted({frame["step"] for _, _, frame in room.sent})


def test_dear_frames_come_as_rarely_as_their_share_allows(room: Room) -> None:
    trainer = trainer_of(PlaneSpec())
    room.cost = 0.05
    room.watches.set("w", {"plane": PLANE}, trainer)
    frames = room.train(trainer, 12)
    assert 12 / (0.05 * FRAME_SHARE + 0.03) - 1 <= frames <= 12 / (0.05 * FRAME_SHARE) + 0.5


def test_another_wish_is_drawn_at_once_and_the_same_one_only_when_something_moved(room: Room) -> None:
    trainer = trainer_of(PlaneSpec())
    room.watches.set("w", {"plane": PLANE, "gradients": False, "tiles": []}, trainer)
    room.watches.set("w", {"plane": PLANE}, trainer)
    assert len(room.sent) == 1
    room.watches.set("w", {"plane": PLANE | {"resolution": 30}, "neurons": 10}, trainer)
    assert [frame["outputs"]["shape"] for _, _, frame in room.sent] == [[1, 20, 20], [1, 30, 30]]
    trainer.step()
    room.watches.set("w", {"plane": PLANE | {"resolution": 30}, "neurons": 10}, trainer)
    assert len(room.sent) == 3
    room.watches.draw_all(trainer)
    assert len(room.sent) == 4
    room.watches.end("w")
    trainer.step()
    room.now += 10
    room.watches.draw_due(trainer)
    room.watches.draw_all(trainer)
    assert len(room.sent) == 4


def test_what_the_run_does_not_have_is_refused_and_the_old_wish_stays(room: Room) -> None:
    trainer = trainer_of(PlaneSpec())
    room.watches.set("w", {"plane": PLANE}, trainer)
    for wish in (
        {"plane": PLANE | {"neuron": [2, 3]}},
        {"plane": PLANE | {"neuron": [1, 0]}},
        {"plane": PLANE | {"columns": [0, 2]}},
        {"hidden": {"layer": 3, "units": [0, 1], "grid": 5}},
        {"hidden": {"layer": 2, "units": [0, 3], "grid": 5}},
        {"curve": {"resolution": 50}},
    ):
        with pytest.raises(ShapeError):
            room.watches.set("w", wish, trainer)
    with pytest.raises(ShapeError):
        room.watches.set("w", {"curve": {"resolution": 50, "layer": 1}}, on_a_curve(Dense(units=2), Tanh()))
    assert len(room.sent) == 1
    room.watches.draw_all(trainer)
    assert room.sent[1][2]["outputs"] == room.sent[0][2]["outputs"]


def test_a_run_with_another_spec_shows_what_it_still_has(room: Room) -> None:
    before = trainer_of(PlaneSpec())
    room.watches.set("w", EVERYTHING, before)
    smaller = trainer_of(PlaneSpec(points=50), (Dense(units=4), Tanh(), Dense(units=2)))
    room.watches.draw_all(smaller)
    frame = room.sent[-1][2]
    assert (frame["neuron"]["layer"], frame["hidden"]) == (2, None)
    assert [layer["layer"] for layer in frame["neurons"]] == [INPUTS, 0, 2]
    assert len(frame["predictions"]) == 50
    room.watches.draw_all(on_a_curve(Dense(units=2), Tanh()))
    frame = room.sent[-1][2]
    assert (frame["outputs"], frame["neuron"], frame["hidden"], frame["predictions"]) == (None, None, None, None)
    assert [layer["layer"] for layer in frame["neurons"]] == [INPUTS, 0, 2]


def test_a_network_that_goes_on_with_other_points_or_another_loss_is_seen_with_them(room: Room) -> None:
    trainer = trainer_of(PlaneSpec())
    room.watches.set("w", {"plane": PLANE}, trainer)
    trainer.dataset = points_dataset(PlaneSpec(points=50))
    room.watches.draw_all(trainer)
    assert [len(frame["predictions"]) for _, _, frame in room.sent] == [500, 50]
    trainer.loss = make_loss(RunSpec(loss="mean_squared_error"))
    room.watches.draw_all(trainer)
    assert_packed(room.sent[2][2]["outputs"], boundary(inspect(trainer), 20)[:1])
    assert room.sent[2][2]["outputs"] != room.sent[1][2]["outputs"]
    trainer.network = trainer_of(PlaneSpec(), seed=2).network
    room.watches.draw_all(trainer)
    assert_packed(room.sent[3][2]["outputs"], boundary(inspect(trainer), 20)[:1])
    assert room.sent[3][2]["outputs"] != room.sent[2][2]["outputs"]


def test_a_run_on_pictures_has_no_plane(room: Room, digits: Trainer) -> None:
    with pytest.raises(ShapeError, match="pictures"):
        room.watches.set("w", {"plane": PLANE}, digits)
    room.watches.set("w", {"plane": PLANE}, trainer_of(PlaneSpec()))
    room.watches.draw_all(digits)
    room.now += 1
    digits.step()
    room.watches.draw_due(digits)
    assert len(room.sent) == 1


@pytest.fixture
def digits() -> Trainer:
    return Trainer(small.spec(), small.dataset())


def test_two_pages_look_at_different_things(room: Room) -> None:
    trainer = trainer_of(PlaneSpec())
    room.watches.set("a", {"plane": PLANE}, trainer)
    room.watches.set("b", {"neurons": 8, "example": {"source": "test", "index": 0}, "tiles": [0, 1]}, trainer)
    room.train(trainer, 3)
    views = {(watch, view) for watch, view, _ in room.sent}
    assert views == {("a", "plane"), ("b", "plane"), ("b", "layers"), ("b", "tiles")}
    layers = next(frame for _, view, frame in room.sent if view == "layers")
    assert layers["input"]["shape"] == [2]
