"""The HTML pages and fragments, with a service that has no workers (pages_fixture)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app import deps, problems
from app.errors import Conflict
from app.figures import figure
from app.routes import network, pages, runs
from app.routes.builder import typed_layers
from app.routes.forms import fields_of
from app.settings import Settings
from app.templating import ROOT, plain_number
from engine.presets import PRESETS
from engine.specs import LAYER_SPECS, Adam, AdamW, Dense, RunSpec, tagged
from tests.app.pages_fixture import RUN_ID, FakeRuns, run_document

HTMX = {"HX-Request": "true"}
RUN = f"/runs/{RUN_ID}"


@asynccontextmanager
async def browser(service: FakeRuns) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    problems.install(app)
    for module in (pages, runs, network):
        app.include_router(module.router)
    app.dependency_overrides = {deps.runs: lambda: service, deps.settings: lambda: Settings()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://nabla") as client:
        yield client


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


class Page(HTMLParser):
    """The elements of a document, as (tag, attributes)."""

    VOID = frozenset({"meta", "link", "input", "br", "hr", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"an attribute of <{tag}> stands twice: {names}"
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.elements if name == tag and attributes.items() <= found.items()]


# ---- Whole pages -------------------------------------------------------------------------------------------------------------


async def test_digits_has_every_part_of_convnetjs_page() -> None:
    async with browser(FakeRuns(run_document())) as client:
        html = (await client.get("/")).text
    Page(html)
    for heading in (
        "Training stats",
        "Instantiate a network and trainer",
        "Network visualization",
        "Example predictions on the test set",
        "Draw a digit",
        "Loss",
        "Trainer",
        "Save and load the network",
    ):
        assert re.search(rf"<h2[^>]*>{heading}</h2>", html), heading


async def test_figures_are_written_as_the_script_writes_them() -> None:
    assert figure(3460.4) == "3,460"
    assert figure(0.0683) == "0.0683"
    assert figure(1.2e-5) == "1.2×10⁻⁵"
    assert figure(-0.0001, digits=2) == "0.00"
    assert figure(-1.5) == "−1.50"
    assert figure(0.9827, "percent") == "98.3\u2009%"
    assert figure(200.2, "seconds") == "3\u2009min 20\u2009s"
    assert figure(None) == figure(float("nan")) == "–"


@pytest.mark.parametrize("path", ["/", "/runs", "/limits", "/?run=ffffffffffffffff"])
async def test_pages_hold_no_inline_script_or_style_and_no_dead_link(path: str) -> None:
    async with browser(FakeRuns(run_document())) as client:
        page = Page((await client.get(path, headers={"Accept": "text/html"})).text)
    for tag, attributes in page.elements:
        assert "style" not in attributes
        assert not any(name.startswith(("on", "hx-on")) for name in attributes)
        assert tag != "style"
        if tag == "script":
            assert (attributes["src"] or "").startswith("/static/")
    ids = {attributes.get("id") for _, attributes in page.elements}
    for link in page.all("a"):
        target = link["href"] or ""
        assert target in ("/", "/plane", "/curve", "/labs", "/runs", "/docs") or target.startswith(("/api/runs/", "/?run=", "/labs/backpropagation?run=")) or target[1:] in ids


async def test_every_id_is_used_once_and_every_reference_finds_its_element() -> None:
    async with browser(FakeRuns(run_document())) as client:
        page = Page((await client.get("/")).text)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("for", "aria-describedby", "aria-labelledby", "popovertarget"):
            if attributes.get(name):
                assert attributes[name] in ids, attributes


async def test_every_control_has_a_name() -> None:
    async with browser(FakeRuns(run_document())) as client:
        html = (await client.get("/")).text
    page = Page(html)
    labelled = {attributes.get("for") for attributes in page.all("label")}
    for tag in ("input", "select", "textarea"):
        for control in page.all(tag):
            named = control.get("id") in labelled or control.get("aria-label")
            inside = re.search(rf"<label[^>]*>(?:(?!</label>).)*<{tag}[^>]*name=\"{control.get('name')}\"", html, re.S)
            assert named or inside or control.get("type") in ("hidden", "checkbox"), control


async def test_opening_a_page_starts_nothing() -> None:
    service = FakeRuns()
    async with browser(service) as client:
        html = (await client.get("/")).text
        assert service.created == []
        assert 'hx-trigger="load, submit"' in html
        answer = await client.post("/runs", data={"preset": "digits", "first": "1"}, headers=HTMX)
        assert answer.headers["hx-redirect"] == f"/?run={RUN_ID}"
        again = await client.post("/runs", data={"preset": "digits", "first": "1"})
    assert again.status_code == 303
    assert service.created == [PRESETS["digits"].spec]


async def test_the_digits_menu_offers_presets_of_digits_alone() -> None:
    async with browser(FakeRuns(run_document())) as client:
        digits, runs = (await client.get("/")).text, (await client.get("/runs")).text
    assert 'value="digits-dense"' in digits
    assert 'value="spiral"' not in digits
    assert 'value="spiral"' in runs


async def test_a_missing_run_is_a_page_in_words() -> None:
    async with browser(FakeRuns(run_document())) as client:
        answer = await client.get("/?run=ffffffffffffffff", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "There is no such run." in answer.text


async def test_a_run_with_a_hostile_name_is_escaped() -> None:
    async with browser(FakeRuns(run_document(name="<script>alert(1)</script>"))) as client:
        for path in ("/", "/runs"):
            assert "<script>alert" not in (await client.get(path)).text


async def test_a_value_that_was_not_measured_is_a_dash() -> None:
    run = run_document(step=0)
    run["metrics"] = dict.fromkeys(run["metrics"])
    async with browser(FakeRuns(run)) as client:
        html = (await client.get("/")).text
    assert "None" not in html
    assert html.count('data-figure="test_accuracy"') == len(re.findall(r'data-figure="test_accuracy"[^>]*>–<', html))


# ---- Commands ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "enabled", "label"),
    [
        ("running", {"toggle", "reset"}, "Pause"),
        ("paused", {"toggle", "step-1", "step-10", "step-100", "reset"}, "Train"),
        ("queued", set(), "Pause"),
        ("stopped", {"reset"}, "Train"),
        ("diverged", {"toggle", "reset"}, "Train"),
    ],
)
async def test_what_makes_no_sense_is_disabled_with_the_reason(state: str, enabled: set[str], label: str) -> None:
    async with browser(FakeRuns(run_document(state=state))) as client:
        html = (await client.get(f"{RUN}/commands")).text
    buttons = [button for button in Page(html).all("button") if "data-command" in button]
    assert {button["data-command"] for button in buttons if "disabled" not in button} == enabled
    assert all(button["title"] for button in buttons)
    assert f"<span data-label>{label}</span>" in html


async def test_commands_answer_with_what_may_be_pressed_next() -> None:
    service = FakeRuns(run_document())
    async with browser(service) as client:
        paused = await client.patch(f"{RUN}/state", data={"state": "paused"}, headers=HTMX)
        stepped = await client.post(f"{RUN}/steps", data={"count": "10"}, headers=HTMX)
        reset = await client.post(f"{RUN}/reset", data={"seed": "new"}, headers=HTMX)
    assert 'data-state="paused"' in paused.text
    assert stepped.status_code == 200
    assert f'<b id="seed" hx-swap-oob="true">{service.run["seed"]}</b>' in reset.text  # type: ignore[index]
    assert service.run["step"] == 0  # type: ignore[index]


async def test_a_diverged_run_offers_a_smaller_learning_rate() -> None:
    async with browser(FakeRuns(run_document(state="diverged", sentence="The loss stopped being a number."))) as client:
        html = (await client.get("/")).text
    assert "The loss stopped being a number." in html
    assert "Train on with learning rate 0.1" in html


async def test_the_trainer_form_shows_what_the_cure_changed() -> None:
    async with browser(FakeRuns(run_document(state="diverged"))) as client:
        cure = await client.patch(f"{RUN}/state", data={"state": "running", "learning_rate": "0.1"}, headers=HTMX)
    page = Page(cure.text)
    assert page.all("form", id="trainer")[0]["hx-swap-oob"] == "outerMorph"
    assert page.all("input", name="learning_rate")[0]["value"] == "0.1"


@pytest.mark.parametrize("rate", ["0", "-1", "100.1", "nan", "inf"])
async def test_the_cure_takes_no_rate_that_a_spec_would_refuse(rate: str) -> None:
    async with browser(FakeRuns(run_document(state="diverged"))) as client:
        answer = await client.patch(f"{RUN}/state", data={"state": "running", "learning_rate": rate}, headers=HTMX)
    assert answer.status_code == 422
    assert 'class="problem"' in answer.text


async def test_a_refused_command_is_a_fragment_in_words() -> None:
    async with browser(FakeRuns(run_document())) as client:
        answer = await client.post(f"{RUN}/steps", data={"count": "0"}, headers=HTMX)
    assert answer.status_code == 422
    assert 'class="problem"' in answer.text


# ---- Trainer -------------------------------------------------------------------------------------------------------------------


def trainer(**changes: str) -> dict[str, str]:
    form = {
        "learning_rate": "1",
        "batch_size": "20",
        "l2": plain_number(RunSpec().l2),
        "l1": "0",
        "optimizer": "adadelta",
    }
    return {**form, "rho": "0.95", "epsilon": "1e-06", "epochs": "", "accuracy": "", "seconds": "", **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": "0"}, "At least 1. It was left at 20."),
        ({"batch_size": "20.5"}, "A whole number is needed here, at least 1 and at most 1,024. It was left at 20."),
        ({"learning_rate": "0"}, "More than 0. It was left at 1."),
        ({"learning_rate": "nan"}, "A number is needed here, more than 0 and at most 100. It was left at 1."),
        (
            {"l2": "viel"},
            f"A number is needed here, at least 0 and at most 10. It was left at {plain_number(RunSpec().l2)}.",
        ),
        ({"accuracy": "140"}, "At most 100. It was left empty."),
    ],
)
async def test_a_field_says_what_is_legal_and_what_was_kept(changes: dict[str, str], words: str) -> None:
    service = FakeRuns(run_document())
    async with browser(service) as client:
        html = (await client.patch(f"{RUN}/trainer", data=trainer(**changes), headers=HTMX)).text
    (name, text), *_ = changes.items()
    field = Page(html).all("input", name=name)[0]
    assert field["aria-invalid"] == "true"
    assert field["value"] == text
    assert f'id="{field["aria-describedby"]}">{words}</small>' in html
    assert service.asked == []


async def test_what_is_legal_is_taken_over_beside_what_is_not() -> None:
    service = FakeRuns(run_document())
    async with browser(service) as client:
        changes = trainer(batch_size="0", learning_rate="0,5", accuracy="98.5 %")
        await client.patch(f"{RUN}/trainer", data=changes, headers=HTMX)
    ((_, asked),) = service.asked
    assert (asked.learning_rate, asked.batch_size) == (0.5, None)
    assert asked.stop.accuracy == pytest.approx(0.985)


async def test_another_optimizer_starts_with_its_usual_learning_rate() -> None:
    service = FakeRuns(run_document())
    async with browser(service) as client:
        html = (await client.patch(f"{RUN}/trainer", data=trainer(optimizer="adam"), headers=HTMX)).text
    assert service.asked[0][1].optimizer == Adam()
    assert "The learning rate is now 0.001, as is usual for Adam." in html
    assert {field.get("name") for field in Page(html).all("input")} >= {"beta1", "beta2"}


async def test_adamw_shows_its_own_decay_and_takes_a_new_one() -> None:
    run = run_document()
    run["optimizer"] = tagged(AdamW())
    service = FakeRuns(run)
    own = {"learning_rate": "0.001", "optimizer": "adamw", "beta1": "0.9", "beta2": "0.999", "epsilon": "1e-08"}
    async with browser(service) as client:
        html = (await client.get("/")).text
        await client.patch(f"{RUN}/trainer", data={**trainer(), **own, "weight_decay": "0.1"}, headers=HTMX)
    assert Page(html).all("input", name="weight_decay")[0]["value"] == "0.01"
    assert 'value="adamw" selected' in html
    assert service.asked[0][1].optimizer == AdamW(weight_decay=0.1)


async def test_momentum_is_disabled_with_the_reason_where_the_optimizer_has_none() -> None:
    async with browser(FakeRuns(run_document())) as client:
        html = (await client.get("/")).text
    field = Page(html).all("input", name="momentum")[0]
    assert "disabled" in field
    assert "Adadelta has none. Choose Momentum or Nesterov." in html


# ---- Evaluation ------------------------------------------------------------------------------------------------------------------


async def test_the_matrix_names_every_cell() -> None:
    service = FakeRuns(run_document())
    async with browser(service) as client:
        html = (await client.get(f"{RUN}/evaluation?now=1")).text
    cells = [button for button in Page(html).all("button") if "data-truth" in button]
    assert len(cells) == 100
    assert cells[1] | {"aria-label": "0 read as 1: 10", "data-truth": "0", "data-predicted": "1"} == cells[1]
    assert "9,900</b> of 10,000 right" in html
    assert service.asked == [("evaluate", "test", None)]


@pytest.mark.parametrize(
    ("query", "changes", "status"),
    [
        ("", {}, 200),
        ("?since=3720", {}, 204),
        ("?since=3000", {}, 204),  # less than an epoch of 2,700 updates ago
        ("?since=1000", {}, 200),
        ("?since=3719", {"state": "paused"}, 200),
        ("?since=9000", {}, 200),  # it was reset meanwhile
        ("?since=9000", {"state": "paused", "step": 0}, 200),
    ],
)
async def test_the_matrix_is_measured_when_due(query: str, changes: dict[str, Any], status: int) -> None:
    async with browser(FakeRuns(run_document(**changes))) as client:
        assert (await client.get(f"{RUN}/evaluation{query}")).status_code == status


async def test_a_measurement_that_nobody_asked_for_fails_in_silence() -> None:
    class Reset(FakeRuns):
        async def evaluate(self, id: str, split: str, *, crops: int | None = None) -> dict[str, Any]:
            raise Conflict(f"The run was reset while {id}'s {split} split was measured with {crops} crops.")

    async with browser(Reset(run_document())) as client:
        assert (await client.get(f"{RUN}/evaluation")).status_code == 204
        assert (await client.get(f"{RUN}/evaluation?now=1")).status_code == 409


async def test_before_the_first_measurement_the_matrix_is_empty_and_says_so() -> None:
    run = run_document(step=0)
    run["metrics"]["test_accuracy"] = None
    async with browser(FakeRuns(run)) as client:
        assert (await client.get(f"{RUN}/evaluation")).status_code == 204
        assert "Not measured yet." in (await client.get("/")).text


# ---- Builder ----------------------------------------------------------------------------------------------------------------------


def network_form(*layers: dict[str, Any], **more: str) -> dict[str, str]:
    form = {"crop": "24", "train_size": "60000", "validation_size": "6000", "seed": "1", "name": "mine"}
    for index, layer in enumerate(layers):
        form |= {f"layer-{index}-{name}": str(value) for name, value in layer.items()}
    return {**form, "loss": "softmax_cross_entropy", "format": "nabla", "add_type": "relu", **more}


CONVOLUTION = {"type": "conv2d", "filters": 8, "kernel_size": 5, "stride": 1, "padding": 2}
POOLING = {"type": "max_pool2d", "pool_size": 2, "stride": 2}
DENSE = {"type": "dense", "units": 10}


async def edit(path: str, form: dict[str, str]) -> str:
    async with browser(FakeRuns()) as client:
        answer = await client.post(path, data=form, headers=HTMX)
    assert answer.status_code == 200
    Page(answer.text)
    return answer.text


def kinds(html: str) -> list[str]:
    return re.findall(r'name="layer-\d+-type" value="(\w+)"', html)


async def test_the_builder_counts_as_one_edits() -> None:
    html = await edit("/network/builder", network_form(CONVOLUTION, POOLING, DENSE))
    assert "24×24×8" in html
    assert "12×12×8" in html
    assert "<b>11,738</b>" in html  # 208 + 10·1,152 + 10


async def test_decay_multipliers_are_shown_where_they_are_not_one() -> None:
    html = await edit("/network/builder", network_form({**CONVOLUTION, "l2_multiplier": 0}, DENSE))
    types = {field["name"]: field.get("type") for field in Page(html).all("input") if "multiplier" in field["name"]}
    assert types == {
        "layer-0-l1_multiplier": "hidden",
        "layer-0-l2_multiplier": None,
        "layer-1-l1_multiplier": "hidden",
        "layer-1-l2_multiplier": "hidden",
    }
    assert html.count("multiplier&#34;") == 1  # in the text of the network
    assert "&#34;l2_multiplier&#34;: 0.0" in html


@pytest.mark.parametrize("kind", LAYER_SPECS)
async def test_every_layer_can_be_added_and_edited(kind: str) -> None:
    added = await edit("/network/builder", network_form(CONVOLUTION, DENSE, action="add", add_type=kind))
    assert kinds(added) == ["conv2d", kind, "dense"]
    assert 'aria-invalid="true"' not in added
    names = re.findall(r'name="layer-1-(\w+)"', added)
    assert sorted(names) == sorted(["type", *fields_of(LAYER_SPECS[kind])])
    for name, field in fields_of(LAYER_SPECS[kind]).items():
        assert field.doc
        assert field.label == field.label.replace("_", " "), f"{name} has no label"
    usual = typed_layers([LAYER_SPECS[kind]()])[0][1]
    for name in usual:
        wrong = await edit("/network/builder", network_form(CONVOLUTION, {"type": kind, **usual, name: "x"}, DENSE))
        assert "number is needed here" in wrong


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("add", ["conv2d", "max_pool2d", "relu", "dense"]),
        ("up:1", ["max_pool2d", "conv2d", "dense"]),
        ("down:0", ["max_pool2d", "conv2d", "dense"]),
        ("remove:1", ["conv2d", "dense"]),
        ("up:0", ["conv2d", "max_pool2d", "dense"]),
        ("remove:77", ["conv2d", "max_pool2d", "dense"]),
        ("explode", ["conv2d", "max_pool2d", "dense"]),
    ],
)
async def test_layers_are_added_moved_and_removed(action: str, expected: list[str]) -> None:
    html = await edit("/network/builder", network_form(CONVOLUTION, POOLING, DENSE, action=action))
    assert kinds(html) == expected


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([{**CONVOLUTION, "kernel_size": 28, "padding": 0}, DENSE], "A 28×28 kernel does not fit into a 24×24 map"),
        ([{**CONVOLUTION, "filters": "eight"}, DENSE], "Filters: a whole number is needed here, at least 1"),
        ([CONVOLUTION, {"type": "dense", "units": 7}], "there are 10 classes"),
        ([DENSE, POOLING], "It needs maps with height and width"),
    ],
)
async def test_an_impossible_layer_is_marked_and_cannot_be_started(layers: list[dict[str, Any]], reason: str) -> None:
    html = await edit("/network/builder", network_form(*layers))
    page = Page(html)
    assert reason in html
    assert len(page.all("tr", **{"aria-invalid": "true"})) == 1
    start = next(button for button in page.all("button") if button.get("hx-post") == "/runs" and "name" not in button)
    assert "disabled" in start
    assert start["title"]


async def test_the_network_in_the_form_is_started_with_the_trainer_s_settings() -> None:
    service = FakeRuns()
    async with browser(service) as client:
        form = network_form(CONVOLUTION, DENSE, seed="7")
        form |= {"optimizer": "adam", "learning_rate": "0.01", "batch_size": "50"}
        answer = await client.post("/runs", data=form, headers=HTMX)
        assert answer.headers["hx-redirect"]
        refused = await client.post("/runs", data=network_form(DENSE, POOLING), headers=HTMX)
    (spec,) = service.created
    assert spec.network[-1] == Dense(units=10)
    assert spec.optimizer == replace(Adam(), learning_rate=0.01)
    assert (spec.name, spec.seed, spec.batch_size) == ("mine", 7, 50)
    assert refused.status_code == 422


async def test_a_run_s_own_network_stands_in_the_builder() -> None:
    async with browser(FakeRuns(run_document())) as client:
        html = (await client.get("/")).text
    assert kinds(html) == [layer.type for layer in RunSpec().network]
    assert "<b>5,994</b>" in html


@pytest.mark.parametrize(
    ("style", "words"), [("nabla", '"conv2d"'), ("convnetjs", "layer_defs.push"), ("python", "Network.build")]
)
async def test_the_network_stands_beside_the_table_as_text(style: str, words: str) -> None:
    html = await edit("/network/builder", network_form(CONVOLUTION, DENSE, format=style))
    assert words in html.replace("&#34;", '"')


async def test_pasted_text_becomes_the_table() -> None:
    text = '[{"type": "dense", "units": 30}, {"type": "tanh"}, {"type": "dense", "units": 10}]'
    html = await edit("/network/text", network_form(CONVOLUTION, DENSE, text=text))
    assert kinds(html) == ["dense", "tanh", "dense"]


CONVNETJS = """
layer_defs = [];
layer_defs.push({type:'input', out_sx:24, out_sy:24, out_depth:1});
layer_defs.push({type:'conv', sx:5, filters:8, stride:1, pad:2, activation:'relu'});
layer_defs.push({type:'pool', sx:2, stride:2});
layer_defs.push({type:'softmax', num_classes:10});
net = new convnetjs.Net();
net.makeLayers(layer_defs);
trainer = new convnetjs.SGDTrainer(net, {method:'adadelta', batch_size:40, l2_decay:0.001});
"""


async def test_pasted_convnetjs_code_is_started_with_its_own_trainer() -> None:
    service = FakeRuns()
    async with browser(service) as client:
        html = (await client.post("/network/text", data=network_form(DENSE, text=CONVNETJS))).text
        hidden = {field["name"]: field["value"] for field in Page(html).all("input", type="hidden")}
        assert hidden["trainer-optimizer"] == "adadelta"
        assert "It takes the trainer of the text: Adadelta, learning rate 1" in html
        form = {
            field["name"]: field["value"] for field in Page(html).all("input") if "value" in field and "name" in field
        }
        forgotten = await client.post("/network/builder", data={**form, "action": "forget"})
        await client.post("/runs", data={**form, **trainer(optimizer="sgd", batch_size="20")}, headers=HTMX)
    assert kinds(html) == ["conv2d", "relu", "max_pool2d", "dense"]
    assert "trainer-optimizer" not in forgotten.text
    (spec,) = service.created
    assert (spec.optimizer.name, spec.batch_size) == ("adadelta", 40)


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "hinge", "mean_squared_error"])
async def test_what_the_builder_writes_for_convnetjs_it_reads_back(loss: str) -> None:
    layers = [
        CONVOLUTION,
        {"type": "relu"},
        POOLING,
        {"type": "local_response_normalization", "k": 1, "n": 5, "alpha": 0.001, "beta": 0.75},
        {"type": "dense", "units": 20},
        {"type": "maxout", "group_size": 4},
        {"type": "dropout", "rate": 0.5},
        DENSE,
    ]
    html = await edit("/network/builder", network_form(*layers, format="convnetjs", loss=loss))
    text = unescape(re.search(r"<textarea[^>]*>(.*?)</textarea>", html, re.S)[1])  # type: ignore[index]
    back = await edit("/network/text", network_form(DENSE, text=text))
    assert kinds(back) == [layer["type"] for layer in layers]
    assert re.search(rf'<option value="{loss}"[^>]*selected', back)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("layer_defs = []; alert(1);", "error"),
        ("", "Paste a network first"),
        ("import torch", "Python is not read here"),
        ("hello", "neither Nabla"),
        ('[{"type": "dense", "units": 30}', "not readable as JSON"),
        ('[{"type": "dense", "units": 0}]', "Units of layer 1 must be at least 1"),
        ('[{"type": "lstm"}]', "needs a “type” that is one of"),
    ],
)
async def test_text_that_cannot_be_read_stays_with_the_reason(text: str, reason: str) -> None:
    html = await edit("/network/text", network_form(CONVOLUTION, DENSE, text=text))
    assert kinds(html) == ["conv2d", "dense"]
    assert reason in html
    assert Page(html).all("textarea", **{"aria-invalid": "true"})


# ---- The list of runs ----------------------------------------------------------------------------------------------------------------


async def test_a_run_is_renamed_and_deleted_in_the_list() -> None:
    service = FakeRuns(run_document())
    async with browser(service) as client:
        row = await client.patch(f"{RUN}/name", data={"name": " Ziffern "}, headers=HTMX)
        bad = await client.patch(f"{RUN}/name", data={"name": "\u202e"}, headers=HTMX)
        gone = await client.delete(RUN, headers=HTMX)
        empty = await client.get("/runs")
    assert 'value="Ziffern"' in row.text
    assert bad.status_code == 422
    assert (gone.status_code, gone.text) == (200, "")
    assert "No runs yet." in empty.text


async def test_a_network_is_loaded_from_a_file_or_from_text() -> None:
    service = FakeRuns()
    async with browser(service) as client:
        await client.post("/models", files={"file": ("net.json", b"{}")}, headers=HTMX)
        pasted = await client.post("/models", files={"text": (None, "{}")}, headers=HTMX)
        nothing = await client.post("/models", files={"text": (None, " ")}, headers=HTMX)
    assert service.asked == [("import", "net.json", 2), ("import", "pasted.json", 2)]
    assert pasted.headers["hx-redirect"] == f"/?run={RUN_ID}"
    assert nothing.status_code == 422


def test_templates_stay_small_and_escape_everything() -> None:
    for path in (ROOT / "templates").glob("*.html"):
        text = path.read_text()
        assert "|safe" not in text.replace(" ", ""), path.name
        assert len(text.splitlines()) <= 150, path.name
