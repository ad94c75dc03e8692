"""Building a network: layers added, moved, edited and removed, or read from text; then started as a run."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.digits import Digits, number, until

pytestmark = pytest.mark.browser

LAYER_DEFS = """
layer_defs = [];
layer_defs.push({type:'input', out_sx:24, out_sy:24, out_depth:1});
layer_defs.push({type:'conv', sx:5, filters:4, stride:1, pad:2, activation:'relu'});
layer_defs.push({type:'pool', sx:4, stride:4});
layer_defs.push({type:'softmax', num_classes:10});
net = new convnetjs.Net();
net.makeLayers(layer_defs);
trainer = new convnetjs.SGDTrainer(net, {method:'sgd', learning_rate:0.02, momentum:0.8, batch_size:10, l2_decay:0.0001});
"""


def form(digits: Digits) -> Locator:
    return digits.page.get_by_role("form", name="Network", exact=True)


def layers(digits: Digits) -> list[str]:
    return form(digits).get_by_role("rowheader").all_inner_texts()[:-1]


def expect_layers(digits: Digits, *names: str) -> None:
    expect(form(digits).get_by_role("rowheader")).to_have_text([*names, "Sum"])


def row(digits: Digits, index: int) -> Locator:
    return form(digits).locator("tbody").get_by_role("row").nth(index)


def parameters(digits: Digits) -> float | None:
    return number(form(digits).get_by_role("row", name=re.compile("^Sum")).get_by_role("cell").nth(2).inner_text())


def add(digits: Digits, kind: str) -> None:
    form(digits).get_by_role("combobox", name="Kind of layer to add").select_option(kind)
    form(digits).get_by_role("button", name="Add").click()


DIGITS = ["Convolution", "ReLU", "Max pooling", "Convolution", "ReLU", "Max pooling", "Dense"]


def test_a_network_is_built_layer_by_layer_and_started(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    expect_layers(digits, *DIGITS)
    assert parameters(digits) == 5994

    add(digits, "Dropout")
    expect_layers(digits, *DIGITS[:-1], "Dropout", "Dense")
    digits.button("Move layer 7 up").click()
    expect_layers(digits, *DIGITS[:-2], "Dropout", "Max pooling", "Dense")
    for _ in range(2):  # the second convolution and its ReLU
        digits.button("Remove layer 4").click()
    expect_layers(digits, "Convolution", "ReLU", "Max pooling", "Dropout", "Max pooling", "Dense")

    filters = form(digits).get_by_role("textbox", name="filters of layer 1")
    filters.fill("6")
    filters.press("Tab")
    expect(row(digits, 0)).to_contain_text("156")  # 6·5·5·1 + 6
    expect(row(digits, 0)).to_contain_text("24×24×6")
    assert parameters(digits) == 156 + 10 * 6 * 4 * 4 + 10

    before = digits.page.url
    digits.button("Start this network").click()
    digits.page.wait_for_url(lambda url: url != before)
    made = Digits(digits.page, digits.api, digits.page.url.rpartition("=")[2])
    made.connected()
    expect(made.state).to_have_text("Training")
    network = made.document()["network"]
    assert [layer["type"] for layer in network] == ["conv2d", "relu", "max_pool2d", "dropout", "max_pool2d", "dense"]
    assert network[0]["filters"] == 6
    made.until_update(10)
    shown = made.page.get_by_role("region", name="Network visualization").get_by_role("heading", level=3)
    expect(shown).to_have_count(7)
    digits.api.delete(f"/runs/{made.run}")
    made.page.goto("about:blank")


def test_an_impossible_layer_says_why_and_cannot_be_started(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    size = form(digits).get_by_role("textbox", name="size of layer 4")
    size.fill("20")
    size.press("Tab")
    expect(row(digits, 3)).to_have_attribute("aria-invalid", "true")
    reason = row(digits, 3).get_by_role("cell").nth(1)
    expect(reason).to_contain_text("20")
    print("impossible layer:", reason.inner_text())
    expect(digits.button("Start this network")).to_be_disabled()
    expect(form(digits).get_by_role("status")).to_contain_text("Layer 4")

    size.fill("many")
    size.press("Tab")
    expect(form(digits).get_by_role("textbox", name="size of layer 4")).to_have_attribute("aria-invalid", "true")
    expect(digits.button("Start this network")).to_be_disabled()

    size.fill("3")
    size.press("Tab")
    expect(digits.button("Start this network")).to_be_enabled()


def test_edits_in_quick_succession_are_carried_out_one_after_the_other(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    held: list[Route] = []
    digits.page.route("**/network/builder", lambda route: held.append(route))
    for _ in range(3):  # the convolution, its ReLU, the pooling
        digits.button("Remove layer 4").click()
    until(digits.page, lambda: held, "the first request")
    expect_layers(digits, *DIGITS)
    for count in range(1, 4):
        until(digits.page, lambda count=count: len(held) == count, f"request {count}")  # type: ignore[misc]
        held[-1].continue_()
        expect_layers(digits, *DIGITS[:3], *DIGITS[3 + count :])


@pytest.mark.long
def test_pasted_convnetjs_code_becomes_the_table(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    text = digits.page.get_by_role("textbox", name="The same network as text")
    text.fill(LAYER_DEFS)
    digits.button("Read this text").click()
    expect_layers(digits, "Convolution", "ReLU", "Max pooling", "Dense")
    expect(form(digits)).to_contain_text("It takes the trainer of the text: Momentum, learning rate 0.02")
    assert parameters(digits) == 4 * 25 + 4 + 10 * 4 * 6 * 6 + 10
    before = digits.page.url
    digits.button("Start this network").click()
    digits.page.wait_for_url(lambda url: url != before)
    made = Digits(digits.page, digits.api, digits.page.url.rpartition("=")[2])
    made.connected()
    run = made.document()
    assert (run["optimizer"]["name"], run["optimizer"]["learning_rate"], run["batch_size"]) == ("momentum", 0.02, 10)
    digits.api.delete(f"/runs/{made.run}")
    made.page.goto("about:blank")


def test_pasted_rubbish_is_answered_in_words_and_changes_nothing(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    text = digits.page.get_by_role("textbox", name="The same network as text")
    for rubbish in ("hello", "alert(1)", "layer_defs.push({type:'conv', sx:window.x})", '[{"type": "dense"', '[{"type": "rnn"}]'):
        text.fill(rubbish)
        digits.button("Read this text").click()
        alert = digits.page.get_by_role("form", name="The network as text").get_by_role("alert")
        expect(alert).to_have_text(re.compile(r"^[A-Z].{15,}"))
        print(f"{rubbish!r}: {alert.inner_text()}")
        expect(text).to_have_value(rubbish)
        expect(text).to_have_attribute("aria-invalid", "true")
        expect_layers(digits, *DIGITS)
        text.fill("")


def test_the_text_follows_the_table_in_each_format(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    text = digits.page.get_by_role("textbox", name="The same network as text")
    expect(text).to_have_value(re.compile('"conv2d"'))
    for name, words in (("convnetjs", "layer_defs"), ("Python", "Conv2D"), ("Nabla", '"conv2d"')):
        digits.page.get_by_role("radio", name=name).check()
        expect(text).to_have_value(re.compile(re.escape(words)))
    digits.page.get_by_role("radio", name="convnetjs").check()
    expect(text).to_have_value(re.compile("layer_defs"))
    digits.button("Read this text").click()
    expect(digits.page.get_by_role("form", name="The network as text").get_by_role("status")).to_have_text(re.compile("^Read: 7 layers"))
    expect_layers(digits, *DIGITS)


def test_a_preset_starts_a_run(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    digits.button("Presets").click()
    before = digits.page.url
    digits.page.get_by_role("button", name=re.compile("^Digits without convolutions")).click()
    digits.page.wait_for_url(lambda url: url != before)
    made = Digits(digits.page, digits.api, digits.page.url.rpartition("=")[2])
    made.connected()
    made.until_update(5)
    assert [layer["type"] for layer in made.document()["network"]] == ["dense", "relu", "dense"]
    digits.api.delete(f"/runs/{made.run}")
    made.page.goto("about:blank")
