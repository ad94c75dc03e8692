"""Prose and formulas as HTML: `$…$` becomes MathML, in which every symbol that a lab explains can be hovered and focused.

latex2mathml writes the formulas on the server: no script, no fonts, readable by screen readers.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from functools import cache

from latex2mathml.converter import convert
from markupsafe import Markup, escape

MATHML = "{http://www.w3.org/1998/Math/MathML}"
ET.register_namespace("", MATHML[1:-1])
IN_LINE = re.compile(r"\$([^$]+)\$")
TAGS = re.compile(r"&lt;(/?(?:b|i))&gt;")


def prose(text: str, symbols: Mapping[str, str]) -> Markup:
    """Paragraphs stand apart by an empty line."""
    return Markup("").join(
        Markup("<p>{}</p>").format(words(paragraph.strip(), symbols)) for paragraph in text.split("\n\n")
    )


def words(text: str, symbols: Mapping[str, str]) -> Markup:
    pieces = IN_LINE.split(text)
    html = [formula(piece, symbols) if odd else _escaped(piece) for odd, piece in _alternating(pieces)]
    return Markup("").join(html)


def _alternating(pieces: list[str]) -> list[tuple[bool, str]]:
    return [(bool(index % 2), piece) for index, piece in enumerate(pieces)]


def _escaped(text: str) -> Markup:
    """<b> and <i> stay what they are."""
    return Markup(TAGS.sub(r"<\1>", str(escape(text))))


def formula(latex: str, symbols: Mapping[str, str], *, block: bool = False) -> Markup:
    """As MathML; the parts that are one of `symbols` (LaTeX → meaning) carry it as `data-meaning`."""
    return _formula(latex, tuple(symbols.items()), block)


@cache
def _formula(latex: str, symbols: tuple[tuple[str, str], ...], block: bool) -> Markup:
    root = ET.fromstring(convert(latex, display="block" if block else "inline"))
    meanings = {_shape(_core(ET.fromstring(convert(symbol)))): meaning for symbol, meaning in symbols}
    _mark(root, meanings)
    return Markup(ET.tostring(root, encoding="unicode"))


def _mark(node: ET.Element, meanings: Mapping[str, str]) -> None:
    for child in list(node):
        meaning = meanings.get(_shape(child))
        if meaning is None:
            _mark(child, meanings)
        else:
            child.set("class", "symbol")
            child.set("data-meaning", meaning)


def _core(node: ET.Element) -> ET.Element:
    """What is inside the rows that hold one thing only."""
    while node.tag in (f"{MATHML}math", f"{MATHML}mrow") and len(node) == 1:
        node = node[0]
    return node


def _shape(node: ET.Element) -> str:
    """Equal for equal parts of formulas, wherever they stand."""
    inner = "".join(_shape(child) for child in node)
    return f"<{node.tag}>{(node.text or '').strip()}{inner}</>"
