"""safetensors files are what the safetensors package reads and writes, and one that was changed anywhere is refused."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load as load_elsewhere
from safetensors.numpy import save as save_elsewhere

from engine.errors import FormatError
from engine.formats import read_model, safetensors
from engine.formats.trained import preprocessing
from engine.network import Network
from engine.specs import RunSpec
from engine.trainer import Trainer, fresh_state
from tests.engine import small
from tests.engine.test_native import STRANGE
from tests.engine.test_trainer import assert_same, trained

MUTATIONS = 2_000


def parts(document: bytes) -> tuple[dict[str, Any], bytes]:
    length = struct.unpack_from("<Q", document)[0]
    return json.loads(document[8 : 8 + length]), document[8 + length :]


def joined(header: Any, numbers: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def test_the_package_reads_what_is_written(tmp_path: Any) -> None:
    trainer = trained(5)
    path = tmp_path / "net.safetensors"
    path.write_bytes(safetensors.dump(trainer.state()))
    with safe_open(path, "np") as file:
        metadata = file.metadata()
        names = list(file.keys())
        first = file.get_tensor("network.0.weights")
    assert sorted(names) == ["network.0.biases", "network.0.weights", "network.4.biases", "network.4.weights"]
    np.testing.assert_array_equal(first, trainer.network.layers[0].weights)
    assert json.loads(metadata["spec"]) == trainer.spec.to_dict()
    assert json.loads(metadata["preprocessing"]) == preprocessing(trainer.spec)
    assert json.loads(metadata["step"]) == 5


def test_what_the_package_writes_is_read() -> None:
    """It lays the tensors out in an order of its own."""
    state = trained(5).state()
    document = safetensors.dump(state)
    again = save_elsewhere(load_elsewhere(document), parts(document)[0]["__metadata__"])
    assert again != document
    np.testing.assert_array_equal(safetensors.load(again).parameters, state.parameters)


def test_a_run_begins_with_the_network_of_a_file() -> None:
    before = trained(5)
    state = read_model(safetensors.dump(before.state()))
    assert (state.spec, state.steps) == (before.spec, 0)
    trainer = Trainer.from_state(state, small.dataset())
    np.testing.assert_array_equal(trainer.network.parameters, before.network.parameters)
    trainer.step()


def test_a_fresh_network_comes_back_as_it_was() -> None:
    state = fresh_state(RunSpec())
    assert_same(safetensors.load(safetensors.dump(state)), state)


def test_a_diverged_network_is_not_saved() -> None:
    trainer = trained(1)
    trainer.network.parameters[3] = np.nan
    with pytest.raises(FormatError, match="no numbers"):
        safetensors.dump(trainer.state())


# ---- Damaged files -------------------------------------------------------------------------------------------------------


def put(pointer: str, value: Any) -> bytes:
    """The file with another value at `pointer` of its header."""
    header, numbers = parts(safetensors.dump(trained(0).state()))
    *path, last = pointer.split("/")[1:]
    place: Any = header
    for name in path:
        place = place[int(name) if isinstance(place, list) else name]
    place[int(last) if isinstance(place, list) else last] = value
    return joined(header, numbers)


def other_spec(**changes: Any) -> str:
    return json.dumps({**small.spec().to_dict(), **changes})


@pytest.mark.parametrize(
    ("pointer", "value", "field"),
    [
        ("/__metadata__", None, "/__metadata__"),
        ("/__metadata__/format", "pt", "/__metadata__/format"),
        ("/__metadata__/more", "1", "/__metadata__"),
        ("/__metadata__/spec", {}, "/__metadata__/spec"),
        ("/__metadata__/spec", other_spec(seed=-1), "/__metadata__/spec/seed"),
        ("/__metadata__/spec", other_spec(network=[]), "/__metadata__/spec/network"),
        ("/__metadata__/spec", other_spec(network=[{"type": "dense", "units": 10}]), ""),
        ("/__metadata__/preprocessing", "{}", "/__metadata__/preprocessing"),
        ("/__metadata__/step", "-1", "/__metadata__/step"),
        ("/network.0.weights/dtype", "F64", "/network.0.weights/dtype"),
        ("/network.0.weights/dtype", ["F32"], "/network.0.weights/dtype"),
        ("/network.0.weights/shape", [3, 1, 3, 10**12], "/network.0.weights/shape"),
        ("/network.0.weights/shape", [3, True, 3, 3], "/network.0.weights/shape"),
        ("/network.0.weights/shape", 27, "/network.0.weights/shape"),
        ("/network.0.weights/data_offsets", [0], "/network.0.weights/data_offsets"),
        ("/network.0.weights/data_offsets", [0.0, 108], "/network.0.weights/data_offsets/0"),
        ("/network.0.weights/data_offsets", [-4, 104], "/network.0.weights/data_offsets/0"),
        ("/network.0.weights/data_offsets", [0, 2**62], "/network.0.weights/data_offsets/1"),
        ("/network.0.weights/data_offsets", [0, 104], "/network.0.weights/data_offsets/1"),
        ("/network.0.weights/data_offsets", [4, 112], "/network.0.weights/data_offsets"),
        ("/network.0.biases/data_offsets", [0, 12], "/network.0.biases/data_offsets"),
        ("/network.0.biases/more", 1, "/network.0.biases"),
        ("/network.9.biases", {}, ""),
    ],
)
def test_a_wrong_value_is_named(pointer: str, value: Any, field: str) -> None:
    with pytest.raises(FormatError) as caught:
        safetensors.load(put(pointer, value))
    assert caught.value.field == field
    assert str(caught.value).endswith(".")


def test_weights_of_another_program_are_refused() -> None:
    with pytest.raises(FormatError, match="must be an object"):
        read_model(save_elsewhere({"weight": np.zeros((2, 2), np.float32)}))


def test_a_huge_network_is_refused_before_it_is_made() -> None:
    network = [{"type": "dense", "units": 2048}] * 3 + [{"type": "dense", "units": 10}]
    with pytest.raises(FormatError, match="the limit is 2,000,000"):
        safetensors.load(put("/__metadata__/spec", other_spec(network=network)))


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**63, 2**64 - 1])
def test_a_header_longer_than_the_file_is_refused(length: int) -> None:
    with pytest.raises(FormatError, match="not a safetensors file"):
        safetensors.load(struct.pack("<Q", length) + b"{}" + bytes(100))


def test_infinite_numbers_are_refused() -> None:
    header, numbers = parts(safetensors.dump(trained(0).state()))
    with pytest.raises(FormatError, match="not finite"):
        safetensors.load(joined(header, struct.pack("<f", np.inf) + numbers[4:]))


def test_a_file_cut_anywhere_or_longer_is_refused() -> None:
    document = safetensors.dump(trained(0).state())
    for end in {*range(0, len(document), 97), *range(20), len(document) - 1}:
        with pytest.raises(FormatError):
            safetensors.load(document[:end])
    with pytest.raises(FormatError, match="expected"):
        safetensors.load(document + b"\0")


def test_mutations_are_refused_or_harmless() -> None:
    """Changed bytes, and strange values anywhere in the header: FormatError, or a network that can be built."""
    rng = random.Random(3)
    document = safetensors.dump(trained(0).state())
    header_end = 8 + struct.unpack_from("<Q", document)[0]
    refused = 0
    for number in range(MUTATIONS):
        if number % 2:
            changed = bytearray(document)
            for _ in range(rng.choice((1, 1, 1, 3, 20))):
                end = header_end if rng.random() < 0.8 else len(changed)
                changed[rng.randrange(end)] = rng.randrange(256)
        else:
            header, numbers = parts(document)
            where = rng.choice([*header, "__metadata__"])
            inside = rng.choice(list(header[where]))
            if rng.random() < 0.3:
                header[where] = rng.choice(STRANGE)
            else:
                header[where][inside] = rng.choice(STRANGE)
            changed = bytearray(joined(header, numbers))
        try:
            state = read_model(bytes(changed))
        except FormatError:
            refused += 1
        else:
            crop = state.spec.dataset.crop
            assert state.parameters.size == Network(state.spec.network, (1, crop, crop)).parameters.size
            assert np.isfinite(state.parameters).all()
    print(f"{refused:,} of {MUTATIONS:,} refused")
    assert refused > MUTATIONS // 2
