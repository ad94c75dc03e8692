"""What runs are asked for without being changed: their spec, their points, predictions, layers, evaluations, files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from app.asking import asking
from app.channel import ROWS_PER_EVENT
from app.errors import Conflict, NotFound, Unprocessable
from app.services.description import describe_layers, values_of
from app.services.live import LiveRuns
from app.services.points import points_csv, points_json
from app.settings import Limits
from app.wire.points import Points, no_points
from app.workers.messages import Boundary, Compute, Evaluate, Export, ListExamples, Look, Predict, ReadLayer
from engine.formats import FormatName
from engine.specs import MnistSpec, PointsSpec, RunSpec, Split, TransactionsSpec

Json: TypeAlias = dict[str, Any]
Jsons: TypeAlias = list[Json]


ATTEMPTS = 10
"""A run that is reset or gets another spec drops what it was asked about the one before."""


class LookingAtRuns:
    """The half of `Runs` that changes nothing."""

    def __init__(self, live: LiveRuns, limits: Limits) -> None:
        self._live, self._limits = live, limits

    async def spec(self, id: str) -> Json:
        """All that the run is made of; a table's values are part of it."""
        return values_of((await self._live.find(id)).spec)

    async def run_spec(self, id: str) -> RunSpec:
        return (await self._live.find(id)).spec

    async def look(self, id: str, function: Callable[..., Any] | None, arguments: tuple[Any, ...]) -> Json:
        """Where the run stands this moment, and what the function says about it in its worker."""
        held = await self._live.find(id)
        answer: Json = await self._live.ask(held, Look(run=id, function=function, arguments=arguments))
        return answer

    async def compute(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """What the function answers in a worker, beside the runs."""
        return await self._live.command(Compute(function=function, arguments=arguments, owner=asking.get().person))

    async def metrics(self, id: str) -> Json:
        """All points as columns, assembled piece by piece so that nobody has to wait for a long history."""
        history = (await self._live.find(id)).channel.history
        points: Points = no_points()
        while len(points["step"]) < len(history):
            start = len(points["step"])
            for column, values in history.points(start, start + ROWS_PER_EVENT).items():
                points[column] += values
            await asyncio.sleep(0)
        return points

    async def layers(self, id: str) -> Jsons:
        return describe_layers((await self._live.find(id)).spec)

    async def layer(self, id: str, index: int, what: set[str], example: Json | None) -> Json:
        held = await self._live.find(id)
        if not 0 <= index < len(held.spec.network):
            raise NotFound(f"The layers of this network are numbered from 0 to {len(held.spec.network) - 1}.")
        answer: Json = await self._live.ask(held, ReadLayer(run=id, index=index, what=frozenset(what), example=example))
        return answer

    async def predict(self, id: str, *, inputs: Jsons | None = None, ink: Json | None = None) -> Json:
        """`inputs` are images or points; `ink` is one drawing, as rows, `{"ink": rows}` or `{"ink_base64": …, "size": n}`."""
        held = await self._live.find(id)
        if inputs is not None and not 1 <= len(inputs) <= self._limits.batch:
            raise Unprocessable(f"1 to {self._limits.batch} examples at a time.", field="/inputs")
        answer: Json = await self._live.ask(held, Predict(run=id, inputs=inputs, ink=ink))
        return answer

    async def points(self, id: str) -> Json:
        """All points of a run, in their order, and which of them are trained on."""
        return await asyncio.to_thread(points_json, await self._points_spec(id))

    async def points_csv(self, id: str) -> bytes:
        return await asyncio.to_thread(points_csv, await self._points_spec(id))

    async def _points_spec(self, id: str) -> PointsSpec:
        dataset = (await self._live.find(id)).spec.dataset
        if isinstance(dataset, MnistSpec):
            raise Unprocessable(
                "This run learns from pictures, not from points; they are at /examples.", code="no_points"
            )
        if isinstance(dataset, TransactionsSpec):
            raise Unprocessable(
                "This run learns from transactions, not from points: there are too many to be listed.", code="no_points"
            )
        return dataset

    async def boundary(
        self, id: str, *, resolution: int, layer: int | None, unit: int | None, columns: tuple[int, int]
    ) -> Json:
        """The network's output, or the response of one unit, at every place of the plane."""
        held = await self._live.find(id)
        command = Boundary(run=id, resolution=resolution, layer=layer, unit=unit, columns=columns)
        answer: Json = await self._live.ask(held, command)
        return answer

    async def evaluate(self, id: str, split: Split, *, crops: int | None = None) -> Json:
        """Accuracy, loss and confusion matrix with the weights of this moment; anew when the run changes on the way."""
        for left in reversed(range(ATTEMPTS)):
            held = await self._live.find(id)
            try:
                answer: Json = await self._live.ask(held, Evaluate(run=id, split=split, crops=crops))
            except Conflict:
                if not left:
                    raise
            else:
                return answer
        raise AssertionError("one of the attempts returns or raises")

    async def examples(
        self,
        id: str,
        split: Split,
        *,
        which: Literal["all", "mistakes"] = "all",
        truth: int | None = None,
        predicted: int | None = None,
        offset: int = 0,
        limit: int = 18,
        seed: int | None = None,
    ) -> Json:
        """One page of a split's examples with the classes they are taken for."""
        held = await self._live.find(id)
        command = ListExamples(
            run=id,
            split=split,
            which=which,
            truth=truth,
            predicted=predicted,
            offset=max(0, offset),
            limit=max(1, min(limit, self._limits.examples)),
            seed=seed,
        )
        answer: Json = await self._live.ask(held, command)
        return answer

    async def export(self, id: str, format: FormatName) -> tuple[str, str, bytes]:
        """File name, media type and content."""
        held = await self._live.find(id)
        answer: tuple[str, str, bytes] = await self._live.ask(held, Export(run=id, format=format))
        return answer
