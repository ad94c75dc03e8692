"""The annotations of the specs are held: every limit, every type, no unknown field; and the messages are sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from annotated_types import DocInfo, Interval

from engine.errors import SpecError
from engine.presets import PRESETS
from engine.specs import DATASET_SPECS, LAYER_SPECS, OPTIMIZER_SPECS, SCHEDULE_SPECS, RunSpec, StopSpec, tagged
from engine.validation import checked, read_run_spec, read_value

SPECS: list[Any] = [
    *LAYER_SPECS.values(),
    *OPTIMIZER_SPECS.values(),
    *SCHEDULE_SPECS.values(),
    *DATASET_SPECS.values(),
    StopSpec,
    RunSpec,
]


def numbers() -> Iterator[Any]:
    """Every numeric field of every spec, with its type and range."""
    for spec in SPECS:
        for name, hint in get_type_hints(spec, include_extras=True).items():
            for part in (hint, *get_args(hint)):
                limits = [limit for limit in getattr(part, "__metadata__", ()) if isinstance(limit, Interval)]
                if get_origin(part) is Annotated and limits:
                    yield pytest.param(spec, name, get_args(part)[0], limits[0], id=f"{spec.__name__}-{name}")


@pytest.mark.parametrize(("spec", "name", "kind", "limit"), list(numbers()))
def test_every_limit_is_held_exactly(spec: Any, name: str, kind: type, limit: Interval) -> None:
    def read(value: Any) -> Any:
        return getattr(read_value(spec, {name: value}, ""), name)

    def refused(value: Any) -> None:
        with pytest.raises(SpecError) as caught:
            read(value)
        assert caught.value.field == f"/{name}"

    def beyond(value: Any, direction: int) -> Any:
        return value + direction if kind is int else math.nextafter(value, direction * math.inf)

    low, high = limit.ge if limit.ge is not None else limit.gt, limit.le if limit.le is not None else limit.lt
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if limit.ge is not None:
        assert read(kind(low)) == low
        refused(beyond(low, -1))
    else:
        refused(kind(low))
    if limit.le is not None:
        assert read(kind(high)) == high
        refused(beyond(high, 1))
    else:
        refused(kind(high))
    for wrong in ("1", True, [1], {}, float("nan"), float("inf"), 10**400, 1e308):
        refused(wrong)
    if kind is int:
        refused(float(low))


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_written_is_read(name: str) -> None:
    spec = PRESETS[name].spec
    assert read_run_spec(spec.to_dict()) == spec == checked(spec)


def test_defaults_may_be_left_out() -> None:
    assert read_run_spec({}) == RunSpec()
    for specs in (LAYER_SPECS, OPTIMIZER_SPECS):
        for tag, spec in specs.items():
            assert read_value(spec, {}, "") == spec()
            assert tag in tagged(spec()).values()


def test_whole_numbers_do_for_fractions_and_become_them() -> None:
    l2 = read_run_spec({"l2": 1}).l2
    assert isinstance(l2, float)
    assert l2 == 1


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        (None, "", "The run must be an object"),
        ([], "", "The run must be an object"),
        ({"nome": "x"}, "", "The run has no field “nome”"),
        ({1: "x"}, "", "has no field “1”"),
        ({"name": ""}, "/name", "1 to 80 letters"),
        ({"name": "x" * 81}, "/name", "1 to 80 letters"),
        ({"name": 5}, "/name", "must be a text"),
        ({"loss": "anger"}, "/loss", "softmax_cross_entropy, mean_squared_error"),
        ({"loss": ["hinge"]}, "/loss", "is one of"),
        ({"network": {}}, "/network", "must be a list"),
        ({"network": []}, "/network", "1 to 32 entries, not 0"),
        ({"network": [{"type": "relu"}] * 33}, "/network", "1 to 32 entries, not 33"),
        ({"network": [{"type": "relu"}, None]}, "/network/1", "Layer 2 must be an object"),
        ({"network": [{}]}, "/network/0/type", "needs a “type”"),
        ({"network": [{"type": "__import__"}]}, "/network/0/type", "one of: dense, conv2d"),
        ({"network": [{"type": ["dense"]}]}, "/network/0/type", "one of: dense, conv2d"),
        ({"network": [{"type": "dense", "filters": 3}]}, "/network/0", "has no field “filters”"),
        ({"network": [{"type": "conv2d", "kernel_size": 0}]}, "/network/0/kernel_size", "Kernel size of layer 1 must be at least 1"),
        ({"optimizer": {"name": "lion"}}, "/optimizer/name", "one of: sgd, momentum"),
        ({"optimizer": {"name": "sgd", "momentum": 0.9}}, "/optimizer", "has no field “momentum”"),
        ({"optimizer": None}, "/optimizer", "must be an object"),
        ({"dataset": {"name": "cifar"}}, "/dataset/name", "is one of: mnist"),
        ({"stop": None}, "/stop", "must be an object"),
        ({"class_weights": []}, "/class_weights", "1 to 1000 entries, not 0"),
        ({"class_weights": [1, -1]}, "/class_weights/1", "must be at least 0"),
        ({"class_weights": 3}, "/class_weights", "must be a list"),
        ({"parameters": []}, "/parameters", "1 to 500 entries, not 0"),
        ({"parameters": [0.5] * 501}, "/parameters", "1 to 500 entries, not 501"),
        ({"parameters": [0.5, float("nan")]}, "/parameters/1", "must be a number"),
        ({"parameters": [0, 0, 1e7]}, "/parameters/2", "at most 1,000,000"),
        ({"schedule": {"name": "cosine", "steps": 0}}, "/schedule/steps", "Steps must be at least 1"),
        ({"clip_norm": 0}, "/clip_norm", "Clip norm must be above 0"),
        ({"stop": {"epochs": 0}}, "/stop/epochs", "Epochs must be above 0"),
    ],
)
def test_what_is_wrong_is_named(values: Any, field: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_run_spec(values)
    assert caught.value.field == field
    assert message in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(("spec", "name", "kind", "limit"), list(numbers()))
def test_every_number_has_its_help(spec: Any, name: str, kind: type, limit: Interval) -> None:
    hint = get_type_hints(spec, include_extras=True)[name]
    metadata = [item for part in (hint, *get_args(hint)) for item in getattr(part, "__metadata__", ())]
    help_text = next(item for item in metadata if isinstance(item, DocInfo)).documentation
    assert help_text.endswith("."), (kind, limit)
