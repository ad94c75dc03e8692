"""A run's files on the disk: the checkpoint, and beside it what the recorder needs to go on with the same curve."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from engine.formats import checkpoint, native
from engine.trainer import Trainer, TrainerState


class Saves:
    """The folder of one run. The recorder's state is a comfort: without it the curve goes on with an empty window.

    A run that came out of a file keeps it as its beginning, because no seed draws those weights again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._checkpoint = folder / "run.checkpoint"
        self._beginning = folder / "beginning.checkpoint"

    def write(self, trainer: Trainer, recorder: dict[str, Any]) -> int:
        """Bytes written. Raises OSError when the disk does not take them, FormatError when they are no numbers any more.

        Either way what was there stays.
        """
        content = native.dump(trainer.state())
        self.folder.mkdir(parents=True, exist_ok=True)
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
        state = checkpoint.read(self._checkpoint)
        try:
            recorder = json.loads(self._recorder(state.steps).read_bytes())
        except (OSError, ValueError):
            recorder = None
        return state, recorder

    def keep_beginning(self, state: TrainerState) -> None:
        """Raises OSError when the disk does not take it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoint.write(self._beginning, native.dump(state))

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

    def _recorder(self, step: int) -> Path:
        return self.folder / f"recorder-{step}.json"

    def _write_recorder(self, step: int, state: dict[str, Any]) -> None:
        """Written before the checkpoint it belongs to; those of the last two checkpoints are kept, as these are."""
        temporary = self.folder / "recorder.new"
        temporary.write_text(json.dumps(state, allow_nan=False))
        os.replace(temporary, self._recorder(step))
        older = sorted(self.folder.glob("recorder-*.json"), key=lambda path: path.stat().st_mtime_ns)
        for path in older[:-3]:
            path.unlink()
