"""ONNX: a trained network as a graph that many runtimes execute, from what is given to what is answered.

Input `images`, uint8 (N, 28, 28), or `points`, float32 (N, columns); output `probabilities`, float32 (N, classes), or
where a number is learned `numbers`, float32 (N, 1). The preparation is part of the graph: an image's bytes divided by
255, then the centre crop; a point's columns standardized, then its features. Dropout is idle when predicting and left out, as are the optimizer's
state and the training. Weights bear the names that they have in a safetensors file. Operators:
https://onnx.ai/onnx/operators/. Writing needs the package `onnx` (the extra `export`).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.datasets.points import PointDataset
from engine.errors import FormatError
from engine.formats.trained import SIDE, cannot, margin, pictures, points_of, preprocessing, trained_network
from engine.layers import Layer
from engine.shapes import LayerPlan
from engine.specs import (
    GELU,
    AveragePool2D,
    BatchNormalization,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    LeakyReLU,
    LocalResponseNormalization,
    LossName,
    Maxout,
    MaxPool1D,
    MaxPool2D,
    ReLU,
    RunSpec,
    Sigmoid,
    Softplus,
    Tanh,
)
from engine.trainer import TrainerState

OPSET, IR_VERSION = 20, 9
"""Of 2023: old enough for most runtimes, new enough for every operator used here."""

_MISSING = (
    "ONNX files are written with the package onnx, which is not installed here. Install nabla[export]: "
    "in Nabla's folder, .venv/bin/pip install -e .[export]"
)


def dump(state: TrainerState) -> bytes:
    """The model, checked. FormatError when the package is missing or a layer has no counterpart."""
    try:
        from onnx import TensorProto, checker, helper
    except ImportError:
        raise FormatError(_MISSING) from None
    network = trained_network(state)
    graph = Graph()
    dataset = state.spec.dataset
    points = points_of("ONNX", state.spec)
    values = _prepare_pictures(graph, state.spec) if points is None else _prepare_points(graph, points)
    for layer, planned in zip(network.layers, network.plan, strict=True):
        values = _add_layer(graph, layer, planned, values)
    values = graph.add("Flatten", values, axis=1)
    if points is None or points.classes:
        answer, width = "probabilities", len(dataset.classes)
        values = _add_probabilities(graph, state.spec.loss, values, state.spec.output_count)
    else:
        answer, width = "numbers", 1
        mean, spread = map(np.float32, points.target_scale)
        values = graph.add("Add", graph.add("Mul", values, graph.constant(spread)), graph.constant(mean))
    graph.add("Identity", values, output=answer)
    given = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", SIDE, SIDE])
    if points is not None:
        given = helper.make_tensor_value_info("points", TensorProto.FLOAT, ["N", len(points.columns)])
    model = helper.make_model(
        graph.build(given, helper.make_tensor_value_info(answer, TensorProto.FLOAT, ["N", width])),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="nabla",
        doc_string=(
            f"A network for {'handwritten digits' if points is None else 'points'} as it was after {state.steps:,} "
            "updates, with the preparation of its inputs. Without the optimizer's state."
        ),
    )
    texts = {"spec": state.spec.to_dict(), "preprocessing": preprocessing(state.spec), "classes": dataset.classes}
    helper.set_model_props(model, {name: json.dumps(value) for name, value in texts.items()})
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


class Graph:
    """A graph under construction. A value is known by its name."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """The result of an operator."""
        from onnx import helper

        output = output or f"value_{len(self._nodes)}"
        self._nodes.append(
            helper.make_node(operator, inputs, [output], name=f"{operator}_{len(self._nodes)}", **attributes)
        )
        return output

    def reshape(self, values: str, *shape: int) -> str:
        """`values` as (N, *shape)."""
        return self.add("Reshape", values, self.constant(np.array([0, *shape], np.int64)))

    def constant(self, array: npt.ArrayLike, name: str | None = None) -> str:
        """A tensor that is part of the model."""
        from onnx import numpy_helper

        name = name or f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def build(self, given: Any, answer: Any) -> Any:
        """The graph from one described value to another."""
        from onnx import helper

        return helper.make_graph(self._nodes, "nabla", [given], [answer], self._constants)


def _prepare_pictures(graph: Graph, spec: RunSpec) -> str:
    """`images` as the network sees them, float32 (N, 1, crop, crop)."""
    start, crop = margin(spec), pictures(spec).crop
    places = [np.array(values, np.int64) for values in ([start, start], [start + crop, start + crop], [1, 2])]
    middle = graph.add("Slice", "images", *(graph.constant(values) for values in places))
    ink = graph.add("Div", graph.add("Cast", middle, to=_float()), graph.constant(np.float32(255)))
    return graph.add("Unsqueeze", ink, graph.constant(np.array([1], np.int64)))


def _prepare_points(graph: Graph, dataset: PointDataset) -> str:
    """`points` as the network sees them, float32 (N, D)."""
    centred = graph.add("Sub", "points", graph.constant(dataset.centre.astype(np.float32)))
    columns = graph.add("Div", centred, graph.constant(dataset.spread.astype(np.float32)))
    if not dataset.features:
        return columns
    x, y = (graph.add("Gather", columns, graph.constant(np.array([place], np.int64)), axis=1) for place in (0, 1))
    operands = {
        "x": ("Identity", x), "y": ("Identity", y),
        "x_squared": ("Mul", x, x), "y_squared": ("Mul", y, y), "xy": ("Mul", x, y),
        "sin_x": ("Sin", x), "sin_y": ("Sin", y), "cos_x": ("Cos", x), "cos_y": ("Cos", y),
    }  # fmt: skip
    return graph.add("Concat", *(graph.add(*operands[feature]) for feature in dataset.features), axis=1)


def _float() -> int:
    from onnx import TensorProto

    return int(TensorProto.FLOAT)


def _add_layer(graph: Graph, layer: Layer, planned: LayerPlan, values: str) -> str:
    """What a layer makes of `values`."""
    parameters = [
        graph.constant(array.astype(np.float32), f"network.{planned.index}.{name}")
        for name, array in (("weights", layer.weights), ("biases", layer.biases))
        if array is not None
    ]
    if layer.statistics is not None:
        running = (layer.statistics[0], np.maximum(layer.statistics[1], 0))
        names = (f"network.{planned.index}.{name}" for name in ("means", "variances"))
        parameters += [
            graph.constant(array.astype(np.float32), name) for array, name in zip(running, names, strict=True)
        ]
    match planned.spec:
        case Dense():
            return graph.add("Gemm", graph.add("Flatten", values, axis=1), *parameters, transB=1)
        case Conv2D(kernel_size=size, stride=stride, padding=padding):
            return graph.add(
                "Conv", values, *parameters, kernel_shape=[size, size], strides=[stride, stride], pads=[padding] * 4
            )
        case Conv1D(kernel_size=size, stride=stride, padding=padding):
            kernel, pads = [planned.input_shape[1], size], [0, padding, 0, padding]
            return graph.add("Conv", values, *parameters, kernel_shape=kernel, strides=[1, stride], pads=pads)
        case MaxPool1D(pool_size=size, stride=stride):
            return graph.add("MaxPool", values, kernel_shape=[1, size], strides=[1, stride])
        case MaxPool2D(pool_size=size, stride=stride):
            return graph.add("MaxPool", values, kernel_shape=[size, size], strides=[stride, stride])
        case AveragePool2D(pool_size=size, stride=stride):
            return graph.add("AveragePool", values, kernel_shape=[size, size], strides=[stride, stride])
        case GlobalAveragePool2D():
            return graph.add("Flatten", graph.add("GlobalAveragePool", values), axis=1)
        case Maxout(group_size=size):
            groups = graph.reshape(values, planned.output_shape[0], size, *planned.output_shape[1:])
            return graph.add("ReduceMax", groups, graph.constant(np.array([2], np.int64)), keepdims=0)
        case LocalResponseNormalization(k=k, n=n, alpha=alpha, beta=beta):
            channels, *place = planned.input_shape
            maps = graph.reshape(values, channels, *(place or (1, 1)))
            normalized = graph.add("LRN", maps, size=n, alpha=alpha, beta=beta, bias=k)
            return graph.reshape(normalized, *planned.output_shape)
        case BatchNormalization(epsilon=epsilon):
            return graph.add("BatchNormalization", values, *parameters, epsilon=epsilon)
        case ReLU():
            return graph.add("Relu", values)
        case LeakyReLU(slope=slope):
            return graph.add("LeakyRelu", values, alpha=slope)
        case Tanh():
            return graph.add("Tanh", values)
        case Sigmoid():
            return graph.add("Sigmoid", values)
        case Softplus():
            return graph.add("Softplus", values)
        case GELU():
            return graph.add("Gelu", values, approximate="tanh")
        case Flatten():
            return graph.add("Flatten", values, axis=1)
        case Dropout():
            return values
        case _:
            cannot("ONNX", planned.name)


def _add_probabilities(graph: Graph, loss: LossName, logits: str, outputs: int) -> str:
    """As the loss's `probabilities`."""
    match loss:
        case "softmax_cross_entropy" | "hinge":
            return graph.add("Softmax", logits, axis=1)
        case "binary_cross_entropy":  # log σ(z) = −log(1 + e^−z)
            return graph.add("Softmax", graph.add("Neg", graph.add("Softplus", graph.add("Neg", logits))), axis=1)
        case "mean_squared_error" | "huber" | "absolute_error":
            return _add_shares(graph, graph.add("Relu", logits), outputs)
        case "half_squared_error":  # (o + 1) / 2, as far as it is above zero; the half is lost in the shares
            if outputs > 1:
                return _add_shares(graph, graph.add("Relu", graph.add("Add", logits, graph.constant(np.float32(1)))), outputs)
            half, one = graph.constant(np.float32(0.5)), graph.constant(np.float32(1))
            share = graph.add("Add", graph.add("Mul", logits, half), half)
            first = graph.add("Clip", share, graph.constant(np.float32(0)), one)
            return graph.add("Concat", first, graph.add("Sub", one, first), axis=1)


def _add_shares(graph: Graph, positive: str, outputs: int) -> str:
    """Scaled to sum to 1; all alike where everything is zero."""
    axis = graph.constant(np.array([1], np.int64))
    nothing = graph.add("Equal", graph.add("ReduceSum", positive, axis), graph.constant(np.float32(0)))
    positive = graph.add("Where", nothing, graph.constant(np.ones((1, outputs), np.float32)), positive)
    return graph.add("Div", positive, graph.add("ReduceSum", positive, axis))
