r"""One event of the stream as bytes, by the rules of server-sent events (WHATWG HTML, section 9.2).

    id: 3-1200\n            where to go on after a break
    event: metrics\n
    data: {"points": …}\n   JSON on one line: no character of it can end the event
    \n

Non-finite numbers do not exist in JSON, so an event that would carry one is refused here rather than in a browser.
"""

from __future__ import annotations

import json
import random
from typing import Any

PING = b": ping\n\n"


def retry() -> bytes:
    """How long to wait before connecting again, in ms: whoever lost a stream at one moment comes back at different ones."""
    return b"retry: %d\n\n" % random.randint(2_000, 5_000)


def encode_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def event(name: str, value: Any, *, id: str | None = None) -> bytes:
    """One whole event; `name` and `id` are our own and hold no line ends."""
    head = f"event: {name}\n" if id is None else f"id: {id}\nevent: {name}\n"
    return b"".join((head.encode(), b"data: ", encode_json(value), b"\n\n"))


def addressed(event: bytes, run: str) -> bytes:
    """The same event on a stream of several runs: `metrics@<run>`, and no id, as there is no place to go on from."""
    head, _, data = event.partition(b"\ndata: ")
    name = head.rpartition(b"event: ")[2]
    return b"".join((b"event: ", name, b"@", run.encode(), b"\ndata: ", data))
