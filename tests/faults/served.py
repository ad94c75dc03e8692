"""The whole app with its real services and one worker, in this process, asked without a server between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.main import Nabla, create_app
from app.settings import Limits, Settings
from tests.app.double import client_of
from tests.faults.routes import POINTS


@dataclass
class Served:
    app: Nabla
    client: httpx.AsyncClient

    async def run(self, **body: Any) -> str:
        """The id of a new run: of points, paused, unless `body` says otherwise."""
        answer = await self.client.post("/api/runs", json=POINTS | body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def drawing(self) -> str:
        answer = await self.client.post("/api/drawings", json={"label": 3, "ink": [[0.0] * 14 + [1.0] * 14] * 28})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def rows(self) -> dict[str, int]:
        """How many rows each table holds: what a refused request must leave as it is. (Checkpoints come when they come.)"""

        def count(connection: Any) -> dict[str, int]:
            names = [
                name
                for (name,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
                )
            ]
            return {
                name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
                for name in names
                if name != "checkpoints"
            }

        found: dict[str, int] = await self.app.state.runs.store.call(count)
        return found


@asynccontextmanager
async def served(folder: Path, *, limits: Limits | None = None, **settings: Any) -> AsyncIterator[Served]:
    app = create_app(Settings(data=folder, workers=1, limits=limits or Limits(), **settings))
    async with app.router.lifespan_context(app), client_of(app, timeout=60) as client:
        yield Served(app, client)
