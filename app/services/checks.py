"""What is impossible in a spec, and what came too late: told before anything is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.errors import Overtaken, Unprocessable
from app.names import check_names
from app.services.held import Held
from engine.errors import SpecError
from engine.shapes import check_run, check_whole
from engine.specs import RunSpec
from engine.validation import changed


def check(spec: RunSpec) -> None:
    """Raises Unprocessable with what is impossible in a spec that has been read; one that has not, its worker reads."""
    with spec_errors():
        check_whole(spec)
        check_names(spec)


def changed_spec(spec: RunSpec, hyperparameters: dict[str, Any]) -> RunSpec:
    """The spec with other hyperparameters; raises Unprocessable where a worker would refuse them."""
    with spec_errors():
        spec = changed(spec, **hyperparameters)
        check_run(spec)
    return spec


@contextmanager
def spec_errors() -> Iterator[None]:
    """The engine's refusal of a spec in the words of the web."""
    try:
        yield
    except SpecError as error:
        raise Unprocessable(str(error), field=error.field, code=error.code) from error


def check_version(held: Held, expected: str | None) -> None:
    """Raises Overtaken when the run is no longer what somebody made their change of."""
    version = str(held.channel.run["version"])
    if expected is not None and expected != version:
        raise Overtaken(version, state=held.state)
