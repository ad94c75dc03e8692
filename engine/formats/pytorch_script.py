"""A trained network as one Python file for PyTorch: an `nn.Sequential` with its weights, ready to predict or to train on."""

from __future__ import annotations

import numpy as np

from engine.arrays import Array
from engine.formats import script
from engine.formats.script import PointScript, script_of
from engine.formats.trained import cannot, margin, number, pictures, trained_network
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

_SOFTMAX = "    return torch.softmax(z, 1)\n"
_SHARES = """    positive = z.relu()
    positive = torch.where(positive.sum(1, keepdim=True) == 0, torch.ones_like(positive), positive)
    return positive / positive.sum(1, keepdim=True)
"""
_PROBABILITIES: dict[LossName, str] = {
    "softmax_cross_entropy": _SOFTMAX,
    "hinge": _SOFTMAX,
    "binary_cross_entropy": "    return torch.softmax(nn.functional.logsigmoid(z), 1)\n",
    "mean_squared_error": _SHARES,
    "half_squared_error": "    z = (z + 1) / 2\n    if z.shape[1] == 1:\n        return torch.cat([z.clamp(0, 1), 1 - z.clamp(0, 1)], 1)\n" + _SHARES,
    "huber": _SHARES,
    "absolute_error": _SHARES,
}

_AS_TENSOR = """    if not isinstance(images, torch.Tensor):
        images = torch.tensor(images)
"""
_PREPARE_PICTURES = '''def prepare(images):
    """What the model sees: the centre {crop}×{crop} of each image, ink in [0, 1], float32 (N, 1, {crop}, {crop})."""
    return images[:, None, {start} : {end}, {start} : {end}].float() / 255

'''
_PREPARE_POINTS = '''{constants}

def prepare(points):
    """What the model sees, float32 (N, D)."""
    a = (points.double() - torch.tensor(CENTRE).double()) / torch.tensor(SPREAD).double()
{told}
'''

_MAXOUT = '''class Maxout(nn.Module):
    """Of each `group_size` neighbouring channels or units the largest."""

    def __init__(self, group_size):
        super().__init__()
        self.group_size = group_size

    def forward(self, a):
        return a.unflatten(1, (-1, self.group_size)).amax(2)

'''

_READ_IDX = '''def read_idx(path):
    """The bytes in an IDX file, as MNIST comes in, shaped as its header says."""
    content = bytearray(Path(path).read_bytes())
    dimensions = content[3]
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    return torch.frombuffer(content, dtype=torch.uint8, offset=4 + 4 * dimensions).reshape(shape)

'''


def dump(state: TrainerState) -> bytes:
    """The script, UTF-8. FormatError for a layer that PyTorch does not have."""
    network = trained_network(state)
    own = script_of(state)
    answer = "probabilities({})" if state.spec.dataset.classes else "({})[:, 0] * TARGET_SPREAD + TARGET_MEAN"
    answer = answer.format("model.eval()(prepare(portion))")
    modules = [module for layer in network.plan for module in _modules(layer)]
    if len(network.output_shape) > 1:
        modules.append("nn.Flatten()")
    parts = [
        own.heading("PyTorch"),
        "import base64\n" + own.imports,
        "import torch\nfrom torch import nn\n",
        f"NAME = {script.name(state)}\nUINT8 = torch.uint8\n",
        *[_MAXOUT] * any(module.startswith("Maxout") for module in modules),
        "model = nn.Sequential(\n" + "".join(f"    {module},\n" for module in modules) + ")\n\n",
        _prepare_points(own) if isinstance(own, PointScript) else _prepare_pictures(state),
        "@torch.inference_mode()\n"
        + own.predict(_AS_TENSOR.replace("images", own.given))
        + f"    return torch.cat([{answer} for portion in {own.given}.split(500)])\n\n",
        *_probabilities(state),
        *[_READ_IDX] * (not isinstance(own, PointScript)),
        f"parameters = bytearray(base64.b64decode({script.encoded(_learned(network))}))",
        "# Layer by layer, weights before biases: the order of model.parameters().",
        "nn.utils.vector_to_parameters(torch.frombuffer(parameters, dtype=torch.float32), model.parameters())",
        *_statistics(network),
        "",
    ]
    return ("\n".join(parts) + own.main()).encode()


def _probabilities(state: TrainerState) -> list[str]:
    """The function of that name, where there are classes."""
    if not state.spec.dataset.classes:
        return []
    return ["def probabilities(z):\n" + '    """Of the outputs (N, K)."""\n' + _PROBABILITIES[state.spec.loss] + "\n"]


def _prepare_pictures(state: TrainerState) -> str:
    crop, start = pictures(state.spec).crop, margin(state.spec)
    return _PREPARE_PICTURES.format(crop=crop, start=start, end=start + crop)


def _prepare_points(own: PointScript) -> str:
    told = "    return a.float()\n"
    if own.dataset.features:
        told = f"    x, y = a.T\n    return torch.stack([{script.features(own.dataset, 'torch')}], 1).float()\n"
    tested = own.asked()
    constants = (
        own.constants()
        + f"TESTED = torch.frombuffer(bytearray(base64.b64decode({script.encoded(tested)})), dtype=torch.float32)\n"
        + f"TESTED = TESTED.reshape({len(tested)}, -1)\n"
    )
    return _PREPARE_POINTS.format(constants=constants, told=told)


def _learned(network: Network) -> Array:
    """The weights and biases alone, one after the other."""
    arrays = [array for layer in network.layers for array in (layer.weights, layer.biases) if array is not None]
    return np.concatenate([array.ravel() for array in arrays]) if arrays else network.parameters


def _statistics(network: Network) -> list[str]:
    """The lines that give batch normalizations their running statistics, in the order in which the model has them."""
    found = [layer.statistics for layer in network.layers if layer.statistics is not None]
    if not found:
        return []
    numbers = script.encoded(np.concatenate(found, axis=None))
    return [
        f"statistics = torch.frombuffer(bytearray(base64.b64decode({numbers})), dtype=torch.float32)",
        "for module in model:",
        "    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):",
        "        channels = module.num_features",
        "        module.running_mean[:], module.running_var[:] = statistics[: 2 * channels].reshape(2, channels)",
        "        module.running_var.clamp_(min=0)",
        "        statistics = statistics[2 * channels :]",
    ]


def _modules(layer: LayerPlan) -> list[str]:
    """The modules that do what a layer does."""
    match layer.spec:
        case Dense(units=units):
            inputs = layer.multiply_adds // units
            return [*["nn.Flatten()"] * (len(layer.input_shape) > 1), f"nn.Linear({inputs}, {units})"]
        case Conv2D(filters=filters, kernel_size=size, stride=stride, padding=padding):
            return [f"nn.Conv2d({layer.input_shape[0]}, {filters}, {size}, stride={stride}, padding={padding})"]
        case Conv1D(filters=filters, kernel_size=size, stride=stride, padding=padding):
            channels, height, _ = layer.input_shape
            along = f"stride={(1, stride)}, padding={(0, padding)}"
            return [f"nn.Conv2d({channels}, {filters}, {(height, size)}, {along})"]
        case MaxPool1D(pool_size=size, stride=stride):
            return [f"nn.MaxPool2d({(1, size)}, stride={(1, stride)})"]
        case MaxPool2D(pool_size=size, stride=stride):
            return [f"nn.MaxPool2d({size}, stride={stride})"]
        case AveragePool2D(pool_size=size, stride=stride):
            return [f"nn.AvgPool2d({size}, stride={stride})"]
        case GlobalAveragePool2D():
            return ["nn.AdaptiveAvgPool2d(1)", "nn.Flatten()"]
        case Maxout(group_size=size):
            return [f"Maxout({size})"]
        case LocalResponseNormalization(k=k, n=n, alpha=alpha, beta=beta):
            values = f"{n}, alpha={number(alpha)}, beta={number(beta)}, k={number(k)}"
            normalization = f"nn.LocalResponseNorm({values})"
            if len(layer.input_shape) > 1:
                return [normalization]
            return [f"nn.Unflatten(1, ({layer.input_shape[0]}, 1))", normalization, "nn.Flatten()"]
        case BatchNormalization(memory=memory, epsilon=epsilon):
            kind = "nn.BatchNorm2d" if len(layer.input_shape) > 1 else "nn.BatchNorm1d"
            return [f"{kind}({layer.input_shape[0]}, eps={number(epsilon)}, momentum={number(round(1 - memory, 12))})"]
        case ReLU():
            return ["nn.ReLU()"]
        case LeakyReLU(slope=slope):
            return [f"nn.LeakyReLU({number(slope)})"]
        case Tanh():
            return ["nn.Tanh()"]
        case Sigmoid():
            return ["nn.Sigmoid()"]
        case Softplus():
            return ["nn.Softplus()"]
        case GELU():
            return ['nn.GELU(approximate="tanh")']
        case Flatten():
            return ["nn.Flatten()"]
        case Dropout(rate=rate):
            return [f"nn.Dropout({number(rate)})"]
        case _:
            cannot("A PyTorch script", layer.name)
