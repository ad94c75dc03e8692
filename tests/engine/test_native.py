"""A saved run is read back exactly, and a document that was changed anywhere is refused or harmless."""

from __future__ import annotations

import base64
import copy
import json
import random
from typing import Any

import numpy as np
import pytest

from engine.datasets.mnist import load_mnist
from engine.errors import DivergedError, FormatError, SpecError
from engine.formats import native
from engine.specs import OPTIMIZER_SPECS, AdamW, Cosine, Dense, MaxPool2D
from engine.trainer import Trainer
from tests.engine import small
from tests.engine.test_trainer import assert_same, trained

MUTATIONS = 2_000


def document() -> dict[str, Any]:
    values = json.loads(native.dump(trained(5).state()))
    assert isinstance(values, dict)
    return values


def loaded(values: Any) -> Any:
    return native.load(json.dumps(values).encode())


@pytest.mark.parametrize("optimizer", OPTIMIZER_SPECS)
def test_saving_and_going_on_is_the_same_run(optimizer: str) -> None:
    trainer = trained(10, optimizer=OPTIMIZER_SPECS[optimizer]())
    resumed = Trainer.from_state(native.load(native.dump(trainer.state())), small.dataset())
    assert_same(resumed.state(), trainer.state())
    for _ in range(10):
        trainer.step()
        resumed.step()
    assert_same(resumed.state(), trainer.state())


def test_the_document_is_plain() -> None:
    values = document()
    assert values["format"] == "nabla"
    assert values["version"] == 1
    assert values["spec"] == small.spec().to_dict()
    assert (values["step"], values["examples"], values["position"]) == (5, 40, 40)
    numbers = np.frombuffer(base64.b64decode(values["parameters"]["base64"]), "<f4")
    np.testing.assert_array_equal(numbers, trained(5).network.parameters)


def test_every_part_of_a_run_is_carried() -> None:
    spec = small.spec(
        loss="huber",
        huber_delta=0.5,
        class_weights=tuple(0.5 * k for k in range(10)),
        schedule=Cosine(steps=30, final=0.1, warm_up=5),
        clip_norm=2.0,
        optimizer=AdamW(weight_decay=0.1),
        network=(MaxPool2D(pool_size=6, stride=6), Dense(units=10, l1_multiplier=0.0, l2_multiplier=2.0)),
        parameters=tuple(k / 100 for k in range(170)),
    )
    trainer = Trainer(spec, small.dataset())
    for _ in range(7):
        trainer.step()
    resumed = Trainer.from_state(native.load(native.dump(trainer.state())), small.dataset())
    assert resumed.spec == spec
    trainer.step()
    resumed.step()
    assert_same(resumed.state(), trainer.state())


def test_a_document_from_before_these_fields_is_read_with_their_defaults() -> None:
    values = document()
    for name in ("huber_delta", "class_weights", "schedule", "clip_norm", "parameters"):
        del values["spec"][name]
    for layer in values["spec"]["network"]:
        for name in ("l1_multiplier", "l2_multiplier"):
            layer.pop(name, None)
    assert_same(loaded(values), trained(5).state())


def test_a_diverged_network_is_not_saved() -> None:
    trainer = trained(1)
    trainer.network.parameters[3] = np.nan
    with pytest.raises(FormatError, match="no numbers"):
        native.dump(trainer.state())


def put(pointer: str, value: Any) -> dict[str, Any]:
    """The document with another value at `pointer`."""
    values = document()
    *path, last = pointer.split("/")[1:]
    place: Any = values
    for name in path:
        place = place[int(name) if isinstance(place, list) else name]
    place[int(last) if isinstance(place, list) else last] = value
    return values


def encoded(numbers: Any) -> str:
    return base64.b64encode(np.asarray(numbers, "<f4").tobytes()).decode()


SIZE = trained(0).network.parameters.size
NOT_FINITE = encoded([np.nan] * SIZE)
NEGATIVE = encoded([-1.0] * SIZE)


@pytest.mark.parametrize(
    ("pointer", "value", "field"),
    [
        ("/format", "other", "/format"),
        ("/version", 2, "/version"),
        ("/more", 1, ""),
        ("/spec/more", 1, "/spec"),
        ("/spec/network/0/type", "__import__", "/spec/network/0/type"),
        ("/spec/network/0/filters", 0, "/spec/network/0/filters"),
        ("/spec/network/0/filters", True, "/spec/network/0/filters"),
        ("/spec/network/0/filters", 4, "/parameters/shape"),
        ("/spec/network/0/kernel_size", 28, "/spec/network/0/kernel_size"),
        ("/spec/network/4/units", 2048, "/spec/network/4"),
        ("/spec/network", [], "/spec/network"),
        ("/spec/network", [Dense(units=10).__class__.__name__], "/spec/network/0"),
        ("/spec/optimizer/name", "sgd", "/spec/optimizer"),
        ("/spec/optimizer/learning_rate", "1", "/spec/optimizer/learning_rate"),
        ("/spec/optimizer/learning_rate", 10**400, "/spec/optimizer/learning_rate"),
        ("/spec/seed", -1, "/spec/seed"),
        ("/spec/seed", 1.0, "/spec/seed"),
        ("/spec/name", "", "/spec/name"),
        ("/spec/dataset/validation_size", 70, "/spec/dataset/validation_size"),
        ("/step", -1, "/step"),
        ("/step", True, "/step"),
        ("/position", 61, "/position"),
        ("/parameters/dtype", "object", "/parameters/dtype"),
        ("/parameters/shape", [10**12], "/parameters/shape/0"),
        ("/parameters/shape", [[SIZE]], "/parameters/shape/0"),
        ("/parameters/shape", [SIZE, 1], "/parameters/shape"),
        ("/parameters/base64", "AAAA", "/parameters/base64"),
        ("/parameters/base64", "*" * len(NOT_FINITE), "/parameters/base64"),
        ("/parameters/base64", "é" * len(NOT_FINITE), "/parameters/base64"),
        ("/parameters/base64", NOT_FINITE, "/parameters"),
        ("/parameters/base64", None, "/parameters/base64"),
        ("/optimizer/accumulators/squared_gradients/base64", NEGATIVE, "/optimizer/accumulators/squared_gradients"),
        ("/optimizer/accumulators", {}, "/optimizer/accumulators"),
        ("/optimizer/steps", None, "/optimizer/steps"),
        ("/generators/order", None, "/generators/order"),
        ("/generators/order/state", "0x1", "/generators/order/state"),
        ("/generators/order/buffered", 1, "/generators/order/buffered"),
        ("/generators/order/buffer", 2**32, "/generators/order/buffer"),
    ],
)
def test_a_wrong_value_is_named(pointer: str, value: Any, field: str) -> None:
    with pytest.raises(FormatError) as caught:
        loaded(put(pointer, value))
    assert caught.value.field == field
    assert str(caught.value).endswith(".")


def test_too_many_parameters_are_refused_before_they_are_made() -> None:
    network = [{"type": "dense", "units": 2048}] * 3 + [{"type": "dense", "units": 10}]
    with pytest.raises(FormatError, match="the limit is 2,000,000"):
        loaded(put("/spec/network", network))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"format": "nabla", "format": "nabla"}',
        b'{"format": NaN}',
        b'{"format": 1e999}',
        b'{"format": ' + b"9" * 10_000 + b"}",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"format": "nabla", "version": 1}',
        b" " * (native.MAX_BYTES + 1),
    ],
    ids=range(13),
)
def test_what_is_no_document_is_refused(content: bytes) -> None:
    with pytest.raises(FormatError):
        native.load(content)


# ---- Any change at all ---------------------------------------------------------------------------------------------------

STRANGE: list[Any] = [
    None, True, False, 0, 1, -1, 0.5, 2**31, 2**63, 10**400, 1e300, -0.0, "", "a", "\ud800", "__import__", "é" * 99,
    [], [1], {}, {"type": "dense"}, {"name": "adam"}, [[[]]], "A" * 1_000,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a JSON value, as the path to it."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, item in inside for place in places(item, (*path, key))]


def mutated(values: dict[str, Any], rng: random.Random) -> bytes:
    """One random edit: a value replaced, removed, doubled or nudged, two values swapped, or bytes changed."""
    values = copy.deepcopy(values)
    *path, last = rng.choice(places(values))
    place: Any = values
    for key in path:
        place = place[key]
    match rng.randrange(7):
        case 0 | 1:
            place[last] = rng.choice(STRANGE)
        case 2:
            del place[last]
        case 3:
            place.append(place[last]) if isinstance(place, list) else place.update({f"{last}2": place[last]})
        case 4 if isinstance(place[last], int | float):
            place[last] = place[last] * rng.choice([-1, 0, 2, 10]) + rng.choice([-1, 0, 1])
        case 4 | 5:
            other = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            place[last], place[other] = place[other], place[last]
        case 6:
            content = bytearray(json.dumps(values).encode())
            for _ in range(rng.randrange(1, 4)):
                content[rng.randrange(len(content))] = rng.randrange(256)
            return bytes(content)
    return json.dumps(values).encode()


def test_a_changed_document_is_refused_or_a_run_that_works() -> None:
    rng, values, mnist, accepted = random.Random(5), document(), load_mnist(), 0
    for _ in range(MUTATIONS):
        try:
            state = native.load(mutated(values, rng))
        except FormatError:
            continue
        accepted += 1
        try:
            trainer = Trainer.from_state(state, mnist)
            trainer.step()
        except DivergedError:
            continue
        assert np.isfinite(trainer.network.parameters).all()
    assert 0 < accepted < MUTATIONS / 2


def test_a_state_of_a_smaller_dataset() -> None:
    """A document may ask for more examples than the dataset at hand has; the trainer says so."""
    values = put("/spec/dataset/train_size", 60_000)
    values["position"] = 59_000
    with pytest.raises(SpecError, match="59,000 examples into a pass over 60"):
        Trainer.from_state(loaded(values), small.dataset())


def test_the_largest_network_fits_into_a_document() -> None:
    network = (Dense(units=1_000), Dense(units=1_308), Dense(units=10))
    trainer = Trainer(small.spec(network=network, batch_size=1), small.dataset())
    assert 1_990_000 < trainer.network.parameters.size <= 2_000_000
    document = native.dump(trainer.state())
    assert len(document) < native.MAX_BYTES
    assert_same(native.load(document), trainer.state())
