"""What a page sees of a live network: one example on its way through the layers, and a wall of test examples.

Encoded here, once, as whole events of the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from app.wire.arrays import pack, unpack_ink
from app.wire.events import event
from engine.arrays import Array
from engine.datasets.base import Examples
from engine.errors import ShapeError
from engine.ink import Ink, preprocess
from engine.network import Trace
from engine.specs import MnistSpec
from engine.trainer import Trainer

LARGEST_PACKED = 65_536
"""Values in an array of a frame; larger ones are left out (null) and can be asked for by themselves."""
TOP = 3


def find_example(trainer: Trainer, example: Mapping[str, Any]) -> tuple[Array | None, int | None, Ink | None]:
    """A watched or asked-for example as network inputs (*input_shape, 1), its class, and its drawing's stages.

    The inputs are None when the drawing is empty. Raises ShapeError when there is no such example.
    """
    if example.get("source") == "drawing":
        if not isinstance(trainer.spec.dataset, MnistSpec):
            raise ShapeError("This network has not learned from pictures: it cannot read a drawing.")
        drawing = preprocess(unpack_ink(example if "ink_base64" in example else example.get("ink")))
        return (None if drawing is None else drawing.network_input(trainer.spec.dataset.crop)), None, drawing
    split = split_of(trainer, example.get("source"))
    index = example.get("index")
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(split):
        raise ShapeError(f"There is no example {str(index)[:20]}: they are numbered from 0 to {len(split) - 1:,}.")
    label = int(split.labels[index]) if trainer.dataset.classes else None
    return split.look(slice(index, index + 1)), label, None


def split_of(trainer: Trainer, source: object) -> Examples:
    match source:
        case "train" | "validation" | "test":
            return trainer.splits[source]
        case _:
            raise ShapeError("An example is a drawing, or one of the train, validation or test split.")


def layers_frame(trainer: Trainer, watch: str, example: Mapping[str, Any], *, gradients: bool) -> bytes:
    """Everything that one example makes the layers do, as the stream's event."""
    inputs, label, drawing = find_example(trainer, example)
    value: dict[str, Any] = {
        "view": "layers",
        "watch": watch,
        "step": trainer.steps,
        "example": {"source": example["source"], "index": example.get("index"), "label": label},
        "probabilities": None,
        "class": None,
        "loss": None,
        "input": None,
        "seen": seen(drawing),
        "layers": [],
    }
    if inputs is not None:
        target = label
        if target is None and gradients:
            # Nobody said what a drawing is: its gradients take the network's own word for it.
            target = int(trainer.probabilities(inputs).argmax())
        trace = trainer.network.trace(inputs, target, trainer.loss)
        probabilities = numbers(trace.probabilities)
        value |= {
            "probabilities": probabilities,
            "class": None if probabilities is None else int(trace.probabilities.argmax()),
            "loss": trace.loss if label is not None and trace.loss is not None and np.isfinite(trace.loss) else None,
            "input": packed(trace.input),
            "layers": packed_layers(trainer, trace, gradients=gradients),
        }
    return event("frame", value)


def packed_layers(trainer: Trainer, trace: Trace, *, gradients: bool) -> list[dict[str, Any]]:
    return [
        {
            "index": plan.index,
            "type": plan.spec.type,
            "activations": packed(layer.activations),
            "gradients": packed(layer.gradients) if gradients else None,
            "weights": packed(layer.weights),
            "weight_gradients": packed(layer.weight_gradients) if gradients else None,
        }
        for plan, layer in zip(trainer.network.plan, trace.layers, strict=True)
    ]


def tiles_frame(trainer: Trainer, watch: str, tiles: list[int]) -> bytes:
    """The three most probable classes of each of the test examples `tiles`, as the stream's event."""
    test = trainer.splits["test"]
    chosen = [index for index in tiles if 0 <= index < len(test)]
    top = top_classes(trainer.probabilities(test.look(np.array(chosen, np.int64))))
    value = {
        "view": "tiles",
        "watch": watch,
        "step": trainer.steps,
        "tiles": [{"index": index, "top": classes} for index, classes in zip(chosen, top, strict=True)],
    }
    return event("frame", value)


def top_classes(probabilities: Array) -> list[list[list[float]]]:
    """For each row of probabilities (N, K) its three most probable classes as [class, probability]."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    shares = np.nan_to_num(np.take_along_axis(probabilities, order, axis=1))
    return [list(map(list, zip(*row, strict=True))) for row in zip(order.tolist(), shares.tolist(), strict=True)]


def seen(drawing: Ink | None) -> dict[str, Any] | None:
    """The stages of a drawing, for the page to show what became of it."""
    if drawing is None:
        return None
    return {"box": list(drawing.box), "scaled": packed(drawing.scaled20), "centred": packed(drawing.image28)}


def packed(array: npt.NDArray[Any] | None) -> dict[str, Any] | None:
    """None for what is not there, too large for a frame, or no longer made of numbers."""
    if array is None or array.size > LARGEST_PACKED or not np.isfinite(array).all():
        return None
    return pack(array)


def numbers(values: Array) -> list[float] | None:
    return values.tolist() if np.isfinite(values).all() else None
