"""Reports checked by doing again what they say: every solved task's state is computed anew, and the task held against it.

Nothing in a report is believed. It may be damaged, made by hand, or made to cost much: what it says is read with limits on
its size and on the time that computing it may take, and each thing that cannot be checked is told in a sentence.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from math import isclose
from time import monotonic
from typing import Any, Literal, NoReturn, TypeAlias

from app.errors import Problem, Unprocessable
from app.labs.catalogue import LABS
from app.labs.lesson import MOST_RUNS, Json, Lab
from app.labs.settings import read
from app.services.labs import Labs, Visit, address
from app.services.reports import FORMAT, VERSION
from app.settings import Limits

log = logging.getLogger(__name__)

Verdict: TypeAlias = Literal["holds", "differs", "fails", "unchecked"]

EMBEDDED = re.compile(r'<pre id="nabla-report"[^>]{0,40}>')
"""Behind it, up to the next `</pre>`, stands the report. Nothing of it is searched twice."""
TOLERANCE = 1e-4
"""Of a figure, relative: another machine adds up in another order, and a training carries that on."""
SMALLEST = 1e-6
OF_THE_CLOCK = re.compile(r"seconds|per_second|_ms$")
"""Names of figures that no two computations share."""
LONGEST_WORDS = 300
LONGEST_SETTINGS = 100_000
"""Letters in the settings of one state."""
MOST_CONTAINERS = 200_000
"""Lists and objects in one report: a parser makes millions of them out of a few megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one claim of a report. `said` is what the report says, `found` what came out here; `page` is the state."""

    file: str
    student: str
    lab: str
    claim: str
    verdict: Verdict
    said: str
    found: str
    page: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """That a task is solved in a state of its lab, or (without a task) that its figures are those."""

    lab: Lab
    task: str | None
    settings: Mapping[str, str]
    at: tuple[int, ...]
    said: str
    figures: Any = None

    @property
    def words(self) -> str:
        return next(
            (task.question for task in self.lab.tasks if task.name == self.task), "The figures as they were saved"
        )


class Verification:
    """Checks reports one claim after the other, each within `verification_seconds`."""

    def __init__(self, labs: Labs, limits: Limits) -> None:
        self._labs, self._limits = labs, limits
        self._tasks: set[asyncio.Task[Visit]] = set()

    async def check(self, files: Mapping[str, bytes]) -> AsyncIterator[Outcome]:
        """One outcome for each claim of each file, as soon as it is there; the same state is computed once."""
        known: dict[tuple[Any, ...], Visit | str] = {}
        end, left = monotonic() + self._limits.verifications_seconds, self._limits.claims
        for file, body in files.items():
            try:
                student, found = await asyncio.to_thread(read_report, body, self._limits.report_bytes)
            except Unprocessable as error:
                yield unchecked(file, "", "The file", error.detail)
                continue
            for claim in found:
                left -= 1
                if left < 0 or monotonic() >= end:
                    yield unchecked(
                        file, student, "The rest", "There is too much to check; take fewer files at a time."
                    )
                    return
                if isinstance(claim, str):
                    yield unchecked(file, student, "A part of it", claim)
                else:
                    yield await self._outcome(file, student, claim, known)

    async def _outcome(
        self, file: str, student: str, claim: Claim, known: dict[tuple[Any, ...], Visit | str]
    ) -> Outcome:
        key = (claim.lab.name, tuple(sorted(claim.settings.items())), claim.at)
        if key not in known:
            known[key] = await self._visit(claim)
        visit, title = known[key], claim.lab.title
        if isinstance(visit, str):
            return unchecked(file, student, claim.words, visit, lab=title, said=claim.said)
        verdict, found = judged(claim, visit)
        page = address(claim.lab, visit.settings, visit.at)
        return Outcome(
            file=file, student=student, lab=title, claim=claim.words, verdict=verdict, said=claim.said, found=found, page=page
        )  # fmt: skip

    async def _visit(self, claim: Claim) -> Visit | str:
        """The state that is claimed, or why it cannot be computed."""
        settings, errors = read(claim.lab.settings, claim.settings)
        if errors:
            name, why = next(iter(errors.items()))
            return cut(f"Its {name.replace('_', ' ')} cannot be used: {why}")
        at = ".".join(map(str, claim.at))
        work = asyncio.create_task(self._labs.redo(claim.lab, settings, at))
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)
        try:
            await asyncio.wait({work}, timeout=self._limits.verification_seconds)
        finally:
            if not work.done():
                work.cancel()  # it still puts its runs away
        if not work.done():
            return f"It takes more than {self._limits.verification_seconds:g} seconds to compute."
        try:
            return work.result()
        except Problem as problem:
            return cut(problem.detail)
        except Exception as error:
            log.error("a state of the lab %s cannot be computed", claim.lab.name, exc_info=error)
            return "It cannot be computed here."


def unchecked(file: str, student: str, claim: str, why: str, *, lab: str = "", said: str = "") -> Outcome:
    return Outcome(file=file, student=student, lab=lab, claim=claim, verdict="unchecked", said=said, found=why)


def judged(claim: Claim, visit: Visit) -> tuple[Verdict, str]:
    if claim.task is None:
        difference = first_difference(claim.figures, visit.figures)
        return ("holds", "Every figure is the same.") if difference is None else ("differs", cut(difference))
    verdict = visit.verdicts[claim.task]
    if not verdict.solved:
        return "fails", verdict.note or "It is not solved there."
    return ("holds" if verdict.note == claim.said else "differs"), verdict.note


def first_difference(said: Any, found: Any, place: str = "") -> str | None:
    """Where the figures of a report are not those that came out here; times do not count."""
    if isinstance(found, dict):
        if not isinstance(said, dict) or said.keys() != found.keys():
            return f"{place or 'The figures'}: other names"
        parts: Iterator[tuple[Any, Any, Any]] = (
            (key, said[key], found[key]) for key in found if not OF_THE_CLOCK.search(key)
        )
    elif isinstance(found, list | tuple):
        if not isinstance(said, list) or len(said) != len(found):
            return f"{place}: another length"
        parts = zip(range(1, len(found) + 1), said, found, strict=True)
    else:
        same = said == found
        if isinstance(found, float | int) and isinstance(said, float | int):
            same = isclose(said, found, rel_tol=TOLERANCE, abs_tol=SMALLEST)
        return None if same else f"{place}: {written(said)} in the report, {written(found)} here"
    return next(
        (
            difference
            for key, one, other in parts
            if (difference := first_difference(one, other, f"{place} {key}".strip())) is not None
        ),
        None,
    )


def written(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else cut(str(value), 40)


# ---- Reading ---------------------------------------------------------------------------------------------------------------


def read_report(body: bytes, most: int) -> tuple[str, list[Claim | str]]:
    """Who made it, and its claims; a sentence stands for one that cannot be read. Unprocessable when nothing can."""
    if len(body) > most:
        raise unreadable(f"It is larger than the {most / 2**20:g} MiB that are read.")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise unreadable("It is not a text file.") from None
    if not text.lstrip().startswith("{"):
        start = EMBEDDED.search(text)
        if start is None:
            raise unreadable("It is not a report that was saved here: neither the JSON file nor the HTML file.")
        text = unescape(text[start.end() :].partition("</pre>")[0])
    if text.count("[") + text.count("{") > MOST_CONTAINERS:
        raise unreadable(f"It holds more than {MOST_CONTAINERS:,} lists and objects.")
    try:
        value = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise unreadable("It is damaged: the text of the report cannot be read.") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT or not isinstance(value.get("labs"), list):
        raise unreadable("It is not a report of the labs.")
    if value.get("version") != VERSION:
        raise unreadable("It was saved by another version of this program.")
    return cut(text_of(value.get("student")), 80), [claim for lab in value["labs"] for claim in claims(lab)]


def claims(section: Any) -> Iterator[Claim | str]:
    """What one lab's part of a report says."""
    lab = LABS.get(text_of(section.get("lab"))) if isinstance(section, dict) else None
    if lab is None:
        yield "It speaks of a lab that there is not here."
        return
    state, tasks = section.get("state"), section.get("tasks")
    if isinstance(state, dict):
        yield claim_of(lab, None, state, "", state.get("figures"))
    for task in tasks if isinstance(tasks, list) else ():
        if not isinstance(task, dict) or task.get("solved") is not True:
            continue
        name = text_of(task.get("task"))
        if name not in [known.name for known in lab.tasks]:
            yield f"It speaks of a task that {lab.title} has not."
            continue
        yield claim_of(lab, name, task, cut(text_of(task.get("note"))))


def claim_of(lab: Lab, task: str | None, state: Json, said: str, figures: Any = None) -> Claim | str:
    settings, at = state.get("settings"), state.get("at")
    known = isinstance(settings, dict) and all(isinstance(text, str) for text in settings.values())
    if not isinstance(settings, dict) or not known or sum(map(len, settings.values())) > LONGEST_SETTINGS:
        return f"The settings of a state of {lab.title} cannot be read."
    if not isinstance(at, list) or len(at) > MOST_RUNS or not all(type(number) is int and 0 <= number < 10**9 for number in at):
        return f"The updates of a state of {lab.title} cannot be read."
    return Claim(lab=lab, task=task, settings=settings, at=tuple(at), said=said, figures=figures)


def unreadable(why: str) -> Unprocessable:
    return Unprocessable(why, code="unreadable_report")


def refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else ""


def cut(text: str, length: int = LONGEST_WORDS) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
