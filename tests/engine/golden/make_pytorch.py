"""Writes pytorch.npz: what PyTorch makes of every case in pytorch_cases.py.

    <a Python with the packages of the extra `peers`> -m tests.engine.golden.make_pytorch [file]

A new layer, loss or optimizer needs its counterpart in one of the three functions at the top, and this run once more.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from engine import specs
from tests.engine.golden.pytorch_cases import CASES, FILE, Arrays, Case, LayerCase, LossCase, NetworkCase, OptimizerCase

if TYPE_CHECKING:
    from engine.arrays import Array, Shape


class Maximum(nn.Module):
    """The largest along a dimension."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.amax(self.dim)


def layer(spec: specs.LayerSpec, input_shape: Shape) -> nn.Module:
    """PyTorch's layer for `spec`."""
    channels = input_shape[0]
    match spec:
        case specs.Dense():
            return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), spec.units))
        case specs.Conv2D():
            return nn.Conv2d(channels, spec.filters, spec.kernel_size, spec.stride, spec.padding)
        case specs.Conv1D():  # the rows of a map are channels of a sequence there
            filters = nn.Conv1d(channels * input_shape[1], spec.filters, spec.kernel_size, spec.stride, spec.padding)
            return nn.Sequential(nn.Flatten(1, 2), filters, nn.Unflatten(1, (spec.filters, 1)))
        case specs.MaxPool1D():
            rows = nn.Unflatten(1, (channels, input_shape[1]))
            return nn.Sequential(nn.Flatten(1, 2), nn.MaxPool1d(spec.pool_size, spec.stride), rows)
        case specs.MaxPool2D():
            return nn.MaxPool2d(spec.pool_size, spec.stride)
        case specs.AveragePool2D():
            return nn.AvgPool2d(spec.pool_size, spec.stride)
        case specs.GlobalAveragePool2D():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case specs.ReLU():
            return nn.ReLU()
        case specs.LeakyReLU():
            return nn.LeakyReLU(spec.slope)
        case specs.Tanh():
            return nn.Tanh()
        case specs.Sigmoid():
            return nn.Sigmoid()
        case specs.Softplus():
            return nn.Softplus()
        case specs.GELU():
            return nn.GELU(approximate="tanh")
        case specs.Maxout():
            grouped = (channels // spec.group_size, spec.group_size)
            return nn.Sequential(nn.Unflatten(1, grouped), Maximum(dim=2))
        case specs.LocalResponseNormalization():
            return nn.LocalResponseNorm(spec.n, spec.alpha, spec.beta, spec.k)
        case specs.BatchNormalization():
            normalization = nn.BatchNorm1d if len(input_shape) == 1 else nn.BatchNorm2d
            return normalization(channels, spec.epsilon, 1 - spec.memory)
        case specs.Dropout():
            return nn.Identity()  # idle: two libraries never draw the same units
        case specs.Flatten():
            return nn.Flatten()
    raise NotImplementedError(f"{spec} has no counterpart here yet")


def costs(loss: specs.LossName, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """What PyTorch says each example (N, K) costs."""
    classes = logits.shape[1]
    onehot = functional.one_hot(labels, classes).to(logits)
    match loss:
        case "softmax_cross_entropy":
            return functional.cross_entropy(logits, labels, reduction="none")
        case "mean_squared_error":
            return functional.mse_loss(logits, onehot, reduction="none").mean(dim=1)
        case "hinge":  # PyTorch takes the mean over classes, convnetjs and we the sum
            return classes * functional.multi_margin_loss(logits, labels, reduction="none")
        case "half_squared_error":
            return (logits - (2 * onehot - 1)).square().mean(dim=1) / 2
        case "huber":
            return functional.huber_loss(logits, onehot, reduction="none").mean(dim=1)
        case "absolute_error":
            return functional.l1_loss(logits, onehot, reduction="none").mean(dim=1)
        case "binary_cross_entropy":
            return functional.binary_cross_entropy_with_logits(logits, onehot, reduction="none").mean(dim=1)
    raise NotImplementedError(f"{loss} has no counterpart here yet")


def optimizer(spec: specs.OptimizerSpec, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """PyTorch's optimizer for `spec`."""
    rate = spec.learning_rate
    match spec:
        case specs.SGD():
            return torch.optim.SGD(parameters, rate)
        case specs.MomentumSGD():
            return torch.optim.SGD(parameters, rate, spec.momentum)
        case specs.Nesterov():
            return torch.optim.SGD(parameters, rate, spec.momentum, nesterov=True)
        case specs.Adagrad():
            return torch.optim.Adagrad(parameters, rate, eps=spec.epsilon)
        case specs.RMSProp():
            return torch.optim.RMSprop(parameters, rate, spec.rho, spec.epsilon)
        case specs.Adadelta():
            return torch.optim.Adadelta(parameters, rate, spec.rho, spec.epsilon)
        case specs.Adam():
            return torch.optim.Adam(parameters, rate, (spec.beta1, spec.beta2), spec.epsilon)
        case specs.AdamW():
            return torch.optim.AdamW(parameters, rate, (spec.beta1, spec.beta2), spec.epsilon, spec.weight_decay)
    raise NotImplementedError(f"{spec} has no counterpart here yet")


def theirs(case: Case) -> Arrays:
    """The same arrays as `case.ours()`."""
    match case:
        case LayerCase():
            return _layer(case)
        case NetworkCase():
            return _network(case)
        case LossCase():
            return _loss(case)
        case OptimizerCase():
            return _optimizer(case)


def _layer(case: LayerCase) -> Arrays:
    numbers, parameters, gradients = case.numbers()
    module, inputs = layer(case.spec, case.input_shape), batch_first(numbers).requires_grad_()
    module.train(case.training)
    fill(module, parameters)
    outputs = module(inputs)
    outputs.backward(batch_first(gradients))
    assert inputs.grad is not None
    found = {"outputs": batch_last(outputs), "inputs": batch_last(inputs.grad), "gradients": gradients_of(module)}
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        assert module.running_mean is not None
        assert module.running_var is not None
        found["statistics"] = torch.stack([module.running_mean, module.running_var]).numpy()
    return found


def _network(case: NetworkCase) -> Arrays:
    numbers, parameters, labels = case.numbers()
    modules, inputs = [], batch_first(numbers)
    shape: Shape = case.input_shape
    for spec in case.specs:
        modules.append(layer(spec, shape))
        shape = tuple(modules[-1](torch.zeros(2, *shape)).shape[1:])
    module = nn.Sequential(*modules)
    fill(module, parameters)
    logits = module(inputs)
    loss = functional.cross_entropy(logits, torch.from_numpy(labels))
    loss.backward()
    return {"logits": batch_last(logits), "loss": loss.detach().numpy()[None], "gradients": gradients_of(module)}


def _loss(case: LossCase) -> Arrays:
    numbers, labels, weights = case.numbers()
    logits = batch_first(numbers).requires_grad_()
    loss = (costs(case.loss, logits, torch.from_numpy(labels)) * torch.from_numpy(weights)).mean()
    loss.backward()
    assert logits.grad is not None
    return {"loss": loss.detach().numpy()[None], "gradients": batch_last(logits.grad)}


def _optimizer(case: OptimizerCase) -> Arrays:
    start, gradients = case.numbers()
    parameter = nn.Parameter(torch.from_numpy(start))
    stepper, path = optimizer(case.spec, [parameter]), []
    for gradient in gradients:
        parameter.grad = torch.from_numpy(gradient)
        stepper.step()
        path.append(parameter.detach().numpy().copy())
    return {"parameters": np.array(path)}


def batch_first(array: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 0)))


def batch_last(tensor: torch.Tensor) -> Array:
    return np.moveaxis(tensor.detach().numpy(), 0, -1)


def learned(module: nn.Module) -> list[torch.Tensor]:
    """Weights before biases, layer by layer, as ours; after them what a batch normalization remembers, as ours, too."""
    found = []
    for leaf in module.modules():
        tensors = (getattr(leaf, name, None) for name in ("weight", "bias", "running_mean", "running_var"))
        found += [tensor for tensor in tensors if isinstance(tensor, torch.Tensor)]
    return found


def fill(module: nn.Module, parameters: Array) -> None:
    with torch.no_grad():
        vector_to_parameters(torch.from_numpy(parameters), learned(module))


def gradients_of(module: nn.Module) -> Array:
    return flat([torch.zeros_like(tensor) if tensor.grad is None else tensor.grad for tensor in learned(module)])


def flat(tensors: list[torch.Tensor]) -> Array:
    return parameters_to_vector(tensors).detach().numpy() if tensors else np.empty(0, np.float32)


def main() -> None:
    torch.set_num_threads(1)
    arrays = {f"{name}: {key}": array for name, case in CASES.items() for key, array in theirs(case).items()}
    np.savez_compressed(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE, **arrays)


if __name__ == "__main__":
    main()
