"""Neural networks in NumPy: a run is a `RunSpec`, a `Trainer` trains its `Network`.

Knows no web, process or clock. `README.md` beside this file tells how it is built and how to add a layer.
"""

from engine.datasets.mnist import load_mnist
from engine.errors import DatasetError, DivergedError, EngineError, FormatError, ShapeError, SpecError
from engine.evaluation import evaluate
from engine.losses import LOSSES
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.shapes import check_run, plan, preview
from engine.specs import RunSpec
from engine.trainer import Trainer
from engine.training import train

__all__ = [
    "LOSSES",
    "OPTIMIZERS",
    "DatasetError",
    "DivergedError",
    "EngineError",
    "FormatError",
    "Network",
    "RunSpec",
    "ShapeError",
    "SpecError",
    "Trainer",
    "check_run",
    "evaluate",
    "load_mnist",
    "plan",
    "preview",
    "train",
]
