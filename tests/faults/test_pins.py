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


def test_what_is_installed_is_what_is_pinned() -> None:
    for pin in PROJECT["project"]["dependencies"]:
        name, version = re.sub(r"\[.*\]", "", pin).split("==")
        assert importlib.metadata.version(name) == version


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
