"""What crosses the pipe between the server and a worker: commands down, notifications up.

A command that is asked (`Request`) is answered by exactly one `Answer` or `Refusal` of the same number, after every
notification that it caused; so whoever waits for the answer finds the run already as it has become. Frames travel as
finished bytes of the stream: encoded once, in the worker, and only passed on by the server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from app.wire.points import Points
from engine.formats import FormatName
from engine.specs import RunSpec, Split

# ---- Down: commands ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Take a run in: from its last checkpoint, or from its beginning when there is none or `fresh` is set.

    `state` is what it does from then on, `sentence` what that says. The hyperparameters of `spec` hold, whatever the
    checkpoint says, and weights that fit it are carried over into a spec of other points. All runs of one `owner`
    together get one share of the worker's time. `stood` is what a diverged run told last, which it goes on telling.
    """

    run: str
    spec: RunSpec
    state: str
    sentence: str
    updates_per_second: float | None = None
    fresh: bool = False
    owner: str = "local"
    stood: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """Take in a saved network as a new, paused run. Answer: its RunSpec."""

    run: str
    body: bytes
    filename: str
    owner: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Write a checkpoint and let the run go."""

    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """Let the run go and remove its checkpoints."""

    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """New live hyperparameters, by the names of `Trainer.change`, and `updates_per_second`; then a new state (None: as it is)."""

    run: str
    values: dict[str, Any]
    state: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Respec:
    """Another spec: with the weights of now, if they fit it, or from its own beginning."""

    run: str
    spec: RunSpec
    keep: Literal["weights", "nothing"]


@dataclass(frozen=True, slots=True)
class WeightChange:
    """One number of a dense layer: of `unit`, the weight of `input`, or its bias (None)."""

    unit: int
    input: int | None
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWeights:
    """Weights and biases of layer `index`, set by hand; all of them or, where one is refused, none."""

    run: str
    index: int
    changes: tuple[WeightChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Exactly `count` updates of a paused run."""

    run: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrate:
    """One update of a paused run. Answer: what was done in it, stage by stage."""

    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """Back to where it began: step 0 or what was imported; or to step 0 with the weights of another `seed`."""

    run: str
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Predict:
    """Answer: the predictions for `inputs` (a list of images) or for one drawing (`ink`)."""

    run: str
    inputs: list[Any] | None = None
    ink: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLayer:
    """Answer: the arrays named by `what` of layer `index`, for one example."""

    run: str
    index: int
    what: frozenset[str]
    example: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """Answer: accuracy, loss and confusion matrix over a whole split."""

    run: str
    split: Split
    crops: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListExamples:
    """Answer: one page of a split's examples with what the run takes them for."""

    run: str
    split: Split
    which: str
    truth: int | None
    predicted: int | None
    offset: int
    limit: int
    seed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """Answer: the network's output at every place of a grid over two `columns`; or what one `unit` of a `layer` responds."""

    run: str
    resolution: int
    layer: int | None
    unit: int | None
    columns: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Answer: where the run stands, and what `function(trainer, *arguments)` says about it, worked out between updates.

    The function is a generator function of a module, and yields every few milliseconds; None: nothing is asked but where.
    """

    run: str
    function: Callable[..., Any] | None = None
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """Answer: `function(*arguments)`, worked out by any worker beside its runs; it may be a generator function, too.

    Its time counts as that of the `owner` for whom it is worked out.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    run: str = ""
    owner: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Answer: file name, media type and bytes."""

    run: str
    format: FormatName


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWatch:
    """What one page looks at from now on; one frame is drawn at once."""

    run: str
    watch: str
    value: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lend:
    """No other run trains, so this one may use a second core (`yes`); or it gives it back, because another has begun."""

    run: str
    yes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EndWatch:
    """Nobody looks through this watch any more."""

    run: str
    watch: str


Command: TypeAlias = (
    Open
    | Import
    | Release
    | Discard
    | Change
    | Respec
    | SetWeights
    | Step
    | Narrate
    | Reset
    | Predict
    | ReadLayer
    | Evaluate
    | ListExamples
    | Boundary
    | Look
    | Compute
    | Export
    | SetWatch
    | Lend
    | EndWatch
)


@dataclass(frozen=True, slots=True)
class Request:
    """A command with the number under which its answer is awaited."""

    number: int
    command: Command


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Checkpoint every run and exit."""


# ---- Up: notifications -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has imported everything and listens."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The run moved on: where it stands now, and the points measured since the last one."""

    run: str
    snapshot: dict[str, Any]
    points: Points


@dataclass(frozen=True, slots=True)
class Status:
    """The run is in another state; `snapshot` has the state and its sentence."""

    run: str
    snapshot: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changed:
    """The run's spec is another one now (a live hyperparameter, its stop, its seed)."""

    run: str
    spec: RunSpec


@dataclass(frozen=True, slots=True)
class Restored:
    """The run stands at an earlier step again; points measured after it no longer belong to it.

    `anew`: it is another run from here on, even where there are no such points.
    """

    run: str
    snapshot: dict[str, Any]
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint of this step lies on the disk."""

    run: str
    step: int
    size: int


@dataclass(frozen=True, slots=True)
class NotSaved:
    """A checkpoint could not be written; training goes on in memory."""

    run: str
    message: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The run went wrong and was let go of, as it may be in the middle of an update; it goes on from its last checkpoint."""

    run: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """One frame of one view for one watch: a whole event of the stream."""

    run: str
    watch: str
    view: str
    event: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The value that a request asked for."""

    number: int
    value: Any = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was not carried out: `kind` is conflict, spec, format, input, dataset, disk, memory or fault."""

    number: int
    kind: str
    message: str
    field: str | None = None
    code: str | None = None
    state: str | None = None


Notification: TypeAlias = (
    Ready | Progress | Status | Changed | Restored | Saved | NotSaved | Gone | Drawn | Answer | Refusal
)
