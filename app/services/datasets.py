"""The datasets that runs can be made of, and their examples.

Pixels go from the file to numbers in a thread: the server's event loop never touches an array.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from app.errors import NotFound, Unprocessable
from engine.datasets.base import ImageDataset
from engine.datasets.mnist import FOLDER, load_mnist
from engine.datasets.table import encode_rows, read_csv
from engine.errors import DatasetError, SpecError
from engine.specs import DIGITS, LETTERS, MnistSpec, Split, TableSpec, tagged
from engine.specs.tables import check_table

DESCRIPTION = (
    "70,000 handwritten digits of American schoolchildren and census workers, 28×28 pixels, "
    "collected by LeCun, Cortes and Burges (CC BY-SA 3.0)."
)

INK = tuple(round(byte / 255, 4) for byte in range(256))
"""What a pixel's byte means, from 0 (background) to 1: as predictions take it."""


class Datasets:
    """MNIST, read when it is first asked for; a damaged file is told at each request and stops nothing else."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._load = cache(lambda: load_mnist(folder))

    async def list(self) -> list[dict[str, Any]]:
        return [await self.get("mnist")]

    async def get(self, name: str) -> dict[str, Any]:
        if name != "mnist":
            raise NotFound("There is no dataset of this name.")
        spec, problem = MnistSpec(), None
        try:
            await asyncio.to_thread(self._load)
        except DatasetError as error:
            problem = str(error)
        return {
            "name": "mnist",
            "title": "MNIST handwritten digits",
            "description": DESCRIPTION,
            "classes": list(DIGITS),
            "input_shape": [28, 28, 1],
            "splits": {
                "train": spec.train_size - spec.validation_size,
                "validation": spec.validation_size,
                "test": 10_000,
            },
            "problem": problem,
        }

    async def examples(self, name: str, split: Split, offset: int, limit: int) -> dict[str, Any]:
        """Images with their labels, in the order of the file, by the default split sizes."""
        if name != "mnist":
            raise NotFound("There is no dataset of this name.")
        try:
            return await asyncio.to_thread(lambda: _page(self._load(), split, offset, limit))
        except DatasetError as error:
            raise Unprocessable(str(error), code="damaged_dataset") from None

    async def read_csv(self, text: str, target: str | None, columns: Sequence[str] | None) -> dict[str, Any]:
        """The table in a text, as a dataset for a run; Unprocessable when there is none in it."""
        try:
            table = await asyncio.to_thread(read_csv, text, target=target, columns=columns)
        except DatasetError as error:
            raise Unprocessable(str(error), code="unreadable_table") from None
        return {
            "dataset": tagged(table.spec),
            "rows": table.spec.row_count,
            "rejected": [asdict(row) for row in table.rejected],
            "columns": list(table.header),
            "numeric": list(table.numeric),
        }

    async def read_points(self, points: Sequence[Sequence[float]], classes: Sequence[str] | None) -> dict[str, Any]:
        """Points [x, y, class or number] as a dataset for a run. Without `classes`, whole numbers from 0 to 5 are letters."""
        if classes is None:
            labels = {point[2] for point in points}
            classes = LETTERS[: max(2, int(max(labels)) + 1)] if labels <= set(range(len(LETTERS))) else ()
        spec = TableSpec(
            class_names=tuple(classes),
            values=await asyncio.to_thread(encode_rows, points),
            target="class" if classes else "target",
        )
        try:
            check_table(spec)
        except SpecError as error:
            raise Unprocessable(str(error), field="/points") from None
        return {
            "dataset": tagged(spec),
            "rows": len(points),
            "rejected": [],
            "columns": [*spec.columns, spec.target],
            "numeric": list(spec.columns),
        }


def _page(dataset: ImageDataset, split: Split, offset: int, limit: int) -> dict[str, Any]:
    part = dataset.splits(MnistSpec())[split]
    items = [
        {
            "index": index,
            "label": int(part.labels[index]),
            "image": [[INK[byte] for byte in row] for row in part.images[index].tolist()],
        }
        for index in range(offset, min(offset + limit, len(part)))
    ]
    return {"split": split, "total": len(part), "items": items}
