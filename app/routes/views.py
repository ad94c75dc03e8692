"""What the pages show of a run beyond its own figures: words, what may be pressed and why not, matrix, snippets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request

from app.asking import LECTURER, asking
from app.services.people import People
from app.services.places import InLine
from app.templating import environment
from app.workers.states import ACCIDENTS, MAY_BECOME, STEPPABLE

WORDS = {
    "queued": "Waiting",
    "running": "Training",
    "paused": "Paused",
    "stopped": "Stopped",
    "finished": "Finished",
    "time-limit": "Time is up",
    "diverged": "Diverged",
    "interrupted": "Interrupted",
    "out-of-memory": "Out of memory",
    "worker-crashed": "Stopped by a fault",
}


@dataclass(frozen=True, slots=True)
class Commands:
    """What the run bar offers; a reason says why something cannot be pressed and is empty where it can.

    `mine`: whoever asks may steer the run; `sharable`: and there is a class to share it with.
    """

    word: str
    next_state: str
    toggle_reason: str
    step_reason: str
    reset_reason: str
    cure_rate: float | None
    accident: bool
    mine: bool
    sharable: bool


def command_states(run: Mapping[str, Any]) -> Commands:
    state = run["state"]
    next_state = "paused" if state in ("running", "queued") else "running"
    mine = is_mine(run)
    theirs = "" if mine else "You can look at this run; only its owner can steer it."
    return Commands(
        word=WORDS[state],
        next_state=next_state,
        toggle_reason=theirs or ("" if state in MAY_BECOME[next_state] or run["waiting"] else _reason(state)),
        step_reason=theirs or ("" if state in STEPPABLE else _reason(state)),
        reset_reason=theirs or (_reason(state) if state == "queued" else ""),
        # A tenth is the usual cure, and one digit is as exact as such a guess can be.
        cure_rate=float(f"{run['optimizer']['learning_rate'] / 10:.1g}") if state == "diverged" else None,
        accident=state in ACCIDENTS and mine,
        mine=mine,
        sharable=mine and asking.get().in_class and bool(run["id"]),
    )


def is_mine(run: Mapping[str, Any]) -> bool:
    """Whether whoever asks may steer the run; one that is still to be made is theirs."""
    asker = asking.get()
    return asker.may_steer(run.get("owner", asker.person))


def whose(run: Mapping[str, Any], request: Request) -> str | None:
    """Whose run it is, by nickname; None: whoever asks may steer it."""
    if is_mine(run):
        return None
    if run["owner"] == LECTURER.person:
        return LECTURER.nickname
    people: People = request.app.state.people
    return next((person.nickname for person in people.everybody if person.person == run["owner"]), "somebody who has left")


def _reason(state: str) -> str:
    return {
        "queued": "It waits for its turn.",
        "running": "Pause it to take single updates.",
        "stopped": "It was stopped for good. Reset it to train from the beginning.",
        "finished": "It has finished. Train on, then pause, to take single updates.",
        "time-limit": "It has trained for as long as it may unasked. Train on, then pause, to take single updates.",
    }.get(state, "Train on or reset it first.")


def state_word(run: Mapping[str, Any]) -> str:
    """A word for the state; of a run that waits in line also its place and how long that may take."""
    word, waiting = WORDS[run["state"]], run.get("waiting")
    if run["state"] != "queued" or not waiting:
        return word
    where = InLine(**waiting)
    return f"{word} · number {where.position:,}{f', {where.time}' if where.time else ''}"


def in_line(waiting: Mapping[str, Any]) -> str:
    return InLine(**waiting).words


def page_address(run: Mapping[str, Any]) -> str:
    """The page that shows such a run."""
    dataset = run["dataset"]
    if dataset["name"] == "mnist":
        return "/"
    if dataset["name"] == "transactions":
        return "/labs/unbalanced-data"  # which has runs of its own, and tells what this one is about
    return "/curve" if dataset["name"] == "curve" or len(dataset["columns"]) == 1 else "/plane"


def moment(iso: str) -> str:
    """2026-11-22T14:05:09Z as 22 Nov 2026, 14:05."""
    return f"{datetime.fromisoformat(iso):%d %b %Y, %H:%M}".lstrip("0")


environment.globals["mine"] = is_mine
environment.filters.update(state_word=state_word, in_line=in_line, moment=moment, page_address=page_address)


# ---- The confusion matrix ---------------------------------------------------------------------------------------------------


def evaluation_view(evaluation: Mapping[str, Any], classes: list[str]) -> dict[str, Any]:
    """Rows of the matrix. A mistake's tint tells its share of the row: some, above 0.4 %, above 1.2 %."""
    rows = []
    for truth, counts in enumerate(evaluation["confusion"]):
        total = sum(counts)
        cells = [
            {
                "index": predicted,
                "name": classes[predicted],
                "count": count,
                "hit": predicted == truth,
                "level": 0 if predicted == truth else (count > 0) + (count > 0.004 * total) + (count > 0.012 * total),
            }
            for predicted, count in enumerate(counts)
        ]
        rows.append(
            {"index": truth, "name": classes[truth], "cells": cells, "right": counts[truth] / total if total else None}
        )
    right = sum(row[index] for index, row in enumerate(evaluation["confusion"]))
    return {**evaluation, "rows": rows, "right": right}


# ---- "Drive it from a program" -------------------------------------------------------------------------------------------------


def snippets(run: Mapping[str, Any], address: str) -> dict[str, str]:
    """What this page does, as a program would ask for it."""
    url = f"{address}api/runs/{run['id']}"
    curl = "\n".join(
        (
            f"curl {url}",
            f"curl -X PATCH {url} -H 'Content-Type: application/json' -d '{{\"state\": \"paused\"}}'",
            f"curl -X POST {url}/steps -H 'Content-Type: application/json' -d '{{\"count\": 10}}'",
            f"curl '{url}/evaluation?split=test'",
            f"curl -N '{url}/events?views=metrics'",
        )
    )
    python = "\n".join(
        (
            "import httpx",
            "",
            f'run = httpx.Client(base_url="{url}", timeout=60)',
            'print(run.get("").json()["metrics"])',
            'run.patch("", json={"state": "paused"}).raise_for_status()',
            'run.post("/steps", json={"count": 10}).raise_for_status()',
            'print(run.get("/evaluation", params={"split": "test"}).json()["accuracy"])',
            'run.patch("", json={"state": "running"}).raise_for_status()',
        )
    )
    return {"curl": curl, "python": python}
