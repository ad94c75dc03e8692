"""Who looks at a run, and when the next frame is due: by the clock, never by the update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, thread_time
from typing import Any

from app.workers.frames import layers_frame, tiles_frame
from engine.trainer import Trainer

VIEW_SECONDS = {"layers": 0.1, "tiles": 1.0}
"""From one frame of a view to the next."""
FRAME_SHARE = 12
"""A frame that costs t is followed by at least 12 t without one, so that looking costs less than a tenth.

Cost is processor time: on a busy machine a frame that waited for its turn would else silence the page for seconds.
"""


@dataclass(slots=True)
class Watch:
    """What one page looks at. `due` is when a view may be drawn again, `drawn` the update at which it last was."""

    example: dict[str, Any] | None
    gradients: bool
    tiles: list[int]
    due: dict[str, float] = field(default_factory=dict)
    drawn: dict[str, int] = field(default_factory=dict)

    @property
    def views(self) -> list[str]:
        return [*(["layers"] if self.example is not None else []), *(["tiles"] if self.tiles else [])]


class Watches:
    """All watches of one run; `send(watch, view, event)` takes each frame."""

    def __init__(self, send: Callable[[str, str, bytes], None]) -> None:
        self._send = send
        self._watches: dict[str, Watch] = {}
        self._again = 0.0

    def set(self, name: str, value: dict[str, Any], trainer: Trainer) -> None:
        """Look at something else from now on, and draw it at once. Raises ShapeError when there is no such example."""
        watch = Watch(value.get("example"), bool(value.get("gradients")), list(value.get("tiles") or ()))
        before = self._watches.get(name)
        if before is not None and before.tiles == watch.tiles:
            watch.due, watch.drawn = before.due, before.drawn
        for view in watch.views:
            if view == "layers" or watch.drawn.get(view) != trainer.steps:
                self._draw(name, watch, view, trainer)
        self._watches[name] = watch

    def end(self, name: str) -> None:
        self._watches.pop(name, None)

    def draw_all(self, trainer: Trainer) -> None:
        for name, watch in self._watches.items():
            for view in watch.views:
                self._draw(name, watch, view, trainer)

    def draw_due(self, trainer: Trainer) -> None:
        """The most overdue view, if any is due: one at a time, so that a slice stays short."""
        now = monotonic()
        if not self._watches or now < self._again:
            return
        due = [
            (watch.due.get(view, 0.0), name, view)
            for name, watch in self._watches.items()
            for view in watch.views
            if watch.due.get(view, 0.0) <= now and watch.drawn.get(view) != trainer.steps
        ]
        if due:
            _, name, view = min(due)
            self._draw(name, self._watches[name], view, trainer)

    def _draw(self, name: str, watch: Watch, view: str, trainer: Trainer) -> None:
        started = thread_time()
        if view == "tiles":
            frame = tiles_frame(trainer, name, watch.tiles)
        else:
            assert watch.example is not None
            frame = layers_frame(trainer, name, watch.example, gradients=watch.gradients)
        self._send(name, view, frame)
        cost, now = thread_time() - started, monotonic()
        watch.due[view] = now + VIEW_SECONDS[view]
        watch.drawn[view] = trainer.steps
        self._again = now + FRAME_SHARE * cost
