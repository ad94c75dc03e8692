"""An engine's error as the answer to whoever asked."""

from __future__ import annotations

from app.workers.messages import Refusal
from engine.errors import DatasetError, EngineError, FormatError, ShapeError, SpecError


class ConflictError(EngineError):
    """The run is in a state that does not allow this."""


KINDS: tuple[tuple[type[Exception], str], ...] = (
    (ConflictError, "conflict"),
    (SpecError, "spec"),
    (FormatError, "format"),
    (ShapeError, "input"),
    (DatasetError, "dataset"),
    (OSError, "disk"),
    (MemoryError, "memory"),
)


def refusal_for(number: int, error: Exception, state: str | None) -> Refusal:
    """`state` is the run's present one; what is neither an EngineError nor the machine's is a fault of the program."""
    kind = next((kind for type_, kind in KINDS if isinstance(error, type_)), "fault")
    match kind:
        case "fault":
            message = type(error).__name__
        case "disk":
            message = f"It could not be saved: {getattr(error, 'strerror', None) or 'the disk fails'}. Make room and try again."
        case "memory":
            message = "There is not enough memory for this now. Stop or delete a run and try again."
        case _:
            message = str(error)
    return Refusal(
        number,
        kind,
        message,
        field=getattr(error, "field", None),
        code=getattr(error, "code", None),
        state=state,
    )
