"""Networks in files: native (a whole run), checkpoint (a native file on disk), convnetjs (snapshots, layer_defs)."""

from __future__ import annotations

import re

from engine.errors import FormatError
from engine.formats import convnetjs, native, safetensors
from engine.formats.layer_defs import read_layer_defs
from engine.trainer import TrainerState, fresh_state

MAX_BYTES = max(native.MAX_BYTES, convnetjs.MAX_BYTES, safetensors.MAX_BYTES)
"""No file that is read can be larger."""


def read_model(document: bytes, name: str = "imported") -> TrainerState:
    """The run in a file of any format that is read, told apart by how it begins; `name` is for those without one.

    A native file goes on where it stopped; safetensors and a convnetjs snapshot begin at step 0 with their weights, and a
    layer_defs text at step 0 with new ones. FormatError when it is none of them or is damaged.
    """
    if safetensors.is_safetensors(document):
        return safetensors.load(document)
    if re.match(rb'\s*\{\s*"layers"', document):
        return convnetjs.load(document, name)
    if re.match(rb"\s*\{", document):
        return native.load(document)
    try:
        text = document.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError("This is neither a network saved here or by convnetjs nor a text with layer_defs.") from None
    return fresh_state(read_layer_defs(text, name))
