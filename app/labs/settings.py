"""A lab's settings as texts: in the fields of its form, in its address, in a report. Ranges stand in the annotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import quote

from annotated_types import DocInfo, Interval

from engine.errors import SpecError
from engine.validation import read_value


def read(kind: type[Any], texts: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
    """The settings that the texts say, and for each that cannot be used why; such a one is as in a lab just opened."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, annotation in hints(kind).items():
        if name in texts:
            try:
                values[name] = read_value(annotation, plain(annotation, texts[name]), f"/{name}")
            except SpecError as error:
                errors[name] = str(error)
    return kind(**values), errors


def texts(settings: Any) -> dict[str, str]:
    """Every setting as the text of its field."""
    return {item.name: text(getattr(settings, item.name)) for item in fields(settings)}


def query(settings: Any) -> str:
    """What of the settings is not as in a lab just opened, as an address says it."""
    usual = texts(type(settings)())
    return "&".join(
        f"{name}={quote(value, safe=',.')}" for name, value in texts(settings).items() if value != usual[name]
    )


def text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple):
        return ",".join(text(item) for item in value)
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def plain(annotation: Any, written: str) -> Any:
    """What a text says, before it is held against its range; a text that says nothing of the kind stays one."""
    base = base_of(annotation)
    if base is bool:
        return {"1": True, "on": True, "0": False, "": False}.get(written, written)
    if get_origin(base) is tuple:
        return [plain(get_args(base)[0], part) for part in written.split(",")] if written else []
    if base in (int, float):
        return number(written, whole=base is int)
    return written


def number(written: str, *, whole: bool) -> float | int | str:
    cleaned = written.strip().replace("−", "-")
    try:
        value = float(cleaned)
    except ValueError:
        return written
    return int(value) if whole and value.is_integer() else value


def base_of(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def hints(kind: Any) -> Mapping[str, Any]:
    """The annotations of the settings, in their order."""
    return _hints(kind)


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    found = get_type_hints(kind, include_extras=True)
    return {item.name: found[item.name] for item in fields(kind)}


def interval(kind: type[Any], name: str) -> Interval | None:
    """The legal range of a number, or of each number of a list."""
    annotation = hints(kind)[name]
    for candidate in (annotation, *(get_args(base_of(annotation))[:1])):
        found = [item for item in getattr(candidate, "__metadata__", ()) if isinstance(item, Interval)]
        if found:
            return found[0]
    return None


def meaning(kind: type[Any], name: str) -> str:
    metadata = getattr(hints(kind)[name], "__metadata__", ())
    return next((item.documentation for item in metadata if isinstance(item, DocInfo)), "")


def options(kind: type[Any], name: str) -> tuple[str, ...]:
    """The words that are legal, where a setting is one of a few."""
    base = base_of(hints(kind)[name])
    return get_args(base) if get_origin(base) is Literal else ()
