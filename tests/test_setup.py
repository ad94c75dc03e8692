"""Setting up on a fresh machine: what a person without a network, a venv module or a sound download is told."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SYSTEM_PYTHON = getattr(sys, "_base_executable", sys.executable)  # one that does not have Nabla's packages


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone of what is committed or staged, without .venv, downloads or history."""
    target = tmp_path / "a clone"  # a space in the path is as common as not
    listing = subprocess.run(["git", "ls-files", "app", "pyproject.toml", "README.md", "LICENSE"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listing.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((ROOT / name).read_bytes())
    return target


def start(clone: Path, *code: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [SYSTEM_PYTHON, *(code or ("-m", "app"))]
    return subprocess.run(command, cwd=cwd or clone, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=100)


def test_without_a_venv_module_the_person_is_told_what_to_install(clone: Path) -> None:
    hidden = "import importlib.util as u; find = u.find_spec; u.find_spec = lambda n, *a: None if n == 'ensurepip' else find(n, *a)"
    result = start(clone, "-c", f"{hidden}; from app._bootstrap import ensure; ensure('app')")
    assert result.returncode != 0
    assert "apt install python3-venv" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_network_the_first_start_ends_in_one_line(clone: Path) -> None:
    nowhere = "http://127.0.0.1:9/"
    result = start(clone, PIP_INDEX_URL=nowhere, PIP_FIND_LINKS="", PIP_RETRIES="0", npm_config_registry=nowhere)
    assert result.returncode != 0
    assert "Connect to the network and start again" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (clone / ".venv/nabla.json").exists()


def test_a_folder_that_cannot_be_written_is_named(clone: Path) -> None:
    (clone / ".venv").write_text("in the way", "utf-8")
    result = start(clone, "-c", "from app import _bootstrap as b; b.VENV = b.Path('/proc/nabla/.venv'); b.PYTHON = b.VENV / 'bin/python'; b.STAMP = b.VENV / 's'; b.ensure('app')")
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert "/proc/nabla" in result.stderr or "virtual environment" in result.stderr


def test_an_old_python_is_told_which_one_is_needed(clone: Path) -> None:
    result = start(clone, "-c", "import sys; sys.version_info = (3, 9); from app._bootstrap import ensure; ensure('app')")
    assert result.returncode != 0
    assert "Python 3.11 or newer; this is 3.9" in result.stderr


# ---- Downloads ---------------------------------------------------------------------------------------------------------


def tarball(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


class Registry(ThreadingHTTPServer):
    """A registry with one package; `served` counts the downloads."""

    archive = tarball({"dist/thing.js": b"let thing = 1;", "other.txt": b"not wanted", "folder/a": b"a", "folder/b": b"b"})
    served = 0
    failures = 0


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Registry)
        if server.failures:
            server.failures -= 1
            self.connection.close()
            return
        body = server.archive
        if self.path == "/thing/1.0.0":
            body = json.dumps({"dist": {"tarball": f"http://127.0.0.1:{server.server_port}/thing.tgz"}}).encode()
        else:
            server.served += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with Registry(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()


def pin(root: Path, integrity: str) -> None:
    root.mkdir(exist_ok=True)
    (root / "pyproject.toml").write_text(
        f'[tool.nabla.vendor.thing]\nversion = "1.0.0"\nintegrity = "{integrity}"\n'
        'files = { "dist/thing.js" = "static/vendor/thing.js", "folder" = "engine/_data/folder" }\n',
        "utf-8",
    )


def sha512(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def test_pinned_files_arrive_once_and_only_those(registry: Registry, tmp_path: Path) -> None:
    from app._vendor import fetch_all

    pin(tmp_path, sha512(registry.archive))
    fetch_all(tmp_path)
    fetch_all(tmp_path)
    assert registry.served == 1
    assert (tmp_path / "static/vendor/thing.js").read_text("utf-8") == "let thing = 1;"
    assert sorted(path.name for path in (tmp_path / "engine/_data/folder").iterdir()) == ["a", "b"]
    assert not list(tmp_path.rglob("other.txt"))
    (tmp_path / "static/vendor/thing.js").unlink()
    fetch_all(tmp_path)
    assert registry.served == 2


def test_a_package_that_does_not_match_its_hash_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    from app._vendor import fetch_all

    pin(tmp_path, sha512(registry.archive))
    fetch_all(tmp_path)
    pin(tmp_path, sha512(b"something else"))
    with pytest.raises(RuntimeError, match="checksum"):
        fetch_all(tmp_path)
    assert (tmp_path / "static/vendor/thing.js").read_text("utf-8") == "let thing = 1;"


def test_a_download_that_breaks_off_is_tried_again(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app import _vendor

    monkeypatch.setattr(_vendor.time, "sleep", lambda _seconds: None)
    pin(tmp_path, sha512(registry.archive))
    registry.failures = 2
    _vendor.fetch_all(tmp_path)
    assert (tmp_path / "static/vendor/thing.js").exists()
