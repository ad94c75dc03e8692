"""`<plane-plot>`: what it shows and reads. Painting has a file of its own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.browser.elements.conftest import Bench
from tests.browser.elements.plane import PLOT, Plot, cells, plane_frame, plane_points

pytestmark = pytest.mark.browser

STRENGTH = 0.4
POINTS = plane_points([(-4, 4), (4, 4), (-4, -4), (4, -4)], [0, 1, 0, 1], tests=[1, 3])
X, Y = cells(100)
RAMP = ((X + 6) / 12)[None]  # the probability of A grows from left to right


def mixed(plot: Plot, token: str, share: float) -> np.ndarray:
    paper = plot.colour("map-zero")
    return paper + (plot.colour(token) - paper) * share


def close(pixel: tuple[int, ...], rgb: np.ndarray, apart: float = 3) -> bool:
    return bool(np.abs(np.array(pixel[:3]) - rgb).max() <= apart)


# ---- Regions -----------------------------------------------------------------------------------------------------------


def test_points_take_their_places_in_a_plane_of_another_size(bench: Bench) -> None:
    plot = Plot(bench, plane_points([(20, 20)], [0]), plane_frame(RAMP))
    assert plot.pixel(2, 2, canvas=1)[3] == 0
    plot.show(plane_frame(RAMP, domain=[[-60, 60], [-60, 60]]))
    assert plot.pixel(2, 2, canvas=1)[3] == 255


def test_soft_regions_grow_stronger_with_confidence(bench: Bench) -> None:
    plot = Plot(bench, POINTS, plane_frame(RAMP))
    assert close(plot.pixel(5.9, 0), mixed(plot, "class-a", STRENGTH * 0.98))
    assert close(plot.pixel(-5.9, 0), mixed(plot, "class-b", STRENGTH * 0.98))
    assert close(plot.pixel(3, 0), mixed(plot, "class-a", STRENGTH * 0.5))
    assert close(plot.pixel(0.35, 0), plot.colour("map-zero"), 8), "beside the boundary nearly paper"


def test_hard_regions_have_one_colour_up_to_the_boundary(bench: Bench) -> None:
    plot = Plot(bench, POINTS, plane_frame(RAMP), 'regions="hard"')
    for x in (0.25, 5.5):
        assert close(plot.pixel(x, 2), mixed(plot, "class-a", STRENGTH))
        assert close(plot.pixel(-x, 2), mixed(plot, "class-b", STRENGTH))


def test_hard_edges_are_finer_than_the_grid(bench: Bench) -> None:
    coarse, _ = cells(20)  # the centres nearest to zero lie at −0.3 and 0.3
    plot = Plot(bench, None, plane_frame(((coarse + 5.9) / 12)[None]), 'regions="hard"')
    assert close(plot.pixel(0.25, 2), mixed(plot, "class-a", STRENGTH))
    assert close(plot.pixel(-0.05, 2), mixed(plot, "class-b", STRENGTH))


def test_six_classes_have_six_regions(bench: Bench) -> None:
    sector = (np.arctan2(Y, X) / (2 * np.pi) * 6) % 6
    outputs = np.stack([0.9 * (sector.astype(int) == k) + 0.02 for k in range(6)])
    plot = Plot(bench, plane_points([(0, 0)], [0], classes=list("ABCDEF")), plane_frame(outputs), 'regions="hard"')
    for k in range(6):
        angle = 2 * np.pi * (k + 0.5) / 6
        place = (4 * np.cos(angle), 4 * np.sin(angle))
        assert close(plot.pixel(*place), mixed(plot, f"class-{'abcdef'[k]}", STRENGTH))
    plot.set(regions="soft")
    confident = STRENGTH * (0.92 - 1 / 6) / (1 - 1 / 6)
    colours = np.array([plot.colour(f"class-{letter}") for letter in "abcdef"])
    paper = plot.colour("map-zero")
    mixture = 0.9 * colours[0] + 0.02 * colours.sum(axis=0)
    assert close(plot.pixel(4 * np.cos(np.pi / 6), 4 * np.sin(np.pi / 6)), paper + (mixture - paper) * confident)


def test_lines_are_the_places_of_equal_probability(bench: Bench) -> None:
    plot = Plot(bench, None, plane_frame(RAMP), 'regions="lines"')
    paper = plot.colour("map-zero")
    assert close(plot.pixel(2, 0), paper)
    assert close(plot.pixel(0, 2), plot.colour("ink"), 40)
    assert not close(plot.pixel(0.8 * 6, -3), paper, 40), "0.9"
    assert not close(plot.pixel(-0.8 * 6, -3), paper, 40), "0.1"
    assert close(plot.pixel(0.7 * 6, -3), paper)


def test_a_learned_number_is_blue_above_zero_and_orange_below(bench: Bench) -> None:
    points = plane_points([(0, 0), (1, 1)], [-2.0, 1.0], classes=[], target="height")
    plot = Plot(bench, points, plane_frame((X / 3)[None]))
    assert close(plot.pixel(5.9, 0), plot.colour("map-pos-4"), 6), "the largest number of the points ends the scale"
    assert close(plot.pixel(-5.9, 0), plot.colour("map-neg-4"), 6)
    assert close(plot.pixel(0, 3), plot.colour("map-zero"), 6)
    assert "2.00" in plot.page.inner_text("colour-scale")
    plot.set(regions="hard")
    assert plot.pixel(0.3, 2) == plot.pixel(5, 2)
    assert plot.pixel(-0.3, 2) == plot.pixel(-5, 2) != plot.pixel(5, 2)
    plot.set(regions="lines")
    assert close(plot.pixel(0, 3), plot.colour("ink"), 40)


def test_a_neuron_is_shown_instead_of_the_answer(bench: Bench) -> None:
    plot = Plot(bench, POINTS, plane_frame(RAMP))
    assert not plot.page.is_visible("colour-scale")
    neuron = plane_frame((Y / 6)[None])["outputs"] | {"shape": [100, 100]}
    layers = [{"layer": -1, "maps": neuron}, {"layer": 0, "maps": neuron}, {"layer": 2, "maps": neuron}]
    plot.show(plane_frame(RAMP, neuron={"layer": 0, "unit": 2, "map": neuron}, neurons=layers))
    assert close(plot.pixel(3, 5.9), plot.colour("map-pos-4"), 6)
    assert close(plot.pixel(3, -5.9), plot.colour("map-neg-4"), 6)
    assert close(plot.pixel(-4, 4, canvas=1, right=4), plot.colour("map-zero"), 12), "paper round the points on strong colours"
    assert "neuron 3 of layer 1" in plot.page.inner_text("plane-plot .note")
    plot.show(plane_frame(RAMP))
    assert not plot.page.is_visible("colour-scale")


def test_the_theme_changes_the_picture(bench: Bench) -> None:
    plot = Plot(bench, POINTS, plane_frame(RAMP))
    light = plot.pixel(3, 0)
    plot.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    plot.settle()
    assert plot.pixel(3, 0) != light
    assert close(plot.pixel(3, 0), mixed(plot, "class-a", STRENGTH * 0.5))


# ---- Contours as numbers -------------------------------------------------------------------------------------------------

CONTOURS = "async ({{ {names} }}) => {{ const m = await import('/static/js/lib/contours.js'); return {call}; }}"


def test_the_contour_of_a_cone_is_a_circle(bench: Bench) -> None:
    page = bench.open("")
    cone = np.hypot(X, Y).ravel().tolist()
    lines = page.evaluate(CONTOURS.format(names="map", call="m.contour(map, 100, 100, 3)"), {"map": cone})
    ends = np.array(lines).reshape(-1, 2)
    radius = np.hypot(-6 + 12 * (ends[:, 0] + 0.5) / 100, 6 - 12 * (ends[:, 1] + 0.5) / 100)
    assert len(ends) > 200
    assert radius == pytest.approx(np.full(len(ends), 3.0), abs=2e-3)
    sides = np.hypot(*np.diff(ends.reshape(-1, 2, 2), axis=1)[:, 0].T)
    assert sides.sum() * 0.12 == pytest.approx(2 * np.pi * 3, rel=1e-3), "the whole circle, once"


@pytest.mark.parametrize(("corners", "joined"), [([2, -1, 2, -1], True), ([1, -2, 1, -2], False)])
def test_the_mean_decides_a_saddle(bench: Bench, corners: list[float], joined: bool) -> None:
    a, b, c, d = corners  # clockwise from the upper left, (0, 0) (1, 0) (1, 1) (0, 1)
    page = bench.open("")
    lines = page.evaluate(CONTOURS.format(names="map", call="m.contour(map, 2, 2, 0)"), {"map": [a, b, d, c]})
    middles = np.array(lines).reshape(-1, 2, 2).mean(axis=1)
    assert len(middles) == 2
    # Above zero is joined through the middle: the lines cut off the two corners that are below.
    cut = {tuple(np.round(middle).astype(int)) for middle in middles}
    assert cut == ({(1, 0), (0, 1)} if joined else {(0, 0), (1, 1)})


def test_three_classes_meet_where_they_are_equally_probable(bench: Bench) -> None:
    centres = np.array([(0, 3), (-3, -2), (3, -2)])
    scores = np.stack([np.exp(-((X - x) ** 2 + (Y - y) ** 2) / 8) for x, y in centres])
    maps = (scores / scores.sum(axis=0)).reshape(3, -1).astype(np.float32).tolist()
    page = bench.open("")
    call = "m.boundaries(maps.map(map => Float32Array.from(map)), 100, 100)"
    ends = np.array(page.evaluate(CONTOURS.format(names="maps", call=call), {"maps": maps})).reshape(-1, 2)
    places = np.stack([-6 + 12 * (ends[:, 0] + 0.5) / 100, 6 - 12 * (ends[:, 1] + 0.5) / 100], axis=1)
    distances = np.sort(np.hypot(*(places[:, None] - centres).transpose(2, 0, 1)), axis=1)
    assert len(ends) > 300
    assert distances[:, 1] - distances[:, 0] == pytest.approx(np.zeros(len(ends)), abs=0.06)


# ---- Points --------------------------------------------------------------------------------------------------------------


def test_training_points_are_round_and_test_points_are_diamonds(bench: Bench) -> None:
    plot = Plot(bench, POINTS, plane_frame(RAMP))
    assert close(plot.pixel(-4, 4, canvas=1), plot.colour("class-a"))
    assert close(plot.pixel(4, 4, canvas=1), plot.colour("class-b"))
    inside = lambda x, y, right, down: plot.pixel(x, y, canvas=1, right=right, down=down)[3] > 128  # noqa: E731
    assert (inside(-4, 4, 2.2, 2.2), inside(-4, 4, 0, -5.2)) == (True, False)
    assert (inside(4, 4, 3.2, 3.2), inside(4, 4, 0, -4.2)) == (False, True)


def test_test_points_and_mistakes_can_be_hidden(bench: Bench) -> None:
    plot = Plot(bench, POINTS, plane_frame(RAMP, mistakes=[0, 1]))
    crossed = lambda x, y: plot.pixel(x, y, canvas=2, right=4, down=4)[3] > 60  # noqa: E731
    assert [crossed(-4, 4), crossed(4, 4), crossed(-4, -4)] == [True, True, False]
    plot.set(show="mistakes")
    assert plot.pixel(4, 4, canvas=1)[3] == 0
    assert [crossed(-4, 4), crossed(4, 4)] == [True, False]
    plot.set(show="test")
    assert plot.pixel(4, 4, canvas=1)[3] == 255
    assert [crossed(-4, 4), crossed(4, 4)] == [False, False]


def test_a_cell_of_the_matrix_lights_up_its_points(bench: Bench) -> None:
    plot = Plot(bench, POINTS, plane_frame(RAMP))
    plot.page.eval_on_selector("plane-plot", "plot => plot.light([2])")
    plot.settle()
    assert plot.pixel(-4, -4, canvas=1)[3] == 255
    assert plot.pixel(-4, 4, canvas=1)[3] < 80
    assert plot.pixel(-4, -4, canvas=2, right=6)[3] > 60, "a ring"
    plot.page.eval_on_selector("plane-plot", "plot => plot.light(null)")
    plot.settle()
    assert plot.pixel(-4, 4, canvas=1)[3] == 255
    plot.page.eval_on_selector("plane-plot", "plot => plot.light([2])")
    plot.page.evaluate("answer => points.take(answer)", POINTS | {"values": [[0, 0]], "labels": [0], "split": ["train"]})
    plot.settle()
    assert plot.pixel(0, 0, canvas=1)[3] == 255, "of other points none stands out"


def test_other_columns_are_other_axes(bench: Bench) -> None:
    points = plane_points([(-4, 4, 2)], [0], columns=["a", "b", "c"])
    plot = Plot(bench, points, plane_frame(RAMP), 'columns="0,2" paint')
    assert plot.pixel(-4, 2, canvas=1)[3] == 255
    assert plot.pixel(-4, 4, canvas=1)[3] == 0


# ---- Reading -------------------------------------------------------------------------------------------------------------


def test_the_pointer_reads_place_probabilities_and_point(bench: Bench) -> None:
    plot = Plot(bench, POINTS, plane_frame(RAMP, mistakes=[1]))
    plot.page.mouse.move(*plot.at(3, -1))
    plot.settle()
    assert plot.page.inner_text(".reading").split("\n") == ["3.00, −1.00", "A 75\u2009%", "B 25\u2009%"]
    plot.page.mouse.move(*plot.at(4, 4))
    plot.settle()
    assert plot.page.inner_text(".reading").split("\n")[-1] == "Test point B, on the wrong side"
    plot.show(plane_frame(1 - RAMP))
    assert "A 17\u2009%" in plot.page.inner_text(".reading"), "it follows the network while the pointer stands still"
    plot.page.mouse.move(0, 0)
    plot.settle()
    assert not plot.page.is_visible(".reading")


def test_the_keyboard_reads_and_says_it(bench: Bench) -> None:
    plot = Plot(bench, POINTS, plane_frame(RAMP), "")
    plot.page.keyboard.press("Tab")
    plot.page.focus("plane-plot canvas[tabindex]")
    plot.press(*["Shift+ArrowRight"] * 3, "ArrowUp")
    bench.until("document.querySelector('plane-plot [role=status]').textContent.startsWith('3.00, 0.20')")
    assert plot.said == "3.00, 0.20; A 75\u2009%; B 25\u2009%"
    plot.press("Enter")
    assert len(plot.rows) == 4, "without `paint` nothing is added"


def test_it_says_what_it_shows(bench: Bench) -> None:
    plot = Plot(bench, POINTS, plane_frame(RAMP, mistakes=[1]))
    label = plot.page.get_attribute("plane-plot canvas[tabindex]", "aria-label") or ""
    assert label.startswith(
        "Decision regions over the plane, with 4 points of 2 classes, 2 of them for testing. One is on the wrong side."
    )


# ---- Pace ----------------------------------------------------------------------------------------------------------------


def test_only_the_newest_frame_is_painted(bench: Bench) -> None:
    plot = Plot(bench, POINTS, plane_frame(RAMP))
    steps = plot.page.eval_on_selector(
        "plane-plot",
        """async (plot, frames) => {
          const steps = [];
          new PerformanceObserver(list => steps.push(...list.getEntriesByName("painted").map(mark => mark.detail.step))).observe({ type: "mark" });
          for (const frame of frames) plot.show(frame);
          await new Promise(done => setTimeout(done, 200));
          return steps;
        }""",
        [plane_frame(RAMP, step=step) for step in (7, 8, 9)],
    )
    assert steps == [9]


def test_points_are_asked_for_once_a_digest(bench: Bench) -> None:
    bench.answer = lambda _: {"status": 200, "content_type": "application/json", "body": json.dumps(POINTS)}
    plot = Plot(bench, None)
    for digest in ("first", "first", "second", "second"):
        plot.page.evaluate("digest => points.follow('r1', digest)", digest)
        bench.until(f"points.points.length === 4 || '{digest}'")
    # The answer carries its own digest, "first": what is held is what the server said it was.
    assert [path for _, path, _ in bench.calls] == ["/api/runs/r1/points"] * 3


def test_it_can_be_taken_out_and_put_back(bench: Bench) -> None:
    plot = Plot(bench, POINTS, plane_frame(RAMP))
    plot.page.evaluate("const plot = document.querySelector('plane-plot'), at = plot.parentElement; plot.remove(); at.append(plot);")
    plot.settle()
    assert plot.page.locator("plane-plot canvas").count() == 3 + 1
    assert PLOT.count("plane-plot") == 2
    plot.pick("paint_tool", "spray")
    plot.click(0, 0)
    assert len(plot.rows) == 4 + 3, "it listens once"
