"""Twenty thousand generated requests to a real server: it answers each with 2xx or 4xx, at once, and grows no fatter by it.

Three sources: numbers that are none (tests/faults/numbers.py), valid bodies with something changed (tests/faults/mutations.py),
and what schemathesis makes of the OpenAPI document. What the watchdog of the server says is read in the end.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from engine.specs import RunSpec
from tests.app.double import app_with
from tests.browser.server import Server, running_server
from tests.faults.figures import note
from tests.faults.mutations import in_bytes, in_json
from tests.faults.numbers import LITERALS, numbers
from tests.faults.payloads import SCRIPTS, TRAVERSALS
from tests.faults.routes import Asked, every_request

CHANGED, OF_EACH_OPERATION, WARM = 16_000, 110, 1_500
STALL_MILLISECONDS, GROWTH_BYTES = 100, 20 * 2**20
SEED = 6
SLOW = re.compile("/(steps|events|checks|verification|report|verify|narration|gradient-check|evaluation)$")
"""Streams, and what rightly takes long: it is asked elsewhere."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3_600)]


class Visitor:
    """Asks, counts, and takes away again what was made."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.statuses: Counter[int] = Counter()
        self.run = self.new_run()

    def new_run(self) -> str:
        return str(self.client.post("/api/runs", json={"preset": "circle", "state": "paused"}).json()["id"])

    def ask(self, asked: Asked) -> None:
        answer = self.client.request(asked.method, asked.path, **asked.options())
        self.heard(answer.status_code, answer.text, asked)
        made = answer.headers.get("location", "")
        if match := re.search("[a-z0-9]{16}$", made):
            self.client.delete(f"/api/runs/{match[0]}")
        self.after(asked.method, answer.status_code)

    def after(self, method: str, status: int) -> None:
        """A run that is another, and perhaps slow, is not asked any more."""
        if method in ("DELETE", "PUT") and status < 300:
            self.client.delete(f"/api/runs/{self.run}")
            self.run = self.new_run()

    def heard(self, status: int, text: str, what: object) -> None:
        self.statuses[status] += 1
        assert status < 500 or (status == 503 and "retry" in text), (status, text[:300], what)
        assert "Traceback" not in text, what


def listed() -> Iterator[Asked]:
    document = app_with().openapi()
    for number in numbers(document, "RunBody"):
        for literal in LITERALS:
            if not number.allows(literal):
                yield Asked("POST", "", "/api/runs", "application/json", number.with_literal(literal))


def changed(count: int, seed: int) -> Iterator[Asked]:
    """Requests to every route with something wrong in body, path or query; `{run}` is still to be filled in."""
    app = app_with()
    whole = [
        Asked("POST", "/api/runs", "/api/runs", "application/json", json.dumps(spec | {"state": "paused"}).encode())
        for spec in (RunSpec().to_dict(), {"preset": "spiral"})
    ]
    requests = [asked for asked in every_request(app) if not SLOW.search(asked.route)] + whole * 4
    texts = (*SCRIPTS, *TRAVERSALS)
    for place in range(count):
        chance = random.Random(f"{seed}.{place}")
        asked = chance.choice(requests)
        path, body, kind = asked.path, asked.body, asked.media_type
        if kind == "application/json" and chance.random() < 0.7:
            body = in_json(body, chance)
        elif body and chance.random() < 0.8:
            body = in_bytes(body, chance)
        else:
            name = chance.choice(
                ("limit", "cursor", "run", "format", "split", "what", "views", "layers", "seed", "keep")
            )
            path += ("&" if "?" in path else "?") + str(httpx.QueryParams({name: chance.choice(texts)}))
        if chance.random() < 0.03:
            kind = chance.choice(("text/plain", "application/xml", "", "multipart/form-data", "application/json"))
        yield Asked(asked.method, asked.route, path, kind, body)


def resident(server: Server) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def stalls(server: Server) -> list[tuple[int, int, str]]:
    """Milliseconds, those of them spent computing, and the line itself."""
    found = [re.search(r"stood still for (\d+) ms, computing for (\d+) ms", line) for line in server.lines]
    return [(int(each[1]), int(each[2]), each.string) for each in found if each]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("data"), "--workers", "1") as started:
        yield started


def test_no_generated_request_breaks_stalls_or_fattens_the_server(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=120) as client:
        visitor = Visitor(client)
        for asked in changed(WARM, SEED + 1):
            visitor.ask(asked.filled(run=visitor.run))
        before = resident(server)
        visitor.statuses.clear()
        for asked in itertools.chain(listed(), changed(CHANGED, SEED)):
            visitor.ask(asked.filled(run=visitor.run))
        by_hand = visitor.statuses.total()
        from_document(visitor, server.url)
    grown = resident(server) - before
    worst = max(stalls(server), key=lambda each: each[1], default=(0, 0, ""))
    total = visitor.statuses.total()
    statuses = ", ".join(f"{count:,} × {status}" for status, count in sorted(visitor.statuses.items()))
    met = worst[1] <= STALL_MILLISECONDS and grown <= GROWTH_BYTES and total >= 20_000
    note(
        "Worst input",
        f"{total:,} generated requests ({total - by_hand:,} of them by schemathesis): {statuses}; "
        f"{grown / 2**20:+.1f} MB; the longest stall computed for {worst[1]} of {worst[0]} ms",
        met=met,
    )
    assert worst[1] <= STALL_MILLISECONDS, worst
    assert grown <= GROWTH_BYTES, grown
    assert total >= 20_000
    assert not [line for line in server.lines if "Traceback" in line or "worker" in line], server.lines[-20:]


def from_document(visitor: Visitor, url: str) -> None:
    """Each operation of the OpenAPI document, with cases that fit it and cases that do not."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json").exclude(path_regex=SLOW.pattern)
    for found in schema.get_all_operations():
        operation: Any = found.ok()

        @settings(
            max_examples=OF_EACH_OPERATION,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            if "id" in case.path_parameters:
                case.path_parameters["id"] = visitor.run
            answer = case.call(timeout=120)
            visitor.heard(answer.status_code, answer.text, case)
            if answer.status_code == 201 and "id" in answer.json() and "state" in answer.json():
                visitor.client.delete(f"/api/runs/{answer.json()['id']}")
            visitor.after(case.method, answer.status_code)

        ask()
