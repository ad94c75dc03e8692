"""Specs out of plain values (JSON, a form, another program's file), read strictly.

The annotations of `engine.specs` are the only table of legal types and ranges; this module walks them. What is not in
the table cannot be made: an unknown field, an unknown layer, a number of the wrong kind or outside its range is a
SpecError whose `field` is a JSON pointer to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Interval, Len

from engine.errors import SpecError
from engine.specs import LIVE_FIELDS, RunSpec

LARGEST_NUMBER = 1e300
"""A float field refuses larger numbers as no numbers: infinity, or a whole number that no float can hold."""

OF_THE_OPTIMIZER = ("learning_rate", "momentum")
LIVE = (*OF_THE_OPTIMIZER, *LIVE_FIELDS)
"""What may change while a run goes on."""


def read_run_spec(values: Any) -> RunSpec:
    """The RunSpec in `values`, as `RunSpec.to_dict` writes it; fields with a default may be missing."""
    spec = read_value(RunSpec, values, "")
    assert isinstance(spec, RunSpec)
    return spec


def checked(spec: RunSpec) -> RunSpec:
    """The same spec, if every field is of its type and in its range (dataclasses themselves do not look)."""
    return read_run_spec(spec.to_dict())


def changed(spec: RunSpec, **hyperparameters: Any) -> RunSpec:
    """The spec of a run that goes on with other hyperparameters (`LIVE`); their ranges are for `checked` to look at.

    Raises SpecError when something cannot change while a run goes on, or the optimizer has no such number.
    """
    for name in hyperparameters:
        if name not in LIVE:
            raise SpecError(f"{name} cannot change during a run; start a new one with it.", field=f"/{name}")
    optimizer = hyperparameters.pop("optimizer", spec.optimizer)
    for name in OF_THE_OPTIMIZER:
        if name in hyperparameters:
            if not hasattr(optimizer, name):
                raise SpecError(f"{optimizer.name} has no {name}.", field=f"/optimizer/{name}")
            optimizer = replace(optimizer, **{name: hyperparameters.pop(name)})
    return replace(spec, optimizer=optimizer, **hyperparameters)


def read_value(annotation: Any, value: Any, pointer: str) -> Any:
    """`value` as `annotation` demands. Raises SpecError(field=pointer…)."""
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *limits = get_args(annotation)
        result = read_value(base, value, pointer)
        for limit in limits:
            _check(limit, result, pointer)
        return result
    if origin in (Union, UnionType):
        return _read_choice(get_args(annotation), value, pointer)
    if origin is Literal:
        if value not in get_args(annotation) or not isinstance(value, str):
            names = ", ".join(get_args(annotation))
            raise SpecError(f"{_called(pointer)} is one of: {names}.", field=pointer)
        return value
    if origin is tuple:
        return _read_list(annotation, value, pointer)
    if is_dataclass(annotation):
        return _read_dataclass(annotation, value, pointer)
    return _read_plain(annotation, value, pointer)


def _read_plain(kind: Any, value: Any, pointer: str) -> Any:
    if isinstance(value, kind) and kind is not float and (kind is bool or not isinstance(value, bool)):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and number and abs(value) <= LARGEST_NUMBER:  # NaN is not
        return float(value)
    expected = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}[kind]
    raise SpecError(f"{_called(pointer)} must be {expected}.", field=pointer)


def _read_list(annotation: Any, value: Any, pointer: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise SpecError(f"{_called(pointer)} must be a list.", field=pointer)
    item, _ = get_args(annotation)
    return tuple(read_value(item, element, f"{pointer}/{index}") for index, element in enumerate(value))


def _read_choice(options: tuple[Any, ...], value: Any, pointer: str) -> Any:
    """None, or the one class whose tag (`type` or `name`) the value carries."""
    if value is None and NoneType in options:
        return None
    options = tuple(option for option in options if option is not NoneType)
    if len(options) == 1:
        return read_value(options[0], value, pointer)
    if not isinstance(value, Mapping):
        raise SpecError(f"{_called(pointer)} must be an object with named fields.", field=pointer)
    tag, by_tag = _tagged(options)
    chosen = value.get(tag)
    if not isinstance(chosen, str) or chosen not in by_tag:
        raise SpecError(f"{_called(pointer)} needs a “{tag}” that is one of: {', '.join(by_tag)}.", field=f"{pointer}/{tag}")
    return read_value(by_tag[chosen], value, pointer)


def _read_dataclass(cls: Any, value: Any, pointer: str) -> Any:
    if not isinstance(value, Mapping):
        raise SpecError(f"{_called(pointer)} must be an object with named fields.", field=pointer)
    hints = _hints(cls)
    for name in value:
        if name not in hints:
            raise SpecError(f"{_called(pointer)} has no field “{str(name)[:40]}”.", field=pointer)
    return cls(**{name: read_value(hints[name], value[name], f"{pointer}/{name}") for name in value})


def _check(limit: Any, value: Any, pointer: str) -> None:
    if isinstance(limit, Interval):
        low = limit.ge if limit.ge is not None else limit.gt
        high = limit.le if limit.le is not None else limit.lt
        too_low = value < low or (limit.gt is not None and value == low)
        too_high = value > high or (limit.lt is not None and value == high)
        if too_low or too_high:
            lower = f"above {low:,}" if limit.gt is not None else f"at least {low:,}"
            upper = f"below {high:,}" if limit.lt is not None else f"at most {high:,}"
            raise SpecError(f"{_called(pointer)} must be {lower} and {upper}; {value:,} is not.", field=pointer)
    elif isinstance(limit, Len) and not limit.min_length <= len(value) <= (limit.max_length or len(value)):
        unit = "letters" if isinstance(value, str) else "entries"
        raise SpecError(
            f"{_called(pointer)} must have {limit.min_length} to {limit.max_length} {unit}, not {len(value)}.", field=pointer
        )


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


@cache
def _tagged(options: tuple[Any, ...]) -> tuple[str, dict[Any, Any]]:
    """The field that tells these classes apart, and the class of each of its values."""
    tag = "type" if any(field.name == "type" for field in fields(options[0])) else "name"
    return tag, {field.default: option for option in options for field in fields(option) if field.name == tag}


def _called(pointer: str) -> str:
    """A pointer in words: `/network/2/kernel_size` is "Kernel size of layer 3"."""
    *path, last = pointer.split("/") if pointer else ["The run"]
    if "network" in path and last.isdigit():
        return f"Layer {int(last) + 1}"
    words = last.replace("_", " ")
    if len(path) > 1 and path[-1].isdigit():
        words += f" of layer {int(path[-1]) + 1}"
    return words[:1].upper() + words[1:]
