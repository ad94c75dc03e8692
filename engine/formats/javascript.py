"""The few statements of JavaScript that a network's description in convnetjs's style is made of, parsed and never run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from engine.errors import FormatError

MAX_CHARACTERS = 100_000
MAX_DEPTH = 8

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<text>'[^'\\\n]*'|"[^"\\\n]*")
      | (?P<name>[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*)
      | (?P<mark>[\[\]{}(),:;=+-])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_WORDS = {"true": True, "false": False, "null": None, "undefined": None}


class _Token(NamedTuple):
    kind: str
    text: str
    line: int



class Statements:
    """What a text says, found by recursive descent: the entries of `layer_defs` and the trainer's `options`, if any.

    FormatError, naming the line, for anything but assignments to layer_defs, net and trainer, `layer_defs.push(…)` and
    `net.makeLayers(layer_defs)`, with plain values in them.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise FormatError(f"The text is too long: {len(text):,} characters, and at most {MAX_CHARACTERS:,} are read.")
        self.layer_defs: list[Any] = []
        self.options: dict[str, Any] | None = None
        self._tokens = list(_tokens(text))
        self._next = 0
        while self._peek().kind != "end":
            if not self._take(";"):
                self._statement()

    def _statement(self) -> None:
        if self._peek().text in ("var", "let", "const"):
            self._next += 1
        token = self._expect_name()
        match token.text:
            case "layer_defs":
                self._expect("=")
                self.layer_defs = self._list(0)
            case "layer_defs.push":
                self._expect("(")
                self.layer_defs.append(self._value(0))
                self._expect(")")
            case "net":
                self._expect("=", "new", "convnetjs.Net", "(", ")")
            case "net.makeLayers":
                self._expect("(", "layer_defs", ")")
            case "trainer":
                self._expect("=", "new")
                self._trainer()
            case _:
                _fail(token, "only layer_defs, net and trainer are understood here")

    def _trainer(self) -> None:
        token = self._expect_name()
        if token.text not in ("convnetjs.SGDTrainer", "convnetjs.Trainer"):
            _fail(token, "the trainer must be a convnetjs.SGDTrainer or convnetjs.Trainer")
        self._expect("(", "net")
        self.options = self._object(0) if self._take(",") else {}
        self._expect(")")

    def _value(self, depth: int) -> Any:
        token = self._peek()
        if depth > MAX_DEPTH:
            _fail(token, "it is nested too deeply")
        if token.text == "{":
            return self._object(depth)
        if token.text == "[":
            return self._list(depth)
        if token.text in ("-", "+"):
            self._next += 1
            number = self._peek()
            if number.kind != "number":
                _fail(number, "a number belongs here")
            value = self._value(depth + 1)
            return -value if token.text == "-" else value
        self._next += 1
        if token.kind == "number":
            return float(token.text) if re.search(r"[.eE]", token.text) else int(token.text[:400])
        if token.kind == "text":
            return token.text[1:-1]
        if token.text in _WORDS:
            return _WORDS[token.text]
        _fail(token, "only plain numbers, texts, lists and objects are read; nothing is calculated or called")

    def _list(self, depth: int) -> list[Any]:
        self._expect("[")
        items = []
        while not self._take("]"):
            items.append(self._value(depth + 1))
            if not self._take(",") and self._peek().text != "]":
                _fail(self._peek(), "a comma or ] belongs here")
        return items

    def _object(self, depth: int) -> dict[str, Any]:
        self._expect("{")
        fields: dict[str, Any] = {}
        while not self._take("}"):
            token = self._peek()
            if token.kind not in ("name", "text"):
                _fail(token, "the name of an option belongs here")
            self._next += 1
            self._expect(":")
            fields[token.text.strip("'\"")] = self._value(depth + 1)
            if not self._take(",") and self._peek().text != "}":
                _fail(self._peek(), "a comma or } belongs here")
        return fields

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, text: str) -> bool:
        """Whether the next token is this mark or name; it is passed if so."""
        found = self._peek().text == text and self._peek().kind in ("mark", "name")
        self._next += found
        return found

    def _expect(self, *texts: str) -> None:
        for text in texts:
            if not self._take(text):
                _fail(self._peek(), f"{text} belongs here")

    def _expect_name(self) -> _Token:
        token = self._peek()
        if token.kind != "name":
            _fail(token, "only layer_defs, net and trainer are understood here")
        self._next += 1
        return token


def _tokens(text: str) -> Iterator[_Token]:
    place, line = 0, 1
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            _fail(_Token("", text[place], line), "it has no meaning here")
        found = match.group()
        if match.lastgroup != "space":
            yield _Token(str(match.lastgroup), found, line)
        line += found.count("\n")
        place = match.end()
    yield _Token("end", "the end", line)


def _fail(token: _Token, reason: str) -> NoReturn:
    raise FormatError(f"Line {token.line}, at “{token.text[:40]}”: {reason}.")
