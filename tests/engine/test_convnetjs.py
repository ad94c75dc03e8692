"""convnetjs's networks predict here what they predict there, and ours there what they predict here.

The golden files were made by convnetjs 0.3.0 itself (tests/engine/golden/make_convnetjs.py).
"""

from __future__ import annotations

import copy
import json
import random
import shutil
import subprocess
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.datasets.mnist import load_mnist
from engine.errors import FormatError
from engine.formats import convnetjs, native, read_model
from engine.losses import LOSSES
from engine.network import Network
from engine.specs import (
    GELU,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    LayerSpec,
    LeakyReLU,
    LocalResponseNormalization,
    Maxout,
    MaxPool2D,
    MnistSpec,
    RunSpec,
    Sigmoid,
    Softplus,
    Tanh,
    demo_network,
)
from engine.trainer import Trainer, TrainerState, fresh_state
from tests.engine.golden import make_convnetjs
from tests.engine.test_native import STRANGE, places
from tests.engine.test_trainer import assert_same

TOLERANCE = 1e-5


def golden(name: str) -> dict[str, Any]:
    values = json.loads((make_convnetjs.FOLDER / f"convnetjs_{name}.json").read_text())
    assert isinstance(values, dict)
    return values


def predicted(state: TrainerState, inputs: list[list[int]]) -> npt.NDArray[Any]:
    """What our engine makes of images given as bytes, row by row: probabilities, or the plain outputs of a regression or support vector machine."""
    crop = state.spec.dataset.crop
    network = Network(state.spec.network, (1, crop, crop))
    network.parameters[:] = state.parameters
    images = (np.array(inputs) / 255).astype(np.float32).reshape(len(inputs), crop, crop)
    logits = network.logits(np.ascontiguousarray(images.transpose(1, 2, 0))[None])
    if state.spec.loss in ("mean_squared_error", "hinge"):
        return logits.T
    return LOSSES[state.spec.loss]().probabilities(logits).T


def encoded(snapshot: Any) -> bytes:
    return json.dumps(snapshot).encode()


def with_lists(value: Any) -> Any:
    """The snapshot with every `w` as a list instead of an object with the keys "0", "1", …"""
    if isinstance(value, list):
        return [with_lists(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: list(item.values()) if name == "w" and isinstance(item, dict) else with_lists(item)
        for name, item in value.items()
    }


# ---- Both ways -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["digits", "layers", "regression", "svm"])
@pytest.mark.parametrize("form", ["objects", "lists"])
def test_a_network_of_convnetjs_predicts_the_same_here(name: str, form: str) -> None:
    recorded = golden(name)
    assert isinstance(recorded["snapshot"]["layers"][1]["biases"]["w"], dict)
    snapshot = recorded["snapshot"] if form == "objects" else with_lists(recorded["snapshot"])
    state = convnetjs.load(encoded(snapshot))
    np.testing.assert_allclose(predicted(state, recorded["inputs"]), recorded["outputs"], rtol=0, atol=TOLERANCE)


def test_our_network_predicts_the_same_in_convnetjs() -> None:
    recorded, state = golden("ours"), make_convnetjs.our_state()
    assert json.loads(convnetjs.dump(state)) == recorded["snapshot"]
    np.testing.assert_allclose(predicted(state, recorded["inputs"]), recorded["outputs"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["digits", "layers", "regression", "svm"])
def test_there_and_back_again(name: str) -> None:
    snapshot = with_lists(golden(name)["snapshot"])
    written = json.loads(convnetjs.dump(convnetjs.load(encoded(snapshot))))
    for before, after in zip(snapshot["layers"], written["layers"], strict=True):
        if before.get("n") == 2:  # written as the next odd one
            before |= {"n": 3, "alpha": 4.5}
        for field in before.keys() - {"filters", "biases"}:
            assert after[field] == before[field]
        for one, other in zip(before.get("filters", []), after.get("filters", []), strict=True):
            np.testing.assert_allclose(other["w"], one["w"], rtol=1e-6, atol=1e-9)


def test_the_digits_network_becomes_ours_and_trains_on() -> None:
    state = read_model(encoded(golden("digits")["snapshot"]), "from convnetjs")
    assert state.spec == RunSpec(name="from convnetjs")
    assert state.spec.network == demo_network()
    trainer = Trainer.from_state(state, load_mnist())
    assert_same(trainer.state(), state)
    trainer.step()


def test_what_convnetjs_multiplies_by_stands_in_the_next_weights() -> None:
    snapshot = with_lists(golden("layers")["snapshot"])
    state = convnetjs.load(encoded(snapshot))
    network = Network(state.spec.network, (1, 13, 13))
    network.parameters[:] = state.parameters
    weights = network.layers[3].weights
    assert weights is not None
    theirs = np.array(snapshot["layers"][4]["filters"][0]["w"]).reshape(2, 2, 4).transpose(2, 0, 1)
    np.testing.assert_allclose(weights[0], 0.3 * theirs, rtol=1e-6)


def test_convnetjs_itself_agrees() -> None:
    """The golden files once more, made on the spot."""
    node = shutil.which("node")
    found = node and subprocess.run([node, "-e", "require.resolve('convnetjs')"], capture_output=True, check=False, timeout=60)
    if not found or found.returncode != 0:
        pytest.skip("needs node, and the npm package convnetjs in NODE_PATH")
    for name, made in {**make_convnetjs.ask("make"), "ours": make_convnetjs.ask_about_ours()}.items():
        np.testing.assert_allclose(made["outputs"], golden(name)["outputs"], rtol=0, atol=TOLERANCE)


# ---- What cannot be taken over ----------------------------------------------------------------------------------------------


def refused(snapshot: Any) -> FormatError:
    with pytest.raises(FormatError) as caught:
        convnetjs.load(encoded(snapshot))
    assert str(caught.value).endswith(".")
    return caught.value


@pytest.mark.parametrize(
    ("index", "change", "message"),
    [
        (1, {"layer_type": "maxout"}, "group_size must be a whole number"),
        (2, {"layer_type": "lrn", "k": 1, "n": 3, "alpha": "x", "beta": 1}, "alpha must be a number"),
        (2, {"layer_type": "lrn", "k": 0, "n": 3, "alpha": 1, "beta": 1}, "K of layer 2 must be above 0"),
        (1, {"l2_decay_mul": None}, "l2_decay_mul must be a number"),
        (5, {"layer_type": "quadtransform"}, "not known"),
        (1, {"layer_type": "__proto__"}, "not known"),
        (1, {"layer_type": ["conv"]}, "not known"),
        (0, {"layer_type": "relu"}, "first layer"),
        (0, {"out_depth": 3}, "13×13×3 fits neither"),
        (0, {"out_sx": 10**9}, "whole number"),
        (0, {"out_sx": "13"}, "whole number"),
        (1, {"sy": 5}, "only square windows"),
        (1, {"stride": 0}, "at least 1"),
        (1, {"pad": -1}, "whole number"),
        (1, {"out_depth": 512}, "must have 512 filters|must be"),
        (1, {"out_sx": 8}, "output must be 7×7×4"),
        (1, {"filters": None}, "must have 4 filters"),
        (1, {"biases": {"sx": 1, "sy": 1, "depth": 4, "w": [0, 0, 0]}}, "must hold 4 numbers"),
        (1, {"biases": {"sx": 1, "sy": 1, "depth": 4, "w": [0, 0, 0, None]}}, "must hold 4 numbers"),
        (1, {"biases": {"sx": 1, "sy": 1, "depth": 4, "w": [0, 0, 0, 1e39]}}, "must hold 4 numbers"),
        (1, {"biases": {"sx": 1, "sy": 1, "depth": 4, "w": {"0": 1, "1": 1, "2": 1, "4": 1}}}, "must hold 4 numbers"),
        (1, {"biases": {"sx": 2, "sy": 2, "depth": 1, "w": [0, 0, 0, 0]}}, "must be a Vol of 1×1×4"),
        (3, {"drop_prob": 0}, "drop_prob must lie between"),
        (3, {"drop_prob": 1}, "drop_prob must lie between"),
        (7, {"pad": 1}, "pooling with padding"),
        (-1, {"layer_type": "relu"}, "must be softmax, svm or regression"),
        (-1, {"out_depth": 9}, "output must be 1×1×10"),
    ],
)
def test_what_does_not_fit_is_named(index: int, change: dict[str, Any], message: str) -> None:
    snapshot = with_lists(golden("layers")["snapshot"])
    snapshot["layers"][index].update(change)
    error = refused(snapshot)
    assert any(part in str(error) for part in message.split("|")), str(error)


@pytest.mark.parametrize("snapshot", [{}, [], None, {"layers": {}}, {"layers": []}, {"layers": [None] * 5}, {"nets": []}])
def test_what_is_no_snapshot_is_refused(snapshot: Any) -> None:
    refused(snapshot)


def test_dropout_before_a_bend_is_refused() -> None:
    """A factor passes through ReLU and pooling, but not through a sigmoid."""
    snapshot = with_lists(golden("layers")["snapshot"])
    layers = snapshot["layers"]
    layers[2], layers[3] = layers[3], layers[2]
    assert "dropout directly before it" in str(refused(snapshot))


@pytest.mark.parametrize("kind", [Softplus(), LeakyReLU(), GELU()])
def test_layers_that_convnetjs_lacks_are_not_written(kind: LayerSpec) -> None:
    state = fresh_state(RunSpec(network=(Dense(units=5), kind, Dense(units=10))))
    with pytest.raises(FormatError, match=r"is not among convnetjs's layers\. Save it in Nabla's own format"):
        convnetjs.dump(state)


@pytest.mark.parametrize(
    "network",
    [
        (Dense(units=5), Dropout(), Tanh(), Dense(units=10)),
        (Dense(units=5), Dropout(), Sigmoid(), Dense(units=10)),
        (Dense(units=10), Dropout()),
        (MaxPool2D(pool_size=8, stride=12), Dense(units=10), Dropout()),
    ],
)
def test_dropout_that_cannot_be_carried_is_not_written(network: tuple[LayerSpec, ...]) -> None:
    with pytest.raises(FormatError, match="convnetjs cannot read this network"):
        convnetjs.dump(fresh_state(RunSpec(network=network, dataset=MnistSpec(crop=20))))


def test_a_loss_that_convnetjs_does_not_have_is_not_written() -> None:
    with pytest.raises(FormatError, match="Its loss is not among convnetjs's"):
        convnetjs.dump(fresh_state(RunSpec(loss="huber")))


@pytest.mark.parametrize("layer", [Maxout(), LocalResponseNormalization()])
def test_neighbours_of_a_flattened_map_are_not_channels(layer: LayerSpec) -> None:
    state = fresh_state(RunSpec(network=(Conv2D(), Flatten(), layer, Dense(units=10))))
    with pytest.raises(FormatError, match="looks at a flattened map"):
        convnetjs.dump(state)


def test_an_even_number_of_neighbours_looks_as_far_as_the_next_odd_one() -> None:
    state = convnetjs.load(encoded(golden("svm")["snapshot"]))
    assert state.spec.loss == "hinge"
    assert LocalResponseNormalization(k=2.0, n=3, alpha=4.5, beta=0.5) in state.spec.network
    assert state.spec.network[0] == Conv2D(filters=6, kernel_size=3, padding=1, l2_multiplier=0.5)


def test_the_multiplier_of_l1_is_written_where_there_is_l1() -> None:
    network = (Dense(units=5, l1_multiplier=3.0), Dense(units=10))
    written = [json.loads(convnetjs.dump(fresh_state(RunSpec(network=network, l1=l1)))) for l1 in (0.0, 0.1)]
    assert [[layer.get("l1_decay_mul") for layer in snapshot["layers"][1:3]] for snapshot in written] == [[0, 0], [3, 1]]
    assert convnetjs.load(encoded(written[1])).spec.network == network


def test_a_network_without_numbers_is_not_written() -> None:
    state = fresh_state(RunSpec())
    state.parameters[0] = np.inf
    with pytest.raises(FormatError, match="no numbers"):
        convnetjs.dump(state)


def test_a_changed_snapshot_is_refused_or_a_network_that_works() -> None:
    rng, values, accepted = random.Random(3), with_lists(golden("regression")["snapshot"]), 0
    for _ in range(500):
        snapshot = copy.deepcopy(values)
        *path, last = rng.choice(places(snapshot))
        place: Any = snapshot
        for key in path:
            place = place[key]
        place[last] = rng.choice(STRANGE)
        try:
            state = convnetjs.load(encoded(snapshot))
        except FormatError:
            continue
        accepted += 1
        assert np.isfinite(state.parameters).all()
    assert accepted < 200


# ---- Which format is it? ------------------------------------------------------------------------------------------------------


def test_files_are_told_apart() -> None:
    state = convnetjs.load(encoded(golden("layers")["snapshot"]))
    assert_same(read_model(native.dump(state)), state)
    assert read_model(b"\n { \"layers\" :" + encoded(golden("layers")["snapshot"]["layers"]) + b"}").spec.dataset.crop == 13
    text = "layer_defs = [{type: 'input', sx: 28, sy: 28, depth: 1}, {type: 'softmax', num_classes: 10}];"
    read = read_model(text.encode(), "typed")
    assert read.spec.name == "typed"
    assert read.spec.network == (Dense(units=10),)
    assert_same(Trainer.from_state(read, load_mnist()).state(), Trainer(read.spec, load_mnist()).state())


@pytest.mark.parametrize("document", [b"", b"\x89PNG\r\n\x1a\n\x00\xff", b"{}", b"hello", b'{"layers": 1}'])
def test_any_other_file_is_refused(document: bytes) -> None:
    with pytest.raises(FormatError):
        read_model(document)
