"""Who looks at a run, and when the next frame is due: by the clock, never by the update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, thread_time
from typing import Any

from app.workers.frames import layers_frame, tiles_frame
from app.workers.plane_frames import PARTS, check_wish, plane_frame
from engine.datasets.points import PointDataset
from engine.errors import ShapeError
from engine.inspection import Inspection
from engine.trainer import Trainer

VIEW_SECONDS = {"layers": 0.1, "tiles": 1.0, "plane": 0.1}
"""From one frame of a view to the next."""
FRAME_SHARE = 12
"""A frame that costs t is followed by at least 12 t without one, so that looking costs less than a tenth.

Cost is processor time: on a busy machine a frame that waited for its turn would else silence the page for seconds.
"""


@dataclass(slots=True)
class Watch:
    """What one page looks at: `wishes` by view. `due` is when a view may be drawn again, `drawn` the update at which it last was."""

    wishes: dict[str, Any]
    due: dict[str, float] = field(default_factory=dict)
    drawn: dict[str, int] = field(default_factory=dict)


def wishes(value: dict[str, Any]) -> dict[str, Any]:
    """What is asked for of each view, from the fields of a watch."""
    layers = {"example": value["example"], "gradients": bool(value.get("gradients"))} if value.get("example") else None
    plane = {part: value[part] for part in PARTS if value.get(part)}
    views = {"layers": layers, "tiles": value.get("tiles"), "plane": plane}
    return {view: wish for view, wish in views.items() if wish}


class Watches:
    """All watches of one run; `send(watch, view, event)` takes each frame."""

    def __init__(self, send: Callable[[str, str, bytes], None]) -> None:
        self._send = send
        self._watches: dict[str, Watch] = {}
        self._again = 0.0
        self._inspection: Inspection | None = None

    def set(self, name: str, value: dict[str, Any], trainer: Trainer) -> None:
        """Look at something else from now on, and draw it at once. Raises ShapeError when there is no such thing."""
        watch, before = Watch(wishes(value)), self._watches.get(name)
        if "plane" in watch.wishes:
            check_wish(self._inspect(trainer), watch.wishes["plane"])
        for view, wish in watch.wishes.items():
            if before is not None and view != "layers" and before.wishes.get(view) == wish:
                watch.due[view], watch.drawn[view] = before.due[view], before.drawn[view]
            if watch.drawn.get(view) != trainer.steps:
                self._draw(name, watch, view, trainer)
        self._watches[name] = watch

    def end(self, name: str) -> None:
        self._watches.pop(name, None)
        if not self._watches:
            self._inspection = None

    def draw_all(self, trainer: Trainer) -> None:
        for name, watch in self._watches.items():
            for view in watch.wishes:
                self._draw_again(name, watch, view, trainer)

    def draw_due(self, trainer: Trainer) -> None:
        """The most overdue view, if any is due: one at a time, so that a slice stays short."""
        now = monotonic()
        if not self._watches or now < self._again:
            return
        due = [
            (watch.due.get(view, 0.0), name, view)
            for name, watch in self._watches.items()
            for view in watch.wishes
            if watch.due.get(view, 0.0) <= now and watch.drawn.get(view) != trainer.steps
        ]
        if due:
            _, name, view = min(due)
            self._draw_again(name, self._watches[name], view, trainer)

    def _draw_again(self, name: str, watch: Watch, view: str, trainer: Trainer) -> None:
        """Nothing, if the run has been given another spec and there is no such thing to look at any more."""
        try:
            self._draw(name, watch, view, trainer)
        except ShapeError:
            watch.drawn[view] = trainer.steps

    def _draw(self, name: str, watch: Watch, view: str, trainer: Trainer) -> None:
        started, wish = thread_time(), watch.wishes[view]
        match view:
            case "tiles":
                frame = tiles_frame(trainer, name, wish)
            case "plane":
                frame = plane_frame(self._inspect(trainer), name, trainer.steps, wish)
            case _:
                frame = layers_frame(trainer, name, wish["example"], gradients=wish["gradients"])
        self._send(name, view, frame)
        cost, now = thread_time() - started, monotonic()
        pause = VIEW_SECONDS[view]
        # One that comes a little late, as most do, does not put off the next.
        watch.due[view] = max(watch.due.get(view, now), now - pause / 2) + pause
        watch.drawn[view] = trainer.steps
        self._again = now + FRAME_SHARE * cost

    def _inspect(self, trainer: Trainer) -> Inspection:
        """Kept while network, loss and points are the same."""
        if not isinstance(trainer.dataset, PointDataset):
            raise ShapeError("This run learns from pictures, not from points: it has no plane.")
        kept, network, loss, dataset = self._inspection, trainer.network, trainer.loss, trainer.dataset
        if kept is None or kept.network is not network or kept.loss is not loss or kept.dataset is not dataset:
            kept = self._inspection = Inspection(network, loss, dataset)
        return kept
