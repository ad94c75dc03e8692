"""Networks in files.

Read and written: native (a whole run), checkpoint (a native file on disk), convnetjs (snapshots, layer_defs),
safetensors. Written only: onnx, pytorch_script, numpy_script.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import Literal, TypeAlias

from engine.errors import FormatError
from engine.formats import convnetjs, native, numpy_script, onnx, pytorch_script, safetensors
from engine.formats.layer_defs import read_layer_defs
from engine.trainer import TrainerState, fresh_state

MAX_BYTES = max(native.MAX_BYTES, convnetjs.MAX_BYTES, safetensors.MAX_BYTES)
"""No file that is read can be larger."""

FormatName: TypeAlias = Literal["native", "convnetjs", "safetensors", "onnx", "pytorch", "numpy"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format that networks are written in.

    `title` and `contains` are for the person who chooses; `ending` ends the file's name; `package`, where there is one,
    must be installed to write it; `write` raises FormatError when the format cannot hold the network.
    """

    title: str
    ending: str
    contains: str
    write: Callable[[TrainerState], bytes]
    package: str | None = None

    @property
    def available(self) -> bool:
        """Whether it can be written here."""
        return self.package is None or find_spec(self.package) is not None


FORMATS: Mapping[FormatName, Format] = MappingProxyType(
    {
        "native": Format(
            "Nabla, with optimizer state",
            ".nabla.json",
            "The whole run: it goes on exactly where it is, to the last bit. Can be loaded here.",
            native.dump,
        ),
        "convnetjs": Format(
            "convnetjs JSON",
            ".convnetjs.json",
            "The network with its weights, as net.fromJSON reads it. Can be loaded here.",
            convnetjs.dump,
        ),
        "safetensors": Format(
            "safetensors",
            ".safetensors",
            "The weights as float32 tensors; the network and the preparation of inputs as JSON in the metadata. "
            "Can be loaded here.",
            safetensors.dump,
        ),
        "onnx": Format(
            "ONNX",
            ".onnx",
            "The network with its weights and the preparation of its inputs: from the bytes of an image, or from points, to "
            "probabilities.",
            onnx.dump,
            package="onnx",
        ),
        "pytorch": Format(
            "PyTorch script",
            "_pytorch.py",
            "A Python file with the network, its weights and the preparation of its inputs: it prints the accuracy on the test "
            "examples (of digits on MNIST's files), and predicts.",
            pytorch_script.dump,
        ),
        "numpy": Format(
            "NumPy script",
            "_numpy.py",
            "The same for plain NumPy, every layer written out.",
            numpy_script.dump,
        ),
    }
)


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
