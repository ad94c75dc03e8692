"""What the program is made of stays what it was tested with, and every promise of escaping stands in no template's way."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.browser.server import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
OURS = re.compile(r"\.(py|html|js)$")


def test_every_package_is_pinned_exactly() -> None:
    extras = [pin for pins in PROJECT["project"]["optional-dependencies"].values() for pin in pins]
    pins = [*PROJECT["project"]["dependencies"], *extras, *PROJECT["build-system"]["requires"]]
    assert len(pins) > 20
    for pin in pins:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+(\[[a-z,-]+\])?==[0-9][0-9.]*", pin), pin
    for vendored in PROJECT["tool"]["nabla"]["vendor"].values():
        assert vendored["integrity"].startswith("sha512-")


def split(pin: str) -> tuple[str, str]:
    name, version = re.sub(r"\[.*\]", "", pin).split("==")
    return name, version


def test_what_is_installed_is_what_is_pinned() -> None:
    for pin in PROJECT["project"]["dependencies"]:
        name, version = split(pin)
        assert importlib.metadata.version(name) == version


def locked(name: str) -> dict[str, dict[str, list[str]]]:
    """For each package of a lock its versions (another Python may want another), and the hashes of each."""
    found: dict[str, dict[str, list[str]]] = {}
    text = (ROOT / "app/locks" / name).read_text("utf-8").replace("\\\n", "")
    for line in text.splitlines():
        if entry := re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9.a-z]*)( ;[^-]*)?((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*", line):
            package, version, _, hashes = entry.groups()
            found.setdefault(package, {})[version] = hashes.split()
        else:
            assert line.startswith("#"), line
    return found


@pytest.mark.parametrize("name", ["run.txt", "test.txt"])
def test_every_package_of_an_install_is_locked_by_its_hashes(name: str) -> None:
    lock = locked(name)
    pins = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    if name == "test.txt":
        pins += PROJECT["project"]["optional-dependencies"]["test"]
    for package, version in map(split, pins):
        assert list(lock[package.lower().replace("_", "-")]) == [version], f"{package}: make app/locks/{name} anew"


def test_what_the_program_runs_on_is_the_same_where_it_is_tested() -> None:
    run, test = locked("run.txt"), locked("test.txt")
    assert {package: test[package] for package in run} == run


def test_the_whole_environment_is_what_is_locked() -> None:
    """Nothing came along that no lock names, whatever the packages themselves ask for."""
    lock = locked("test.txt")
    for package in lock:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another system
        assert version in lock[package], package


def test_a_package_with_another_content_is_not_installed(tmp_path: Path) -> None:
    """Its own folder stands for the index; what is there has the name and the version that are locked."""
    wheel = tmp_path / "annotated_doc-0.0.7-py3-none-any.whl"
    wheel.write_bytes(b"PK\x05\x06" + bytes(18))  # an empty archive
    lock = tmp_path / "lock.txt"
    lock.write_text("annotated-doc==0.0.7 --hash=sha256:" + 64 * "0", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-index", "--find-links", str(tmp_path), "--no-deps", "-d", str(tmp_path / "to")]
    told = subprocess.run([*command, "--require-hashes", "-r", str(lock)], capture_output=True, text=True, check=False)
    assert told.returncode != 0
    assert "HASHES" in told.stderr
    assert not (tmp_path / "to").exists() or not list((tmp_path / "to").iterdir())


def test_the_version_tells_what_it_runs_on() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "app", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in ("Nabla", "Python", "NumPy", "SQLite", "uvicorn", "FastAPI"):
        assert re.search(rf"{name} \d+\.\d+", told.stdout), (name, told.stdout)


# ---- Nothing that switches escaping off ------------------------------------------------------------------------------------

MARKUP = {"app/prose.py", "app/routes/report_files.py"}
"""They make HTML of our own texts, piece by piece, and escape what goes into it."""

BANNED: dict[str, str] = {
    r"\|\s*safe\b": "templates",
    r"autoescape\s*(=\s*)?(false|False|off)": "templates app",
    r"\{%-?\s*raw": "templates",
    r"<script(?![^>]*\bsrc=)[^>]*>": "templates",
    r"\son[a-z]+\s*=\s*[\"']": "templates",
    r"\shx-on\b": "templates",
    r"\bjs:": "templates",
    r"javascript:": "templates static/js",
    r"\b(innerHTML|outerHTML|srcdoc)\s*\+?=": "static/js",
    r"\b(insertAdjacentHTML|createContextualFragment|document\.write|setHTMLUnsafe|DOMParser)\b": "static/js",
    r"\b(eval|Function)\s*\(": "static/js",
    r"set(Timeout|Interval)\(\s*[\"'`]": "static/js",
    r"\b(pickle|marshal|shelve|dill|joblib)\b": "app engine",
    r"\byaml\.load\b": "app engine",
    r"allow_pickle\s*=\s*True": "app engine",
    r"shell\s*=\s*True": "app engine",
    r"(?<![.\w])(eval|exec)\(": "app engine",
    r"request\.url\.path": "app/security.py app/doorman.py",
}
"""What would undo an escape or run a text, and where it may not stand."""


ALLOWED = {
    r"\b(pickle|marshal|shelve|dill|joblib)\b": (
        "app/workers/cluster.py",
        "app/workers/remote.py",
        "engine/parallel.py",
    )
}
"""Messages between a program and its own processes, here and on other machines: as `multiprocessing` does."""


def sources(places: str) -> list[Path]:
    found = [ROOT / place for place in places.split()]
    files = [file for place in found for file in ([place] if place.is_file() else place.rglob("*"))]
    return [file for file in files if OURS.search(file.name) and "__pycache__" not in file.parts]


@pytest.mark.parametrize("pattern", BANNED)
def test_nothing_undoes_an_escape_or_runs_a_text(pattern: str) -> None:
    files = sources(BANNED[pattern])
    assert files
    for file in files:
        if file.relative_to(ROOT).as_posix() in ALLOWED.get(pattern, ()):
            continue
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            assert not re.search(pattern, line), f"{file.relative_to(ROOT)}:{number}: {line.strip()}"


def test_markup_is_made_in_two_places_only() -> None:
    found = {
        file.relative_to(ROOT).as_posix()
        for file in sources("app")
        if re.search(r"\bMarkup\(", file.read_text("utf-8"))
    }
    assert found == MARKUP
