"""Custom elements under static/js/elements, each on a page of its own."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from app.wire.arrays import pack_image
from tests.browser.elements.conftest import Bench, digits_frame

pytestmark = pytest.mark.browser


def collect_ink(bench: Bench) -> None:
    bench.page.evaluate("window.inks = []; document.addEventListener('ink', e => inks.push(e.detail))")


def last_ink(bench: Bench) -> tuple[np.ndarray, bool]:
    bench.page.wait_for_timeout(60)
    detail = bench.page.evaluate("inks.at(-1)")
    square = np.frombuffer(base64.b64decode(detail["ink_base64"]), np.uint8).reshape(detail["size"], detail["size"])
    return square, detail["empty"]


# ---- Drawing pad -------------------------------------------------------------------------------------------------------


def test_a_stroke_of_the_mouse_becomes_ink_where_it_was_drawn(bench: Bench) -> None:
    page = bench.open("<drawing-pad></drawing-pad>", "elements/drawing-pad.js")
    collect_ink(bench)
    box = page.locator("drawing-pad canvas[tabindex]").bounding_box()
    assert box
    at = lambda x, y: (box["x"] + x * box["width"], box["y"] + y * box["height"])  # noqa: E731
    page.mouse.move(*at(0.5, 0.2))
    page.mouse.down()
    page.mouse.move(*at(0.5, 0.8), steps=12)
    page.mouse.up()
    ink, empty = last_ink(bench)
    rows, columns = np.nonzero(ink > 127)
    side = len(ink)
    assert not empty
    assert abs(columns.mean() / side - 0.5) < 0.02
    assert rows.min() / side == pytest.approx(0.2 - 0.036, abs=0.02), "round ends reach half a brush beyond"
    assert rows.max() / side == pytest.approx(0.8 + 0.036, abs=0.02)


def test_undo_takes_back_strokes_and_clearing(bench: Bench) -> None:
    page = bench.open("<drawing-pad></drawing-pad>", "elements/drawing-pad.js")
    collect_ink(bench)
    page.click("drawing-pad canvas[tabindex]")
    first, _ = last_ink(bench)
    page.click("text=Clear")
    cleared, empty = last_ink(bench)
    assert empty
    assert cleared.max() == 0
    page.click("[aria-label=Undo]")
    again, empty = last_ink(bench)
    assert (again == first).all()
    page.click("[aria-label=Undo]")
    assert last_ink(bench)[1], "the first stroke goes too"
    assert page.is_disabled("[aria-label=Undo]")


def test_one_can_draw_with_the_keyboard(bench: Bench) -> None:
    page = bench.open("<drawing-pad></drawing-pad>", "elements/drawing-pad.js")
    collect_ink(bench)
    page.focus("drawing-pad canvas[tabindex]")
    for key in ["Enter", *["ArrowDown"] * 6, "Enter", "ArrowRight", "ArrowRight"]:
        page.keyboard.press(key)
    ink, _ = last_ink(bench)
    rows, columns = np.nonzero(ink > 127)
    assert rows.max() - rows.min() > 6 / 28 * len(ink)
    assert columns.max() - columns.min() < 4 / 28 * len(ink), "with the pen up nothing is drawn"
    page.keyboard.press("Delete")
    assert last_ink(bench)[1]


def test_touch_draws_and_does_not_scroll(bench: Bench) -> None:
    page = bench.open("<drawing-pad></drawing-pad>", "elements/drawing-pad.js")
    assert page.eval_on_selector("drawing-pad canvas[tabindex]", "c => getComputedStyle(c).touchAction") == "none"


def test_an_image_of_the_data_set_gives_way_to_the_first_stroke(bench: Bench) -> None:
    page = bench.open("<drawing-pad></drawing-pad>", "elements/drawing-pad.js")
    collect_ink(bench)
    page.eval_on_selector(
        "drawing-pad", "(pad, pack) => pad.showImage(pack, 'Test image 0, a 7.')", digits_frame()["input"]
    )
    assert page.is_visible("[aria-label='Test image 0, a 7.']")
    page.click("drawing-pad canvas[tabindex]")
    assert not last_ink(bench)[1]
    assert not page.is_visible("[aria-label='Test image 0, a 7.']")


# ---- Answer and pictures --------------------------------------------------------------------------------------------------


def test_bars_print_their_figures_and_an_empty_pad_has_none(bench: Bench) -> None:
    page = bench.open('<probability-bars classes="a,b,c"></probability-bars>', "elements/probability-bars.js")
    page.eval_on_selector("probability-bars", "bars => bars.show([0.1, 0.7, 0.2])")
    assert page.locator("li[aria-current]").inner_text().split() == ["b", "70.0", "%"]
    page.eval_on_selector("probability-bars", "bars => bars.show(null)")
    assert page.locator("li[aria-current]").count() == 0
    assert page.locator("li").all_inner_texts() == ["a\n–", "b\n–", "c\n–"]


def test_steps_of_a_drawing_show_the_box_and_the_two_squares(bench: Bench) -> None:
    page = bench.open("<ink-steps></ink-steps><canvas id=pad width=50 height=50></canvas>", "elements/ink-steps.js")
    frame = digits_frame(source="drawing")
    page.eval_on_selector(
        "ink-steps", "(steps, seen) => steps.show(seen, document.getElementById('pad'))", frame["seen"]
    )
    bench.until("document.querySelectorAll('ink-steps canvas')[2].width === 28")
    assert page.eval_on_selector_all("ink-steps canvas", "all => all.slice(1).map(c => c.width)") == [20, 28]
    assert page.locator("ink-steps canvas[role=img][aria-label]").count() == 3


PIPELINE = (
    '<section class="pipeline"><div class="stage"></div><layer-banks></layer-banks><div class="stage"></div></section>'
)


def test_banks_show_every_group_with_its_range_and_filters_beside_the_first(bench: Bench) -> None:
    page = bench.open(PIPELINE, "elements/layer-banks.js")
    page.eval_on_selector("layer-banks", "(banks, frame) => banks.show(frame)", digits_frame())
    page.wait_for_selector("layer-banks h3")
    assert page.locator("layer-banks h3").all_inner_texts() == [
        "Convolution",
        "ReLU, pooling",
        "Convolution, ReLU",
        "Pooling",
    ]
    assert page.locator("layer-banks header p").all_inner_texts() == [
        "8 filters 5×5 → 24×24",
        "8 maps 12×12",
        "16 maps 12×12",
        "16 of 4×4",
    ]
    assert page.locator("layer-banks .tile").count() == 8 + 8 + 8 + 16 + 16
    bench.until(
        "[...document.querySelectorAll('layer-banks .stage > .note')].every(n => n.textContent.startsWith('±'))"
    )
    label = page.locator("layer-banks .tile:not(.filter) canvas").first.get_attribute("aria-label")
    assert label
    assert label.startswith("Convolution 1, map 1 of 8, from −")


def test_an_empty_pad_empties_the_banks_and_keeps_their_places(bench: Bench) -> None:
    page = bench.open(PIPELINE, "elements/layer-banks.js")
    page.eval_on_selector("layer-banks", "(banks, frame) => banks.show(frame)", digits_frame())
    page.wait_for_selector("layer-banks h3")
    before = page.locator("layer-banks .tile").first.bounding_box()
    page.eval_on_selector("layer-banks", "(banks, frame) => banks.show(frame)", digits_frame(layers=[], input=None))
    bench.until("document.querySelector('layer-banks .tile:not(.filter) canvas').width === 1")
    assert page.locator("layer-banks .tile").first.bounding_box() == before


def test_a_unit_that_answers_none_of_several_examples_is_called_dead(bench: Bench) -> None:
    page = bench.open(PIPELINE, "elements/layer-banks.js")
    for index in range(3):
        frame = digits_frame(index)
        frame["example"]["index"] = index
        frame["layers"][5]["activations"] = pack_image(np.zeros((16, 4, 4), np.uint8))
        page.eval_on_selector("layer-banks", "(banks, frame) => banks.show(frame)", frame)
        page.wait_for_timeout(80)
    assert page.locator("layer-banks .stage:last-child .tile[data-dead]").count() == 16
    assert page.locator("layer-banks .stage:first-child .tile[data-dead]").count() == 0


def test_a_layer_shows_filters_and_gradients_as_asked_and_prints_its_ranges(bench: Bench) -> None:
    page = bench.open(
        '<layer-maps layer="0"></layer-maps><p data-range="weights" data-layer="0"></p>', "elements/layer-maps.js"
    )
    page.eval_on_selector("layer-maps", "(maps, frame) => maps.show(frame)", digits_frame())
    page.wait_for_selector("layer-maps h4")
    visible = lambda: [text.split("\n")[0] for text in page.locator("layer-maps h4:visible").all_inner_texts()]  # noqa: E731
    assert visible() == ["Filters", "Filter gradients", "Activations", "Activation gradients"]
    assert "…" in page.inner_text("p[data-range]")
    page.eval_on_selector("layer-maps", "maps => maps.setAttribute('of', 'gradients')")
    bench.until("document.querySelector('layer-maps .maps').hidden")
    assert visible() == ["Filter gradients", "Activation gradients"]


def test_a_map_is_enlarged_live_with_its_neighbours(bench: Bench) -> None:
    page = bench.open(
        '<layer-maps layer="0"></layer-maps><map-dialog></map-dialog>',
        "elements/layer-maps.js",
        "elements/map-dialog.js",
    )
    frame = digits_frame()
    show = "frame => { for (const e of document.querySelectorAll('layer-maps, map-dialog')) e.show(frame); }"
    page.evaluate("document.addEventListener('enlarge', e => document.querySelector('map-dialog').enlarge(e.detail))")
    page.evaluate(show, frame)
    page.locator("layer-maps .maps", has_text="Activations").locator(".tile").nth(2).click()
    assert page.inner_text("dialog h2") == "Convolution 1, map 3 of 8"
    assert page.locator("dialog td").count() == 25
    before = page.inner_text("dialog td[data-here]")
    page.evaluate(show, digits_frame(1))
    bench.until(f"document.querySelector('dialog td[data-here]').textContent !== '{before}'")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("dialog h2") == "Convolution 1, map 4 of 8"
    page.keyboard.press("Escape")
    assert not page.is_visible("dialog")


# ---- Test digits ------------------------------------------------------------------------------------------------------------


def items(count: int, **more: Any) -> dict[str, Any]:
    image = pack_image(np.eye(28, dtype=np.uint8) * 255)
    tile = {"label": 7, "class": 7, "right": True, "top": [[7, 0.9], [1, 0.06], [2, 0.04]], "image": image}
    return {
        "body": json.dumps({"step": 1, "total": 40, "items": [tile | {"index": i} | more for i in range(count)]}),
        "content_type": "application/json",
    }


TILES = '<digit-tiles class="digits" data-run="r">' + 18 * '<div class="digit"></div>' + "</digit-tiles>"


def test_digits_have_a_verdict_in_words_and_follow_the_stream(bench: Bench) -> None:
    page = bench.open(TILES, "elements/digit-tiles.js")
    bench.answer = lambda _: items(18)
    page.evaluate(
        "window.asked = []; document.querySelector('digit-tiles').addEventListener('tiles', e => asked.push(e.detail.indices))"
    )
    page.eval_on_selector("digit-tiles", "tiles => tiles.load()")
    assert page.locator(".digit").count() == 18
    assert page.evaluate("asked") == [list(range(18))]
    assert page.locator(".digit .verdict").first.inner_text() == "✓ 7"
    page.eval_on_selector(
        "digit-tiles", "tiles => tiles.show({ tiles: [{ index: 0, top: [[1, 0.8], [7, 0.1], [2, 0.1]] }] })"
    )
    assert page.locator(".digit .verdict").first.inner_text() == "✗ is 7"
    assert page.locator(".digit").first.get_attribute("data-right") == "false"


def test_mistakes_and_cells_are_asked_for_and_an_empty_answer_says_so(bench: Bench) -> None:
    page = bench.open(TILES, "elements/digit-tiles.js")
    bench.answer = lambda _: items(0)
    page.eval_on_selector("digit-tiles", "tiles => tiles.choose({ which: 'mistakes' })")
    page.eval_on_selector("digit-tiles", "tiles => tiles.choose({ which: 'all', truth: 4, predicted: 9 })")
    assert page.inner_text("digit-tiles") == "No digits in this cell."
    assert [url.partition("?")[2] for _, url, _ in bench.calls] == [
        "split=test&which=mistakes&limit=18&offset=0",
        "split=test&which=all&limit=18&offset=0&truth=4&predicted=9",
    ]


# ---- Chart ----------------------------------------------------------------------------------------------------------------------

CHART = """<loss-chart><label><input type=radio name=plot value=loss checked></label><label><input type=radio name=plot value=accuracy></label>
<input type=checkbox name=log checked><select name=smoothing><option value=0>off</option><option value=0.1 selected>some</option></select>
<button data-action=clear>Clear</button><button data-action=png>PNG</button><button data-action=csv>CSV</button>
<div class="plot wide" data-plot></div></loss-chart>"""
FILL = """count => {
  const chart = document.querySelector('loss-chart'), rows = { step: [], train_loss: [], validation_loss: [], train_accuracy: [], test_accuracy: [] };
  for (let i = 1; i <= count; i++) {
    rows.step.push(10 * i); rows.train_loss.push(2.3 * Math.exp(-i / count * 4) + 0.05 + 0.02 * Math.sin(i)); rows.train_accuracy.push(i / count);
    rows.validation_loss.push(i % 10 ? null : 2.3 * Math.exp(-i / count * 4) + 0.06); rows.test_accuracy.push(i % 10 ? null : 0.9);
  }
  chart.points.append(rows); chart.refresh();
}"""


def test_a_curve_reads_itself_off_in_words_and_as_a_table(bench: Bench) -> None:
    page = bench.open(CHART, "elements/loss-chart.js")
    page.wait_for_selector(".uplot")
    page.evaluate(FILL, 200)
    bench.until("document.querySelector('.readout').textContent.startsWith('Update 2,000: training')")
    page.click("summary")
    page.wait_for_selector("loss-chart tbody tr")
    assert page.locator("loss-chart tbody tr").count() == 20
    page.check("[value=accuracy]")
    bench.until("document.querySelector('.readout').textContent.includes('test 90.00')")
    label = page.get_attribute("[data-plot]", "aria-label")
    assert label
    assert label.startswith("Accuracy against updates 10 to 2,000: training went from")


def test_fifty_thousand_points_are_drawn_in_a_blink(bench: Bench) -> None:
    page = bench.open(CHART, "elements/loss-chart.js")
    page.wait_for_selector(".uplot")
    page.evaluate(FILL, 50_000)
    bench.until("document.querySelector('.readout').textContent.includes('500,000')")
    longest = page.evaluate("""async () => {
      const chart = document.querySelector('loss-chart'), gaps = [];
      let last = performance.now(), step = 500000;
      for (let i = 0; i < 60; i++) {
        chart.points.append({ step: [step += 10], train_loss: [0.1] }); chart.refresh();
        await new Promise(requestAnimationFrame);
        gaps.push(performance.now() - last); last = performance.now();
      }
      return gaps.sort((a, b) => a - b)[57];
    }""")
    assert longest < 100, f"95th percentile of a frame: {longest:.0f} ms"


def test_dragging_zooms_double_click_shows_all_and_clear_hides_the_past(bench: Bench) -> None:
    page = bench.open(CHART, "elements/loss-chart.js")
    page.wait_for_selector(".uplot")
    page.evaluate(FILL, 200)
    page.wait_for_timeout(400)
    picture = lambda: page.eval_on_selector(".uplot canvas", "c => c.toDataURL()")  # noqa: E731
    whole = picture()
    box = page.locator(".u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 60, steps=5)
    page.mouse.up()
    page.mouse.move(0, 0)
    page.wait_for_timeout(100)
    assert picture() != whole
    page.mouse.dblclick(box["x"] + 0.5 * box["width"], box["y"] + 50)
    page.mouse.move(0, 0)
    page.wait_for_timeout(400)
    page.click("text=Clear")
    page.evaluate("document.querySelector('loss-chart').points.append({ step: [2100, 2200], train_loss: [0.1, 0.09] })")
    page.click("summary")
    page.eval_on_selector("[name=log]", "box => box.click()")
    assert page.locator("loss-chart tbody th").first.inner_text() == "2,000"


def test_the_curve_is_downloaded_as_csv_and_png(bench: Bench) -> None:
    page = bench.open(CHART, "elements/loss-chart.js")
    page.wait_for_selector(".uplot")
    page.evaluate(FILL, 3)
    with page.expect_download() as csv:
        page.click("[data-action=csv]")
    lines = csv.value.path().read_text().splitlines()
    assert lines[0].startswith("step,examples,seconds,train_loss")
    assert len(lines) == 4
    with page.expect_download() as picture:
        page.click("[data-action=png]")
    assert picture.value.path().read_bytes().startswith(b"\x89PNG")
