"""The standing rules of the code base, checked by the tools that hold them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TYPESCRIPT = ROOT / ".typescript/node_modules/.bin/tsc"


def check(*command: str | Path) -> None:
    result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_lint() -> None:
    check(BIN / "ruff", "check", ".")


def test_types() -> None:
    check(BIN / "mypy")


def test_import_direction() -> None:
    check(BIN / "lint-imports")


def test_javascript_types() -> None:
    compiler = TYPESCRIPT if TYPESCRIPT.exists() else shutil.which("tsc")
    if compiler is None:
        if os.environ.get("CI"):
            pytest.fail("CI installs TypeScript first; it is missing")
        pytest.skip("no TypeScript here; `npm install --prefix .typescript typescript@7.0.2` brings it")
    check(compiler, "-p", "jsconfig.json")


def tracked(*patterns: str) -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_third_party_files_are_committed() -> None:
    assert tracked("static/vendor", "engine/_data", "*.min.js") == []


def test_templates_escape_everything_and_hold_no_inline_script_or_style() -> None:
    forbidden = re.compile(r"\|\s*safe\b|Markup\(|<script(?![^>]*\bsrc=)|<style\b|\sstyle=|\son[a-z]+=|hx-on|\bjs:")
    found = [f"{path.name}: {m.group()}" for path in tracked("templates/*.html", "templates/**/*.html") for m in forbidden.finditer(path.read_text("utf-8"))]
    assert found == []


def test_nothing_is_fetched_from_another_machine() -> None:
    address = re.compile(r"""(?:src|href|import|from|url\()\s*=?\s*["'(]?https?://""")
    found = [path.name for path in tracked("templates/**", "static/js/**", "static/css/**") if address.search(path.read_text("utf-8"))]
    assert [name for name in found if not name.endswith(".html")] == []
