"""Pages whose run has no place yet: they say where it stands in the line, and go on by themselves when it has one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Faults
from tests.browser.digits import PHONE
from tests.browser.server import Server
from tests.browser.test_accessible import overflow, violations
from tests.faults.limited import limited_server

pytestmark = pytest.mark.browser

RUNS = [pytest.param("/", marks=pytest.mark.faults), "/plane", pytest.param("/curve", marks=pytest.mark.faults)]


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A class with a place for one run."""
    with limited_server(tmp_path_factory.mktemp("class"), "--class", runs_live=1) as server:
        yield server
    assert not [line for line in server.lines if "Traceback" in line], "\n".join(server.lines)


@pytest.fixture
def code(school: Server) -> str:
    while not (match := re.search(r"/join/(\w+)", "\n".join(school.lines))):
        httpx.get(f"{school.url}/api/health")  # the line with the code comes behind the one with the address
    return match[1]


@pytest.fixture
def first(school: Server, code: str) -> Iterator[httpx.Client]:
    """Somebody whose run has the place, and does not end."""
    with httpx.Client(base_url=f"{school.url}/api", timeout=60) as client:
        client.post("/join", json={"code": code, "nickname": "Ada"}).raise_for_status()
        run = client.post("/runs", json={"preset": "circle", "stop": {}}).raise_for_status().json()
        while run["state"] != "running":
            run = client.get(f"/runs/{run['id']}").json()
        yield client


@pytest.fixture
def second(school: Server, code: str, new_context: Callable[..., BrowserContext], faults: Faults) -> Iterator[Page]:
    """A browser of somebody who came later; what it asks of a run without a place is refused after a while."""
    faults.expect("status of 503")
    context = new_context(viewport=PHONE, color_scheme="dark")
    form = {"code": code, "nickname": "Bob"}
    assert context.request.post(f"{school.url}/join", form=form, headers={"Origin": school.url}).ok
    page = context.new_page()
    yield page
    page.goto("about:blank")  # a page left open would, rightly, complain that its run is gone
    assert context.request.delete(f"{school.url}/api/me").ok


@pytest.mark.parametrize("path", RUNS)
def test_a_run_waits_in_line_and_trains_when_it_is_its_turn(path: str, school: Server, first: httpx.Client, second: Page) -> None:
    second.goto(school.url + path)
    chip, told = second.locator("#commands .chip"), second.get_by_text("This run waits for a place: number 1 in line")
    expect(told).to_be_visible()
    expect(chip).to_have_text("Waiting")
    assert overflow(second) == []
    second.get_by_role("button", name="Pause", exact=True).click()
    expect(chip).to_have_text("Paused")
    expect(told).to_have_count(0)
    second.get_by_role("button", name="Train", exact=True).click()
    expect(told).to_be_visible()
    first.delete("/me").raise_for_status()
    expect(chip).to_have_text("Training")
    expect(told).to_have_count(0)
    expect(second.locator("[data-figure=step]").first).not_to_have_text("0")
    expect(second.locator("#problems")).to_be_empty()


def test_a_paused_run_says_why_nothing_of_it_is_drawn(school: Server, first: httpx.Client, second: Page) -> None:
    """Until there is a place where somebody can look into it; its settings may be changed meanwhile."""
    second.goto(f"{school.url}/plane")
    second.get_by_role("button", name="Pause", exact=True).click()
    expect(second.locator("#commands .chip")).to_have_text("Paused")
    second.reload()
    told = second.get_by_text("This run waits for a place: number 1 in line")
    expect(told).to_be_visible()
    expect(second.get_by_text("It is drawn by itself")).to_be_visible()
    assert (overflow(second), violations(second)) == ([], [])
    first.delete("/me").raise_for_status()
    expect(told).to_have_count(0)
    expect(second.locator("#commands .chip")).to_have_text("Paused")


@pytest.mark.faults
def test_a_lab_waits_in_line_and_begins_when_it_is_its_turn(school: Server, first: httpx.Client, second: Page) -> None:
    """Where its link says: twice looked at, it has made one run and no more."""
    second.goto(f"{school.url}/labs/backpropagation?at=3")
    told = second.get_by_text("This lab waits for a place: number 1 in line")
    expect(told).to_be_visible()
    expect(second.locator("#commands .chip")).to_have_text("Waiting")
    expect(second.get_by_role("button", name="Train", exact=True)).to_be_disabled()
    assert (overflow(second), violations(second)) == ([], [])
    for _ in range(2):
        with second.expect_response("**/labs/backpropagation"):
            pass
    second.reload()
    expect(told).to_be_visible()
    first.delete("/me").raise_for_status()
    expect(second.locator("#readouts [data-column=step]")).to_have_text("3")
    expect(told).to_have_count(0)
    second.get_by_role("button", name="1 update", exact=True).click()
    expect(second.locator("#readouts [data-column=step]")).to_have_text("4")
    expect(second.locator("#problems")).to_be_empty()
    assert second.context.request.get(f"{school.url}/api/me").json()["lab_runs"] == 1
