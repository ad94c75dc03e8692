"""Nabla's own format: a run with everything it needs to go on exactly, as one JSON document.

    {"format": "nabla", "version": 1,
     "spec": RunSpec.to_dict(), "step": int, "examples": int, "position": int,
     "parameters": ARRAY, "optimizer": {"steps": int, "accumulators": {name: ARRAY}},
     "generators": {"order" | "crops" | "dropout": {"state", "increment": 32 hex digits,
                                                 "buffered": bool, "buffer": uint32}}}
    ARRAY = {"dtype": "float32", "shape": [length], "base64": little-endian bytes}

`parameters` holds for each layer that has any its weights, then its biases; a convolution's weights are (filters,
channels, height, width), a dense layer's (units, inputs) with the inputs in the order channels, height, width; a batch
normalization's are its scales and shifts, and then come its running means and variances. The generators are NumPy's
PCG64.

Reading trusts nothing: only what stands above is accepted, no field more or less, and an array's length is computed
from the network and compared with the declared and with the encoded one before a byte of it is decoded.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

import numpy as np

from engine.arrays import Array
from engine.errors import FormatError, SpecError
from engine.formats.strict_json import fields, parse, whole
from engine.optimizers import OPTIMIZERS
from engine.shapes import check_run, plan
from engine.specs import MAX_PARAMETERS, MAX_TABLE_TEXT, RunSpec
from engine.trainer import GENERATORS, TrainerState
from engine.validation import read_run_spec

FORMAT, VERSION = "nabla", 1

MAX_BYTES = 4 * MAX_PARAMETERS * 3 * 4 // 3 + MAX_TABLE_TEXT + 100_000
"""The largest document: parameters and two accumulators of 4 bytes each and a table, as base64, and the rest."""

_DOCUMENT = frozenset(
    {"format", "version", "spec", "step", "examples", "position", "parameters", "optimizer", "generators"}
)
_COUNT = 10**15
_SQUARES = frozenset({"squared_gradients", "squared_updates", "second_moment"})
_HEX_128 = re.compile(r"[0-9a-f]{32}")


def dump(state: TrainerState) -> bytes:
    """The document of a state. FormatError when a value is not finite: a diverged network is not worth keeping."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "spec": state.spec.to_dict(),
        "step": state.steps,
        "examples": state.examples,
        "position": state.position,
        "parameters": _dump_array(state.parameters),
        "optimizer": {
            "steps": state.optimizer_steps,
            "accumulators": {name: _dump_array(array) for name, array in state.accumulators.items()},
        },
        "generators": {name: _dump_generator(generator) for name, generator in state.generators.items()},
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def load(document: bytes) -> TrainerState:
    """The state in a document; FormatError, with a JSON pointer where possible, when anything about it is wrong."""
    whole_document = parse(document, MAX_BYTES)
    if not isinstance(whole_document, dict) or whole_document.get("format") != FORMAT:
        raise FormatError("This is not a network saved by Nabla.", field="/format")
    if whole_document.get("version") != VERSION:
        raise FormatError(
            f"This file is of another version of the format; this program reads version {VERSION}.", field="/version"
        )
    values = fields(whole_document, "", _DOCUMENT)
    spec = _load_spec(values["spec"])
    size = sum(layer.parameters for layer in plan(spec.network, spec.dataset.input_shape))
    optimizer = fields(values["optimizer"], "/optimizer", frozenset({"steps", "accumulators"}))
    names = OPTIMIZERS[spec.optimizer.name].accumulators
    accumulators = fields(optimizer["accumulators"], "/optimizer/accumulators", frozenset(names))
    generators = fields(values["generators"], "/generators", frozenset(GENERATORS))
    return TrainerState(
        spec=spec,
        steps=whole(values["step"], "/step", 0, _COUNT),
        examples=whole(values["examples"], "/examples", 0, _COUNT),
        position=whole(values["position"], "/position", 0, spec.dataset.sizes["train"]),
        parameters=_load_array(values["parameters"], "/parameters", size),
        optimizer_steps=whole(optimizer["steps"], "/optimizer/steps", 0, _COUNT),
        accumulators={name: _load_accumulator(accumulators[name], name, size) for name in names},
        generators={name: _load_generator(generators[name], f"/generators/{name}") for name in GENERATORS},
    )


def _load_spec(values: Any) -> RunSpec:
    try:
        spec = read_run_spec(values)
        check_run(spec)
    except SpecError as error:
        raise FormatError(str(error), field=f"/spec{error.field or ''}") from None
    return spec


def _dump_array(array: Array) -> dict[str, Any]:
    if not np.isfinite(array).all():
        raise FormatError(
            "This network has values that are no numbers any more. Go back to an earlier state to save it."
        )
    encoded = base64.b64encode(array.astype("<f4").tobytes()).decode()
    return {"dtype": "float32", "shape": list(array.shape), "base64": encoded}


def _load_array(value: Any, pointer: str, size: int) -> Array:
    """The float32 array (size,) in an ARRAY."""
    array = fields(value, pointer, frozenset({"dtype", "shape", "base64"}))
    if array["dtype"] != "float32":
        raise FormatError("The numbers must be of the type float32.", field=f"{pointer}/dtype")
    shape, text = array["shape"], array["base64"]
    if (
        not isinstance(shape, list)
        or len(shape) != 1
        or whole(shape[0], f"{pointer}/shape/0", 0, MAX_PARAMETERS) != size
    ):
        raise FormatError(f"The shape must be [{size}], for that is what the network has.", field=f"{pointer}/shape")
    if not isinstance(text, str) or len(text) != (4 * size + 2) // 3 * 4:
        raise FormatError(f"There must be exactly {4 * size:,} bytes for {size:,} numbers.", field=f"{pointer}/base64")
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError("This is not base64.", field=f"{pointer}/base64") from None
    if len(content) != 4 * size:
        raise FormatError(f"There must be exactly {4 * size:,} bytes for {size:,} numbers.", field=f"{pointer}/base64")
    numbers = np.frombuffer(content, "<f4").astype(np.float32)
    if not np.isfinite(numbers).all():
        raise FormatError("Some of the numbers are not finite.", field=pointer)
    return numbers


def _load_accumulator(value: Any, name: str, size: int) -> Array:
    pointer = f"/optimizer/accumulators/{name}"
    array = _load_array(value, pointer, size)
    if name in _SQUARES and (array < 0).any():
        raise FormatError("A mean of squares cannot be negative.", field=pointer)
    return array


def _dump_generator(generator: dict[str, Any]) -> dict[str, Any]:
    """PCG64's state; 128-bit numbers as hex digits, which every JSON reader leaves as they are."""
    return {
        "state": f"{generator['state']['state']:032x}",
        "increment": f"{generator['state']['inc']:032x}",
        "buffered": bool(generator["has_uint32"]),
        "buffer": generator["uinteger"],
    }


def _load_generator(value: Any, pointer: str) -> dict[str, Any]:
    generator = fields(value, pointer, frozenset({"state", "increment", "buffered", "buffer"}))
    for name in ("state", "increment"):
        if not isinstance(generator[name], str) or not _HEX_128.fullmatch(generator[name]):
            raise FormatError("A generator's numbers have 32 hexadecimal digits.", field=f"{pointer}/{name}")
    if not isinstance(generator["buffered"], bool):
        raise FormatError("It is either true or false that half a number is buffered.", field=f"{pointer}/buffered")
    return {
        "bit_generator": "PCG64",
        "state": {"state": int(generator["state"], 16), "inc": int(generator["increment"], 16) | 1},
        "has_uint32": int(generator["buffered"]),
        "uinteger": whole(generator["buffer"], f"{pointer}/buffer", 0, 2**32 - 1),
    }
