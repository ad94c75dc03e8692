"""A run's files on the disk: the checkpoint, and beside it what the recorder needs to go on with the same curve."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.settings import DISK_FREE_BYTES
from engine.formats import checkpoint, native
from engine.specs import RunSpec
from engine.trainer import Trainer, TrainerState


class Saves:
    """The folder of one run. The recorder's state is a comfort: without it the curve goes on with an empty window.

    A run that came out of a file keeps it as its beginning, because no seed draws those weights again. `torn` tells after
    a `read` that the newest checkpoint was damaged and the one before was read. The last `disk_free_bytes` of the disk are
    left to everybody else.
    """

    def __init__(self, folder: Path, *, disk_free_bytes: int = DISK_FREE_BYTES) -> None:
        self.folder = folder
        self.torn = False
        self._steps: deque[int] = deque(maxlen=3)  # of the last checkpoints that were written or read
        self._disk_free_bytes = disk_free_bytes
        self._checkpoint = folder / "run.checkpoint"
        self._beginning = folder / "beginning.checkpoint"

    def write(self, trainer: Trainer, recorder: dict[str, Any]) -> int:
        """Bytes written. Raises OSError when the disk does not take them, FormatError when they are no numbers any more.

        Either way what was there stays.
        """
        content = native.dump(trainer.state())
        self.make_folder(len(content))
        self._write_recorder(trainer.steps, recorder)
        checkpoint.write(self._checkpoint, content)
        return len(content)

    def read(self) -> tuple[TrainerState, dict[str, Any] | None] | None:
        """The newest readable checkpoint with its recorder's state, if there is one; else the beginning, if it was kept.

        None when nothing was ever saved. Raises FormatError when there are checkpoints but none can be read.
        """
        if not self._checkpoint.exists() and not checkpoint.previous(self._checkpoint).exists():
            beginning = self.beginning()
            return None if beginning is None else (beginning, None)
        state, self.torn = checkpoint.recover(self._checkpoint)
        self._note_step(state.steps)
        return state, self._read_recorder(state.steps)

    def keep_beginning(self, state: TrainerState) -> None:
        """Raises OSError when the disk does not take it."""
        content = native.dump(state)
        self.make_folder(len(content))
        checkpoint.write(self._beginning, content)

    def beginning(self) -> TrainerState | None:
        """None for a run whose beginning follows from its seed. Raises FormatError when it is damaged."""
        return checkpoint.read(self._beginning) if self._beginning.exists() else None

    def remove_progress(self) -> None:
        """All but the beginning."""
        checkpoint.delete(self._checkpoint)
        for path in self.folder.glob("recorder-*.json"):
            path.unlink()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def make_folder(self, size: int) -> None:
        """With room for `size` bytes more. Raises OSError in words where there is none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free - size < self._disk_free_bytes:
            left = f"{self._disk_free_bytes / 2**20:,.0f} MiB"
            raise OSError(
                errno.ENOSPC, f"only {free / 2**20:,.1f} MiB are free on the disk, of which {left} are not touched"
            )

    def _recorder(self, step: int) -> Path:
        return self.folder / f"recorder-{step}.json"

    def _read_recorder(self, step: int) -> dict[str, Any] | None:
        """None when there is none, or it is not what was written."""
        try:
            checksum, _, content = self._recorder(step).read_text().partition("\n")
            state: dict[str, Any] | None = json.loads(content) if checksum == digest(content) else None
        except (OSError, ValueError):
            return None
        return state

    def _write_recorder(self, step: int, state: dict[str, Any]) -> None:
        """Written before the checkpoint it belongs to; those of the last checkpoints are kept, as these are."""
        temporary = self.folder / "recorder.new"
        content = json.dumps(state, allow_nan=False)
        temporary.write_text(f"{digest(content)}\n{content}")
        os.replace(temporary, self._recorder(step))
        self._note_step(step)
        kept = {self._recorder(each) for each in self._steps}
        for path in self.folder.glob("recorder-*.json"):
            if path not in kept:
                path.unlink()

    def _note_step(self, step: int) -> None:
        """By number and not by the time of a file, for clocks jump."""
        if step not in self._steps:
            self._steps.append(step)


def fits(before: RunSpec, after: RunSpec) -> bool:
    """Whether the weights of one run mean anything to the other."""
    return before.network == after.network and before.dataset.input_shape == after.dataset.input_shape


def carried_over(state: TrainerState, trainer: Trainer) -> TrainerState:
    """A state for a trainer of a spec that it `fits`, but for its optimizer; a pass over other points begins anew."""
    spec = replace(trainer.spec, optimizer=state.spec.optimizer)
    old, new = state.spec.dataset.sizes["train"], spec.dataset.sizes["train"]
    return replace(state, spec=spec, position=state.position if old == new else 0)


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
