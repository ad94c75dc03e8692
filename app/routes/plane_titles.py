"""The words of the bench of `/plane` and `/curve`: what sets, fields and controls are called, and what is offered."""

from __future__ import annotations

from collections.abc import Mapping

from app.routes.experiment import STOP_NUMBERS

SET_TITLES = {
    "circle": "Circle",
    "xor": "Xor",
    "gaussians": "Gauss",
    "spiral": "Spiral",
    "moons": "Moons",
    "convnetjs_simple": "Simple",
    "convnetjs_circle": "Rings",
    "convnetjs_spiral": "Coil",
    "convnetjs_random": "Random",
    "plane": "Plane",
    "bumps": "Bumps",
    "x_sin_x": "x sin x",
    "sine": "Sine",
    "line": "Line",
    "parabola": "Parabola",
    "step": "Step",
    "bump": "Bump",
    "own": "Own",
}
ACTIVATION_TITLES = {
    "tanh": "tanh",
    "relu": "ReLU",
    "sigmoid": "logistic",
    "softplus": "softplus",
    "leaky_relu": "leaky ReLU",
    "linear": "linear",
}
LOSS_TITLES = {
    "softmax_cross_entropy": "Softmax, cross-entropy",
    "half_squared_error": "Squared, as in Playground",
    "mean_squared_error": "Mean squared error",
    "huber": "Huber",
    "absolute_error": "Absolute error",
}
INITIALIZER_TITLES = {
    "automatic": "Automatic",
    "he_normal": "He",
    "glorot_uniform": "Glorot",
    "playground": "As in Playground",
    "zeros": "All zero",
}
SCHEDULE_TITLES = {"constant": "Constant", "step": "In steps", "cosine": "Along a cosine"}
TITLES = {
    "lr": "Learning rate",
    "batch": "Batch size",
    "l1": "L1 decay",
    "l2": "L2 decay",
    "huber_delta": "Huber’s δ",
    "clip": "Longest gradient",
    "seed": "Seed",
    "dataseed": "Seed of the points",
    "stop_epochs": "Stop after epochs",
    "stop_steps": "Stop after updates",
    "stop_loss": "Stop at test loss",
    "stop_accuracy": "Stop at accuracy, %",
    "stop_patience": "Patience",
    "stop_seconds": "Stop after seconds",
    "every": "Falls every",
    "factor": "To this share",
    "warm_up": "Warm-up updates",
    "steps": "Falls for updates",
    "final": "Share at the end",
}
RATES = ("0.00001", "0.0001", "0.001", "0.003", "0.01", "0.03", "0.1", "0.3", "1", "3", "10")
"""Offered for the learning rate and the decays, as in Playground."""
SPEEDS = (
    ("", "as fast as it goes"),
    ("1", "1 update a second"),
    ("10", "10 updates a second"),
    ("100", "100 updates a second"),
)
RESOLUTIONS = (50, 100, 200)
"""Places across the picture of the plane that are offered; an address may say any number between 20 and 200."""

CONTROL_TITLES = {
    "data": "Data set", "noise": "Noise", "points": "Number of points", "classes": "Number of classes",
    "train": "Share for training", "new_points": "New points", "paint": "Painting", "own": "Own data (CSV)",
    "features": "Inputs", "layers": "Layers and neurons", "activation": "Activations", "dropout": "Dropout",
    "lr": "Learning rate", "optimizer": "Optimizer", "batch": "Batch size", "decay": "L1 and L2 decay", "loss": "Loss",
    "init": "Initial weights", "schedule": "Schedule", "clip": "Longest gradient", "stop": "Stopping", "seed": "Seeds",
    "regions": "Regions and their resolution", "show": "Test points, mistakes", "play": "Train and pause", "step": "Single updates",
    "reset": "Reset", "speed": "Speed", "text": "Introduction",
}  # fmt: skip
UNLOCKABLE = frozenset({"play", "step", "reset", "text"})
"""These can be hidden; there is nothing in them to lock."""
PLANE_ONLY = frozenset({"classes", "features", "regions"})

CONTROL_FIELDS: Mapping[str, tuple[str, ...]] = {
    "data": ("data",),
    "noise": ("noise",),
    "points": ("points",),
    "classes": ("classes",),
    "train": ("train",),
    "features": ("features",),
    "layers": ("layers", "units-"),
    "activation": ("activation-",),
    "dropout": ("dropout-",),
    "optimizer": ("optimizer",),
    "lr": ("lr",),
    "batch": ("batch",),
    "decay": ("l1", "l2"),
    "loss": ("loss", "huber_delta"),
    "init": ("init",),
    "schedule": ("schedule", "every", "factor", "warm_up", "steps", "final"),
    "clip": ("clip",),
    "stop": tuple(STOP_NUMBERS),
    "seed": ("seed", "dataseed"),
    "regions": ("regions", "resolution"),
    "show": ("show",),
    "speed": ("speed",),
}
"""The fields of each control; a hyphen at the end stands for one field of each layer."""
