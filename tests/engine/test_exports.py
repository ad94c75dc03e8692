"""A network taken elsewhere (plain NumPy, PyTorch, ONNX) answers there as it does here, from the bytes of an image on."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx as onnx_package
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime import InferenceSession

from engine import specs
from engine.augmentation import centre_crop
from engine.datasets.mnist import load_mnist
from engine.errors import FormatError
from engine.formats import numpy_script, onnx, pytorch_script
from engine.formats.trained import preprocessing
from engine.shapes import LayerPlan
from engine.specs import LAYER_SPECS, Conv2D, Dense, LayerSpec, LossName, MnistSpec, RunSpec
from engine.trainer import Trainer, TrainerState, fresh_state

TOLERANCE = 1e-5
IMAGES = 2_000

Predict = Callable[[Any], Any]


# ---- As a person runs them -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    """The default network after some 60 updates."""
    trainer = Trainer(RunSpec(name="ours"), load_mnist())
    for _ in range(60):
        trainer.step()
    return trainer


@pytest.fixture(scope="module")
def right(trainer: Trainer) -> int:
    """How many of the first test images the network gets right in the engine."""
    test = trainer.splits["test"]
    probabilities = trainer.probabilities(centre_crop(test.images[:IMAGES], trainer.spec.dataset.crop))
    return int((probabilities.argmax(axis=1) == test.labels[:IMAGES]).sum())


@pytest.fixture(scope="module")
def files(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """IDX files of the first test images and their labels."""
    folder, test = tmp_path_factory.mktemp("idx"), trainer.splits["test"]
    images, labels = folder / "images", folder / "labels"
    images.write_bytes(struct.pack(">HBB3I", 0, 8, 3, IMAGES, 28, 28) + test.images[:IMAGES].tobytes())
    labels.write_bytes(struct.pack(">HBB1I", 0, 8, 1, IMAGES) + test.labels[:IMAGES].astype(np.uint8).tobytes())
    return images, labels


def run(script: bytes, folder: Path, *arguments: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "network.py"
    file.write_bytes(script)
    command = [sys.executable, "-W", "error", str(file), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def needs_torch() -> None:
    if find_spec("torch") is None:
        pytest.skip("needs PyTorch: python3 -m tests --peers, or pip install -e '.[peers]'")


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_script_reproduces_the_accuracy(
    library: str, trainer: Trainer, files: tuple[Path, Path], right: int, tmp_path: Path
) -> None:
    if library == "torch":
        needs_torch()
    write = numpy_script.dump if library == "numpy" else pytorch_script.dump
    result = run(write(trainer.state()), tmp_path, *files)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"ours: accuracy {right / IMAGES:.4f} ({right:,} of {IMAGES:,})\n"
    assert right > IMAGES / 2


def test_a_script_without_files_says_how_it_is_used(trainer: Trainer, tmp_path: Path) -> None:
    result = run(numpy_script.dump(trainer.state()), tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("usage: python3 ")
    assert result.stderr.endswith("t10k-images-idx3-ubyte t10k-labels-idx1-ubyte\n")


def test_an_onnx_model_reproduces_the_accuracy(trainer: Trainer, right: int) -> None:
    test, model = trainer.splits["test"], onnx.dump(trainer.state())
    probabilities = predict_by_onnx(trainer.state())(test.images[:IMAGES])
    assert int((probabilities.argmax(axis=1) == test.labels[:IMAGES]).sum()) == right
    described = onnx_package.load_from_string(model)
    onnx_package.checker.check_model(described, full_check=True)
    texts = {entry.key: json.loads(entry.value) for entry in described.metadata_props}
    assert texts["spec"] == trainer.spec.to_dict()
    assert texts["preprocessing"] == preprocessing(trainer.spec)
    assert "60 updates" in described.doc_string
    assert onnx.dump(trainer.state()) == model


# ---- Every layer and loss ----------------------------------------------------------------------------------------------------


def predict_by_numpy(state: TrainerState) -> Predict:
    return loaded(numpy_script.dump(state))["predict"]


def predict_by_torch(state: TrainerState) -> Predict:
    script = loaded(pytorch_script.dump(state)) if find_spec("torch") else None
    if script is None:
        compile(pytorch_script.dump(state), "network.py", "exec")
        needs_torch()
        raise AssertionError
    return lambda images: script["predict"](images).numpy()


def predict_by_onnx(state: TrainerState) -> Predict:
    session = InferenceSession(onnx.dump(state))
    return lambda images: session.run(None, {"images": np.ascontiguousarray(images)})[0]


def loaded(script: bytes) -> dict[str, Any]:
    """A script's names."""
    names: dict[str, Any] = {"__name__": "network"}
    exec(compile(script, "network.py", "exec"), names)
    return names


ELSEWHERE = {"numpy": predict_by_numpy, "torch": predict_by_torch, "onnx": predict_by_onnx}

CONVOLUTION, LAST = Conv2D(filters=6, kernel_size=3, stride=2, padding=1), Dense(units=10)
NETWORKS: dict[str, tuple[LayerSpec, ...]] = {
    "dense": (Dense(units=7), LAST),
    "conv2d": (Conv2D(filters=5, kernel_size=4, stride=3, padding=2), Conv2D(filters=4, kernel_size=2), LAST),
    "conv1d": (specs.Conv1D(filters=4, kernel_size=5, stride=2, padding=3), specs.Conv1D(filters=3, kernel_size=2), LAST),
    "max_pool1d": (specs.MaxPool1D(pool_size=3, stride=2), LAST),
    "max_pool2d": (specs.MaxPool2D(pool_size=3, stride=2), LAST),
    "avg_pool2d": (specs.AveragePool2D(pool_size=3, stride=2), LAST),
    "global_avg_pool2d": (Conv2D(filters=10, kernel_size=3), specs.GlobalAveragePool2D()),
    "leaky_relu": (CONVOLUTION, specs.LeakyReLU(slope=0.2), LAST),
    "maxout": (CONVOLUTION, specs.Maxout(group_size=3), Dense(units=20), specs.Maxout()),
    "local_response_normalization": (
        CONVOLUTION,
        specs.LocalResponseNormalization(k=1.5, n=3, alpha=0.3, beta=0.6),
        LAST,
        specs.LocalResponseNormalization(n=5, alpha=2.0),
    ),
    "batch_normalization": (CONVOLUTION, specs.BatchNormalization(), LAST, specs.BatchNormalization(epsilon=0.1)),
    "dropout": (CONVOLUTION, specs.Dropout(rate=0.5), LAST),
    "flatten": (CONVOLUTION, specs.Flatten(), LAST, specs.Flatten()),
}
for _name in ("relu", "tanh", "sigmoid", "softplus", "gelu"):
    NETWORKS[_name] = (CONVOLUTION, LAYER_SPECS[_name](), LAST, LAYER_SPECS[_name]())


def untrained(network: tuple[LayerSpec, ...], loss: LossName = "softmax_cross_entropy", crop: int = 23) -> TrainerState:
    """A run whose weights and biases are all random."""
    state = fresh_state(RunSpec(network=network, dataset=MnistSpec(crop=crop), loss=loss))
    noise = np.random.default_rng(5).normal(0, 0.3, state.parameters.size)
    return replace(state, parameters=state.parameters + noise.astype(np.float32))


def assert_answers_as_here(elsewhere: str, state: TrainerState, count: int = 40) -> None:
    trainer = Trainer.from_state(state, load_mnist())
    images = trainer.splits["test"].images[:count]
    here = trainer.probabilities(centre_crop(images, state.spec.dataset.crop))
    there = ELSEWHERE[elsewhere](state)(images)
    assert there.dtype == np.float32
    np.testing.assert_allclose(there, here, rtol=0, atol=TOLERANCE)
    assert np.ptp(here, axis=0).max() > 0.01, "a network that always says the same shows nothing"


def test_every_layer_has_a_network_here() -> None:
    assert NETWORKS.keys() == LAYER_SPECS.keys()


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
@pytest.mark.parametrize("layer", NETWORKS)
def test_every_layer_answers_as_here(layer: str, elsewhere: str) -> None:
    assert_answers_as_here(elsewhere, untrained(NETWORKS[layer]))


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
@pytest.mark.parametrize("loss", get_args(LossName))
def test_every_loss_makes_the_same_probabilities(loss: LossName, elsewhere: str) -> None:
    assert_answers_as_here(elsewhere, untrained((Dense(units=10),), loss, crop=28))


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_where_no_output_is_above_zero_all_classes_are_alike(elsewhere: str) -> None:
    state = untrained((Dense(units=10),), "mean_squared_error")
    state.parameters[...] = 0
    state.parameters[-10:] = -1
    predicted = ELSEWHERE[elsewhere](state)(load_mnist().test.images[:40])
    np.testing.assert_allclose(predicted, 0.1, rtol=1e-6)


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_a_network_may_end_in_maps(elsewhere: str) -> None:
    assert_answers_as_here(elsewhere, untrained((Conv2D(filters=10, kernel_size=23),)))


# ---- Refusals ------------------------------------------------------------------------------------------------------------------


def test_images_of_another_kind_are_refused() -> None:
    predict = predict_by_numpy(untrained((LAST,)))
    for images in (np.zeros((2, 28, 28)), np.zeros((2, 24, 24), np.uint8), np.zeros((28, 28), np.uint8)):
        with pytest.raises(ValueError, match="Images must be uint8"):
            predict(images)
    assert predict(np.zeros((0, 28, 28), np.uint8)).shape == (0, 10)


class Unheard:
    """A layer of the future."""


@pytest.mark.parametrize("program", ["A NumPy script", "A PyTorch script", "ONNX"])
def test_a_layer_without_a_counterpart_is_named(program: str) -> None:
    layer = LayerPlan(0, Unheard(), "Time machine", (1,), (1,), 0, "", 0)  # type: ignore[arg-type]
    state = untrained((LAST,))
    network = Trainer.from_state(state, load_mnist()).network
    write: dict[str, Callable[[], Any]] = {
        "A NumPy script": lambda: numpy_script._call(layer),
        "A PyTorch script": lambda: pytorch_script._modules(layer),
        "ONNX": lambda: onnx._add_layer(onnx.Graph(), network.layers[0], layer, "values"),
    }
    with pytest.raises(FormatError, match=f"{program} cannot hold this network: Time machine"):
        write[program]()


@pytest.mark.parametrize("write", [numpy_script.dump, pytorch_script.dump, onnx.dump])
def test_a_diverged_network_is_not_saved(write: Callable[[TrainerState], bytes]) -> None:
    state = untrained((LAST,))
    state.parameters[3] = np.inf
    with pytest.raises(FormatError, match="no numbers"):
        write(state)


def test_without_the_package_onnx_the_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(FormatError, match=r"Install nabla\[export\]"):
        onnx.dump(untrained((LAST,)))


@pytest.mark.parametrize("write", [numpy_script.dump, pytorch_script.dump])
@given(name=st.text(min_size=1, max_size=80))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_name_is_never_code(write: Callable[[TrainerState], bytes], name: str) -> None:
    script = write(replace(fresh_state(RunSpec(network=(LAST,))), spec=RunSpec(name=name, network=(LAST,))))
    compile(script, "network.py", "exec")
    line = next(line for line in script.decode().split("\n") if line.startswith("NAME = "))
    assert eval(line.removeprefix("NAME = "), {"__builtins__": {}}) == name
