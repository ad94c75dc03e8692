"""A real server in a child process, for everything about sockets, signals, memory and pages."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_FLAGS = [
    "--no-sandbox",  # test machines run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 60.0


@dataclass
class Server:
    """`url` once it listens; `lines` is what it printed so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    url: str = ""
    listening: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if match := re.search(r"http://(?:localhost|127\.0\.0\.1):(\d+)", line):
                self.url = f"http://127.0.0.1:{match[1]}"
                self.listening.set()
        self.process.stdout.close()
        self.listening.set()  # the end of the output: it will not listen any more

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self, how: signal.Signals = signal.SIGTERM, *, seconds: float = 10.0) -> int:
        self.process.send_signal(how)
        return self.process.wait(seconds)


def start_server(data: Path, *arguments: str, port: int = 0, program: Sequence[str] = ("app",)) -> Server:
    """`program` stands for the app where a test serves it in its own way (tests/faults/limited.py)."""
    command = [sys.executable, "-m", *program, "--port", str(port), "--data", str(data), *arguments]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    server = Server(process)
    threading.Thread(target=server.read, daemon=True).start()
    if not server.listening.wait(START_SECONDS) or not server.url:
        process.kill()
        process.wait()
        raise AssertionError("the server did not start:\n" + "\n".join(server.lines))
    return server


@contextmanager
def running_server(
    data: Path, *arguments: str, port: int = 0, program: Sequence[str] = ("app",)
) -> Iterator[Server]:
    server = start_server(data, *arguments, port=port, program=program)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
            try:
                server.process.wait(10)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()
