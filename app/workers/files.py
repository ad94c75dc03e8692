"""Networks as files: out in a format that others read, in from any that is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import MappingProxyType

from engine.errors import FormatError
from engine.formats import convnetjs, native, read_model
from engine.trainer import TrainerState

WRITERS: Mapping[str, Callable[[TrainerState], bytes]] = MappingProxyType(
    {"native": native.dump, "convnetjs": convnetjs.dump}
)
SUFFIXES = (".nabla", ".convnetjs", ".json", ".txt", ".js")
LONGEST_NAME = 80


def export(state: TrainerState, format: str) -> tuple[str, str, bytes]:
    """File name, media type and bytes. FormatError when the format cannot hold this network."""
    if format not in WRITERS:
        raise FormatError(f"A network is saved as one of: {', '.join(WRITERS)}.")
    name = re.sub(r"[^a-z0-9]+", "-", state.spec.name.lower()).strip("-")[:40] or "network"
    suffix = "nabla" if format == "native" else format
    return f"{name}-{state.steps}.{suffix}.json", "application/json", WRITERS[format](state)


def read(body: bytes, filename: str) -> TrainerState:
    """The run in a file of any known format, called as the file where it has no name. FormatError in words."""
    name = PurePath(filename).name
    while (shorter := name.removesuffix(PurePath(name).suffix)) != name and PurePath(name).suffix in SUFFIXES:
        name = shorter
    return read_model(body, "".join(letter for letter in name if letter.isprintable())[:LONGEST_NAME] or "imported")
