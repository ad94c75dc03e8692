"""The parts of an address that are more than a name and a number: hidden layers, points of one's own, what a form sends,
and the addresses of TensorFlow Playground."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from app.routes.forms import FieldError, fields_of
from app.templating import plain_number
from engine.errors import SpecError
from engine.specs import (
    LETTERS,
    Dense,
    Dropout,
    LayerSpec,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softplus,
    TableSpec,
    Tanh,
)
from engine.specs.tables import check_table
from engine.validation import read_value

ACTIVATIONS: Mapping[str, type[LayerSpec] | None] = {
    "tanh": Tanh,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "softplus": Softplus,
    "leaky_relu": LeakyReLU,
    "linear": None,
}
MOST_HIDDEN = 8
MOST_UNITS = 20
"""As many as a layer of convnetjs's regression network has."""

OWN_BYTES = 2 * 2**20
"""Of the JSON of an own table, uncompressed; the largest table has less than half of that."""

KEPT = 32
"""Tables that are kept packed and unpacked: each change of a bench asks for its own several times."""

# ---- Hidden layers: 8.tanh,4.relu.d0.2 -----------------------------------------------------------------------------------


def hidden_of(text: str) -> tuple[LayerSpec, ...]:
    """The layers that the text tells of. Raises FieldError."""
    parts = [part for part in text.split(",") if part]
    if len(parts) > MOST_HIDDEN:
        raise FieldError(f"There may be at most {MOST_HIDDEN} hidden layers.")
    return tuple(layer for number, part in enumerate(parts, 1) for layer in _hidden_layer(part, number))


def _hidden_layer(part: str, number: int) -> list[LayerSpec]:
    units, _, rest = part.partition(".")
    name, _, dropped = rest.partition(".d")
    if not (units.isascii() and units.isdigit() and len(units) < 4 and 1 <= int(units) <= MOST_UNITS):
        raise FieldError(f"Layer {number} needs 1 to {MOST_UNITS} neurons.")
    if name not in ACTIVATIONS:
        raise FieldError(f"The activation of layer {number} is one of: {', '.join(ACTIVATIONS)}.")
    layers: list[LayerSpec] = [Dense(units=int(units))]
    if (activation := ACTIVATIONS[name]) is not None:
        layers.append(activation())
    if dropped:
        try:
            layers.append(Dropout(rate=fields_of(Dropout)["rate"].read(dropped) or 0.0))
        except FieldError as error:
            raise FieldError(f"Dropout after layer {number}: {str(error)[:1].lower()}{str(error)[1:]}") from None
    return layers


def hidden_text(layers: Sequence[LayerSpec]) -> str | None:
    """The text of hidden layers, or None if there are others among them than such a text can tell."""
    names = {kind: name for name, kind in ACTIVATIONS.items() if kind is not None}
    parts: list[str] = []
    for layer in layers:
        if layer == Dense(units=getattr(layer, "units", 0)):
            parts.append(f"{layer.units}.linear")
        elif parts and parts[-1].endswith(".linear") and type(layer) in names and layer == type(layer)():
            parts[-1] = parts[-1].removesuffix("linear") + names[type(layer)]
        elif parts and isinstance(layer, Dropout) and ".d" not in parts[-1]:
            parts[-1] += f".d{plain_number(layer.rate)}"
        else:
            return None
    return ",".join(parts)


# ---- Points of one's own ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=KEPT)
def packed(table: TableSpec) -> str:
    """A table as one word; its features, share and seed stand in the address by their own names."""
    content = {
        "columns": table.columns,
        "class_names": table.class_names,
        "target": table.target,
        "standardize": table.standardize,
        "values": table.values,
    }
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(zlib.compress(text.encode())).decode().rstrip("=")


@lru_cache(maxsize=KEPT)
def unpacked(word: str) -> TableSpec:
    """The table in such a word, checked. Raises SpecError."""
    broken = SpecError("The points in this address are damaged; it may have been cut off.", field="/own")
    try:
        inflate = zlib.decompressobj()
        text = inflate.decompress(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)), OWN_BYTES)
        content = json.loads(text)
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        raise broken from None
    if not inflate.eof or not isinstance(content, dict) or set(content) & {"features", "train_share", "seed", "name"}:
        raise broken
    table = read_value(TableSpec, content, "")
    assert isinstance(table, TableSpec)
    check_table(table)
    return table


def painted(values: str, columns: str, class_names: str, target: str, standardize: str) -> str:
    """What the form's fields for own points hold, as one word. A class that was painted and has no name gets a letter.

    `columns` and `class_names` are JSON lists; no class names: a number is learned. Raises SpecError.
    """
    try:
        names, classes = json.loads(columns or '["x","y"]'), json.loads(class_names or '["A","B"]')
        rows = array("f", base64.b64decode(values, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise SpecError("The points could not be read.", field="/own") from None
    table = read_value(
        TableSpec,
        {
            "columns": names,
            "class_names": classes,
            "values": values,
            "target": target or "class",
            "standardize": standardize == "1",
        },
        "",
    )
    if table.class_names and rows:
        labels = rows[len(table.columns) :: len(table.columns) + 1]
        highest = int(max(label for label in (0.0, *labels) if label < len(LETTERS)))
        free = [letter for letter in LETTERS if letter not in table.class_names]
        missing = max(0, highest + 1 - len(table.class_names))
        table = replace(table, class_names=(*table.class_names, *free[:missing]))
    check_table(table)
    return packed(table)


# ---- Forms -----------------------------------------------------------------------------------------------------------------


def flat(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The texts of a posted form: boxes of one name with commas, fields of layers as `network`, own points as `own`.

    Raises SpecError for points that are none.
    """
    texts: dict[str, str] = {}
    for name, text in pairs:
        texts[name] = (
            f"{texts[name]},{text}" if name in ("features", "show", "hide", "lock") and name in texts else text
        )
    count = texts.pop("layers", "")
    if count.isdigit() and len(count) < 3:
        parts = []
        for index in range(min(int(count), MOST_HIDDEN + 1)):
            units, activation, dropped = (
                texts.pop(f"{name}-{index}", "") for name in ("units", "activation", "dropout")
            )
            drop = dropped.strip()
            parts.append(f"{units}.{activation}" + (f".d{drop}" if drop and drop != "0" else ""))
        texts["network"] = ",".join(parts)
    if "axis_x" in texts and "axis_y" in texts:
        texts["axes"] = f"{texts.pop('axis_x')}.{texts.pop('axis_y')}"
    own = [texts.pop(f"own_{name}", "") for name in ("values", "columns", "class_names", "target", "standardize")]
    if own[0]:
        texts["own"] = painted(*own)
    return texts


# ---- TensorFlow Playground -------------------------------------------------------------------------------------------------

PLAYGROUND_SETS = {"circle": "circle", "xor": "xor", "gauss": "gaussians", "spiral": "spiral"}
PLAYGROUND_NUMBERS = {"reg-plane": "plane", "reg-gauss": "bumps"}
PLAYGROUND_INPUTS = {
    "x": "x",
    "y": "y",
    "xSquared": "x_squared",
    "ySquared": "y_squared",
    "xTimesY": "xy",
    "sinX": "sin_x",
    "sinY": "sin_y",
    "cosX": "cos_x",
    "cosY": "cos_y",
}
PLAYGROUND_CONTROLS = {
    "showTestData": "show",
    "discretize": "regions",
    "playButton": "play",
    "stepButton": "step",
    "resetButton": "reset",
    "learningRate": "lr",
    "activation": "activation",
    "regularization": "decay",
    "regularizationRate": "decay",
    "problem": "data",
    "dataset": "data",
    "percTrainData": "train",
    "noise": "noise",
    "batchSize": "batch",
    "numHiddenLayers": "layers",
}


def playground(query: Mapping[str, str]) -> dict[str, str]:
    """The texts that mean here what Playground's own parameters mean there; a parameter without a meaning is left out.

    Its training is plain gradient descent on the squared loss, from weights between −½ and ½; its noise and its share
    for training are per cent, its seed is a fraction.
    """
    number = query.get("problem") == "regression"
    sets, usual = (PLAYGROUND_NUMBERS, "reg-plane") if number else (PLAYGROUND_SETS, "circle")
    activation = query.get("activation", "tanh")
    activation = activation if activation in ACTIVATIONS else "tanh"
    shape = query.get("networkShape", "4,2").split(",")
    units = [str(min(int(n), MOST_UNITS)) for n in shape if n.strip().isdigit() and len(n) < 9 and int(n) > 0]
    on = {name: query.get(name, "true" if name in ("x", "y") else "false") == "true" for name in PLAYGROUND_INPUTS}
    features = [ours for name, ours in PLAYGROUND_INPUTS.items() if on[name]]
    rate = query.get("regularizationRate", "0")
    decay = {"L1": "l1", "L2": "l2"}.get(query.get("regularization", ""))
    seed = "".join(
        digit for digit in query.get("seed", "").removeprefix("0.")[:12] if digit.isascii() and digit.isdigit()
    )
    hidden = {ours for name, ours in PLAYGROUND_CONTROLS.items() if query.get(f"{name}_hide") == "true"}
    if query.get("hideText") == "true":
        hidden.add("text")
    return {
        "data": sets.get(query.get("regDataset" if number else "dataset", usual), sets[usual]),
        "points": "1200" if number else "500",
        "noise": _share(query.get("noise", "0"), 0.8),
        "train": _share(query.get("percTrainData", "50"), 1),
        "features": ",".join(features or ("x", "y")),
        "network": ",".join(f"{count}.{activation}" for count in units[:MOST_HIDDEN]),
        "init": "zeros" if query.get("initZero") == "true" else "playground",
        "loss": "half_squared_error",
        "optimizer": "sgd",
        "lr": query.get("learningRate", "0.03"),
        "batch": query.get("batchSize", "10"),
        **({decay: rate} if decay else {}),
        **({"seed": str(int(seed)), "dataseed": str(int(seed))} if seed else {}),
        "show": "test,mistakes" if query.get("showTestData") == "true" else "mistakes",
        "regions": "hard" if query.get("discretize") == "true" else "soft",
        "hide": ",".join(sorted(hidden)),
        "play": "0",
    }


def _share(percent: str, most: float) -> str:
    try:
        return plain_number(min(most, max(0.0, round(float(percent) / 100, 6))))
    except (ValueError, OverflowError):
        return percent
