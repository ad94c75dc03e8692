"""Any weight of any network: its lines recompute by hand, its gradient is the engine's, its update the trainer's."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import pytest

from engine.datasets.points import points_dataset
from engine.errors import ShapeError
from engine.lessons.by_hand import Line, sum_of_products
from engine.lessons.one_weight import BIAS, explain
from engine.specs import (
    OPTIMIZER_SPECS,
    SGD,
    Adam,
    Conv1D,
    Conv2D,
    CurveSpec,
    Dense,
    Dropout,
    LayerSpec,
    MaxPool2D,
    MomentumSGD,
    PlaneSpec,
    ReLU,
    RunSpec,
    Sigmoid,
    Tanh,
)
from engine.trainer import Trainer
from tests.engine import small
from tests.engine.by_hand import check_line, reckoned, value_and_half_digit
from tests.engine.portions import finished_in_portions


def explained(trainer: Trainer, layer: int, unit: int, source: int, example: int = 0) -> dict[str, Any]:
    return finished_in_portions(explain(trainer, layer, unit, source, example))


def of_points(**changes: Any) -> Trainer:
    spec = RunSpec(
        dataset=PlaneSpec(points=20),
        network=(Dense(units=9), Tanh(), Dense(units=3), ReLU(), Dense(units=2)),
        batch_size=1,
        **{"optimizer": SGD(learning_rate=0.1), "l2": 0.0, **changes},
    )
    return Trainer(spec, points_dataset(spec.dataset))  # type: ignore[arg-type]


def of_images(*layers: LayerSpec, **changes: Any) -> Trainer:
    return Trainer(small.spec(network=(*layers, Dense(units=10)), batch_size=1, **changes), small.dataset())


def checked_lines(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    for line in found["lines"]:
        check_line(Line(**{key: line[key] for key in ("name", "latex", "numbers", "value")}))
    return {line["name"]: line for line in found["lines"]}


def as_number(text: str) -> float:
    return -value_and_half_digit(text[1:])[0] if text.startswith("−") else value_and_half_digit(text)[0]


@pytest.mark.parametrize("optimizer", OPTIMIZER_SPECS)
@pytest.mark.parametrize(("layer", "unit", "source"), [(0, 4, 1), (0, 2, BIAS), (2, 1, 8), (4, 0, 2), (4, 1, BIAS)])
def test_the_new_weight_is_the_one_that_the_trainer_makes(optimizer: str, layer: int, unit: int, source: int) -> None:
    """With a memory of earlier updates, decay, and a gradient that is shortened; the next batch is the one example."""
    trainer = of_points(optimizer=OPTIMIZER_SPECS[optimizer](), l1=0.01, l2=0.02, clip_norm=0.05)
    trainer.advance(7)
    upcoming = int(trainer._order[trainer._position])
    lines = checked_lines(explained(trainer, layer, unit, source, upcoming))
    trainer.step()
    weights = trainer.network.layers[layer].weights if source >= 0 else trainer.network.layers[layer].biases
    assert weights is not None
    now = weights[unit, source] if source >= 0 else weights[unit]
    assert lines["weight"]["value"] == pytest.approx(float(now), abs=2e-6)
    assert "clipped" in lines


@pytest.mark.parametrize(
    ("layers", "layer", "shared"),
    [
        ((Conv2D(filters=3, kernel_size=5, stride=2, padding=2), ReLU(), MaxPool2D()), 0, 169),
        ((Conv2D(filters=3, kernel_size=3), Sigmoid(), Conv2D(filters=2, kernel_size=4, stride=3, padding=1)), 2, 64),
        ((Conv1D(filters=3, kernel_size=5, stride=2, padding=1), Tanh()), 0, 12),
        ((Conv2D(filters=2, kernel_size=3), ReLU(), Dropout(rate=0.5)), 3, 1),
    ],
)
def test_a_shared_weight_sums_over_its_places(layers: tuple[LayerSpec, ...], layer: int, shared: int) -> None:
    """Against the engine's own gradient, for the first, the last and a middle weight of a unit, and its bias."""
    trainer = of_images(*layers)
    inner = trainer.network.layers[layer].weights
    assert inner is not None
    for source in (0, inner[1].size // 2, inner[1].size - 1, BIAS):
        found = explained(trainer, layer, 1, source, example=3)
        lines = checked_lines(found)
        trace = trainer.network.trace(
            trainer.splits["train"].look(slice(3, 4)), int(trainer.splits["train"].labels[3]), trainer.loss
        ).layers[layer]
        assert trace.weight_gradients is not None
        assert trace.gradients is not None
        expected = trace.weight_gradients[1].reshape(-1)[source] if source >= 0 else trace.gradients[1].sum()
        assert lines["gradient"]["value"] == pytest.approx(float(expected), rel=1e-4, abs=1e-7)
        assert as_number(found["tried"]) == pytest.approx(lines["gradient"]["value"], rel=1e-4, abs=1e-7)
        assert found["shared"] == shared
        assert len(found["places"]) == (0 if shared == 1 else 6)
        for place in found["places"]:
            assert as_number(place["delta"]) * as_number(place["came"]) == pytest.approx(
                as_number(place["product"]), rel=2e-4, abs=1e-12
            )


def test_what_comes_back_is_told_weight_by_weight() -> None:
    trainer = of_points()
    lines = checked_lines(explained(trainer, 2, 1, 0))
    assert lines["error"]["numbers"].count("·") == 2  # two units behind it
    assert "out" in lines["error"]["note"]
    assert "delta" in lines
    last = checked_lines(explained(trainer, 4, 1, 0))
    assert "error" not in last
    assert last["delta"]["note"].endswith("from the loss itself.")


def test_words_say_where_the_weight_is() -> None:
    trainer = of_images(Conv2D(filters=2, kernel_size=3), ReLU())
    found = explained(trainer, 0, 1, 5)
    assert (found["from"], found["to"], found["name"]) == ("channel 1, row 2, column 3", "filter 2", "Convolution")
    found = explained(trainer, 2, 9, 2 * 24 * 24 - 1, example=59)
    assert (found["from"], found["to"], found["name"]) == ("channel 2, row 24, column 24", "unit 10", "Dense")
    assert explained(trainer, 2, 0, BIAS)["from"] == "the bias"
    assert [(layer["index"], layer["units"], layer["sources"]) for layer in found["layers"]] == [
        (0, 2, 9),
        (2, 10, 1152),
    ]


def test_a_number_that_is_learned_is_explained_too() -> None:
    spec = RunSpec(
        dataset=CurveSpec(points=10),
        network=(Dense(units=3), Sigmoid(), Dense(units=1)),
        loss="mean_squared_error",
        optimizer=MomentumSGD(),
        batch_size=1,
    )
    trainer = Trainer(spec, points_dataset(spec.dataset))  # type: ignore[arg-type]
    found = explained(trainer, 0, 2, 0, example=9)
    checked_lines(found)
    assert as_number(found["tried"]) == pytest.approx(as_number(found["gradient"]), rel=1e-3)


def test_looking_changes_nothing_of_the_training() -> None:
    looked_at, alone = of_points(optimizer=Adam()), of_points(optimizer=Adam())
    for trainer in (looked_at, alone):
        trainer.advance(3)
    explained(looked_at, 2, 0, 1)
    for trainer in (looked_at, alone):
        trainer.advance(3)
    np.testing.assert_array_equal(looked_at.network.parameters, alone.network.parameters)


def test_training_that_goes_on_between_the_portions_is_not_mixed_in() -> None:
    trainer = of_points(optimizer=Adam(learning_rate=0.1), l2=0.01)
    trainer.advance(4)
    alone = explained(trainer, 2, 1, 0, 3)

    def trained_on() -> Generator[None, None, dict[str, Any]]:
        portions = explain(trainer, 2, 1, 0, 3)
        while True:
            try:
                yield next(portions)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            trainer.advance(2)

    assert finished_in_portions(trained_on()) == alone


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((1, 0, 0, 0), "no weights to explain; these have: 0, 2, 4"),
        ((9, 0, 0, 0), "no weights to explain"),
        ((0, 9, 0, 0), "9 units with 2 inputs"),
        ((0, 0, 2, 0), "9 units with 2 inputs"),
        ((0, 0, -2, 0), "9 units with 2 inputs"),
        ((0, 0, 0, 10), "numbered from 0 to 9"),
    ],
)
def test_what_is_not_there_is_refused(place: tuple[int, int, int, int], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        explained(of_points(), *place)


def test_a_diverged_network_is_refused() -> None:
    trainer = of_points()
    trainer.network.parameters[3] = np.nan
    with pytest.raises(ShapeError, match="no numbers any more"):
        explained(trainer, 0, 0, 0)


def test_a_long_sum_keeps_what_counts_most() -> None:
    pairs = [(0.001, 1.0), (2.0, 1.0), (-3.0, 1.0), (0.002, 1.0)]
    assert sum_of_products(pairs, most=2) == "2 · 1 + (−3) · 1 + 0.003"
    assert reckoned(sum_of_products(pairs))[0] == pytest.approx(-0.997)
