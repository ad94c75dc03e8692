"""The pages of points and their form, with a service that has no workers."""

from __future__ import annotations

import base64
import re
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from app import deps, problems
from app.errors import NotFound, Unprocessable
from app.routes import pages, plane, runs
from app.routes.experiment import BASES, CONTROLS, KINDS, Experiment, View, read, texts_of, write
from app.routes.plane_changes import act, kept_weights, live_changes, settle
from app.routes.plane_forms import bench_of
from app.routes.plane_titles import CONTROL_FIELDS, CONTROL_TITLES
from app.services.changes import RunChanges, Unchanged
from app.services.datasets import Datasets
from app.services.description import describe_spec
from engine.formats import FORMATS
from engine.presets import PRESETS
from engine.specs import SGD, Cosine, Dense, PlaneSpec, RunSpec, StopSpec, TableSpec, Tanh
from tests.app.test_pages import Page

RUN_ID = "0123456789abcdef"
HTMX = {"HX-Request": "true"}
LABELLED = {"legend", "label"}


class FakeRuns:
    """One run on points; remembers what was done to it."""

    lasting = True

    def __init__(self, spec: RunSpec | None = None, **changes: Any) -> None:
        self.now = spec
        self.changes = changes
        self.asked: list[tuple[Any, ...]] = []
        self.refuse: Exception | None = None

    async def get(self, id: str) -> dict[str, Any]:
        if self.now is None or id != RUN_ID:
            raise NotFound("There is no such run.")
        document = {
            **describe_spec(self.now),
            "id": RUN_ID,
            "state": "running",
            "sentence": "Training.",
            "waiting": None,
            "step": 120,
            "created": "2026-11-22T14:05:09Z",
            "epoch": 4.8,
            "updates_per_second": None,
            "metrics": dict.fromkeys(
                ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "test_r_squared"), 0.5
            ),
        }
        return document | self.changes

    async def spec(self, id: str) -> dict[str, Any]:
        await self.get(id)
        assert self.now is not None
        return self.now.to_dict()

    async def create(self, spec: RunSpec, *, state: str) -> dict[str, Any]:
        self.now = spec
        self.asked.append(("create", state))
        return await self.get(RUN_ID)

    async def respec(self, id: str, spec: RunSpec, *, keep: str, expected: str | None = None) -> dict[str, Any]:  # noqa: ARG002
        if self.refuse is not None:
            raise self.refuse
        self.now = spec
        self.asked.append(("respec", keep))
        return await self.get(id)

    async def change(self, id: str, changes: RunChanges, *, expected: str | None = None) -> dict[str, Any]:  # noqa: ARG002
        assert self.now is not None
        values = {
            name: value
            for name in RunChanges.__slots__
            if (value := getattr(changes, name)) not in (None, Unchanged.UNCHANGED)
        }
        self.asked.append(("change", dict(values)))
        self.changes |= {name: values.pop(name) for name in ("state", "updates_per_second") if name in values}
        if changes.clip_norm is None:
            values["clip_norm"] = None
        self.now = replace(self.now, **values)
        return await self.get(id)

    async def list(self, limit: int = 20, cursor: str | None = None) -> dict[str, Any]:  # noqa: ARG002
        return {"items": [await self.get(RUN_ID)], "next": None}

    async def step(self, id: str, count: int) -> dict[str, Any]:
        self.asked.append(("step", count))
        return await self.get(id)

    async def points(self, id: str) -> dict[str, Any]:
        await self.get(id)
        return {
            "columns": ["x", "y"],
            "classes": ["A", "B"],
            "target": "class",
            "values": [[1.0, 2.0], [-1.0, 0.5], [0.0, 0.0]],
            "labels": [0, 1, 1],
        }


@asynccontextmanager
async def browser(service: FakeRuns, *others: APIRouter) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    problems.install(app)
    for router in (plane.router, *others):
        app.include_router(router)
    app.dependency_overrides = {deps.runs: lambda: service, deps.datasets: lambda: Datasets()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://nabla") as client:
        yield client


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


class Form(Page):
    """The fields of `#experiment` as a browser would send them; fields elsewhere that name it as their form are among them."""

    def __init__(self, html: str) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.attributes: dict[str, str | None] = {}
        self.inside = False
        self.resting: list[str] = []
        self.select: str | None = None
        super().__init__(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attributes)
        found = dict(attributes)
        if found.get("id") == "experiment":
            self.inside, self.attributes = True, found
        if tag == "fieldset" and "disabled" in found:
            self.resting.append("fieldset")
        elif tag == "fieldset" and self.resting:
            self.resting.append("")
        name, resting = found.get("name"), bool(self.resting) or "disabled" in found
        belongs = self.inside or found.get("form") == "experiment"
        if tag == "select":
            self.select = name if belongs and not resting else None
        if tag == "option" and self.select and "selected" in found:
            self.pairs.append((self.select, found.get("value") or ""))
        if tag == "input" and name and belongs and not resting:
            kind = found.get("type", "text")
            if kind not in ("radio", "checkbox") or "checked" in found:
                self.pairs.append((name, found.get("value") or ""))

    def handle_endtag(self, tag: str) -> None:
        super().handle_endtag(tag)
        if tag == "form":
            self.inside = False
        if tag == "fieldset" and self.resting:
            self.resting.pop()

    def with_(self, **changed: str) -> list[tuple[str, str]]:
        return [(name, text) for name, text in self.pairs if name not in changed] + list(changed.items())

    @property
    def address(self) -> str:
        return self.attributes["data-address"] or ""


async def sent(client: httpx.AsyncClient, page: str, pairs: list[tuple[str, str]], status: int = 200) -> Form:
    body = urlencode(pairs)
    headers = HTMX | {"content-type": "application/x-www-form-urlencoded"}
    answer = await client.post(f"/{page}/runs/{RUN_ID}/experiment", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    return Form(answer.text)


async def shown(client: httpx.AsyncClient, page: str = "plane") -> Form:
    """The bench of the run, as its page has it."""
    return Form((await client.get(f"/{page}?run={RUN_ID}")).text)


# ---- Pages ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", KINDS)
async def test_a_page_shows_what_its_address_says_and_makes_nothing(page: str) -> None:
    service = FakeRuns()
    async with browser(service) as client:
        answer = await client.get(f"/{page}")
    assert answer.status_code == 200
    form = Form(answer.text)
    assert form.attributes["data-run"] == ""
    assert "hx-post" not in form.attributes
    assert service.asked == []
    assert form.all("link", href="/static/css/plane.css")


async def test_a_csv_file_of_one_class_is_told_why_it_cannot_be_learned() -> None:
    async with browser(FakeRuns()) as client:
        answer = await client.post("/plane/csv", data={"text": "x,y,class\n1,2,a\n3,4,a\n"})
    assert answer.status_code == 200
    assert "there can be 2 to 6 classes" in answer.text


async def test_a_network_is_offered_in_every_format() -> None:
    async with browser(FakeRuns(read({}).spec)) as client:
        form = await shown(client)
    assert [option["value"] for option in form.all("option") if option.get("value") in FORMATS] == list(FORMATS)
    assert form.all("form", action=f"/runs/{RUN_ID}/model")


async def test_a_lesson_s_link_with_a_control_that_is_not_here_opens_and_says_so() -> None:
    async with browser(FakeRuns()) as client:
        answer = await client.get("/plane?hide=noise,knobs&lock=wheels")
    assert answer.status_code == 200
    assert "what is not here: knobs, wheels." in answer.text
    assert not Form(answer.text).all("input", name="noise", type="range")


async def test_the_picture_of_the_plane_is_computed_as_finely_as_is_asked() -> None:
    service = FakeRuns(read({}).spec)
    async with browser(service) as client:
        form = await shown(client)
        after = await sent(client, "plane", form.with_(resolution="200"))
        assert "resolution=200" in after.address
        assert service.asked == []
        assert not Form((await client.get(f"/curve?{write(read({}, 'curve'))}")).text).all("select", name="resolution")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/plane", "which colour belongs where. Each picture shows where a neuron says yes"),
        ("/plane?data=spiral&classes=5", "which of 5 colours belongs where"),
        ("/plane?data=bumps", "a number for every place"),
        ("/curve", "one number from another"),
    ],
)
async def test_the_first_sentence_is_about_what_is_learned(address: str, words: str) -> None:
    async with browser(FakeRuns()) as client:
        assert words in (await client.get(address)).text


async def test_the_first_sentence_follows_the_data() -> None:
    async with browser(FakeRuns(read({}).spec)) as client:
        form = await shown(client)
        body = urlencode(form.with_(data="plane"))
        headers = HTMX | {"content-type": "application/x-www-form-urlencoded"}
        answer = await client.post(f"/plane/runs/{RUN_ID}/experiment", content=body, headers=headers)
    assert re.search(r'<p id="task" hx-swap-oob="outerMorph">The network learns a number', answer.text)


ADDRESSES = (
    "/plane",
    "/plane?data=spiral&classes=3&network=8.relu.d0.2,3.linear&features=x,sin_x,cos_y&loss=half_squared_error&clip=1",
    "/plane?data=bumps&loss=huber&huber_delta=0.5&network=&show=",
    "/plane?data=circle&lock=data,noise,points,train,features,layers,activation,dropout,lr,optimizer,batch,decay,loss,init",
    "/plane?data=circle&hide=" + ",".join(CONTROLS),
    "/plane?data=circle&lock="
    + ",".join(CONTROLS)
    + "&optimizer=adamw&schedule=cosine&steps=77&stop_epochs=3&speed=10&seed=4",
    "/curve?data=sine&network=5.tanh&points=30&train=0.5&units=0",
    "/curve?data=line&network=&optimizer=sgd&momentum=0.5&hide=noise&lock=points",
)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_the_form_of_a_page_says_the_same_as_its_address(address: str) -> None:
    async with browser(FakeRuns()) as client:
        form = Form((await client.get(address)).text)
        page: Any = urlsplit(address).path[1:]
        experiment = read(dict(parse_qsl(urlsplit(address).query, keep_blank_values=True)), page)
        assert form.address == f"/{page}?{write(experiment)}"
        again = await client.get(f"/{page}", params=form.pairs)
    assert again.status_code == 303, "a form's address leads to the address that says it in its own words"
    assert again.headers["location"] == form.address


async def test_a_page_leads_playgrounds_address_and_presets_to_their_own() -> None:
    async with browser(FakeRuns()) as client:
        answer = await client.get("/plane", params={"playground": "dataset=spiral&networkShape=6,5&activation=relu"})
        assert (answer.status_code, "data=spiral" in answer.headers["location"]) == (303, True)
        assert "network=6.relu,5.relu" in answer.headers["location"]
        preset = await client.get("/plane?preset=spiral&lr=0.5")
        query = urlsplit(preset.headers["location"]).query
        spec = PRESETS["spiral"].spec
        wanted = replace(spec, optimizer=replace(spec.optimizer, learning_rate=0.5))  # type: ignore[call-arg]
        assert read(dict(parse_qsl(query, keep_blank_values=True))).spec == wanted
        wrong = await client.get("/plane?preset=digits", headers={"accept": "text/html"})
        assert (wrong.status_code, "There is no such preset" in wrong.text) == (422, True)


async def test_an_address_that_cannot_be_is_told_on_a_page() -> None:
    async with browser(FakeRuns()) as client:
        answer = await client.get("/plane?lr=fast", headers={"accept": "text/html"})
    assert answer.status_code == 422
    assert "lr: A number is needed here, more than 0 and at most 100." in unescape(answer.text)


async def test_buttons_work_without_a_script() -> None:
    async with browser(FakeRuns()) as client:
        form = Form((await client.get("/plane")).text)
        more = await client.get("/plane", params=form.with_(action="layer:more"))
        assert "network=4.tanh,2.tanh,2.tanh" in more.headers["location"]
        fewer = await client.get("/plane", params=form.with_(action="fewer:0"))
        assert "network=3.tanh,2.tanh&" in fewer.headers["location"]


async def test_each_run_is_shown_on_its_page() -> None:
    service = FakeRuns(BASES["curve"])
    async with browser(service) as client:
        assert (await client.get(f"/curve?run={RUN_ID}")).status_code == 200
        moved = await client.get(f"/plane?run={RUN_ID}")
        assert (moved.status_code, moved.headers["location"]) == (303, f"/curve?run={RUN_ID}")
        service.now = RunSpec()
        assert (await client.get(f"/plane?run={RUN_ID}")).status_code == 422
        assert (await client.get("/plane?run=0000000000000000")).status_code == 404


@pytest.mark.parametrize(
    ("page", "kind"), [(page, kind) for page, kinds in KINDS.items() for kind in kinds if kind != "own"]
)
async def test_every_set_has_a_picture_of_its_own_points(page: str, kind: str) -> None:
    async with browser(FakeRuns()) as client:
        answer = await client.get(f"/{page}/sets/{kind}.svg")
        assert answer.headers["content-type"] == "image/svg+xml"
        assert len(re.findall("<circle ", answer.text)) >= 13
        assert len(answer.content) < 10_000
        assert (await client.get(f"/{page}/sets/own.svg")).status_code == 404


# ---- What the pages share ----------------------------------------------------------------------------------------------------


async def test_every_page_leads_a_run_to_the_page_of_its_kind() -> None:
    service = FakeRuns(BASES["plane"])
    async with browser(service, pages.router) as client:
        for spec, address in (
            (BASES["plane"], "/plane"),
            (BASES["curve"], "/curve"),
            (replace(BASES["plane"], dataset=TableSpec(values="AACAPwAAAEAAAAAA")), "/plane"),
            (
                replace(BASES["curve"], dataset=TableSpec(columns=("x",), class_names=(), values="AACAPwAAAEA=")),
                "/curve",
            ),
        ):
            service.now = spec
            answer = await client.get(f"/?run={RUN_ID}")
            assert (answer.status_code, answer.headers["location"]) == (303, f"{address}?run={RUN_ID}")
            assert f'href="{address}?run={RUN_ID}"' in (await client.get("/runs")).text


async def test_a_run_with_written_weights_is_refused_in_words() -> None:
    service = FakeRuns(replace(BASES["curve"], network=(Dense(units=1),), parameters=(0.5, 1.0)))
    async with browser(service) as client:
        answer = await client.get(f"/curve?run={RUN_ID}")
    assert answer.status_code == 422
    assert "weights that are written out" in answer.text


@pytest.mark.parametrize(("batch", "steps"), [(10, [25]), (250, [1]), (300, [1])])
async def test_an_epoch_is_as_many_updates_as_show_each_training_point_once(batch: int, steps: list[int]) -> None:
    service = FakeRuns(replace(BASES["plane"], batch_size=batch))
    async with browser(service, runs.router) as client:
        answer = await client.post(f"/runs/{RUN_ID}/steps", data={"count": "epoch"}, headers=HTMX)
        assert answer.status_code == 200
        assert (await client.post(f"/runs/{RUN_ID}/steps", data={"count": "day"}, headers=HTMX)).status_code == 422
    assert service.asked == [("step", count) for count in steps]


async def test_a_long_epoch_is_asked_for_in_parts() -> None:
    service = FakeRuns(replace(BASES["plane"], batch_size=1, dataset=PlaneSpec(points=5000)))
    async with browser(service, runs.router) as client:
        answer = await client.post(f"/runs/{RUN_ID}/steps", data={"count": "epoch"}, headers=HTMX)
    assert service.asked == [("step", 1000), ("step", 1000), ("step", 500)]
    assert "Update" in answer.text
    assert 'id="seed"' not in answer.text


# ---- A run for the page ---------------------------------------------------------------------------------------------------------


async def test_a_page_gets_a_run_and_keeps_it_while_it_is_the_same_experiment() -> None:
    service = FakeRuns()
    async with browser(service) as client:
        opened = await client.post("/plane/open", data={"query": "?data=xor", "run": ""}, headers=HTMX)
        form = Form(opened.text)
        assert (form.attributes["data-run"], form.attributes["data-change"]) == (RUN_ID, "opened")
        assert form.attributes["hx-post"] == f"/plane/runs/{RUN_ID}/experiment"
        await client.post("/plane/open", data={"query": "?data=xor", "run": RUN_ID}, headers=HTMX)
        assert service.asked == [("create", "running")]
        await client.post("/plane/open", data={"query": "?data=circle&play=0", "run": RUN_ID}, headers=HTMX)
        assert service.asked == [("create", "running"), ("create", "paused")]
        await client.post("/plane/open", data={"query": "", "run": "0000000000000000"}, headers=HTMX)
        assert service.asked[-1] == ("create", "running")
        await client.post("/plane/open", data={"query": "speed=10", "run": ""}, headers=HTMX)
        assert service.asked[-1] == ("change", {"updates_per_second": 10.0})


async def test_the_run_bar_comes_along_with_the_bench() -> None:
    async with browser(FakeRuns()) as client:
        opened = await client.post("/plane/open", data={"query": "", "run": ""}, headers=HTMX)
    page = Form(opened.text)
    beside = {attributes.get("id") for _, attributes in page.elements if "hx-swap-oob" in attributes}
    assert beside >= {"commands", "readouts", "runbar-end", "more-menu", "accident"}


# ---- Changes --------------------------------------------------------------------------------------------------------------------------


async def test_the_form_as_it_is_changes_nothing() -> None:
    for page, base in BASES.items():
        service = FakeRuns(base)
        async with browser(service) as client:
            form = await shown(client, page)
            again = await sent(client, page, form.pairs)
        assert (service.asked, again.attributes["data-change"], again.address) == ([], "view", form.address)


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ({"lr": "0.5"}, {"optimizer": replace(BASES["plane"].optimizer, learning_rate=0.5)}),  # type: ignore[call-arg]
        ({"optimizer": "sgd"}, {"optimizer": SGD()}),
        ({"batch": "30"}, {"batch_size": 30}),
        ({"l1": "0.01", "l2": "0.1"}, {"l1": 0.01, "l2": 0.1}),
        ({"schedule": "cosine"}, {"schedule": Cosine()}),
        ({"clip": "2"}, {"clip_norm": 2.0}),
        ({"stop_epochs": "5", "stop_accuracy": "99"}, {"stop": StopSpec(epochs=5.0, accuracy=0.99)}),
        ({"speed": "10"}, {"updates_per_second": 10.0}),
    ],
)
async def test_hyperparameters_change_while_the_run_goes_on(changed: dict[str, str], asked: dict[str, Any]) -> None:
    service = FakeRuns(BASES["plane"])
    async with browser(service) as client:
        form = await sent(client, "plane", (await shown(client)).with_(**changed))
    assert service.asked == [("change", asked)]
    for name, text in changed.items():
        assert f"{name}={text}" in form.address


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({"noise": "0.1"}, "weights"),
        ({"points": "200"}, "weights"),
        ({"train": "0.9"}, "weights"),
        ({"action": "new:points"}, "weights"),
        ({"data": "xor"}, "nothing"),
        ({"data": "bumps"}, "nothing"),
        ({"classes": "3"}, "nothing"),
        ({"loss": "half_squared_error"}, "nothing"),
        ({"activation-0": "relu"}, "nothing"),
        ({"dropout-1": "0.5"}, "nothing"),
        ({"action": "layer:more"}, "nothing"),
        ({"action": "more:1"}, "nothing"),
        ({"init": "zeros"}, "nothing"),
        ({"seed": "9"}, "nothing"),
        ({"action": "new:seed"}, "nothing"),
        ({"features": "x,xy"}, "nothing"),
    ],
)
async def test_other_points_keep_the_weights_and_another_network_does_not(changed: dict[str, str], kept: str) -> None:
    service = FakeRuns(BASES["plane"])
    async with browser(service) as client:
        form = await sent(client, "plane", (await shown(client)).with_(**changed))
    assert service.asked == [("respec", kept)]
    assert form.attributes["data-change"] == kept
    assert service.now == read(dict(parse_qsl(urlsplit(form.address).query, keep_blank_values=True))).spec


async def test_what_is_painted_goes_on_with_the_weights() -> None:
    service = FakeRuns(BASES["plane"])
    values = "AACAPwAAAEAAAAAAAAAAwAAAgD8AAIA/"
    async with browser(service) as client:
        pairs = (await shown(client)).with_(
            data="own", own_values=values, own_columns='["x","y"]', own_class_names='["A","B"]'
        )
        form = await sent(client, "plane", pairs)
        assert service.asked == [("respec", "weights")]
        assert service.now is not None
        assert isinstance(service.now.dataset, TableSpec)
        assert service.now.dataset.values == values
        assert ("own_values", values) in form.pairs
        back = await sent(client, "plane", form.with_(data="circle"))
        assert ("own_values", values) in back.pairs, "one's own points are still there"
        again = await sent(client, "plane", back.with_(data="own"))
        assert again.address == form.address


async def test_own_points_begin_with_those_that_are_there() -> None:
    service = FakeRuns(BASES["plane"])
    async with browser(service) as client:
        await sent(client, "plane", (await shown(client)).with_(data="own"))
    assert service.now is not None
    assert service.now.dataset.sizes == {"train": 2, "validation": 0, "test": 1}


async def test_an_address_takes_the_place_of_the_form() -> None:
    """Back and forward."""
    service = FakeRuns(BASES["plane"])
    async with browser(service) as client:
        form = await sent(client, "plane", [("query", "?data=xor&lr=0.5"), *(await shown(client)).pairs])
    assert service.asked == [("respec", "nothing")]
    assert service.now == read({"data": "xor", "lr": "0.5"}).spec
    assert ("lr", "0.5") in form.pairs


async def test_a_cure_of_the_learning_rate_trains_on() -> None:
    service = FakeRuns(BASES["plane"], state="diverged")
    async with browser(service) as client:
        page = await shown(client)
        assert page.all("button", form="experiment", value="rate:0.003")
        form = await sent(client, "plane", page.with_(action="rate:0.003"))
    (change,) = service.asked
    assert (change[1]["optimizer"].learning_rate, change[1]["state"]) == (0.003, "running")
    assert ("lr", "0.003") in form.pairs


# ---- Refusals ----------------------------------------------------------------------------------------------------------------------------


async def test_what_cannot_be_is_told_at_its_field_and_changes_nothing() -> None:
    service = FakeRuns(BASES["plane"])
    async with browser(service) as client:
        pairs = (await shown(client)).with_(**{"lr": "<b>", "stop_epochs": "-1", "batch": "20"})
        form = await sent(client, "plane", pairs, 422)
    assert service.asked == []
    assert (form.attributes["data-change"], ("lr", "<b>") in form.pairs) == ("refused", True)
    wrong = form.all("input", **{"aria-invalid": "true"})
    assert [field["name"] for field in wrong] == ["lr", "stop_epochs"]
    assert all(form.all("small", id=field["aria-describedby"] or "") for field in wrong)
    assert "open" in form.all("details", id="settings")[0]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"units-0": "99"}, "Layer 1 needs 1 to 20 neurons."),
        ({"features": ""}, "The network needs at least one input."),
        ({"data": "own", "own_values": "AAAAAA=="}, "A row of the table is 3 numbers"),
        ({"data": "own", "own_values": "!"}, "The points could not be read."),
    ],
)
async def test_what_has_no_field_is_told_beside_the_points(changed: dict[str, str], words: str) -> None:
    service = FakeRuns(BASES["plane"])
    async with browser(service) as client:
        pairs = (await shown(client)).with_(**changed)
        body = urlencode(pairs)
        headers = HTMX | {"content-type": "application/x-www-form-urlencoded"}
        answer = await client.post(f"/plane/runs/{RUN_ID}/experiment", content=body, headers=headers)
    assert answer.status_code == 422
    assert re.search(rf'role="alert">[^<]*{re.escape(words)}', unescape(answer.text))
    assert service.asked == []


async def test_a_refusal_of_the_run_itself_is_told_and_the_bench_stays() -> None:
    service = FakeRuns(BASES["plane"])
    service.refuse = Unprocessable("This run needs too much.")
    async with browser(service) as client:
        form = await shown(client)
        again = await sent(client, "plane", form.with_(data="xor"), 422)
    assert again.address == form.address


async def test_another_optimizer_comes_with_its_own_numbers_and_says_so() -> None:
    service = FakeRuns(BASES["plane"])
    async with browser(service) as client:
        answer = await client.post(
            f"/plane/runs/{RUN_ID}/experiment", data={"optimizer": "adadelta", "lr": "0.03", "rho": "0.5"}, headers=HTMX
        )
    assert "The learning rate is now as is usual for Adadelta." in unescape(answer.text)
    assert ("lr", "1") in Form(answer.text).pairs


# ---- Lessons ---------------------------------------------------------------------------------------------------------------------------


async def test_a_locked_control_rests_and_a_hidden_one_is_absent() -> None:
    async with browser(FakeRuns()) as client:
        form = Form((await client.get("/plane?lock=lr&hide=noise&noise=0.1&lr=0.5")).text)
        assert [field["type"] for field in form.all("input", name="noise")] == ["hidden"]
        assert ("lr", "0.5") in form.pairs
        assert ("noise", "0.1") in form.pairs
        assert {field.get("type") for field in form.all("input", name="lr")} == {"hidden", None}


def test_every_control_has_a_title_and_those_with_fields_keep_them() -> None:
    assert set(CONTROL_TITLES) == set(CONTROLS)
    assert set(CONTROL_FIELDS) <= set(CONTROLS)
    texts = texts_of(read({}))
    for names in CONTROL_FIELDS.values():
        for name in names:
            assert name in texts or name.endswith("-") or name in ("layers", "every", "factor", "steps", "final"), name


# ---- CSV ----------------------------------------------------------------------------------------------------------------------------------


async def test_a_csv_text_becomes_points_and_tells_of_rows_that_are_none() -> None:
    text = "a,b,kind\n1,2,yes\n3,oops,no\n-1,-2,no\n"
    service = FakeRuns(BASES["plane"])
    async with browser(service) as client:
        answer = await client.post("/plane/csv", files={"text": (None, text)}, headers=HTMX)
        page = Page(answer.text)
        (use,) = page.all("button", form="experiment")
        assert "1 row was left out" in answer.text
        assert "3,oops,no" in answer.text
        form = await sent(client, "plane", (await shown(client)).with_(action=use["value"] or ""))
    assert service.now is not None
    assert isinstance(service.now.dataset, TableSpec)
    assert (service.now.dataset.columns, service.now.dataset.class_names) == (("a", "b"), ("yes", "no"))
    assert "data=own" in form.address


async def test_a_csv_file_is_read_and_other_columns_can_be_chosen() -> None:
    file = {"file": ("points.csv", b"x;y;z;n\n1,5;2;3;0\n2;3;4;7,5\n")}
    async with browser(FakeRuns()) as client:
        answer = await client.post("/plane/csv", files=file, headers=HTMX)
        assert "a number is learned: n" in unescape(answer.text)
        chosen = [("text", (None, "x;y;z;n\n1,5;2;3,5;0\n2;3;4;7,5\n")), ("target", (None, "z"))]
        other = await client.post(
            "/plane/csv", files=[*chosen, *(("columns", (None, name)) for name in "xn")], headers=HTMX
        )
        assert "of x, n;" in unescape(other.text)
        assert "a number is learned: z" in unescape(other.text)


@pytest.mark.parametrize("text", ["", "   ", "only one line", "a,b\n<script>,x\n"])
async def test_a_csv_text_without_points_is_told_in_words(text: str) -> None:
    async with browser(FakeRuns()) as client:
        answer = await client.post("/plane/csv", files={"text": (None, text)}, headers=HTMX)
    assert answer.status_code == 200
    assert re.search(r'<p class="error" role="alert">[^<]+\.</p>', answer.text)
    assert "<script>," not in answer.text


async def test_a_curve_takes_one_column_and_numbers() -> None:
    service = FakeRuns(BASES["curve"])
    async with browser(service) as client:
        answer = await client.post("/curve/csv", files={"text": (None, "a,b,y\n1,5,0\n2,6,1\n3,7,2\n")}, headers=HTMX)
        assert "a number is learned: y" in unescape(answer.text), "0, 1 and 2 are numbers here"
        (use,) = Page(answer.text).all("button", form="experiment")
        await sent(client, "curve", (await shown(client, "curve")).with_(action=use["value"] or ""))
        names = await client.post("/curve/csv", files={"text": (None, "a,kind\n1,yes\n2,no\n")}, headers=HTMX)
        assert "A curve goes through numbers" in names.text
        flat = await client.post("/plane/csv", files={"text": (None, "a,y\n1,2.5\n2,3\n")}, headers=HTMX)
        assert "These points have one column" in flat.text
    assert service.now is not None
    table = service.now.dataset
    assert isinstance(table, TableSpec)
    assert (table.columns, table.class_names) == (("a",), ())
    assert list(array("f", base64.b64decode(table.values))) == [1, 0, 2, 1, 3, 2]


# ---- By themselves ---------------------------------------------------------------------------------------------------------------------------


def test_buttons_act_on_the_texts_and_stop_at_the_limits() -> None:
    texts = {"network": "1.tanh"}
    for action in ("fewer:0", "fewer:7", "more:x", "more:-1", "more:", "nonsense", "", "layer:", "new:run"):
        act(texts, action)
        assert texts == {"network": "1.tanh"}, action
    for _ in range(30):
        act(texts, "more:0")
        act(texts, "layer:more")
    assert texts["network"] == ",".join(["20.tanh", *["2.tanh"] * 7])
    for _ in range(9):
        act(texts, "layer:fewer")
    assert texts["network"] == ""
    act(texts, "layer:more")
    assert texts["network"] == "4.tanh"


def test_settling_keeps_the_numbers_of_the_same_optimizer() -> None:
    texts = {"optimizer": "adam", "lr": "0.5", "schedule": "constant", "warm_up": "3"}
    assert settle(texts, BASES["plane"]) == ""
    assert texts == {"optimizer": "adam", "lr": "0.5", "schedule": "constant", "warm_up": "3"}


def test_weights_are_kept_for_the_same_kind_of_points_only() -> None:
    base = BASES["plane"]
    assert kept_weights(base, replace(base, dataset=PlaneSpec(noise=0.3))) == "weights"
    assert kept_weights(base, replace(base, dataset=PlaneSpec(kind="xor"))) == "nothing"
    assert kept_weights(base, replace(base, dataset=TableSpec())) == "weights"
    assert kept_weights(base, replace(base, dataset=TableSpec(class_names=("A",)))) == "nothing"
    assert kept_weights(base, replace(base, dataset=PlaneSpec(features=("x", "xy")))) == "nothing"
    assert kept_weights(base, replace(base, dataset=PlaneSpec(noise=0.3), seed=2)) == "nothing"
    assert live_changes(base, replace(base, l2=0.1)) == {"l2": 0.1}
    assert live_changes(base, base) == {}
    assert live_changes(base, replace(base, l2=0.1, seed=2)) is None


def test_a_bench_of_many_columns_offers_which_are_drawn() -> None:
    table = TableSpec(columns=("a", "b", "c"), values="AACAPwAAAEAAAAAAAACAPw==")
    spec = replace(BASES["plane"], dataset=table, network=(Dense(units=3), Tanh(), Dense(units=2)))
    bench = bench_of(Experiment(page="plane", spec=spec, view=View(axes="2.0")))
    assert bench.columns == ("a", "b", "c")
    assert [item["label"] for item in bench.inputs] == ["a", "b", "c"]
