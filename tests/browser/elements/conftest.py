"""A bench for single elements: real modules and style sheets on a page that the test itself serves, without any server.

Requests of the page are answered from the working tree by Playwright; arrays come from the same `pack` as on the wire.
"""

from __future__ import annotations

import json
import mimetypes
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Request, Route

from app.wire.arrays import pack
from tests.browser.server import ROOT

ORIGIN = "http://localhost:1"  # nothing listens there; localhost, so that it counts as a secure context
SHEETS = ("css/tokens", "css/base", "css/components", "css/pages", "css/elements", "vendor/uPlot.min")
HEAD = "".join(f'<link rel="stylesheet" href="/static/{sheet}.css">' for sheet in SHEETS)
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:"


class Bench:
    """One page with a body of the test's own; `calls` are the requests to the API, answered by `answer`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.calls: list[tuple[str, str, Any]] = []
        self.answer: Callable[[Request], dict[str, Any]] = lambda _: {"status": 204}
        self.faults: list[str] = []
        self.body = ""
        page.route(f"{ORIGIN}/**", self._serve)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)

    def open(self, body: str, *modules: str, head: str = "", query: str = "") -> Page:
        """`modules` are paths under static/js; the page is ready when all of them have run."""
        scripts = "".join(f'<script type="module" src="/static/js/{module}"></script>' for module in modules)
        self.body = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Bench</title>{HEAD}{head}'
            f"</head><body><main>{body}</main>{scripts}</body></html>"
        )
        self.page.goto(f"{ORIGIN}/{query}")
        return self.page

    def until(self, expression: str, seconds: float = 10.0) -> None:
        """Waits for a JavaScript expression. Playwright's own polling needs eval, which the page's policy forbids."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"it did not come to pass: {expression}"
            self.page.wait_for_timeout(30)

    def _serve(self, route: Route) -> None:
        request = route.request
        path = request.url.removeprefix(ORIGIN).partition("?")[0]
        if path == "/":
            route.fulfill(content_type="text/html", headers={"Content-Security-Policy": POLICY}, body=self.body)
        elif path.startswith("/static/"):
            file = ROOT / path[1:]
            if file.is_file():
                kind = "text/javascript" if file.suffix == ".js" else mimetypes.guess_type(file.name)[0]
                route.fulfill(content_type=kind, body=file.read_bytes())
            else:
                route.fulfill(status=404)
        elif path.startswith("/api/"):
            body = json.loads(request.post_data) if request.post_data else None
            self.calls.append((request.method, request.url.removeprefix(ORIGIN), body))
            route.fulfill(**self.answer(request))
        else:
            route.fulfill(status=404)


@pytest.fixture
def bench(browser: Browser) -> Iterator[Bench]:
    page = browser.new_page()
    made = Bench(page)
    yield made
    page.close()
    assert made.faults == [], "the page has no error on its console"


def digits_frame(
    seed: int = 0, *, scale: float = 1.0, source: str = "test", gradients: bool = True, **more: Any
) -> dict[str, Any]:
    """A frame as the stream brings it for the digits network, with random maps."""
    rng = np.random.default_rng(seed)

    def packed(*shape: int) -> dict[str, Any]:
        return pack((scale * rng.normal(size=shape)).astype(np.float32))

    shapes: list[tuple[str, tuple[int, ...], tuple[int, ...] | None]] = [
        ("conv2d", (8, 24, 24), (8, 1, 5, 5)),
        ("relu", (8, 24, 24), None),
        ("max_pool2d", (8, 12, 12), None),
        ("conv2d", (16, 12, 12), (16, 8, 5, 5)),
        ("relu", (16, 12, 12), None),
        ("max_pool2d", (16, 4, 4), None),
        ("dense", (10,), (10, 256)),
    ]
    probabilities = rng.dirichlet(np.ones(10))
    label = None if source == "drawing" else 7
    frame: dict[str, Any] = {
        "view": "layers", "watch": "w", "step": 100, "example": {"source": source, "index": 0, "label": label},
        "probabilities": probabilities.tolist(), "class": int(probabilities.argmax()), "loss": 1.0,
        "input": pack(rng.random((1, 24, 24)).astype(np.float32)),
        "seen": None,
        "layers": [
            {
                "index": i, "type": kind, "activations": packed(*shape), "gradients": packed(*shape) if gradients else None,
                "weights": packed(*weights) if weights else None,
                "weight_gradients": packed(*weights) if weights and gradients else None,
            }
            for i, (kind, shape, weights) in enumerate(shapes)
        ],
    }  # fmt: skip
    if source == "drawing":
        square = rng.random((28, 28)).astype(np.float32)
        frame["seen"] = {"box": [0.2, 0.1, 0.8, 0.9], "scaled": pack(square[:20, :20]), "centred": pack(square)}
    return frame | more
