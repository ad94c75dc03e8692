"""A real server in a process of its own, and what the system says of it and its workers."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.load.watched import MARK
from tests.load.wire import Address

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class LoadedServer:
    """`lines` is what it printed, `code` that by which visitors join, where there is a class; `ask()` has it look at itself."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.port, self.code = 0, ""
        self._found: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self.read, daemon=True)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith((MARK, "Nabla is at", "The class joins at")):
                self._found.put(line)
        self.process.stdout.close()
        self._found.put(None)

    def start(self, *, in_class: bool) -> None:
        self._reader.start()
        while not self.port or (in_class and not self.code):
            line = self._found.get(timeout=60)
            if line is None:
                raise AssertionError("the server did not start:\n" + "\n".join(self.lines))
            if found := re.search(r"http://localhost:(\d+)(?:/join/(\w+))?", line):
                self.port, self.code = int(found[1]), found[2] or ""

    @property
    def warnings(self) -> list[str]:
        """Those by which the event loop computed longest come first."""
        warnings = [line for line in self.lines if line.startswith("WARNING")]
        return sorted(warnings, key=lambda line: -int((re.findall(r"computing for (\d+) ms", line) or ["0"])[0]))

    def join(self) -> None:
        """After its end: until all is read that it printed."""
        self._reader.join()

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port)

    def address_of(self, number: int) -> Address:
        """As a visitor sees it who comes from a machine of their own: this machine has a whole network of addresses."""
        return Address("127.0.0.1", self.port, f"127.1.{number // 250}.{1 + number % 250}")

    def ask(self) -> dict[str, Any]:
        """Tasks, threads, what it holds, and how long its event loop stood still since it was asked before."""
        while not self._found.empty():
            self._found.get()
        self.process.send_signal(signal.SIGUSR1)
        line = self._found.get(timeout=30)
        assert line is not None, "the server ended:\n" + "\n".join(self.lines)
        found: dict[str, Any] = json.loads(line.removeprefix(MARK))
        return found

    # ---- What the system says ---------------------------------------------------------------------------------------------------

    @property
    def processes(self) -> list[int]:
        """The server and all that it has started."""
        found = [self.process.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in children.read_text().split()]
        return found

    def memory(self) -> int:
        """Bytes of the server and its workers that are in memory; what they share is counted in each."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE for pid in self.processes)

    def own_memory(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE

    def files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def processor_seconds(self) -> float:
        """Of the server alone, without its workers."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def stalls(told: dict[str, Any]) -> str:
    """What the server told of its event loop, in words."""
    young, older, whole = (1000 * seconds for seconds in told["garbage"])
    return (
        f"event loop: {1000 * told['computed']:.0f} ms computed at a stretch at most, longest stall {1000 * told['stall']:.0f} ms, "
        f"longest searches for garbage {young:.0f} ms (young), {older:.0f} (older), {whole:.0f} (all)"
    )


@contextmanager
def loaded_server(data: Path, *arguments: str) -> Iterator[LoadedServer]:
    command = [sys.executable, "-m", "tests.load.watched", "--port", "0", "--data", str(data), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    server = LoadedServer(process)
    try:
        server.start(in_class="--class" in arguments)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        server.join()
