"""Visitors of a class: each has a cookie, one connection for what it asks, one for its stream, and habits.

Half of those on the plane let their run train and only look, so that theirs are equal runs; the others pause, take
single updates and go on. Everybody asks for predictions and loads the page again now and then. Those in the labs do what
a lab's page does: open it, follow its runs, look once a second while they train, and train or begin again.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter, defaultdict
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.load.server import LoadedServer
from tests.load.wire import Answer, Line, Stream

LOOK = {"plane": {"resolution": 100, "columns": [0, 1]}, "neurons": 24, "weights": True}
"""What the plane's page asks for as it opens."""
PAUSE = (10.0, 20.0)
"""Seconds from one thing that a visitor does to the next."""
PATIENCE = 8
RUN = re.compile(rb'data-run="([a-z0-9]{16})"')
RUNS = re.compile(r'name="runs"[^>]*value="([^"]*)"')
RUNNING = re.compile(r'data-running="1"')
LABS = ("gradient", "minibatches", "overfitting", "loss", "weights", "outliers")
LAB_VIEWS = {"minibatches": {"plane": {"resolution": 60}}, "overfitting": {"curve": {"resolution": 200}}}
LAB_VIEWS |= {"gradient": {"weights": True}, "weights": LOOK, "outliers": {"curve": {"resolution": 100}}}


def small_run(seed: int) -> dict[str, Any]:
    """What the plane's page opens with, drawn from another seed; all of them cost the same."""
    dense, tanh = [{"type": "dense", "units": units} for units in (4, 2, 2)], {"type": "tanh"}
    return {
        "name": "plane",
        "dataset": {"name": "plane", "kind": "circle", "seed": seed},
        "network": [dense[0], tanh, dense[1], tanh, dense[2]],
        "optimizer": {"name": "adam", "learning_rate": 0.03},
        "batch_size": 10,
        "seed": seed,
        "stop": {"epochs": None, "steps": None, "seconds": None, "accuracy": None, "loss": None, "patience": None},
    }


@dataclass
class Ledger:
    """Every answer that anybody got: how long it took (ms), by what it was, and those that should not have been."""

    since: float = float("inf")
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    async def of(self, kind: str, what: str, asked: Awaitable[Answer], *, fine: tuple[int, ...]) -> Answer | None:
        """The answer, entered; None where the connection was lost, which is a fault as an answer of 5xx is."""
        try:
            answer = await asked
        except (OSError, TimeoutError) as error:
            self.faults.append(f"{what}: {error!r}")
            return None
        self.statuses[answer.status] += 1
        if answer.status >= 400 and answer.status not in fine:
            words = re.sub(r"<[^>]*>|\s+", " ", answer.body.decode(errors="replace"))
            self.faults.append(f"{what}: {answer.status} {words[:300]}")
        if asyncio.get_running_loop().time() >= self.since:
            self.times[kind].append(answer.seconds * 1000)
        return answer


class Visitor:
    """`stay()` until cancelled."""

    def __init__(self, number: int, server: LoadedServer, ledger: Ledger) -> None:
        self.number, self.server, self.ledger = number, server, ledger
        self.line = Line(server.address_of(number))
        self.stream: Stream | None = None
        self.random = random.Random(number)
        self.settled = asyncio.Event()

    async def stay(self) -> None:
        await enter_class(self.line, self.server)
        await self.arrive()
        self.settled.set()
        while True:
            await asyncio.sleep(self.random.uniform(*PAUSE))
            await self.act()

    async def arrive(self) -> None:
        raise NotImplementedError

    async def act(self) -> None:
        raise NotImplementedError

    async def follow(self, path: str) -> None:
        try:
            self.stream = await Stream.open(self.line.address, path, self.line.cookies)
        except (OSError, TimeoutError) as error:
            self.ledger.faults.append(f"stream: {error!r}")
            return
        if self.stream.seen.status != 200:
            self.ledger.faults.append(f"stream: {self.stream.seen.status}")

    def leave(self) -> None:
        self.line.close()
        if self.stream is not None:
            self.stream.close()

    async def ask(self, kind: str, method: str, path: str, body: Any = None, **more: Any) -> Answer | None:
        fine = more.pop("fine", ())
        return await self.ledger.of(kind, f"{method} {path}", self.line.ask(method, path, body, **more), fine=fine)


class OnThePlane(Visitor):
    """`steady`: never pauses its run."""

    steady = False

    async def arrive(self) -> None:
        await self.ask("pages", "GET", "/plane")
        self.run = await self.open()
        watch = f"w{self.number}"
        await self.follow(f"/api/runs/{self.run}/events?views=metrics,plane&watch={watch}")
        await self.ask("commands", "PUT", f"/api/runs/{self.run}/watches/{watch}", LOOK)

    async def open(self) -> str:
        """As the page's script does it. A full server is asked again when its answer says so."""
        query = urlencode({"query": f"?dataseed={self.number}&seed={self.number}", "run": ""})
        htmx = {"HX-Request": "true"}
        for _ in range(PATIENCE):
            answer = await self.ask("creates", "POST", "/plane/open", form=query, headers=htmx, fine=(429, 503))
            if answer is not None and (found := RUN.search(answer.body)):
                return found[1].decode()
            await asyncio.sleep(float(answer.header("retry-after") or 1) if answer else 1)
        raise AssertionError(f"no run could be made: {answer}")

    async def act(self) -> None:
        run = f"/api/runs/{self.run}"
        match self.random.randrange(4):
            case 0:
                await self.ask("pages", "GET", f"/plane?run={self.run}")
            case 1:
                await self.ask("pages", "GET", self.random.choice(["/runs", "/labs", "/limits"]))
            case 2 if not self.steady:
                await self.ask("commands", "PATCH", run, {"state": "paused"})
                await asyncio.sleep(1)
                await self.ask("commands", "POST", f"{run}/steps", {"count": 1})
                await asyncio.sleep(1)
                await self.ask("commands", "PATCH", run, {"state": "running"})
            case _:
                inputs = [[self.random.uniform(-6, 6), self.random.uniform(-6, 6)]]
                await self.ask("commands", "POST", f"{run}/predictions", {"inputs": inputs})


class Steady(OnThePlane):
    steady = True


class InALab(Visitor):
    async def arrive(self) -> None:
        self.lab = LABS[self.number % len(LABS)]
        self.runs, self.running, self._again = "", False, 0.0
        await self.ask("pages", "GET", f"/labs/{self.lab}")
        await self.send("open")
        if self.runs:
            ids = [pair.partition(":")[2] for pair in self.runs.split(",")]
            watch = f"w{self.number}"
            followed = urlencode([("run", id) for id in ids])
            await self.follow(f"/api/events?{followed}&views=metrics,plane&watch={watch}")
            for id in ids:
                await self.ask("commands", "PUT", f"/api/runs/{id}/watches/{watch}", LAB_VIEWS[self.lab])

    async def act(self) -> None:
        """While its runs train the page looks once a second, and less often where the answers take long."""
        if not self.random.randrange(3):
            await self.ask("pages", "GET", f"/labs/{self.lab}")
        await self.send(self.random.choice(["train", "reset", "step"]) if self.runs else "look")
        for _ in range(self.random.randrange(10)):
            if not self.running:
                return
            await asyncio.sleep(max(1.0, 10 * self._again))
            await self.send("look")

    async def send(self, command: str) -> None:
        form = urlencode({"command": command, "count": "1", "runs": self.runs})
        answer = await self.ask("labs", "POST", f"/labs/{self.lab}", form=form, headers={"HX-Request": "true"})
        if answer is None or answer.status != 200:
            return
        text = answer.body.decode()
        if found := RUNS.search(text):
            self.runs = found[1]
        self.running, self._again = RUNNING.search(text) is not None, answer.seconds


async def enter_class(line: Line, server: LoadedServer) -> None:
    """Follows the link of the class and joins."""
    form = urlencode({"code": server.code, "nickname": "Visitor"})
    answers = [await line.ask("GET", f"/join/{server.code}"), await line.ask("POST", "/join", form=form)]
    assert [answer.status for answer in answers] == [200, 303], [answer.body for answer in answers]


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed; not a number where there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def jain(values: list[float]) -> float:
    """Jain's index of fairness: 1 where all are equal, 1/n where one has everything."""
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))
