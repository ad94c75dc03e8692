"""Figures of how much the playground stands, held against their goals in one table that can go into the README.

A test notes each figure it saw. The notes are lines of JSON in the file that `FILE` names, so that they come together
from every process that tests; `python3 -m tests --faults` and `--load` name it, and print the table in the end. Without
it (in the ordinary suite) nothing is kept.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

FILE = "NABLA_FIGURES"
"""The environment variable that names the file."""

GOALS = {
    "Class load": "300 visitors, streams and runs: 0 streams dropped, 0 answers of 5xx, events p95 ≤ 250 ms, p99 ≤ 1 s, "
    "pages p95 ≤ 200 ms, commands p95 ≤ 100 ms, ≤ 600 MB in all",
    "Head-room": "1,000 streams at one event a second: p95 ≤ 500 ms; the 1,501st is told to come back (503)",
    "Start burst": "300 creates at once in ≤ 2 s, 1,000 in ≤ 5 s, each answered 201, 202, 429 or 503 in words",
    "Fairness": "300 runs: each advances within 10 s, Jain index ≥ 0.95; 50 runs of one visitor get ≤ 1 share",
    "Worst input": "≥ 1,000 listed and ≥ 20,000 generated inputs: 0 stalls > 100 ms, 0 answers of 5xx, ≤ 20 MB more",
    "Slow readers": "50 stalled beside 250 live: stalled dropped ≤ 30 s, live p95 within 1.5 ×",
    "Vanished clients": "freed ≤ 30 s",
    "Resume": "≥ 1,000 random cuts: 0 events lost, doubled or out of order",
    "Worker kills": "≥ 200: noticed ≤ 2 s, resumed ≤ 5 s, bit-identical in the end",
    "Server kills": "≥ 200 under load: 0 acknowledged runs lost, 0 orphans after 2 s, start ≤ 3 s, "
    "≤ one interval between checkpoints lost",
    "Shutdown": "≤ 3 s with 300 streams, exit code 0",
    "Disk faults": "each ends in a usable app and a plain message",
    "Leaks": "100 cycles: ≤ 2 file descriptors, 0 tasks and ≤ 5 MB more; flat for two hours",
    "Security": "every route in the generated host, origin, owner and header tests; 40 payloads × every sink in a browser "
    "and ~60 traversal strings × every parameter: 0 executions, 0 violations",
    "Files": "12 damaged IDX files, 2,000 mutated networks, a checkpoint cut at every byte: 0 crashes",
    "Cluster": "two nodes: a lost node's runs resume elsewhere, bit-identical; class load beside the local pool",
}
"""What was promised, by area."""


def note(area: str, measured: str, *, met: bool) -> None:
    """One figure: `measured` in words with its number, and whether that meets the goal of its area."""
    if area not in GOALS:
        raise KeyError(f"{area!r} is none of the areas {', '.join(GOALS)}")
    if path := os.environ.get(FILE):
        line = json.dumps({"area": area, "measured": measured, "met": met}) + "\n"
        with open(
            path, "a", encoding="utf-8"
        ) as file:  # one short write behind the end: lines of several processes stay whole
            file.write(line)


def read(path: Path) -> list[dict[str, object]]:
    """The notes in a file, by area in the order of `GOALS`, within an area as they came."""
    notes = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    order = list(GOALS)
    return sorted(notes, key=lambda each: order.index(each["area"]))


def table(notes: list[dict[str, object]]) -> str:
    """Markdown: a row an area, its figures one below the other."""
    rows = ["| | goal | measured | met |", "|---|---|---|---|"]
    for area, goal in GOALS.items():
        figures = [each for each in notes if each["area"] == area]
        if figures:
            measured = "<br>".join(str(each["measured"]) for each in figures)
            rows.append(
                f"| {area} | {goal} | {measured} | {'<br>'.join('yes' if each['met'] else '**no**' for each in figures)} |"
            )
    return "\n".join(rows)
