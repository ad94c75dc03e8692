"""What a lab is made of: words, settings, tasks, and functions that say what its runs and its figures are.

A lab's whole state is its settings (they stand in the address) and how many updates its runs have done. So a link restores
it exactly, a report can be checked by doing it again, and two visitors never share anything. `figures` and `look` are
carried out in worker processes; everything else of a lab is words and plain values.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from engine.specs import RunSpec
from engine.trainer import Trainer

Json: TypeAlias = dict[str, Any]

MOST_RUNS = 4
LONGEST_PATH = 200_000
"""Updates that a link may ask for before it shows its state; they are done when it is opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """How one run of a lab stands, as its worker says; one that has not begun has no parameters and no metrics."""

    step: int = 0
    examples: int = 0
    epoch: float = 0.0
    seconds: float = 0.0
    state: str = "queued"
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    parameters: tuple[float, ...] | None = None
    """Flat, layer by layer, as in the network; None where there are more than `MOST_PARAMETERS`."""
    seen: Json = field(default_factory=dict)
    """What `Lab.look` answered."""

    @property
    def more(self) -> bool:
        """Whether another look would tell more: the last one said so by a `more` that is true, and the run stands still."""
        return self.state != "running" and bool(self.seen.get("more"))


MOST_PARAMETERS = 500

Runs: TypeAlias = Mapping[str, RunState]


@dataclass(frozen=True, slots=True)
class Formula:
    """LaTeX, and the lines with this student's numbers put in."""

    latex: str
    numbers: Callable[[Json], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thought. Paragraphs of `text` stand apart by an empty line; `$…$` is LaTeX, <b> and <i> are allowed.

    While it is presented the figure shows `stress` strongest: elements that carry another `data-about` fade.
    """

    text: str
    formula: Formula | None = None
    stress: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a task is solved, how near it is (0 to 1), and in words how."""

    solved: bool
    nearness: float = 0.0
    note: str = ""


Check: TypeAlias = Callable[[Any, Json, Runs], Verdict]
"""(settings, figures, runs): only from what is truly there, so that it can be done again from a report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A question that the page can check; `hint` stands under it until there is something to say."""

    name: str
    question: str
    hint: str
    check: Check


Look: TypeAlias = Callable[[Trainer, Any, str], Generator[None, None, Json]]
"""(trainer, settings, name of the run): in portions of at most 30 ms; the trainer is not changed.

What takes longer than a second is told in several looks, each of which answers what is known so far with a true `more`: the
page asks again at once, and shows how far it is.
"""


def no_runs(_: Any) -> Mapping[str, RunSpec]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """One lesson. `settings` is a frozen dataclass whose defaults are the lab as opened; its annotations hold the ranges."""

    name: str
    number: int
    title: str
    claim: str
    chapter: str
    summary: str
    settings: type[Any]
    parts: tuple[Part, ...]
    symbols: Mapping[str, str]
    tasks: tuple[Task, ...]
    remember: tuple[str, str]
    figures: Callable[[Any, Runs], Any]
    """Plain JSON; a function of a module, or a generator function that returns it, when it takes long."""
    runs: Callable[[Any], Mapping[str, RunSpec]] = no_runs
    look: Look | None = None
    speed: float | None = None
    plays: bool = True
    watch: Mapping[str, Any] = field(default_factory=dict)
    elements: tuple[str, ...] = ()

    @property
    def trains(self) -> bool:
        return self.runs is not no_runs
