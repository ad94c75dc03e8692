"""Two clients that steer one run at the same time (D11), held against a model: nobody's change is lost without a word.

Every change writes a number that no other writes, so each version of the run occurs once. Then the changes that were
accepted must be one chain, from the first version to the last: two that were made of the same version would mean that
one has undone the other.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.served import served

pytestmark = pytest.mark.anyio

STATES = ("running", "paused")


class Client:
    """Steers a run by what it last saw of it, as a tab does."""

    def __init__(self, client: httpx.AsyncClient, run: str, seed: int, numbers: itertools.count[int]) -> None:
        self.client, self.path, self.random, self.numbers = client, f"/api/runs/{run}", random.Random(seed), numbers
        self.accepted: list[tuple[str, str]] = []
        self.refused = 0
        self.spec: dict[str, Any] = {}
        self.version = ""

    async def look(self) -> None:
        self.version = (await self.client.get(self.path)).json()["version"]
        self.spec = (await self.client.get(f"{self.path}/spec")).json()

    async def steer(self, count: int) -> None:
        await self.look()
        for _ in range(count):
            await self.random.choice((self.respec, self.respec, self.change, self.change, self.stand, self.step, self.look))()

    async def respec(self) -> None:
        spec = self.spec | {"l2": next(self.numbers) / 1e6}
        keep = self.random.choice(("weights", "nothing"))
        answer = await self.client.put(f"{self.path}/spec", json=spec, params={"expected": self.version, "keep": keep})
        await self.after(answer)

    async def change(self) -> None:
        body = {"optimizer": {"learning_rate": next(self.numbers) / 1e6}}
        await self.after(await self.client.patch(self.path, json=body, params={"expected": self.version}))

    async def after(self, answer: httpx.Response) -> None:
        document = answer.json()
        if answer.status_code == 200:
            self.accepted.append((self.version, document["version"]))
            self.version = document["version"]
            self.spec = (await self.client.get(f"{self.path}/spec")).json()
            return
        assert (answer.status_code, document["code"]) == (409, "overtaken"), answer.text
        assert document["version"] != self.version
        assert "changed meanwhile" in document["detail"]
        self.refused += 1
        await self.look()

    async def stand(self) -> None:
        """Pausing what is paused and running what runs is no error."""
        state = self.random.choice(STATES)
        for _ in range(2):
            answer = await self.client.patch(self.path, json={"state": state})
            assert answer.status_code == 200, answer.text

    async def step(self) -> None:
        answer = await self.client.post(f"{self.path}/steps", json={"count": 2})
        assert answer.status_code in (200, 409), answer.text


@pytest.mark.timeout(900)
@pytest.mark.parametrize("commands", [40, pytest.param(500, marks=pytest.mark.faults)])
async def test_two_clients_steer_one_run_and_no_change_is_lost(tmp_path: Path, commands: int) -> None:
    async with served(tmp_path) as one:
        # Without an end: a run that is run on beyond its own gets another one, which is a version that no client made.
        run, numbers = await one.run(stop={}), itertools.count(1)
        first = (await one.client.get(f"/api/runs/{run}")).json()["version"]
        clients = [Client(one.client, run, seed, numbers) for seed in (1, 2)]
        await asyncio.gather(*(client.steer(commands) for client in clients))
        accepted = [change for client in clients for change in client.accepted]
        after = dict(accepted)
        assert len(after) == len(accepted), "two changes were made of one version"
        version, length = first, 0
        while version in after:
            version, length = after[version], length + 1
        assert length == len(accepted), "the changes are one chain"
        last = (await one.client.get(f"/api/runs/{run}")).json()
        assert last["version"] == version
        print(f"{commands} commands each: {len(accepted)} changes made, {sum(client.refused for client in clients)} refused as overtaken")
        assert sum(client.refused for client in clients) > 0, "they came into each other's way"
        for client in clients:
            await client.look()
            assert client.version == version
        for _ in range(2):  # stopping what is stopped is no error either
            assert (await one.client.patch(f"/api/runs/{run}", json={"state": "stopped"})).status_code == 200
