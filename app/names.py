"""What people call their runs."""

from __future__ import annotations

import unicodedata

from engine.specs import MAX_NAME_CHARACTERS

REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that a name may not contain: control, format (bidi overrides, zero width), surrogates, private
use, unassigned, line and paragraph separators. Letters of every script, marks, emoji and spaces are kept."""


def clean_name(text: str) -> str:
    """The name in normal form C, without spaces around it. ValueError holds a sentence for the person."""
    if len(text) > 4 * MAX_NAME_CHARACTERS:  # a normal form is at most so much shorter; do not normalise what cannot fit
        raise ValueError(f"A name may have at most {MAX_NAME_CHARACTERS} characters.")
    name = unicodedata.normalize("NFC", text.strip())
    if not name:
        raise ValueError("A name needs at least one character that can be seen.")
    if len(name) > MAX_NAME_CHARACTERS:
        raise ValueError(f"A name may have at most {MAX_NAME_CHARACTERS} characters; this one has {len(name)}.")
    if any(unicodedata.category(character) in REFUSED for character in name):
        raise ValueError("A name may hold letters, digits, signs and spaces, but no control or invisible characters.")
    return name
