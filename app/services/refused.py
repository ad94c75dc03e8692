"""A worker's refusal in the words of the web."""

from __future__ import annotations

from app.errors import Busy, Conflict, Internal, NoRoom, Problem, Unprocessable
from app.workers.pool import RefusedError


def problem_of(error: RefusedError) -> Problem:
    refusal = error.refusal
    match refusal.kind:
        case "conflict":
            return Conflict(refusal.message, state=refusal.state)
        case "spec":
            return Unprocessable(refusal.message, field=refusal.field, code=refusal.code or "impossible_spec")
        case "format":
            return Unprocessable(refusal.message, field=refusal.field, code="unreadable_file")
        case "input":
            return Unprocessable(refusal.message, code="impossible_input")
        case "dataset":
            return Problem(
                503, "dataset_unavailable", "The dataset is not there", refusal.message, headers={"retry-after": "60"}
            )
        case "memory":
            return Busy(refusal.message, retry_after=30, code="out_of_memory")
        case "disk":
            return NoRoom(refusal.message)
        case _:
            return Internal()
