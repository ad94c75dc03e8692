"""Names and texts that want to become script stay text, on every page that shows what somebody has typed, in a real Chromium.

A page is at fault where a payload ran, where it asked for anything, or where the content security policy had to step in: a
payload that only the policy held back was not escaped.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from app.labs.catalogue import LABS
from app.labs.settings import hints
from tests.browser.digits import until
from tests.browser.server import CHROMIUM, CHROMIUM_FLAGS, Server, running_server
from tests.faults.figures import note
from tests.faults.payloads import SCRIPTS
from tests.faults.window import Window

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

SHORT = tuple(payload[:40] for payload in SCRIPTS)
"""As a column, a class or a visitor may be called."""
some_and_all = pytest.mark.parametrize(
    "payloads", [pytest.param(SCRIPTS[5::23], id="some"), pytest.param(SCRIPTS, id="all", marks=pytest.mark.faults)]
)
one_and_all = pytest.mark.parametrize(
    "payloads", [pytest.param(SCRIPTS[3:4], id="one"), pytest.param(SCRIPTS, id="all", marks=pytest.mark.faults)]
)
all_of_them = pytest.mark.faults


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        reason = f"there is no Chromium at {CHROMIUM} (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("data"), "--workers", "1") as started:
        yield started
        assert not [line for line in started.lines if "Traceback" in line], "\n".join(started.lines)


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture
def window(chromium: Browser, server: Server) -> Iterator[Window]:
    made = Window(chromium, server.url)
    yield made
    made.context.close()


def new_run(api: httpx.Client, **body: Any) -> str:
    return created(api, {"preset": "circle", "state": "paused"} | body)


def created(api: httpx.Client, body: dict[str, Any]) -> str:
    answer = api.post("/api/runs", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def noted(sink: str, payloads: Sequence[str], visits: int) -> None:
    note("Security", f"{len(payloads)} payloads × {sink} ({visits} views): 0 ran, 0 violations", met=True)


# ---- Names -----------------------------------------------------------------------------------------------------------------


@some_and_all
def test_names_of_runs(payloads: Sequence[str], window: Window, api: httpx.Client) -> None:
    """In the list, on the three pages of runs, in the menu of runs, and while the page is open."""
    runs = [new_run(api, name=payload) for payload in payloads]
    page = window.visit("/runs")
    names = [field.input_value() for field in page.locator("input.name").all()]
    assert set(names[: len(runs)]) <= set(payloads)
    if (
        cursor := page.locator("a[href*=cursor]").first.get_attribute("href", timeout=1_000)
        if len(names) > 49
        else None
    ):
        window.visit(cursor)
    digits = new_run(api, preset="digits-quick")
    for run, payload in zip(runs, payloads, strict=True):
        window.visit(f"/plane?run={run}")
        page = window.visit(f"/labs/backpropagation/weight?run={run}")
        assert payload in page.locator("body").inner_text()
        api.patch(f"/api/runs/{digits}", json={"name": payload}).raise_for_status()
        page = window.visit(f"/?run={digits}")
        assert page.locator("#builder-name").input_value() == payload
        api.patch(f"/api/runs/{digits}", json={"name": payload[::-1]}).raise_for_status()  # told to the open page
        window.look(payload)
    noted("names of runs", payloads, window.visits)


@some_and_all
def test_names_in_tables(payloads: Sequence[str], window: Window, api: httpx.Client) -> None:
    """Columns, classes and what is learned, of points of one's own: read in, on the page, in the curve."""
    for start in range(0, len(payloads), 6):
        names = [payload[:40] for payload in payloads[start : start + 6]]
        classes = names if len(names) > 1 else [*names, "other"]
        rows = [[place, row, name] for row in range(4) for place, name in enumerate(classes)]
        table = api.post("/api/datasets", content=in_csv([names[0] + " ", names[-1], "of " + names[0][:30]], rows),
                         headers={"content-type": "text/csv"})  # fmt: skip
        assert table.status_code == 200, table.text
        network = [{"type": "dense", "units": len(classes)}]
        run = created(api, {"dataset": table.json()["dataset"], "network": network, "state": "paused"})
        page = window.visit(f"/plane?run={run}")
        expect(page.locator("#experiment")).to_be_visible()
        numbers = in_csv(["x", names[0]], [[row, row * 2.5] for row in range(12)])
        table = api.post("/api/datasets", content=numbers, headers={"content-type": "text/csv"})
        body = {
            "dataset": table.json()["dataset"],
            "network": [{"type": "dense", "units": 1}],
            "loss": "mean_squared_error",
        }
        window.visit(f"/curve?run={created(api, body | {'state': 'paused'})}")
        page = window.visit("/plane")
        page.evaluate("document.getElementById('own-data').showModal()")
        broken = [["not a number", name, name] for name in names]
        page.get_by_label("Or paste the rows").fill(in_csv([names[0], names[-1] + "2", "class"], [*rows, *broken]))
        page.get_by_role("button", name="Read", exact=True).click()
        expect(page.locator("#csv-answer")).to_contain_text("points")
        window.look(names[0])
    noted("names in tables", payloads, window.visits)


def in_csv(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([head, *rows])
    return text.getvalue()


@all_of_them
def test_names_of_files(window: Window, api: httpx.Client) -> None:
    """A network's file gives the run its name."""
    network = b"layer_defs = [{type:'input', out_sx:24, out_sy:24, out_depth:1}, {type:'softmax', num_classes:10}];"
    for start in range(0, len(SCRIPTS), 17):
        for payload in SCRIPTS[start : start + 17]:
            answer = api.post("/models", files={"file": (payload + ".js", network)})
            assert answer.status_code in (303, 400), (payload, answer.text)
        window.visit("/runs")
    noted("names of files", SCRIPTS, window.visits)


# ---- Addresses and refusals ------------------------------------------------------------------------------------------------


@all_of_them
def test_addresses_of_experiments(window: Window, api: httpx.Client) -> None:
    for path in ("/plane", "/curve"):
        names = [name for name, _ in parse_qsl(urlsplit(api.get(f"{path}?action=x").headers["location"]).query)]
        names += [
            "title",
            "hide",
            "lock",
            "neuron",
            "own",
            "playground",
            "preset",
            "action",
            "run",
            "view",
            "data",
            "name",
        ]
        for place, payload in enumerate(SCRIPTS):
            window.visit(f"{path}?" + urlencode(dict.fromkeys(set(names) - {"run", "action", "layers"}, payload)))
            window.visit(f"{path}?" + urlencode({names[place % len(names)]: payload}))
    noted("addresses of experiments", SCRIPTS, window.visits)


@all_of_them
def test_settings_of_labs(window: Window) -> None:
    """Each lab's settings hold different payloads at a time, until each payload was in one of them."""
    for lab in LABS.values():
        names = list(hints(lab.settings))
        for shift in range(0, len(SCRIPTS), len(names)):
            texts = {name: SCRIPTS[(shift + place) % len(SCRIPTS)] for place, name in enumerate(names)}
            window.visit(f"/labs/{lab.name}?" + urlencode(texts | {"at": texts[names[0]], "present": texts[names[0]]}))
    noted("settings of labs", SCRIPTS, window.visits)


@some_and_all
def test_refusals(payloads: Sequence[str], window: Window) -> None:
    """As pages of their own, and as the fragments that htmx puts into the page."""
    for payload in payloads:
        for address in (
            f"/nowhere/{quote(payload, safe='')}",
            f"/?run={quote(payload)}",
            f"/runs?cursor={quote(payload)}",
        ):
            window.visit(address)
    page = window.visit("/limits")
    told = page.evaluate(FRAGMENTS, list(payloads))
    assert all('class="problem"' in text for text in told), told
    window.look("fragments")
    noted("refusals", payloads, window.visits)


FRAGMENTS = """async payloads => {
  const told = [];
  for (const payload of payloads) {
    const asked = [
      ["/api/runs", "application/json", JSON.stringify({[payload]: 1})],
      ["/api/runs", "application/json", JSON.stringify({preset: payload})],
      ["/api/runs", "application/json", JSON.stringify({network: [{type: payload}]})],
      ["/api/models", "application/json", JSON.stringify({[payload]: payload})],
      ["/api/models", "text/plain", payload + " layer_defs = [{type: '" + payload],
      ["/runs", "application/x-www-form-urlencoded", new URLSearchParams({preset: payload}).toString()],
    ];
    for (const [path, type, body] of asked) {
      const headers = {"hx-request": "true", "content-type": type};
      const answer = await fetch(path, {method: "POST", headers, body});
      const text = await answer.text();
      told.push(text);
      const place = document.getElementById("problems");
      place.innerHTML = text;
      htmx.process(place);
    }
  }
  return told;
}"""


# ---- Reports ---------------------------------------------------------------------------------------------------------------


def report_of(api: httpx.Client, payload: str, kind: str) -> str:
    svg = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0naHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmcnIG9ubG9hZD0nX194c3M9MScvPg=="
    body = {"student": payload, "pictures": [{"label": payload, "image": svg}]}
    answer = api.post(f"/api/labs/loss/report?format={kind}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.text


@some_and_all
def test_reports_that_are_verified(payloads: Sequence[str], window: Window, api: httpx.Client) -> None:
    """Whoever teaches opens reports of whoever wants to be opened."""
    page = window.visit("/labs/verify")
    files = []
    for place, payload in enumerate(payloads):
        report = json.loads(report_of(api, payload, "json"))
        if place % 2:  # made by hand
            for lab in report["labs"]:
                lab["tasks"] = [
                    task | {"solved": True, "note": payload, "settings": {payload: payload}, "at": []}
                    for task in lab["tasks"]
                ]
                lab["title"] = payload
        name = payload.replace("/", "⁄") + ".json"
        files.append({"name": name, "mimeType": "application/json", "buffer": json.dumps(report).encode()})
    for start in range(0, len(files), 10):
        page.goto(window.url + "/labs/verify")
        page.get_by_label(re.compile("^Reports")).set_input_files(files[start : start + 10])
        page.get_by_role("button", name="Verify", exact=True).click()
        expect(page.locator("tr.total")).to_be_visible(timeout=120_000)
        window.look("verified")
    noted("verified reports", payloads, window.visits)


@all_of_them
def test_a_report_that_is_opened_from_the_disk(window: Window, api: httpx.Client, tmp_path: Path) -> None:
    """There no policy of a server holds."""
    for place, payload in enumerate(SCRIPTS):
        file = tmp_path / f"{place}.html"
        file.write_text(report_of(api, payload, "html"), "utf-8")
        window.page.goto(file.as_uri())
        page = window.look(payload)
        assert payload in page.locator("body").inner_text()
    noted("reports on the disk", SCRIPTS, window.visits)


# ---- A class ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class School:
    """A server with a class; `lecturers` is the path by which the lecturer comes in."""

    url: str
    code: str
    lecturers: str

    @contextmanager
    def join(self, nickname: str) -> Iterator[httpx.Client]:
        """For programs of somebody who has just joined; a browser that gets its cookies is theirs, too."""
        with httpx.Client(base_url=self.url, timeout=60) as client:
            client.post("/api/join", json={"code": self.code, "nickname": nickname}).raise_for_status()
            yield client

    def shared(self, nickname: str, **body: Any) -> str:
        """A run of somebody who has just joined, which the class may look at."""
        with self.join(nickname) as client:
            run = new_run(client, **body)
            client.patch(f"/api/runs/{run}", json={"shared": True}).raise_for_status()
        return run


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    with running_server(tmp_path_factory.mktemp("class"), "--class", "--workers", "1") as started:
        links = re.compile(r"/join/(\w+)\b.*(/lecturer\?token=\S+)", re.DOTALL)
        while not (found := links.search("\n".join(started.lines))):
            httpx.get(f"{started.url}/api/health")  # the links come behind the line with the address
        yield School(started.url, *found.groups())
        assert not [line for line in started.lines if "Traceback" in line], "\n".join(started.lines)


@pytest.fixture
def visitor(chromium: Browser, school: School) -> Iterator[Window]:
    made = Window(chromium, school.url)
    yield made
    made.context.close()


def bring(window: Window, client: httpx.Client) -> None:
    """The browser is from now on that of whoever the program belongs to."""
    window.context.clear_cookies()
    window.context.add_cookies([{"name": each.name, "value": each.value or "", "url": window.url} for each in client.cookies.jar])


@all_of_them
def test_nicknames_where_one_joins(visitor: Window, school: School) -> None:
    """In the link, in forms that are refused, and on one's own pages."""
    for payload in SCRIPTS:
        visitor.context.clear_cookies()
        visitor.visit(f"/join/{quote(payload, safe='')}")
        page = visitor.visit("/join")
        page.get_by_label("Nickname").fill(payload[:40])
        page.get_by_label("Code of the class").fill(payload[:40])
        page.get_by_role("button", name="Join", exact=True).click()
        expect(page.locator("[role=alert]")).to_be_visible()
        assert page.get_by_label("Nickname").input_value() == payload[:40]
        visitor.look(payload)
        with school.join(payload[:40]) as client:
            bring(visitor, client)
        for path in ("/join", "/me"):
            page = visitor.visit(path)
            assert page.get_by_role("banner").locator("a.me bdi").text_content() == payload[:40], path
        field = page.get_by_role("textbox", name="Nickname")
        field.evaluate("field => field.removeAttribute('maxlength')")
        field.fill(payload + "x" * 40)
        page.get_by_role("button", name="Take it").click()
        expect(page.locator("[role=alert]")).to_contain_text("at most 40")
        visitor.look(payload)
    noted("nicknames where one joins", SCRIPTS, visitor.visits)


@one_and_all
def test_shared_runs_of_a_class(payloads: Sequence[str], visitor: Window, school: School) -> None:
    """Their names and those of their owners, for everybody else; and of the run that is made like one of them."""
    with school.join("Grace") as guest:
        bring(visitor, guest)
    for payload in payloads:
        run = school.shared(payload[:40], name=payload)
        page = visitor.visit("/runs")
        assert page.locator("table.shared th bdi").first.text_content() == payload
        assert page.locator("table.shared td bdi").first.text_content() == payload[:40]
        page = visitor.visit(f"/plane?run={run}")
        assert page.locator(".whose bdi").text_content() == payload[:40]
    page.get_by_role("button", name="Train one like it").click()
    expect(page.locator(".whose")).to_have_count(0)
    page = visitor.visit("/runs")
    assert page.locator("input.name").first.input_value() == payloads[-1]
    noted("names and nicknames of shared runs", payloads, visitor.visits)


@all_of_them
def test_a_shared_run_of_digits(visitor: Window, school: School) -> None:
    """Its name changes while the page is open."""
    with school.join("Grace") as guest:
        bring(visitor, guest)
    with school.join("Ada") as owner:
        run = new_run(owner, preset="digits-quick")
        owner.patch(f"/api/runs/{run}", json={"shared": True}).raise_for_status()
        for payload in SCRIPTS:
            owner.patch("/api/me", json={"nickname": payload[:40]}).raise_for_status()
            owner.patch(f"/api/runs/{run}", json={"name": payload}).raise_for_status()
            page = visitor.visit(f"/?run={run}")
            assert page.locator(".whose bdi").text_content() == payload[:40]
            owner.patch(f"/api/runs/{run}", json={"name": payload[::-1]}).raise_for_status()
            visitor.look(payload)
    noted("a shared run of digits", SCRIPTS, visitor.visits)


@one_and_all
def test_the_lecturers_pages(payloads: Sequence[str], visitor: Window, school: School) -> None:
    """The board with names and without, what it asks before it ends a run, and who has joined."""
    runs = [school.shared(payload[:40], name=payload) for payload in payloads]
    page = visitor.visit(school.lecturers)
    card = {run: page.locator(f'.run-card[data-run="{run}"]') for run in runs}
    expect(card[runs[-1]]).to_be_visible()
    page.get_by_text("Everybody, with runs").click()
    assert {payload[:40] for payload in payloads} <= set(page.locator("table.people th").all_text_contents())
    visitor.look("everybody")
    for run, payload in zip(runs, payloads, strict=True):
        expect(card[run].locator("h3")).to_have_text(payload[:40])
        expect(card[run].locator("a")).to_have_text(payload)
        card[run].get_by_title("End", exact=True).click()
        expect(page.locator("#sure-words")).to_contain_text(f"“{payload}” of {payload[:40]} stands still")
        visitor.look(payload)
        page.keyboard.press("Escape")
    with school.join("Zoë") as student:
        new_run(student, name="hers")
        for payload in payloads:
            student.patch("/api/me", json={"nickname": payload[:40][::-1]}).raise_for_status()
            expect(page.locator("h3", has_text=payload[:40][::-1])).not_to_have_count(0)  # told to the open page
            visitor.look(payload)
    page = visitor.visit("/lecturer?hidden=1&labs=1")
    expect(card[runs[-1]].locator("h3")).to_have_text(re.compile("Student"))
    assert not [run for run in runs if card[run].locator("a").text_content() != "A run"]
    assert "__xss" not in page.content(), "names that are hidden are nowhere in the page"
    for path in ("/lecturer/join", *(f"/runs/{run}" for run in runs[1:])):
        visitor.visit(path)
    noted("pages of the lecturer", payloads, visitor.visits)


# ---- That it bites ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload", ["<img src=x onerror=__xss=1>", "<svg onload=__xss=1>", "<b hx-get=/evil hx-trigger=load>"]
)
def test_a_payload_that_is_not_escaped_is_seen(payload: str, window: Window) -> None:
    page = window.visit("/limits")
    page.evaluate(
        "html => { const at = document.getElementById('problems'); at.innerHTML = html; htmx.process(at) }", payload
    )
    until(page, lambda: page.evaluate("window.__xss") or window.found, "what the payload does")
    with pytest.raises(AssertionError):
        window.look(payload)
