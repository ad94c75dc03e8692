"""Looking inside: test digits, mistakes, the confusion matrix, maps enlarged with their values, gradients, colour scales."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.digits import Digits, number, until

pytestmark = pytest.mark.browser

PIXELS = "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data].join()"


def measured(visit: Callable[..., Digits]) -> Digits:
    """Paused after 100 updates, with a confusion matrix that a person asked for.

    This preset sees whole images: tiles and matrix then speak of the same pixels, not of other random crops.
    """
    digits = visit(preset="digits-small-data", state="paused")
    digits.button("100 updates").click()
    expect(digits.figure("Update", section="Run")).to_have_text("100")
    section = digits.section("Example predictions on the test set")
    section.scroll_into_view_if_needed()
    expect(section.get_by_role("img", name=re.compile("^Test digit"))).to_have_count(18)
    section.get_by_role("button", name=re.compile("^Measure (now|again)$")).click()
    expect(section.get_by_text("Confusion matrix of 10,000 test digits at update 100.")).to_be_visible(timeout=40_000)
    return digits


def tiles(digits: Digits) -> Locator:
    return digits.section("Example predictions on the test set").get_by_role("img", name=re.compile("^Test digit"))


def labels(digits: Digits) -> list[tuple[int, int, int]]:
    """Index, truth and answer of every tile that is shown."""
    names = [tile.get_attribute("aria-label") or "" for tile in tiles(digits).all()]
    found = [re.fullmatch(r"Test digit (\d+): a (\d), the network says (\d) with \d+.?%\.", name) for name in names]
    return [(int(m[1]), int(m[2]), int(m[3])) for m in found if m]


@pytest.mark.long
def test_test_digits_come_to_where_there_was_place_for_them(visit: Callable[..., Digits]) -> None:
    tiles = visit(state="paused").page.locator("digit-tiles")
    assert tiles.get_by_role("button").count() == 0, "they come when they are looked at"
    kept = tiles.evaluate("tiles => tiles.offsetHeight")
    tiles.scroll_into_view_if_needed()
    expect(tiles.get_by_role("button")).to_have_count(18)
    assert tiles.evaluate("tiles => tiles.offsetHeight") == kept, "what is below moved"


def test_test_digits_and_the_confusion_matrix(visit: Callable[..., Digits]) -> None:
    digits = measured(visit)
    section = digits.section("Example predictions on the test set")
    first = labels(digits)
    assert len(first) == 18
    verdicts = section.locator(".verdict").all_inner_texts()
    for (_, truth, answer), verdict in zip(first, verdicts, strict=True):
        assert verdict == (f"✓ {truth}" if truth == answer else f"✗ is {truth}"), "colour is not the only cue"

    digits.button("Other digits").click()
    until(digits.page, lambda: {i for i, *_ in labels(digits)}.isdisjoint({i for i, *_ in first[:3]}), "other digits")

    section.get_by_text("Mistakes only").click()
    until(digits.page, lambda: labels(digits) and all(truth != answer for _, truth, answer in labels(digits)), "only mistakes")

    evaluation = digits.api.get(f"/runs/{digits.run}/evaluation?split=test").json()
    cells = section.get_by_role("button", name=re.compile(r"^\d read as \d: \d+$"))
    expect(cells).to_have_count(100)
    counts = [[0] * 10 for _ in range(10)]
    for name in cells.evaluate_all("cells => cells.map(cell => cell.ariaLabel)"):
        truth, said, count = (int(text) for text in re.findall(r"\d+", name))
        counts[truth][said] = count
    assert sum(map(sum, counts)) == 10_000
    assert counts == evaluation["confusion"]
    few = [(t, p) for t in range(10) for p in range(10) if t != p and 2 <= counts[t][p] <= 18]
    truth, said = few[0]
    section.get_by_role("button", name=f"{truth} read as {said}: {counts[truth][said]}", exact=True).click()
    expect(tiles(digits)).to_have_count(counts[truth][said])
    assert {(label, answer) for _, label, answer in labels(digits)} == {(truth, said)}

    chosen = labels(digits)[0][0]
    tiles(digits).first.click()
    expect(digits.page.get_by_role("radio", name="Test image")).to_be_checked()
    expect(digits.section("Draw a digit")).to_contain_text(f"Test image {chosen:,}: a {truth}")


def test_tiles_are_reread_while_it_learns(visit: Callable[..., Digits]) -> None:
    digits = visit()
    digits.section("Example predictions on the test set").scroll_into_view_if_needed()
    expect(tiles(digits)).to_have_count(18)

    def said() -> list[str | None]:
        return [tile.get_attribute("aria-label") for tile in tiles(digits).all()]

    before = said()
    until(digits.page, lambda: said() != before, "the tiles follow the network")


def test_a_map_is_enlarged_with_its_values(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    page = digits.page
    page.get_by_role("region", name="Network visualization").scroll_into_view_if_needed()
    tile = page.get_by_role("region", name="Network visualization").get_by_role("button", name=re.compile("^Convolution 1, map 1 of 8"))
    tile.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", level=2)).to_have_text("Convolution 1, map 1 of 8")
    place = dialog.get_by_role("heading", level=3)
    expect(place).to_have_text(re.compile("^Row 13, column 13: "))
    values = digits.api.get(f"/runs/{digits.run}/layers/0?what=activations&example=test:0").json()["activations"]["values"]
    shown = number(place.inner_text().rpartition(":")[2])
    assert shown == pytest.approx(values[0][12][12], abs=0.02)
    page.keyboard.press("Shift+ArrowRight")
    expect(place).to_have_text(re.compile("^Row 13, column 14: "))
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("heading", level=2)).to_have_text("Convolution 1, map 2 of 8")
    dialog.get_by_role("button", name="The map before").click()
    expect(dialog.get_by_role("heading", level=2)).to_have_text("Convolution 1, map 1 of 8")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(tile).to_be_focused()


def test_every_layer_shows_shape_parameters_and_range(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    section = digits.section("Network visualization")
    section.scroll_into_view_if_needed()
    for name, formula in (("Convolution 1", "8·5·5·1 + 8 = 208"), ("Convolution 2", "16·5·5·8 + 16 = 3,216"), ("Dense", "10·256 + 10 = 2,570")):
        layer = section.get_by_role("article").filter(has=digits.page.get_by_role("heading", name=re.compile(f"^{name} ")))
        expect(layer).to_contain_text(formula)
        layer.scroll_into_view_if_needed()
        for term in ("Activation", "Gradient", "Weights"):
            value = layer.locator("dl > div").filter(has_text=re.compile(f"^{term}")).get_by_role("definition")
            expect(value).to_have_text(re.compile(r"\d.* … .*\d"))


def test_gradients_and_colour_scales_are_chosen(visit: Callable[..., Digits]) -> None:
    digits = visit(state="paused")
    section = digits.section("Draw a digit")
    maps = section.get_by_role("img", name=re.compile(r"^Convolution 1, map \d of 8"))
    expect(maps).to_have_count(8)
    per_layer = maps.nth(2).evaluate(PIXELS)
    section.get_by_role("group", name="Scale").get_by_text("Per map").click()
    until(digits.page, lambda: maps.nth(2).evaluate(PIXELS) != per_layer, "another scale, other colours")
    section.get_by_role("group", name="Show").get_by_text("Gradients").click()
    expect(section.get_by_role("img", name=re.compile(r"^Convolution 1, gradient of map \d of 8"))).to_have_count(8)

    digits.draw([[(0.3, 0.3), (0.6, 0.7)]])
    expect(section.get_by_text(re.compile("^A gradient needs the right answer"))).to_be_visible()
    section.get_by_role("group", name="Example").get_by_text("Training image").click()
    expect(section).to_contain_text(re.compile(r"Training image [\d,]+: a \d"))
    shown = section.get_by_text(re.compile(r"Training image [\d,]+: a \d")).inner_text()
    section.get_by_role("button", name="Another").click()
    until(digits.page, lambda: section.get_by_text(re.compile(r"Training image [\d,]+: a \d")).inner_text() != shown, "another image")
