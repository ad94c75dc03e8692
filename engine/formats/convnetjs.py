"""convnetjs's network snapshots (`net.toJSON()`), read and written exactly.

A Vol holds its numbers in `w` at index `((sx·y) + x)·depth + d`; ours are in the order depth, y, x. `w` is a list, or an
object with the keys "0", "1", … as `JSON.stringify` makes of a typed array; both are read, lists are written.

Pixels are ink in [0, 1], as on convnetjs's page of 2014; a network trained on other pixels predicts otherwise.

Dropout differs: convnetjs multiplies by `drop_prob` when it predicts (which is right only at ½), ours does nothing
then. So that both predict the same, the weights of the next convolution or dense layer are multiplied by `drop_prob` on
reading and divided by it on writing; that is exact, for only ReLU, maxout, pooling and dropout, which a positive factor
passes through, may stand between. Trained on, the two go different ways unless `drop_prob` is ½.

Local response normalization predicts the same here and there. Trained on, the two part: convnetjs's gradient is not
quite that of its formula (see `LocalResponseNormalization`). An even `n` there looks as far as the next odd one.

Not in a snapshot, and therefore at their defaults after reading: trainer, seed and step. l1_decay_mul of 0, which is
convnetjs's usual value, becomes our usual multiplier of 1, for a snapshot has no decay that it could multiply.
convnetjs's regression layer, whose loss is `½ Σ (z − y)²`, becomes our mean squared error, `1/K Σ (z − y)²`.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, cast

import numpy as np
import numpy.typing as npt

from engine.arrays import Shape
from engine.errors import FormatError, SpecError
from engine.formats.strict_json import parse, whole
from engine.layers import WeightedLayer
from engine.network import Network
from engine.shapes import check_run, plan
from engine.specs import (
    MAX_CLASSES,
    MAX_LAYERS,
    Conv2D,
    CurveSpec,
    DatasetSpec,
    Dense,
    Dropout,
    Flatten,
    LayerSpec,
    LocalResponseNormalization,
    LossName,
    Maxout,
    MaxPool2D,
    MnistSpec,
    PlaneSpec,
    ReLU,
    RunSpec,
    Sigmoid,
    Tanh,
)
from engine.trainer import TrainerState, fresh_state

MAX_BYTES = 100_000_000
"""The largest snapshot: 2,000,000 parameters as an object with keys, some 40 characters each."""

LARGEST_WEIGHT = 1e30
"""float32 ends at 3e38; anything near it is no weight."""

_ACTIVATIONS: dict[str, type[LayerSpec]] = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh}
_NAMES = {spec: name for name, spec in _ACTIVATIONS.items()}
_LOSSES: dict[str, LossName] = {"softmax": "softmax_cross_entropy", "svm": "hinge", "regression": "mean_squared_error"}
_KNOWN = ("input", "conv", "fc", "pool", *_ACTIVATIONS, "maxout", "lrn", "dropout", *_LOSSES)

Numbers = npt.NDArray[np.float64]


# ---- Reading ---------------------------------------------------------------------------------------------------------------


def load(document: bytes, name: str = "convnetjs") -> TrainerState:
    """A run at step 0 that begins with the network of a snapshot; FormatError when it cannot be taken over exactly."""
    values = parse(document, MAX_BYTES)
    layers = values.get("layers") if isinstance(values, dict) else None
    if not isinstance(layers, list) or not 3 <= len(layers) <= 2 * MAX_LAYERS:
        raise FormatError("This is not a network saved by convnetjs.", field="/layers")
    snapshot = [_Layer(layer, index) for index, layer in enumerate(layers)]
    spec = _read_spec(snapshot, name)
    network = Network(spec.network, spec.dataset.input_shape)
    _check_sizes(snapshot, spec)
    _read_weights(snapshot, network)
    return fresh_state(spec, network.parameters)


class _Layer:
    """One layer of a snapshot, its fields read by name and type."""

    def __init__(self, values: Any, index: int) -> None:
        self.pointer = f"/layers/{index}"
        kind = values.get("layer_type") if isinstance(values, dict) else None
        if not isinstance(kind, str) or kind not in _KNOWN:
            self.fail(f"the type “{str(kind)[:40]}” is not known here. Known are: {', '.join(_KNOWN)}")
        self.values: dict[str, Any] = values
        self.type: str = kind

    def fail(self, reason: str) -> NoReturn:
        raise FormatError(f"Layer {int(self.pointer.split('/')[2]) + 1} of the snapshot: {reason}.", field=self.pointer)

    def whole(self, name: str, default: int | None = None) -> int:
        return whole(self.values.get(name, default), f"{self.pointer}/{name}", 0, 10**7)

    def window(self) -> int:
        if self.whole("sx") != self.whole("sy"):
            self.fail("only square windows are possible here")
        return self.whole("sx")

    def number(self, name: str, default: float | None = None) -> float:
        value: Any = self.values.get(name, default)
        if not _is_number(value):
            self.fail(f"{name} must be a number")
        return float(value)

    def drop_prob(self) -> float:
        value = self.values.get("drop_prob")
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1:
            self.fail("drop_prob must lie between 0 and 1; with 0, convnetjs itself predicts from nothing")
        return float(value)

    def spec(self) -> LayerSpec:
        match self.type:
            case "conv":
                return Conv2D(
                    filters=self.whole("out_depth"),
                    kernel_size=self.window(),
                    stride=self.whole("stride"),
                    padding=self.whole("pad", default=0),
                    **self.multipliers(),
                )
            case "fc":
                return Dense(units=self.whole("out_depth"), **self.multipliers())
            case "pool":
                if self.whole("pad", default=0) != 0:
                    self.fail("pooling with padding is not possible here")
                return MaxPool2D(pool_size=self.window(), stride=self.whole("stride"))
            case "dropout":
                return Dropout(rate=self.drop_prob())
            case "maxout":
                return Maxout(group_size=self.whole("group_size"))
            case "lrn":
                return response_normalization(
                    self.number("k"), self.whole("n"), self.number("alpha"), self.number("beta")
                )
            case activation if activation in _ACTIVATIONS:
                return _ACTIVATIONS[activation]()
        self.fail("a layer of this type cannot stand here")

    def multipliers(self) -> dict[str, Any]:
        """How strongly weight decay works on this layer."""
        l1, l2 = self.number("l1_decay_mul", 0), self.number("l2_decay_mul", 1)
        return {"l1_multiplier": l1 or 1.0, "l2_multiplier": l2}

    def vol(self, value: Any, pointer: str, shape: Shape) -> Numbers:
        """The numbers of a Vol that must be `shape` (depth, height, width), in that order."""
        depth, height, width = shape
        if not isinstance(value, dict) or [value.get(name) for name in ("sx", "sy", "depth")] != [width, height, depth]:
            raise FormatError(
                f"{self.pointer}{pointer} must be a Vol of {width}×{height}×{depth}.", field=self.pointer + pointer
            )
        numbers, length = value.get("w"), width * height * depth
        if isinstance(numbers, dict) and len(numbers) == length:
            numbers = [numbers.get(str(index)) for index in range(length)]
        if not isinstance(numbers, list) or len(numbers) != length or not all(map(_is_number, numbers)):
            raise FormatError(
                f"{self.pointer}{pointer}/w must hold {length:,} numbers.", field=f"{self.pointer}{pointer}/w"
            )
        return np.array(numbers, np.float64).reshape(height, width, depth).transpose(2, 0, 1)


def response_normalization(k: float, n: int, alpha: float, beta: float) -> LocalResponseNormalization:
    """convnetjs's `lrn`: with an even `n` it looks at n + 1 channels and divides their sum by n."""
    if n > 0 and n % 2 == 0:
        n, alpha = n + 1, alpha * (n + 1) / n
    return LocalResponseNormalization(k=k, n=n, alpha=alpha, beta=beta)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_WEIGHT


def _read_spec(snapshot: list[_Layer], name: str) -> RunSpec:
    first, *inner, last = snapshot
    if first.type != "input":
        first.fail("the first layer must be the input")
    side, height, depth = (first.whole(field) for field in ("out_sx", "out_sy", "out_depth"))
    if last.type not in _LOSSES:
        last.fail("the last layer must be softmax, svm or regression")
    loss = _LOSSES[last.type]
    dataset: DatasetSpec
    if side == height and depth == 1 and 8 <= side <= 28:
        dataset = MnistSpec(crop=side)
    elif side == height == 1 and depth <= 2:
        dataset = _points_for(depth, last, loss)
    else:
        first.fail(
            f"an input of {side}×{height}×{depth} fits neither the digits, which are 8×8×1 to 28×28×1, nor a point, "
            "which is 1×1×2 in the plane and 1×1×1 on a curve"
        )
    spec = RunSpec(
        name=name[:80] or "convnetjs",
        dataset=dataset,
        network=tuple(layer.spec() for layer in inner),
        loss=loss,
    )
    try:
        check_run(spec)
    except SpecError as error:
        raise FormatError(str(error), field=error.field) from None
    return spec


def _points_for(depth: int, last: _Layer, loss: LossName) -> PlaneSpec | CurveSpec:
    """Points that a network of convnetjs's classify2d or regression demo can be tried on; a snapshot has no data."""
    if depth == 1:
        return CurveSpec()
    outputs = last.whole("out_depth")
    if loss == "mean_squared_error" and outputs == 1:
        return PlaneSpec(kind="plane")
    if not 2 <= outputs <= MAX_CLASSES:
        last.fail(f"{outputs} classes in the plane are not possible here, 2 to {MAX_CLASSES} are")
    return PlaneSpec(kind="circle", class_count=outputs)


def _check_sizes(snapshot: list[_Layer], spec: RunSpec) -> None:
    """Compare the sizes that a snapshot declares with those that follow from its layers."""
    shapes = [layer.output_shape for layer in plan(spec.network, spec.dataset.input_shape)]
    for layer, shape in zip(snapshot[1:], [*shapes, shapes[-1]], strict=True):
        depth, height, width = _volume(shape)
        if [layer.whole(name) for name in ("out_sx", "out_sy", "out_depth")] != [width, height, depth]:
            layer.fail(f"its output must be {width}×{height}×{depth}")


def _volume(shape: Shape) -> tuple[int, int, int]:
    return (shape[0], 1, 1) if len(shape) == 1 else cast(tuple[int, int, int], shape)


def _read_weights(snapshot: list[_Layer], network: Network) -> None:
    scale, volume = 1.0, _volume(network.input_shape)
    for described, layer, planned in zip(snapshot[1:], network.layers, network.plan, strict=False):
        match layer:
            case WeightedLayer():
                shape = (volume[0], described.window(), described.window()) if described.type == "conv" else volume
                filters = described.values.get("filters")
                if not isinstance(filters, list) or len(filters) != layer.biases.size:
                    described.fail(f"it must have {layer.biases.size} filters")
                for index, filter_ in enumerate(filters):
                    numbers = _read_filter(described, filter_, index, shape)
                    layer.weights[index] = (scale * numbers).reshape(layer.weights.shape[1:])
                layer.biases[...] = described.vol(
                    described.values.get("biases"), "/biases", (layer.biases.size, 1, 1)
                ).ravel()
                scale = 1.0
            case _ if described.type == "dropout":
                scale *= described.drop_prob()
            case _ if scale != 1 and described.type in ("sigmoid", "tanh", "lrn"):
                described.fail(
                    "dropout directly before it works differently in convnetjs and cannot be taken over exactly"
                )
        volume = _volume(planned.output_shape)
    if scale != 1:
        snapshot[-1].fail("dropout directly before it works differently in convnetjs and cannot be taken over exactly")


def _read_filter(layer: _Layer, value: Any, index: int, shape: Shape) -> Numbers:
    """One filter (depth, height, width). A dense layer's row is a Vol of 1×1×inputs over the incoming map's own order."""
    pointer = f"/filters/{index}"
    if layer.type == "conv":
        return layer.vol(value, pointer, shape)
    depth, height, width = shape
    row = layer.vol(value, pointer, (depth * height * width, 1, 1))
    return row.reshape(height, width, depth).transpose(2, 0, 1)


# ---- Writing ---------------------------------------------------------------------------------------------------------------


def dump(state: TrainerState) -> bytes:
    """The snapshot of a network, as `net.fromJSON` reads it; FormatError for layers that convnetjs does not have."""
    spec = state.spec
    network = Network(spec.network, spec.dataset.input_shape)
    network.parameters[:] = state.parameters
    if not np.isfinite(network.parameters).all():
        raise FormatError(
            "This network has values that are no numbers any more. Go back to an earlier state to save it."
        )
    volume, scale = _volume(network.input_shape), 1.0
    layers: list[dict[str, Any]] = [_described("input", volume)]
    for layer, planned in zip(network.layers, network.plan, strict=True):
        incoming = volume
        if not isinstance(planned.spec, Flatten):  # a map stays a map until a dense layer reads it
            volume = incoming if planned.input_shape == planned.output_shape else _volume(planned.output_shape)
        match planned.spec:
            case Flatten():
                continue
            case Maxout() | LocalResponseNormalization() if incoming != _volume(planned.input_shape):
                _cannot(planned.name, "looks at a flattened map; convnetjs would look at its channels")
            case Dropout(rate=0):
                continue
            case Dropout(rate=rate):
                layers.append({**_described("dropout", volume), "drop_prob": rate})
                scale /= rate
            case MaxPool2D(pool_size=size, stride=stride):
                layers.append({**_described("pool", volume), **_window(size, stride, 0), "in_depth": incoming[0]})
            case Conv2D() | Dense() if isinstance(layer, WeightedLayer):
                # convnetjs's usual l1_decay_mul is 0; ours is worth writing only if there is a decay.
                l1 = planned.spec.l1_multiplier if spec.l1 else 0
                layers.append({**_write_weighted(layer, planned.spec, incoming, volume, scale), "l1_decay_mul": l1})
                scale = 1.0
            case Maxout(group_size=group_size):
                layers.append({**_described("maxout", volume), "group_size": group_size})
            case LocalResponseNormalization(k=k, n=n, alpha=alpha, beta=beta):
                if scale != 1:
                    _cannot(planned.name, "comes directly after dropout, which convnetjs does differently")
                layers.append({**_described("lrn", volume), "k": k, "n": n, "alpha": alpha, "beta": beta})
            case activation if type(activation) in _NAMES:
                if scale != 1 and not isinstance(activation, ReLU):
                    _cannot(planned.name, "comes directly after dropout, which convnetjs does differently")
                layers.append(_described(_NAMES[type(activation)], volume))
            case _:
                _cannot(planned.name, "is not among convnetjs's layers")
    if volume[1:] != (1, 1) or scale != 1:
        _cannot("The last layer", "must be dense")
    loss = next((name for name, own in _LOSSES.items() if own == spec.loss), None)
    if loss is None:
        _cannot("Its loss", "is not among convnetjs's")
    layers.append({**_described(loss, volume), "num_inputs": volume[0]})
    return json.dumps({"layers": layers}, allow_nan=False, separators=(",", ":")).encode()


def _cannot(layer: str, reason: str) -> NoReturn:
    raise FormatError(f"convnetjs cannot read this network: {layer} {reason}. Save it in Nabla's own format instead.")


def _described(kind: str, volume: tuple[int, int, int]) -> dict[str, Any]:
    depth, height, width = volume
    return {"out_depth": depth, "out_sx": width, "out_sy": height, "layer_type": kind}


def _window(size: int, stride: int, pad: int) -> dict[str, int]:
    return {"sx": size, "sy": size, "stride": stride, "pad": pad}


def _write_weighted(
    layer: WeightedLayer,
    spec: Conv2D | Dense,
    incoming: tuple[int, int, int],
    volume: tuple[int, int, int],
    scale: float,
) -> dict[str, Any]:
    described = _described("conv" if isinstance(spec, Conv2D) else "fc", volume)
    depth, height, width = incoming
    if isinstance(spec, Conv2D):
        height = width = spec.kernel_size
        described |= {**_window(spec.kernel_size, spec.stride, spec.padding), "in_depth": depth}
    else:
        described |= {"num_inputs": depth * height * width}
    filters = []
    for row in layer.weights:
        numbers = (scale * row.astype(np.float64)).reshape(depth, height, width).transpose(1, 2, 0).ravel()
        sides = (width, height, depth) if isinstance(spec, Conv2D) else (1, 1, numbers.size)
        filters.append(_vol(numbers, *sides))
    biases = _vol(layer.biases.astype(np.float64), 1, 1, layer.biases.size)
    return {**described, "l2_decay_mul": spec.l2_multiplier, "filters": filters, "biases": biases}


def _vol(numbers: Numbers, width: int, height: int, depth: int) -> dict[str, Any]:
    return {"sx": width, "sy": height, "depth": depth, "w": numbers.tolist()}
