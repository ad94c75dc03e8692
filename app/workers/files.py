"""Networks as files: out in a format that others read, in from any that is known."""

from __future__ import annotations

import re
from pathlib import PurePath

from app.names import check_names
from engine.errors import FormatError, SpecError
from engine.formats import FORMATS, FormatName, read_model
from engine.specs import MAX_NAME_CHARACTERS
from engine.trainer import TrainerState

MEDIA_TYPES = {
    ".json": "application/json",
    ".py": "text/x-python",
    ".onnx": "application/octet-stream",
    ".safetensors": "application/octet-stream",
}
"""By the last suffix of the file's name."""

SUFFIXES = (".nabla", ".convnetjs", ".json", ".txt", ".js", ".safetensors")


def export(state: TrainerState, format: FormatName) -> tuple[str, str, bytes]:
    """File name, media type and bytes. FormatError when the format cannot hold this network."""
    if format not in FORMATS:
        raise FormatError(f"A network is saved as one of: {', '.join(FORMATS)}.")
    chosen = FORMATS[format]
    name = re.sub(r"[^a-z0-9]+", "-", state.spec.name.lower()).strip("-")[:40] or "network"
    filename = f"{name}-{state.steps}{chosen.ending}"
    if chosen.ending.endswith(".py"):
        filename = re.sub(r"^(?=\d)", "network_", filename.replace("-", "_"))  # so that Python can import it
    return filename, MEDIA_TYPES[PurePath(filename).suffix], chosen.write(state)


def read(body: bytes, filename: str) -> TrainerState:
    """The run in a file of any known format, called as the file where it has no name. FormatError in words."""
    name = PurePath(filename).name
    while (shorter := name.removesuffix(PurePath(name).suffix)) != name and PurePath(name).suffix in SUFFIXES:
        name = shorter
    title = "".join(letter for letter in name if letter.isprintable())[:MAX_NAME_CHARACTERS] or "imported"
    state = read_model(body, title)
    try:
        check_names(state.spec)
    except SpecError as error:
        raise FormatError(str(error), field=f"/spec{error.field}") from None
    return state
