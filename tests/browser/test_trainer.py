"""Hyperparameters changed while it trains: taken over at once, or refused with the legal range and the old value kept."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.digits import Digits, until

pytestmark = pytest.mark.browser


def field(digits: Digits, label: str) -> Locator:
    return digits.page.get_by_role("form", name="Trainer").get_by_role("textbox", name=label, exact=True)


def type_in(digits: Digits, label: str, text: str) -> None:
    field(digits, label).fill(text)
    field(digits, label).press("Enter")


def test_rates_and_sizes_change_while_it_trains(visit: Callable[..., Digits]) -> None:
    digits = visit()
    for label, text, key, value in (
        ("Learning rate", "0.5", "learning_rate", 0.5),
        ("Batch size", "50", "batch_size", 50),
        ("Weight decay", "0.01", "l2", 0.01),
    ):
        type_in(digits, label, text)

        def taken(key: str = key, value: float = value) -> bool:
            run = digits.document()
            return bool({**run, **run["optimizer"]}[key] == value)

        until(digits.page, taken, f"{key} is {value}")
        expect(field(digits, label)).to_have_value(text)
    expect(digits.state).to_have_text("Training")
    before = digits.document()
    digits.until_update(before["step"] + 10)
    after = digits.document()
    assert (after["examples"] - before["examples"]) == 50 * (after["step"] - before["step"])


@pytest.mark.parametrize(
    ("label", "text", "range_", "key"),
    [
        ("Learning rate", "-1", "More than 0", "learning_rate"),
        ("Batch size", "0", "At least 1", "batch_size"),
        ("Batch size", "2.5", "A whole number is needed here", "batch_size"),
        ("Weight decay", "much", "A number is needed here, at least 0", "l2"),
    ],
)
def test_a_value_out_of_range_is_refused_in_words(visit: Callable[..., Digits], label: str, text: str, range_: str, key: str) -> None:
    digits = visit(state="paused")
    old = {**digits.document(), **digits.document()["optimizer"]}[key]
    shown = field(digits, label).input_value()
    type_in(digits, label, text)
    wrong = field(digits, label)
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(wrong).to_have_accessible_description(re.compile(f"^{re.escape(range_)}.*It was left at {shown}"))
    expect(wrong).to_have_value(text)
    assert {**digits.document(), **digits.document()["optimizer"]}[key] == old
    type_in(digits, label, shown)
    expect(wrong).not_to_have_attribute("aria-invalid", "true")


def test_momentum_waits_for_an_optimizer_that_has_one(visit: Callable[..., Digits]) -> None:
    digits = visit()
    momentum = field(digits, "Momentum")
    expect(momentum).to_be_disabled()
    expect(momentum).to_have_accessible_description("Adadelta has none. Choose Momentum or Nesterov.")
    digits.page.get_by_role("combobox", name="Optimizer").select_option("Momentum")
    expect(momentum).to_be_enabled()
    assert digits.document()["optimizer"]["name"] == "momentum"
    expect(digits.page.get_by_text(re.compile("^The learning rate is now .* usual for Momentum"))).to_be_visible()
    type_in(digits, "Momentum", "0.5")
    until(digits.page, lambda: digits.document()["optimizer"]["momentum"] == 0.5, "the new momentum is taken over")
    step = digits.update
    digits.until_update(step + 10)
    expect(digits.state).to_have_text("Training")


def test_what_a_field_means_is_told_beside_it(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    digits.button("What is this: Weight decay?").click()
    expect(digits.page.get_by_role("tooltip").filter(has_text="Weight decay.")).to_be_visible()
    digits.page.keyboard.press("Escape")
    expect(digits.page.get_by_role("tooltip").filter(has_text="Weight decay.")).to_be_hidden()
