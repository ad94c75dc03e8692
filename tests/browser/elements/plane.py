"""A plane with known points and a known answer, for the elements that draw them."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from playwright.sync_api import Page

from app.wire.arrays import pack
from tests.browser.elements.conftest import Bench

DOMAIN = [[-6, 6], [-6, 6]]
TOOLS = (
    "".join(f'<input type="radio" name="paint_tool" value="{tool}">' for tool in ("add", "move", "spray", "erase"))
    + "".join(f'<input type="radio" name="paint_class" value="{k}" aria-label="Class {"ABCDEF"[k]}">' for k in range(6))
    + '<input name="paint_value" value="1">'
    + "".join(
        f'<button type="button" data-paint="{name}">{name}</button>' for name in ("undo", "redo", "clear")
    )
)
PLOT = (
    '<form id="experiment"><input type="radio" name="data" value="circle" checked>'
    f'<input type="radio" name="data" value="own"><input type="hidden" name="own_values">{TOOLS}</form>'
    '<div class="bench"><div></div><div></div><plane-plot form="experiment" {attributes}></plane-plot></div>'
)
SETUP = """async ({ points, element }) => {
  const { PointSet } = await import("/static/js/lib/plane-points.js");
  window.points = new PointSet();
  if (points) window.points.take(points);
  document.querySelector(element).points = window.points;
  window.edits = [];
  document.getElementById("experiment")?.addEventListener("change", () => edits.push(Object.fromEntries(new FormData(experiment))));
}"""


def cells(resolution: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """x and y at the centres of a grid's cells, row 0 = largest y."""
    shares = (np.arange(resolution) + 0.5) / resolution
    x, y = np.meshgrid(-6 + 12 * shares, 6 - 12 * shares)
    return x, y


def plane_frame(outputs: npt.NDArray[Any] | None = None, **more: Any) -> dict[str, Any]:
    """A frame as the stream brings it; `outputs` (maps, R, R)."""
    frame: dict[str, Any] = dict.fromkeys(
        ("neuron", "neurons", "weights", "hidden", "curve", "histograms", "mistakes", "predictions")
    )
    frame |= {"view": "plane", "watch": "w", "step": 1, "domain": DOMAIN}
    return frame | {"outputs": None if outputs is None else pack(outputs.astype(np.float32))} | more


def plane_points(
    values: Sequence[Sequence[float]], labels: Sequence[float], *, tests: Sequence[int] = (), **more: Any
) -> dict[str, Any]:
    """An answer of GET /points; `tests` are the places of the points kept aside."""
    exact = np.asarray(values, np.float32).tolist()
    split = ["test" if i in tests else "train" for i in range(len(exact))]
    answer: dict[str, Any] = {"columns": ["x", "y"], "classes": ["A", "B"], "target": "class", "digest": "first", "domain": DOMAIN}
    return answer | {"values": exact, "labels": list(labels), "split": split} | more


class Plot:
    """The plot on its bench."""

    def __init__(
        self, bench: Bench, points: dict[str, Any] | None, frame: dict[str, Any] | None = None, attributes: str = "paint"
    ) -> None:
        self.bench = bench
        self.page: Page = bench.open(PLOT.format(attributes=attributes), "elements/plane-plot.js")
        self.page.evaluate(SETUP, {"points": points, "element": "plane-plot"})
        if frame:
            self.show(frame)
        self.settle()

    def show(self, frame: dict[str, Any]) -> None:
        self.page.eval_on_selector("plane-plot", "(plot, frame) => plot.show(frame)", frame)
        self.settle()

    def set(self, **attributes: str) -> None:
        for name, value in attributes.items():
            self.page.eval_on_selector("plane-plot", f"plot => plot.setAttribute('{name}', '{value}')")
        self.settle()

    def settle(self) -> None:
        """What was asked for is painted: two animation frames later."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the plane lies on the screen."""
        box = self.page.locator("plane-plot canvas[tabindex]").bounding_box()
        assert box
        return box["x"] + (x + 6) / 12 * box["width"], box["y"] + (6 - y) / 12 * box["height"]

    def click(self, x: float, y: float, **how: Any) -> None:
        self.page.mouse.click(*self.at(x, y), **how)

    def drag(self, *way: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*way[0]))
        self.page.mouse.down()
        for place in way[1:]:
            self.page.mouse.move(*self.at(*place), steps=8)
        self.page.mouse.up()

    def pick(self, name: str, value: str | int) -> None:
        self.page.check(f"[name={name}][value='{value}']")

    def focus(self) -> None:
        self.page.focus("plane-plot canvas[tabindex]")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def rows(self) -> list[tuple[float, float, float]]:
        """x, y and label of the points on the page."""
        found = self.page.evaluate("points.points.map(({ place, label }) => [...place, label])")
        return [tuple(row) for row in found]

    @property
    def said(self) -> str:
        return self.page.locator("plane-plot [role=status]").inner_text()

    def sent(self, when: Callable[[dict[str, str]], bool] = lambda _: True, *, after: int = 0) -> dict[str, str]:
        """The form as the newest edit left it, once more than `after` edits were told and it is as expected."""
        end = time.monotonic() + 10
        while True:
            count, form = self.page.evaluate("[edits.length, edits.at(-1)]")
            if count > after and when(form):
                return dict(form)
            assert time.monotonic() < end, f"the form did not hear of it: {count} edits, last {form}"
            self.page.wait_for_timeout(30)

    @property
    def edits(self) -> int:
        return int(self.page.evaluate("edits.length"))

    def pixel(self, x: float, y: float, *, canvas: int = 0, right: float = 0, down: float = 0) -> tuple[int, ...]:
        """Red, green, blue, opacity at a place; `right` and `down` of it in CSS pixels. Canvases: regions, points, overlay."""
        return tuple(
            self.page.evaluate(
                """([x, y, which, right, down]) => {
                  const canvas = document.querySelectorAll("plane-plot .plot > canvas")[which], ratio = canvas.width / canvas.clientWidth;
                  const u = (x + 6) / 12 * canvas.width + right * ratio, v = (6 - y) / 12 * canvas.height + down * ratio;
                  return [...canvas.getContext("2d").getImageData(Math.round(u), Math.round(v), 1, 1).data];
                }""",
                [x, y, canvas, right, down],
            )
        )

    def colour(self, token: str) -> npt.NDArray[np.float64]:
        """A token of the style sheet as red, green, blue."""
        found = self.page.evaluate("async name => (await import('/static/js/lib/palette.js')).token(name)", token)
        return np.array(found, np.float64)


def unpack_rows(text: str, width: int = 3) -> npt.NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(-1, width)
