"""Where the server listens, where it keeps things, and every limit it holds: the one place for each of these numbers.

The limits are shown at `GET /api/limits` and on the page `/limits`, each with the sentence that stands beside it here.
Arguments come first, then the environment (`NABLA_HOST`, `NABLA_PORT`, `NABLA_DATA`, `NABLA_WORKERS`, `NABLA_CLASS`, `NABLA_CLUSTER`), then defaults.
"""

from __future__ import annotations

import os
import platform
import sqlite3
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from annotated_types import DocInfo, doc
from platformdirs import user_data_dir

from app import __version__
from engine.specs import (
    MAX_LAYERS,
    MAX_NAME_CHARACTERS,
    MAX_PARAMETERS,
    MAX_POINTS,
    MAX_RUN_BYTES,
    MAX_TABLE_NUMBERS,
)

DEFAULT_PORT = 8000
DISK_FREE_BYTES = 50 * 2**20
FURTHER_PORTS = 20


class SettingsError(Exception):
    """A start-up choice that cannot be used; the message is one line for the person at the terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every limit, in plain units (bytes, seconds, counts)."""

    body_bytes: Annotated[int, doc("Bytes in the body of a request.")] = 384 * 2**10
    table_bytes: Annotated[int, doc("Bytes in a table of one's own (CSV) that is sent here.")] = 2 * 2**20
    model_bytes: Annotated[int, doc("Bytes in a saved network that is sent here.")] = 48 * 2**20
    drawing_bytes: Annotated[int, doc("Bytes in a request that carries drawings or images.")] = 2 * 2**20
    drawings: Annotated[int, doc("Drawings that one visitor keeps.")] = 60
    drawings_stored: Annotated[int, doc("Drawings of all visitors together; the oldest make room.")] = 100_000
    report_bytes: Annotated[int, doc("Bytes in a report of the labs, its pictures included.")] = 12 * 2**20
    reports_bytes: Annotated[int, doc("Bytes in all reports that are verified together.")] = 96 * 2**20
    claims: Annotated[int, doc("Solved tasks and states that are verified together.")] = 1_000
    verification_seconds: Annotated[float, doc("Seconds that it may take to compute one of them again.")] = 180.0
    verifications_seconds: Annotated[float, doc("Seconds after which no further one is begun.")] = 1_800.0
    json_depth: Annotated[int, doc("How deeply lists and objects may be nested in a request.")] = 32
    name_characters: Annotated[int, doc("Characters in the name of a run.")] = MAX_NAME_CHARACTERS
    layers: Annotated[int, doc("Layers in a network.")] = MAX_LAYERS
    parameters: Annotated[int, doc("Parameters (weights and biases) in a network.")] = MAX_PARAMETERS
    run_bytes: Annotated[int, doc("Bytes of memory that one run may need while it trains, by estimate.")] = (
        MAX_RUN_BYTES
    )
    run_seconds: Annotated[
        float, doc("Seconds that a run trains until somebody has to say again that it should go on.")
    ] = 3_600.0
    memory_bytes: Annotated[int, doc("Bytes of memory that all open runs may need together, by estimate.")] = 4 * 2**30
    runs_live: Annotated[int, doc("Runs that are open at the same time: training, or looked at.")] = 600
    runs_waiting: Annotated[int, doc("Runs that wait in line while all places are taken.")] = 600
    runs_per_visitor: Annotated[int, doc("Runs of one visitor of a class that train or wait at the same time.")] = 50
    named_per_visitor: Annotated[
        int, doc("Runs that one visitor of a class may have named, or read from files: they never make room by themselves.")
    ] = 50
    people: Annotated[int, doc("People who may join a class.")] = 600
    idle_seconds: Annotated[
        float, doc("Seconds after which a run that does not train, and that nobody looks at, gives its place back.")
    ] = 60.0
    unwatched_seconds: Annotated[
        float, doc("Seconds after which a run without an end rests in a class when nobody looks at it.")
    ] = 120.0
    runs_stored: Annotated[
        int,
        doc(
            "Runs that are kept. Beyond it those go that nobody named or uses, labs' first, then those that nobody has "
            "wanted longest; when only named ones are left, delete one to make room."
        ),
    ] = 2_000
    lab_runs: Annotated[
        int, doc("Of them those that labs have made; the oldest go when nobody looks at them, and are made anew.")
    ] = 1_000
    disk_bytes: Annotated[
        int, doc("Bytes that the saved states of all runs may take on the disk; beyond it runs go in the same order.")
    ] = 8 * 2**30
    disk_free_bytes: Annotated[
        int,
        doc("Bytes that are left free on the disk: below it nothing is sent here or saved, and runs train in memory."),
    ] = DISK_FREE_BYTES
    keys_days: Annotated[int, doc("Days for which the Idempotency-Key of a request is remembered.")] = 7
    solved_days: Annotated[int, doc("Days for which a task of a lab that was solved stays marked.")] = 400
    streams: Annotated[int, doc("Live streams (open pages) on the whole server.")] = 1_500
    streams_per_client: Annotated[
        int, doc("Live streams of one network address; everybody behind one proxy shares it.")
    ] = 1_000
    streams_per_visitor: Annotated[int, doc("Live streams of one visitor of a class; a browser opens six at most.")] = (
        12
    )
    runs_per_stream: Annotated[int, doc("Runs that one live stream follows together.")] = 6
    watches_per_run: Annotated[int, doc("Pages that look at one run with an example of their own.")] = 64
    steps: Annotated[int, doc("Updates that one step command may ask for.")] = 1_000
    points: Annotated[int, doc("Points that a run learns from and is tested on.")] = MAX_POINTS
    table_numbers: Annotated[int, doc("Rows times columns of a table of one's own.")] = MAX_TABLE_NUMBERS
    weight_changes: Annotated[int, doc("Weights that one request may set by hand.")] = 2_048
    batch: Annotated[int, doc("Examples in one prediction request.")] = 256
    examples: Annotated[int, doc("Examples in one page of a dataset.")] = 100
    tiles: Annotated[int, doc("Test examples that one page watches as tiles.")] = 60
    page: Annotated[int, doc("Runs in one page of a list.")] = 100
    ink_smallest: Annotated[int, doc("Pixels on the side of the smallest drawing.")] = 28
    ink_largest: Annotated[int, doc("Pixels on the side of the largest drawing.")] = 280
    connections: Annotated[
        int, doc("Open connections of the whole server; one more takes the place of the one that waits the longest.")
    ] = 6_000
    connections_per_address: Annotated[
        int, doc("Of them those of one network address: a class behind one proxy shares it, six for each browser.")
    ] = 3_000
    head_seconds: Annotated[float, doc("Seconds in which a request has to be there, its body excepted.")] = 10.0
    body_seconds: Annotated[float, doc("Seconds in which the next 64 KiB of a body have to be there.")] = 20.0
    send_timeout: Annotated[float, doc("Seconds after which whoever does not read what is sent is let go.")] = 10.0
    ping_seconds: Annotated[float, doc("Seconds between two signs of life on a quiet stream.")] = 15.0
    watch_grace: Annotated[float, doc("Seconds for which a watch outlives its last stream.")] = 30.0
    command_timeout: Annotated[float, doc("Seconds that a worker has to answer one command.")] = 60.0
    shutdown_seconds: Annotated[float, doc("Seconds that requests under way have to end when the server stops.")] = 2.0

    def described(self) -> list[dict[str, Any]]:
        """`name`, `value` and `description` of every limit, in the order above."""
        hints = get_type_hints(Limits, include_extras=True)
        return [
            {"name": f.name, "value": getattr(self, f.name), "description": described_by(hints[f.name])}
            for f in fields(self)
        ]


def described_by(annotation: Any) -> str:
    """The help text in an annotation's metadata."""
    return next(
        (item.documentation for item in getattr(annotation, "__metadata__", ()) if isinstance(item, DocInfo)), ""
    )


def versions() -> str:
    """Of this program and of what decides how it behaves, for whoever reports a fault."""
    names = {
        "fastapi": "FastAPI",
        "starlette": "Starlette",
        "uvicorn": "uvicorn",
        "pydantic": "pydantic",
        "numpy": "NumPy",
    }
    found = [f"{title} {metadata.version(name)}" for name, title in names.items()]
    return ", ".join(
        [f"Nabla {__version__}", f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}", *found]
    )


def default_data_folder() -> Path:
    """Where this system keeps a program's own files."""
    return Path(user_data_dir("nabla", appauthor=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Chosen once, at start-up."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    further_ports: int = 0  # tried in turn when `port` is taken: none where a port was asked for
    data: Path = field(default_factory=default_data_folder)
    workers: int | None = None  # as many as cores
    class_mode: bool = False  # every visitor owns what is theirs, and a lecturer sees all
    cluster: str | None = None  # address of a Ray cluster, in the place of workers of this machine
    allowed_hosts: frozenset[str] = frozenset()  # names beside localhost and `host` under which browsers may call
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_command_line(cls, arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
        """Ends the process with a line on stderr where a choice cannot be used, as command-line programs do."""
        parser = ArgumentParser(prog="nabla", description="A neural-network training playground.")
        parser.add_argument("--host", help="address to listen on (127.0.0.1: this machine only; 0.0.0.0: everybody)")
        parser.add_argument(
            "--port", type=int, help=f"port to listen on ({DEFAULT_PORT} or the next free one; 0 takes any)"
        )
        parser.add_argument("--data", type=Path, help=f"folder for runs and checkpoints ({default_data_folder()})")
        parser.add_argument("--workers", type=int, help="processes that train (as many as there are cores)")
        parser.add_argument(
            "--class", dest="class_mode", action="store_true", help="for a class: visitors join, and own what they make"
        )
        parser.add_argument("--cluster", metavar="ADDRESS", help="train on a Ray cluster (local: start one here)")
        parser.add_argument("--version", action="version", version=versions())
        given = parser.parse_args(arguments)
        try:
            return cls.chosen(environment, **{key: value for key, value in vars(given).items() if value is not None})
        except SettingsError as error:
            parser.exit(2, f"{error}\n")

    @classmethod
    def chosen(
        cls,
        environment: Mapping[str, str],
        *,
        host: str | None = None,
        port: int | None = None,
        data: Path | None = None,
        workers: int | None = None,
        class_mode: bool = False,
        cluster: str | None = None,
    ) -> Settings:
        """Arguments first, then the environment, then the defaults. Raises SettingsError with a line to print."""
        if port is None and (text := environment.get("NABLA_PORT")):
            port = whole_number("NABLA_PORT", text)
        if workers is None and (text := environment.get("NABLA_WORKERS")):
            workers = whole_number("NABLA_WORKERS", text)
        if data is None and (text := environment.get("NABLA_DATA")):
            data = Path(text)
        further_ports = FURTHER_PORTS if port is None else 0
        port = DEFAULT_PORT if port is None else port
        if not 0 <= port <= 65_535:
            raise SettingsError(f"A port is a number from 0 (any free one) to 65535; {port} was given.")
        if workers is not None and not 1 <= workers <= 256:
            raise SettingsError(f"The number of workers is between 1 and 256; {workers} was given.")
        names = environment.get("NABLA_ALLOWED_HOSTS", "")
        return cls(
            host=host or environment.get("NABLA_HOST") or "127.0.0.1",
            port=port,
            further_ports=further_ports,
            data=data.expanduser() if data is not None else default_data_folder(),
            workers=workers,
            class_mode=class_mode or environment.get("NABLA_CLASS", "") not in ("", "0"),
            cluster=cluster or environment.get("NABLA_CLUSTER") or None,
            allowed_hosts=frozenset(name.strip().lower() for name in names.split(",") if name.strip()),
        )


def whole_number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise SettingsError(f"{name} has to be a whole number.")
    return int(text)
