"""Networks as files: out in a format that others read, in from any that is known."""

from __future__ import annotations

import re

from engine.errors import FormatError
from engine.formats import native
from engine.trainer import TrainerState


def export(state: TrainerState, format: str) -> tuple[str, str, bytes]:
    """File name, media type and bytes. FormatError when the format cannot hold this network."""
    name = re.sub(r"[^a-z0-9]+", "-", state.spec.name.lower()).strip("-")[:40] or "network"
    if format == "native":
        return f"{name}-{state.steps}.nabla.json", "application/json", native.dump(state)
    raise FormatError("This format is not known.")


def read(body: bytes, filename: str) -> TrainerState:  # noqa: ARG001
    """The run in a file; FormatError when it is none that is known."""
    return native.load(body)
