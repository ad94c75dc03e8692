"""Number formats, colours, curves and pictures: the modules under static/js/lib."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import pytest

from app.figures import figure
from tests.browser.elements.conftest import Bench

pytestmark = pytest.mark.browser


def test_numbers_read_the_same_before_and_after_the_page_comes_alive(bench: Bench) -> None:
    page = bench.open("")
    values = [
        None,
        0,
        0.5,
        0.98274,
        1,
        3.14159,
        9.96,
        21.53,
        59.7,
        74_400,
        3460.4,
        0.0683,
        1.2e-5,
        -0.001,
        -3.7192,
        200,
        4_000,
        12_345.678,
    ]
    cases = [
        [value, style, digits]
        for value in values
        for style in ("number", "integer", "percent", "ms", "seconds")
        for digits in (None, 2)
        if not (value is not None and value < 0 and style == "seconds")
    ]
    shown = page.evaluate(
        "async cases => { const { format } = await import('/static/js/lib/format.js');"
        " return cases.map(([value, style, digits]) => format(value, style, digits ?? undefined)); }",
        cases,
    )
    wrong = [(case, js, py) for case, js in zip(cases, shown, strict=True) if (py := figure(*case)) != js]  # type: ignore[arg-type]
    assert wrong == []


def test_zero_is_paper_and_the_ends_are_the_outermost_colours(bench: Bench) -> None:
    page = bench.open("<canvas></canvas>")
    for theme in ("light", "dark"):
        page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
        pixels, stops = page.evaluate("""async () => {
          const { paint } = await import('/static/js/lib/painting.js'), { token } = await import('/static/js/lib/palette.js');
          const canvas = document.querySelector('canvas');
          paint(canvas, [-2, -1, 0, 1, 2], 5, 1, 1);
          const { data } = canvas.getContext('2d').getImageData(0, 0, 5, 1);
          return [[0, 1, 2, 3, 4].map(i => [...data.slice(4 * i, 4 * i + 3)]), ['map-neg-4', 'map-zero', 'map-pos-4'].map(token)];
        }""")
        assert np.allclose(pixels[0], stops[0], atol=2), "what is beyond the range gets the last colour"
        assert np.allclose(pixels[1], stops[0], atol=2)
        assert np.allclose(pixels[2], stops[1], atol=4)
        assert np.allclose(pixels[3], stops[2], atol=2)
        assert np.allclose(pixels[4], stops[2], atol=2)


def test_packed_arrays_come_back_within_half_a_level(bench: Bench) -> None:
    from app.wire.arrays import pack

    array = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    page = bench.open("")
    stack = page.evaluate(
        "async pack => { const { stack } = await import('/static/js/lib/frames.js'); const s = stack(pack);"
        " return { ...s, maps: s.maps.map(m => [...m]) }; }",
        pack(array),
    )
    assert (stack["width"], stack["height"], len(stack["maps"])) == (5, 4, 3)
    step = float(array.max() - array.min()) / 255
    assert np.abs(np.array(stack["maps"]).reshape(3, 4, 5) - array).max() <= 0.51 * step


def test_a_colour_range_moves_half_of_the_way_in_one_second(bench: Bench) -> None:
    page = bench.open("")
    ends = page.evaluate("""async () => {
      const { limits } = await import('/static/js/lib/painting.js');
      return [limits.follow('a', 1, 0), limits.follow('a', 3, 1000), limits.follow('a', 3, 1000), limits.follow('a', 3, 2000)];
    }""")
    assert ends == pytest.approx([1, 2, 2, 2.5])


def test_rows_delivered_again_replace_the_ones_kept(bench: Bench) -> None:
    page = bench.open("")
    steps, losses, after = page.evaluate("""async () => {
      const { Points } = await import('/static/js/lib/points.js'), points = new Points();
      points.append({ step: [10, 20, 30], train_loss: [3, 2, 1] });
      points.append({ step: [20, 30, 40], train_loss: [2.5, 1.5, 0.5] });
      const found = [points.columns.step, points.columns.train_loss];
      points.clear();
      return [...found, points.length];
    }""")
    assert (steps, losses, after) == ([10, 20, 30, 40], [3, 2.5, 1.5, 0.5], 0)


def test_layers_of_any_network_fall_into_banks(bench: Bench) -> None:
    page = bench.open("")
    groups = page.evaluate("""async () => {
      const { group } = await import('/static/js/elements/layer-banks.js');
      const of = (...kinds) => group(kinds.map(type => ({ type }))).map(g => g.layers);
      return [
        of('conv2d', 'relu', 'max_pool2d', 'conv2d', 'relu', 'max_pool2d', 'dense'),
        of('dense', 'tanh', 'dropout', 'dense'), of('dense'), of('conv2d', 'conv2d', 'tanh', 'flatten', 'dense', 'relu', 'dense'),
        of('conv2d', 'conv1d', 'batch_normalization', 'gelu', 'max_pool1d', 'local_response_normalization', 'dense'),
      ];
    }""")
    assert groups == [[[0], [1, 2], [3, 4], [5]], [[0, 1]], [], [[0], [1, 2], [4, 5]], [[0], [1, 2, 3], [4], [5]]]


def png(grey: np.ndarray) -> str:
    """A grey PNG as a data URL, by the standard library."""
    height, width = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey.astype(np.uint8))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("paper", "pen"), [(250, 20), (5, 240), (200, 120)], ids=["pencil on paper", "chalk on slate", "pale photograph"]
)
def test_a_picture_becomes_ink_on_paper_whichever_way_round_it_is(bench: Bench, paper: int, pen: int) -> None:
    grey = np.full((300, 400), paper)
    grey[50:250, 190:210] = pen
    page = bench.open("")
    ink = page.evaluate(
        """async text => {
          const { inkOf, SIDE } = await import('/static/js/lib/image.js');
          const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
          return [SIDE, ...await inkOf(new Blob([bytes], { type: 'image/png' }))];
        }""",
        png(grey),
    )
    side, image = ink[0], np.array(ink[1:]).reshape(ink[0], ink[0])
    assert image[0].max() == 0, "the paper is empty"
    assert image[side // 2, side // 2] > 230, "the stroke is ink"
    assert 0.01 < (image > 127).mean() < 0.06


def test_a_file_that_is_no_picture_is_refused_in_words(bench: Bench) -> None:
    page = bench.open("")
    words = page.evaluate("""async () => {
      const { inkOf } = await import('/static/js/lib/image.js');
      try { await inkOf(new Blob(['hello'], { type: 'image/png' })); } catch (error) { return error.message; }
    }""")
    assert "not a picture" in words


def test_keys_press_the_buttons_and_rest_in_fields(bench: Bench) -> None:
    page = bench.open(
        '<input id="field"><button data-command="toggle">a</button><button data-command="step-1">b</button>'
        '<button data-command="reset" disabled>c</button>',
        "page.js",
    )
    page.evaluate(
        "window.pressed = []; document.addEventListener('click', e => pressed.push(e.target.dataset.command))"
    )
    for key in (" ", ".", "r", "Control+."):
        page.keyboard.press("Space" if key == " " else key)
    page.focus("#field")
    page.keyboard.press(".")
    assert page.evaluate("pressed") == ["toggle", "step-1"]


def test_space_belongs_to_a_button_reached_by_keyboard_but_not_to_one_that_was_clicked(bench: Bench) -> None:
    page = bench.open('<button data-command="toggle">a</button><button id="other">b</button>', "page.js")
    page.evaluate("window.pressed = []; document.addEventListener('click', e => pressed.push(e.target.textContent))")
    page.click("#other")
    page.keyboard.press("Space")
    assert page.evaluate("pressed") == ["b", "a"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.evaluate("pressed") == ["b", "a", "b"]
