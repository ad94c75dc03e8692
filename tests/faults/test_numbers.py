"""Numbers that are none, too large, of the wrong kind or not of the range: refused by name, and nothing is made of them."""

from __future__ import annotations

import json
import re

import pytest

from engine.specs import RunSpec
from tests.app.double import RunsDouble, app_with
from tests.faults.asgi import ask, head_of
from tests.faults.figures import note
from tests.faults.numbers import LITERALS, Number, numbers

DOCUMENT = app_with().openapi()
SENT = {
    "RunBody": ("POST", "/api/runs"),
    "SpecBody": ("PUT", "/api/runs/{run}/spec"),
    "ChangesBody": ("PATCH", "/api/runs/{run}"),
    "StepsBody": ("POST", "/api/runs/{run}/steps"),
    "ResetBody": ("POST", "/api/runs/{run}/reset"),
    "WeightsBody": ("PUT", "/api/runs/{run}/layers/0/weights"),
    "PredictionsBody": ("POST", "/api/runs/{run}/predictions"),
    "WatchBody": ("PUT", "/api/runs/{run}/watches/w"),
    "DrawingBody": ("POST", "/api/drawings"),
    "NetworkBody": ("POST", "/api/network"),
}
"""Where a body of each model is sent."""

HEAD = head_of({"content-type": "application/json"})

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_every_kind_of_layer_optimizer_schedule_and_dataset_is_among_them() -> None:
    found = {number.where for number in numbers(DOCUMENT, "RunBody")}
    for place in (
        "RunBody.batch_size",
        "RunBody.seed",
        "RunBody.optimizer:SGD.learning_rate",
        "RunBody.network[]:Dense.units",
        "RunBody.network[]:Conv2D.kernel_size",
        "RunBody.dataset:PlaneSpec.noise",
        "RunBody.stop:StopSpec.epochs",
    ):
        assert place in found, sorted(found)
    assert len(found) > 60


@pytest.mark.parametrize(
    "literals", [pytest.param(LITERALS[:12:4], id="some"), pytest.param(LITERALS, id="all", marks=pytest.mark.faults)]
)
async def test_what_no_field_can_be_is_refused(literals: tuple[str, ...]) -> None:
    tried = 0
    for model, (method, path) in SENT.items():
        runs = RunsDouble()
        app = app_with(runs)
        run = (await app.state.runs.create(RunSpec(), state="paused"))["id"]
        for number in numbers(DOCUMENT, model):
            for literal in literals:
                if number.allows(literal) or ("inputs" in number.where and literal.startswith("[")):
                    continue  # a point's numbers may be an image's rows
                tried += 1
                runs.commands.clear()
                answered = await ask(app, method, path.format(run=run), HEAD, number.with_literal(literal))
                assert answered.status in (400, 422), (number.where, literal[:40], answered.body[:300])
                assert len(answered.body) < 2_000
                assert (
                    literal in ("false", "true", "[]", "{}")
                    or len(literal) < 24
                    or literal not in answered.body.decode()
                )
                assert runs.commands == [], (number.where, literal[:40])
    note("Worst input", f"{tried:,} listed numbers: all refused by name", met=True)


async def test_the_field_is_named() -> None:
    app = app_with()
    for literal, status, field in (
        (b"NaN", 400, None),
        (b"1e999", 422, "/optimizer/learning_rate"),
        (b'"nan"', 422, "/optimizer/learning_rate"),
        (b"true", 422, "/optimizer/learning_rate"),
        (b'"0.1"', 422, "/optimizer/learning_rate"),
        (b"-1", 422, "/optimizer/learning_rate"),
        (b"0", 422, "/optimizer/learning_rate"),
        (b"9" * 5_000, 400, None),
    ):
        body = b'{"optimizer": {"name": "sgd", "learning_rate": ' + literal + b"}}"
        answered = await ask(app, "POST", "/api/runs", HEAD, body)
        assert (answered.status, answered.problem["field"]) == (status, field), (literal[:20], answered.body)


async def test_at_the_ends_of_a_range_a_number_is_taken_and_beyond_them_it_is_not() -> None:
    """Of every field of a run, where the document says what the ends are."""
    app = app_with()
    tried = 0
    for number in numbers(DOCUMENT, "NetworkBody"):
        for end, beyond in (("minimum", -1), ("maximum", 1)) if "network" in number.where else ():
            if end in number.schema:
                tried += 1
                ends = number.schema[end], number.schema[end] + beyond
                inside, outside = map(int, ends) if number.whole else ends
                for value, refused in ((inside, False), (outside, True)):
                    answered = await ask(app, "POST", "/api/network", HEAD, number.with_literal(json.dumps(value)))
                    said = json.loads(answered.body).get("detail", "")
                    assert bool(re.search("at least|at most|greater than|less than", said)) == refused, (
                        number.where,
                        value,
                        said,
                    )
    assert tried > 20


def test_what_a_field_allows_follows_from_its_range() -> None:
    rate = Number("", "", False, {"exclusiveMinimum": 0, "maximum": 100})
    assert [literal for literal in ("0", "1e-320", "100", "100.1", "NaN", "1e999", '"1"') if rate.allows(literal)] == [
        "1e-320",
        "100",
    ]
    size = Number("", "", True, {"minimum": 1})
    assert [literal for literal in ("0", "1", "2.5", "2.0", "true", "9" * 5_000) if size.allows(literal)] == [
        "1",
        "2.0",
    ]
