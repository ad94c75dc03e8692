r"""The stream of one run: `GET /api/runs/{id}/events?views=metrics,layers,tiles,plane&watch=<id>`, `text/event-stream`.

A page holds exactly one; a page with several runs holds one for all of them (`GET /api/events`). Lines end in `\n`;
data is one line of JSON without non-finite numbers (null in their place).
PACK stands for `{"shape", "low", "high", "data"}`: base64 of one byte a value, low + (high − low) · byte / 255.

    event    id                    data                                                               delivery
    state    –                     the run, as GET /api/runs/{id}; first on every connection, and    always
                                   again after a reset or a restore: then `generation` differs, and
                                   the client drops the points it has
    metrics  <generation>-<rows>   {"points": columns as of GET …/metrics, "latest": the run's        never lost
                                   metrics with step, examples, epoch, seconds}; the first one
                                   holds what the client lacks, in chunks of up to 5,000 rows
    frame    –                     {"view": "layers", "watch", "step", "example", "probabilities",    latest wins, at most
                                   "class", "loss", "input": PACK, "seen", "layers": [{"index",       ten a second, only
                                   "type", "activations": PACK, "gradients", "weights",               while watched
                                   "weight_gradients": PACK or null}]}
                                   or {"view": "tiles", "watch", "step", "tiles": [{"index", "top"}]} at most one a second
                                   or, of a run on points, {"view": "plane", "watch", "step",         at most ten a second
                                   "domain": [[x from, to], [y from, to]]} and PLANE

    status   –                     {"state", "sentence", "step"}                                      never lost
    close    –                     {"reason"}; the last one                                           last

PLANE stands for "taken", the moment of the snapshot in ms since 1970, and for what the watch asked for, all else null:
"outputs": PACK (maps, R, R), whose first row has the largest y; "neuron": {"layer", "unit", "map": PACK}; "neurons":
[{"layer", "maps": PACK (units, r, r)}]; "weights": [{"layer", "weights": a list for each unit, "biases"}]; "predictions"
and "mistakes", the class of each point and the places of the wrong ones, in the order of GET …/points; "hidden":
{"layer", "units", "grid": [across, up], "points": [across, up], "low", "high", "explained"}; "curve": {"x": [from, to],
"output", "units": {"layer", "curves"}, "residuals", "least_squares": {"output", "loss"}}; "histograms": [{"layer",
"units", "dead", "weights": {"low", "high", "counts"}, "activations": likewise}]. `layer` is a place in the run's
`network`, −1 its inputs.

`views` chooses among metrics, layers, tiles and plane; state, status and close always come. `watch` names what the page
looks at (PUT /api/runs/{id}/watches/{watch}). A comment line comes every 15 s on a quiet stream, and `retry:` says how
long to wait before connecting again: 2 to 5 s, another for each connection.
`Last-Event-ID` (header) resumes without a gap or a double; an id of another generation
or one that is not known gets everything again.
A client that does not read for 10 s is let go; when it comes back it resumes. A full server answers 503 with
Retry-After, and so does one that is stopping.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, NamedTuple, cast

import anyio
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import StringConstraints
from starlette.types import Receive, Scope, Send

from app.asking import asking
from app.deps import RunId, RunsService
from app.errors import Busy, Problem, Unprocessable
from app.problems import answer
from app.routes.api.answering import problems
from app.schemas import LIMITS
from app.settings import Limits

router = APIRouter(tags=["runs"])

VIEWS = frozenset({"metrics", "layers", "tiles", "plane"})

TOGETHER = """The events of `GET /api/runs/{id}/events` for every `run` that is named, on one connection. The name of an event
ends in the run that it belongs to: `state@<id>`, `metrics@<id>`, `frame@<id>`, `status@<id>`, `close@<id>`. There are no
event ids: each connection begins with every run's state and all of its points. A run that is deleted takes its leave with
`close@<id>`, and the others go on. `watch` is the same for all: PUT it to each run. It counts as one stream."""

Views = Annotated[str, Query(max_length=80, description="Any of metrics, layers, tiles, plane, with commas.")]
Watch = Annotated[str | None, Query(pattern="^[a-z0-9]{1,32}$", description="The watch whose frames to send.")]


class Client(NamedTuple):
    """`person` is None where there is no class; a class may come from one address, so there each person counts as well."""

    address: str
    person: str | None


class Streams:
    """Counts the open streams, on the whole server and of each client; one for the app, on `app.state.streams`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.open: Counter[str] = Counter()
        self.persons: Counter[str] = Counter()
        self.stopping = False

    def objection(self, client: Client) -> Problem | None:
        if self.stopping:
            return Busy("The server is stopping.", retry_after=2, code="stopping")
        if self.open.total() >= self.limits.streams:
            return Busy(f"All {self.limits.streams:,} live streams of this server are taken.", retry_after=10)
        if client.person is not None and self.persons[client.person] >= self.limits.streams_per_visitor:
            return Busy("You watch too many pages at once; close some of them.", retry_after=10, status=429)
        if self.open[client.address] >= self.limits.streams_per_client:
            return Busy(
                "Too many live streams are open from your address; close some pages.", retry_after=10, status=429
            )
        return None

    def enter(self, client: Client) -> None:
        self.open[client.address] += 1
        if client.person is not None:
            self.persons[client.person] += 1

    def leave(self, client: Client) -> None:
        self.open[client.address] -= 1
        self.open += Counter()  # forgets clients without streams
        if client.person is not None:
            self.persons[client.person] -= 1
            self.persons += Counter()


class EventStream(Response):
    """Sends encoded events as they come and holds its place among the streams exactly as long as it does."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], streams: Streams, client: Client) -> None:
        super().__init__(headers={"x-accel-buffering": "no", "cache-control": "no-store"})
        del self.headers["content-length"]
        self.events = cast(AsyncGenerator[bytes, None], events)
        self.streams = streams
        self.client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self.events):
            if problem := self.streams.objection(self.client):
                return await answer(scope, problem)(scope, receive, send)
            self.streams.enter(self.client)
            try:
                async with anyio.create_task_group() as tasks:

                    async def until_gone() -> None:
                        while (await receive())["type"] != "http.disconnect":
                            pass
                        tasks.cancel_scope.cancel()

                    tasks.start_soon(until_gone)
                    await self.send_events(send)
                    tasks.cancel_scope.cancel()
            finally:
                self.streams.leave(self.client)

    async def send_events(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for event in self.events:
                async with asyncio.timeout(self.streams.limits.send_timeout):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, OSError):
            return  # it does not read, or it is gone; the server closes the connection


@router.get(
    "/api/runs/{id}/events",
    operation_id="followRun",
    summary="Follow a run as it trains (server-sent events)",
    description=__doc__,
    response_class=Response,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **problems(404, 422, 429, 503),
    },
)
async def follow_run(
    request: Request,
    runs: RunsService,
    id: RunId,
    views: Views = "metrics",
    watch: Watch = None,
    last_event_id: Annotated[
        str | None, Header(max_length=80, description="The id of the last event received.")
    ] = None,
) -> Response:
    wanted, place = read_views(views), place_for(request)
    return EventStream(await runs.subscribe(id, wanted, watch, last_event_id), *place)


@router.get(
    "/api/events",
    operation_id="followRuns",
    summary="Follow several runs on one connection (server-sent events)",
    description=TOGETHER,
    response_class=Response,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **problems(404, 422, 429, 503),
    },
)
async def follow_runs(
    request: Request,
    runs: RunsService,
    run: Annotated[
        list[Annotated[str, StringConstraints(pattern="^[a-z0-9]{16}$")]],
        Query(min_length=1, max_length=LIMITS.runs_per_stream, description="The runs' ids."),
    ],
    views: Views = "metrics",
    watch: Watch = None,
) -> Response:
    wanted, place = read_views(views), place_for(request)
    return EventStream(await runs.subscribe_together(run, wanted, watch), *place)


def read_views(text: str) -> frozenset[str]:
    wanted = frozenset(text.split(",")) - {""}
    if not wanted <= VIEWS:
        raise Unprocessable(f"A stream has the views {', '.join(sorted(VIEWS))}.", code="unknown_name")
    return wanted


def place_for(request: Request) -> tuple[Streams, Client]:
    """Where the stream is counted, and for which client. Raises the problem that it would be one too many."""
    streams: Streams = request.app.state.streams
    asker = asking.get()
    person = asker.person if asker.in_class and not asker.everything else None
    client = Client(request.client.host if request.client else "", person)
    if problem := streams.objection(client):
        raise problem
    return streams, client
