"""The points of a run as JSON and CSV. Runs in a thread: the event loop never touches an array."""

from __future__ import annotations

from typing import Any

from app.services.description import digest
from engine.datasets.points import points_dataset
from engine.datasets.table import write_csv
from engine.specs import PointsSpec


def points_json(spec: PointsSpec) -> dict[str, Any]:
    """Numbers have the fewest digits that tell a float32 from its neighbours."""
    dataset = points_dataset(spec)
    labels = dataset.labels.tolist() if dataset.classes else list(map(float, dataset.labels.astype(str).tolist()))
    return {
        "columns": list(dataset.columns),
        "classes": list(dataset.classes),
        "target": dataset.target,
        "values": [list(map(float, row)) for row in dataset.positions.astype(str).tolist()],
        "labels": labels,
        "split": ["train" if trained else "test" for trained in dataset.train.tolist()],
        "domain": [list(range) for range in dataset.domain],
        "digest": digest(spec),
    }


def points_csv(spec: PointsSpec) -> bytes:
    return write_csv(points_dataset(spec)).encode()
