"""The channel: whatever is cut off, resumed, reset or read slowly, a page ends up with exactly the run's points."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.channel import ROWS_PER_EVENT, STATUSES_KEPT, Channel, History, subscribe_together
from app.wire.points import COLUMNS, Points, no_points
from tests.app.small_runs import parse


def run(id: str = "a") -> dict[str, Any]:
    metrics = {"train_loss": None}
    return {
        "id": id,
        "state": "running",
        "sentence": "",
        "step": 0,
        "examples": 0,
        "epoch": 0.0,
        "seconds": 0.0,
        "generation": 0,
        "metrics": metrics,
    }


def points(start: int, count: int) -> Points:
    steps = list(range(start + 1, start + count + 1))
    return {column: [None] * count for column in COLUMNS} | {
        "step": list(steps),
        "examples": list(steps),
        "train_loss": [1 / step for step in steps],
    }


class Page:
    """A browser's side of the stream: keeps points, drops them with their generation, remembers the last id."""

    def __init__(self, channel: Channel, watch: str | None = None) -> None:
        self.channel = channel
        self.watch = watch
        self.steps: list[int] = []
        self.generation: int | None = None
        self.last_id: str | None = None
        self.names: list[str] = []
        self.values: list[Any] = []
        self.connect()

    def connect(self) -> None:
        self.stream = self.channel.subscribe(
            frozenset({"metrics", "layers"}), self.watch, self.last_id, ping_seconds=60
        )
        self.next: asyncio.Task[bytes] | None = None

    async def read(self, most: int = 10**9) -> None:
        """Take what is there, up to so many events."""
        while most:
            if self.next is None:
                self.next = asyncio.ensure_future(anext(self.stream))
            for _ in range(3):  # a turn for the task, one for what woke it
                await asyncio.sleep(0)
            if not self.next.done():
                return
            task, self.next = self.next, None
            try:
                self.take(task.result())
            except StopAsyncIteration:
                return
            most -= 1

    def take(self, chunk: bytes) -> None:
        name, id, data = parse(chunk)
        if name is None:
            return
        self.names.append(name)
        self.values.append(data)
        if name == "state" and data["generation"] != self.generation:
            self.generation, self.steps = data["generation"], []
        if name == "metrics":
            self.steps += data["points"]["step"]
            self.last_id = id

    async def cut(self) -> None:
        if self.next is not None:
            self.next.cancel()
            await asyncio.wait({self.next})
        await self.stream.aclose()  # type: ignore[attr-defined]


class PageOfSeveral(Page):
    """A browser that follows several runs on one stream."""

    def __init__(self, channels: list[Channel], watch: str | None = None) -> None:
        self.channels = channels
        super().__init__(channels[0], watch)

    def connect(self) -> None:
        self.stream = subscribe_together(self.channels, frozenset({"metrics", "layers"}), self.watch, ping_seconds=60)
        self.next = None

    def take(self, chunk: bytes) -> None:
        name, id, data = parse(chunk)
        if name is not None:
            assert id is None, "there is no place to go on from"
            self.names.append(name)
            self.values.append(data)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("points"), st.integers(1, 5)),
        st.tuples(st.just("restore"), st.integers(0, 30)),
        st.tuples(st.just("status"), st.just(0)),
        st.tuples(st.just("change"), st.just(0)),
        st.tuples(st.just("read"), st.integers(1, 4)),
        st.tuples(st.just("cut"), st.just(0)),
        st.tuples(st.just("cut before reading"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_random_cuts_lose_and_double_nothing(events: list[tuple[str, int]]) -> None:
    async def scenario() -> None:
        channel = Channel(run())
        page = Page(channel)
        for kind, number in events:
            step = channel.run["step"]
            if kind == "points":
                channel.progress({"step": step + number}, points(step, number))
            elif kind == "restore":
                channel.restore({"step": min(step, number)})
            elif kind == "status":
                channel.status({"state": "running"})
            elif kind == "change":
                channel.change({"name": "other"})
            elif kind == "read":
                await page.read(number)
            else:
                if kind == "cut":
                    await page.read()
                await page.cut()
                page.connect()
        await page.read()
        assert page.steps == list(range(1, channel.run["step"] + 1)) == channel.history.points()["step"]
        assert page.generation == channel.run["generation"]
        await page.cut()
        assert not channel.readers

    asyncio.run(scenario())


def test_the_state_comes_first_and_every_status_in_order() -> None:
    async def scenario() -> Page:
        channel = Channel(run())
        page = Page(channel)
        await page.read()
        for state in ("paused", "running", "finished"):
            channel.status({"state": state, "sentence": f"It is {state}."})
        await page.read()
        await page.cut()
        return page

    page = asyncio.run(scenario())
    assert page.names == ["state", "status", "status", "status"]
    assert [value["state"] for value in page.values] == ["running", "paused", "running", "finished"]


def test_who_misses_too_many_statuses_gets_the_run_as_it_is() -> None:
    async def scenario() -> Page:
        channel = Channel(run())
        page = Page(channel)
        await page.read()
        for number in range(STATUSES_KEPT + 1):
            channel.status({"sentence": str(number)})
        await page.read()
        await page.cut()
        return page

    page = asyncio.run(scenario())
    assert page.names == ["state", "state"]
    assert page.values[-1]["sentence"] == str(STATUSES_KEPT)


def test_frames_are_the_newest_and_only_for_who_looks() -> None:
    async def scenario() -> tuple[Page, Page]:
        channel = Channel(run())
        looking, other = Page(channel, "mine"), Page(channel, "yours")
        await looking.read()
        await other.read()
        for number in range(5):
            channel.draw("mine", "layers", b'event: frame\ndata: {"step":%d}\n\n' % number)
            channel.draw("mine", "tiles", b"event: frame\ndata: {}\n\n")
            channel.draw("nobody", "layers", b"event: frame\ndata: {}\n\n")
        await looking.read()
        await other.read()
        await looking.cut()
        await other.cut()
        assert not channel._frames, "nobody looks any more"
        return looking, other

    looking, other = asyncio.run(scenario())
    assert looking.names == ["state", "frame"]
    assert looking.values[-1] == {"step": 4}
    assert other.names == ["state"]


def test_the_first_frame_after_a_reset_is_told_from_the_first_before_it() -> None:
    async def scenario() -> Page:
        channel = Channel(run())
        page = Page(channel, "mine")
        await page.read()
        for number in range(2):
            channel.draw("mine", "layers", b'event: frame\ndata: {"step":%d}\n\n' % number)
            await page.read()
            channel.restore({"step": 0})
        await page.cut()
        return page

    page = asyncio.run(scenario())
    assert [value["step"] for name, value in zip(page.names, page.values, strict=True) if name == "frame"] == [0, 1]


def test_a_long_history_comes_in_pieces_and_a_slow_reader_gets_fewer_longer_events() -> None:
    async def scenario() -> Page:
        channel = Channel(run())
        channel.progress({"step": 2 * ROWS_PER_EVENT + 1}, points(0, 2 * ROWS_PER_EVENT + 1))
        page = Page(channel)
        await page.read()
        for _ in range(100):
            channel.progress({"step": channel.run["step"] + 1}, points(channel.run["step"], 1))
        await page.read()
        await page.cut()
        return page

    page = asyncio.run(scenario())
    assert page.names == ["state", *["metrics"] * 4]
    assert [len(value["points"]["step"]) for value in page.values[1:]] == [ROWS_PER_EVENT, ROWS_PER_EVENT, 1, 100]
    assert page.last_id == f"0-{2 * ROWS_PER_EVENT + 101}"


def test_an_id_that_is_not_ours_gets_everything() -> None:
    async def scenario(last_id: str) -> list[int]:
        channel = Channel(run(), points(0, 7))
        page = Page(channel)
        page.last_id = last_id
        page.connect()
        await page.read()
        await page.cut()
        return page.steps

    for last_id in ("", "7", "0-8", "1-3", "-1-3", "0-3x", "٣-٣", "9" * 80):
        assert asyncio.run(scenario(last_id)) == list(range(1, 8)), last_id
    assert asyncio.run(scenario("0-5")) == [6, 7]


def test_closing_ends_every_stream_with_its_reason_and_new_ones_too() -> None:
    async def scenario() -> tuple[Page, Page]:
        channel = Channel(run())
        open_page = Page(channel)
        await open_page.read()
        channel.status({"state": "paused"})
        channel.close("The server is stopping.")
        await open_page.read()
        late = Page(channel)
        await late.read()
        assert not channel.readers
        return open_page, late

    open_page, late = asyncio.run(scenario())
    assert open_page.names == ["state", "status", "close"]
    assert open_page.values[-1] == {"reason": "The server is stopping."}
    assert late.names == ["state", "close"]


def test_a_quiet_stream_gives_signs_of_life() -> None:
    async def scenario() -> list[bytes]:
        stream = Channel(run()).subscribe(frozenset(), None, None, ping_seconds=0.01)
        return [await anext(stream) for _ in range(4)]

    chunks = asyncio.run(scenario())
    assert chunks[0].startswith(b"retry: ")
    assert chunks[1].startswith(b"event: state")
    assert chunks[2:] == [b": ping\n\n"] * 2


def test_a_stream_that_is_never_read_holds_nothing() -> None:
    async def scenario() -> None:
        channel = Channel(run())
        stream = channel.subscribe(frozenset(), None, None, ping_seconds=60)
        assert not channel.readers
        await stream.aclose()  # type: ignore[attr-defined]
        assert not channel.readers

    asyncio.run(scenario())


def test_a_history_gives_back_what_it_was_given() -> None:
    history = History(points(0, 5))
    assert history.points() == points(0, 5)
    assert history.truncate(3) == 2
    assert history.points() == points(0, 3)
    assert history.truncate(99) == 0


def test_an_update_without_a_point_still_brings_the_latest_numbers() -> None:
    async def scenario() -> None:
        channel = Channel(run())
        channel.progress({"step": 20}, points(0, 2))
        page = Page(channel)
        await page.read()
        assert page.names == ["state", "metrics"]
        snapshot = {"step": 21, "examples": 210, "epoch": 0.42, "seconds": 0.5, "metrics": {"train_loss": 0.25}}
        channel.progress(snapshot, no_points())
        channel.progress(snapshot, no_points())  # nothing new
        await page.read()
        assert page.names == ["state", "metrics", "metrics"]
        assert page.values[-1]["latest"] == {
            "step": 21,
            "examples": 210,
            "epoch": 0.42,
            "seconds": 0.5,
            "train_loss": 0.25,
        }
        assert page.values[-1]["points"] == no_points()
        assert page.last_id == "0-2"
        late = Page(channel)
        await late.read()
        assert late.names == ["state", "metrics"], "the state says it all"
        for each in (page, late):
            await each.cut()

    asyncio.run(scenario())


def test_on_a_stream_of_several_runs_each_event_says_whose_it_is() -> None:
    async def scenario() -> PageOfSeveral:
        channels = [Channel(run(id), points(0, count)) for id, count in (("a", 2), ("b", 3))]
        page = PageOfSeveral(channels, "mine")
        await page.read()
        channels[1].progress({"step": 4}, points(3, 1))
        await page.read()
        channels[0].status({"state": "paused", "sentence": "event: metrics\n"})
        await page.read()
        channels[0].draw("mine", "layers", b'event: frame\ndata: {"step":7}\n\n')
        await page.read()
        await page.cut()
        assert not any(channel.readers or channel._frames for channel in channels)
        return page

    page = asyncio.run(scenario())
    assert page.names == ["state@a", "metrics@a", "state@b", "metrics@b", "metrics@b", "status@a", "frame@a"]
    assert [value["points"]["step"] for value in page.values if "points" in value] == [[1, 2], [1, 2, 3], [4]]
    assert page.values[-2]["sentence"] == "event: metrics\n"


def test_a_run_that_ends_leaves_the_others_on_the_stream() -> None:
    async def scenario() -> PageOfSeveral:
        first, second = Channel(run("a")), Channel(run("b"))
        page = PageOfSeveral([first, second])
        await page.read()
        first.status({"state": "paused"})
        first.close("The run was deleted.")
        await page.read()
        assert not first.readers
        second.status({"state": "finished"})
        await page.read()
        second.close("The server is stopping.")
        await page.read()
        assert page.next is None, "the stream ends with the last of them"
        return page

    page = asyncio.run(scenario())
    assert page.names == ["state@a", "state@b", "status@a", "close@a", "status@b", "close@b"]
    assert page.values[3] == {"reason": "The run was deleted."}
