"""Two tabs that steer one run: both show what it is, and neither undoes what the other did."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Route, expect

from tests.browser.conftest import Faults
from tests.browser.digits import Digits
from tests.browser.points import Bench
from tests.browser.server import Server

pytestmark = pytest.mark.browser


@pytest.fixture
def twins(context: BrowserContext, server: Server, api: httpx.Client) -> Iterator[tuple[Bench, Bench]]:
    """Two tabs on one paused run on the plane."""
    one = Bench(context.new_page(), server.url, api).open("/plane?data=xor&play=0")
    run = one.run
    two = Bench(context.new_page(), server.url, api)
    with two.page.expect_response("**/watches/*"):  # its scripts are there and its stream stands
        two.open(f"/plane?run={run}")
    yield one, two
    for page in context.pages:
        page.goto("about:blank")
    api.delete(f"/runs/{run}")


def test_controls_of_one_tab_follow_the_other_and_neither_undoes_its_changes(twins: tuple[Bench, Bench]) -> None:
    one, two = twins
    one.page.get_by_label("Learning rate", exact=True).fill("0.1")
    one.page.get_by_label("Learning rate", exact=True).blur()
    expect(two.page.get_by_label("Learning rate", exact=True)).to_have_value("0.1")
    two.page.get_by_text("Spiral", exact=True).click()
    expect(one.page.get_by_role("radio", name="Spiral")).to_be_checked()
    one.button("More layers").click()
    expect(two.page.locator("[name=units-2]")).to_have_count(1)
    two.page.get_by_label("Speed", exact=True).select_option("10")
    expect(one.page.get_by_label("Speed", exact=True)).to_have_value("10")
    one.api.patch(f"/runs/{one.run}", json={"name": "Ours"}).raise_for_status()
    expect(two.page.locator("input[type=hidden][name=name]")).to_have_value("Ours")
    spec = one.spec
    assert (spec["optimizer"]["learning_rate"], spec["dataset"]["kind"], spec["name"]) == (0.1, "spiral", "Ours")
    assert sum(layer["type"] == "dense" for layer in spec["network"]) == 4
    assert one.document["updates_per_second"] == 10
    assert one.form.get_attribute("data-version") == two.form.get_attribute("data-version") == one.document["version"]


def test_a_change_made_of_what_another_tab_just_replaced_is_refused_in_words(
    twins: tuple[Bench, Bench], faults: Faults
) -> None:
    """The other's change comes between this one's sending and its arrival."""
    faults.expect("status of 409")
    one, two = twins

    def late(route: Route) -> None:
        one.api.patch(f"/runs/{run}", json={"batch_size": 7}).raise_for_status()
        route.continue_()

    run = one.run
    two.page.route("**/experiment", late, times=1)
    two.page.get_by_text("Spiral", exact=True).click()
    expect(two.page.get_by_role("alert").filter(has_text="changed in another tab at the same moment")).to_be_visible()
    expect(two.page.get_by_label("Batch size", exact=True)).to_have_value("7")
    expect(two.page.get_by_role("radio", name="Xor")).to_be_checked()
    assert two.spec["dataset"]["kind"] == "xor"
    two.page.get_by_text("Spiral", exact=True).click()  # made again, it is done
    expect(one.page.get_by_role("radio", name="Spiral")).to_be_checked()
    assert (one.spec["dataset"]["kind"], one.spec["batch_size"]) == ("spiral", 7)


def test_changes_that_follow_each_other_quickly_are_not_taken_for_another_tabs(twins: tuple[Bench, Bench]) -> None:
    one, two = twins
    slider = one.page.locator("input[name=noise]")
    slider.focus()
    for _ in range(25):
        one.page.keyboard.press("ArrowRight")
    one.settled()
    expect(one.page.get_by_role("alert")).to_have_count(0)
    value = float(slider.input_value())
    assert one.until(lambda: abs(one.spec["dataset"]["noise"] - value) < 1e-6, "the slider's value")
    expect(two.page.locator("input[name=noise]")).to_have_value(f"{value:g}")


def test_trainer_settings_of_digits_follow_the_other_tab(visit: Callable[..., Digits], server: Server) -> None:
    one = visit(state="paused")
    two = Digits(one.page.context.new_page(), one.api, one.run)
    two.open(server.url)
    for digits, label, value in ((one, "Learning rate", "0.02"), (two, "Batch size", "30"), (one, "Weight decay", "0.001")):
        field = digits.page.get_by_label(label, exact=True)
        field.fill(value)
        field.blur()
        for tab in (one, two):
            expect(tab.page.get_by_label(label, exact=True)).to_have_value(value)
            expect(tab.page.locator("#trainer.htmx-request")).to_have_count(0)
    run = one.document()
    assert (run["optimizer"]["learning_rate"], run["batch_size"], run["l2"]) == (0.02, 30, 0.001)
