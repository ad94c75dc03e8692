"""Watching a run, and steering it: the first visit, pause, single updates, reset, seeds."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.digits import Digits, number, until
from tests.browser.server import Server

pytestmark = pytest.mark.browser


def test_the_first_visit_starts_a_run_that_one_can_watch(page: Page, server: Server, api: httpx.Client) -> None:
    """First in this module, while the server has no run."""
    page.goto(server.url)
    page.wait_for_url(re.compile(r"\?run=[a-z0-9]{16}$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("A network learns to read digits")
    digits = Digits(page, api, page.url.rpartition("=")[2])
    expect(digits.state).to_have_text("Training")
    first = digits.until_update(1)
    digits.until_update(first + 100)
    loss = digits.figure("Classification loss")
    early = until(page, lambda: number(loss.inner_text()), "a loss is shown") or 0.0
    chart = page.get_by_role("img", name=re.compile("^Loss against updates"))
    expect(chart).to_have_attribute("aria-label", re.compile("training went from"))
    until(page, lambda: (number(loss.inner_text()) or 99.0) < early, "the loss falls")
    assert api.get(f"/runs/{digits.run}").json()["state"] == "running"

    hint = page.get_by_role("complementary", name="First steps")
    expect(hint.get_by_role("listitem")).to_have_count(3)
    hint.get_by_role("button", name="Close these hints").click()
    expect(hint).to_be_hidden()
    page.reload()
    digits.connected()
    expect(hint).to_be_hidden()
    page.goto(server.url)
    digits.connected()
    assert digits.update >= first, "coming back finds the same run"
    assert len(api.get("/runs").json()["items"]) == 1
    api.delete(f"/runs/{digits.run}")


def test_single_updates_are_counted_exactly(visit: Callable[..., Digits]) -> None:
    digits = visit()
    digits.until_update(20)
    digits.pause()
    step = digits.document()["step"]
    expect(digits.figure("Update", section="Run")).to_have_text(f"{step:,}")
    for count, name in ((1, "1 update"), (10, "10 updates"), (100, "100 updates")):
        step += count
        digits.button(name).click()
        expect(digits.figure("Update", section="Run")).to_have_text(f"{step:,}")
        assert digits.document()["step"] == step
    expect(digits.state).to_have_text("Paused")
    digits.button("Train").click()
    expect(digits.state).to_have_text("Training")
    digits.until_update(step + 20)
    for name in ("1 update", "10 updates", "100 updates"):
        expect(digits.button(name)).to_be_disabled()
    expect(digits.button("1 update")).to_have_attribute("title", "Pause it to take single updates.")


def test_each_press_of_a_step_is_one_update(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    held: list[Route] = []
    digits.page.route("**/steps", lambda route: held.append(route))
    for _ in range(4):
        digits.button("1 update").click()
    for count in range(1, 5):
        until(digits.page, lambda count=count: len(held) == count, f"request {count}")  # type: ignore[misc]
        held[-1].continue_()
    digits.until_update(4)
    assert digits.document()["step"] == 4


def test_a_reset_goes_back_to_the_same_initial_weights(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    before = digits.weights()
    digits.button("10 updates").click()
    expect(digits.figure("Update", section="Run")).to_have_text("10")
    assert digits.weights() != before
    digits.button("Reset").click()
    expect(digits.figure("Update", section="Run")).to_have_text("0")
    assert digits.weights() == before


def test_a_new_seed_gives_other_weights_and_is_shown(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    before, seed = digits.weights(), digits.document()["seed"]
    digits.button("10 updates").click()
    expect(digits.figure("Update", section="Run")).to_have_text("10")
    digits.button("More").click()
    digits.button("Reset with a new seed N").click()
    expect(digits.figure("Update", section="Run")).to_have_text("0")
    new = digits.document()["seed"]
    assert new != seed
    assert digits.weights() != before
    digits.page.get_by_text("Stop by itself, seed and more").click()
    expect(digits.page.locator("#seed")).to_have_text(str(new))


def test_keys_do_what_the_buttons_do(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    keyboard = digits.page.keyboard
    for key, update in ((".", "1"), (",", "11"), ("r", "0")):
        keyboard.press(key)
        expect(digits.figure("Update", section="Run")).to_have_text(update)
    keyboard.press("Space")
    expect(digits.state).to_have_text("Training")
    keyboard.press("Space")
    expect(digits.state).to_have_text("Paused")
    keyboard.press("?")
    expect(digits.page.get_by_role("dialog", name="Keys")).to_be_visible()
    keyboard.press("Escape")
    expect(digits.page.get_by_role("dialog", name="Keys")).to_be_hidden()
    keyboard.press("d")
    expect(digits.pad).to_be_focused()
