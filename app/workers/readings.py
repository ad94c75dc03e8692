"""What a run is asked for without being changed: predictions, layers, evaluations, examples, files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from app.wire.arrays import nested, pack_image, unpack_ink
from app.wire.arrays import numbers as listed
from app.workers.frames import find_example, numbers, top_classes
from app.workers.live_run import LiveRun
from app.workers.messages import Boundary, Evaluate, ListExamples, Look, Predict, ReadLayer
from app.workers.recorder import finite
from app.workers.tasks import Task
from engine.arrays import Array
from engine.datasets.base import LabelledImages
from engine.datasets.points import PointDataset
from engine.errors import ShapeError
from engine.evaluation import Evaluation, EvaluationResult
from engine.inspection import Inspection, response
from engine.inspection import boundary as over_the_plane
from engine.specs import MnistSpec, Split
from engine.trainer import Trainer


def predict(run: LiveRun, command: Predict) -> dict[str, Any]:
    """Classes and probabilities with the present weights; an empty drawing has none."""
    trainer = run.trainer
    answer: dict[str, Any] = {"step": trainer.steps}
    if command.ink is not None:
        outcome = trainer.predict_ink(unpack_ink(command.ink))
        if outcome is None:
            nothing = {"class": None, "label": None, "probabilities": None}
            return answer | {"predictions": [nothing], "preprocessed": None}
        drawing, probabilities = outcome
        return answer | {
            "predictions": [prediction(trainer, probabilities)],
            "preprocessed": drawing.image28.tolist(),
        }
    rows = trainer.predict(command.inputs or [])
    return answer | {"predictions": [prediction(trainer, row) for row in rows]}


def prediction(trainer: Trainer, probabilities: Array) -> dict[str, Any]:
    """Of one example (K,); where a number is learned (1,), the number in its own unit."""
    if not trainer.dataset.classes:
        mean, spread = trainer.dataset.target_scale
        number = finite(mean + spread * float(probabilities[0]))
        return {"class": None, "label": None, "probabilities": None, "number": number}
    best = int(np.argmax(probabilities))
    return {"class": best, "label": trainer.dataset.classes[best], "probabilities": numbers(probabilities)}


def read_layer(run: LiveRun, command: ReadLayer) -> dict[str, Any]:
    """The named arrays of one layer as JSON numbers; null for those it does not have. ShapeError if there is no such layer."""
    trainer, network = run.trainer, run.trainer.network
    if not 0 <= command.index < len(network.layers):
        raise ShapeError(f"This network's layers are numbered from 0 to {len(network.layers) - 1}.")
    plan, layer = network.plan[command.index], network.layers[command.index]
    arrays: dict[str, Array | None] = {"weights": layer.weights, "weight_gradients": layer.weight_gradients}
    if command.example is not None:
        inputs, label, _ = find_example(trainer, command.example)
        if inputs is not None:
            trace = network.trace(inputs, label, trainer.loss).layers[command.index]
            arrays = {
                name: getattr(trace, name) for name in ("activations", "gradients", "weights", "weight_gradients")
            }
    values: dict[str, Any] = {"index": plan.index, "type": plan.spec.type, "step": trainer.steps}
    for name in sorted(command.what):
        array = arrays.get(name)
        values[name] = None if array is None or not np.isfinite(array).all() else nested(array)
    return values


MOST_PARAMETERS = 500
"""Of a network that is told in full."""


def look(run: LiveRun, command: Look) -> Task:
    """Where the run stands, its parameters if they are few, and `seen`: what the function says.

    Between the portions of the function the run trains on; only what it says before its first yield is of that very moment.
    """
    trainer = run.trainer
    stands = run.snapshot()
    few = trainer.network.parameters.size <= MOST_PARAMETERS
    stands["parameters"] = numbers(trainer.network.parameters) if few else None
    stands["seen"] = {} if command.function is None else (yield from command.function(trainer, *command.arguments))
    return stands


def evaluation(run: LiveRun, split: Split, crops: int | None) -> Task:
    """Judge a whole split with the weights of this moment, in portions; the result is kept for `list_examples`."""
    trainer = run.trainer
    if not len(trainer.splits[split]):
        raise ShapeError(f"This run keeps no examples for {split}.")
    under_way = Evaluation(trainer, split, crops=crops or default_crops(trainer, split))
    while not under_way.done:
        yield
        under_way.advance()
    result = run.evaluations[split] = under_way.result()
    return result


def default_crops(trainer: Trainer, split: Split) -> int:
    dataset = trainer.spec.dataset
    return dataset.test_crops if split == "test" and isinstance(dataset, MnistSpec) else 1


def evaluate(run: LiveRun, command: Evaluate) -> Task:
    result: EvaluationResult = yield from evaluation(run, command.split, command.crops)
    return {
        "split": result.split,
        "step": result.step,
        "examples": result.examples,
        "accuracy": result.accuracy,
        "loss": None if result.loss is None or not np.isfinite(result.loss) else result.loss,
        "crops": result.crops,
        **({} if result.errors is None else asdict(result.errors)),
        "confusion": result.confusion.tolist(),
        "per_class": [
            {
                "class": index,
                "precision": scores.precision,
                "recall": scores.recall,
                "f1": scores.f1,
                "support": scores.support,
            }
            for index, scores in enumerate(result.per_class)
        ],
    }


def boundary(run: LiveRun, command: Boundary) -> dict[str, Any]:
    """What the network, or one of its units, makes of every place; null where that is no number."""
    trainer = run.trainer
    if not isinstance(trainer.dataset, PointDataset):
        raise ShapeError("This run learns from pictures: there is no plane to be drawn.")
    inspection = Inspection(trainer.network, trainer.loss, trainer.dataset)
    inspection.check_columns(command.columns)
    answer = {
        "step": trainer.steps,
        "resolution": command.resolution,
        "domain": [list(range) for range in inspection.domain(command.columns)],
        "classes": list(trainer.dataset.classes),
    }
    if command.layer is not None and command.unit is not None:
        map = response(inspection, command.layer, command.unit, command.resolution, command.columns)
        return answer | {"response": listed(map)}
    maps = over_the_plane(inspection, command.resolution, command.columns)
    if trainer.dataset.classes:
        return answer | {"probabilities": listed(maps)}
    return answer | {"output": listed(maps[0])}


def list_examples(run: LiveRun, command: ListExamples) -> Task:
    """One page of a split. What is chosen by prediction comes from the split's last evaluation, made first if need be."""
    trainer = run.trainer
    examples = trainer.splits[command.split]
    if not isinstance(examples, LabelledImages):
        raise ShapeError("These examples are no pictures, and only pictures are listed.")
    chosen = np.arange(len(examples))
    if command.truth is not None:
        chosen = chosen[examples.labels[chosen] == command.truth]
    result: EvaluationResult | None = None
    if command.which == "mistakes" or command.predicted is not None:
        result = run.evaluations.get(command.split) or (yield from evaluation(run, command.split, None))
        if command.which == "mistakes":
            chosen = chosen[result.predictions[chosen] != examples.labels[chosen]]
        if command.predicted is not None:
            chosen = chosen[result.predictions[chosen] == command.predicted]
    if command.seed is not None:
        chosen = np.random.default_rng(command.seed).permutation(chosen)
    page = chosen[command.offset : command.offset + command.limit]
    labels = examples.labels[page].tolist()
    if result is not None:
        classes, shares = result.top_classes[page].tolist(), result.top_probabilities[page].tolist()
        top = [list(map(list, zip(*row, strict=True))) for row in zip(classes, shares, strict=True)]
    elif len(page):
        top = top_classes(trainer.probabilities(examples.look(page)))
    else:
        top = []
    return {
        "step": trainer.steps if result is None else result.step,
        "total": len(chosen),
        "items": [
            {
                "index": index,
                "label": label,
                "class": best[0][0],
                "right": best[0][0] == label,
                "top": best,
                "image": pack_image(image),
            }
            for index, label, best, image in zip(page.tolist(), labels, top, examples.images[page], strict=True)
        ],
    }
