"""safetensors: the weights as plain tensors that many programs read, and what they mean in the metadata.

A file is the length of the header (8 bytes, little-endian), the header, and the numbers. The header is JSON and gives
each tensor its `dtype`, `shape` and place (`data_offsets`, begin and end within the numbers); `__metadata__` maps names
to texts. Format: https://huggingface.co/docs/safetensors.

Tensors: `network.<layer>.weights` and `network.<layer>.biases`, float32, for each layer that has any, counted from 0. A
convolution's weights are (filters, channels, height, width), a dense layer's (units, inputs) with the inputs in the order
channels, height, width. A batch normalization also has `network.<layer>.statistics`, the running means and variances
(2, channels). Metadata, each JSON: `spec` (`RunSpec.to_dict()`), `preprocessing` (how an image or a point
becomes the input) and `step`. Optimizer state is not inside: a run that is read begins at step 0 with these weights.

Reading trusts nothing: names, dtypes, shapes and places must be exactly those that follow from the spec, which is checked
first, so that nothing is allocated for a file that lies about its size.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from engine.arrays import Array
from engine.errors import FormatError, SpecError
from engine.formats.strict_json import fields, parse, whole
from engine.formats.trained import preprocessing, trained_network
from engine.network import Network
from engine.shapes import check_run
from engine.specs import MAX_PARAMETERS, MAX_TABLE_TEXT, RunSpec
from engine.trainer import TrainerState, fresh_state
from engine.validation import read_run_spec

MAX_HEADER_BYTES = 100_000 + MAX_TABLE_TEXT
"""The spec stands in it, and in the spec of one's own points all of them."""
MAX_BYTES = 8 + MAX_HEADER_BYTES + 4 * MAX_PARAMETERS

_LENGTH = struct.Struct("<Q")
_METADATA = frozenset({"format", "version", "spec", "preprocessing", "step"})
_FORMAT, _VERSION = "nabla", "1"


def dump(state: TrainerState) -> bytes:
    """The file of a state's network. FormatError when a value is not finite."""
    network = trained_network(state)
    header: dict[str, Any] = {
        "__metadata__": {
            "format": _FORMAT,
            "version": _VERSION,
            "spec": json.dumps(state.spec.to_dict()),
            "preprocessing": json.dumps(preprocessing(state.spec)),
            "step": json.dumps(state.steps),
        },
        **_described(network),
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin where any of them may lie
    return (
        _LENGTH.pack(len(text)) + text + b"".join(array.astype("<f4").tobytes() for array in tensors(network).values())
    )


def load(document: bytes) -> TrainerState:
    """A run at step 0 with the network of a file; FormatError when anything about it is not as it must be."""
    header, numbers = _split(document)
    metadata = fields(header.pop("__metadata__", None), "/__metadata__", _METADATA)
    if (metadata["format"], metadata["version"]) != (_FORMAT, _VERSION):
        raise FormatError("These weights do not say what network they belong to.", field="/__metadata__/format")
    spec = _load_spec(metadata)
    network = Network(spec.network, spec.dataset.input_shape)
    expected = _described(network)
    places = _places(fields(header, "", frozenset(expected)), expected)
    if len(numbers) != 4 * network.parameters.size:
        raise FormatError(
            f"The file is damaged: {4 * network.parameters.size:,} bytes of numbers expected, found {len(numbers):,}."
        )
    for name, array in tensors(network).items():
        array[...] = np.frombuffer(numbers, "<f4", array.size, places[name]).reshape(array.shape)
    if not np.isfinite(network.parameters).all():
        raise FormatError("Some of the numbers are not finite.")
    return fresh_state(spec, network.parameters)


def is_safetensors(document: bytes) -> bool:
    """Whether a file begins as these do: a length, and a JSON object after it."""
    return len(document) > 8 and document[8:9] == b"{" and _LENGTH.unpack_from(document)[0] <= len(document) - 8


def tensors(network: Network) -> dict[str, Array]:
    """The network's arrays by the names they have in a file, as views, in the order of its flat vector."""
    found: dict[str, Array] = {}
    for index, layer in enumerate(network.layers):
        for name, array in (("weights", layer.weights), ("biases", layer.biases), ("statistics", layer.statistics)):
            if array is not None:
                found[f"network.{index}.{name}"] = array
    return found


def _described(network: Network) -> dict[str, Any]:
    """The header's entry for each tensor; they lie one after the other."""
    entries, start = {}, 0
    for name, array in tensors(network).items():
        entries[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [start, start + 4 * array.size]}
        start += 4 * array.size
    return entries


def _split(document: bytes) -> tuple[dict[str, Any], memoryview]:
    """Header and numbers."""
    if len(document) > MAX_BYTES:
        raise FormatError(f"The file is too large: {len(document):,} bytes, and at most {MAX_BYTES:,} are read.")
    length = _LENGTH.unpack_from(document)[0] if len(document) >= 8 else 0
    if not 2 <= length <= min(len(document) - 8, MAX_HEADER_BYTES):
        raise FormatError("This is not a safetensors file, or it is cut short.")
    header = parse(document[8 : 8 + length], MAX_HEADER_BYTES)
    if not isinstance(header, dict):
        raise FormatError("The header of the file must be an object with named fields.")
    return header, memoryview(document)[8 + length :]


def _load_spec(metadata: dict[str, Any]) -> RunSpec:
    try:
        spec = read_run_spec(_text(metadata, "spec"))
        check_run(spec)
    except SpecError as error:
        raise FormatError(str(error), field=f"/__metadata__/spec{error.field or ''}") from None
    if _text(metadata, "preprocessing") != preprocessing(spec):
        raise FormatError(
            "The network was trained on inputs prepared in another way.", field="/__metadata__/preprocessing"
        )
    whole(_text(metadata, "step"), "/__metadata__/step", 0, 10**15)
    return spec


def _text(metadata: dict[str, Any], name: str) -> Any:
    """The JSON value in a metadata text."""
    if not isinstance(metadata[name], str):
        raise FormatError("Metadata are texts.", field=f"/__metadata__/{name}")
    return parse(metadata[name].encode("utf-8", "replace"), MAX_HEADER_BYTES)


def _places(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, int]:
    """Where each tensor begins. They may lie in any order, but without a gap and without sharing a byte."""
    places: dict[str, int] = {}
    for name, entry in expected.items():
        given = fields(found[name], f"/{name}", frozenset(entry))
        for field in ("dtype", "shape"):
            # Compared as JSON, for Python calls 1, 1.0 and true equal.
            if json.dumps(given[field]) != json.dumps(entry[field]):
                raise FormatError(f"{name}: {field} must be {json.dumps(entry[field])}.", field=f"/{name}/{field}")
        offsets, (begin, end) = given["data_offsets"], entry["data_offsets"]
        if not isinstance(offsets, list) or len(offsets) != 2:
            raise FormatError(f"{name} needs two data_offsets.", field=f"/{name}/data_offsets")
        places[name] = whole(offsets[0], f"/{name}/data_offsets/0", 0, 4 * MAX_PARAMETERS)
        whole(offsets[1], f"/{name}/data_offsets/1", places[name] + end - begin, places[name] + end - begin)
    free = 0
    for name, place in sorted(places.items(), key=lambda item: item[1]):
        if place != free:
            raise FormatError(
                f"{name} must begin at {free}, where the tensor before it ends.", field=f"/{name}/data_offsets"
            )
        free += found[name]["data_offsets"][1] - place
    return places
