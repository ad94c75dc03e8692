"""What is kept, and what goes when there is too much of it. The policy, which `/limits` tells in the same words:

* Nothing that somebody named is ever deleted unasked, and nothing that is in use.
* Beyond `runs_stored` runs, or `disk_bytes` of saved states, runs without a name of their own go: labs' first, which makes
  them anew, then those that nobody has wanted longest. Labs keep `lab_runs` of theirs at most.
* When only named ones are left, no further run is made, and the answer says what to do.
* Idempotency keys are forgotten after `keys_days`, solved tasks after `solved_days`.
* A folder of checkpoints whose run is gone (the server was killed while it deleted) is swept at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic

from app.clock import days_ago
from app.errors import Conflict, NoRoom
from app.folders import clear_away
from app.settings import Limits
from app.store import keeping as rows
from app.store.database import Database

log = logging.getLogger(__name__)

RUN_FOLDER = re.compile(r"[a-z0-9]{16}")
THINNING_SECONDS = 3_600.0
LOOK_SECONDS = 2.0
"""For so long what is kept is taken to be as it was, while there is room."""


class Keeping:
    """`begin()` before workers start. `reserve()` a place for each new run, `give_back()` it when the run is gone, or never came."""

    def __init__(
        self,
        store: Database,
        limits: Limits,
        *,
        is_unwanted: Callable[[str], bool],
        remove: Callable[[str], Awaitable[None]],
    ) -> None:
        """`remove` deletes a run with all that belongs to it, and gives its place back."""
        self._store, self._limits = store, limits
        self._is_unwanted, self._remove = is_unwanted, remove
        self._lock = asyncio.Lock()
        self._kept, self._looked = rows.Kept(0, 0, 0), -math.inf
        self.stored = 0
        """Runs that are kept or about to be."""

    async def begin(self) -> None:
        """Count what there is, forget what is too old, and sweep away what a killed server left behind."""
        ids = await self._store.call(rows.ids)
        self.stored = len(ids)
        await self.forget()
        swept = await asyncio.to_thread(sweep, self._store.checkpoints, ids)
        if swept:
            log.warning("%d folders of checkpoints without a run were removed", swept)
        for folder in await asyncio.to_thread(clear_away):
            log.warning("the temporary folder %s of a process that was killed was removed", folder)

    async def forget(self) -> None:
        """Idempotency keys and solved tasks beyond their days."""
        await self._store.call(rows.forget_keys, days_ago(self._limits.keys_days))
        await self._store.call(rows.forget_solved, days_ago(self._limits.solved_days))

    async def keep_thin(self) -> None:
        """Once an hour, for ever: saved states grow and keys age while nobody makes a run."""
        while True:
            await asyncio.sleep(THINNING_SECONDS)
            await self.forget()
            async with self._lock:
                await self._thin_out(0, lab=False)

    async def reserve(self, *, lab: bool = False) -> None:
        """A place for one more run, made if it has to be. Raises Conflict, or NoRoom, when only named ones are left."""
        async with self._lock:
            kept = await self._thin_out(1, lab=lab)
            if self.stored >= self._limits.runs_stored:
                raise Conflict(
                    f"{self._limits.runs_stored:,} runs are kept already, and all of them are named or in use. "
                    "Delete one to make room.",
                    code="too_many_runs",
                )
            if kept.size > self._limits.disk_bytes:
                raise NoRoom(
                    f"The saved states of runs take {kept.size / 2**20:,.0f} MiB on the disk, "
                    f"of {self._limits.disk_bytes / 2**20:,.0f} MiB that they may, and all of these runs are named or in use. "
                    "Delete one to make room."
                )
            self.stored += 1

    def give_back(self) -> None:
        self.stored -= 1

    async def _thin_out(self, coming: int, *, lab: bool) -> rows.Kept:
        """Until `coming` more fit, as far as there are runs that may go; what is kept then."""
        full = self.stored + coming > self._limits.runs_stored
        if monotonic() - self._looked < LOOK_SECONDS and not full and not lab:
            return self._kept  # of a class that begins at once, not everybody needs to look
        kept = self._kept = await self._store.call(rows.kept)
        self._looked = monotonic()
        most = (
            self._limits.runs_stored - coming,
            self._limits.lab_runs - (coming if lab else 0),
            self._limits.disk_bytes,
        )
        runs, labs, size = self.stored, kept.labs, kept.size
        if runs <= most[0] and labs <= most[1] and size <= most[2]:
            return kept
        for run in await self._store.call(rows.spare):
            is_lab = run.kind == "lab"
            helps = runs > most[0] or (is_lab and labs > most[1]) or (run.size and size > most[2])
            if helps and self._is_unwanted(run.id):
                await self._remove(run.id)
                runs, labs, size = runs - 1, labs - is_lab, size - run.size
        self._kept = rows.Kept(runs, labs, size)
        return self._kept


def check_disk(store: Database, limits: Limits) -> None:
    """Raises NoRoom when so little is free that nothing more is taken in."""
    folder = next(place for place in (store.checkpoints, *store.checkpoints.parents) if place.exists())
    free = shutil.disk_usage(folder).free
    if free < limits.disk_free_bytes:
        raise NoRoom(
            f"Only {free / 2**20:,.1f} MiB are free on this server's disk, and below "
            f"{limits.disk_free_bytes / 2**20:,.0f} MiB nothing more is taken in. Runs train on in memory. "
            "Make room, then try again."
        )


def sweep(folder: Path, ids: set[str]) -> int:
    """Remove the folders of runs that are not among `ids`; how many those were. Nothing else there is touched."""
    if not folder.is_dir():
        return 0
    leftovers = [each for each in folder.iterdir() if RUN_FOLDER.fullmatch(each.name) and each.name not in ids]
    for each in leftovers:
        shutil.rmtree(each, ignore_errors=True)
    return len(leftovers)
