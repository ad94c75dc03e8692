"""A real server whose limits a test has made small: `python -m tests.faults.limited '{"streams": 3}' --port 0 …`.

`open_files` is the system's limit, all others are the server's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.browser.server import Server, running_server


@contextmanager
def limited_server(data: Path, *arguments: str, port: int = 0, **limits: Any) -> Iterator[Server]:
    program = ("tests.faults.limited", json.dumps(limits))
    with running_server(data, "--workers", "1", *arguments, port=port, program=program) as server:
        yield server


def main() -> int:
    import resource
    from dataclasses import replace

    from app.serve import serve
    from app.settings import Limits, Settings

    limits = json.loads(sys.argv[1])
    if files := limits.pop("open_files", None):
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    return serve(replace(Settings.from_command_line(sys.argv[2:]), limits=Limits(**limits)))


if __name__ == "__main__":
    sys.exit(main())
