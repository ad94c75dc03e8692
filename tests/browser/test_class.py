"""A class in real browsers: a student joins by the link and trains, the lecturer watches, hides names, pauses and clears up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from tests.browser.digits import PHONE
from tests.browser.server import Server, running_server
from tests.browser.test_accessible import CONTROLS, overflow, violations

pytestmark = pytest.mark.browser

WIDE = ViewportSize(width=1440, height=900)
LONG = {"preset": "circle", "stop": {"steps": 10**7}}


@dataclass
class Class:
    server: Server
    link: str
    lecturers: str

    @property
    def url(self) -> str:
        return self.server.url


@pytest.fixture(scope="module")
def nabla(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:
    with running_server(tmp_path_factory.mktemp("data"), "--class", "--workers", "1") as server:
        while len(server.lines) < 3:
            server.listening.wait()
        link, lecturers = (re.search(r"http://\S+", line) for line in server.lines[-2:])
        assert link
        assert lecturers
        here = [found[0].replace("localhost", "127.0.0.1") for found in (link, lecturers)]
        yield Class(server, *here)
    assert not [line for line in server.lines if "Traceback" in line], "\n".join(server.lines)


def join(page: Page, nabla: Class, nickname: str) -> None:
    page.goto(nabla.link)
    page.get_by_role("textbox", name="Nickname").fill(nickname)
    page.get_by_role("button", name="Join").click()
    expect(page).to_have_url(f"{nabla.url}/labs")


def join_quietly(page: Page, nabla: Class, nickname: str) -> None:
    """Without the first page, which begins a run by itself."""
    form = {"code": nabla.link.rpartition("/")[2], "nickname": nickname}
    assert page.request.post(f"{nabla.url}/join", form=form, max_redirects=0).status == 303
    page.goto(f"{nabla.url}/me")


def train(page: Page, nabla: Class, **run: object) -> str:
    made = page.request.post(f"{nabla.url}/api/runs", data=LONG | run)
    assert made.status == 201, made.text()
    return str(made.json()["id"])


@pytest.mark.long
def test_a_lesson(nabla: Class, new_context: Callable[..., BrowserContext]) -> None:
    ada, bob, teacher = (new_context().new_page() for _ in range(3))
    teacher.goto(nabla.lecturers)
    expect(teacher).to_have_url(f"{nabla.url}/lecturer")
    expect(teacher.get_by_text("No runs yet")).to_be_visible()
    expect(teacher.get_by_role("img", name=f"QR code of {nabla.link}")).to_be_visible()

    join_quietly(ada, nabla, "Zoë")
    join_quietly(bob, nabla, "Bob")
    expect(ada.get_by_role("banner").get_by_role("link", name="Zoë")).to_be_visible()
    train(ada, nabla, name="Zoë's own net")
    train(bob, nabla)
    cards = teacher.locator(".run-card")
    expect(cards.locator("h3")).to_have_text(["Bob", "Zoë"])
    expect(cards.locator(".chip").first).to_have_text("Training")
    expect(cards.first.get_by_role("img", name=re.compile("Training loss from"))).to_be_visible()
    counts = teacher.locator("[data-count=joined], [data-count=online], [data-count=training]")
    expect(counts).to_have_text(["2", "2", "2"])
    steps = cards.first.locator(".steps")
    before = steps.inner_text()
    expect(steps).not_to_have_text(before)

    teacher.get_by_role("button", name="Pause circle of Bob").click()
    expect(cards.first.locator(".chip")).to_have_text("Paused")
    teacher.locator("#states").get_by_text("Training").click()
    expect(cards.first).to_be_hidden()
    expect(cards.last).to_be_visible()
    teacher.locator("#states").get_by_text("All").click()

    teacher.get_by_text("Hide names").click()
    expect(teacher).to_have_url(re.compile("hidden=1"))
    expect(cards.locator("h3")).to_have_text(["Student 1", "Student 2"])
    assert "Zoë" not in teacher.content()
    teacher.goto(f"{nabla.url}/lecturer")
    expect(cards.locator("h3")).to_have_text(["Student 1", "Student 2"])
    assert "Bob" not in teacher.content()
    teacher.get_by_text("Hide names").click()
    expect(cards.locator("h3")).to_have_text(["Bob", "Zoë"])

    teacher.get_by_role("button", name="Pause all").click()
    expect(cards.locator(".chip")).to_have_text(["Paused", "Paused"])
    teacher.get_by_role("button", name="End circle of Bob").click()
    teacher.get_by_role("dialog").get_by_role("button", name="Keep it as it is").click()
    teacher.get_by_role("button", name="Delete circle of Bob").click()
    teacher.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(cards).to_have_count(1)
    teacher.get_by_role("link", name="Zoë's own net").click()
    expect(teacher).to_have_url(re.compile(r"/plane\?"))
    teacher.go_back()

    teacher.get_by_text("Everybody, with runs").click()
    expect(teacher.get_by_role("row", name=re.compile("Zoë yes 1 0"))).to_be_visible()
    teacher.get_by_role("button", name="Clear up …").click()
    dialog = teacher.get_by_role("dialog")
    expect(dialog).to_contain_text("1 run, 0 runs of labs, 0 drawings, 0 solved tasks and 2 nicknames are deleted")
    dialog.get_by_role("button", name="Delete all of it").click()
    expect(teacher.get_by_text("No runs yet")).to_be_visible()
    expect(teacher.locator("#join-link")).not_to_have_text(nabla.link)
    nabla.link = teacher.locator("#join-link").inner_text()
    ada.goto(f"{nabla.url}/runs")
    expect(ada).to_have_url(f"{nabla.url}/join")


def test_joining_needs_no_script(nabla: Class, new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(java_script_enabled=False).new_page()
    join(page, nabla, "Without")
    page.goto(f"{nabla.url}/me")
    expect(page.get_by_role("heading", name="Without")).to_be_visible()
    expect(page.get_by_text("This page needs JavaScript")).to_have_count(0)
    page.get_by_text("Delete all that is mine").click()
    page.get_by_role("button", name="Delete all of it now").click()
    expect(page.get_by_role("heading", name="All that was yours is gone")).to_be_visible()
    page.goto(f"{nabla.url}/me")
    expect(page).to_have_url(f"{nabla.url}/join")


@pytest.mark.parametrize(("viewport", "scheme"), [pytest.param(PHONE, "dark", marks=pytest.mark.long), pytest.param(WIDE, "light", marks=pytest.mark.long)], ids=["phone-dark", "wide-light"])
def test_the_pages_of_a_class_are_clean(
    nabla: Class, new_context: Callable[..., BrowserContext], viewport: ViewportSize, scheme: str
) -> None:
    student, teacher = (new_context(viewport=viewport, color_scheme=scheme).new_page() for _ in range(2))
    student.goto(nabla.link)
    assert (violations(student), overflow(student)) == ([], [])
    join(student, nabla, "A nickname of as many letters as may be")
    train(student, nabla, name="A name that is as long as names of runs may be")
    for path in ("/join", "/me"):
        student.goto(nabla.url + path)
        for summary in student.locator("summary").all():
            summary.click()
        assert (violations(student), overflow(student)) == ([], []), path
    teacher.goto(nabla.lecturers)
    expect(teacher.get_by_role("img", name=re.compile("Training loss from")).first).to_be_visible()
    teacher.get_by_text("Everybody, with runs").click()
    teacher.get_by_role("button", name="New code").click()
    expect(teacher.get_by_role("dialog")).to_be_visible()
    assert (violations(teacher), overflow(teacher)) == ([], [])
    teacher.keyboard.press("Escape")
    assert (violations(teacher), overflow(teacher)) == ([], [])
    assert teacher.evaluate(f"({CONTROLS})().filter(e => e.tabIndex !== 0).map(e => e.outerHTML.slice(0, 120))") == []
    teacher.get_by_role("link", name="Show the class").focus()
    teacher.keyboard.press("Enter")
    expect(teacher.get_by_role("heading", name="Join the class")).to_be_visible()
    assert (violations(teacher), overflow(teacher)) == ([], [])
