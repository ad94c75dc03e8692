"""Networks that learned from points, in the formats of other programs: each answers as here."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from engine.datasets.points import points_dataset
from engine.datasets.table import read_csv
from engine.evaluation import evaluate
from engine.formats import convnetjs, native, numpy_script, onnx, pytorch_script, safetensors
from engine.specs import (
    Adam,
    CurveSpec,
    Dense,
    Dropout,
    LayerSpec,
    LossName,
    PlaneSpec,
    PointsSpec,
    ReLU,
    RunSpec,
    Sigmoid,
    TableSpec,
    Tanh,
)
from engine.trainer import Trainer

HOUSES = "area;rooms;age;price\n" + "\n".join(
    f"{40 + 7 * i % 160};{1 + i % 5};{i * 13 % 90};{90_000 + 2_100 * (7 * i % 160) - 300 * (i * 13 % 90)}" for i in range(60)
)


def own_table() -> TableSpec:
    spec = read_csv(HOUSES, target="price", columns=None).spec
    assert spec.standardize
    return spec


CASES: dict[str, tuple[PointsSpec, LossName, int]] = {
    "three arms, own features": (
        PlaneSpec(kind="spiral", class_count=3, features=("x", "sin_x", "xy", "y_squared", "cos_y")),
        "softmax_cross_entropy",
        3,
    ),
    "one output for two classes": (PlaneSpec(kind="xor"), "half_squared_error", 1),
    "every feature": (
        PlaneSpec(features=("x", "y", "x_squared", "y_squared", "xy", "sin_x", "sin_y", "cos_x", "cos_y")),
        "binary_cross_entropy",
        2,
    ),
    "a curve": (CurveSpec(train_share=0.5, points=60), "mean_squared_error", 1),
    "a table": (own_table(), "huber", 1),
}


def trained(case: str) -> Trainer:
    dataset, loss, outputs = CASES[case]
    network: tuple[LayerSpec, ...] = (Dense(units=8), Tanh(), Dense(units=6), ReLU(), Dropout(rate=0.1), Dense(units=outputs))
    spec = RunSpec(name=f"{case}: \"'''", dataset=dataset, network=network, loss=loss, optimizer=Adam(learning_rate=0.02))
    trainer = Trainer(spec, points_dataset(dataset))
    for _ in range(300):
        trainer.step()
    return trainer


def expected_words(trainer: Trainer) -> str:
    judged = evaluate(trainer, "test")
    if judged.errors is None:
        assert judged.accuracy is not None
        return f"accuracy {judged.accuracy:.4f} ({round(judged.accuracy * judged.examples)} of {judged.examples} test points)"
    return f"R² {judged.errors.r_squared:.4f} over {judged.examples} test points"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_script_does_as_well_on_the_test_points(case: str, library: str, tmp_path: Path) -> None:
    if library == "torch" and find_spec("torch") is None:
        pytest.skip("PyTorch is not installed; the extra `peers` brings it")
    trainer = trained(case)
    script = tmp_path / "network.py"
    script.write_bytes((numpy_script if library == "numpy" else pytorch_script).dump(trainer.state()))
    done = subprocess.run(
        [sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=100, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == f"{trainer.spec.name}: {expected_words(trainer)}"


@pytest.mark.parametrize("case", CASES)
def test_an_onnx_model_answers_as_here(case: str) -> None:
    trainer = trained(case)
    dataset = points_dataset(CASES[case][0])
    session = onnxruntime.InferenceSession(onnx.dump(trainer.state()), providers=["CPUExecutionProvider"])
    (answers,) = session.run(None, {"points": dataset.positions})
    ours = trainer.probabilities(dataset.to_inputs(dataset.positions))
    mean, spread = dataset.target_scale
    assert answers == pytest.approx(ours if dataset.classes else mean + spread * ours, rel=2e-4, abs=1e-5)
    assert [output.name for output in session.get_outputs()] == ["probabilities" if dataset.classes else "numbers"]


@pytest.mark.parametrize("case", CASES)
def test_safetensors_and_nablas_own_come_back_with_the_same_network(case: str) -> None:
    state = trained(case).state()
    read = safetensors.load(safetensors.dump(state))
    assert (read.spec, read.steps) == (state.spec, 0)
    assert np.array_equal(read.parameters, state.parameters)
    again = native.load(native.dump(state))
    assert (again.spec, again.steps, again.position) == (state.spec, state.steps, state.position)
    assert np.array_equal(again.parameters, state.parameters)


@pytest.mark.parametrize(
    ("dataset", "loss", "units"),
    [
        (PlaneSpec(class_count=3), "softmax_cross_entropy", 3),
        (PlaneSpec(kind="plane"), "mean_squared_error", 1),
        (CurveSpec(), "mean_squared_error", 1),
    ],
)
def test_a_snapshot_of_convnetjs_comes_back_to_points(dataset: PointsSpec, loss: LossName, units: int) -> None:
    network = (Dense(units=6), Tanh(), Dense(units=2), Sigmoid(), Dense(units=units))
    state = Trainer(RunSpec(dataset=dataset, network=network, loss=loss), points_dataset(dataset)).state()
    snapshot = json.loads(convnetjs.dump(state))
    assert snapshot["layers"][0] == {"out_depth": dataset.input_shape[0], "out_sx": 1, "out_sy": 1, "layer_type": "input"}
    read = convnetjs.load(json.dumps(snapshot).encode())
    assert (read.spec.dataset, read.spec.network, read.spec.loss) == (dataset, network, loss)
    assert read.parameters == pytest.approx(state.parameters)
