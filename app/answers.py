"""What the API answers, for OpenAPI. Answers are written as they are made; the tests hold them against these models."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RunState = Literal[
    "queued",
    "running",
    "paused",
    "stopped",
    "finished",
    "time-limit",
    "diverged",
    "interrupted",
    "out-of-memory",
    "worker-crashed",
]


class Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class FieldProblem(Answer):
    field: str | None = Field(description="JSON pointer into the request's body.")
    message: str


class ProblemAnswer(Answer):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str = Field(description="A sentence for a person: what happened and what to do next.")
    code: str = Field(description="Stable, for programs.")
    field: str | None = Field(description="JSON pointer to the part of the body that it is about.")
    request_id: str
    errors: list[FieldProblem] = Field(default=[], description="The first few, where several fields are wrong.")
    state: str | None = Field(default=None, description="409: the state that the run is in.")
    version: str | None = Field(default=None, description="409 `overtaken`: what the run is made of now.")


class Measurements(Answer):
    """The latest ones; null where not measured yet. Accuracies are shares, times are milliseconds for one example."""

    train_loss: float | None
    l1_loss: float | None
    l2_loss: float | None
    train_accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    test_r_squared: float | None = Field(
        description="Where a number is learned: the share of its variance that is met."
    )
    examples_per_second: float | None
    forward_ms: float | None
    backward_ms: float | None


class RunDataset(Answer):
    """The dataset's spec, a table's values left out, and what follows from it. The last three: points only; transactions have columns, too."""

    name: str
    task: Literal["classification", "regression"]
    classes: list[str] = Field(description="None where a number is learned.")
    input_shape: list[int] = Field(
        description="Height, width and channels of what the network sees; or the number of values."
    )
    train_examples: int
    validation_examples: int
    test_examples: int
    columns: list[str] | None = Field(default=None, description="Names of a point's coordinates.")
    domain: list[list[float]] | None = Field(
        default=None, description="[low, high] of x and of y in a picture of the points."
    )
    digest: str | None = Field(default=None, description="When it changes, the points are others.")


class Waiting(Answer):
    """A place in the line of runs that wait to be trained."""

    position: int = Field(description="1 is the next.")
    seconds: float | None = Field(description="How long it may take, by how long others waited; null: not known yet.")


class Run(Answer):
    """What it is made of, as it was created, and how it stands."""

    id: str
    name: str
    state: RunState
    sentence: str = Field(description="The state in words, with the next step to take.")
    step: int
    examples: int
    epoch: float
    seconds: float = Field(description="Training time; pauses are not counted.")
    created: str
    owner: str = Field(description="Who may steer it; “local”, where there is no class, is whoever reaches this server.")
    kind: Literal["run", "lab"] = Field(description="A lab's runs are in no list, and go when there are many.")
    shared: bool = Field(description="Whether others of the class may look at it.")
    named: bool = Field(description="Whether somebody chose its name; such a run is never deleted unasked.")
    waiting: Waiting | None = Field(description="While it waits for a place to train in, or to be looked into: where it stands in the line.")
    version: str = Field(description="Differs where what the run is made of does; a change can name it as `expected`.")
    generation: int = Field(description="Counts resets and restores; points of another generation are not this run's.")
    metrics: Measurements
    dataset: RunDataset
    network: list[dict[str, Any]]
    loss: str
    huber_delta: float = Field(
        description="Where the Huber loss turns from squared to straight; of no meaning to others."
    )
    class_weights: list[float] | None = Field(description="How much each class counts in the loss; null: all the same.")
    optimizer: dict[str, Any]
    schedule: dict[str, Any] = Field(description="How much of the optimizer's learning rate each update uses.")
    clip_norm: float | None = Field(description="The longest gradient that is followed as it is; null: any.")
    batch_size: int
    l1: float
    l2: float
    seed: int
    stop: dict[str, float | None]
    updates_per_second: float | None = Field(
        description="How quickly it trains, to be watched; null: as fast as it goes."
    )
    parameters: int = Field(description="How many weights and biases; `/spec` has those that are written out, if any.")
    multiply_adds: int
    links: dict[str, str]


class RunList(Answer):
    items: list[Run]
    next: str | None = Field(description="Cursor of the next page.")


class Points(Answer):
    """Columns of equal length; null where not measured at that step."""

    step: list[int]
    examples: list[int]
    seconds: list[float | None]
    train_loss: list[float | None]
    l1_loss: list[float | None]
    l2_loss: list[float | None]
    train_accuracy: list[float | None]
    validation_loss: list[float | None]
    validation_accuracy: list[float | None]
    test_loss: list[float | None]
    test_accuracy: list[float | None]


class Drawing(Answer):
    """A digit of one's own as it is kept: centred, 28×28."""

    id: str
    label: int = Field(description="Which digit it shows, as its visitor says.")
    image_base64: str = Field(description="784 bytes of ink, row by row, 255 for full ink.")
    created: str


class DrawingList(Answer):
    """Oldest first."""

    items: list[Drawing]
    packed: str = Field(
        description="The newest of them as `values` of a dataset's `drawings`, as many as 12,000 letters hold; empty "
        "without any."
    )


class LayerAnswer(Answer):
    index: int
    type: str
    name: str
    input_shape: list[int] = Field(description="Height, width, channels; or the number of values.")
    output_shape: list[int]
    parameters: int
    parameter_formula: str
    multiply_adds: int


class LayerProblemAnswer(Answer):
    index: int
    type: str
    problem: str = Field(description="Why it cannot be built; empty for the layers after it.")
    field: str | None


class NetworkAnswer(Answer):
    layers: list[LayerAnswer | LayerProblemAnswer]
    parameters: int | None = Field(description="Of the whole network; null while a layer cannot be built.")
    multiply_adds: int | None
    problem: str | None = Field(description="The first reason why no run can be made of it, or null.")
    field: str | None


class Packed(Answer):
    """One byte a value: value = low + (high − low) · byte / 255."""

    shape: list[int]
    low: float
    high: float
    data: str = Field(description="base64 of the bytes, row by row.")


class Told(Answer):
    """An array in figures. All null where it has stopped being made of numbers."""

    shape: list[int]
    low: float | None
    high: float | None
    mean: float | None
    values: list[Any] | None = Field(description="Nested lists, of up to 64 values.")
    pack: Packed | None = Field(description="Of 65 to 6,500 values.")


class SteepestParameter(Answer):
    """The one that the loss answers to most."""

    place: list[int]
    old: float | None
    gradient: float | None
    new: float | None


class ParameterChange(Answer):
    old: Told
    gradient: Told = Field(description="What the optimizer was given: of the mean loss and of weight decay, clipped.")
    new: Told
    steepest: SteepestParameter


class NarratedLayer(Answer):
    index: int
    type: str
    name: str
    outputs: Told
    gradients: Told = Field(description="How this example's loss answers to each of the outputs.")
    weights: ParameterChange | None
    biases: ParameterChange | None


class NarratedBatch(Answer):
    examples: int
    of: int = Field(description="Training examples in all.")
    places: list[int] = Field(description="Of points: in the order of GET …/points; else in the training split.")


class NarratedExample(Answer):
    """The first of the batch."""

    input: Told
    label: str | None = Field(description="Its class; null where a number is learned.")
    target: float | None = Field(description="The number to be met, as the loss has it.")
    classes: list[str]
    probabilities: list[float] | None
    loss: float | None = Field(description="Null when it is no finite number.")


class Narration(Answer):
    """One update. Where it is plain descent, new = old − learning_rate · gradient, of every parameter."""

    step: int = Field(description="Updates done, this one included.")
    made: bool = Field(description="False of a run that has finished: it is told what the next update would do.")
    optimizer: str
    learning_rate: float
    batch: NarratedBatch
    example: NarratedExample
    loss: float | None = Field(description="The batch's mean, before the update.")
    penalty: float | None = Field(description="What weight decay adds to it.")
    layers: list[NarratedLayer]


class Prediction(Answer):
    """All null where there is nothing to classify: an empty drawing. Where a number is learned, only `number` is not."""

    class_: int | None = Field(alias="class")
    label: str | None
    probabilities: list[float] | None
    number: float | None = Field(default=None, description="What is predicted where a number is learned.")


class Predictions(Answer):
    step: int
    predictions: list[Prediction]
    preprocessed: list[list[float]] | None = Field(default=None, description="What the network saw of a drawing.")


class ClassScore(Answer):
    class_: str | int = Field(alias="class")
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


class Evaluation(Answer):
    split: str
    step: int
    examples: int
    accuracy: float | None = Field(description="Null where a number is learned.")
    loss: float | None = Field(description="Null when it is no finite number.")
    crops: int
    confusion: list[list[int]] = Field(description="Rows: the true class. Columns: the predicted class.")
    per_class: list[ClassScore]
    r_squared: float | None = Field(
        default=None, description="Where a number is learned: the share of its variance that is met, 1 at best."
    )
    mean_absolute_error: float | None = Field(default=None, description="In the units of what is learned.")
    root_mean_squared_error: float | None = Field(default=None, description="In the units of what is learned.")


class ClassifiedExample(Answer):
    index: int
    label: int
    class_: int = Field(alias="class")
    right: bool
    top: list[list[float]] = Field(description="Class and probability of the three most probable.")
    image: Packed


class CheckedGroup(Answer):
    """The weights or the biases of one layer."""

    index: int
    layer: str
    group: Literal["weights", "biases"]
    size: int
    checked: int = Field(description="How many of them were tried.")
    difference: float = Field(description="From the mean of the slopes to both sides, relative; larger at a kink of a ReLU.")
    error: float = Field(description="How far outside of the two slopes, relative: 0 perfect, near 1 unrelated.")


class GradientCheck(Answer):
    step: int
    examples: int
    groups: list[CheckedGroup]
    worst: float = Field(description="The largest error.")


class ClassifiedExamples(Answer):
    step: int
    total: int
    items: list[ClassifiedExample]


class RunPoints(Answer):
    """Everything that a run of points learns from and is tested on."""

    columns: list[str]
    classes: list[str] = Field(description="None where a number is learned.")
    target: str = Field(description="Name of what is learned.")
    values: list[list[float]] = Field(description="The coordinates of each point.")
    labels: list[float] = Field(
        description="Each point's class, as its place in `classes`; or the number to be learned."
    )
    split: list[str]
    domain: list[list[float]] = Field(description="[low, high] of x and of y in a picture of the points.")
    digest: str


class Boundary(Answer):
    """The network over a grid. One of the three is there: probabilities of classes, an output, or a unit's response."""

    step: int
    resolution: int
    domain: list[list[float]]
    classes: list[str]
    probabilities: list[list[list[float]]] | None = Field(
        default=None, description="For each class rows of a picture, the largest y first."
    )
    output: list[list[float]] | None = Field(default=None, description="Where a number is learned.")
    response: list[list[float]] | None = Field(default=None, description="Of the unit that was asked for.")


class RejectedRow(Answer):
    line: int
    reason: str
    text: str


class Table(Answer):
    dataset: dict[str, Any] = Field(description="A dataset as runs take it.")
    rows: int
    rejected: list[RejectedRow] = Field(description="Rows that could not be used, with the reason; no other is lost.")
    columns: list[str] = Field(description="All columns of the file.")
    numeric: list[str] = Field(description="Those of them that can be learned from.")


class Example(Answer):
    index: int
    label: int
    image: list[list[float]] = Field(description="Rows of ink from 0 to 1, as predictions take them.")


class Examples(Answer):
    split: str
    total: int
    items: list[Example]


class Dataset(Answer):
    name: str
    title: str
    description: str
    classes: list[str]
    input_shape: list[int]
    splits: dict[str, int]
    problem: str | None = Field(description="Why it cannot be used, or null.")


class Preset(Answer):
    name: str
    title: str
    description: str
    spec: dict[str, Any]


class Limit(Answer):
    name: str
    value: float
    description: str


class LimitList(Answer):
    items: list[Limit]


class Health(Answer):
    status: str
    version: str
    build: str = Field(description="Another one when the pages, styles or scripts of this server are others.")
    workers: int = Field(description="How many are ready.")
    runs: int = Field(description="How many train or wait.")
    notice: str | None = Field(description="What a person should know of how runs are kept, if anything is amiss.")


class LabTask(Answer):
    """A question that the lab can check."""

    name: str
    question: str
    hint: str


class LabSummary(Answer):
    """One lab of the lecture; `page` is where a person opens it."""

    name: str
    number: int
    title: str
    chapter: str
    claim: str
    summary: str
    page: str
    tasks: list[LabTask]


class LabSetting(Answer):
    """What can be set: its value as the lab opens, its legal range or words, and what it means."""

    name: str
    value: Any
    low: float | None
    high: float | None
    options: list[str]
    meaning: str


class Lab(LabSummary):
    """The whole lesson: words with LaTeX between $, and what can be set."""

    parts: list[str]
    formulas: list[str]
    symbols: dict[str, str]
    remember: list[str]
    runs: list[str] = Field(description="Names of the trainings it has, in the order of `at`.")
    settings: list[LabSetting]


class LabVerdict(Answer):
    """How far a task is in the state that was asked about."""

    task: str
    solved: bool
    nearness: float = Field(description="0 to 1.")
    note: str


class ReportedTask(Answer):
    """A task; of a solved one also the state that solved it.

    That state is told as `note`, `page`, `settings`, `at` and `when`.
    """

    task: str
    question: str
    solved: bool


class ReportedLab(Answer):
    lab: str
    number: int
    title: str
    state: dict[str, Any] | None = Field(description="The lab as it was saved: settings, runs, figures, pictures.")
    tasks: list[ReportedTask]


class LabReport(Answer):
    """What a student hands in, and what `verification` reads."""

    format: Literal["nabla-report"]
    version: int
    made: str
    student: str
    labs: list[ReportedLab]


class VerifiedClaim(Answer):
    """One claim of a report, computed again here."""

    lab: str
    claim: str
    verdict: Literal["holds", "differs", "fails", "unchecked"] = Field(
        description="`differs`: solved here, too, but with other figures; `fails`: not solved here; `unchecked`: `found` says why."
    )
    said: str = Field(description="The figures of the report, in words.")
    found: str = Field(description="Those that came out here.")
    page: str = Field(description="Address of the state, if there is one.")


class LabState(Answer):
    """A state of a lab, computed anew."""

    page: str = Field(description="Address of this very state.")
    at: list[int] = Field(description="Updates that each run has done.")
    figures: Any
    verdicts: list[LabVerdict]
