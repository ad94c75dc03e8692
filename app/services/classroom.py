"""What the lecturer sees and does: everybody's runs on one board, pausing all of them, and clearing up after class.

The board is made of what the server has in memory, at most once a second, and only while somebody looks; the store is asked
about runs that are not in memory once, and about solved tasks every few seconds. A stream sends what has changed since.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from time import monotonic
from typing import Any, TypeAlias

from app.asking import LECTURER, LOCAL
from app.errors import NotFound, Problem
from app.names import GIVEN
from app.services.changes import RunChanges
from app.services.held import Held
from app.services.people import People
from app.services.runs import Runs
from app.settings import Limits
from app.store import people as rows
from app.store.people import BoardRow
from app.wire.events import PING, event, retry

Json: TypeAlias = dict[str, Any]

SECOND = 1.0
SOLVED_SECONDS = 5.0
CURVE_POINTS = 40
CURVE_GROWS = 1.03
"""A curve of forty places looks the same until it has grown by about one of them."""
CURVE_SECONDS = 4
"""A curve that grows is drawn anew no more often; of many runs a part is at each second."""
CARDS_A_TURN = 50
"""Of the event loop: others are served between."""
LARGEST = 1e12
"""A loss that diverges is drawn no higher."""
READ_AT_ONCE = 20
"""Runs that are not in memory and are read in one second: a history may be long."""
AT_A_TIME = 8
"""Commands to workers that clearing up has under way."""
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Board:
    """`runs` by id in the order of creation, `students` by number; both as JSON, and never changed once they are made."""

    counts: Json = field(default_factory=dict)
    students: Mapping[int, Json] = field(default_factory=dict)
    runs: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A curve as it was sent, when (monotonic seconds), and of how many points of which generation it was made."""

    at: float
    generation: int
    points: int
    state: str
    curve: Json | None

    def still_holds(self, state: str, generation: int, points: int, now: float) -> bool:
        """A run that has come to an end shows all of its curve at once; one that goes on may wait."""
        if generation != self.generation or points < self.points:
            return False
        soon = points < self.points * CURVE_GROWS or now - self.at < CURVE_SECONDS
        return points == self.points or (state == self.state and soon)


class Classroom:
    """Between the people of a class and their runs."""

    def __init__(self, people: People, runs: Runs, limits: Limits) -> None:
        self._people, self._runs, self._limits = people, runs, limits
        self._store = runs.store
        self._board, self._made_at = Board(), -SECOND
        self._making = asyncio.Lock()
        self._drawn: dict[str, Drawn] = {}
        self._known: tuple[int, frozenset[str]] | None = None
        self._numbers: dict[str, int] = {}
        self._solved: Mapping[str, int] = {}
        self._solved_at = -SOLVED_SECONDS

    # ---- The board -----------------------------------------------------------------------------------------------------------

    async def board(self) -> Board:
        """As it is now, or was less than a second ago."""
        async with self._making:
            if monotonic() - self._made_at >= 0.9 * SECOND:
                self._board = await self._make()
                self._made_at = monotonic()
        return self._board

    def _refresh(self) -> None:
        """Whoever has just changed much looks at it next."""
        self._made_at, self._solved_at = -SECOND, -SOLVED_SECONDS

    async def _make(self) -> Board:
        if monotonic() - self._solved_at >= SOLVED_SECONDS:
            self._solved, self._solved_at = await self._store.call(rows.solved_by), monotonic()
        held = {run.id: run for run in self._runs.in_memory() if run.owner != LOCAL}
        here = frozenset(held)
        if self._known != (known := (self._runs.stored, here)):
            self._numbers, self._known = await self._store.call(rows.numbers_on_board), known
        before = self._board.runs
        missing = [id for id in self._numbers if id not in held and id not in before]
        read = await self._store.call(rows.on_board, missing[:READ_AT_ONCE], CURVE_POINTS) if missing else []
        found = {row.id: self._stored_card(row) for row in read}
        for place, run in enumerate(held.values(), 1):
            found[run.id] = self._card(run)
            if place % CARDS_A_TURN == 0:
                await asyncio.sleep(0)
        runs = {id: found[id] if id in found else before[id] for id in self._numbers if id in found or id in before}
        runs |= {id: card for id, card in found.items() if id not in self._numbers}
        self._drawn = {id: drawn for id, drawn in self._drawn.items() if id in held}
        return Board(self._counts(held.values()), self._students(), runs)

    def _counts(self, held: Iterable[Held]) -> Json:
        """Over the runs of labs, too: they take their share of the workers."""
        states = [run.state for run in held if run.owner != LECTURER.person]
        everybody = self._people.everybody
        return {
            "joined": len(everybody),
            "online": sum(self._people.is_online(person.person) for person in everybody),
            "training": states.count("running"),
            "waiting": states.count("queued"),
            "solved": sum(self._solved.values()),
        }

    def _students(self) -> dict[int, Json]:
        return {
            self._people.number(person.person): {
                "number": self._people.number(person.person),
                "nickname": person.nickname,
                "online": self._people.is_online(person.person),
                "solved": self._solved.get(person.person, 0),
            }
            for person in self._people.everybody
        }

    def _card(self, held: Held) -> Json:
        run = held.channel.run
        return self._described(held.owner, run, run["waiting"], self._curve(held))

    def _stored_card(self, row: BoardRow) -> Json:
        fields = {"id": row.id, "kind": row.kind, "name": row.name, "named": row.named, "state": row.state}
        return self._described(row.owner, fields | row.snapshot, None, curve_of(row.losses))

    def _described(self, owner: str, run: Mapping[str, Any], waiting: Json | None, curve: Json | None) -> Json:
        metrics = run["metrics"]
        test_loss = metrics.get("test_loss")
        return {
            "id": run["id"],
            "kind": run["kind"],
            "student": self._people.number(owner),
            "name": run["name"],
            "named": run["named"],
            "state": run["state"],
            "position": None if waiting is None else waiting["position"],
            "step": run["step"],
            "accuracy": short(metrics.get("test_accuracy")),
            "loss": short(metrics.get("train_loss") if test_loss is None else test_loss),
            "curve": curve,
        }

    def _curve(self, held: Held) -> Json | None:
        channel, drawn, now = held.channel, self._drawn.get(held.id), monotonic()
        points, generation = len(channel.history), channel.run["generation"]
        if drawn is None or not drawn.still_holds(held.state, generation, points, now):
            at = now if drawn is not None else now - len(self._drawn) % CURVE_SECONDS
            curve = curve_of(channel.history.curve("train_loss", CURVE_POINTS))
            drawn = self._drawn[held.id] = Drawn(at, generation, points, held.state, curve)
        return drawn.curve

    async def follow(self, *, hidden: bool = False, labs: bool = False) -> AsyncIterator[bytes]:
        """The board as a stream: all of it first, then each second what has changed."""
        yield retry()
        sent, last = Board(), monotonic()
        while True:
            board = shown(await self.board(), hidden=hidden, labs=labs)
            if news := difference(sent, board):
                whole = {"whole": True} if not sent.counts else {}
                sent, last = board, monotonic()
                yield event("class", whole | news)
            elif monotonic() - last >= self._limits.ping_seconds:
                last = monotonic()
                yield PING
            try:
                async with asyncio.timeout(SECOND):
                    await self._runs.ending.wait()
            except TimeoutError:
                continue
            yield event("close", {"reason": "The server is stopping."})
            return

    # ---- Steering ------------------------------------------------------------------------------------------------------------

    async def pause_all(self) -> Json:
        """Every run of the class that trains or waits, also those of labs; not the lecturer's own."""
        students = [run for run in self._runs.in_memory() if run.owner not in (LOCAL, LECTURER.person)]
        training = [run.id for run in students if (run.wish if run.state == "queued" else run.state) == "running"]

        async def pause(id: str) -> bool:
            try:
                await self._runs.change(id, RunChanges(state="paused"))
            except Problem:
                return False  # it has ended, was deleted, or waits for a place still
            return True

        paused = sum(await asyncio.gather(*map(pause, training)))
        self._refresh()
        return {"paused": paused, "others": len(training) - paused}

    # ---- Clearing up ---------------------------------------------------------------------------------------------------------

    async def belongings(self) -> Json:
        """How much would be deleted after class."""
        return {"people": len(self._people.everybody), **asdict(await self._store.call(rows.belongings))}

    async def belongings_of(self, person: str) -> Json:
        return asdict(await self._store.call(rows.belongings_of, person))

    async def leave(self, person: str) -> None:
        """Somebody goes, with all that is theirs."""
        self._people.find(person)
        self._people.drop(person)
        for _ in range(ROUNDS):  # something they asked for before may still have been under way
            if not await self._delete(await self._store.call(rows.runs_of, person)):
                break
        await self._store.call(rows.forget, person)
        self._refresh()

    async def clear(self) -> Json:
        """Everybody goes, with all that is theirs, and nobody comes in by the old code; what was deleted."""
        cleared = await self.belongings()
        await self._people.close_door()
        for _ in range(ROUNDS):
            if not await self._delete(await self._store.call(rows.runs_of_class)):
                break
        await self._store.call(rows.clear)
        self._refresh()
        return cleared

    async def _delete(self, ids: list[str]) -> int:
        """How many were there."""
        turns = asyncio.Semaphore(AT_A_TIME)

        async def delete(id: str) -> None:
            async with turns:
                try:
                    await self._runs.delete(id)
                except NotFound:
                    return  # somebody else was quicker

        await asyncio.gather(*map(delete, ids))
        return len(ids)


def curve_of(values: list[float]) -> Json | None:
    """base64 of one byte a value, low + (high − low) · byte / 255; None where there is nothing to draw yet."""
    if len(values) < 2:
        return None
    values = [max(-LARGEST, min(LARGEST, value)) for value in values]
    low, high = min(values), max(values)
    scale = 255 / (high - low) if high > low else 0.0
    data = base64.b64encode(bytes(round((value - low) * scale) for value in values)).decode()
    return {"low": short(low), "high": short(high), "data": data}


def short(value: float | None) -> float | None:
    """As exact as a small card can show it."""
    return None if value is None else float(f"{value:.4g}")


def shown(board: Board, *, hidden: bool, labs: bool) -> Board:
    """With or without labs' runs; `hidden`: without nicknames, and without names that anybody gave to a run."""
    runs = {id: card for id, card in board.runs.items() if labs or card["kind"] != "lab"}
    if not hidden:
        return Board(board.counts, board.students, runs)
    nameless = {id: {**card, "name": None} if has_own_name(card) else card for id, card in runs.items()}
    return Board(board.counts, {n: {**each, "nickname": None} for n, each in board.students.items()}, nameless)


def has_own_name(card: Json) -> bool:
    """Also one that came with a link or a file, or from another's run of which this one is a copy."""
    return bool(card["named"]) or (card["kind"] != "lab" and card["name"] not in GIVEN)


def difference(before: Board, now: Board) -> Json:
    """What somebody lacks who knows the board as it was before; empty when there is nothing new."""
    news: Json = {}
    if before.counts != now.counts:
        news["counts"] = now.counts
    if before.students != now.students:
        news["students"] = list(now.students.values())
    if gone := [id for id in before.runs if id not in now.runs]:
        news["gone"] = gone
    if changed := [part(before.runs.get(id, {}), card) for id, card in now.runs.items() if before.runs.get(id) != card]:
        news["runs"] = changed
    return news


def part(before: Json, now: Json) -> Json:
    """The id and what is another."""
    return {name: value for name, value in now.items() if name == "id" or name not in before or before[name] != value}
