"""Updates of a small dense network as compiled code, for runs whose spec says `compiled`.

On the smallest networks NumPy's floor is what a call costs, about 0.4 µs, and an update needs a dozen of them. So the loops over
layers, units, inputs and examples are written out in `engine.compiled_updates`, which numba compiles (the extra `fast`); by
plain descent many updates are one call.

Sums are taken in another order than NumPy takes them, so the last bits of a run depend on it: that is why the spec says it.
"""

from __future__ import annotations

from importlib.util import find_spec

from engine import layers as plain
from engine import tape_losses
from engine.errors import SpecError
from engine.layers.base import Layer
from engine.tape_losses import TapedLoss

LINEAR, TANH, RELU, SIGMOID, SOFTPLUS, LEAKY_RELU = range(6)
"""Activations as numbers, which compiled code compares quickly."""
SOFTMAX, DIFFERENCE, CLIPPED, SIGN = range(4)
"""What becomes of the difference of guess and target in a loss's gradient."""


def require() -> None:
    """Raises SpecError with what to do where numba is not installed."""
    if find_spec("numba") is None:
        raise SpecError(
            "Compiled training needs the package numba: pip install 'nabla[fast]', or train without “compiled”.",
            field="/compiled",
            code="not_installed",
        )


def activation_number(activation: Layer | None) -> tuple[int, float]:
    """Which it is, and its slope below zero where it has one."""
    match activation:
        case plain.Tanh():
            return TANH, 0.0
        case plain.ReLU():
            return RELU, 0.0
        case plain.Sigmoid():
            return SIGMOID, 0.0
        case plain.Softplus():
            return SOFTPLUS, 0.0
        case plain.LeakyReLU(slope=slope):
            return LEAKY_RELU, slope
    return LINEAR, 0.0


def loss_number(loss: TapedLoss) -> tuple[int, float, float]:
    """Which it is, the factor of its gradient, and where a difference is clipped."""
    match loss:
        case tape_losses.Huber(delta=delta):
            return CLIPPED, loss.share / loss.outputs, delta
        case tape_losses.Absolute():
            return SIGN, loss.share / loss.outputs, 0.0
        case tape_losses.MeanSquared(slope=slope):
            return DIFFERENCE, slope * loss.share / loss.outputs, 0.0
    return SOFTMAX, loss.share, 0.0
