"""The labs' use cases: bring a lab's runs to what its settings say, look at them, work out its figures, check its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from app.clock import utc_now
from app.errors import Conflict, NotFound, Problem, Unprocessable
from app.labs.lesson import LONGEST_PATH, Json, Lab, RunState, Verdict
from app.labs.settings import query
from app.services.changes import RunChanges
from app.services.places import InLine
from app.services.runs import Runs
from app.store import solved as rows
from app.store.database import Database
from app.store.solved import Solved
from engine.specs import RunSpec
from engine.validation import checked

Command: TypeAlias = Literal["open", "look", "train", "pause", "step", "reset"]
COMMANDS: tuple[Command, ...] = ("open", "look", "train", "pause", "step", "reset")
AT_ONCE = 1_000
"""Updates of one command; a longer path is walked in several."""
ATTEMPTS = 10
MOST_ASKED = 5_000
ENDED = frozenset({"finished", "time-limit", "diverged"})


@dataclass(frozen=True, slots=True)
class Visit:
    """A lab as it is now for one visitor: where its runs stand, what its figure shows, how far its tasks are."""

    lab: Lab
    settings: Any
    ids: Mapping[str, str]
    runs: Mapping[str, RunState]
    figures: Json
    verdicts: Mapping[str, Verdict]
    solved: Mapping[str, Solved]

    @property
    def at(self) -> str:
        """Updates done, as the address says them: one number for each run with points between them."""
        return at_text(self.runs)

    @property
    def link(self) -> str:
        """Address of this very state."""
        return address(self.lab, self.settings, self.at if any(run.step for run in self.runs.values()) else "")


@dataclass(frozen=True, slots=True)
class Wait:
    """A lab whose runs are made, but have no places yet; `where` is the last of them in the line."""

    ids: Mapping[str, str]
    where: InLine


class Labs:
    """Between the lessons, the runs and the store."""

    def __init__(self, runs: Runs, store: Database) -> None:
        self._runs, self._store = runs, store
        self._asked: dict[str, RunSpec] = {}
        """Of each run what was asked for: one that was trained on beyond its end has a later one in its spec."""

    async def visit(
        self,
        lab: Lab,
        settings: Any,
        *,
        ids: Mapping[str, str],
        visitor: str,
        command: Command = "look",
        count: int = 1,
        at: str = "",
    ) -> Visit | Wait:
        """Carry out the command and say how the lab stands then. Runs that the page does not have yet are made.

        While they wait for places nothing is carried out: whoever asks again with the ids of `Wait` loses nothing.
        """
        wanted = await specs_of(lab, settings)
        steps = at_numbers(at, len(wanted)) if command == "open" and at else [None] * len(wanted)
        ids = await self._have(wanted, ids, command)
        if (where := await self._runs.seat(ids.values())) is not None:
            return Wait(ids, where)
        for (name, spec), updates in zip(wanted.items(), steps, strict=True):
            await self._equip(lab, spec, ids[name], command, updates)
        await asyncio.gather(*(self._command(id, command, count) for id in ids.values()))
        runs = await self.look(lab, settings, ids)
        figures = await self.figures(lab, settings, runs)
        verdicts = check(lab, settings, figures, runs)
        solved = await self.solved_in(lab, visitor)
        if fresh := [name for name, verdict in verdicts.items() if verdict.solved and name not in solved]:
            for name in fresh:
                solution = Solved(lab.name, name, query(settings), at_text(runs), verdicts[name].note, utc_now())
                await self._store.call(rows.add, visitor, solution)
            solved = await self.solved_in(lab, visitor)
        return Visit(lab, settings, ids, runs, figures, verdicts, solved)

    async def show(self, lab: Lab, settings: Any, visitor: str | None) -> Visit:
        """A lab without runs as it is, for one who has asked for nothing yet; nothing is remembered."""
        figures = await self.figures(lab, settings, {})
        return Visit(
            lab, settings, {}, {}, figures, check(lab, settings, figures, {}), await self.solved_in(lab, visitor)
        )

    async def redo(self, lab: Lab, settings: Any, at: str, visitor: str | None = None) -> Visit:
        """A state of a lab, computed anew from its settings and its updates, on runs of its own that are deleted again."""
        wanted = await specs_of(lab, settings)
        steps = at_numbers(at, len(wanted)) if at else [0] * len(wanted)
        ids: dict[str, str] = {}
        try:
            for name, spec in wanted.items():
                ids[name] = str((await self._runs.create(spec, state="paused", kind="lab"))["id"])
            await asyncio.gather(*map(self.walk, ids.values(), steps))
            runs = await self.look(lab, settings, ids, whole=True)
            figures = await self.figures(lab, settings, runs)
        finally:
            for id in ids.values():
                await self._runs.delete(id)
        verdicts = check(lab, settings, figures, runs)
        return Visit(lab, settings, {}, runs, figures, verdicts, await self.solved_in(lab, visitor))

    # ---- Runs ----------------------------------------------------------------------------------------------------------------

    async def _have(self, wanted: Mapping[str, RunSpec], ids: Mapping[str, str], command: Command) -> dict[str, str]:
        """A run for each that is wanted: the page's own, or a new one that stands at its beginning; all of them or none."""
        found, made = dict[str, str](), list[str]()
        try:
            for name, spec in wanted.items():
                id = ids.get(name)
                # A tab that was duplicated gets others: two that steer one run would set it back in turns.
                if id is None or await self._find(id) is None or (command == "open" and self._runs.is_followed(id)):
                    id = str((await self._runs.create(spec, state="paused", kind="lab"))["id"])
                    made.append(id)
                    self._remember(id, spec)
                found[name] = id
        except Problem:
            for id in made:
                await self._runs.delete(id)
            raise
        return found

    async def _equip(self, lab: Lab, spec: RunSpec, id: str, command: Command, steps: int | None) -> None:
        """A run with the spec that the settings want; one whose spec is another begins again with it."""
        run = await self._runs.get(id)
        if run["updates_per_second"] != lab.speed:
            await self._runs.change(id, RunChanges(updates_per_second=lab.speed))
        same = await self._is_of(id, spec)
        if same and run["state"] != "running" and run["step"] == steps:
            return  # the page was loaded again
        if steps is None and same:
            if command == "open" and lab.plays and run["state"] == "paused":  # new, or nobody followed it
                await self._runs.change(id, RunChanges(state="running"))
            return
        goes_on = run["state"] == "running" or (lab.plays and (command == "open" or run["state"] in ENDED))
        if steps is not None and run["state"] == "running":
            await self._runs.change(id, RunChanges(state="paused"))
        if not same or run["step"]:
            await self._runs.respec(id, spec, keep="nothing")
            self._remember(id, spec)
        if steps is not None:
            await self.walk(id, steps)
        elif goes_on:
            await self._runs.change(id, RunChanges(state="running"))

    def _remember(self, id: str, spec: RunSpec) -> None:
        if len(self._asked) > MOST_ASKED:
            self._asked.clear()
        self._asked[id] = spec

    async def _is_of(self, id: str, spec: RunSpec) -> bool:
        """Whether a run is what is wanted; of one that an earlier server made it is not known where it was to end."""
        if id in self._asked:
            return self._asked[id] == spec
        return replace(await self._runs.run_spec(id), stop=spec.stop) == spec

    async def _find(self, id: str) -> Json | None:
        try:
            return await self._runs.get(id)
        except NotFound:
            return None

    async def walk(self, id: str, steps: int) -> None:
        """That many updates of a paused run, as far as it can be trained."""
        try:
            for begun in range(0, steps, AT_ONCE):
                await self._runs.step(id, min(AT_ONCE, steps - begun))
        except Conflict:
            return  # it diverged or reached its end on the way, as it did the first time

    async def _command(self, id: str, command: Command, count: int) -> None:
        state = (await self._runs.get(id))["state"]
        try:
            match command:
                case "train" if state != "running":
                    await self._runs.change(id, RunChanges(state="running"))
                case "pause" if state == "running":
                    await self._runs.change(id, RunChanges(state="paused"))
                case "step":
                    if state == "running":
                        await self._runs.change(id, RunChanges(state="paused"))
                    await self._runs.step(id, count)
                case "reset":
                    if state == "running":
                        await self._runs.change(id, RunChanges(state="paused"))
                    await self._runs.reset(id)
        except Conflict:
            return  # of several runs one may have ended already; its state says so

    # ---- What is there -------------------------------------------------------------------------------------------------------

    async def look(
        self, lab: Lab, settings: Any, ids: Mapping[str, str], *, whole: bool = False
    ) -> dict[str, RunState]:
        """Where each run stands; `whole`: until another look would tell no more."""
        states = await asyncio.gather(*(self._look(lab, settings, name, id, whole) for name, id in ids.items()))
        return dict(zip(ids, states, strict=True))

    async def _look(self, lab: Lab, settings: Any, name: str, id: str, whole: bool) -> RunState:
        state = await self._look_once(lab, settings, name, id)
        while whole and state.more:
            state = await self._look_once(lab, settings, name, id)
        return state

    async def _look_once(self, lab: Lab, settings: Any, name: str, id: str) -> RunState:
        arguments = (settings, name) if lab.look else ()
        for left in reversed(range(ATTEMPTS)):
            try:
                stands = await self._runs.look(id, lab.look, arguments)
            except Conflict:
                if not left:
                    raise
            else:
                break
        parameters = stands["parameters"]
        known = {key: stands[key] for key in ("step", "examples", "epoch", "seconds", "state", "metrics", "seen")}
        return RunState(**known, parameters=None if parameters is None else tuple(parameters))

    async def figures(self, lab: Lab, settings: Any, runs: Mapping[str, RunState]) -> Json:
        figures: Json = await self._runs.compute(lab.figures, (settings, runs))
        return figures

    # ---- What was solved -------------------------------------------------------------------------------------------------------

    async def solved_in(self, lab: Lab, visitor: str | None) -> dict[str, Solved]:
        return {item.task: item for item in await self.solved(visitor) if item.lab == lab.name}

    async def solved(self, visitor: str | None) -> list[Solved]:
        """All that this visitor has solved, oldest first."""
        return [] if visitor is None else await self._store.call(rows.of, visitor)

    async def forget(self, visitor: str, lab: Lab | None = None) -> None:
        """As if nothing had been solved, in one lab or in all."""
        await self._store.call(rows.forget, visitor, lab.name if lab else None)


async def specs_of(lab: Lab, settings: Any) -> dict[str, RunSpec]:
    """What the lab's runs are made of; in a thread, since written-out weights may be worked out with NumPy."""
    return await asyncio.to_thread(lambda: {name: checked(spec) for name, spec in lab.runs(settings).items()})


def check(lab: Lab, settings: Any, figures: Json, runs: Mapping[str, RunState]) -> dict[str, Verdict]:
    """Every task held against what is there."""
    return {task.name: task.check(settings, figures, runs) for task in lab.tasks}


def address(lab: Lab, settings: Any, at: str) -> str:
    """Where a lab is in a state; `at` is empty before its first update."""
    texts = "&".join(text for text in (query(settings), f"at={at}" if at else "") if text)
    return f"/labs/{lab.name}" + (f"?{texts}" if texts else "")


def at_text(runs: Mapping[str, RunState]) -> str:
    return ".".join(str(run.step) for run in runs.values())


def at_numbers(text: str, count: int) -> list[int]:
    """One number of updates for each of `count` runs. Unprocessable when it is anything else."""
    parts = text.split(".")
    if len(parts) != count or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        wanted = "a whole number" if count == 1 else f"{count} whole numbers with points between them"
        raise Unprocessable(f"“at” says how many updates each run has done: {wanted}.", field="/at")
    numbers = [int(part) for part in parts]
    if max(numbers, default=0) > LONGEST_PATH:
        raise Unprocessable(f"A link can ask for at most {LONGEST_PATH:,} updates.", field="/at")
    return numbers
