"""Files with something changed in them: bits, bytes, whole stretches, and single values of the JSON that they hold."""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

ODD_VALUES: Sequence[Any] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    1.5,
    2**31,
    2**64,
    10**400,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "1",
    "nan",
    "../../etc/passwd",
    "__import__",
    "os.system",
    "\ud800",
    "\u0000",
    "A" * 100_000,
    [],
    [[]],
    {},
    {"__class__": "os"},
    {"class_name": "Lambda", "module": "builtins", "config": {"function": "eval"}},
    [0] * 10_000,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Of everything inside a JSON value; long lists by their first entries."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:4]):
            found += places(inner, (*path, index))
    return found


def in_json(document: bytes, chance: random.Random) -> bytes:
    """One value changed, moved, doubled, taken out or put in."""
    value = json.loads(document)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        found = places(value)
        if not found:
            break
        *path, last = chance.choice(found)
        parent = value
        for key in path:
            parent = parent[key]
        match chance.randrange(6):
            case 0:
                del parent[last]
            case 1 if isinstance(parent, dict):
                parent[chance.choice(("type", "name", "__proto__", "units", "extra"))] = parent[last]
            case 2:
                *other, end = chance.choice(found)
                inner = value
                try:
                    for key in other:
                        inner = inner[key]
                    parent[last] = copy.deepcopy(inner[end])
                except (KeyError, IndexError, TypeError):  # it lay in what is no more
                    continue
            case _:
                parent[last] = chance.choice(ODD_VALUES)
    text = json.dumps(value)
    if chance.random() < 0.05:
        text = text.replace("{", '{"name": 1, "name": 2, ', 1)
    return text.encode()


def in_bytes(document: bytes, chance: random.Random) -> bytes:
    """Bits flipped, stretches cut, doubled, moved, or overwritten."""
    changed = bytearray(document)
    for _ in range(chance.choice((1, 1, 2, 8))):
        start = chance.randrange(len(changed) + 1)
        length = min(chance.choice((1, 1, 2, 8, 100, 5_000)), len(changed) - start)
        match chance.randrange(6):
            case 0:
                del changed[start : start + length]
            case 1:
                changed[start:start] = changed[start : start + length]
            case 2:
                changed[start:start] = chance.randbytes(length)
            case 3:
                del changed[start:]
            case _ if start < len(changed):
                changed[start] ^= 1 << chance.randrange(8)
        if not changed:
            break
    return bytes(changed)


def in_header(document: bytes, chance: random.Random) -> bytes:
    """Of a safetensors file: its header as JSON, or the length that stands before it."""
    (length,) = struct.unpack_from("<Q", document)
    header, numbers = document[8 : 8 + length], document[8 + length :]
    if chance.random() < 0.2:
        return (
            struct.pack("<Q", chance.choice((0, 1, length - 1, length + 1, 2**32, 2**63, 2**64 - 1))) + header + numbers
        )
    header = in_json(header, chance)
    return struct.pack("<Q", len(header)) + header + numbers


def mutated(document: bytes, chance: random.Random) -> bytes:
    """One of the ways that make sense for what the file is."""
    ways: list[Callable[[bytes, random.Random], bytes]] = [in_bytes]
    if document.startswith(b"{"):
        ways += [in_json] * 3
    elif document[8:9] == b"{":
        ways += [in_header] * 3
    return chance.choice(ways)(document, chance)
