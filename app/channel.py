"""One run's channel: what everybody should see of it, folded, and handed to each stream at the pace it reads.

    state    the folded run, first on every connection and again after points were taken back
    metrics  pulled from the history, so that a slow reader gets fewer, longer events and misses nothing; without points
             when only the latest numbers are new, as after a single update
    status   every one, in order; a reader that fell too far behind gets the folded state in their place
    frame    one slot a view and watch, overwritten by the next: a slow reader gets the newest

So memory is bounded whoever reads: a reader holds a few numbers, and all bytes belong to the channel. One stream may
read several channels, and then wakes for any of them.

A metrics event's id is `<generation>-<rows>`. Rows count the points of this generation up to and including the event;
the generation counts how often points were taken back. A reader that names a known id goes on behind it, any other gets
everything again.
"""

from __future__ import annotations

import asyncio
import re
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from app.wire.events import PING, addressed, event, retry
from app.wire.points import COLUMNS, WHOLE_NUMBERS, Points, no_points, thinned

ROWS_PER_EVENT = 5_000
STATUSES_KEPT = 64
EVENTS_PER_SECOND = 10
"""Of progress; a worker tells of it as often. What comes faster is told together."""
EVENT_ID = re.compile(r"(\d{1,12})-(\d{1,12})")


class History:
    """All points of a run, eight bytes a number; not a number stands for what was not measured."""

    def __init__(self, points: Points | None = None) -> None:
        self._columns = {column: array("d") for column in COLUMNS}
        if points is not None:
            self.append(points)

    def __len__(self) -> int:
        return len(self._columns["step"])

    def append(self, points: Points) -> None:
        for column, values in points.items():
            self._columns[column].extend(float("nan") if value is None else value for value in values)

    def truncate(self, step: int) -> int:
        """Take back every point measured after `step`; how many that were."""
        keep = bisect_right(self._columns["step"], step)
        dropped = len(self) - keep
        for values in self._columns.values():
            del values[keep:]
        return dropped

    def points(self, start: int = 0, end: int | None = None) -> Points:
        points = no_points()
        for column, values in self._columns.items():
            part = values[start:end]
            if column in WHOLE_NUMBERS:
                points[column] = [int(value) for value in part]
            else:
                points[column] = [value if value == value else None for value in part]
        return points

    def curve(self, column: str, most: int) -> list[float]:
        """How a quantity went, in at most so many numbers."""
        return thinned(self._columns[column], most)


@dataclass(slots=True, eq=False)
class Reader:
    """How far one stream has read. `frames` maps a slot to the version last sent."""

    views: frozenset[str]
    watch: str | None
    generation: int
    row: int
    version: int
    status: int
    latest: int
    wake: asyncio.Event
    frames: dict[tuple[str, str], int] = field(default_factory=dict)


class Channel:
    """Fed by notifications, read by streams; all on the event loop.

    `run` is the Run JSON of the API and always as new as the last thing folded in.
    """

    def __init__(self, run: dict[str, Any], points: Points | None = None) -> None:
        self.run = run
        self.history = History(points)
        self.readers: set[Reader] = set()
        self._version = 0
        self._statuses: deque[bytes] = deque(maxlen=STATUSES_KEPT)
        self._status_count = 0
        self._latest_count = 0
        self._told_rows, self._told_latest = len(self.history), 0
        self._told_at, self._spare = monotonic(), float(EVENTS_PER_SECOND)
        self._telling: asyncio.TimerHandle | None = None
        self._frame_count = 0
        self._frames: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._encoded: tuple[tuple[int, int, int], bytes] | None = None
        self._closing: str | None = None

    # ---- Folding in ----------------------------------------------------------------------------------------------------------

    def progress(self, snapshot: dict[str, Any], points: Points) -> None:
        before = self._latest()
        self.run |= snapshot
        self.history.append(points)
        self._latest_count += self._latest() != before
        self._encoded = None
        if self._telling is None:
            self._tell_in_time()

    def status(self, snapshot: dict[str, Any]) -> None:
        self.run |= snapshot
        self._statuses.append(event("status", {key: self.run[key] for key in ("state", "sentence", "step")}))
        self._status_count += 1
        self._encoded = None
        self._tell()  # what was measured before it

    def change(self, values: Mapping[str, Any]) -> None:
        """Anything else of the run: everybody gets it anew, and keeps their points."""
        self.run |= values
        self._version += 1
        self._wake()

    def restore(self, snapshot: dict[str, Any], *, force: bool = False) -> int:
        """The run stands at an earlier step; how many points that takes back.

        The generation changes if any were taken back, or by `force` where it is another run from here on.
        """
        dropped = self.history.truncate(snapshot["step"])
        self.run |= snapshot
        if dropped or force:
            self.run["generation"] += 1
        self._told_rows = len(self.history)
        self._frames.clear()
        self._encoded = None
        self._version += 1
        self._wake()
        return dropped

    def draw(self, watch: str, view: str, frame: bytes) -> None:
        """The newest frame of one view through one watch, if anybody still looks through it."""
        if any(reader.watch == watch and view in reader.views for reader in self.readers):
            self._frame_count += 1
            self._frames[watch, view] = self._frame_count, frame
            self._wake()

    def close(self, reason: str) -> None:
        """Every stream ends, with this reason as its last event."""
        self._closing = reason
        self._tell()

    def _tell_in_time(self) -> None:
        """Progress wakes the readers so many times a second, however often a worker tells of it; after a rest, some at once."""
        if self._earned() >= 1:
            self._tell()
        else:
            wait = (1 - self._earned()) / EVENTS_PER_SECOND
            self._telling = asyncio.get_running_loop().call_later(wait, self._tell)

    def _earned(self) -> float:
        return min(EVENTS_PER_SECOND, self._spare + EVENTS_PER_SECOND * (monotonic() - self._told_at))

    def _tell(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        self._told_rows, self._told_latest = len(self.history), self._latest_count
        self._told_at, self._spare = monotonic(), max(0.0, self._earned() - 1)
        self._wake()

    def _wake(self) -> None:
        for reader in self.readers:
            reader.wake.set()

    # ---- Reading -------------------------------------------------------------------------------------------------------------

    def subscribe(
        self, views: frozenset[str], watch: str | None, last_event_id: str | None, *, ping_seconds: float
    ) -> AsyncIterator[bytes]:
        """The stream's bytes. Nothing is held until the first is asked for, and all is let go when the iterator is closed."""
        return _read([self], views, watch, last_event_id, ping_seconds=ping_seconds)

    def join(self, views: frozenset[str], watch: str | None, last_event_id: str | None, wake: asyncio.Event) -> Reader:
        """One more reader, whom `wake` tells that there is something new."""
        reader = Reader(
            views, watch, self.run["generation"], self._resume(last_event_id), -1, self._status_count, 0, wake=wake
        )
        self.readers.add(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        self.readers.discard(reader)
        self._sweep(reader.watch)

    def farewell(self) -> bytes | None:
        """The last event, once the channel is closed."""
        return None if self._closing is None else event("close", {"reason": self._closing})

    def _resume(self, last_event_id: str | None) -> int:
        """The row behind which to go on; 0 when the id is not one of this generation's."""
        match = EVENT_ID.fullmatch(last_event_id or "")
        if match is None or int(match[1]) != self.run["generation"] or int(match[2]) > len(self.history):
            return 0
        return int(match[2])

    def pending(self, reader: Reader) -> Iterator[bytes]:
        """All that this reader lacks, as it is at the moment of each `next`: the reader may be slow."""
        if reader.status < self._status_count - len(self._statuses):
            reader.version, reader.status = -1, self._status_count
        if reader.version != self._version:
            if reader.generation != self.run["generation"]:
                reader.generation, reader.row = self.run["generation"], 0
            reader.version = self._version
            reader.status = self._status_count
            reader.latest = self._told_latest
            yield event("state", self.run)
        while self._status_count > reader.status >= self._status_count - len(self._statuses):
            reader.status += 1
            yield self._statuses[reader.status - self._status_count - 1]
        if "metrics" in reader.views:
            yield from self._metrics(reader)
        for slot, (version, frame) in list(self._frames.items()):
            if slot[0] == reader.watch and slot[1] in reader.views and reader.frames.get(slot) != version:
                reader.frames[slot] = version
                yield frame

    def _metrics(self, reader: Reader) -> Iterator[bytes]:
        while reader.generation == self.run["generation"] and (
            reader.row < self._told_rows or reader.latest != self._told_latest
        ):
            start = reader.row
            reader.row = min(start + ROWS_PER_EVENT, len(self.history))
            reader.latest = self._told_latest
            yield self._encode(reader.generation, start, reader.row)

    def _encode(self, generation: int, start: int, end: int) -> bytes:
        """Readers that keep up all ask for the same rows, so the last answer is kept."""
        key = generation, start, end
        if self._encoded is None or self._encoded[0] != key:
            value = {"points": self.history.points(start, end), "latest": self._latest()}
            self._encoded = key, event("metrics", value, id=f"{generation}-{end}")
        return self._encoded[1]

    def _latest(self) -> dict[str, Any]:
        return {**self.run["metrics"], **{name: self.run[name] for name in ("step", "examples", "epoch", "seconds")}}

    def _sweep(self, watch: str | None) -> None:
        """Frames that nobody looks at any more."""
        if not any(reader.watch == watch for reader in self.readers):
            for slot in [slot for slot in self._frames if slot[0] == watch]:
                del self._frames[slot]


def subscribe_together(
    channels: Sequence[Channel], views: frozenset[str], watch: str | None, *, ping_seconds: float
) -> AsyncIterator[bytes]:
    """One stream of several runs, each from its state and its first point on; the names of the events say whose they are."""
    return _read(channels, views, watch, None, ping_seconds=ping_seconds, together=True)


async def _read(
    channels: Sequence[Channel],
    views: frozenset[str],
    watch: str | None,
    last_event_id: str | None,
    *,
    ping_seconds: float,
    together: bool = False,
) -> AsyncIterator[bytes]:
    """Until the last of the channels is closed."""
    wake = asyncio.Event()
    readers = {channel: channel.join(views, watch, last_event_id, wake) for channel in channels}

    def signed(channel: Channel, chunk: bytes) -> bytes:
        return addressed(chunk, channel.run["id"]) if together else chunk

    try:
        yield retry()
        while readers:
            wake.clear()
            for channel, reader in list(readers.items()):
                quiet = True
                for chunk in channel.pending(reader):
                    quiet = False
                    yield signed(channel, chunk)
                farewell = channel.farewell()
                if farewell is not None and quiet:
                    channel.leave(readers.pop(channel))
                    yield signed(channel, farewell)
                elif farewell is not None:
                    wake.set()  # more may have come meanwhile, and the farewell is the last
            if not readers:
                return
            try:
                async with asyncio.timeout(ping_seconds):
                    await wake.wait()
            except TimeoutError:
                yield PING
    finally:
        for channel, reader in readers.items():
            channel.leave(reader)
