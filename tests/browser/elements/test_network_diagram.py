"""`<network-diagram>`: pictures, lines, and weights by pointer and by keyboard."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from app.wire.arrays import pack
from tests.browser.elements.conftest import Bench

pytestmark = pytest.mark.browser

FEATURES = {"x": "x", "y": "y", "x_squared": "x²", "y_squared": "y²", "xy": "xy", "sin_x": "sin x"}
SIDE = 24


def diagram(*widths: int, inputs: int = 2, outputs: str = "AB") -> str:
    """The page's markup: hidden layers of these widths, `inputs` features in use, an output for each class."""
    used = [
        f'<label class="neuron{"" if k < inputs else " off"}" data-feature="{name}" data-label="{label}"'
        f'{f" data-layer=-1 data-unit={k}" if k < inputs else ""}><input class="visually-hidden" type="checkbox"'
        f' aria-label="{label}"><canvas class="map"></canvas></label>'
        for k, (name, label) in enumerate(FEATURES.items())
    ]
    hidden = [
        [
            f'<button class="neuron" type="button" data-layer="{2 * k}" data-unit="{unit}" aria-pressed="false">'
            '<canvas class="map"></canvas></button>'
            for unit in range(width)
        ]
        for k, width in enumerate(widths)
    ]
    last = [
        f'<button class="neuron last" type="button" data-layer="{2 * len(widths)}" data-unit="{k}" data-label="{name}"'
        ' aria-pressed="false"><canvas class="map"></canvas></button>'
        for k, name in enumerate(outputs)
    ]
    columns = "".join(
        f'<div class="layer-column"><header><b>{len(column)}</b></header><div>{"".join(column)}</div></div>'
        for column in (used, *hidden, last)
    )
    return (
        '<form id="experiment"><network-diagram><div class="scroller"><div class="diagram">'
        f'<canvas class="links" aria-hidden="true"></canvas>{columns}</div></div>'
        '<div class="weight-card" role="group" hidden></div></network-diagram></form><p><button>After</button></p>'
    )


def plane_frame(*widths: int, inputs: int = 2, outputs: int = 2, seed: int = 1, scale: float = 1.5) -> dict[str, Any]:
    """A frame of a tanh network with random weights, its maps from a forward pass."""
    rng = np.random.default_rng(seed)
    axis = (np.arange(SIDE) + 0.5) / SIDE * 12 - 6
    x, y = np.meshgrid(axis, -axis)
    maps = np.stack([x, y, x * x, y * y, x * y, np.sin(x)])[:inputs].reshape(inputs, -1)
    neurons = [{"layer": -1, "maps": pack(maps.reshape(-1, SIDE, SIDE))}]
    weights = []
    for k, width in enumerate((*widths, outputs)):
        matrix = scale * rng.normal(size=(width, len(maps)))
        biases = rng.normal(size=width)
        maps = matrix @ (maps / (3 if k == 0 else 1)) + biases[:, None]
        maps = np.tanh(maps) if k < len(widths) else np.exp(maps) / np.exp(maps).sum(axis=0)
        neurons.append({"layer": 2 * k, "maps": pack(maps.reshape(-1, SIDE, SIDE))})
        rounded = {"weights": np.round(matrix, 3).tolist(), "biases": np.round(biases, 3).tolist()}
        weights.append({"layer": 2 * k} | rounded)
    return {
        "view": "plane", "watch": "w", "step": seed, "domain": [[-6, 6], [-6, 6]], "outputs": None, "neuron": None,
        "neurons": neurons, "weights": weights, "hidden": None, "mistakes": [], "curve": None, "histograms": None,
    }  # fmt: skip


def open_diagram(bench: Bench, *widths: int, frame: dict[str, Any] | None = None, **shape: Any) -> Page:
    page = bench.open(diagram(*widths, **shape), "elements/network-diagram.js")
    counts = {key: len(value) if isinstance(value, str) else value for key, value in shape.items()}
    page.evaluate("""() => {
      window.told = [];
      for (const name of ["weights", "neuron", "change", "input", "submit"]) document.getElementById("experiment")
        .addEventListener(name, event => { event.preventDefault(); told.push({ name, ...event.detail }); });
    }""")
    show(bench, frame or plane_frame(*widths, **counts))
    return page


def show(bench: Bench, frame: dict[str, Any]) -> None:
    """Hands a frame to the element and waits until it is drawn."""
    bench.page.evaluate(
        """async frame => {
          document.querySelector("network-diagram").show(frame);
          for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
        }""",
        frame,
    )


def neuron(layer: int, unit: int) -> str:
    return f".neuron[data-layer='{layer}'][data-unit='{unit}']"


def told(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate("told")
    return found


def single(weight: float | None, bias: float | None = 0.0) -> dict[str, Any]:
    """A frame of 2-1-2 with one weight from x to the neuron; all others are not known."""
    frame = plane_frame(1)
    frame["weights"] = [{"layer": 0, "weights": [[weight, None]], "biases": [bias]}]
    return frame


COLUMN = """() => {
  // Pixels of the lines' canvas, from top to bottom where the lines between inputs and first neuron are steepest or begin.
  const canvas = document.querySelector(".links"), { left, top } = canvas.getBoundingClientRect();
  const from = document.querySelector(".neuron[data-layer='-1']").getBoundingClientRect();
  const data = canvas.getContext("2d").getImageData(Math.round(from.right - left + 3), 0, 1, canvas.height).data;
  return Array.from({ length: canvas.height }, (_, i) => [...data.slice(4 * i, 4 * i + 4)]);
}"""
BAR = """neuron => {
  // The bias: how many pixels of colour are left and right of the middle under a neuron, and the colour.
  const canvas = document.querySelector(".links"), corner = canvas.getBoundingClientRect(), box = document.querySelector(neuron).getBoundingClientRect();
  const { width, data } = canvas.getContext("2d").getImageData(Math.round(box.left - corner.left), Math.round(box.bottom - corner.top) + 3, Math.round(box.width), 1);
  const inked = Array.from({ length: width }, (_, i) => [...data.slice(4 * i, 4 * i + 4)]).map((pixel, i) => ({ i, pixel })).filter(({ pixel }) => pixel[3] > 200);
  const middle = width / 2;
  return { left: inked.filter(({ i }) => i < middle - 1).length, right: inked.filter(({ i }) => i > middle).length, pixel: inked.at(inked.at(-1).i > middle + 1 ? -1 : 0).pixel };
}"""
TOKENS = "async () => { const { token } = await import('/static/js/lib/palette.js'); return ['positive', 'negative'].map(token); }"


# ---- Pictures -------------------------------------------------------------------------------------------------------------


def test_every_neuron_shows_where_it_says_yes_in_blue_and_no_in_orange(bench: Bench) -> None:
    frame = plane_frame(3, 2)
    page = open_diagram(bench, 3, 2, frame=frame)
    for layer, unit in [(-1, 0), (0, 2), (2, 1), (4, 0), (4, 1)]:
        blue = page.eval_on_selector(
            f"{neuron(layer, unit)} canvas",
            "canvas => { const { data } = canvas.getContext('2d').getImageData(0, 0, 24, 24);"
            " return Array.from({ length: 576 }, (_, i) => data[4 * i + 2] - data[4 * i]); }",
        )
        maps = next(maps["maps"] for maps in frame["neurons"] if maps["layer"] == layer)
        values = unpacked(maps)[unit].ravel() - (0.5 if layer == 4 else 0)
        strong = np.abs(values) > 0.1 * np.abs(values).max()
        assert strong.sum() > 100
        assert (np.sign(blue)[strong] == np.sign(values)[strong]).all(), f"layer {layer}, unit {unit}"


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(packed["data"]), np.uint8).reshape(packed["shape"])
    values: np.ndarray = packed["low"] + (packed["high"] - packed["low"]) * data / 255
    return values


def test_an_input_that_is_not_used_is_painted_from_its_formula(bench: Bench) -> None:
    page = open_diagram(bench, 2)
    rows = page.eval_on_selector(
        "[data-feature=x_squared] canvas",
        "canvas => { const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, 1);"
        " return Array.from({ length: canvas.width }, (_, i) => data[4 * i + 2] - data[4 * i]); }",
    )
    assert rows[0] > 100 > rows[5] > rows[11], "blue at both sides, paper in the middle"
    assert rows == rows[::-1]


# ---- Lines and bars ---------------------------------------------------------------------------------------------------------


def test_lines_tell_sign_by_colour_and_size_by_width(bench: Bench) -> None:
    page = open_diagram(bench, 1, frame=single(4))
    positive, negative = page.evaluate(TOKENS)
    for weight, colour, width in [(4, positive, 6), (-4, negative, 6), (-100, negative, 6), (2, positive, 3.4)]:
        show(bench, single(weight))
        pixels = [pixel for pixel in page.evaluate(COLUMN) if pixel[3]]
        coverage = sum(pixel[3] for pixel in pixels) / max(pixel[3] for pixel in pixels)
        assert coverage == pytest.approx(width, abs=0.4), weight
        assert np.allclose(max(pixels, key=lambda pixel: pixel[3])[:3], colour, atol=3), weight
    for weak in (0.01, -0.3):
        show(bench, single(weak))
        faint = [pixel[3] for pixel in page.evaluate(COLUMN)]
        assert 0 < sum(faint) < 1.5 * 0.4 * 255, "weak ones are thin and faint"
    show(bench, single(None))
    assert not any(pixel[3] for pixel in page.evaluate(COLUMN)), "no line where no weight is known"


def test_a_bias_is_a_bar_to_the_right_or_to_the_left_outputs_included(bench: Bench) -> None:
    frame = single(0.1, bias=2)
    frame["weights"].append({"layer": 2, "weights": [[None], [None]], "biases": [-1, 0.5]})
    page = open_diagram(bench, 1, frame=frame)
    positive, negative = page.evaluate(TOKENS)
    bars = [page.evaluate(BAR, neuron(*place)) for place in [(0, 0), (2, 0), (2, 1)]]
    assert [(round(bar["left"], -1), bar["right"] > 1) for bar in bars] == [(0, True), (10, False), (0, True)]
    assert bars[0]["right"] == pytest.approx(19, abs=1)
    assert bars[0]["right"] > 3 * bars[2]["right"]
    assert np.allclose(bars[0]["pixel"][:3], positive, atol=3)
    assert np.allclose(bars[1]["pixel"][:3], negative, atol=3)


def test_two_thousand_lines_leave_the_page_time_for_ten_frames_a_second(bench: Bench) -> None:
    widths = (16,) * 8
    page = open_diagram(bench, *widths, inputs=6, outputs="ABCDEF")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # others may use the machine meanwhile

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")

    frames = [plane_frame(*widths, inputs=6, outputs=6, seed=seed, scale=0.25) for seed in range(10)]
    show(bench, frames[0])
    before = spent()
    for frame in frames:
        show(bench, frame)
    assert (spent() - before) / len(frames) < 0.1


# ---- Weights, by pointer ------------------------------------------------------------------------------------------------------


def middle_of_line(page: Page, source: tuple[int, int], target: tuple[int, int]) -> tuple[float, float]:
    a, b = page.locator(neuron(*source)).bounding_box(), page.locator(neuron(*target)).bounding_box()
    assert a
    assert b
    return (a["x"] + a["width"] + b["x"]) / 2, (a["y"] + a["height"] / 2 + b["y"] + b["height"] / 2) / 2


def test_a_line_under_the_pointer_tells_its_weight_while_it_changes(bench: Bench) -> None:
    page = open_diagram(bench, 3)
    card = page.locator(".weight-card")
    expect(card).to_be_hidden()
    frame = plane_frame(3)
    page.mouse.move(*middle_of_line(page, (-1, 1), (0, 2)))
    expect(card).to_contain_text("y → neuron 3")
    expect(card.locator("input")).to_have_count(0)
    for weight in (-1.234, 0.5):
        frame["weights"][0]["weights"][2][1] = weight
        show(bench, frame)
        expect(card).to_contain_text(f"weight{weight:.3g}".replace("-", "−"))
    page.mouse.move(2, 2)
    expect(card).to_be_hidden()


def test_a_weight_is_typed_after_a_click_on_its_line(bench: Bench) -> None:
    page = open_diagram(bench, 3)
    x, y = middle_of_line(page, (0, 0), (2, 1))
    page.mouse.click(x, y)
    field = page.get_by_role("textbox", name="set to")
    expect(field).to_be_focused()
    page.keyboard.type("−0.75")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert told(page) == [{"name": "weights", "layer": 2, "unit": 1, "input": 0, "value": -0.75}], (
        "once, and the form around does not notice"
    )
    page.mouse.click(2, 2)
    expect(page.locator(".weight-card")).to_be_hidden()


def test_what_is_left_by_a_click_elsewhere_counts_and_what_is_left_by_escape_does_not(bench: Bench) -> None:
    page = open_diagram(bench, 3)
    place = middle_of_line(page, (0, 0), (2, 1))
    page.mouse.click(*place)
    page.keyboard.type("3")
    page.keyboard.press("Escape")
    expect(page.locator(".weight-card")).to_be_hidden()
    assert told(page) == []
    page.mouse.click(*place)
    page.keyboard.type("2")
    page.mouse.click(2, 2)
    expect(page.locator(".weight-card")).to_be_hidden()
    assert [event["value"] for event in told(page)] == [2]


@pytest.mark.parametrize("text", ["much", "1e9", "1,000", "", "NaN"])
def test_what_is_no_weight_is_said_to_be_none(bench: Bench, text: str) -> None:
    page = open_diagram(bench, 3)
    page.mouse.click(*middle_of_line(page, (0, 0), (2, 1)))
    field = page.get_by_role("textbox", name="set to")
    field.fill(text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("A number such as −0.5, at most a million.")
    expect(field).to_have_attribute("aria-invalid", "true")
    assert told(page) == []
    field.fill("1e-3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("")
    assert [event["value"] for event in told(page)] == [0.001]


def test_a_neuron_that_is_clicked_is_shown_large_and_lists_what_it_adds_up(bench: Bench) -> None:
    page = open_diagram(bench, 3)
    page.click(neuron(2, 0))
    expect(page.locator(neuron(2, 0))).to_have_attribute("aria-pressed", "true")
    card = page.get_by_role("group", name="Output A")
    names = ["bias", "neuron 1", "neuron 2", "neuron 3"]
    assert card.get_by_role("textbox").evaluate_all("all => all.map(f => f.labels[0].innerText.trim())") == names
    page.click(neuron(0, 1))
    page.click(neuron(0, 1))
    expect(page.locator(".weight-card")).to_be_hidden()
    assert [(event["layer"], event["unit"], event["pressed"]) for event in told(page)] == [
        (2, 0, True),
        (0, 1, True),
        (0, 1, False),
    ]
    assert page.locator("[aria-pressed=true]").count() == 0


def test_the_card_stays_inside_a_phone_and_follows_what_scrolls(bench: Bench) -> None:
    bench.page.set_viewport_size({"width": 375, "height": 700})
    page = open_diagram(bench, 9, 8)
    page.locator(neuron(4, 1)).scroll_into_view_if_needed()
    page.click(neuron(4, 1))
    card = page.locator(".weight-card").bounding_box()
    assert card
    assert card["x"] >= 0
    assert card["x"] + card["width"] <= 375
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


# ---- Weights, by keyboard ---------------------------------------------------------------------------------------------------------


def test_neurons_are_one_stop_of_tab_and_arrows_go_between_them(bench: Bench) -> None:
    page = open_diagram(bench, 3, 2)
    page.locator("[data-feature=sin_x] input").focus()
    page.keyboard.press("Tab")
    reached = []
    for key in ["", "ArrowDown", "ArrowRight", "ArrowUp", "ArrowRight", "ArrowRight", "End", "ArrowLeft", "ArrowLeft", "Home", "ArrowLeft"]:  # fmt: skip
        if key:
            page.keyboard.press(key)
        reached.append(page.evaluate("(({ layer, unit }) => `${layer}.${unit}`)(document.activeElement.dataset)"))
    assert reached[:5] == ["0.0", "0.1", "2.0", "2.0", "4.0"]
    assert reached[5:] == ["4.0", "4.1", "2.1", "0.2", "0.0", "0.0"]
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="After")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.locator(neuron(0, 0))).to_be_focused()


def test_the_keyboard_reads_and_types_every_weight_of_a_neuron(bench: Bench) -> None:
    page = open_diagram(bench, 3)
    page.locator("[data-feature=sin_x] input").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("group", name="Layer 1, neuron 1")).to_contain_text("bias")
    page.keyboard.press("Enter")
    card = page.get_by_role("group", name="Layer 1, neuron 1")
    expect(card.get_by_label("bias")).to_be_focused()
    page.keyboard.type("0.25")
    page.keyboard.press("Tab")
    expect(card.get_by_label("x")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("-3")
    page.keyboard.press("Enter")
    assert [(event["unit"], event["input"], event["value"]) for event in told(page)] == [(0, None, 0.25), (0, 1, -3)]
    page.keyboard.press("Escape")
    expect(page.locator(neuron(0, 0))).to_be_focused()
    page.keyboard.press(" ")
    assert told(page)[-1] == {"name": "neuron", "layer": 0, "unit": 0, "pressed": True}


def test_fields_follow_the_training_but_not_while_one_types(bench: Bench) -> None:
    page = open_diagram(bench, 3)
    page.focus(neuron(0, 0))
    page.keyboard.press("Enter")
    page.keyboard.type("7")
    frame = plane_frame(3)
    frame["weights"][0] = {"layer": 0, "weights": [[1.5, -2.5]] * 3, "biases": [0.5] * 3}
    show(bench, frame)
    fields = page.locator(".weight-card input")
    assert [field.input_value() for field in fields.all()] == ["7", "1.5", "−2.5"]


def test_every_neuron_says_what_it_is_and_its_bias(bench: Bench) -> None:
    frame = plane_frame(1)
    frame["weights"][0]["biases"] = [0.125]
    frame["weights"][1]["biases"] = [-1, None]
    page = open_diagram(bench, 1, frame=frame)
    expect(page.locator(neuron(0, 0))).to_have_accessible_name("Layer 1, neuron 1, bias 0.125")
    expect(page.locator(neuron(2, 0))).to_have_accessible_name("Output A, bias −1.00")
    expect(page.locator(neuron(2, 1))).to_have_accessible_name("Output B")


# ---- Changes of the network -------------------------------------------------------------------------------------------------------


def test_neurons_that_the_server_adds_or_takes_away_are_found_again(bench: Bench) -> None:
    page = open_diagram(bench, 3)
    page.focus(neuron(0, 2))
    page.evaluate("""() => {
      const added = document.querySelector(".neuron[data-layer='0'][data-unit='1']").cloneNode(true);
      document.querySelector(".neuron[data-layer='0'][data-unit='2']").replaceWith(added);
      added.dataset.unit = "2";
      added.removeAttribute("tabindex");
    }""")
    frame = plane_frame(3, seed=5)
    show(bench, frame)
    x, y = middle_of_line(page, (-1, 0), (0, 2))
    page.mouse.move(x, y)
    expect(page.locator(".weight-card")).to_contain_text("x → neuron 3")
    assert page.locator(".diagram [tabindex='0']").count() == 1
    page.evaluate("document.querySelectorAll('.layer-column')[1].remove()")
    page.mouse.move(x + 1, y)
    expect(page.locator(".weight-card")).to_be_hidden()
    show(bench, plane_frame(inputs=2))
    expect(page.locator(neuron(2, 0))).to_have_attribute("tabindex", "0")
