"""A trained network as one Python file that needs NumPy and nothing else.

The file holds a function for each kind of layer, copied from `plain`, the network as a list of their calls, and the
weights. It is for reading as much as for running: nothing in it is faster than it has to be.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from math import prod
from typing import Any

from engine.formats import plain, script
from engine.formats.script import PointScript, script_of
from engine.formats.trained import cannot, number, pictures, trained_network
from engine.network import Network
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
    Sigmoid,
    Softplus,
    Tanh,
)
from engine.trainer import TrainerState

Function = Callable[..., Any]

_PROBABILITIES: dict[LossName, tuple[Function, ...]] = {
    "softmax_cross_entropy": (plain.softmax,),
    "hinge": (plain.softmax,),
    "binary_cross_entropy": (plain.one_against_all, plain.softmax),
    "mean_squared_error": (plain.shares_above_zero,),
    "half_squared_error": (plain.halves_from_minus_one, plain.shares_above_zero),
    "huber": (plain.shares_above_zero,),
    "absolute_error": (plain.shares_above_zero,),
}
"""For each loss the function that makes probabilities of logits, and those that it calls."""


def dump(state: TrainerState) -> bytes:
    """The script, UTF-8. FormatError for a layer that is not among the functions of `plain`."""
    network = trained_network(state)
    own = script_of(state)
    probabilities = _PROBABILITIES[state.spec.loss] if state.spec.dataset.classes else ()
    functions: list[Function] = []
    calls: list[str] = []
    for layer in network.plan:
        function, call = _call(layer)
        calls += [f"    a = {call}"] if call else []
        functions += [function] if function is not None else []
    prepared, preparation = "prepare(points)", ""
    if isinstance(own, PointScript):
        preparation = _prepare_points(own)
    else:
        functions = [plain.centre_crop, *functions, plain.read_idx]
        prepared = f"centre_crop(images, {pictures(state.spec).crop})"
    answer = f"{probabilities[0].__name__}(network(portion))" if probabilities else "network(portion)[:, 0] * TARGET_SPREAD + TARGET_MEAN"
    sources = [inspect.getsource(each) for each in dict.fromkeys([*functions, *probabilities])]
    outputs = prod(network.output_shape)
    parts = [
        own.heading("plain NumPy"),
        "from __future__ import annotations\n",
        "import base64\n" + own.imports,
        "import numpy as np\nfrom numpy.lib.stride_tricks import sliding_window_view\nfrom numpy.typing import NDArray\n",
        f"NAME = {script.name(state)}\nUINT8 = np.uint8\n\nArray = NDArray[np.float32]\nImages = NDArray[np.uint8]\nPair = tuple[int, int]  # downwards, along the row\n\n",
        own.predict("" if own.given == "images" else "    points = np.asarray(points)\n")
        + f"    portions = [{own.given}[start : start + 500] for start in range(0, max(1, len({own.given})), 500)]\n"
        + f"    return np.concatenate([{answer} for portion in portions])\n\n",
        f"def network({own.given}):\n"
        + f'    """Outputs (N, {outputs})."""\n    a = {prepared}\n'
        + "\n".join(calls)
        + f"\n    return a.reshape(len(a), {outputs})\n\n",
        *([preparation] if preparation else []),
        "\n\n".join(sources) + "\n",
        _weights(network) + "\n",
    ]
    return ("\n".join(parts) + own.main()).encode()


def _prepare_points(own: PointScript) -> str:
    """The function `prepare` and its numbers."""
    told = "    return a.astype(np.float32)\n"
    if own.dataset.features:
        told = f"    x, y = a.T\n    return np.stack([{script.features(own.dataset, 'np')}], axis=1).astype(np.float32)\n"
    tested = own.asked()
    return (
        own.constants()
        + f"TESTED = np.frombuffer(base64.b64decode({script.encoded(tested)}), '<f4').reshape({len(tested)}, -1)\n\n\n"
        + 'def prepare(points):\n    """What the network sees, float32 (N, D)."""\n'
        + "    a = (points.astype(np.float64) - CENTRE) / SPREAD\n"
        + told
        + "\n"
    )


def _call(layer: LayerPlan) -> tuple[Function | None, str]:
    """The function of a layer and its call on `a`; an empty call where there is nothing to do."""
    weights = f"weights_{layer.index + 1}, biases_{layer.index + 1}"
    match layer.spec:
        case Dense():
            return plain.dense, f"dense(a, {weights})"
        case Conv2D(stride=stride, padding=padding):
            return (
                plain.convolution,
                f"convolution(a, {weights}, stride={(stride, stride)}, padding={(padding, padding)})",
            )
        case Conv1D(stride=stride, padding=padding):
            return plain.convolution, f"convolution(a, {weights}, stride={(1, stride)}, padding={(0, padding)})"
        case MaxPool2D(pool_size=size, stride=stride):
            return plain.max_pooling, f"max_pooling(a, size={(size, size)}, stride={(stride, stride)})"
        case MaxPool1D(pool_size=size, stride=stride):
            return plain.max_pooling, f"max_pooling(a, size={(1, size)}, stride={(1, stride)})"
        case AveragePool2D(pool_size=size, stride=stride):
            return plain.average_pooling, f"average_pooling(a, size={(size, size)}, stride={(stride, stride)})"
        case GlobalAveragePool2D():
            return plain.global_average_pooling, "global_average_pooling(a)"
        case Maxout(group_size=size):
            return plain.maxout, f"maxout(a, group_size={size})"
        case LocalResponseNormalization(k=k, n=n, alpha=alpha, beta=beta):
            values = f"k={number(k)}, n={n}, alpha={number(alpha)}, beta={number(beta)}"
            return plain.local_response_normalization, f"local_response_normalization(a, {values})"
        case BatchNormalization(epsilon=epsilon):
            values = f"{weights}, statistics_{layer.index + 1}, epsilon={number(epsilon)}"
            return plain.batch_normalization, f"batch_normalization(a, {values})"
        case ReLU():
            return plain.relu, "relu(a)"
        case LeakyReLU(slope=slope):
            return plain.leaky_relu, f"leaky_relu(a, slope={number(slope)})"
        case Tanh():
            return None, "np.tanh(a)"
        case Sigmoid():
            return plain.sigmoid, "sigmoid(a)"
        case Softplus():
            return plain.softplus, "softplus(a)"
        case GELU():
            return plain.gelu, "gelu(a)"
        case Flatten():
            return None, f"a.reshape(len(a), {layer.output_shape[0]})"
        case Dropout():
            return None, ""
        case _:
            cannot("A NumPy script", layer.name)


def _weights(network: Network) -> str:
    """The weights of each layer by name, cut out of one vector."""
    lines = [f"PARAMETERS = np.frombuffer(base64.b64decode({script.encoded(network.parameters)}), '<f4')"]
    start = 0
    for index, layer in enumerate(network.layers, 1):
        for name, array in (("weights", layer.weights), ("biases", layer.biases), ("statistics", layer.statistics)):
            if array is None:
                continue
            shape = ", ".join(map(str, array.shape))
            lines.append(f"{name}_{index} = PARAMETERS[{start}:{start + array.size}].reshape({shape})")
            start += array.size
    return "\n".join(lines)
