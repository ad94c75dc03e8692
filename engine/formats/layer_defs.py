"""The text in which convnetjs's pages describe a network and its trainer, read as data.

There it is JavaScript that the page evaluates. Here a small parser reads the handful of statements that such a text is
made of, with plain values in them, and never executes anything:

    layer_defs = [];
    layer_defs.push({type:'input', out_sx:24, out_sy:24, out_depth:1});
    layer_defs.push({type:'conv', sx:5, filters:8, stride:1, pad:2, activation:'relu'});
    layer_defs.push({type:'softmax', num_classes:10});
    net = new convnetjs.Net();
    net.makeLayers(layer_defs);
    trainer = new convnetjs.SGDTrainer(net, {method:'adadelta', batch_size:20, l2_decay:0.001});

What the same words mean here: `l2_decay` and `l1_decay` are divided by the batch size, as convnetjs does when it
updates; Adadelta's learning rate, which convnetjs ignores, is 1; where the text leaves out `eps`, our own default
stands. Where it leaves out `l1_decay_mul`, convnetjs takes 0, and `l1_decay` does nothing; here it works on every layer.
`bias_pref` is not followed: biases begin at zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NoReturn

from engine.errors import FormatError, SpecError
from engine.formats.convnetjs import response_normalization
from engine.formats.javascript import Statements
from engine.shapes import check_run
from engine.specs import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Conv2D,
    Dense,
    Dropout,
    LayerSpec,
    LossName,
    Maxout,
    MaxPool2D,
    MnistSpec,
    MomentumSGD,
    Nesterov,
    OptimizerSpec,
    ReLU,
    RMSProp,
    RunSpec,
    Sigmoid,
    Tanh,
)


def read_layer_defs(text: str, name: str = "convnetjs") -> RunSpec:
    """The run that a text describes, on MNIST; FormatError naming the line or layer that cannot be followed."""
    statements = Statements(text)
    crop, layers, loss = _layers(statements.layer_defs)
    optimizer, others = (Adadelta(), {}) if statements.options is None else _trainer(statements.options)
    spec = RunSpec(
        name=name, dataset=MnistSpec(crop=crop), network=tuple(layers), loss=loss, optimizer=optimizer, **others
    )
    try:
        check_run(spec)
    except SpecError as error:
        raise FormatError(str(error), field=error.field) from None
    return spec


_ACTIVATIONS: dict[str, Callable[[], LayerSpec]] = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh}
_LOSSES: dict[str, LossName] = {"softmax": "softmax_cross_entropy", "svm": "hinge", "regression": "mean_squared_error"}
_MULTIPLIERS = {"l1_decay_mul": "l1_multiplier", "l2_decay_mul": "l2_multiplier"}

_OPTIONS = {
    "input": {"out_sx", "sx", "width", "out_sy", "sy", "height", "out_depth", "depth"},
    "conv": {
        "filters",
        "sx",
        "sy",
        "stride",
        "pad",
        "bias_pref",
        "activation",
        "group_size",
        "drop_prob",
        *_MULTIPLIERS,
    },
    "fc": {"num_neurons", "filters", "bias_pref", "activation", "group_size", "drop_prob", *_MULTIPLIERS},
    "pool": {"sx", "sy", "stride", "pad"},
    "relu": set(),
    "sigmoid": set(),
    "tanh": set(),
    "maxout": {"group_size"},
    "lrn": {"k", "n", "alpha", "beta"},
    "dropout": {"drop_prob"},
    "softmax": {"num_classes"},
    "svm": {"num_classes"},
    "regression": {"num_neurons"},
}


def _layers(definitions: list[Any]) -> tuple[int, list[LayerSpec], LossName]:
    """Side of the input, layers and loss. convnetjs adds activations, dropout and the last dense layer as here."""
    layers: list[LayerSpec] = []
    crop: int | None = None
    loss: LossName | None = None
    for number, definition in enumerate(definitions, 1):
        options = _Options(definition, number)
        if (number == 1) != (options.type == "input"):
            options.fail("the first layer, and only that, must be the input")
        if loss is not None:
            options.fail("no layer may follow the one with the loss")
        match options.type:
            case "input":
                crop = options.input_side()
            case "conv":
                layers.append(
                    Conv2D(
                        filters=options.whole("filters"),
                        kernel_size=options.square(),
                        stride=options.whole("stride", default=1),
                        padding=options.whole("pad", default=0),
                        **options.multipliers(),
                    )
                )
            case "fc":
                layers.append(Dense(units=options.whole("num_neurons", "filters"), **options.multipliers()))
            case "pool":
                if options.whole("pad", default=0) != 0:
                    options.fail("pooling with padding is not possible here")
                layers.append(MaxPool2D(pool_size=options.square(), stride=options.whole("stride", default=2)))
            case "dropout":
                layers.append(Dropout(rate=options.number("drop_prob", default=0.5)))
            case "maxout":
                layers.append(options.maxout())
            case "lrn":
                k, alpha, beta = (options.number(name, most=1000) for name in ("k", "alpha", "beta"))
                layers.append(response_normalization(k, options.whole("n"), alpha, beta))
            case "softmax" | "svm" | "regression":
                layers.append(
                    Dense(units=options.whole("num_neurons" if options.type == "regression" else "num_classes"))
                )
                loss = _LOSSES[options.type]
            case activation:
                layers.append(_ACTIVATIONS[activation]())
        if "activation" in options.values:
            layers.append(options.activation())
        if options.type != "dropout" and "drop_prob" in options.values:
            layers.append(Dropout(rate=options.number("drop_prob", default=0.5)))
    if crop is None or loss is None:
        raise FormatError("The last layer must be a softmax, svm or regression layer.")
    return crop, layers, loss


class _Options:
    """One `layer_defs` entry, its values read by name and type."""

    def __init__(self, definition: Any, number: int) -> None:
        self._number = number
        if not isinstance(definition, dict):
            self.fail("it must be an object like {type:'relu'}")
        self.values: dict[str, Any] = definition
        kind = definition.get("type")
        if not isinstance(kind, str) or kind not in _OPTIONS:
            self.fail(f"the type “{str(kind)[:40]}” is not known here. Known are: {', '.join(_OPTIONS)}")
        self.type: str = kind
        unknown = sorted(definition.keys() - _OPTIONS[kind] - {"type"})
        if unknown:
            self.fail(f"a layer of the type {kind} has no option “{unknown[0][:40]}” here")

    def fail(self, reason: str) -> NoReturn:
        raise FormatError(f"Layer {self._number} of layer_defs: {reason}.", field=f"/layer_defs/{self._number - 1}")

    def whole(self, *names: str, default: int | None = None) -> int:
        value = next((self.values[name] for name in names if name in self.values), default)
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(f"{names[0]} must be a whole number")
        return value

    def number(self, name: str, default: float | None = None, most: float = 1) -> float:
        value = self.values.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < most:
            self.fail(f"{name} must be a number, at least 0 and below {most:,}")
        return float(value)

    def multipliers(self) -> dict[str, Any]:
        """How strongly weight decay works on this layer, where the text says so."""
        return {ours: self.number(name, most=1000) for name, ours in _MULTIPLIERS.items() if name in self.values}

    def maxout(self) -> LayerSpec:
        return Maxout(group_size=self.whole("group_size", default=2))

    def square(self) -> int:
        side = self.whole("sx")
        if self.whole("sy", default=side) != side:
            self.fail("only square windows are possible here")
        return side

    def input_side(self) -> int:
        width, height = self.whole("out_sx", "sx", "width", default=1), self.whole("out_sy", "sy", "height", default=1)
        depth = self.whole("out_depth", "depth")
        if width != height or depth != 1 or not 8 <= width <= 28:
            self.fail(f"an input of {width}×{height}×{depth} does not fit the digits, which are 8×8×1 to 28×28×1")
        return width

    def activation(self) -> LayerSpec:
        name = self.values["activation"]
        if name == "maxout":
            return self.maxout()
        if not isinstance(name, str) or name not in _ACTIVATIONS:
            self.fail(
                f"the activation “{str(name)[:40]}” is not known here. Known are: {', '.join(_ACTIVATIONS)}, maxout"
            )
        return _ACTIVATIONS[name]()


_METHODS: Mapping[str, type[OptimizerSpec]] = {
    "sgd": MomentumSGD,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "windowgrad": RMSProp,
    "adadelta": Adadelta,
    "adam": Adam,
}
_NUMBERS = {
    "learning_rate": "learning_rate",
    "momentum": "momentum",
    "ro": "rho",
    "eps": "epsilon",
    "beta1": "beta1",
    "beta2": "beta2",
}
_OTHERS = ("batch_size", "l1_decay", "l2_decay")


def _trainer(options: dict[str, Any]) -> tuple[OptimizerSpec, dict[str, Any]]:
    """The optimizer, and batch size and weight decay as arguments of RunSpec. Defaults are convnetjs's."""
    method = options.get("method", "sgd")
    if not isinstance(method, str) or method not in _METHODS:
        _refuse(f"The method “{str(method)[:40]}” is not known. Known are: {', '.join(_METHODS)}")
    given = {"learning_rate": 0.01, "batch_size": 1, **options}
    given.pop("method", None)
    for name, value in given.items():
        if name not in _NUMBERS and name not in _OTHERS:
            _refuse(f"The trainer has no option “{name[:40]}” here")
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e300:
            _refuse(f"{name} of the trainer must be a number, and not negative")
    optimizer = _METHODS[method]
    if method == "sgd" and given.get("momentum") == 0:
        optimizer = SGD
    if method == "adadelta":
        del given["learning_rate"]
    own = {field.name for field in fields(optimizer)}
    numbers: dict[str, Any] = {
        ours: given[theirs] for theirs, ours in _NUMBERS.items() if theirs in given and ours in own
    }
    batch_size = given["batch_size"]
    decay = {name: given.get(f"{name}_decay", 0) / max(batch_size, 1) for name in ("l1", "l2")}
    return optimizer(**numbers), {"batch_size": batch_size, **decay}


def _refuse(reason: str) -> NoReturn:
    raise FormatError(f"{reason}.", field="/trainer")
