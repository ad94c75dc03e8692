"""The same network as text: Nabla's JSON, convnetjs's `layer_defs`, or Python for the engine; read as data, never run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import FormatError
from engine.formats.layer_defs import read_layer_defs
from engine.formats.strict_json import parse
from engine.specs import (
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    LayerSpec,
    LocalResponseNormalization,
    Maxout,
    MaxPool2D,
    ReLU,
    RunSpec,
    Sigmoid,
    Tanh,
    tagged,
)
from engine.validation import read_run_spec, read_value

LONGEST = 100_000
"""Characters of a pasted network; the largest legal one has a few thousand."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a pasted text was understood to be; `run` is None where it describes the network alone."""

    layers: tuple[LayerSpec, ...]
    format: str
    run: RunSpec | None = None
    trainer: bool = False
    """Whether the text describes the trainer, too."""


def read_network(text: str) -> Reading:
    """Nabla's list of layers or convnetjs's code. Raises FormatError or SpecError in words for the person."""
    text = text.strip()
    if not text:
        raise FormatError("Paste a network first: Nabla's list of layers, or convnetjs's layer_defs.")
    if len(text) > LONGEST:
        raise FormatError(f"This is too long for a network: {len(text):,} characters, at most {LONGEST:,}.")
    if "layer_defs" in text:
        spec = read_layer_defs(text)
        return Reading(spec.network, "convnetjs", spec, trainer="Trainer" in text)
    if text[0] in "[{":
        return _read_json(text)
    if "import" in text or "Network.build" in text:
        raise FormatError("Python is not read here, for it would have to be run. Paste Nabla's list or layer_defs.")
    raise FormatError("This is neither Nabla's list of layers nor convnetjs's layer_defs.")


def _read_json(text: str) -> Reading:
    value = parse(text.encode(), LONGEST * 4)
    if isinstance(value, dict):
        spec = read_run_spec(value)
        return Reading(spec.network, "nabla", spec, trainer="optimizer" in value)
    layers: tuple[LayerSpec, ...] = read_value(tuple[LayerSpec, ...], value, "/network")
    return Reading(layers, "nabla")


def write_network(specs: Sequence[LayerSpec], style: str, crop: int, loss: str) -> str:
    """One layer a line, in `style` nabla, convnetjs or python; `crop` is the side of the images it sees."""
    if style == "convnetjs":
        return write_convnetjs(specs, crop, loss)
    if style == "python":
        return write_python(specs, crop)
    lines = ",\n ".join(json.dumps(_terse(spec)) for spec in specs)
    return f"[{lines}]"


def _terse(spec: LayerSpec) -> dict[str, Any]:
    """As a person would write it: decay multipliers only where they are not 1."""
    return {name: value for name, value in tagged(spec).items() if not (name.endswith("_multiplier") and value == 1)}


def write_python(specs: Sequence[LayerSpec], crop: int) -> str:
    """A program that builds the network with the engine."""
    names = ", ".join(sorted({type(spec).__name__ for spec in specs}))
    layers = "\n".join(f"    {_call(spec)}," for spec in specs)
    return (
        "import numpy as np\nfrom engine.network import Network\n"
        f"from engine.specs import {names}\n\n"
        f"network = Network.build([\n{layers}\n], (1, {crop}, {crop}), rng=np.random.default_rng(1))"
    )


def _call(spec: LayerSpec) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in _terse(spec).items() if name != "type")
    return f"{type(spec).__name__}({arguments})"


HEADS = {"hinge": ("svm", "num_classes"), "mean_squared_error": ("regression", "num_neurons")}
"""convnetjs's last layer for a loss, and what it calls the number of outputs; softmax for all others."""


def write_convnetjs(specs: Sequence[LayerSpec], crop: int, loss: str) -> str:
    """`layer_defs` as on convnetjs's pages; a last dense layer becomes that of the loss, which holds the dense layer."""
    lines = [f"{{type:'input', out_sx:{crop}, out_sy:{crop}, out_depth:1}}"]
    lines += [_definition(spec, loss if spec is specs[-1] else None) for spec in specs if not isinstance(spec, Flatten)]
    return "layer_defs = [];\n" + "\n".join(
        line if line.startswith("//") else f"layer_defs.push({line});" for line in lines
    )


def _definition(spec: LayerSpec, loss: str | None) -> str:
    match spec:
        case Conv2D():
            size = spec.kernel_size
            return f"{{type:'conv', sx:{size}, filters:{spec.filters}, stride:{spec.stride}, pad:{spec.padding}}}"
        case MaxPool2D():
            return f"{{type:'pool', sx:{spec.pool_size}, stride:{spec.stride}}}"
        case Dense() if loss:
            head, outputs = HEADS.get(loss, ("softmax", "num_classes"))
            return f"{{type:'{head}', {outputs}:{spec.units}}}"
        case Dense():
            return f"{{type:'fc', num_neurons:{spec.units}}}"
        case Dropout():
            return f"{{type:'dropout', drop_prob:{spec.rate}}}"
        case Maxout():
            return f"{{type:'maxout', group_size:{spec.group_size}}}"
        case LocalResponseNormalization():
            return f"{{type:'lrn', k:{spec.k}, n:{spec.n}, alpha:{spec.alpha}, beta:{spec.beta}}}"
        case ReLU() | Tanh() | Sigmoid():
            return f"{{type:'{spec.type}'}}"
        case _:
            return f"// convnetjs has no {spec.type}"
