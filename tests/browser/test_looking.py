"""A run that is shared with a class: everybody looks, its owner steers, and who wants one like it gets one of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from tests.browser.conftest import Faults
from tests.browser.digits import PHONE, Digits, until
from tests.browser.server import Server, running_server
from tests.browser.test_accessible import WIDE, overflow, violations

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("class"), "--workers", "1", "--class") as server:
        yield server


@pytest.fixture
def somebody(new_context: Callable[..., BrowserContext], school: Server) -> Callable[..., Page]:
    """A page of somebody who has just joined the class."""
    while not (match := re.search(r"/join/(\w+)", "\n".join(school.lines))):
        httpx.get(f"{school.url}/api/health")  # the line with the code comes behind the one with the address
    code = match[1]

    def join(nickname: str, **look: object) -> Page:
        context = new_context(**look)
        answer = context.request.post(
            f"{school.url}/join", form={"code": code, "nickname": nickname}, headers={"Origin": school.url}
        )
        assert answer.ok, answer.text()
        return context.new_page()

    return join


def shared(owner: Page) -> str:
    """Shares the run of the page by its menu; the link that is offered."""
    owner.get_by_role("button", name="Share", exact=True).click()
    owner.get_by_label("Let the class look at it").check()
    link = owner.get_by_label("Link", exact=True).first
    expect(owner.get_by_text("Everybody in the class can look at it by this link.")).to_be_visible()
    return link.input_value()


@pytest.mark.parametrize(
    ("viewport", "scheme"),
    [pytest.param(WIDE, "light", marks=pytest.mark.faults), pytest.param(PHONE, "dark", marks=pytest.mark.faults)],
    ids=["wide-light", "phone-dark"],
)
def test_a_shared_plane_is_looked_at_and_one_like_it_is_ones_own(
    somebody: Callable[..., Page], school: Server, viewport: ViewportSize, scheme: str
) -> None:
    owner, guest = somebody("Ada"), somebody("<b>Grace</b>", viewport=viewport, color_scheme=scheme)
    owner.goto(f"{school.url}/plane?data=xor")
    link = shared(owner)
    guest.goto(link)
    expect(guest.get_by_role("status").filter(has_text="This is a run of Ada.")).to_be_visible()
    drawn = "document.querySelector('plane-plot canvas') !== null"
    until(guest, lambda: guest.evaluate(drawn), "the picture")
    for name in ("Pause", "Update", "More layers"):
        expect(guest.get_by_role("button", name=name, exact=True)).to_be_disabled()
    expect(guest.get_by_label("Learning rate", exact=True)).to_be_disabled()
    assert overflow(guest) == []
    assert violations(guest) == []
    guest.get_by_text("Hard", exact=True).click()  # how it is drawn is everybody's own
    expect(guest.locator("#experiment.htmx-request")).to_have_count(0)
    expect(guest.locator("#problems")).to_be_empty()
    assert guest.url == link
    guest.get_by_role("button", name="Train one like it").click()
    guest.wait_for_url(lambda url: url != link)
    expect(guest.get_by_text("This is a run of")).to_have_count(0)
    expect(guest.get_by_role("button", name="Pause", exact=True)).to_be_enabled()
    guest.get_by_role("button", name="Pause", exact=True).click()
    expect(guest.get_by_role("region", name="Run").get_by_role("status")).to_have_text("Paused")
    expect(owner.get_by_role("region", name="Run").get_by_role("status")).to_have_text("Training")
    for page in (owner, guest):
        page.goto("about:blank")


@pytest.mark.faults
def test_shared_digits_are_looked_at_and_listed(somebody: Callable[..., Page], school: Server, faults: Faults) -> None:
    faults.expect("status of 404")
    owner, guest = somebody("Edsger"), somebody("Barbara")
    owner.goto(school.url)
    link = shared(owner)
    guest.goto(f"{school.url}/runs")
    row = guest.get_by_role("row").filter(has_text="Edsger")
    row.get_by_role("link", name="Look at it").click()
    assert guest.url == link
    expect(guest.get_by_role("status").filter(has_text="This is a run of Edsger.")).to_be_visible()
    with httpx.Client() as nobody:
        Digits(guest, nobody, "").connected()
    expect(guest.get_by_label("Learning rate", exact=True)).to_be_disabled()
    owner.get_by_label("Let the class look at it").uncheck()
    expect(owner.get_by_text("Now only you and the lecturer see it.")).to_be_visible()
    assert guest.goto(link).status == 404  # type: ignore[union-attr]
    for page in (owner, guest):
        page.goto("about:blank")
