"""What people call their runs, and the columns and classes of their tables."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from engine.errors import SpecError
from engine.presets import PRESETS
from engine.specs import MAX_NAME_CHARACTERS, RunSpec, TableSpec

REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that a name may not contain: control, format (bidi overrides, zero width), surrogates, private
use, unassigned, line and paragraph separators. Letters of every script, marks, emoji and spaces are kept."""
GIVEN = frozenset({*PRESETS, "curve"})
"""What runs are called to which nobody has given a name: as presets are, and as the page that they began on."""


def is_plain(text: str) -> bool:
    """Whether all that stands in it can be seen, in the order in which it stands there."""
    return not any(unicodedata.category(character) in REFUSED for character in text)


def check_names(spec: RunSpec) -> None:
    """Raises SpecError for a run, a column or a class whose name hides something: files and programs may send any text."""
    names: dict[str, Sequence[str]] = {"/name": [spec.name]}
    if isinstance(spec.dataset, TableSpec):
        table = spec.dataset
        names |= {
            "/dataset/columns": table.columns,
            "/dataset/class_names": table.class_names,
            "/dataset/target": [table.target],
        }
    for field, texts in names.items():
        if not all(map(is_plain, texts)):
            raise SpecError(
                "A name may hold letters, digits, signs and spaces, but no control or invisible characters.",
                field=field,
                code="bad_name",
            )


def clean_name(text: str) -> str:
    """The name in normal form C, without spaces around it. ValueError holds a sentence for the person."""
    if (
        len(text) > 4 * MAX_NAME_CHARACTERS
    ):  # a normal form is at most so much shorter; do not normalise what cannot fit
        raise ValueError(f"A name may have at most {MAX_NAME_CHARACTERS} characters.")
    name = unicodedata.normalize("NFC", text.strip())
    if not name:
        raise ValueError("A name needs at least one character that can be seen.")
    if len(name) > MAX_NAME_CHARACTERS:
        raise ValueError(f"A name may have at most {MAX_NAME_CHARACTERS} characters; this one has {len(name)}.")
    if not is_plain(name):
        raise ValueError("A name may hold letters, digits, signs and spaces, but no control or invisible characters.")
    return name
