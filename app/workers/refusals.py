"""An engine's error as the answer to whoever asked."""

from __future__ import annotations

from app.workers.messages import Refusal
from engine.errors import DatasetError, EngineError, FormatError, ShapeError, SpecError


class ConflictError(EngineError):
    """The run is in a state that does not allow this."""


KINDS: tuple[tuple[type[EngineError], str], ...] = (
    (ConflictError, "conflict"),
    (SpecError, "spec"),
    (FormatError, "format"),
    (ShapeError, "input"),
    (DatasetError, "dataset"),
)


def refusal_for(number: int, error: Exception, state: str | None) -> Refusal:
    """`state` is the run's present one; anything that is no EngineError is a fault of the program."""
    kind = next((kind for type_, kind in KINDS if isinstance(error, type_)), "fault")
    return Refusal(
        number,
        kind,
        str(error) if kind != "fault" else type(error).__name__,
        field=getattr(error, "field", None),
        code=getattr(error, "code", None),
        state=state,
    )
