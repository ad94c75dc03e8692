"""Draw a digit: mouse, keyboard, finger or a picture; the network answers while one draws."""

from __future__ import annotations

import re
import statistics
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.digits import NOTHING, ONE, PHONE, SEVEN, Digits, until

pytestmark = pytest.mark.browser

# From each movement of the pen to the frame that answers it, in the page's own time.
MEASURE = """
() => {
  const pad = document.querySelector("drawing-pad"), bars = document.querySelector("probability-bars");
  window.delays = [];
  let drawn = 0;
  pad.addEventListener("ink", () => { drawn ||= performance.now(); });
  new MutationObserver(() => {
    if (drawn) delays.push(performance.now() - drawn);
    drawn = 0;
  }).observe(bars, { subtree: true, childList: true, characterData: true, attributes: true });
}
"""
# The bars as they are drawn, and the pixels of one map.
SEEN = """
() => [...document.querySelectorAll("probability-bars i")].map(bar => bar.style.getPropertyValue("--value")).join()
  + document.querySelector("layer-banks .tile:not(.filter) canvas").toDataURL()
"""


def png(pixels: np.ndarray) -> bytes:
    """A grey PNG of (H, W) bytes."""
    height, width = pixels.shape

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels.astype(np.uint8))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_a_drawn_digit_is_answered_and_stays_as_a_probe(visit: Callable[..., Digits]) -> None:
    digits = visit()
    digits.until_update(60)
    digits.draw(SEVEN)
    expect(digits.page.get_by_role("radio", name="My drawing")).to_be_checked()
    expect(digits.answer()).to_have_text(re.compile(r"^Its answer: \d$"))
    assert sum(float(text.rstrip(" %\u2009")) for text in digits.bars) == pytest.approx(100, abs=1)

    def seen() -> str:
        """Bars to four digits and the picture of a map: nothing has been drawn since, so only the network changes them."""
        return str(digits.page.evaluate(SEEN))

    first = seen()
    digits.until_update(digits.update + 50)
    until(digits.page, lambda: seen() != first, "bars and maps move as the network learns")
    expect(digits.page.get_by_role("radio", name="My drawing")).to_be_checked()


def test_what_the_pad_says_is_what_the_api_says(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    digits.button("100 updates").click()
    expect(digits.figure("Update", section="Run")).to_have_text("100")
    with digits.page.expect_request(lambda request: request.method == "PUT" and "ink_base64" in (request.post_data or "")):
        digits.draw(ONE)
    expect(digits.answer()).to_have_text(re.compile(r"^Its answer: \d$"))
    def same() -> bool:
        shares = digits.predict()["probabilities"]
        return all(abs(float(text.rstrip(" %\u2009")) - 100 * share) < 0.1 for text, share in zip(digits.bars, shares, strict=True))

    until(digits.page, same, "bars as the API predicts")


def test_bars_follow_the_pen_while_it_trains(visit: Callable[..., Digits]) -> None:
    digits = visit()
    digits.until_update(20)
    digits.draw([[(0.2, 0.2), (0.3, 0.2)]])
    expect(digits.answer()).to_have_text(re.compile(r"^Its answer: \d$"))
    digits.page.evaluate(MEASURE)
    for k in range(5):
        digits.draw([[(0.2, 0.2 + 0.1 * k), (0.5, 0.3 + 0.1 * k), (0.8, 0.2 + 0.1 * k)]])
    until(digits.page, lambda: digits.page.evaluate("delays.length") > 10, "ten answers")
    delays = digits.page.evaluate("delays")
    median = statistics.median(delays)
    print(f"stroke to bars while training: median {median:.0f} ms, worst of {len(delays)}: {max(delays):.0f} ms")
    assert median < 250
    expect(digits.state).to_have_text("Training")


def test_undo_and_clear(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    undo = digits.button("Undo")
    expect(undo).to_be_disabled()
    digits.draw(ONE)
    expect(digits.answer()).to_have_text(re.compile(r"^Its answer: \d$"))
    digits.draw([[(0.2, 0.5), (0.8, 0.5)]])
    undo.click()
    expect(digits.answer()).to_have_text(re.compile(r"^Its answer: \d$"))
    digits.page.get_by_role("region", name="Draw a digit").get_by_role("button", name="Clear").click()
    expect(digits.answer()).to_have_text("Its answer")
    assert digits.bars == [NOTHING] * 10, "an empty pad predicts nothing"
    expect(digits.page.get_by_text("nothing is drawn yet")).to_be_visible()
    undo.click()
    expect(digits.answer()).to_have_text(re.compile(r"^Its answer: \d$"))


def test_one_can_draw_with_the_keyboard_alone(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    digits.page.keyboard.press("d")
    expect(digits.pad).to_be_focused()
    for key in ("ArrowUp",) * 8 + ("Enter",) + ("ArrowDown",) * 16 + ("Enter",):
        digits.page.keyboard.press(key)
    expect(digits.answer()).to_have_text(re.compile(r"^Its answer: \d$"))
    expect(digits.page.get_by_role("radio", name="My drawing")).to_be_checked()
    digits.page.keyboard.press("Delete")
    expect(digits.answer()).to_have_text("Its answer")


def test_a_finger_draws_and_the_page_stays_where_it_is(
    new_context: Callable[..., BrowserContext], visit: Callable[..., Digits]
) -> None:
    page = new_context(viewport=PHONE, has_touch=True, is_mobile=True).new_page()
    digits = visit(page, state="paused")
    box = digits.square()
    before = page.evaluate("scrollY")
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in points]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", (0.5, 0.85))
    for k in range(1, 11):
        touch("touchMove", (0.5, 0.85 - 0.06 * k))
    touch("touchEnd")
    expect(digits.answer()).to_have_text(re.compile(r"^Its answer: \d$"))
    assert page.evaluate("scrollY") == before
    marks = page.evaluate("document.querySelector('drawing-pad').ink.marks.length")
    assert marks == 1, "one movement of the finger is one stroke"


def test_a_picture_is_read_as_a_drawing(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    digits.button("100 updates").click()
    paper = np.full((200, 160), 235)
    paper[30:170, 70:90] = 20  # dark ink on light paper, as one photographs it
    choose = digits.page.get_by_role("region", name="Draw a digit").get_by_role("button", name="Upload")
    with digits.page.expect_file_chooser() as chooser:
        choose.click()
    chooser.value.set_files({"name": "one.png", "mimeType": "image/png", "buffer": png(paper)})
    expect(digits.answer()).to_have_text(re.compile(r"^Its answer: \d$"))
    expect(digits.page.get_by_role("radio", name="My drawing")).to_be_checked()
    expect(digits.page.get_by_role("img", name=re.compile("^Drawing pad. It shows your drawing"))).to_be_visible()
    expect(digits.answer()).to_have_text(f"Its answer: {digits.predict()['class']}")


def test_what_is_no_picture_is_refused_in_words(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    choose = digits.page.get_by_role("region", name="Draw a digit").get_by_role("button", name="Upload")
    for name, content, words in (
        ("broken.png", b"not a picture", "picture"),
        ("blank.png", png(np.full((50, 50), 255)), "all of one shade"),
    ):
        with digits.page.expect_file_chooser() as chooser:
            choose.click()
        chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": content})
        expect(digits.page.get_by_role("region", name="Draw a digit").get_by_role("alert")).to_contain_text(words)
